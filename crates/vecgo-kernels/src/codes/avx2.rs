//! The code kernels for AVX2.

use std::arch::x86_64::{
    __m128, __m128i, __m256i, _mm_add_epi32, _mm_castps_si128, _mm_castsi128_ps, _mm_cmpeq_epi32,
    _mm_cvtepi32_ps, _mm_loadu_si128, _mm_min_epu32, _mm_movemask_ps, _mm_mul_ps, _mm_or_si128,
    _mm_set1_epi32, _mm_set1_ps, _mm_shuffle_ps, _mm_srai_epi32, _mm_sub_ps, _mm_xor_si128,
    _mm256_add_epi8, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cvtepi8_epi16,
    _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_hadd_epi32,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps,
    _mm256_permute_ps, _mm256_permute2f128_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_ps,
    _mm256_setr_epi32, _mm256_setzero_si256, _mm256_srli_epi16, _mm256_srlv_epi32,
    _mm256_storeu_ps,
};

use std::ops::Range;

use super::distance::SIGN;
use super::{
    CodeTable, Estimate, TOGETHER, UNIT, by_fours, keep, no_blocks, pack_ordered, scoring, store,
};

pub(crate) static TABLE: CodeTable =
    CodeTable { dots: DOTS, within: WITHIN, scan: SCAN, hadamard, round, nearest };

/// Of four rows.
pub(super) type Sums = __m128i;

/// Bytes in a register.
const BYTES: usize = 32;

/// # Safety
///
/// Each row must hold a code for each byte of the query.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn packed<const BITS: usize>(query: &[i8], rows: [*const u8; TOGETHER]) -> Sums {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); TOGETHER];
    for (unit, query) in query.chunks_exact(UNIT).enumerate() {
        // SAFETY: a chunk of the query has four registers' worth, and the caller vouches for
        // a unit of each row.
        unsafe {
            let query: [__m256i; 4] =
                std::array::from_fn(|part| load(query.as_ptr().add(part * BYTES)));
            for (sum, row) in sums.iter_mut().zip(rows) {
                // A pair of products is at most 15 * 128 * 2 in size, and four of them fit 16
                // bits.
                let codes = unpack::<BITS>(row.add(unit * BITS * (UNIT / 8)));
                let mut unit_sum = _mm256_maddubs_epi16(codes[0], query[0]);
                for (codes, query) in codes.into_iter().zip(query).skip(1) {
                    unit_sum = _mm256_add_epi16(unit_sum, _mm256_maddubs_epi16(codes, query));
                }
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(unit_sum, ones));
            }
        }
    }
    reduce(sums)
}

/// The codes of a unit, a byte each, in the order of their places; see [`Bits`](super::Bits).
///
/// # Safety
///
/// The unit must be readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn unpack<const BITS: usize>(unit: *const u8) -> [__m256i; 4] {
    let least = _mm256_set1_epi8((1 << BITS) - 1);
    // SAFETY: passed on from the caller: a unit is 16 bytes for each bit.
    unsafe {
        match BITS {
            1 => {
                let both = _mm256_broadcastsi128_si256(_mm_loadu_si128(unit.cast()));
                let both = _mm256_srlv_epi32(both, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
                fields_of_two_bits(both).map(|field| _mm256_and_si256(field, least))
            }
            2 => {
                let fields = fields_of_two_bits(load(unit));
                fields.map(|field| _mm256_and_si256(field, least))
            }
            3 => {
                let (upper, last) = (unpack::<2>(unit), unpack::<1>(unit.add(BYTES)));
                std::array::from_fn(|part| {
                    let upper = _mm256_add_epi8(upper[part], upper[part]);
                    _mm256_add_epi8(upper, last[part])
                })
            }
            _ => {
                let halves = [load(unit), load(unit.add(BYTES))];
                let [a, b] = halves.map(|half| _mm256_and_si256(half, least));
                let [c, d] = halves.map(|half| {
                    let shifted = _mm256_srli_epi16::<4>(half);
                    _mm256_and_si256(shifted, least)
                });
                [a, b, c, d]
            }
        }
    }
}

/// Brings each two bits of all bytes to their lower end; what is above them is of others.
#[inline]
#[target_feature(enable = "avx2")]
fn fields_of_two_bits(bytes: __m256i) -> [__m256i; 4] {
    [
        bytes,
        _mm256_srli_epi16::<2>(bytes),
        _mm256_srli_epi16::<4>(bytes),
        _mm256_srli_epi16::<6>(bytes),
    ]
}

/// # Safety
///
/// Each row must be as long as the query.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn bytes(query: &[i8], rows: [*const u8; TOGETHER]) -> Sums {
    let mut sums = [_mm256_setzero_si256(); TOGETHER];
    for (part, query) in query.chunks_exact(BYTES / 2).enumerate() {
        // SAFETY: a chunk of the query is half a register, and the caller vouches for as much
        // of each row. Codes take 9 bits with a sign, so they are multiplied as 16-bit
        // integers.
        unsafe {
            let query = _mm256_cvtepi8_epi16(_mm_loadu_si128(query.as_ptr().cast()));
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm_loadu_si128(row.add(part * BYTES / 2).cast());
                let products = _mm256_madd_epi16(_mm256_cvtepu8_epi16(codes), query);
                *sum = _mm256_add_epi32(*sum, products);
            }
        }
    }
    reduce(sums)
}

