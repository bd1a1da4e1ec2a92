use super::frame::{self, Frame, FrameHeader};
use super::{LogHeader, LogPosition};
use crate::{FormatError, checksum};

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
    /// Checksum of the header, which every frame's covers.
    log: u64,
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
        let (log, next_sequence) = (position.checksum, header.first_sequence);
        Ok(Self { header, bytes, log, position, next_sequence })
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
        let frame = Frame::read(self.rest(), self.log, self.position)?;
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
        match durable_through(rest, self.log) {
            Some(synced_through) if synced_through >= self.next_sequence => {
                LogEnd::Damaged { offset: self.position.length, synced_through }
            }
            _ => LogEnd::Torn { bytes: rest.len() as u64 },
        }
    }

    /// What frames say was durable in a log whose header is broken. The header's checksum stands
    /// in the header too, so that damage to one leaves the other.
    pub fn durable_despite_header(bytes: &[u8]) -> Option<u64> {
        let (covered, rest) = bytes.split_at_checked(LogHeader::BYTES)?;
        let (covered, stored) = covered.split_last_chunk::<8>()?;
        let logs = [checksum(covered), u64::from_le_bytes(*stored)];
        logs.into_iter().filter_map(|log| durable_through(rest, log)).max()
    }
}

/// The highest sequence number that a frame header in `bytes` says was durable.
fn durable_through(bytes: &[u8], log: u64) -> Option<u64> {
    let magic = frame::MAGIC.to_le_bytes();
    let places = bytes.windows(frame::HEADER).filter(|bytes| bytes.starts_with(&magic));
    places.filter_map(|bytes| FrameHeader::read(bytes, log)).map(|frame| frame.synced_through).max()
}
