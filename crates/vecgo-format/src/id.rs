use std::fmt;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::FormatError;
use crate::codec::{Decoder, Encoder};

/// Longest text id, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 512;

/// Longest that is read: a later build may take longer ones, up to what a segment can tell the length of.
pub(crate) const MOST_ID_BYTES_READ: usize = 1023;

/// The name of a record within its collection, returned exactly as it was given.
///
/// `5` and `"5"` are two ids. Numbers order before texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// Any `u64`.
    Number(u64),
    /// 1 to [`MAX_ID_BYTES`] bytes of UTF-8.
    Text(Box<str>),
}

/// Why a text cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// The empty text.
    #[error("an id is empty; expected 1 to {MAX_ID_BYTES} bytes")]
    Empty,
    /// A text beyond [`MAX_ID_BYTES`].
    #[error("an id has {found} bytes; expected 1 to {MAX_ID_BYTES}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
}

impl Id {
    /// Checks the length of a text id.
    ///
    /// # Errors
    /// [`IdError`] for an empty or over-long text.
    pub fn check(&self) -> Result<(), IdError> {
        match self {
            Id::Number(_) => Ok(()),
            Id::Text(text) if text.is_empty() => Err(IdError::Empty),
            Id::Text(text) if text.len() > MAX_ID_BYTES => {
                Err(IdError::TooLong { found: text.len() })
            }
            Id::Text(_) => Ok(()),
        }
    }

    /// The hash under which a lookup keeps this id.
    ///
    /// For a number it is a bijection of `u64`, so equal hashes mean equal numbers and the lookup
    /// needs no second look; for a text it is XXH3 and a match must be checked. Each lookup has a
    /// seed of its own, so that whoever chooses texts cannot choose many of one hash.
    #[doc(hidden)]
    pub fn lookup_hash(&self, seed: u64) -> u64 {
        match self {
            Id::Number(number) => mix(*number),
            Id::Text(text) => xxh3_64_with_seed(text.as_bytes(), seed),
        }
    }

    /// Bytes that the id itself takes.
    #[doc(hidden)]
    pub fn bytes(&self) -> usize {
        match self {
            Id::Number(_) => 8,
            Id::Text(text) => text.len(),
        }
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        match self {
            Id::Number(number) => {
                out.u8(0);
                out.u64(*number);
            }
            Id::Text(text) => {
                out.u8(1);
                out.bytes(text.as_bytes());
            }
        }
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        match bytes.u8()? {
            0 => Ok(Id::Number(bytes.u64()?)),
            1 => {
                let text = bytes.text()?;
                match text.len() {
                    0 => Err(bytes.invalid(IdError::Empty.to_string())),
                    found if found > MOST_ID_BYTES_READ => {
                        Err(bytes.unknown(IdError::TooLong { found }.to_string()))
                    }
                    _ => Ok(Id::Text(text.into())),
                }
            }
            tag => Err(bytes.unknown(format!("id of kind {tag}"))),
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), a bijection.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => write!(f, "{number}"),
            Id::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Id::Number(number)
    }
}

impl From<u32> for Id {
    fn from(number: u32) -> Self {
        Id::Number(number.into())
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Id::Text(text.into())
    }
}

impl From<String> for Id {
    fn from(text: String) -> Self {
        Id::Text(text.into())
    }
}

impl From<&Id> for Id {
    fn from(id: &Id) -> Self {
        id.clone()
    }
}
