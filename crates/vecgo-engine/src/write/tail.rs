use bytes::Bytes;
use vecgo_format::{CollectionNames, FormatError, FrameBuilder, LogHeader, LogReader, Previous};
use vecgo_io::{Env, Log};

use crate::manifest::{Decided, decide};
use crate::recover::Durable;
use crate::{Error, ErrorKind, Result};

/// Room that the buffer keeps once it is written.
const KEPT_BYTES: usize = 64 << 10;

/// The growing end of the log.
///
/// Begins a log with the first frame after the last one was closed, so that an open that writes
/// nothing leaves nothing behind.
#[derive(Debug)]
pub(crate) struct LogTail {
    env: Env,
    names: CollectionNames,
    epoch: u64,
    /// What all logs have for a nonce, if they are told apart from those of another writer by that.
    name: Option<u64>,
    /// The log being written; a log that was begun in `buffer` only has no file yet.
    open: Option<Option<Box<dyn Log>>>,
    /// Checksum of the open log's header.
    header: u64,
    /// The end, what is still in `buffer` included.
    end: Previous,
    /// Sequence number of the last write appended.
    sequence: u64,
    synced: Durable,
    next_number: u64,
    /// Last write that something in the log or a version says is durable.
    vouched: u64,
    /// Bytes of frames since the last roll.
    unsealed_bytes: u64,
    /// Bytes not yet handed to the log.
    buffer: Vec<u8>,
}

impl LogTail {
    /// A tail that goes on after `durable`, from log `next_number` on.
    pub(crate) fn new(
        env: Env,
        names: CollectionNames,
        epoch: u64,
        durable: Durable,
        next_number: u64,
    ) -> Self {
        let Durable { at: end, sequence } = durable;
        Self {
            env,
            names,
            epoch,
            name: None,
            open: None,
            header: 0,
            end,
            sequence,
            synced: durable,
            next_number,
            vouched: sequence,
            unsealed_bytes: 0,
            buffer: Vec::new(),
        }
    }

    /// From now on logs say whose they are.
    pub(crate) fn is_named_as(&mut self, name: u64) {
        self.name = Some(name);
    }

    /// The writer's epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Number of the log that the next frame goes to.
    pub(crate) fn number(&self) -> u64 {
        if self.open.is_some() { self.end.number } else { self.next_number }
    }

    /// Bytes of frames since the last roll.
    pub(crate) fn unsealed_bytes(&self) -> u64 {
        self.unsealed_bytes
    }

    pub(crate) fn synced(&self) -> Durable {
        self.synced
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.synced.sequence == self.sequence
    }

    /// Adds a batch.
    pub(crate) fn append(&mut self, frame: FrameBuilder) -> Result<()> {
        // What is put whole is durable wherever it can be read.
        let durable = match self.env.logs {
            Some(_) => self.synced.sequence,
            None => frame.last_sequence(),
        };
        self.append_vouching(frame, durable)
    }

    fn append_vouching(&mut self, frame: FrameBuilder, durable: u64) -> Result<()> {
        if self.open.is_none() {
            self.begin()?;
        }
        let sequence = frame.last_sequence();
        let after = frame
            .finish(self.header, self.end.end, durable, &mut self.buffer)
            .map_err(|error| Error::internal(error.to_string()))?;
        let added = after.length.saturating_sub(self.end.end.length);
        self.unsealed_bytes = self.unsealed_bytes.saturating_add(added);
        self.end.end = after;
        self.sequence = sequence;
        self.vouched = durable;
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        if self.next_number == u64::MAX {
            let last = self.names.log(self.next_number - 1);
            let message = format!("no number is left for a log after {last}");
            return Err(Error::new(ErrorKind::ResourceExhausted, message));
        }
        let header = LogHeader {
            collection: self.names.0,
            number: self.next_number,
            epoch: self.epoch,
            nonce: self.name.unwrap_or_else(|| self.env.rand.next_u64()),
            first_sequence: self.sequence + 1,
            previous: self.end,
        };
        let (bytes, end) = header.encode();
        self.buffer.extend_from_slice(&bytes);
        self.header = end.checksum;
        self.end = Previous { number: header.number, end };
        self.next_number += 1;
        self.open = Some(None);
        Ok(())
    }

    /// Hands what was appended to the log, so that it survives this process. Where logs do not
    /// grow, only a sync does.
    pub(crate) async fn write(&mut self) -> Result<()> {
        let (Some(open), Some(logs)) = (&mut self.open, &self.env.logs) else { return Ok(()) };
        if self.buffer.is_empty() {
            return Ok(());
        }
        let log = match open {
            Some(log) => log,
            None => open.insert(logs.create(&self.names.log(self.end.number)).await?),
        };
        log.append(&self.buffer).await?;
        self.buffer.clear();
        // One large batch is not to be paid for by a collection that lies idle afterwards.
        self.buffer.shrink_to(KEPT_BYTES);
        Ok(())
    }

    /// Makes everything appended durable.
    pub(crate) async fn sync(&mut self) -> Result<()> {
        if self.env.logs.is_none() {
            return self.put_whole().await;
        }
        self.write().await?;
        if self.is_synced() {
            return Ok(());
        }
        if let Some(Some(log)) = &mut self.open {
            log.sync().await?;
        }
        self.synced = Durable { at: self.end, sequence: self.sequence };
        Ok(())
    }

