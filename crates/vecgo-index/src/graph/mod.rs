mod build;
mod pool;
mod prune;
mod search;
mod visited;

pub use build::{BuildParams, Built, Cancelled, Points, build};
pub use pool::Neighbour;
pub use search::{Codes, Scratch, Width};

/// Fills a row's list of edges behind its last one.
pub const NO_EDGE: u32 = u32::MAX;

/// The edges of all rows: `degree` places each, those not used at [`NO_EDGE`].
#[derive(Clone, Copy, Debug)]
pub struct Edges<'a> {
    places: &'a [u32],
    degree: usize,
}

impl<'a> Edges<'a> {
    /// Edges with so many places a row.
    #[must_use]
    pub fn new(places: &'a [u32], degree: usize) -> Edges<'a> {
        Edges { places, degree }
    }

    /// The places of a row.
    #[inline]
    #[must_use]
    pub fn of(&self, row: u32) -> &'a [u32] {
        let start = row as usize * self.degree;
        self.places.get(start..start + self.degree).unwrap_or_default()
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        let start = row as usize * self.degree;
        for line in (0..self.degree).step_by(16) {
            vecgo_kernels::prefetch(self.places, start + line);
        }
    }
}
