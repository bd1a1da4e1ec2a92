//! The code kernels for AVX-512 with VNNI.

use std::arch::x86_64::{
    __m512i, _mm_add_epi32, _mm256_add_epi32, _mm256_castsi256_si128, _mm256_extracti128_si256,
    _mm512_add_epi32, _mm512_and_si512, _mm512_castsi512_si256, _mm512_dpbusd_epi32,
    _mm512_extracti64x4_epi64, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_permute_ps, _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_si512,
    _mm512_shuffle_f32x4, _mm512_srli_epi16, _mm512_storeu_ps, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::avx2::to_array;
use super::{CodeTable, Estimate, LINE, NIBBLES, TOGETHER, by_fours, keep, scoring, store};

pub(crate) static TABLE: CodeTable =
    CodeTable { nibble_dots, nibbles_within, bytes_within, hadamard, round };

/// # Safety
///
/// Each row must be half as long as the query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn nibbles(query: &[i8], rows: [*const u8; TOGETHER]) -> [i32; TOGETHER] {
    let low_nibbles = _mm512_set1_epi8(15);
    let mut lower = [_mm512_setzero_si512(); TOGETHER];
    let mut upper = lower;
    for (line, query) in query.chunks_exact(NIBBLES).enumerate() {
        // SAFETY: a chunk of the query has two lines, and the caller vouches for a line of
        // each row.
        unsafe {
            let low = _mm512_loadu_si512(query.as_ptr().cast());
            let high = _mm512_loadu_si512(query.as_ptr().add(LINE).cast());
            for (i, row) in rows.into_iter().enumerate() {
                let codes = _mm512_loadu_si512(row.add(line * LINE).cast());
                let shifted = _mm512_srli_epi16::<4>(codes);
                let (first, second) =
                    (_mm512_and_si512(codes, low_nibbles), _mm512_and_si512(shifted, low_nibbles));
                lower[i] = _mm512_dpbusd_epi32(lower[i], first, low);
                upper[i] = _mm512_dpbusd_epi32(upper[i], second, high);
            }
        }
    }
    reduce(std::array::from_fn(|i| _mm512_add_epi32(lower[i], upper[i])))
}

/// # Safety
///
/// Each row must be as long as the query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn bytes(query: &[i8], rows: [*const u8; TOGETHER]) -> [i32; TOGETHER] {
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
fn reduce([a, b, c, d]: [__m512i; TOGETHER]) -> [i32; TOGETHER] {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let quarters = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let halves = _mm256_add_epi32(
        _mm512_castsi512_si256(quarters),
        _mm512_extracti64x4_epi64::<1>(quarters),
    );
    to_array(_mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves)))
}

scoring!(#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]);