#[target_feature(enable = "avx2,fma")]
fn round(values: &[f32], scale: f32, out: &mut [i8]) -> i32 {
    super::round(values, scale, out)
}

#[target_feature(enable = "avx2,fma")]
fn nearest(point: &[f32], columns: &[f32]) -> (u8, f32) {
    super::nearest(point, columns)
}

/// Blocks of a register are transformed within it: each lane adds or takes away its partner.
#[target_feature(enable = "avx2,fma")]
fn hadamard(values: &mut [f32]) {
    const LANES: usize = 8;
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
    let signs = [4, 2, 1].map(sign);
    for block in values.chunks_exact_mut(LANES) {
        // SAFETY: the block is a register's worth, as are the signs.
        unsafe {
            let [by_4, by_2, by_1] = signs.each_ref().map(|s| _mm256_loadu_ps(s.as_ptr()));
            let mut x = _mm256_loadu_ps(block.as_ptr());
            x = _mm256_fmadd_ps(x, by_4, _mm256_permute2f128_ps::<1>(x, x));
            x = _mm256_fmadd_ps(x, by_2, _mm256_permute_ps::<0b01_00_11_10>(x));
            x = _mm256_fmadd_ps(x, by_1, _mm256_permute_ps::<0b10_11_00_01>(x));
            _mm256_storeu_ps(block.as_mut_ptr(), _mm256_mul_ps(x, _mm256_set1_ps(scale)));
        }
    }
}

/// # Safety
///
/// A register's worth of bytes must be readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load<T>(from: *const T) -> __m256i {
    // SAFETY: passed on from the caller.
    unsafe { _mm256_loadu_si256(from.cast()) }
}

/// Adds up the lanes of each of four registers.
#[inline]
#[target_feature(enable = "avx2")]
fn reduce([a, b, c, d]: [__m256i; TOGETHER]) -> Sums {
    let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn to_array(lanes: Sums) -> [i32; TOGETHER] {
    // SAFETY: both are four 32-bit integers, and any bits are a value of either.
    unsafe { std::mem::transmute(lanes) }
}

/// The distances of four rows by their sums and factors, as numbers that order as they do.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn ordered(
    estimate: &Estimate<'_>,
    sums: Sums,
    factors: [[f32; 2]; TOGETHER],
) -> __m128i {
    // SAFETY: both are two times four floats.
    let [a, b]: [__m128; 2] = unsafe { std::mem::transmute(factors) };
    let squared = _mm_shuffle_ps::<0b10_00_10_00>(a, b);
    let factor = _mm_shuffle_ps::<0b11_01_11_01>(a, b);
    let dots = _mm_sub_ps(_mm_cvtepi32_ps(sums), _mm_set1_ps(estimate.middle));
    let scaled = _mm_mul_ps(_mm_mul_ps(_mm_set1_ps(estimate.scale), factor), dots);
    let bits = _mm_castps_si128(_mm_sub_ps(squared, scaled));
    let sign = _mm_set1_epi32(SIGN.cast_signed());
    _mm_xor_si128(bits, _mm_or_si128(_mm_srai_epi32::<31>(bits), sign))
}

/// # Safety
///
/// The rows must have factors, and `out` must have a place for each beyond the first `kept`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn keep_four(
    estimate: &Estimate<'_>,
    rows: &[u32],
    sums: Sums,
    out: &mut [u64],
    mut kept: usize,
) -> usize {
    let &[a, b, c, d] = rows else {
        // SAFETY: passed on from the caller.
        return unsafe { keep(estimate, rows, to_array(sums), out, kept) };
    };
    let of = estimate.factors;
    // SAFETY: the caller vouches for the rows' factors.
    let ordered = unsafe { ordered(estimate, sums, [of.get(a), of.get(b), of.get(c), of.get(d)]) };
    let bound = _mm_set1_epi32(((estimate.bound >> 32) as u32).cast_signed());
    let near = _mm_cmpeq_epi32(_mm_min_epu32(ordered, bound), ordered);
    let mut near = _mm_movemask_ps(_mm_castsi128_ps(near)).cast_unsigned();
    let ordered = to_array(ordered).map(i32::cast_unsigned);
    while near != 0 {
        let place = near.trailing_zeros() as usize;
        near &= near - 1;
        let packed = pack_ordered(ordered[place], rows[place]);
        // SAFETY: the caller vouches for the place.
        unsafe { *out.get_unchecked_mut(kept) = packed };
        kept += usize::from(packed < estimate.bound);
    }
    kept
}

scoring!(no_blocks, #[target_feature(enable = "avx2,fma")]);
