use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use vecgo_format::{DeleteObject, FormatError, ObjectRef, RunningChecksum};
use vecgo_io::{Env, Store};

use super::leases::Leases;
use crate::segment::SegmentCheck;
use crate::{Error, ErrorKind, Result};

/// Bytes that are read at a time, unless a budget wants fewer.
const PIECE_BYTES: u64 = 8 << 20;
const LEAST_PIECE_BYTES: u64 = 64 << 10;

/// So long a copy waits for its budget without a look at anything else.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CopyProgress {
    /// Objects that are done, those included that were there already.
    pub objects: u64,
    /// Bytes that are done, those included that were there already.
    pub bytes: u64,
    /// Bytes there are in all; 0 until that is known.
    pub total_bytes: u64,
}

/// Is told how far a copy is, and may stop it.
pub type CopyWatch = Arc<dyn Fn(CopyProgress) -> ControlFlow<()> + Send + Sync>;

/// How objects are copied.
#[derive(Clone, Default)]
pub struct Copying {
    /// Bytes a second, at most, on average.
    pub bytes_per_second: Option<u64>,
    /// Told after every few megabytes.
    pub watch: Option<CopyWatch>,
}

impl fmt::Debug for Copying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes_per_second, .. } = self;
        f.debug_struct("Copying")
            .field("bytes_per_second", bytes_per_second)
            .finish_non_exhaustive()
    }
}

/// Something that bytes are held against as they go by.
pub(super) trait Check: Send {
    fn feed(&mut self, bytes: &[u8]);
    fn finish(&mut self) -> std::result::Result<(), FormatError>;
}

/// Whatever they are.
pub(super) struct Unchecked;

impl Check for Unchecked {
    fn feed(&mut self, _: &[u8]) {}

    fn finish(&mut self) -> std::result::Result<(), FormatError> {
        Ok(())
    }
}

impl Check for SegmentCheck {
    fn feed(&mut self, bytes: &[u8]) {
        self.feed(bytes);
    }

    fn finish(&mut self) -> std::result::Result<(), FormatError> {
        self.finish()
    }
}

/// A delete object, which is small.
pub(super) struct DeletesCheck {
    pub(super) named: ObjectRef,
    pub(super) bytes: Vec<u8>,
}

impl Check for DeletesCheck {
    fn feed(&mut self, bytes: &[u8]) {
        // Of more than there should be nothing is kept: it is refused all the same.
        let room = self.named.length.saturating_sub(self.bytes.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
    }

    fn finish(&mut self) -> std::result::Result<(), FormatError> {
        let (_, found) = DeleteObject::decode(&self.bytes)?;
        let expected = self.named.checksum;
        match found == expected {
            true => Ok(()),
            false => {
                let (what, offset) = ("delete object", 0);
                Err(FormatError::Checksum { what, offset, expected, found })
            }
        }
    }
}

/// An object to be read from its first byte to its last.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) key: &'a str,
    pub(super) length: u64,
    /// Checksum of all its bytes, if it is known.
    pub(super) checksum: Option<u64>,
}

/// Copying under way.
pub(super) struct Work<'a> {
    env: &'a Env,
    copying: Copying,
    began: Duration,
    progress: CopyProgress,
    /// Bytes that passed through this process.
    pub(super) moved: u64,
    /// What must not run out meanwhile.
    pub(super) leases: Option<Leases>,
}

impl<'a> Work<'a> {
    pub(super) fn new(env: &'a Env, copying: Copying, leases: Option<Leases>) -> Self {
        let (began, progress) = (env.clock.monotonic(), CopyProgress::default());
        Self { env, copying, began, progress, moved: 0, leases }
    }