    /// A version has been committed that names the durable end of the log.
    pub(crate) fn is_named(&mut self) {
        // What is put whole vouches for itself already, and may go further.
        self.vouched = self.vouched.max(self.synced.sequence);
    }

    /// Whether the last batch is durable and nothing says so yet.
    pub(crate) fn can_be_sealed(&self) -> bool {
        self.is_synced() && self.vouched < self.synced.sequence
    }

    /// Adds a frame without writes: it says how far the log is durable.
    pub(crate) async fn seal(&mut self) -> Result<()> {
        self.append(FrameBuilder::new(self.sequence + 1))?;
        self.write().await?;
        if let Some(Some(log)) = &mut self.open {
            log.sync().await?;
        }
        self.synced.at = self.end;
        Ok(())
    }

    /// Puts the log begun, which is all in the buffer, as one object that is never appended to.
    async fn put_whole(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        loop {
            let key = self.names.log(self.end.number);
            let body = Bytes::from(std::mem::take(&mut self.buffer));
            match decide(&self.env, &key, body.clone()).await? {
                Decided::Ours => break,
                Decided::Theirs(bytes) if self.is_stale(&bytes) => self.pass_over(&body)?,
                Decided::Theirs(_) => return Err(fenced(&key)),
            }
        }
        self.open = None;
        self.synced = Durable { at: self.end, sequence: self.sequence };
        Ok(())
    }

    /// Whether a log is of an older epoch: its writer has been fenced, and what it put behind the
    /// fence counts for nothing.
    fn is_stale(&self, bytes: &[u8]) -> bool {
        LogReader::open(bytes).is_ok_and(|log| log.header().epoch < self.epoch)
    }

    /// Puts a log whose number is taken into the buffer again, with the next number.
    fn pass_over(&mut self, log: &[u8]) -> Result<()> {
        let broken = |error: FormatError| Error::internal(error.to_string());
        let mut log = LogReader::open(log).map_err(broken)?;
        self.end = log.header().previous;
        self.sequence = log.header().first_sequence.saturating_sub(1);
        self.open = None;
        let unsealed_bytes = self.unsealed_bytes;
        self.begin()?;
        while let Some(frame) = log.next_frame() {
            self.append(frame.again())?;
        }
        self.unsealed_bytes = unsealed_bytes;
        Ok(())
    }

    /// Makes frames durable that recovery found at the end of the log and for which nothing
    /// vouches: as one object, which is there wholly or not at all. Syncing the log that they are
    /// in would prove nothing: an earlier sync may have failed and dropped them, and they are
    /// read back from memory only.
    pub(crate) async fn restore(&mut self, frames: Vec<FrameBuilder>) -> Result<()> {
        for frame in frames {
            let durable = frame.last_sequence();
            self.append_vouching(frame, durable)?;
        }
        self.put_whole().await
    }

    /// Marks a number as the end of every older epoch.
    ///
    /// # Errors
    /// `Fenced`; `Conflict` if an older epoch's log took the number first, which belongs to the
    /// collection then.
    pub(crate) async fn fence(&mut self) -> Result<()> {
        self.begin()?;
        let key = self.names.log(self.end.number);
        match decide(&self.env, &key, std::mem::take(&mut self.buffer).into()).await? {
            Decided::Ours => {
                self.open = None;
                self.synced.at = self.end;
                Ok(())
            }
            Decided::Theirs(bytes) if self.is_stale(&bytes) => {
                Err(Error::new(ErrorKind::Conflict, format!("{key} was taken first")))
            }
            Decided::Theirs(_) => Err(fenced(&key)),
        }
    }

    /// Closes the log for good. The next frame begins another, whose header vouches for this one.
    pub(crate) async fn roll(&mut self) -> Result<()> {
        self.sync().await?;
        self.open = None;
        self.unsealed_bytes = 0;
        Ok(())
    }
}

fn fenced(key: &str) -> Error {
    Error::new(ErrorKind::Fenced, format!("{key}: another writer has taken over"))
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;
    use vecgo_format::{Id, Identity, Kill};

    use vecgo_io::Limits;

    use super::*;

    /// A version that names less than what is in the buffer takes nothing back: a seal would be a
    /// part of a log that nobody puts.
    #[test]
    fn what_is_put_whole_is_never_sealed() {
        block_on(async {
            let env = Env { logs: None, ..Env::memory(Limits::default()).unwrap() };
            let mut tail =
                LogTail::new(env, CollectionNames(Identity(1)), 1, Durable::default(), 1);
            let frame = |sequence| {
                let mut frame = FrameBuilder::new(sequence);
                frame.delete(&Id::from(sequence), Kill::Nothing);
                frame
            };
            tail.append(frame(1)).unwrap();
            tail.sync().await.unwrap();
            tail.append(frame(2)).unwrap();
            tail.is_named();
            tail.sync().await.unwrap();
            assert!(tail.is_synced() && !tail.can_be_sealed());
        });
    }
}
