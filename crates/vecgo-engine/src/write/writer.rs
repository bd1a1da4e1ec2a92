use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_channel::oneshot;
use futures_lite::future::{or, pending};
use vecgo_format::{FrameBuilder, Kill, SegmentRef};
use vecgo_io::{Env, StoreLock};

use super::Ack;
use super::auto_commit::Uncommitted;
use super::batch::Batch;
use super::flush::{Backoff, Sealed};
use super::inbox::{Inbox, Message};
use super::merge::Merges;
use super::open::Opened;
use super::own_log::OwnLog;
use super::reserve::Reserve;
use super::tail::LogTail;
use super::vacuum::Vacuums;
use crate::collection::Shared;
use crate::manifest::Committed;
use crate::memtable::{MemtableWriter, Row};
use crate::query::View;
use crate::segment::LiveSegment;
use crate::{Error, ErrorKind, Result, WalSync};

/// How long nobody has to write before the log is sealed. Until then damage to its last batch
/// cannot be told from a write that was cut short.
const SEAL_AFTER: Duration = Duration::from_secs(1);

/// The one task that writes a collection.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) inbox: Arc<Inbox>,
    /// Kept for life; `None` where there are no locks.
    _lock: Option<StoreLock>,
    pub(super) epoch: u64,
    /// First log that was there before this writer, and the epoch in force at it.
    pub(super) inherited: (u64, u64),
    pub(super) tail: LogTail,
    /// The log of its own that it writes, if it is not the store's.
    pub(super) own: Option<OwnLog>,
    pub(super) active: MemtableWriter,
    /// A memtable being flushed. Never more than one: when the next is full, writes wait.
    pub(super) sealed: Option<Sealed>,
    pub(super) segments: Vec<(LiveSegment, SegmentRef)>,
    pub(super) committed: Option<Committed>,
    pub(super) next_segment: u64,
    /// Sequence number of the last write applied.
    pub(super) sequence: u64,
    /// What readers of the current view read at.
    visible: Arc<AtomicU64>,
    /// When the oldest write that is not durable was acknowledged.
    unsynced_since: Option<Duration>,
    /// Each is answered when the writes up to a sequence number are flushed.
    pub(super) flush_waiters: Vec<(u64, oneshot::Sender<Result<u64>>)>,
    pub(super) backoff: Backoff,
    pub(super) uncommitted: Uncommitted,
    pub(super) merges: Merges,
    pub(super) vacuums: Vacuums,
    /// How often somebody had lacked memory when this writer last did something about it.
    pub(super) pressure: u64,
    pub(super) reserve: Reserve,
}

impl Drop for Writer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail(&Error::panicked());
        }
        self.inbox.abandon();
    }
}

/// What the writer does of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Sync,
    Seal,
    Commit,
    Vacuum,
    Relief,
}

/// Why the writer wakes up.
enum Wake {
    Messages(Option<VecDeque<Message>>),
    Due(Due),
}

/// A write that is applied but not acknowledged.
type Pending = (oneshot::Sender<Result<Ack>>, Ack);

impl Writer {
    /// A writer that goes on where the recovered collection ends, with its first view published.
    pub(crate) fn new(shared: Arc<Shared>, inbox: Arc<Inbox>, opened: Opened) -> Self {
        let Opened { lock, committed, segments, memtable, sequence, tail, own } = opened;
        let refs = committed.iter().flat_map(|committed| committed.manifest.segments.clone());
        let newest = committed.as_ref().map(|committed| &committed.manifest);
        let range = newest.map(|newest| newest.log);
        let vacuums = Vacuums::begin(newest, shared.env.clock.monotonic());
        let next_segment = newest.map_or(1, |newest| newest.next_segment);
        let pressure = shared.env.memory.pressure();
        let mut writer = Self {
            segments: segments.into_iter().zip(refs).collect(),
            inherited: range.map_or((1, 0), |range| (range.first, range.epoch)),
            next_segment,
            shared,
            inbox,
            _lock: lock,
            epoch: tail.epoch(),
            tail,
            own,
            active: memtable,
            sealed: None,
            committed,
            sequence,
            visible: Arc::default(),
            unsynced_since: None,
            flush_waiters: Vec::new(),
            backoff: Backoff::default(),
            uncommitted: Uncommitted::default(),
            merges: Merges::default(),
            vacuums,
            pressure,
            reserve: Reserve::default(),
        };
        if writer.committed_sequence() < sequence {
            writer.uncommitted.add(writer.shared.env.clock.monotonic(), 0);
        }
        writer.publish_view();
        writer
    }

