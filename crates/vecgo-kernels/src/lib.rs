//! Distance kernels with run-time CPU dispatch, and huge-page memory.
//!
//! [`Kernels`] computes dot products and squared Euclidean distances between `f32` vectors: one
//! pair, one query against many rows, or a batch of queries against a tile of rows. The
//! instruction set is a [`Level`], chosen once at run time; each call then costs one indirect
//! jump however many rows it covers.
//!
//! ```
//! use vecgo_kernels::Kernels;
//!
//! let kernels = Kernels::best();
//! let rows = [1.0, 0.0, 0.0, 1.0, 3.0, 4.0];
//! let mut distances = [0.0; 3];
//! kernels.l2_rows(&[0.0, 0.0], &rows, &mut distances);
//! assert_eq!(distances, [1.0, 1.0, 25.0]);
//! ```
//!
//! # Results
//!
//! All kernels of one level add up the terms of a pair in the same order. A pair of vectors
//! therefore has one score, to the last bit, whether it is computed alone, in a scan or in a
//! batch, wherever the row falls in its block and however the slices are aligned. Scores of
//! different levels differ in the last bits.
//!
//! Sums are kept in `f32`: a sum beyond its range is infinite, and NaN or infinite components
//! carry through as IEEE 754 has it.
//!
//! # Memory
//!
//! [`PageBuf`] is a fixed-length zeroed buffer on huge pages where the system grants them, and
//! [`append_only`] makes one that grows under concurrent readers without a lock.

mod codes;
pub mod exact;
mod level;
mod memory;
mod portable;
mod sorted;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::fmt;

pub use codes::{
    Bits, CodeRows, Estimate, FACTOR_BYTES, Factors, LINE, UNIT, pack, packed_distance, prefetch,
    prefetch_range,
};
pub use exact::with_floats;
pub use level::{Level, SelectError};
pub use memory::{AllocError, Appended, Appender, Full, PageBuf, Pages, Plain, append_only};

/// One pair: two vectors of equal length.
type Pair = unsafe fn(a: &[f32], b: &[f32]) -> f32;
/// One query against rows: `rows.len() == query.len() * out.len()`.
type Rows = unsafe fn(query: &[f32], rows: &[f32], out: &mut [f32]);
/// `q` queries against `r` rows: `queries.len() == q * dim`, `rows.len() == r * dim`,
/// `out.len() == q * r` and `dim > 0`.
type Tile = unsafe fn(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]);
/// Any slice.
type Sum = unsafe fn(data: &[f32]) -> f32;

/// The kernels of one level.
///
/// # Safety
///
/// Whoever calls an entry answers for two things: the CPU has the level's instructions, and the
/// slices have the lengths that the entry's type states.
struct Table {
    dot: Pair,
    l2: Pair,
    dot_rows: Rows,
    l2_rows: Rows,
    dot_tile: Tile,
    l2_tile: Tile,
    stream_sum: Sum,
}

/// The distance kernels of one [`Level`], which this CPU is known to have.
///
/// Copying is free, and a copy may go to any thread. Distances are larger for vectors further
/// apart ([`l2`](Kernels::l2) is *squared* Euclidean); dot products are larger for vectors more
/// alike.
#[derive(Clone, Copy)]
pub struct Kernels {
    level: Level,
    /// The table of `level`. A `Kernels` is made only for an available level, which is what makes
    /// calling through the table sound.
    table: &'static Table,
}

impl Kernels {
    /// The kernels of `level`.
    ///
    /// # Errors
    ///
    /// [`SelectError::Unsupported`] if this CPU lacks the level.
    pub fn new(level: Level) -> Result<Kernels, SelectError> {
        level.require().map(Kernels::available)
    }

    /// The kernels of [`Level::best`].
    #[must_use]
    pub fn best() -> Kernels {
        Kernels::available(Level::best())
    }

    /// The kernels of a level that the caller has checked to be available.
    fn available(level: Level) -> Kernels {
        debug_assert!(level.is_available());
        let table = match level {
            Level::Portable => &portable::TABLE,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &avx2::TABLE,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => &avx512::TABLE,
            #[cfg(not(target_arch = "x86_64"))]
            Level::Avx2 | Level::Avx512 => &portable::TABLE,
        };
        Kernels { level, table }
    }

