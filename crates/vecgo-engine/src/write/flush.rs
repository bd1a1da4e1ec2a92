//! Memtables become segments beside the writer; the writer then commits a version that names them.

use std::sync::Arc;
use std::time::Duration;

use roaring::RoaringBitmap;
use vecgo_format::{DeleteObject, ObjectName, ObjectRef, SegmentRef};

use super::inbox::{Inbox, Message};
use super::writer::Writer;
use crate::collection::Shared;
use crate::manifest::named_is_missing;
use crate::memtable::{DeadRows, Memtable, MemtableWriter};
use crate::segment::{Built, LiveSegment, Segment, SegmentSource, build};
use crate::{Error, Result, WalSync};

/// A memtable that takes no more writes.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) table: Arc<Memtable>,
    /// Sequence number of the last write before it was sealed.
    sequence: u64,
    state: FlushState,
}

#[derive(Debug)]
enum FlushState {
    Due,
    Running,
    /// Written, but the version that names it could not be committed.
    Written(Box<Output>),
}

/// Log that may be left unflushed in a bucket: whoever opens it has to fetch that.
const MOST_LOG_OBJECTS: u64 = 128;
const MOST_LOG_BYTES: u64 = 8 << 20;

/// Pauses between tries of a flush that fails, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// When a flush that failed may be tried again.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Duration,
    until: Duration,
}

/// What a flush made.
#[derive(Debug)]
pub(crate) struct Flushed {
    result: Result<Output>,
}

#[derive(Debug)]
struct Output {
    built: Option<(Built, Arc<Segment>)>,
    /// Segments whose dead rows changed, with how many are dead, and the object that holds them.
    deletes: Option<(ObjectRef, Vec<(u64, u32)>)>,
}

/// A flush in the making: everything it needs, so that it shares nothing with the writer.
struct Flush {
    shared: Arc<Shared>,
    table: Arc<Memtable>,
    sequence: u64,
    number: u64,
    epoch: u64,
    segments: Vec<(LiveSegment, u32)>,
}

impl Writer {
    pub(super) fn is_full(&self) -> bool {
        let limit = self.shared.options.memtable_bytes;
        // Deletions take room in the log only.
        self.active.table().bytes() >= limit
            || self.active.rows() >= self.shared.options.memtable_rows
            || self.tail.unsealed_bytes() >= limit as u64 * 2
            || (!self.shared.env.store.has_locks()
                && (self.tail.unsealed_objects() >= MOST_LOG_OBJECTS
                    || self.tail.unsealed_bytes() >= MOST_LOG_BYTES))
    }

    /// Seals the memtable if it is full or somebody waits for a flush, and starts the flush.
    /// Returns when there is room again: two full memtables are the bound.
    pub(super) async fn flush_if_due(&mut self) {
        loop {
            let through = self.flushed_through();
            let wanted = self.is_full() || self.is_flush_awaited();
            // A memtable without rows may still have killed some of segments.
            if wanted
                && self.sealed.is_none()
                && self.sequence > through
                && let Err(error) = self.seal().await
            {
                self.fail(&error);
            }
            self.start_flush().await;
            // It may have named what an earlier flush had written; then the next is due.
            if self.sealed.is_none() && self.is_flush_awaited() && self.check_alive().is_ok() {
                continue;
            }
            if !self.is_flushing() || !self.is_full() {
                break;
            }
            // What was acknowledged in the meantime must not wait for its sync as long.
            if self.shared.options.wal_sync != WalSync::OnCommit {
                self.sync().await;
            }
            let flushed = self.inbox.take_flushed().await;
            self.flushed(*flushed).await;
        }
        self.answer_flush_waiters();
    }

    /// Whether somebody waits for writes that no flush has taken up.
    fn is_flush_awaited(&self) -> bool {
        let through = self.flushed_through();
        self.flush_waiters.iter().any(|(to, _)| *to > through)
    }

    pub(super) fn is_flushing(&self) -> bool {
        let state = self.sealed.as_ref().map(|sealed| &sealed.state);
        matches!(state, Some(FlushState::Running))
    }

