use super::UNIT;

/// How many bits a code has, and how codes of so many lie in a row.
///
/// Each 128 codes take `16 * bits` bytes. Of these, byte `b` holds in its bits from `bits * n` on the
/// code at place `16 * bits * n + b`, for each n that it has bits for. Codes of three bits are the upper
/// two of all 128, laid out like that, and behind them the last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// 0 and 1.
    One,
    /// 0 to 3.
    Two,
    /// 0 to 7.
    Three,
    /// 0 to 15.
    Four,
    /// 0 to 255.
    Eight,
}

impl Bits {
    /// All of them, in their order.
    pub const ALL: [Bits; 5] = [Bits::One, Bits::Two, Bits::Three, Bits::Four, Bits::Eight];

    /// Those of so many, if codes can have as many.
    #[must_use]
    pub fn of(count: u8) -> Option<Bits> {
        Bits::ALL.into_iter().find(|bits| bits.count() == count)
    }

    /// How many.
    #[inline]
    #[must_use]
    pub const fn count(self) -> u8 {
        match self {
            Bits::One => 1,
            Bits::Two => 2,
            Bits::Three => 3,
            Bits::Four => 4,
            Bits::Eight => 8,
        }
    }

    /// Bytes of so many codes, a multiple of 128; or of 64, if they are bytes.
    #[inline]
    #[must_use]
    pub const fn bytes_of(self, codes: usize) -> usize {
        match self {
            Bits::Eight => codes,
            _ => codes / UNIT * (UNIT / 8) * self.count() as usize,
        }
    }
}