    /// Serves the inbox until it is closed.
    pub(crate) async fn run(mut self) {
        while let Some(messages) = self.next_messages().await {
            let closing = self.serve(messages).await;
            if !closing.is_empty() {
                self.end_work().await;
                let closed = self.commit().await.map(drop);
                self.vacuum_at_close().await;
                // The lock is free before the caller learns that the collection is closed.
                drop(self);
                for reply in closing {
                    let _ = reply.send(closed.clone());
                }
                return;
            }
        }
        self.end_work().await;
    }

    /// Ends what runs beside the writer: a flush is waited for, a merge is given up.
    async fn end_work(&mut self) {
        self.stop_merge();
        self.end_flush().await;
        self.end_merge().await;
        self.end_vacuum().await;
    }

    /// What waits, once something does. Meanwhile keeps the promise of [`WalSync::Interval`], and
    /// seals the log once nobody has written for a while.
    async fn next_messages(&mut self) -> Option<VecDeque<Message>> {
        let inbox = Arc::clone(&self.inbox);
        let Env { clock, memory, .. } = self.shared.env.clone();
        loop {
            let next = self.next_due();
            let slept = async {
                let Some((left, due)) = next else { return pending().await };
                clock.sleep(left).await;
                Wake::Due(due)
            };
            let pressed = async {
                memory.pressed(self.pressure).await;
                Wake::Due(Due::Relief)
            };
            let taken = async { Wake::Messages(inbox.take().await) };
            // The sleeper first: a busy inbox must not put the sync off.
            match or(slept, or(pressed, taken)).await {
                Wake::Messages(messages) => return messages,
                Wake::Due(Due::Sync) => self.sync().await,
                Wake::Due(Due::Seal) => self.seal_log().await,
                Wake::Due(Due::Commit) => self.commit_if_due().await,
                Wake::Due(Due::Vacuum) => self.vacuum_if_due().await,
                Wake::Due(Due::Relief) => self.relieve_if_worth().await,
            }
        }
    }

    /// What is to be done next if nobody asks for anything, and when.
    fn next_due(&self) -> Option<(Duration, Due)> {
        let now = self.shared.env.clock.monotonic();
        let housekeeping = match (self.shared.options.wal_sync, self.unsynced_since) {
            (WalSync::Interval(interval), Some(since)) => {
                Some(((since + interval).saturating_sub(now), Due::Sync))
            }
            _ => {
                let seals = self.check_alive().is_ok() && self.tail.can_be_sealed();
                seals.then_some((SEAL_AFTER, Due::Seal))
            }
        };
        let vacuum = self.until_vacuum(now).map(|left| (left, Due::Vacuum));
        let commit = self.until_commit(now).map(|left| (left, Due::Commit));
        [housekeeping, commit, vacuum].into_iter().flatten().min_by_key(|(left, _)| *left)
    }

    async fn seal_log(&mut self) {
        if let Err(error) = self.tail.seal().await {
            self.fail(&error);
        }
    }

