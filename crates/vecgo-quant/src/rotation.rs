use vecgo_kernels::Kernels;

/// Rounds of sign changes and transforms. One mixes each coordinate with all others of its part;
/// where two parts overlap the width, two more carry each coordinate everywhere.
const ROUNDS: usize = 3;

/// A random rotation of vectors padded with zeros, in time n log n: rounds of random sign changes,
/// each followed by a Walsh-Hadamard transform of the first or the last power of two of the
/// coordinates (Ailon and Chazelle 2009, without padding to a power of two).
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    width: usize,
    /// +1 or -1: `ROUNDS` rows of `width`.
    signs: Vec<f32>,
}

impl Rotation {
    /// The rotation of vectors of `width` coordinates, one or more, that belongs to `seed`.
    #[must_use]
    pub fn new(width: usize, seed: u64) -> Rotation {
        let mut state = seed;
        let mut bits = 0;
        let signs = (0..width * ROUNDS).map(|place| {
            if place % 64 == 0 {
                bits = split_mix(&mut state);
            }
            let bit = bits >> (place % 64) & 1;
            if bit == 0 { 1.0 } else { -1.0 }
        });
        Rotation { width, signs: signs.collect() }
    }

    /// Coordinates of a vector.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rotates `values`, [`Rotation::width`] of them, in place.
    pub fn apply(&self, kernels: Kernels, values: &mut [f32]) {
        let width = self.width;
        let part = 1 << width.ilog2();
        for (round, signs) in self.signs.chunks_exact(width).enumerate() {
            for (value, sign) in values.iter_mut().zip(signs) {
                *value *= sign;
            }
            let start = if round % 2 == 0 { 0 } else { width - part };
            kernels.hadamard(&mut values[start..start + part]);
        }
    }
}

/// The next number of the SplitMix64 generator (Steele, Lea and Flood 2014).
#[must_use]
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
