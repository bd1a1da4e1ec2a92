//! The code kernels for AVX-512 with VNNI.

use std::arch::x86_64::{
    __m512, __m512i, _mm_add_epi32, _mm_loadu_si128, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_cmplt_epu64_mask, _mm256_cvtepu32_epi64, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_maskz_compress_epi64, _mm256_or_si256, _mm256_set1_epi64x, _mm256_slli_epi64,
    _mm256_storeu_si256, _mm512_add_epi8, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512,
    _mm512_broadcast_i32x4, _mm512_broadcast_i64x4, _mm512_castps_si512, _mm512_castsi128_si512,
    _mm512_castsi512_si256, _mm512_cmple_epu32_mask, _mm512_cmplt_epu64_mask, _mm512_cvtepi32_ps,
    _mm512_cvtepu32_epi64, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_fmadd_ps,
    _mm512_inserti32x4, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_compress_epi64,
    _mm512_mul_ps, _mm512_or_si512, _mm512_permute_ps, _mm512_permutex2var_ps, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set1_ps, _mm512_setr_epi32, _mm512_setr_epi64,
    _mm512_setzero_si512, _mm512_shuffle_f32x4, _mm512_slli_epi64, _mm512_srai_epi32,
    _mm512_srli_epi16, _mm512_srlv_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_ps,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use std::ops::Range;

use super::avx2::{Sums, ordered, to_array};
use super::distance::SIGN;
use super::{CodeTable, Estimate, LINE, TOGETHER, UNIT, by_fours, keep, scoring, store};

pub(crate) static TABLE: CodeTable =
    CodeTable { dots: DOTS, within: WITHIN, scan: SCAN, hadamard, round, nearest };

/// # Safety
///
/// Each row must hold a code for each byte of the query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn packed<const BITS: usize>(query: &[i8], rows: [*const u8; TOGETHER]) -> Sums {
    let mut lower = [_mm512_setzero_si512(); TOGETHER];
    let mut upper = lower;
    for (unit, query) in query.chunks_exact(UNIT).enumerate() {
        // SAFETY: a chunk of the query has two lines, and the caller vouches for a unit of
        // each row.
        unsafe {
            let low = _mm512_loadu_si512(query.as_ptr().cast());
            let high = _mm512_loadu_si512(query.as_ptr().add(LINE).cast());
            for (i, row) in rows.into_iter().enumerate() {
                let [first, second] = unpack::<BITS>(row.add(unit * BITS * (UNIT / 8)));
                lower[i] = _mm512_dpbusd_epi32(lower[i], first, low);
                upper[i] = _mm512_dpbusd_epi32(upper[i], second, high);
            }
        }
    }
    for (lower, upper) in lower.iter_mut().zip(upper) {
        *lower = _mm512_add_epi32(*lower, upper);
    }
    reduce(lower)
}

/// The codes of a unit, a byte each, in the order of their places; see [`Bits`](super::Bits).
///
/// # Safety
///
/// The unit must be readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn unpack<const BITS: usize>(unit: *const u8) -> [__m512i; 2] {
    // SAFETY: passed on from the caller: a unit is 16 bytes for each bit.
    let fields = unsafe {
        match BITS {
            1 => {
                let four = _mm512_broadcast_i32x4(_mm_loadu_si128(unit.cast()));
                let by = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
                _mm512_srlv_epi32(four, by)
            }
            2 => {
                let both = _mm512_broadcast_i64x4(_mm256_loadu_si256(unit.cast()));
                let by = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2);
                _mm512_srlv_epi32(both, by)
            }
            3 => {
                let (upper, last) = (unpack::<2>(unit), unpack::<1>(unit.add(LINE / 2)));
                return std::array::from_fn(|half| {
                    let upper = _mm512_add_epi8(upper[half], upper[half]);
                    _mm512_add_epi8(upper, last[half])
                });
            }
            _ => _mm512_loadu_si512(unit.cast()),
        }
    };
    let least = _mm512_set1_epi8((1 << BITS) - 1);
    let second = _mm512_srli_epi16::<4>(fields);
    [_mm512_and_si512(fields, least), _mm512_and_si512(second, least)]
}

