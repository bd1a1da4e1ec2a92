//! Codes that stand in for vectors while searching.
//!
//! A [`Space`] turns vectors of any metric into points whose squared Euclidean distances rank as
//! the metric does, mean taken out and rotated at random, so that no coordinate carries more than
//! its share. [`encode`] writes such a point in 8 bits a coordinate, after RaBitQ (Gao and others,
//! SIGMOD 2024 and 2025): the grid fits the point's own length, and a factor makes the estimate of
//! a dot product right on average. The upper four bits of each code are a code of their own, read
//! while a graph is walked; the lower four are read only for what is scored again.

#![forbid(unsafe_code)]

mod code;
mod query;
mod rotation;
mod space;

pub use code::{CodeFactors, encode, split};
pub use query::CodeQuery;
pub use rotation::{Rotation, split_mix};
pub use space::{Kind, Space};

/// Places for coordinates come in multiples of this: a cache line of 4-bit codes.
pub const UNIT: usize = 128;
/// Places at the end of each half of the last unit that hold no coordinate where a row has room
/// for its factors: their bytes do.
const SPARE: usize = 8;
