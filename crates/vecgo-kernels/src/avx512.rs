//! The kernels for AVX-512.
//!
//! Every pair of vectors has two running sums of sixteen lanes: one of the even, one of the odd
//! registers' worth of terms. With one alone, each addition would wait for the one before it. The
//! kernels differ in how many pairs they have in hand and how they load, but never in which term
//! goes to which lane, nor in how [`reduce`] adds up the lanes, and so agree to the last bit.

use std::arch::x86_64::{
    __m128, __m256, __m512, __mmask16, _mm_add_ps, _mm_cvtss_f32, _mm_storeu_ps, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_maskz_loadu_ps,
    _mm256_setzero_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd,
    _mm512_castps256_ps512, _mm512_castps512_ps256, _mm512_extractf32x8_ps, _mm512_fmadd_ps,
    _mm512_insertf32x8, _mm512_maskz_loadu_ps, _mm512_setzero_ps, _mm512_sub_ps,
    _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use crate::Table;
use crate::avx2;

/// Floats in a register.
const LANES: usize = 16;
/// Floats in half a register.
const HALF: usize = LANES / 2;
/// All lanes of a register.
const ALL: __mmask16 = !0;

/// Queries in a block of a tile.
const TILE_QUERIES: usize = 2;
/// Rows in a block of a tile. With two sums for each pair, a block keeps 16 of the 32 registers in
/// sums and makes 8 multiplications for 6 loads, which is enough to keep the multipliers busy.
const TILE_ROWS: usize = 4;

const DOT: bool = false;
const L2: bool = true;

pub(crate) static TABLE: Table = Table {
    dot: pair::<DOT>,
    l2: pair::<L2>,
    dot_rows: scan::<DOT>,
    l2_rows: scan::<L2>,
    dot_tile: tile::<DOT>,
    l2_tile: tile::<L2>,
    // Half a register at a time reads memory fastest; see `stream`.
    stream_sum: avx2::stream_sum,
};

/// One pair.
///
/// # Safety
///
/// The slices must have the same length.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
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
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
unsafe fn scan<const METRIC: bool>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    let dim = query.len();
    let row = |j: usize| &rows[j * dim..][..dim];
    let (blocks, rest) = out.as_chunks_mut::<4>();
    let rest_start = 4 * blocks.len();
    for (j, out) in blocks.iter_mut().enumerate() {
        let mut sums = [_mm512_setzero_ps(); 4];
        for (offset, sum) in sums.iter_mut().enumerate() {
            // SAFETY: a row is as long as the query.
            *sum = unsafe { stream::<METRIC>(query, row(4 * j + offset)) };
        }
        // SAFETY: `out` has four places.
        unsafe { _mm_storeu_ps(out.as_mut_ptr(), reduce(sums)) };
    }
    for (offset, out) in rest.iter_mut().enumerate() {
        // SAFETY: a row is as long as the query.
        *out = reduce_one(unsafe { stream::<METRIC>(query, row(rest_start + offset)) });
    }
}

