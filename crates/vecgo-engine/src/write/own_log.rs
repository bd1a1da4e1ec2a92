//! A log on a disk of the writer's own, beside a store that keeps none.
//!
//! A version says the name of the log that goes on from it. Whoever has that one replays it when it opens; once
//! somebody else has committed a version, it goes on from nothing any more. Until a version holds them, writes are
//! on that disk alone.

use std::sync::Arc;

use vecgo_format::{CollectionNames, FormatError, LogHeader, LogReader, Previous};
use vecgo_io::{Env, Store};

use super::tail::LogTail;
use super::writer::Writer;
use crate::collection::Shared;
use crate::manifest::{Committed, decide};
use crate::recover::{Durable, Extent, Recovered, Source};
use crate::{Error, ErrorKind, Result};

/// Where a writer's own log begins, and the store's ends.
#[derive(Debug, Clone)]
pub(super) struct OwnLog {
    /// The disk that it is on.
    env: Env,
    /// Its name.
    pub(super) name: u64,
    /// The end of the store's logs: the writer's fence.
    pub(super) fence: Previous,
    /// The last write in those.
    pub(super) sequence: u64,
}

impl OwnLog {
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.env.store
    }
}

/// A log that an earlier writer has left on this disk.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) name: u64,
    keys: Vec<String>,
    bytes: u64,
}

/// The log on a disk, of which the store's newest version is this.
///
/// # Errors
/// `Corruption` if nothing there says whose it is, though writes in it were durable that no segment has.
pub(super) async fn left(
    env: &Env,
    names: CollectionNames,
    newest: Option<&Committed>,
) -> Result<Option<Left>> {
    // The lock is ours: nobody is at it any more.
    env.store.clear_unfinished(&names.prefix()).await?;
    let (mut name, mut keys, mut broken, mut bytes) = (None, Vec::new(), None, 0u64);
    let flushed = newest.map_or(0, |newest| newest.manifest.log.flushed);
    for listed in env.store.list(&names.logs()).await? {
        if names.log_number(&listed.key).is_err() {
            continue;
        }
        let object = env.store.open(&listed.key, None).await?;
        let length = usize::try_from(object.length()).unwrap_or(usize::MAX);
        let mut header = vec![0; LogHeader::BYTES.min(length)];
        object.read_into(0, &mut header).await?;
        match LogReader::open(&header) {
            Ok(log) => name = Some(log.header().nonce),
            Err(error @ FormatError::Version { .. }) => {
                return Err(Error::format(&listed.key, error));
            }
            // One that a crash cut short at its beginning says nothing.
            Err(error) => {
                let read = env.store.get(&listed.key).await?;
                let durable = LogReader::durable_despite_header(&read);
                if durable.is_some_and(|durable| durable > flushed) {
                    broken = Some(Error::format(&listed.key, error));
                }
            }
        }
        bytes = bytes.saturating_add(listed.length);
        keys.push(listed.key);
    }
    match (name, broken) {
        (Some(name), _) => Ok(Some(Left { name, keys, bytes })),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(None),
    }
}

/// A name that no log has. Logs that were deleted do not come back after a crash, when they would have another: a new
/// object takes what was done in its folder before to the disk.
pub(super) async fn name_another(env: &Env, names: CollectionNames) -> Result<u64> {
    // Not 0, which is none.
    let name = env.rand.next_u64() | 1;
    let key = format!("{}{name:016x}", names.logs());
    decide(env, &key, "begun".into()).await?;
    env.store.delete(&key).await?;
    Ok(name)
}

impl Left {
    /// Whether it goes on from a version.
    pub(super) fn goes_on_from(&self, committed: Option<&Committed>) -> bool {
        committed.is_some_and(|committed| committed.manifest.own_log == self.name)
    }

    /// Whether the disk has room for what recovery writes again: nothing must be asked of the store before.
    pub(super) fn check_room(&self, env: &Env) -> Result<()> {
        match env.store.free_space().filter(|free| *free < self.bytes) {
            None => Ok(()),
            Some(free) => {
                let message = format!(
                    "{free} bytes are free on the disk for logs; recovery may take {}",
                    self.bytes
                );
                Err(Error::new(ErrorKind::ResourceExhausted, message))
            }
        }
    }

