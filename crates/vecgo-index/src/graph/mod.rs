mod adopt;
mod back;
mod build;
mod insert;
mod pool;
mod prune;
mod repair;
mod search;
mod through;
mod trim;
mod twins;
mod visited;

use vecgo_kernels::prefetch_range;

pub use adopt::OldGraph;
pub use build::{BuildParams, Built, Cancelled, Points, build};
pub use pool::Neighbour;
pub use search::{ByCodes, Codes, Form, Hidden, MUCH_LEFT_OUT, Near, Reach, Scratch};
pub use through::Wanted;

/// Fills a row's list of edges behind its last one.
pub const NO_EDGE: u32 = u32::MAX;

/// The edges of all rows: `degree` places each, those not used at [`NO_EDGE`], which come last.
#[derive(Clone, Copy, Debug)]
pub struct Edges<'a> {
    places: &'a [u32],
    degree: usize,
}

impl<'a> Edges<'a> {
    /// Edges with so many places a row. `places` is trusted: whoever took it from outside asks
    /// [`Edges::lie_within`] first.
    #[must_use]
    pub fn new(places: &'a [u32], degree: usize) -> Edges<'a> {
        Edges { places, degree }
    }

    /// Whether there are the places of `rows` rows and every edge leads to one of them, so that
    /// [`Scratch::walk`] can be sure of it.
    #[must_use]
    pub fn lie_within(&self, rows: usize) -> bool {
        rows.checked_mul(self.degree) == Some(self.places.len())
            && self.places.iter().all(|to| *to == NO_EDGE || (*to as usize) < rows)
    }

    /// The places of a row; none if there is no such row.
    #[inline]
    #[must_use]
    pub fn of(&self, row: u32) -> &'a [u32] {
        let start = row as usize * self.degree;
        self.places.get(start..start + self.degree).unwrap_or_default()
    }

    /// The rows that a row's edges lead to.
    #[must_use]
    pub fn list(&self, row: u32) -> &'a [u32] {
        used(self.of(row))
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        prefetch_range(self.places, row as usize * self.degree, self.degree);
    }
}

/// The places of a list that hold an edge.
fn used(places: &[u32]) -> &[u32] {
    let end = places.iter().position(|to| *to == NO_EDGE).unwrap_or(places.len());
    places.get(..end).unwrap_or_default()
}

/// Puts a list of edges into a row's places, as far as they go.
fn fill(places: &mut [u32], list: &[u32]) {
    places.fill(NO_EDGE);
    for (place, to) in places.iter_mut().zip(list) {
        *place = *to;
    }
}
