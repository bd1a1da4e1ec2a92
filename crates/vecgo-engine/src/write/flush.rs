//! Memtables become segments beside the writer; the writer then commits a version that names them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vecgo_format::{ObjectName, SegmentRef};
use vecgo_io::Use;

use super::beside::Ended;
use super::deletes::Deletes;
use super::merge::sort_by_number;
use super::writer::Writer;
use crate::collection::{SegmentWritten, Shared};
use crate::index::short_codes;
use crate::memtable::{DeadRows, Memtable, MemtableWriter};
use crate::segment::{Arrangement, LiveSegment, NewSegment, Rows, Segment, Stop, build};
use crate::{Error, Result, WalSync};

/// A memtable that takes no more writes.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) table: Arc<Memtable>,
    /// Sequence number of the last write before it was sealed.
    sequence: u64,
    /// When that was.
    since: Duration,
    /// Bytes of its logs.
    log_bytes: u64,
    state: FlushState,
}

#[derive(Debug)]
enum FlushState {
    Due,
    Running,
    /// Written, but the version that names it could not be committed.
    Written(Box<Output>),
}

/// Logs that may be left unflushed: whoever opens the collection has to read them.
const MOST_LOGS: u64 = 128;
/// Their bytes in a bucket.
const MOST_LOG_BYTES: u64 = 8 << 20;

/// Pauses between tries of a flush that fails, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// When what failed may be tried again.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Duration,
    pub(super) until: Duration,
}

impl Backoff {
    /// It has failed again.
    pub(super) fn failed(&mut self, now: Duration, longest: Duration) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, longest);
        self.until = now + self.pause;
    }
}

/// What a flush made.
#[derive(Debug)]
pub(crate) struct Output {
    built: Option<Written>,
    /// The rows of older segments that died.
    deletes: Option<Deletes>,
    /// The older segments, by number.
    older: Vec<u64>,
}

/// A segment that a flush wrote.
#[derive(Debug)]
struct Written {
    segment: Arc<Segment>,
    named: SegmentRef,
    /// The memtable's row of each of the segment's rows, ascending.
    rows: Vec<u32>,
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

/// Rows of a memtable beside segments with an index: to go through them takes as long as eight walks.
const MOST_SCANNED: usize = 16_384;

impl Writer {
    /// Rows that fill a memtable. Every search goes through all of them, so where the others have an
    /// index there are not so many that this takes most of the time.
    pub(super) fn most_rows(&self) -> usize {
        let scanned = self.index_rows().map_or(usize::MAX, |_| MOST_SCANNED);
        self.shared.options.memtable_rows.min(scanned)
    }

    pub(super) fn is_full(&self) -> bool {
        let limit = self.shared.options.memtable_bytes;
        // Deletions take room in the log only.
        self.active.table().bytes() >= limit
            || self.active.rows() >= self.most_rows()
            || self.tail.unsealed_bytes() >= limit as u64 * 2
            || self.tail.number().saturating_sub(self.active.table().first_log) >= MOST_LOGS
            || (self.logs_to_bucket() && self.tail.unsealed_bytes() >= MOST_LOG_BYTES)
    }

    fn logs_to_bucket(&self) -> bool {
        !self.shared.env.store.has_locks() && self.own.is_none()
    }

    /// Seals the memtable if it is full or somebody waits for a flush, and starts the flush.
    /// Returns when there is room again: two full memtables are the bound.
    pub(super) async fn flush_if_due(&mut self) {
        loop {
            match self.is_full() || self.is_flush_awaited() {
                true => self.begin_flush().await,
                false => self.start_flush().await,
            }
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
            self.wait_for(|ended| matches!(ended, Ended::Flush(_))).await;
        }
        self.answer_flush_waiters();
    }

