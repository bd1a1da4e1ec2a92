use vecgo_kernels::{Bits, CodeRows, FACTOR_BYTES, Factors};
use vecgo_quant::{Planes, encode};

use crate::graph::{Codes, Points};

/// Centres as codes of eight bits that rows can be compared with, and queries.
#[derive(Debug)]
pub struct Centres {
    /// The codes, one after the other.
    pub cells: Vec<u8>,
    /// Squared length and factor of each, little-endian.
    pub factors: Vec<u8>,
    places: usize,
    width: usize,
}

impl Centres {
    /// None yet, of the space that some points are in.
    pub(super) fn among(points: Points<'_>) -> Self {
        let (places, width) = (points.rows.stride(), points.width);
        Self { cells: Vec::new(), factors: Vec::new(), places, width }
    }

    pub(super) fn count(&self) -> usize {
        self.factors.len() / FACTOR_BYTES
    }

    pub(super) fn codes(&self) -> Option<Codes<'_>> {
        let rows = CodeRows::new(&self.cells, self.places)?;
        Some(Codes::of_places(rows, Bits::Eight, Factors::apart(&self.factors)?))
    }

    /// Adds one at a mean.
    pub(super) fn push(&mut self, mean: &[f32]) {
        let start = self.cells.len();
        self.cells.resize(start + self.places, 0);
        let factors = encode(mean, self.width, Planes::WHOLE, &mut self.cells[start..]);
        self.factors.extend(factors.squared.to_le_bytes());
        self.factors.extend(factors.full.to_le_bytes());
    }

    /// Adds some of others, which are there, of the same space.
    pub(super) fn extend(&mut self, others: &Self, numbers: impl Iterator<Item = usize>) {
        for number in numbers {
            let cells = others.cells.chunks_exact(self.places).nth(number);
            let factors = others.factors.chunks_exact(FACTOR_BYTES).nth(number);
            self.cells.extend_from_slice(cells.unwrap_or_default());
            self.factors.extend_from_slice(factors.unwrap_or_default());
        }
    }
}
