//! Changes the corpus at random, but the same way every time: what needs no libFuzzer.

/// Longest input that [`Mutator::next`] makes.
const MAX_BYTES: usize = 64 << 10;

/// Values at which decoders go wrong.
const EDGES: [u64; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 1 << 31, u32::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX];

/// An endless row of inputs, decided by the corpus alone.
#[derive(Debug)]
pub struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutator<'a> {
    /// Starts from a corpus, which must not be empty.
    pub fn new(corpus: &'a [Vec<u8>]) -> Self {
        Self { corpus, state: 0 }
    }

    /// The next input: a file of the corpus, changed in one to eight places.
    #[expect(clippy::should_implement_trait, reason = "an iterator's adapters have no use here")]
    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.file().to_vec();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let length = self.below(17).min(input.len() - at);
        match self.below(8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..at + length)),
            2 => {
                let copy = input[at..at + length].to_vec();
                input.splice(at..at, copy);
            }
            3 => {
                let other = self.file();
                let from = self.below(other.len() + 1);
                let to = from + self.below(other.len() - from + 1);
                input.splice(at.., other[from..to].iter().copied());
            }
            4 => {
                let bytes: Vec<u8> = (0..length.max(1)).map(|_| self.random() as u8).collect();
                input.splice(at..at + length, bytes);
            }
            5 => {
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][self.below(4)].min(input.len() - at);
                input[at..at + width].copy_from_slice(&edge[..width]);
            }
            6 => {
                let near = self.below(9) as u8;
                if let Some(byte) = input.get_mut(at) {
                    *byte = byte.wrapping_add(near).wrapping_sub(4);
                }
            }
            _ => {
                let bit = 1 << self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= bit;
                }
            }
        }
    }

    fn file(&mut self) -> &'a [u8] {
        &self.corpus[self.below(self.corpus.len())]
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random() % limit as u64) as usize
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}
