//! Codes that stand in for vectors while searching.
//!
//! A [`Space`] turns vectors of any metric into points whose squared Euclidean distances rank as
//! the metric does, mean taken out and rotated at random, so that no coordinate carries more than
//! its share. [`encode`] writes such a point in 8 bits a coordinate, after RaBitQ (Gao and others,
//! SIGMOD 2024 and 2025): the grid fits the point's own length, and a factor makes the estimate of
//! a dot product right on average. The upper four bits of each code are a code of their own, read
//! while a graph is walked; those below are read only for what is scored again. Shorter codes, down to
//! a bit, have grids of their own ([`Planes`]). A [`Codebook`] makes codes of as many bytes as are asked for, by
//! product quantization of the vectors themselves.

#![forbid(unsafe_code)]

mod code;
mod product;
mod query;
mod rotation;
mod space;
mod train;

pub use code::{CodeFactors, Planes, encode, error_of, lower_codes, upper_codes};
pub use product::{CENTROIDS, Codebook, Loss, coordinates_of};
pub use query::CodeQuery;
pub use rotation::{Rotation, split_mix};
pub use space::{Kind, Space};
pub use train::{TrainedPart, TrainingRows};
pub use vecgo_kernels::UNIT;

/// Places at the end of each half of the last unit that hold no coordinate where a row has room
/// for its factors: their bytes do.
const SPARE: usize = 8;
