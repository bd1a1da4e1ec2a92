use vecgo_kernels::{CodeRows, Kernels};

use crate::CodeFactors;
use crate::code::middle;
use crate::product::{CENTROIDS, Codebook, within};

/// A query's point as codes are scored against it: rounded to 8 bits a coordinate.
#[derive(Clone, Debug, Default)]
pub struct CodeQuery {
    values: Vec<i8>,
    squared: f32,
    /// What one step of `values` is worth, twice.
    scale: f32,
    /// Of all values.
    sum: f32,
    /// Of each part, where codes are of parts.
    tables: Vec<[f32; CENTROIDS]>,
    /// Squared length of the vector, where those are of dot products.
    of_dot: Option<f32>,
}

impl CodeQuery {
    /// Takes a point. If its squared length is no finite `f32`, rows are ranked by their own
    /// lengths alone.
    pub fn set(&mut self, kernels: Kernels, point: &[f32]) {
        let largest = point.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let per_step = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        self.values.resize(point.len(), 0);
        let sum = kernels.round_to_bytes(point, per_step, &mut self.values);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let sum = sum as f32;
        self.sum = sum;
        #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
        let squared = kernels.exact_dot(point, point) as f32;
        (self.squared, self.scale) =
            if squared.is_finite() { (squared, 2.0 * largest / 127.0) } else { (f32::MAX, 0.0) };
    }

    /// Takes a row's own cells for a query, with the row's factors, of which `upper` is not read.
    /// The middle of each cell is taken to be half a cell lower than [`encode`](crate::encode)
    /// does: 8 bits with a sign hold no half.
    pub fn set_cells(&mut self, cells: &[u8], factors: CodeFactors) {
        self.values.clear();
        self.values.extend(cells.iter().map(|cell| (*cell ^ 0x80).cast_signed()));
        let sum: i32 = self.values.iter().map(|value| i32::from(*value)).sum();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let sum = sum as f32;
        self.sum = sum;
        self.scale = 2.0 * factors.full;
        self.squared = factors.squared;
    }

    /// Makes the tables by which codes of a codebook are scored, of the vector whose point was
    /// [`set`](CodeQuery::set).
    pub fn set_tables(&mut self, kernels: Kernels, codebook: &Codebook, vector: &[f32]) {
        #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
        let squared = || kernels.exact_dot(vector, vector) as f32;
        self.of_dot = codebook.is_of_dot().then(squared);
        codebook.tables(kernels, vector, (self.squared, self.of_dot), &mut self.tables);
    }

    /// Length of what the tables make a dot product of with a row, which is wrong by what the row's code
    /// leaves out: the query's vector itself, or what lies between it and a row at this distance, less
    /// the query's own squared length.
    #[must_use]
    pub fn reach(&self, distance: f32) -> f32 {
        let between = || (distance + self.squared).clamp(0.0, self.squared);
        self.of_dot.unwrap_or_else(between).sqrt()
    }

    /// The rows of codes of the codebook whose squared distance, less the query's own squared length, is
    /// estimated to be below a bound, both packed as [`vecgo_kernels::pack`] does; as many as are
    /// returned, at the start of `out`.
    ///
    /// # Panics
    ///
    /// If one of `rows` is not there, if `out` is not as long as `rows`, or if codes are of another
    /// number of parts.
    pub fn within(
        &self,
        codes: CodeRows<'_>,
        rows: impl ExactSizeIterator<Item = u32> + Clone,
        bound: u64,
        out: &mut [u64],
    ) -> usize {
        within(&self.tables, codes, rows, bound, out)
    }

    /// The coordinates as the kernels take them.
    #[must_use]
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// What a step of the values is worth, twice.
    #[inline]
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Dot product of the values with the middle of the grid of so many bits, 1 to 8.
    #[inline]
    #[must_use]
    pub fn middle(&self, bits: u8) -> f32 {
        self.sum * middle(bits)
    }

    /// Squared length of the query's point.
    #[must_use]
    pub fn squared(&self) -> f32 {
        self.squared
    }
}