    /// Puts it where no writer looks for it, and says so, if there are writes in it: they may be in no version.
    ///
    /// # Errors
    /// `Fenced`; what the disk can meet.
    pub(super) async fn set_aside(&self, env: &Env, names: CollectionNames) -> Result<()> {
        let folder = format!("set-aside/{}/{:016x}", names.0, self.name);
        let mut has_writes = false;
        for key in &self.keys {
            let bytes = env.store.get(key).await?;
            if let Ok(mut log) = LogReader::open(&bytes) {
                while let Some(frame) = log.next_frame() {
                    has_writes |= frame.count > 0;
                }
            }
        }
        for key in self.keys.iter().filter(|_| has_writes) {
            let file = key.rsplit('/').next().unwrap_or_default();
            let bytes = env.store.get(key).await?;
            decide(env, &format!("{folder}/{file}"), bytes.into()).await?;
        }
        for key in &self.keys {
            env.store.delete(key).await?;
        }
        if !has_writes {
            return Ok(());
        }
        let message = format!(
            "another writer has taken over; what was written here since the last commit is in no version, and \
             its log was set aside as `{folder}` of the directory for logs: open again to go on without it"
        );
        Err(Error::new(ErrorKind::Fenced, message))
    }
}

/// Brings back what the disk has beyond the store, and begins to write there.
pub(super) async fn begin(
    shared: &Shared,
    env: Env,
    mut recovered: Recovered,
    (committed, store_tail): (&Committed, &LogTail),
) -> Result<(OwnLog, Recovered, LogTail)> {
    let (name, fence) = (committed.manifest.own_log, store_tail.synced().at);
    let own = OwnLog { env: env.clone(), name, fence, sequence: recovered.sequence };
    recovered.durable = Durable { at: fence, sequence: recovered.sequence };
    let next = fence.number.saturating_add(1);
    let source = Source {
        env: &env,
        names: shared.names,
        config: shared.created(),
        committed: Some(committed),
        extent: Extent::Everything,
        keeps_logs: false,
    };
    source.replay_own(&mut recovered, next).await?;
    let (durable, next) = (recovered.durable, recovered.next_log.max(next));
    let mut tail = LogTail::new(env.clone(), shared.names, store_tail.epoch(), durable, next);
    tail.is_named_as(name);
    tail.restore(std::mem::take(&mut recovered.unvouched)).await?;
    Ok((own, recovered, tail))
}

/// Deletes what there is of a dropped collection's log.
pub(crate) async fn forget(env: &Env, names: CollectionNames) -> Result<()> {
    let Some(env) = env.of_own_logs() else { return Ok(()) };
    for listed in env.store.list(&names.logs()).await? {
        env.store.delete(&listed.key).await?;
    }
    Ok(env.store.clear_prefix(&names.prefix()).await?)
}

impl Writer {
    /// Has every write so far in segments of a version, which alone outlive this disk.
    pub(super) async fn flush_all(&mut self) -> Result<u64> {
        let flushed = self.try_flush_all().await;
        // Others may have waited for the same.
        self.answer_flush_waiters();
        flushed
    }

    async fn try_flush_all(&mut self) -> Result<u64> {
        let target = self.sequence;
        // Somebody asks for it, so what failed a moment ago is tried again.
        self.backoff = super::flush::Backoff::default();
        loop {
            self.check_alive()?;
            let last = self.committed.as_ref().map(|committed| &committed.manifest);
            let (number, flushed) = last.map_or((0, 0), |last| (last.number, last.log.flushed));
            if flushed >= target {
                self.delete_own_logs().await;
                return Ok(number);
            }
            *self.shared.flush_failure.lock() = None;
            self.begin_flush().await;
            self.end_flush().await;
            let failure = self.shared.flush_failure.lock().clone();
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
    }

    /// Deletes logs of which all is in segments. What cannot be deleted now is with the next flush.
    pub(super) async fn delete_own_logs(&self) {
        let Some(own) = &self.own else { return };
        let (store, names) = (Arc::clone(&own.env.store), self.shared.names);
        let first = self.active.table().first_log;
        for listed in store.list(&names.logs()).await.into_iter().flatten() {
            let number = names.log_number(&listed.key).unwrap_or(u64::MAX);
            if number < first && store.delete(&listed.key).await.is_err() {
                return;
            }
        }
    }
}