    fn flushed_through(&self) -> u64 {
        let flushed = self.committed.as_ref().map_or(0, |c| c.manifest.log.flushed);
        self.sealed.as_ref().map_or(flushed, |sealed| sealed.sequence)
    }

    async fn seal(&mut self) -> Result<()> {
        self.check_alive()?;
        self.tail.roll().await?;
        let next = MemtableWriter::new(self.shared.config.dim(), self.tail.number());
        let table = Arc::clone(std::mem::replace(&mut self.active, next).table());
        self.sealed = Some(Sealed { table, sequence: self.sequence, state: FlushState::Due });
        self.publish_view();
        Ok(())
    }

    /// Starts the flush that is due, unless one that failed a moment ago is to be left alone.
    async fn start_flush(&mut self) {
        let now = self.shared.env.clock.monotonic();
        if self.check_alive().is_err() || now < self.backoff.until {
            return;
        }
        let number = self.next_segment;
        let Some(sealed) = &mut self.sealed else { return };
        match std::mem::replace(&mut sealed.state, FlushState::Running) {
            FlushState::Running => return,
            FlushState::Written(output) => {
                return self.flushed(Flushed { result: Ok(*output) }).await;
            }
            FlushState::Due => {}
        }
        self.next_segment += 1;
        let flush = Flush {
            shared: Arc::clone(&self.shared),
            table: Arc::clone(&sealed.table),
            sequence: sealed.sequence,
            number,
            epoch: self.epoch,
            segments: self
                .segments
                .iter()
                .map(|(live, named)| (live.clone(), named.dead_rows))
                .collect(),
        };
        let report = Report { inbox: Arc::clone(&self.inbox), result: None };
        self.shared.env.spawn.spawn(Box::pin(async move {
            // Moved in whole, so that it reports when the task ends and not before.
            let mut report = report;
            report.result = Some(flush.run().await);
        }));
    }

    /// Names what a flush made in a new version.
    pub(super) async fn flushed(&mut self, flushed: Flushed) {
        let failed = match flushed.result {
            Ok(output) => match self.install(&output).await {
                Ok(()) => None,
                Err(error) => Some((error, FlushState::Written(Box::new(output)))),
            },
            Err(error) => Some((error, FlushState::Due)),
        };
        let Some((error, state)) = failed else {
            self.backoff = Backoff::default();
            *self.shared.flush_failure.lock() = None;
            return;
        };
        // The memtable is still whole: a later write, commit or flush tries again.
        if let Some(sealed) = &mut self.sealed {
            sealed.state = state;
        }
        let pause = (self.backoff.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let until = self.shared.env.clock.monotonic() + pause;
        self.backoff = Backoff { pause, until };
        let error = error.context("flush failed");
        for (_, waiter) in self.flush_waiters.drain(..) {
            let _ = waiter.send(Err(error.clone()));
        }
        *self.shared.flush_failure.lock() = Some(error);
    }

    /// Waits for a flush that is running and names what it made, so that it leaves nothing
    /// behind that no version names.
    pub(super) async fn end_flush(&mut self) {
        if self.is_flushing() {
            let flushed = self.inbox.take_flushed().await;
            self.flushed(*flushed).await;
        }
    }

    async fn install(&mut self, output: &Output) -> Result<()> {
        self.check_alive()?;
        let Some(sealed) = self.sealed.take() else {
            return Err(Error::internal("a flush of nothing"));
        };
        let before = self.segments.clone();
        if let Some((object, changed)) = &output.deletes {
            for (number, dead_rows) in changed {
                for (_, named) in self.segments.iter_mut().filter(|(_, n)| n.number == *number) {
                    named.deletes = Some(*object);
                    named.dead_rows = *dead_rows;
                }
            }
        }
        if let Some((built, segment)) = &output.built {
            let dead = DeadRows::default();
            for (row, killed) in sealed.table.dead.after(sealed.sequence) {
                let place = built.rows.binary_search(&row).ok();
                if let Some(place) = place.and_then(|place| u32::try_from(place).ok()) {
                    dead.kill(place, killed);
                }
            }
            let named = SegmentRef {
                number: segment.number,
                object: built.object,
                directory: built.directory.clone(),
                deletes: None,
                dead_rows: 0,
            };
            let live = LiveSegment { segment: Arc::clone(segment), dead: Arc::new(dead) };
            self.segments.push((live, named));
        }
        let segments = self.segments.iter().map(|(_, named)| named.clone()).collect();
        let range = self.log_range(sealed.sequence);
        if let Err(error) = self.put_manifest(range, segments).await {
            self.segments = before;
            self.sealed = Some(sealed);
            return Err(error);
        }
        Ok(())
    }

    /// Answers those whose writes are in a segment of a committed version, and those who would
    /// have to wait until a flush that failed is tried again.
    fn answer_flush_waiters(&mut self) {
        let failure = self.shared.flush_failure.lock().clone();
        let alive = match failure {
            Some(failure) if self.sealed.is_some() && !self.is_flushing() => Err(failure),
            _ => self.check_alive(),
        };
        let last = self.committed.as_ref().map(|committed| &committed.manifest);
        let (version, flushed) = last.map_or((0, 0), |last| (last.number, last.log.flushed));
        for (target, waiter) in std::mem::take(&mut self.flush_waiters) {
            match &alive {
                Err(error) => drop(waiter.send(Err(error.clone()))),
                Ok(()) if target <= flushed => drop(waiter.send(Ok(version))),
                Ok(()) => self.flush_waiters.push((target, waiter)),
            }
        }
    }
}

/// Tells the writer how its flush ended, whatever becomes of the task.
struct Report {
    inbox: Arc<Inbox>,
    result: Option<Result<Output>>,
}

impl Drop for Report {
    fn drop(&mut self) {
        let gone = || Err(Error::internal("the task ended before its time"));
        let result = self.result.take().unwrap_or_else(gone);
        self.inbox.send_now(Message::Flushed(Box::new(Flushed { result })));
    }
}

impl Flush {
    async fn run(self) -> Result<Output> {
        let built = self.build().await?;
        let deletes = self.write_deletes().await?;
        Ok(Output { built, deletes })
    }

