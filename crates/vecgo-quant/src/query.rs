use vecgo_kernels::Kernels;

use crate::CodeFactors;
use crate::code::{MIDDLE_FULL, MIDDLE_UPPER};

/// A query's point as codes are scored against it: rounded to 8 bits a coordinate.
#[derive(Clone, Debug, Default)]
pub struct CodeQuery {
    values: Vec<i8>,
    squared: f32,
    /// What one step of `values` is worth, twice.
    scale: f32,
    /// Dot product of the values with the middle of the upper bits' grid, and of the whole grid.
    middle: (f32, f32),
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
        self.middle = (sum * MIDDLE_UPPER, sum * MIDDLE_FULL);
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
        self.middle = (sum * MIDDLE_UPPER, sum * MIDDLE_FULL);
        self.scale = 2.0 * factors.full;
        self.squared = factors.squared;
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

    /// Dot product of the values with the middle of the upper four bits' grid.
    #[inline]
    #[must_use]
    pub fn middle_upper(&self) -> f32 {
        self.middle.0
    }

    /// Dot product of the values with the middle of the whole grid.
    #[inline]
    #[must_use]
    pub fn middle_full(&self) -> f32 {
        self.middle.1
    }

    /// Squared length of the query's point.
    #[must_use]
    pub fn squared(&self) -> f32 {
        self.squared
    }
}
