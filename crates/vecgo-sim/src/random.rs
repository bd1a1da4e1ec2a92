//! Where every choice of a simulation comes from.

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): one word of the state to another
/// that looks random.
pub(crate) fn mix(word: u64) -> u64 {
    let mut x = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Numbers from a seed, or from bytes that a fuzzer chose; zeros once those are used up.
#[derive(Debug, Clone)]
pub struct Random(Source);

#[derive(Debug, Clone)]
enum Source {
    Seed(u64),
    Bytes { bytes: Vec<u8>, at: usize },
}

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(Source::Seed(mix(seed)))
    }

    /// Choices that a fuzzer makes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Source::Bytes { bytes: bytes.to_vec(), at: 0 })
    }

    /// Another stream, so that more draws of one do not shift the other.
    pub fn fork(&mut self, label: u64) -> Self {
        Self::new(mix(self.next() ^ mix(label)))
    }

    /// 64 random bits, or the eight of a fuzzer's next byte.
    #[expect(clippy::should_implement_trait, reason = "an iterator's adapters have no use here")]
    pub fn next(&mut self) -> u64 {
        match &mut self.0 {
            Source::Seed(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                mix(*state)
            }
            // A byte a choice: what a fuzzer changes should change one decision.
            Source::Bytes { bytes, at } => {
                let byte = bytes.get(*at).copied().unwrap_or(0);
                *at += 1;
                byte.into()
            }
        }
    }

    /// A number below `bound`, 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = self.next() % (bound as u64).max(1);
        usize::try_from(drawn).unwrap_or(0)
    }

    /// True in one of `n` cases.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of several things.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