    fn name(&self) -> ObjectName {
        ObjectName { epoch: self.epoch, random: self.shared.env.rand.next_u64() }
    }

    async fn build(&self) -> Result<Option<(Built, Arc<Segment>)>> {
        let (shared, name) = (&self.shared, self.name());
        let store = &*shared.env.store;
        let metric = shared.config.metric();
        let built =
            build(store, shared.names, name, self.number, metric, &self.table, self.sequence)
                .await?;
        let Some(built) = built else { return Ok(None) };
        let source = SegmentSource {
            store: Arc::clone(&shared.env.store),
            cache: Arc::clone(&shared.env.cache),
            names: shared.names,
        };
        let named = SegmentRef {
            number: self.number,
            object: built.object,
            directory: built.directory.clone(),
            deletes: None,
            dead_rows: 0,
        };
        let segment = Segment::open(source, &named).await;
        let segment = segment.map_err(|error| named_is_missing(error, "the flush"))?;
        Ok(Some((built, Arc::new(segment))))
    }

    /// One delete object for all segments that lost rows since their last one.
    async fn write_deletes(&self) -> Result<Option<(ObjectRef, Vec<(u64, u32)>)>> {
        let mut object = DeleteObject::default();
        let mut changed = Vec::new();
        for (live, known) in &self.segments {
            let rows: RoaringBitmap = live.dead.rows_at(self.sequence);
            if rows.len() == u64::from(*known) {
                continue;
            }
            changed.push((live.segment.number, u32::try_from(rows.len()).unwrap_or(u32::MAX)));
            object.dead.insert(live.segment.number, rows);
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let (bytes, checksum) = object.encode();
        let name = self.name();
        let key = self.shared.names.deletes(name);
        let mut writer = self.shared.env.store.create(&key).await?;
        writer.write(&bytes).await?;
        writer.finish().await?;
        let length = bytes.len() as u64;
        Ok(Some((ObjectRef { name, length, checksum }, changed)))
    }
}
