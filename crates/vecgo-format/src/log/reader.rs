use super::frame::{self, Frame};
use super::{LogHeader, LogPosition};
use crate::FormatError;

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEnd {
    /// After its last whole frame.
    Clean,
    /// In bytes that nothing says were ever durable: a write that a crash cut short.
    Torn {
        /// Bytes after the last whole frame.
        bytes: u64,
    },
    /// In bytes that a later frame says were durable: damage, not a torn write.
    Damaged {
        /// Where the first broken frame begins.
        offset: u64,
        /// A later frame knew the log durable up to this sequence number.
        synced_through: u64,
    },
}

/// Reads a log from front to back, up to the first frame that is not whole.
#[derive(Debug)]
pub struct LogReader<'a> {
    header: LogHeader,
    bytes: &'a [u8],
    position: LogPosition,
    next_sequence: u64,
}

impl<'a> LogReader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`FormatError`] if `bytes` does not begin with a whole header of this format version.
    pub fn open(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let (header, position) = LogHeader::decode(bytes)?;
        Ok(Self { header, bytes, position, next_sequence: header.first_sequence })
    }

    /// The header.
    pub fn header(&self) -> &LogHeader {
        &self.header
    }

    /// The position after the last frame read.
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// Sequence number that the next frame must begin with.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The next frame, or `None` where the log ends for whatever reason ([`LogReader::end`]).
    pub fn next_frame(&mut self) -> Option<Frame<'a>> {
        let frame = Frame::read(self.rest(), self.position)?;
        let next_sequence = frame.first_sequence.checked_add(frame.count.into())?;
        if frame.first_sequence != self.next_sequence {
            return None;
        }
        self.position = frame.end;
        self.next_sequence = next_sequence;
        Some(frame)
    }

    fn rest(&self) -> &'a [u8] {
        let start = usize::try_from(self.position.length).unwrap_or(usize::MAX);
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Says how the log ends, once [`LogReader::next_frame`] has returned `None`.
    ///
    /// A broken frame is damage if and only if something later says that it had been durable.
    /// That a later frame is whole is no proof: power loss may keep an unsynced frame and lose
    /// the unsynced one before it.
    pub fn end(&self) -> LogEnd {
        let rest = self.rest();
        if rest.is_empty() {
            return LogEnd::Clean;
        }
        let magic = frame::MAGIC.to_le_bytes();
        for start in 1..rest.len().saturating_sub(frame::HEADER).saturating_add(1) {
            if !rest[start..].starts_with(&magic) {
                continue;
            }
            let Some(later) = Frame::read(&rest[start..], self.position) else { continue };
            if later.synced_through >= self.next_sequence {
                return LogEnd::Damaged {
                    offset: self.position.length,
                    synced_through: later.synced_through,
                };
            }
        }
        LogEnd::Torn { bytes: rest.len() as u64 }
    }
}
