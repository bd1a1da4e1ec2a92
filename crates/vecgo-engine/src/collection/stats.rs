use std::sync::atomic::Ordering;
use std::time::Duration;

use vecgo_format::{Config, Index, Quantization, SegmentRef};
use vecgo_io::{MemoryStats, RequestCounts, Requests};

use super::{Collection, Lag};
use crate::index::GraphBuild;
use crate::memtable::Memtable;
use crate::segment::LiveSegment;
use crate::{BackupStats, Error, PinStats, Vacuumed};

/// A collection in numbers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// Its configuration.
    pub config: Config,
    /// Live records.
    pub records: u64,
    /// Rows in memory and in segments that were replaced or deleted.
    pub dead_rows: u64,
    /// The last committed version, 0 before the first.
    pub version: u64,
    /// How far a replica is behind the writer; `None` for the writer itself, and for one version.
    pub lag: Option<Lag>,
    /// Sequence number of the last write visible here.
    pub sequence: u64,
    /// Rows in memtables.
    pub memtable_rows: u64,
    /// Bytes in memtables, the codes that searches made of their rows included.
    pub memtable_bytes: u64,
    /// Bytes that this writer has put into the log and that no segment holds yet.
    pub log_bytes: u64,
    /// Bytes of segments held in memory.
    pub resident_bytes: u64,
    /// Bytes in the block cache, which all collections share.
    pub cache_bytes: u64,
    /// What was asked of the store since the database was opened, by all collections; `None` where that
    /// costs nothing.
    pub requests: Option<RequestCounts>,
    /// Bytes of the store's objects that are kept on a disk of this machine.
    pub disk_cache_bytes: u64,
    /// Memory of all collections of the database, by what it is used for.
    pub memory: MemoryStats,
    /// Distances that searches through graphs and clusters have estimated since the collection was opened.
    pub estimates: u64,
    /// Rows whose edges walks followed.
    pub hops: u64,
    /// The graph that is being made, if one is.
    pub graph_build: Option<GraphBuild>,
    /// The segments, oldest first.
    pub segments: Vec<SegmentStats>,
    /// Kernels in use.
    pub simd: &'static str,
    /// Why the writer has stopped, if it has.
    pub failure: Option<Error>,
    /// Why the last commit that nobody asked for came to nothing, if it did.
    pub commit_failure: Option<Error>,
    /// Why the last flush came to nothing, if it did.
    pub flush_failure: Option<Error>,
    /// What the last flush of this writer wrote.
    pub last_flush: Option<SegmentWritten>,
    /// Why the last merge of segments came to nothing, if it did.
    pub merge_failure: Option<Error>,
    /// What the last merge of this writer wrote.
    pub last_merge: Option<SegmentWritten>,
    /// Why the last vacuum came to nothing, if it did.
    pub vacuum_failure: Option<Error>,
    /// What the last vacuum of this writer deleted.
    pub last_vacuum: Option<Vacuumed>,
    /// The pins that it found, by version.
    pub pins: Vec<PinStats>,
    /// How the backups go that the database makes by itself; `None` if it makes none.
    pub backup: Option<BackupStats>,
}

impl Stats {
    /// What there is that goes on beside requests, and why the last try of it failed, if it did: `writer`, which has
    /// stopped then, `commit`, `flush`, `merge`, `vacuum`, `refresh` of a replica, `backup` and `prune` of all
    /// collections.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, Option<&Error>)> {
        let (lag, backup) = (self.lag.as_ref(), self.backup.as_ref());
        [
            ("writer", self.failure.as_ref()),
            ("commit", self.commit_failure.as_ref()),
            ("flush", self.flush_failure.as_ref()),
            ("merge", self.merge_failure.as_ref()),
            ("vacuum", self.vacuum_failure.as_ref()),
            ("refresh", lag.and_then(|lag| lag.failure.as_ref())),
            ("backup", backup.and_then(|backup| backup.failure.as_ref())),
            ("prune", backup.and_then(|backup| backup.prune_failure.as_ref())),
        ]
        .into_iter()
    }
}