    /// Seals the memtable, unless one is sealed or nothing was written since, and starts the flush.
    pub(super) async fn begin_flush(&mut self) {
        // A memtable without rows may still have killed some of segments.
        if self.sealed.is_none()
            && self.sequence > self.flushed_through()
            && let Err(error) = self.seal().await
        {
            self.fail(&error);
        }
        self.start_flush().await;
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

    /// Tells `stats` how much of the log no segment holds.
    pub(super) fn tell_log_bytes(&self) {
        let sealed = self.sealed.as_ref().map_or(0, |sealed| sealed.log_bytes);
        let bytes = self.tail.unsealed_bytes().saturating_add(sealed);
        self.shared.log_bytes.store(bytes, Ordering::Relaxed);
    }

    fn flushed_through(&self) -> u64 {
        let flushed = self.committed.as_ref().map_or(0, |c| c.manifest.log.flushed);
        self.sealed.as_ref().map_or(flushed, |sealed| sealed.sequence)
    }

    async fn seal(&mut self) -> Result<()> {
        self.check_alive()?;
        let log_bytes = self.tail.unsealed_bytes();
        if self.own.is_none() {
            self.vacuums.log_ends(self.active.table().first_log, log_bytes);
        }
        self.tail.roll().await?;
        let charge = self.shared.env.memory.take_anyhow(Use::Memtables, 0);
        let (number, seed) = (self.tail.number(), self.shared.env.rand.next_u64());
        let next = MemtableWriter::new(self.shared.dim(), number, seed, charge);
        let table = Arc::clone(std::mem::replace(&mut self.active, next).table());
        let since = self.shared.env.clock.monotonic();
        let (sequence, state) = (self.sequence, FlushState::Due);
        self.sealed = Some(Sealed { table, sequence, since, log_bytes, state });
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
                return self.flushed(Ok(*output)).await;
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
        self.beside(Ended::Flush, flush.run());
    }

    /// Names what a flush made in a new version.
    pub(super) async fn flushed(&mut self, flushed: Result<Output>) {
        let failed = match flushed {
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
        self.backoff.failed(self.shared.env.clock.monotonic(), LONGEST_PAUSE);
        let error = error.context("flush failed");
        *self.shared.flush_failure.lock() = Some(error.clone());
        for (_, waiter) in self.flush_waiters.drain(..) {
            let _ = waiter.send(Err(error.clone()));
        }
    }

    /// Waits for a flush that is running and names what it made, so that it leaves nothing
    /// behind that no version names.
    pub(super) async fn end_flush(&mut self) {
        if self.is_flushing() {
            self.wait_for(|ended| matches!(ended, Ended::Flush(_))).await;
        }
    }

    async fn install(&mut self, output: &Output) -> Result<()> {
        self.check_alive()?;
        let Some(sealed) = self.sealed.take() else {
            return Err(Error::internal("a flush of nothing"));
        };
        let before = self.segments.clone();
        let installed = self.install_sealed(&sealed, output).await;
        if installed.is_err() {
            self.segments = before;
            self.sealed = Some(sealed);
        }
        installed
    }

    async fn install_sealed(&mut self, sealed: &Sealed, output: &Output) -> Result<()> {
        let mut segments = self.segments.clone();
        if let Some(deletes) = &output.deletes {
            deletes.name(&mut segments);
        }
        // Segments may have been merged since the flush began, which does not know the new one.
        let is_older = |number| output.older.contains(&number);
        self.cover(&mut segments, sealed.sequence, is_older).await?;
        if let Some(Written { segment, named, rows }) = &output.built {
            let dead = DeadRows::default();
            for (killed, row) in sealed.table.dead.after(sealed.sequence) {
                let place = rows.binary_search(&row).ok();
                if let Some(place) = place.and_then(|place| u32::try_from(place).ok()) {
                    dead.kill(place, killed);
                }
            }
            let live = LiveSegment { segment: Arc::clone(segment), dead: Arc::new(dead) };
            segments.push((live, named.clone()));
            sort_by_number(&mut segments);
        }
        self.segments = segments;
        let segments = self.segment_refs();
        let range = self.log_range(sealed.sequence);
        self.put_manifest(range, segments).await?;
        self.delete_own_logs().await;
        if let Some(Written { named, .. }) = &output.built {
            let took = self.shared.env.clock.monotonic().saturating_sub(sealed.since);
            *self.shared.last_flush.lock() = Some(SegmentWritten::of(named, took));
        }
        Ok(())
    }

    /// Answers those whose writes are in a segment of a committed version, and those who would
    /// have to wait until a flush that failed is tried again.
    pub(super) fn answer_flush_waiters(&mut self) {
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

impl Flush {
    async fn run(self) -> Result<Output> {
        let built = self.build().await?;
        let older = self.segments.iter().map(|(live, known)| (live, *known));
        let deletes = Deletes::write(&self.shared, self.epoch, older, self.sequence).await?;
        let older = self.segments.iter().map(|(live, _)| live.segment.number).collect();
        Ok(Output { built, deletes, older })
    }

    /// Writes the rows of the memtable that lived when it was sealed; `None` if none did.
    ///
    /// A row that was dead by then is in no version that could name the segment.
    async fn build(&self) -> Result<Option<Written>> {
        let (shared, table) = (&self.shared, &self.table);
        let all = u32::try_from(table.rows_at(self.sequence))
            .map_err(|_| Error::internal("more than 2^32 rows in a memtable"))?;
        let lives = |row: &u32| !table.dead.is_dead(*row, self.sequence);
        let rows: Vec<u32> = (0..all).filter(lives).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let (config, schema) = shared.settings();
        let new = NewSegment {
            store: &*shared.env.store,
            names: shared.names,
            name: ObjectName { epoch: self.epoch, random: shared.env.rand.next_u64() },
            number: self.number,
            config,
            schema: &schema,
        };
        let mut source = Rows::of_memtable(table, &rows);
        let (extra, _charge) = short_codes((shared, &config), self.number, &source)?;
        let arrangement = Arrangement { extra, ..Arrangement::default() };
        let built = build(new, &mut source, &arrangement, &Stop::default()).await?;
        let named = built.named(self.number);
        let segment = Segment::open_written(shared, &named, "the flush", &[]).await?;
        Ok(Some(Written { segment, named, rows }))
    }
}