/// Queries against rows.
///
/// # Safety
///
/// `queries` and `rows` must hold whole vectors of `dim` floats, `dim` not zero, and `out` must
/// have a place for each query and row.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
unsafe fn tile<const METRIC: bool>(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    let (query_count, row_count) = (queries.len() / dim, rows.len() / dim);
    let blocked_queries = query_count - query_count % TILE_QUERIES;
    let blocked_rows = row_count - row_count % TILE_ROWS;
    for j in (0..blocked_rows).step_by(TILE_ROWS) {
        let rows = &rows[j * dim..][..TILE_ROWS * dim];
        for i in (0..blocked_queries).step_by(TILE_QUERIES) {
            let queries = &queries[i * dim..][..TILE_QUERIES * dim];
            // SAFETY: the slices were cut to hold what a block takes.
            let sums = unsafe { block::<METRIC, TILE_QUERIES, TILE_ROWS>(queries, rows, dim) };
            for (offset, sums) in sums.into_iter().enumerate() {
                let out = &mut out[(i + offset) * row_count + j..][..TILE_ROWS];
                // SAFETY: `out` was cut to have four places.
                unsafe { _mm_storeu_ps(out.as_mut_ptr(), reduce(sums)) };
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
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
unsafe fn block<const METRIC: bool, const Q: usize, const R: usize>(
    queries: &[f32],
    rows: &[f32],
    dim: usize,
) -> [[__m512; R]; Q] {
    debug_assert_eq!((queries.len(), rows.len()), (Q * dim, R * dim));
    let (queries, rows) = (queries.as_ptr(), rows.as_ptr());
    let mut even = [[_mm512_setzero_ps(); R]; Q];
    let mut odd = even;
    let mut k = 0;
    // SAFETY: a step from `k` reads `LANES` floats of each vector, or those first ones that the
    // mask lets through; either way no more than the `dim - k` that are left.
    unsafe {
        while k + 2 * LANES <= dim {
            step::<METRIC, Q, R>(&mut even, queries.add(k), rows.add(k), dim, ALL);
            let next = k + LANES;
            step::<METRIC, Q, R>(&mut odd, queries.add(next), rows.add(next), dim, ALL);
            k += 2 * LANES;
        }
        if k + LANES <= dim {
            step::<METRIC, Q, R>(&mut even, queries.add(k), rows.add(k), dim, ALL);
            k += LANES;
        }
        if k < dim {
            let tail = first_lanes(dim - k);
            step::<METRIC, Q, R>(&mut odd, queries.add(k), rows.add(k), dim, tail);
        }
    }
    for (even, odd) in even.as_flattened_mut().iter_mut().zip(odd.as_flattened()) {
        *even = _mm512_add_ps(*even, *odd);
    }
    even
}

/// Adds the terms of one register's worth of components to the sums of a block.
///
/// # Safety
///
/// The lanes in `mask` must be readable at `queries + i * dim` for `i < Q`, and at
/// `rows + j * dim` for `j < R`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
unsafe fn step<const METRIC: bool, const Q: usize, const R: usize>(
    sums: &mut [[__m512; R]; Q],
    queries: *const f32,
    rows: *const f32,
    dim: usize,
    mask: __mmask16,
) {
    let mut row = [_mm512_setzero_ps(); R];
    for (j, row) in row.iter_mut().enumerate() {
        // SAFETY: the caller vouches for `R` rows; lanes outside the mask are not read.
        *row = unsafe { _mm512_maskz_loadu_ps(mask, rows.add(j * dim)) };
    }
    for (i, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for `Q` queries; lanes outside the mask are not read.
        let query = unsafe { _mm512_maskz_loadu_ps(mask, queries.add(i * dim)) };
        for (sum, row) in sums.iter_mut().zip(row) {
            *sum = if METRIC == L2 {
                let difference = _mm512_sub_ps(query, row);
                _mm512_fmadd_ps(difference, difference, *sum)
            } else {
                _mm512_fmadd_ps(query, row, *sum)
            };
        }
    }
}

/// The sums of one pair as [`block`] has them, from loads of half a register.
///
/// For a row that comes from memory: on Zen 4, loads of whole cache lines run further ahead of
/// the hardware prefetcher and miss more, and get a tenth to a fifth less out of memory.
///
/// # Safety
///
/// The slices must have the same length.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
unsafe fn stream<const METRIC: bool>(query: &[f32], row: &[f32]) -> __m512 {
    let dim = query.len();
    debug_assert_eq!(row.len(), dim);
    let (query, row) = (query.as_ptr(), row.as_ptr());
    let mut even = [_mm256_setzero_ps(); 2];
    let mut odd = even;
    let mut k = 0;
    // SAFETY: as in `block`.
    unsafe {
        while k + 2 * LANES <= dim {
            step_halves::<METRIC>(&mut even, query.add(k), row.add(k), ALL);
            step_halves::<METRIC>(&mut odd, query.add(k + LANES), row.add(k + LANES), ALL);
            k += 2 * LANES;
        }
        if k + LANES <= dim {
            step_halves::<METRIC>(&mut even, query.add(k), row.add(k), ALL);
            k += LANES;
        }
        if k < dim {
            step_halves::<METRIC>(&mut odd, query.add(k), row.add(k), first_lanes(dim - k));
        }
    }
    let [low, high] = [0, 1].map(|half| _mm256_add_ps(even[half], odd[half]));
    _mm512_insertf32x8::<1>(_mm512_castps256_ps512(low), high)
}

/// Adds the terms of one register's worth of components to the two halves of a sum.
///
/// # Safety
///
/// The lanes in `mask` must be readable at `query` and `row`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
unsafe fn step_halves<const METRIC: bool>(
    sums: &mut [__m256; 2],
    query: *const f32,
    row: *const f32,
    mask: __mmask16,
) {
    for (half, (sum, mask)) in sums.iter_mut().zip(mask.to_le_bytes()).enumerate() {
        // Of a short tail, the upper half may start beyond the end of the vector.
        let (query, row) = (query.wrapping_add(half * HALF), row.wrapping_add(half * HALF));
        // SAFETY: the caller vouches for the lanes in the mask; others are not read.
        let (query, row) =
            unsafe { (_mm256_maskz_loadu_ps(mask, query), _mm256_maskz_loadu_ps(mask, row)) };
        *sum = if METRIC == L2 {
            let difference = _mm256_sub_ps(query, row);
            _mm256_fmadd_ps(difference, difference, *sum)
        } else {
            _mm256_fmadd_ps(query, row, *sum)
        };
    }
}

/// The mask of the first `count` lanes, fewer than all.
#[inline]
fn first_lanes(count: usize) -> __mmask16 {
    debug_assert!(count < LANES);
    !(ALL << count)
}

/// Adds up the lanes of each of four registers: lane `i` of the result is the sum of `sums[i]`.
///
/// For four registers this takes 13 instructions, little more than for one.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn reduce([a, b, c, d]: [__m512; 4]) -> __m128 {
    let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let low = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
    let high = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
    let quarters = _mm512_add_ps(low, high);
    let halves =
        _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps::<1>(quarters));
    _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves))
}

/// Adds up the lanes of one register, in the order of [`reduce`].
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn reduce_one(sum: __m512) -> f32 {
    _mm_cvtss_f32(reduce([sum; 4]))
}
