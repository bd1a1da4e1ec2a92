//! The code kernels for AVX-512 with VNNI.

use std::arch::x86_64::{
    __m512i, _mm_add_epi32, _mm_loadu_si128, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm512_add_epi8, _mm512_add_epi32,
    _mm512_and_si512, _mm512_broadcast_i32x4, _mm512_broadcast_i64x4, _mm512_castsi512_si256,
    _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mul_ps, _mm512_permute_ps, _mm512_set1_epi8, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_setzero_si512, _mm512_shuffle_f32x4, _mm512_srli_epi16,
    _mm512_srlv_epi32, _mm512_storeu_ps, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::avx2::to_array;
use super::{CodeTable, Estimate, LINE, TOGETHER, UNIT, by_fours, keep, scoring, store};

pub(crate) static TABLE: CodeTable =
    CodeTable { dots: DOTS, within: WITHIN, hadamard, round, nearest };

/// # Safety
///
/// Each row must hold a code for each byte of the query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
unsafe fn packed<const BITS: usize>(query: &[i8], rows: [*const u8; TOGETHER]) -> [i32; TOGETHER] {
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
    reduce(std::array::from_fn(|i| _mm512_add_epi32(lower[i], upper[i])))
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