    /// Reads an object, checks it, and writes it to a store under a key unless that is left out; gives the checksum
    /// of all its bytes. What fails a check never appears there.
    pub(super) async fn pass(
        &mut self,
        from: Source<'_>,
        to: Option<(&dyn Store, &str)>,
        check: &mut dyn Check,
    ) -> Result<u64> {
        let Source { store, key, length, checksum: expected } = from;
        let object = store.open(key, Some(length)).await?;
        if object.length() != length {
            let detail = format!("object of {} bytes, expected {length}", object.length());
            let what = "copied object";
            return Err(Error::format(key, FormatError::Invalid { what, offset: 0, detail }));
        }
        let mut writer = match to {
            Some((store, key)) => Some(store.create(key).await?),
            None => None,
        };
        let most = self.piece();
        let (mut sum, mut piece, mut at) = (RunningChecksum::default(), Vec::new(), 0);
        while at < length {
            let bytes = (length - at).min(most);
            piece.resize(usize::try_from(bytes).unwrap_or(usize::MAX), 0);
            object.read_past(at, &mut piece).await?;
            sum.feed(&piece);
            check.feed(&piece);
            if let Some(writer) = &mut writer {
                writer.write(&piece).await?;
            }
            at += bytes;
            self.moved(bytes).await?;
        }
        check.finish().map_err(|error| Error::format(key, error))?;
        let found = sum.finish();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let (what, offset) = ("copied object", 0);
            let error = FormatError::Checksum { what, offset, expected, found };
            return Err(Error::format(key, error));
        }
        if let Some(writer) = writer {
            writer.finish().await?;
        }
        self.progress.objects += 1;
        Ok(found)
    }

    /// Writes an object that is in memory.
    pub(super) async fn write(&mut self, to: &dyn Store, key: &str, bytes: &[u8]) -> Result<()> {
        let mut writer = to.create(key).await?;
        for piece in bytes.chunks(usize::try_from(self.piece()).unwrap_or(usize::MAX)) {
            writer.write(piece).await?;
            self.moved(piece.len() as u64).await?;
        }
        writer.finish().await?;
        self.progress.objects += 1;
        Ok(())
    }

    /// Says that there is more to do than was known.
    pub(super) fn expect(&mut self, lengths: impl Iterator<Item = u64>) {
        let total = &mut self.progress.total_bytes;
        *total = lengths.fold(*total, u64::saturating_add);
    }

    /// Bytes that are passed on at a time: of a small budget no more than it has for a second.
    fn piece(&self) -> u64 {
        let budget = self.copying.bytes_per_second.unwrap_or(u64::MAX);
        budget.clamp(LEAST_PIECE_BYTES, PIECE_BYTES)
    }

    /// An object is there already, or was copied elsewhere.
    pub(super) async fn skip(&mut self, bytes: u64) -> Result<()> {
        self.progress.objects += 1;
        self.progress.bytes = self.progress.bytes.saturating_add(bytes);
        self.tell()?;
        self.renew().await
    }

    async fn moved(&mut self, bytes: u64) -> Result<()> {
        self.progress.bytes = self.progress.bytes.saturating_add(bytes);
        self.moved = self.moved.saturating_add(bytes);
        self.tell()?;
        self.renew().await?;
        let Some(budget) = self.copying.bytes_per_second else { return Ok(()) };
        let micros = u128::from(self.moved) * 1_000_000 / u128::from(budget.max(1));
        let due = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let due = self.began.saturating_add(due);
        loop {
            let early = due.saturating_sub(self.env.clock.monotonic());
            if early.is_zero() {
                return Ok(());
            }
            self.env.clock.sleep(early.min(LONGEST_SLEEP)).await;
            self.tell()?;
            self.renew().await?;
        }
    }

    fn tell(&self) -> Result<()> {
        let Some(watch) = &self.copying.watch else { return Ok(()) };
        match watch(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(Error::new(ErrorKind::Closed, "whoever began the copy has stopped it"))
            }
        }
    }

    async fn renew(&mut self) -> Result<()> {
        match &mut self.leases {
            Some(leases) => leases.renew_if_due().await,
            None => Ok(()),
        }
    }
}
