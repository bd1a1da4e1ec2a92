use super::LogPosition;
use crate::checksum::checksum;
use crate::codec::{Decoder, Encoder};
use crate::version::{FormatVersion, check_prefix, put_prefix};
use crate::{FormatError, Identity};

const MAGIC: [u8; 4] = *b"VGLG";
const WHAT: &str = "log";

/// Where the log before this one ended. What lies beyond that is not part of the collection, and
/// no log numbered between the two is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Previous {
    /// Its number, 0 if there was none.
    pub number: u64,
    /// Where it ended.
    pub end: LogPosition,
}

/// The first bytes of every log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHeader {
    /// The collection that the log belongs to.
    pub collection: Identity,
    /// The log's number, from 1.
    pub number: u64,
    /// Epoch of the writer.
    pub epoch: u64,
    /// Tells this writer's attempt at the number from every other's.
    pub nonce: u64,
    /// Sequence number of the first write that follows.
    pub first_sequence: u64,
    /// The log before.
    pub previous: Previous,
}

impl LogHeader {
    /// Length of an encoded header.
    pub const BYTES: usize = 88;

    /// The header's bytes and the position after them.
    pub fn encode(&self) -> (Vec<u8>, LogPosition) {
        let mut out = Encoder::new();
        put_prefix(&mut out, MAGIC);
        out.u128(self.collection.0);
        out.u64(self.number);
        out.u64(self.epoch);
        out.u64(self.nonce);
        out.u64(self.first_sequence);
        out.u64(self.previous.number);
        out.u64(self.previous.end.length);
        out.u64(self.previous.end.checksum);
        let mut bytes = out.finish();
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        debug_assert_eq!(bytes.len(), Self::BYTES);
        (bytes, LogPosition { length: Self::BYTES as u64, checksum: sum })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, LogPosition), FormatError> {
        let mut decoder = Decoder::new(WHAT, bytes);
        match check_prefix(&mut decoder, MAGIC, WHAT) {
            Err(FormatError::Version { .. }) if is_torn(bytes) => {
                let detail = "nothing follows its mark".to_owned();
                return Err(decoder.invalid(detail));
            }
            checked => checked?,
        }
        let header = Self {
            collection: Identity(decoder.u128()?),
            number: decoder.u64()?,
            epoch: decoder.u64()?,
            nonce: decoder.u64()?,
            first_sequence: decoder.u64()?,
            previous: Previous {
                number: decoder.u64()?,
                end: LogPosition { length: decoder.u64()?, checksum: decoder.u64()? },
            },
        };
        let found = checksum(&bytes[..decoder.offset()]);
        let expected = decoder.u64()?;
        if expected != found {
            return Err(FormatError::Checksum { what: WHAT, offset: 0, expected, found });
        }
        Ok((header, LogPosition { length: Self::BYTES as u64, checksum: found }))
    }
}

/// Whether a crash kept no more of a header than its mark, with zeros in place of the rest. These
/// are no version: every header has something behind that.
fn is_torn(bytes: &[u8]) -> bool {
    bytes.iter().take(LogHeader::BYTES).skip(FormatVersion::PREFIX_BYTES).all(|byte| *byte == 0)
}