    /// Does what waited as one group; gives back requests to close, which come last.
    async fn serve(&mut self, mut messages: VecDeque<Message>) -> Vec<oneshot::Sender<Result<()>>> {
        // The ends of work beside it first: a new view shows all that is applied, and now all of
        // that is acknowledged; and a write that waits for room waits for the inbox to tell of it.
        let is_end = |message: &Message| matches!(message, Message::Ended(_));
        while let Some(place) = messages.iter().position(is_end) {
            if let Some(Message::Ended(ended)) = messages.remove(place) {
                self.ended(*ended).await;
            }
        }
        let mut pending: Vec<Pending> = Vec::new();
        let mut lacking: Option<Error> = None;
        let (mut commits, mut tags, mut closes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut schemas, mut configs) = (Vec::new(), Vec::new());
        for message in messages {
            match message {
                Message::Write { batch, reply } => {
                    if let Err(error) = self.check_disk(&batch) {
                        let _ = reply.send(Err(error));
                        continue;
                    }
                    let has_room = self.take_room(&batch);
                    // Those behind one that waited in vain do not wait as long once more.
                    if let Some(error) = lacking.as_ref().filter(|_| !has_room) {
                        let _ = reply.send(Err(error.clone()));
                        continue;
                    }
                    if self.is_full() || !has_room {
                        // A new view shows all that is applied, so that has to be acknowledged.
                        self.acknowledge(std::mem::take(&mut pending), false).await;
                        self.flush_if_due().await;
                        if let Err(error) = self.make_room(&batch).await {
                            let _ = reply.send(Err(error.clone()));
                            lacking = Some(error);
                            continue;
                        }
                    }
                    match self.write(batch).await {
                        Ok(ack) => pending.push((reply, ack)),
                        Err(error) => drop(reply.send(Err(error))),
                    }
                }
                Message::Commit { reply } => commits.push(reply),
                Message::Flush { reply } => self.flush_waiters.push((self.sequence, reply)),
                Message::Compact { reply } => self.merges.want(reply),
                Message::Settle { reply } => self.merges.settle(reply),
                Message::Vacuum { reply } => self.vacuums.want(reply),
                Message::Tag { tag, change, reply } => tags.push((tag, change, reply)),
                Message::Schema { change, reply } => schemas.push((change, reply)),
                Message::Configure { config, reply } => configs.push((config, reply)),
                // They have been dealt with.
                Message::Ended(_) => {}
                Message::Close { reply } => closes.push(reply),
            }
        }
        self.acknowledge(pending, !commits.is_empty()).await;
        if self.own.is_some() {
            // Beside writes, as a flush is.
            self.flush_waiters.extend(commits.drain(..).map(|reply| (self.sequence, reply)));
        }
        if !commits.is_empty() {
            let version = self.commit().await;
            for reply in commits {
                let _ = reply.send(version.clone());
            }
        }
        for (tag, change, reply) in tags {
            let _ = reply.send(self.tag(tag, change).await);
        }
        for (change, reply) in schemas {
            let _ = reply.send(self.set_schema(*change).await);
        }
        for (config, reply) in configs {
            let _ = reply.send(self.configure(config).await);
        }
        if closes.is_empty() {
            self.commit_if_due().await;
            self.flush_if_due().await;
            self.merge_if_due();
            self.vacuum_if_due().await;
        }
        closes
    }

    /// Applies a batch so that no reader sees it yet, and adds it to the log's buffer.
    async fn write(&mut self, batch: Batch) -> Result<Ack> {
        self.check_alive()?;
        if self.is_full() && self.sealed.is_some() {
            // There was no waiting for room, so the flush is failing.
            let failure = self.shared.flush_failure.lock().clone();
            return Err(failure.unwrap_or_else(|| Error::internal("no room in the memtable")));
        }
        let resolved = self.resolve(batch).await?;
        let puts = resolved.iter().filter(|change| change.put.is_some()).count();
        self.active.reserve(puts)?;
        let records = resolved.len();
        if records > 0 {
            let before = self.tail.unsealed_bytes();
            let applied = self.apply(resolved);
            // Half a batch in memory must never become visible.
            applied.inspect_err(|error| self.fail(error))?;
            let bytes = self.tail.unsealed_bytes().saturating_sub(before);
            self.uncommitted.add(self.shared.env.clock.monotonic(), bytes);
            self.reserve.wrote(bytes);
        }
        Ok(Ack { sequence: self.sequence, durable: false, records })
    }

