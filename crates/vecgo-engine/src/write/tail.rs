use std::sync::Arc;

use vecgo_format::{CollectionNames, FrameBuilder, LogHeader, Previous};
use vecgo_io::{Env, Log};

use crate::{Error, Result};

/// A place in the log that is durable, and the last write before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synced {
    pub(crate) at: Previous,
    pub(crate) sequence: u64,
}

/// The growing end of the log.
///
/// Begins a log with the first frame after the last one was closed, so that an open that writes
/// nothing leaves nothing behind.
#[derive(Debug)]
pub(crate) struct LogTail {
    env: Env,
    names: CollectionNames,
    epoch: u64,
    /// The log being written; a log that was begun in `buffer` only has no file yet.
    open: Option<Option<Box<dyn Log>>>,
    /// Checksum of the open log's header.
    header: u64,
    /// The end, what is still in `buffer` included.
    end: Previous,
    /// Sequence number of the last write appended.
    sequence: u64,
    synced: Synced,
    next_number: u64,
    /// Bytes of frames since the last roll.
    unsealed_bytes: u64,
    /// Bytes not yet handed to the log.
    buffer: Vec<u8>,
}

impl LogTail {
    pub(crate) fn new(
        env: Env,
        names: CollectionNames,
        epoch: u64,
        end: Previous,
        next_number: u64,
        sequence: u64,
    ) -> Self {
        let synced = Synced { at: end, sequence };
        Self {
            env,
            names,
            epoch,
            open: None,
            header: 0,
            end,
            sequence,
            synced,
            next_number,
            unsealed_bytes: 0,
            buffer: Vec::new(),
        }
    }

    /// Number of the log that the next frame goes to.
    pub(crate) fn number(&self) -> u64 {
        if self.open.is_some() { self.end.number } else { self.next_number }
    }

    /// Bytes of frames since the last roll.
    pub(crate) fn unsealed_bytes(&self) -> u64 {
        self.unsealed_bytes
    }

    pub(crate) fn synced(&self) -> Synced {
        self.synced
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.synced.sequence == self.sequence
    }

    /// Adds a batch that ends with write `sequence`.
    pub(crate) fn append(&mut self, frame: FrameBuilder, sequence: u64) -> Result<()> {
        if self.open.is_none() {
            self.begin();
        }
        let after = frame
            .finish(self.header, self.end.end, self.synced.sequence, &mut self.buffer)
            .map_err(|error| Error::internal(error.to_string()))?;
        let added = after.length.saturating_sub(self.end.end.length);
        self.unsealed_bytes = self.unsealed_bytes.saturating_add(added);
        self.end.end = after;
        self.sequence = sequence;
        Ok(())
    }

    fn begin(&mut self) {
        let header = LogHeader {
            collection: self.names.0,
            number: self.next_number,
            epoch: self.epoch,
            nonce: self.env.rand.next_u64(),
            first_sequence: self.sequence + 1,
            previous: self.end,
        };
        let (bytes, end) = header.encode();
        self.buffer.extend_from_slice(&bytes);
        self.header = end.checksum;
        self.end = Previous { number: header.number, end };
        self.next_number += 1;
        self.open = Some(None);
    }

    /// Hands what was appended to the log, so that it survives this process.
    pub(crate) async fn write(&mut self) -> Result<()> {
        let Some(log) = &mut self.open else { return Ok(()) };
        if self.buffer.is_empty() {
            return Ok(());
        }
        let log = match log {
            Some(log) => log,
            None => {
                let key = self.names.log(self.end.number);
                log.insert(Arc::clone(&self.env.logs).create(&key).await?)
            }
        };
        log.append(&self.buffer).await?;
        self.buffer.clear();
        Ok(())
    }

    /// Makes everything appended durable.
    pub(crate) async fn sync(&mut self) -> Result<()> {
        self.write().await?;
        if self.is_synced() {
            return Ok(());
        }
        if let Some(Some(log)) = &mut self.open {
            log.sync().await?;
        }
        self.synced = Synced { at: self.end, sequence: self.sequence };
        if !self.env.logs.grow() {
            self.open = None;
        }
        Ok(())
    }

    /// Closes the log for good. The next frame begins another, whose header vouches for this one.
    pub(crate) async fn roll(&mut self) -> Result<()> {
        self.sync().await?;
        self.open = None;
        self.unsealed_bytes = 0;
        Ok(())
    }
}