/// # Safety
///
/// Each row must be as long as the query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn bytes(query: &[i8], rows: [*const u8; TOGETHER]) -> Sums {
    let mut sums = [_mm512_setzero_si512(); TOGETHER];
    for (line, query) in query.chunks_exact(LINE).enumerate() {
        // SAFETY: a chunk of the query is a line, and the caller vouches for one of each row.
        unsafe {
            let query = _mm512_loadu_si512(query.as_ptr().cast());
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm512_loadu_si512(row.add(line * LINE).cast());
                *sum = _mm512_dpbusd_epi32(*sum, codes, query);
            }
        }
    }
    reduce(sums)
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn round(values: &[f32], scale: f32, out: &mut [i8]) -> i32 {
    super::round(values, scale, out)
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn nearest(point: &[f32], columns: &[f32]) -> (u8, f32) {
    super::nearest(point, columns)
}

/// Blocks of a register are transformed within it: each lane adds or takes away its partner.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn hadamard(values: &mut [f32]) {
    const LANES: usize = 16;
    let scale = super::hadamard_scale(values.len());
    if values.len() < LANES {
        super::hadamard(values, 1);
        values.iter_mut().for_each(|value| *value *= scale);
        return;
    }
    super::hadamard(values, LANES);
    let sign = |half: usize| -> [f32; LANES] {
        std::array::from_fn(|lane| if lane & half == 0 { 1.0 } else { -1.0 })
    };
    let signs = [8, 4, 2, 1].map(sign);
    for block in values.chunks_exact_mut(LANES) {
        // SAFETY: the block is a register's worth, as are the signs.
        unsafe {
            let [by_8, by_4, by_2, by_1] = signs.each_ref().map(|s| _mm512_loadu_ps(s.as_ptr()));
            let mut x = _mm512_loadu_ps(block.as_ptr());
            x = _mm512_fmadd_ps(x, by_8, _mm512_shuffle_f32x4::<0b01_00_11_10>(x, x));
            x = _mm512_fmadd_ps(x, by_4, _mm512_shuffle_f32x4::<0b10_11_00_01>(x, x));
            x = _mm512_fmadd_ps(x, by_2, _mm512_permute_ps::<0b01_00_11_10>(x));
            x = _mm512_fmadd_ps(x, by_1, _mm512_permute_ps::<0b10_11_00_01>(x));
            _mm512_storeu_ps(block.as_mut_ptr(), _mm512_mul_ps(x, _mm512_set1_ps(scale)));
        }
    }
}

/// Adds up the lanes of each of four registers.
#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn reduce([a, b, c, d]: [__m512i; TOGETHER]) -> Sums {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let quarters = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let halves = _mm256_add_epi32(
        _mm512_castsi512_si256(quarters),
        _mm512_extracti64x4_epi64::<1>(quarters),
    );
    _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
}

/// Rows of a block.
const BLOCK: u32 = 16;

/// # Safety
///
/// As many rows must follow one another at `codes`, each with a code for each byte of the query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn block<const BITS: usize>(query: &[i8], codes: *const u8, stride: usize) -> __m512i {
    // SAFETY: passed on from the caller.
    unsafe {
        let row = |number| codes.add(number * stride);
        let four = |n| score::<BITS>(query, [row(n), row(n + 1), row(n + 2), row(n + 3)]);
        let sums = _mm512_castsi128_si512(four(0));
        let sums = _mm512_inserti32x4::<1>(sums, four(4));
        let sums = _mm512_inserti32x4::<2>(sums, four(8));
        _mm512_inserti32x4::<3>(sums, four(12))
    }
}

