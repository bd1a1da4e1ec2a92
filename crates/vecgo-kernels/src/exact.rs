//! Sums in `f64`, added up in the same order at every level: an answer that is rounded once does
//! not depend on the CPU.

use crate::{Kernels, Level};

const LANES: usize = 8;

/// The dot product of two vectors, and the squared length of the second.
#[inline(always)]
fn sums(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> [f64; 2]) -> [f64; 2] {
    let mut lanes = [[0.0; LANES]; 2];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            let [first, second] = term(f64::from(a[lane]), f64::from(b[lane]));
            lanes[0][lane] += first;
            lanes[1][lane] += second;
        }
    }
    let mut rest = [0.0; 2];
    for (a, b) in a_rest.iter().zip(b_rest) {
        let [first, second] = term(f64::from(*a), f64::from(*b));
        rest[0] += first;
        rest[1] += second;
    }
    [0, 1].map(|sum| lanes[sum].iter().sum::<f64>() + rest[sum])
}

#[inline(always)]
fn dot_and_length(a: &[f32], b: &[f32]) -> [f64; 2] {
    sums(a, b, |a, b| [a * b, b * b])
}

#[inline(always)]
fn l2_alone(a: &[f32], b: &[f32]) -> [f64; 2] {
    sums(a, b, |a, b| [(a - b) * (a - b), 0.0])
}

/// The dot product of two vectors.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    sums(a, b, |a, b| [a * b, 0.0])[0]
}

#[cfg(target_arch = "x86_64")]
mod levels {
    #[target_feature(enable = "avx2")]
    pub(super) fn dot_and_length_avx2(a: &[f32], b: &[f32]) -> [f64; 2] {
        super::dot_and_length(a, b)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn l2_avx2(a: &[f32], b: &[f32]) -> [f64; 2] {
        super::l2_alone(a, b)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    pub(super) fn dot_and_length_avx512(a: &[f32], b: &[f32]) -> [f64; 2] {
        super::dot_and_length(a, b)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    pub(super) fn l2_avx512(a: &[f32], b: &[f32]) -> [f64; 2] {
        super::l2_alone(a, b)
    }
}

impl Kernels {
    /// The dot product of two vectors and the squared length of the second, in `f64`. What the
    /// longer one has beyond the other is left out.
    #[must_use]
    pub fn exact_dot_and_length(&self, a: &[f32], b: &[f32]) -> (f64, f64) {
        let [dot, length] = match self.level() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is available.
            Level::Avx2 => unsafe { levels::dot_and_length_avx2(a, b) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is available.
            Level::Avx512 => unsafe { levels::dot_and_length_avx512(a, b) },
            _ => dot_and_length(a, b),
        };
        (dot, length)
    }

    /// The dot product of two vectors, in `f64`.
    #[must_use]
    pub fn exact_dot(&self, a: &[f32], b: &[f32]) -> f64 {
        self.exact_dot_and_length(a, b).0
    }

    /// The squared Euclidean distance of two vectors, in `f64`.
    #[must_use]
    pub fn exact_l2(&self, a: &[f32], b: &[f32]) -> f64 {
        let [distance, _] = match self.level() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is available.
            Level::Avx2 => unsafe { levels::l2_avx2(a, b) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is available.
            Level::Avx512 => unsafe { levels::l2_avx512(a, b) },
            _ => l2_alone(a, b),
        };
        distance
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
