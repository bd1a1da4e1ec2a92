use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Random numbers for names that must never be used twice. Not for secrets.
pub trait Rand: Debug + Send + Sync + 'static {
    /// 64 random bits.
    fn next_u64(&self) -> u64;

    /// 128 random bits.
    fn next_u128(&self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }
}

/// Numbers from a 128-bit seed that the operating system gave.
#[derive(Debug)]
pub struct SystemRand {
    seed: [u64; 2],
    drawn: AtomicU64,
}

impl SystemRand {
    /// Draws the seed.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn new() -> io::Result<Self> {
        let word = || getrandom::u64().map_err(io::Error::other);
        Ok(Self { seed: [word()?, word()?], drawn: AtomicU64::new(0) })
    }
}

impl Rand for SystemRand {
    fn next_u64(&self) -> u64 {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        mix(self.seed[0] ^ mix(self.seed[1].wrapping_add(drawn)))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