    fn apply(&mut self, resolved: Vec<super::resolve::Resolved>) -> Result<()> {
        let mut frame = FrameBuilder::new(self.sequence + 1);
        for change in resolved {
            let sequence = self.sequence + 1;
            let hint = change.replaces.as_ref().map_or(Kill::Nothing, |old| old.hint());
            if let Some(old) = &change.replaces {
                old.kill(sequence);
            }
            match change.put {
                Some(put) => {
                    let payload = put.payload.as_deref();
                    frame.put(&change.id, hint, &put.vector.values, &put.document, payload);
                    let row = Row::new(change.id, put.document, put.payload);
                    let norm = put.vector.norm;
                    self.active.push(&put.vector.values, norm, sequence, row)?;
                }
                None => frame.delete(&change.id, hint),
            }
            self.sequence = sequence;
        }
        self.tail.append(frame)
    }

    /// Makes what was applied as durable as was promised, then visible, then acknowledges it.
    async fn acknowledge(&mut self, pending: Vec<Pending>, committing: bool) {
        if pending.is_empty() {
            return;
        }
        let sync = committing || self.shared.options.wal_sync == WalSync::EveryWrite;
        let logged = if sync { self.tail.sync().await } else { self.tail.write().await };
        if let Err(error) = &logged {
            self.fail(error);
        }
        let failed = self.shared.failure.lock().clone();
        if let Some(failed) = failed {
            // What lost its number to another writer will never be there.
            let unknown = match failed.kind() {
                ErrorKind::Fenced => failed.clone(),
                _ => failed
                    .clone()
                    .with_kind(ErrorKind::OutcomeUnknown)
                    .context("the write may or may not survive"),
            };
            for (reply, _) in pending {
                let _ = reply.send(Err(unknown.clone()));
            }
            return;
        }
        self.tell_log_bytes();
        self.visible.store(self.sequence, Ordering::Release);
        let durable = self.tail.is_synced();
        self.unsynced_since = match (durable, self.unsynced_since) {
            (true, _) => None,
            (false, None) => Some(self.shared.env.clock.monotonic()),
            (false, since) => since,
        };
        for (reply, ack) in pending {
            let durable = ack.sequence <= self.tail.synced().sequence;
            let _ = reply.send(Ok(Ack { durable, ..ack }));
        }
    }

    pub(super) async fn sync(&mut self) {
        self.unsynced_since = None;
        if let Err(error) = self.tail.sync().await {
            self.fail(&error);
        }
    }

    /// Gives readers a view of the collection as it is now.
    ///
    /// The old view's sequence number stays where it is for ever: whoever still reads by it sees
    /// no kill of a row whose replacement is only in the new one.
    pub(super) fn publish_view(&mut self) {
        self.tell_log_bytes();
        self.visible = Arc::new(AtomicU64::new(self.sequence));
        let sealed = self.sealed.iter().map(|sealed| Arc::clone(&sealed.table));
        self.shared.view.store(Arc::new(View {
            version: self.committed.as_ref().map_or(0, |c| c.manifest.number),
            config: self.config(),
            schema: self.schema().clone(),
            sequence: Arc::clone(&self.visible),
            memtables: sealed.chain([Arc::clone(self.active.table())]).collect(),
            segments: self.segments.iter().map(|(live, _)| live.clone()).collect(),
        }));
    }

    /// The segments, as a version names them.
    pub(super) fn segment_refs(&self) -> Vec<SegmentRef> {
        self.segments.iter().map(|(_, named)| named.clone()).collect()
    }

    pub(super) fn check_alive(&self) -> Result<()> {
        match &*self.shared.failure.lock() {
            None => Ok(()),
            Some(error) => Err(error
                .clone()
                .with_kind(match error.kind() {
                    ErrorKind::Fenced => ErrorKind::Fenced,
                    _ => ErrorKind::Unavailable,
                })
                .context("the writer has stopped, reopen the collection")),
        }
    }

    /// Stops the writer for good: later writes fail, reads go on, `stats` reports it.
    pub(super) fn fail(&mut self, error: &Error) {
        self.shared.failure.lock().get_or_insert_with(|| error.clone());
    }
}
