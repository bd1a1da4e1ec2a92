//! From dot products to distances that numbers compare by.

use super::Factors;

/// How a dot product becomes a distance, and which distances are wanted.
///
/// The distance of a row with factors `[squared, factor]` and dot product `dot` is
/// `squared - scale * factor * (dot - middle)`.
#[derive(Clone, Copy, Debug)]
pub struct Estimate<'a> {
    /// The factors of all rows.
    pub factors: Factors<'a>,
    /// The query's scale.
    pub scale: f32,
    /// What the query's dot product with the middle of the grid is.
    pub middle: f32,
    /// Packed distances below this are wanted; see [`pack`].
    pub bound: u64,
}

impl Estimate<'_> {
    /// The distance of a row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[inline(always)]
    #[must_use]
    pub fn distance(&self, dot: i32, row: u32) -> f32 {
        self.of_factors(dot, self.factors.of(row))
    }

    #[inline(always)]
    pub(super) fn of_factors(&self, dot: i32, [squared, factor]: [f32; 2]) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let dot = dot as f32 - self.middle;
        squared - self.scale * factor * dot
    }
}

/// A distance and a row in one number, so that numbers compare as the distances do, then the rows.
#[inline(always)]
#[must_use]
pub fn pack(distance: f32, row: u32) -> u64 {
    let bits = distance.to_bits();
    let ordered = bits ^ ((bits.cast_signed() >> 31).cast_unsigned() | SIGN);
    pack_ordered(ordered, row)
}

/// The sign of a float.
pub(super) const SIGN: u32 = 0x8000_0000;

/// The same of a distance whose bits are in order already.
#[inline(always)]
pub(super) fn pack_ordered(ordered: u32, row: u32) -> u64 {
    u64::from(ordered) << 32 | u64::from(row)
}

/// The distance in a packed number.
#[inline(always)]
#[must_use]
pub fn packed_distance(packed: u64) -> f32 {
    let ordered = (packed >> 32) as u32;
    let mask = !((ordered.cast_signed() >> 31).cast_unsigned()) | SIGN;
    f32::from_bits(ordered ^ mask)
}
