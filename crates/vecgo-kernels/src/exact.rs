//! Sums in `f64`, added up in the same order at every level: an answer that is rounded once does
//! not depend on the CPU.

use crate::{Kernels, Level};

const LANES: usize = 8;

/// Running sums of two terms, each over eight lanes.
type Sums = [[f64; LANES]; 2];

/// The terms of a pair of values are `a * b` and `b * b`.
const DOT: bool = false;
/// The first term of a pair of values is `(a - b)` squared, the second nothing.
const L2: bool = true;

#[inline(always)]
fn terms<const METRIC: bool>(a: f32, b: f32) -> [f64; 2] {
    let (a, b) = (f64::from(a), f64::from(b));
    if METRIC == L2 { [(a - b) * (a - b), 0.0] } else { [a * b, b * b] }
}

/// Adds up lanes of whole chunks of eight, then what is left over.
#[inline(always)]
fn finish<const METRIC: bool>(sums: Sums, a_rest: &[f32], b_rest: &[f32]) -> [f64; 2] {
    let mut rest = [0.0; 2];
    for (a, b) in a_rest.iter().zip(b_rest) {
        let [first, second] = terms::<METRIC>(*a, *b);
        rest[0] += first;
        rest[1] += second;
    }
    [0, 1].map(|sum| sums[sum].iter().sum::<f64>() + rest[sum])
}

fn portable<const METRIC: bool>(a: &[f32], b: &[f32]) -> [f64; 2] {
    let ((a_chunks, a_rest), (b_chunks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums: Sums = [[0.0; LANES]; 2];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            let [first, second] = terms::<METRIC>(a[lane], b[lane]);
            sums[0][lane] += first;
            sums[1][lane] += second;
        }
    }
    finish::<METRIC>(sums, a_rest, b_rest)
}

/// The same by AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<const METRIC: bool>(a: &[f32], b: &[f32]) -> [f64; 2] {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm256_add_pd, _mm256_cvtps_pd, _mm256_mul_pd, _mm256_setzero_pd,
        _mm256_storeu_pd, _mm256_sub_pd,
    };
    const HALF: usize = LANES / 2;
    let ((a_chunks, a_rest), (b_chunks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let (mut firsts, mut seconds) = ([_mm256_setzero_pd(); 2], [_mm256_setzero_pd(); 2]);
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for (half, (first, second)) in firsts.iter_mut().zip(&mut seconds).enumerate() {
            let at = half * HALF;
            // SAFETY: each half of a chunk is four floats.
            let [a, b] = unsafe {
                [a, b].map(|chunk| _mm256_cvtps_pd(_mm_loadu_ps(chunk.as_ptr().add(at))))
            };
            if METRIC == L2 {
                let off = _mm256_sub_pd(a, b);
                *first = _mm256_add_pd(*first, _mm256_mul_pd(off, off));
            } else {
                *first = _mm256_add_pd(*first, _mm256_mul_pd(a, b));
                *second = _mm256_add_pd(*second, _mm256_mul_pd(b, b));
            }
        }
    }
    let mut sums: Sums = [[0.0; LANES]; 2];
    for (sums, halves) in sums.iter_mut().zip([firsts, seconds]) {
        for (sums, half) in sums.chunks_exact_mut(HALF).zip(halves) {
            // SAFETY: a chunk is four floats.
            unsafe { _mm256_storeu_pd(sums.as_mut_ptr(), half) }
        }
    }
    finish::<METRIC>(sums, a_rest, b_rest)
}

/// The same by AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn avx512<const METRIC: bool>(a: &[f32], b: &[f32]) -> [f64; 2] {
    use std::arch::x86_64::{
        _mm256_loadu_ps, _mm512_add_pd, _mm512_cvtps_pd, _mm512_mul_pd, _mm512_setzero_pd,
        _mm512_storeu_pd, _mm512_sub_pd,
    };
    let ((a_chunks, a_rest), (b_chunks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [_mm512_setzero_pd(); 2];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        // SAFETY: a chunk is eight floats.
        let [a, b] =
            unsafe { [a, b].map(|chunk| _mm512_cvtps_pd(_mm256_loadu_ps(chunk.as_ptr()))) };
        if METRIC == L2 {
            let off = _mm512_sub_pd(a, b);
            lanes[0] = _mm512_add_pd(lanes[0], _mm512_mul_pd(off, off));
        } else {
            lanes[0] = _mm512_add_pd(lanes[0], _mm512_mul_pd(a, b));
            lanes[1] = _mm512_add_pd(lanes[1], _mm512_mul_pd(b, b));
        }
    }
    let mut sums: Sums = [[0.0; LANES]; 2];
    for (sums, lanes) in sums.iter_mut().zip(lanes) {
        // SAFETY: there are eight floats.
        unsafe { _mm512_storeu_pd(sums.as_mut_ptr(), lanes) }
    }
    finish::<METRIC>(sums, a_rest, b_rest)
}

/// The dot product of two vectors.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    portable::<DOT>(a, b)[0]
}

impl Kernels {
    #[inline]
    fn exact<const METRIC: bool>(&self, a: &[f32], b: &[f32]) -> [f64; 2] {
        match self.level() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is available.
            Level::Avx2 => unsafe { avx2::<METRIC>(a, b) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is available.
            Level::Avx512 => unsafe { avx512::<METRIC>(a, b) },
            _ => portable::<METRIC>(a, b),
        }
    }

    /// The dot product of two vectors of equal length and the squared length of the second, in
    /// `f64`.
    #[must_use]
    pub fn exact_dot_and_length(&self, a: &[f32], b: &[f32]) -> (f64, f64) {
        let [dot, length] = self.exact::<DOT>(a, b);
        (dot, length)
    }

    /// The dot product of two vectors of equal length, in `f64`.
    #[must_use]
    pub fn exact_dot(&self, a: &[f32], b: &[f32]) -> f64 {
        self.exact::<DOT>(a, b)[0]
    }

    /// The squared Euclidean distance of two vectors of equal length, in `f64`.
    #[must_use]
    pub fn exact_l2(&self, a: &[f32], b: &[f32]) -> f64 {
        self.exact::<L2>(a, b)[0]
    }
}

/// Does something with the little-endian floats in some bytes: in place where the machine has them
/// so, else in a copy.
pub fn with_floats<T>(bytes: &[u8], act: impl FnOnce(&[f32]) -> T) -> T {
    // SAFETY: any bits are a float.
    let (before, floats, after) = unsafe { bytes.align_to::<f32>() };
    if cfg!(target_endian = "little") && before.is_empty() && after.is_empty() {
        return act(floats);
    }
    let (words, _) = bytes.as_chunks::<4>();
    let floats: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    act(&floats)
}
