//! The kernels for AVX2 with FMA.
//!
//! Every pair of vectors has two running sums of eight lanes: one of the even, one of the odd
//! registers' worth of terms. With one alone, each addition would wait for the one before it. The
//! kernels differ in how many pairs they have in hand, but all leave the adding to [`block`] and
//! [`reduce`], and so agree to the last bit.

use std::arch::x86_64::{
    __m128, __m256, __m256i, _mm_add_ps, _mm_cvtss_f32, _mm_storeu_ps, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_hadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskload_ps, _mm256_setzero_ps, _mm256_sub_ps,
};

use crate::Table;

/// Floats in a register.
const LANES: usize = 8;

/// Queries in a block of a tile.
const TILE_QUERIES: usize = 2;
/// Rows in a block of a tile. With two sums for each pair, a block keeps 8 of the 16 registers in
/// sums; more pairs would need fewer loads for each, but spill.
const TILE_ROWS: usize = 2;

const DOT: bool = false;
const L2: bool = true;

pub(crate) static TABLE: Table = Table {
    dot: pair::<DOT>,
    l2: pair::<L2>,
    dot_rows: scan::<DOT>,
    l2_rows: scan::<L2>,
    dot_tile: tile::<DOT>,
    l2_tile: tile::<L2>,
    stream_sum,
};

/// One pair.
///
/// # Safety
///
/// The slices must have the same length.
#[target_feature(enable = "avx2,fma")]
unsafe fn pair<const METRIC: bool>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: both are one vector of `a.len()` floats.
    let [[sum]] = unsafe { block::<METRIC, 1, 1>(a, b, a.len()) };
    reduce_one(sum)
}

/// One query against rows.
///
/// The rows are read strictly in the order of their addresses. To take several at once would save
/// loads of the query, but several streams, a row apart, halve what the hardware prefetcher gets
/// from memory.
///
/// # Safety
///
/// `rows` must hold `out.len()` vectors of `query.len()` floats.
#[target_feature(enable = "avx2,fma")]
unsafe fn scan<const METRIC: bool>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    let dim = query.len();
    let row = |j: usize| &rows[j * dim..][..dim];
    let (blocks, rest) = out.as_chunks_mut::<4>();
    let rest_start = 4 * blocks.len();
    for (j, out) in blocks.iter_mut().enumerate() {
        let mut sums = [_mm256_setzero_ps(); 4];
        for (offset, sum) in sums.iter_mut().enumerate() {
            // SAFETY: a row is as long as the query.
            [[*sum]] = unsafe { block::<METRIC, 1, 1>(query, row(4 * j + offset), dim) };
        }
        // SAFETY: `out` has four places.
        unsafe { _mm_storeu_ps(out.as_mut_ptr(), reduce(sums)) };
    }
    for (offset, out) in rest.iter_mut().enumerate() {
        // SAFETY: a row is as long as the query.
        *out = unsafe { pair::<METRIC>(query, row(rest_start + offset)) };
    }
}

/// Queries against rows.
///
/// # Safety
///
/// `queries` and `rows` must hold whole vectors of `dim` floats, `dim` not zero, and `out` must
/// have a place for each query and row.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const METRIC: bool>(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    let (query_count, row_count) = (queries.len() / dim, rows.len() / dim);
    let blocked_queries = query_count - query_count % TILE_QUERIES;
    let blocked_rows = row_count - row_count % TILE_ROWS;
    for j in (0..blocked_rows).step_by(TILE_ROWS) {
        let rows = &rows[j * dim..][..TILE_ROWS * dim];
        for i in (0..blocked_queries).step_by(TILE_QUERIES) {
            let queries = &queries[i * dim..][..TILE_QUERIES * dim];
            // SAFETY: the slices were cut to hold what a block takes.
            let [[a, b], [c, d]] =
                unsafe { block::<METRIC, TILE_QUERIES, TILE_ROWS>(queries, rows, dim) };
            let mut sums = [0.0; TILE_QUERIES * TILE_ROWS];
            // SAFETY: `sums` has four places.
            unsafe { _mm_storeu_ps(sums.as_mut_ptr(), reduce([a, b, c, d])) };
            for (offset, sums) in sums.chunks_exact(TILE_ROWS).enumerate() {
                out[(i + offset) * row_count + j..][..TILE_ROWS].copy_from_slice(sums);
            }
        }
    }
    for j in blocked_rows..row_count {
        for i in 0..blocked_queries {
            let (query, row) = (&queries[i * dim..][..dim], &rows[j * dim..][..dim]);
            // SAFETY: both slices were cut to `dim` floats.
            out[i * row_count + j] = unsafe { pair::<METRIC>(query, row) };
        }
    }
    for i in blocked_queries..query_count {
        let (query, out) = (&queries[i * dim..][..dim], &mut out[i * row_count..][..row_count]);
        // SAFETY: `rows` holds a vector of `dim` floats for each of the `row_count` places.
        unsafe { scan::<METRIC>(query, rows, out) };
    }
}