/// What a flush or a merge wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentWritten {
    /// The segment's number.
    pub segment: u64,
    /// Its rows.
    pub rows: u64,
    /// Its bytes in the store.
    pub bytes: u64,
    /// How long it took, from when the memtable was full or the merge began until a version named
    /// the segment.
    pub took: Duration,
}

impl SegmentWritten {
    pub(crate) fn of(named: &SegmentRef, took: Duration) -> Self {
        let (rows, bytes) = (named.directory.rows.into(), named.object.length);
        Self { segment: named.number, rows, bytes, took }
    }
}

/// A segment in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStats {
    /// Its number.
    pub number: u64,
    /// Its rows.
    pub rows: u64,
    /// Rows of it that were replaced or deleted.
    pub dead_rows: u64,
    /// Its bytes in the store.
    pub bytes: u64,
    /// What it is searched by: [`Index::Flat`] if it has no index.
    pub index: Index,
    /// What stands in for its vectors then.
    pub quantization: Quantization,
}

impl SegmentStats {
    fn of(live: &LiveSegment, sequence: u64) -> Self {
        let config = live.segment.config();
        let (index, quantization) = match live.segment.has_index() {
            true => (config.index(), config.quantization()),
            false => (Index::Flat, Quantization::None),
        };
        Self {
            number: live.segment.number,
            rows: live.segment.rows().into(),
            dead_rows: live.dead.count_at(sequence),
            bytes: live.segment.length(),
            index,
            quantization,
        }
    }
}

fn memory_bytes(table: &Memtable) -> usize {
    table.bytes() + table.short_codes.memory_bytes()
}

impl Collection {
    /// The collection in numbers.
    pub fn stats(&self) -> Stats {
        let snapshot = self.snapshot();
        let sequence = snapshot.sequence;
        let tables = &snapshot.view.memtables;
        let segments: Vec<SegmentStats> =
            snapshot.view.segments.iter().map(|live| SegmentStats::of(live, sequence)).collect();
        let resident = snapshot.view.segments.iter().map(|live| live.segment.memory_bytes());
        let counts = self.shared.walkers.counts();
        Stats {
            config: self.shared.config(),
            records: snapshot.count(),
            dead_rows: snapshot.rows().saturating_sub(snapshot.count()),
            version: snapshot.view.version,
            lag: self.lag(),
            sequence,
            memtable_rows: tables.iter().map(|table| table.rows_at(sequence) as u64).sum(),
            memtable_bytes: tables.iter().map(|table| memory_bytes(table) as u64).sum(),
            log_bytes: self.shared.log_bytes.load(Ordering::Relaxed),
            resident_bytes: resident.sum(),
            cache_bytes: self.shared.env.cache.bytes(),
            requests: self.shared.env.store.requests().map(Requests::counts),
            disk_cache_bytes: self.shared.env.store.cached_on_disk(),
            memory: self.shared.env.memory.stats(),
            estimates: counts.estimates,
            hops: counts.hops,
            graph_build: self.shared.progress.now(),
            segments,
            simd: self.shared.kernels.level().name(),
            failure: self.shared.failure.lock().clone(),
            commit_failure: self.shared.commit_failure.lock().clone(),
            flush_failure: self.shared.flush_failure.lock().clone(),
            last_flush: *self.shared.last_flush.lock(),
            merge_failure: self.shared.merge_failure.lock().clone(),
            last_merge: *self.shared.last_merge.lock(),
            vacuum_failure: self.shared.vacuum_failure.lock().clone(),
            last_vacuum: *self.shared.last_vacuum.lock(),
            backup: self.shared.backups.stats(self.shared.names.0),
            pins: self.shared.pins.lock().clone(),
        }
    }
}