/// Of each number of bits one: what is called from one place is inlined.
///
/// # Safety
///
/// The rows must have factors, and `out` must have a place for each beyond the first `kept`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn keep_block<const BITS: usize>(
    estimate: &Estimate<'_>,
    first: u32,
    dots: __m512i,
    out: &mut [u64],
    mut kept: usize,
) -> usize {
    let mut pairs = [0_i64; BLOCK as usize];
    // SAFETY: the caller vouches for the rows' factors; two floats are as long as an integer.
    unsafe {
        let mut at = estimate.factors.address(first as usize);
        for pair in &mut pairs {
            *pair = at.cast::<i64>().read_unaligned();
            at = at.wrapping_add(estimate.factors.step);
        }
    }
    // SAFETY: both are sixteen times eight bytes, and any bits are floats.
    let [a, b]: [__m512; 2] = unsafe { std::mem::transmute(pairs) };
    let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
    let squared = _mm512_permutex2var_ps(a, even, b);
    let factor = _mm512_permutex2var_ps(a, odd, b);
    let dots = _mm512_sub_ps(_mm512_cvtepi32_ps(dots), _mm512_set1_ps(estimate.middle));
    let scaled = _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(estimate.scale), factor), dots);
    let bits = _mm512_castps_si512(_mm512_sub_ps(squared, scaled));
    // Numbers without a sign that order as the distances do.
    let sign = _mm512_set1_epi32(SIGN.cast_signed());
    let ordered = _mm512_xor_si512(bits, _mm512_or_si512(_mm512_srai_epi32::<31>(bits), sign));
    let bound = _mm512_set1_epi32(((estimate.bound >> 32) as u32).cast_signed());
    if _mm512_cmple_epu32_mask(ordered, bound) == 0 {
        return kept;
    }
    let numbers = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    let rows = _mm512_add_epi64(_mm512_set1_epi64(i64::from(first)), numbers);
    let bound = _mm512_set1_epi64(estimate.bound.cast_signed());
    let halves = [
        (_mm512_castsi512_si256(ordered), rows),
        (_mm512_extracti64x4_epi64::<1>(ordered), _mm512_add_epi64(rows, _mm512_set1_epi64(8))),
    ];
    for (ordered, rows) in halves {
        let distances = _mm512_slli_epi64::<32>(_mm512_cvtepu32_epi64(ordered));
        let packed = _mm512_or_si512(distances, rows);
        let near = _mm512_cmplt_epu64_mask(packed, bound);
        // SAFETY: the caller vouches for sixteen places, of which the first half takes eight at most.
        unsafe {
            let place = out.as_mut_ptr().add(kept).cast();
            _mm512_storeu_si512(place, _mm512_maskz_compress_epi64(near, packed));
        }
        kept += near.count_ones() as usize;
    }
    kept
}

/// Goes through rows by blocks, as many as there are whole ones, and says what is left, and how many are
/// kept.
///
/// # Safety
///
/// As [`CodeTable`] has it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn blocks<const BITS: usize>(
    query: &[i8],
    codes: *const u8,
    stride: usize,
    estimate: &Estimate<'_>,
    mut rows: Range<u32>,
    out: &mut [u64],
) -> (Range<u32>, usize) {
    let mut kept = 0;
    while rows.end - rows.start >= BLOCK {
        // SAFETY: the caller vouches for the rows, which have factors, and for the places.
        unsafe {
            let sums = block::<BITS>(query, codes.add(rows.start as usize * stride), stride);
            kept = keep_block::<BITS>(estimate, rows.start, sums, out, kept);
        }
        rows.start += BLOCK;
    }
    (rows, kept)
}

/// # Safety
///
/// The rows must have factors, and `out` must have a place for each beyond the first `kept`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn keep_four(
    estimate: &Estimate<'_>,
    rows: &[u32],
    sums: Sums,
    out: &mut [u64],
    kept: usize,
) -> usize {
    let &[a, b, c, d] = rows else {
        // SAFETY: passed on from the caller.
        return unsafe { keep(estimate, rows, to_array(sums), out, kept) };
    };
    let of = estimate.factors;
    // SAFETY: the caller vouches for the rows' factors.
    let ordered = unsafe { ordered(estimate, sums, [of.get(a), of.get(b), of.get(c), of.get(d)]) };
    // SAFETY: there are four rows.
    let rows = unsafe { _mm_loadu_si128(rows.as_ptr().cast()) };
    let packed = _mm256_or_si256(
        _mm256_slli_epi64::<32>(_mm256_cvtepu32_epi64(ordered)),
        _mm256_cvtepu32_epi64(rows),
    );
    let near = _mm256_cmplt_epu64_mask(packed, _mm256_set1_epi64x(estimate.bound.cast_signed()));
    // SAFETY: the caller vouches for four places.
    unsafe {
        let place = out.as_mut_ptr().add(kept).cast();
        _mm256_storeu_si256(place, _mm256_maskz_compress_epi64(near, packed));
    }
    kept + near.count_ones() as usize
}

scoring!(blocks, #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]);
