use super::{LogHeader, LogPosition, LogReader, Previous};
use crate::{FormatError, Identity};

/// A log as another collection has it: the same writes under a header of its own.
#[derive(Debug, Clone, Copy)]
pub struct MovedLog {
    /// The collection.
    pub collection: Identity,
    /// The number that it has there.
    pub number: u64,
    /// Tells it from every other of that number.
    pub nonce: u64,
    /// The log before it there.
    pub previous: Previous,
}

impl MovedLog {
    /// Its bytes and where they end, given those of the first log up to the end of one of its frames.
    ///
    /// # Errors
    /// [`FormatError`] if `bytes` are no log, or end anywhere else.
    pub fn of(self, bytes: &[u8]) -> Result<(Vec<u8>, LogPosition), FormatError> {
        let Self { collection, number, nonce, previous } = self;
        let mut log = LogReader::open(bytes)?;
        let header = LogHeader { collection, number, nonce, previous, ..*log.header() };
        let (mut moved, mut position) = header.encode();
        let sum = position.checksum;
        while let Some(frame) = log.next_frame() {
            position = frame.again().finish(sum, position, frame.synced_through, &mut moved)?;
        }
        let end = log.position().length;
        if end != bytes.len() as u64 {
            let detail = format!("it holds whole frames up to byte {end} of {}", bytes.len());
            return Err(FormatError::Invalid { what: "log", offset: 0, detail });
        }
        Ok((moved, position))
    }
}