    fn codes(&self) -> &'static codes::CodeTable {
        match self.level {
            Level::Portable => &codes::PORTABLE,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &codes::AVX2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => &codes::AVX512,
            #[cfg(not(target_arch = "x86_64"))]
            Level::Avx2 | Level::Avx512 => &codes::PORTABLE,
        }
    }

    /// The level these kernels run at.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The dot product of two vectors; zero for empty ones.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    #[inline]
    #[must_use]
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of different lengths");
        // SAFETY: the level is available, and the lengths are equal.
        unsafe { (self.table.dot)(a, b) }
    }

    /// The squared Euclidean distance of two vectors; zero for empty ones.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    #[inline]
    #[must_use]
    pub fn l2(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of different lengths");
        // SAFETY: the level is available, and the lengths are equal.
        unsafe { (self.table.l2)(a, b) }
    }

    /// The squared Euclidean norm of a vector: exactly `dot(a, a)`.
    #[inline]
    #[must_use]
    pub fn norm_squared(&self, a: &[f32]) -> f32 {
        self.dot(a, a)
    }

    /// The dot products of `query` with each row: `out[j] = dot(query, rows[j])`.
    ///
    /// `rows` holds `out.len()` rows of `query.len()` floats, one after the other. Rows of length
    /// zero give zeros.
    ///
    /// # Panics
    ///
    /// If `rows.len()` is not `query.len() * out.len()`.
    #[inline]
    pub fn dot_rows(&self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        check_rows(query, rows, out);
        // SAFETY: the level is available, and the lengths were checked.
        unsafe { (self.table.dot_rows)(query, rows, out) }
    }

    /// The squared Euclidean distances of `query` to each row: `out[j] = l2(query, rows[j])`.
    ///
    /// Shapes as for [`dot_rows`](Kernels::dot_rows).
    ///
    /// # Panics
    ///
    /// If `rows.len()` is not `query.len() * out.len()`.
    #[inline]
    pub fn l2_rows(&self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        check_rows(query, rows, out);
        // SAFETY: the level is available, and the lengths were checked.
        unsafe { (self.table.l2_rows)(query, rows, out) }
    }

    /// The dot products of every query with every row.
    ///
    /// `queries` holds `q` and `rows` holds `r` vectors of `dim` floats, one after the other, and
    /// `out[i * r + j] = dot(queries[i], rows[j])`. The rows are passed over once, the queries
    /// once for each few rows, so this is fastest when all the queries fit the first-level cache.
    /// With `dim == 0` both inputs are empty, and `out`, of any length, is filled with zeros.
    ///
    /// # Panics
    ///
    /// If `queries` or `rows` is not a whole number of vectors, or `out.len()` is not `q * r`.
    #[inline]
    pub fn dot_tile(&self, queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
        check_tile(queries, rows, dim, out);
        if dim == 0 {
            out.fill(0.0);
        } else {
            // SAFETY: the level is available, and the lengths were checked.
            unsafe { (self.table.dot_tile)(queries, rows, dim, out) }
        }
    }

    /// The squared Euclidean distances of every query to every row.
    ///
    /// Shapes as for [`dot_tile`](Kernels::dot_tile), with
    /// `out[i * r + j] = l2(queries[i], rows[j])`.
    ///
    /// # Panics
    ///
    /// If `queries` or `rows` is not a whole number of vectors, or `out.len()` is not `q * r`.
    #[inline]
    pub fn l2_tile(&self, queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
        check_tile(queries, rows, dim, out);
        if dim == 0 {
            out.fill(0.0);
        } else {
            // SAFETY: the level is available, and the lengths were checked.
            unsafe { (self.table.l2_tile)(queries, rows, dim, out) }
        }
    }

    /// The sum of all elements, in no particular order: the least work that reads all of `data`.
    ///
    /// It has no use in search. Its throughput on data larger than the caches is the memory
    /// bandwidth of one core, the limit to compare scans with.
    #[inline]
    #[must_use]
    pub fn stream_sum(&self, data: &[f32]) -> f32 {
        // SAFETY: the level is available, and any slice will do.
        unsafe { (self.table.stream_sum)(data) }
    }
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernels").field("level", &self.level).finish_non_exhaustive()
    }
}

#[inline]
fn check_rows(query: &[f32], rows: &[f32], out: &[f32]) {
    assert_eq!(
        query.len().checked_mul(out.len()),
        Some(rows.len()),
        "rows must hold one vector of the query's length for each output"
    );
}

#[inline]
fn check_tile(queries: &[f32], rows: &[f32], dim: usize, out: &[f32]) {
    assert!(
        is_matrix(queries, dim) && is_matrix(rows, dim),
        "queries and rows must be whole vectors of length {dim}"
    );
    let counts = queries.len().checked_div(dim).zip(rows.len().checked_div(dim));
    if let Some((query_count, row_count)) = counts {
        assert_eq!(
            query_count.checked_mul(row_count),
            Some(out.len()),
            "out must have one place for each query and row"
        );
    }
}

/// Whether `data` is a whole number of vectors of length `dim`. No floats are no vectors, of
/// whatever length.
#[inline]
fn is_matrix(data: &[f32], dim: usize) -> bool {
    data.len().is_multiple_of(dim)
}