/// The sums of `Q` queries with `R` rows, still spread over the lanes of a register each.
///
/// # Safety
///
/// `queries` must hold `Q`, and `rows` must hold `R`, vectors of `dim` floats.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn block<const METRIC: bool, const Q: usize, const R: usize>(
    queries: &[f32],
    rows: &[f32],
    dim: usize,
) -> [[__m256; R]; Q] {
    debug_assert_eq!((queries.len(), rows.len()), (Q * dim, R * dim));
    let (queries, rows) = (queries.as_ptr(), rows.as_ptr());
    let mut even = [[_mm256_setzero_ps(); R]; Q];
    let mut odd = even;
    let mut k = 0;
    // SAFETY: a step from `k` reads `LANES` floats of each vector, or those first ones that the
    // mask lets through; either way no more than the `dim - k` that are left.
    unsafe {
        let load = |at: *const f32| _mm256_loadu_ps(at);
        while k + 2 * LANES <= dim {
            step::<METRIC, Q, R>(&mut even, queries.add(k), rows.add(k), dim, load);
            let next = k + LANES;
            step::<METRIC, Q, R>(&mut odd, queries.add(next), rows.add(next), dim, load);
            k += 2 * LANES;
        }
        if k + LANES <= dim {
            step::<METRIC, Q, R>(&mut even, queries.add(k), rows.add(k), dim, load);
            k += LANES;
        }
        if k < dim {
            let mask = first_lanes(dim - k);
            let load = |at: *const f32| _mm256_maskload_ps(at, mask);
            step::<METRIC, Q, R>(&mut odd, queries.add(k), rows.add(k), dim, load);
        }
    }
    for (even, odd) in even.as_flattened_mut().iter_mut().zip(odd.as_flattened()) {
        *even = _mm256_add_ps(*even, *odd);
    }
    even
}

/// Adds the terms of one register's worth of components to the sums of a block.
///
/// # Safety
///
/// `load` must be able to load from `queries + i * dim` for `i < Q`, and from `rows + j * dim`
/// for `j < R`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<const METRIC: bool, const Q: usize, const R: usize>(
    sums: &mut [[__m256; R]; Q],
    queries: *const f32,
    rows: *const f32,
    dim: usize,
    load: impl Fn(*const f32) -> __m256,
) {
    let mut row = [_mm256_setzero_ps(); R];
    for (j, row) in row.iter_mut().enumerate() {
        // SAFETY: the caller vouches for `R` rows.
        *row = load(unsafe { rows.add(j * dim) });
    }
    for (i, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for `Q` queries.
        let query = load(unsafe { queries.add(i * dim) });
        for (sum, row) in sums.iter_mut().zip(row) {
            *sum = if METRIC == L2 {
                let difference = _mm256_sub_ps(query, row);
                _mm256_fmadd_ps(difference, difference, *sum)
            } else {
                _mm256_fmadd_ps(query, row, *sum)
            };
        }
    }
}

/// The mask of the first `count` lanes, of at most [`LANES`].
#[inline]
#[target_feature(enable = "avx2,fma")]
fn first_lanes(count: usize) -> __m256i {
    const BITS: [i32; 2 * LANES] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    debug_assert!(count <= LANES);
    // SAFETY: the window of `LANES` bits ends at most at the end of the table.
    unsafe { _mm256_loadu_si256(BITS.as_ptr().add(LANES - count).cast()) }
}

/// Adds up the lanes of each of four registers: lane `i` of the result is the sum of `sums[i]`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce([a, b, c, d]: [__m256; 4]) -> __m128 {
    let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves))
}

/// Adds up the lanes of one register, in the order of [`reduce`].
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce_one(sum: __m256) -> f32 {
    _mm_cvtss_f32(reduce([sum; 4]))
}

/// The sum of any slice, as four running sums: one alone would wait for its own additions rather
/// than for memory.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn stream_sum(data: &[f32]) -> f32 {
    const SUMS: usize = 4;
    let mut sums = [_mm256_setzero_ps(); SUMS];
    let (chunks, tail) = data.as_chunks::<{ SUMS * LANES }>();
    for chunk in chunks {
        let (registers, _) = chunk.as_chunks::<LANES>();
        for (sum, register) in sums.iter_mut().zip(registers) {
            // SAFETY: `register` has exactly the floats of a register.
            let register = unsafe { _mm256_loadu_ps(register.as_ptr()) };
            *sum = _mm256_add_ps(*sum, register);
        }
    }
    let [a, b, c, d] = sums;
    let sum = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    reduce_one(sum) + tail.iter().sum::<f32>()
}
