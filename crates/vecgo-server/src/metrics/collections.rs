//! The database in numbers, as it is when somebody asks.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts, Registry, Result};
use vecgo::Stats;

use crate::serve::State;

/// Gauges and counters that are made for one answer.
struct Board {
    registry: Registry,
}

impl Board {
    /// A gauge with a value for each label.
    fn gauge(&self, name: &str, help: &str, label: &str, values: &[(&str, f64)]) -> Result<()> {
        let labels: &[&str] = if label.is_empty() { &[] } else { &[label] };
        let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
        for (value_of, value) in values {
            let values: &[&str] = if label.is_empty() { &[] } else { &[value_of] };
            gauge.with_label_values(values).set(*value);
        }
        self.registry.register(Box::new(gauge))
    }

    fn one(&self, name: &str, help: &str, value: f64) -> Result<()> {
        self.gauge(name, help, "", &[("", value)])
    }

    fn counter(&self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) -> Result<()> {
        let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
        for (value_of, value) in values {
            counter.with_label_values(&[value_of]).inc_by(*value);
        }
        self.registry.register(Box::new(counter))
    }

    /// A number of each collection: of all together, or told apart.
    fn each(
        &self,
        name: &str,
        help: &str,
        all: &[(String, Stats)],
        apart: bool,
        join: fn(f64, f64) -> f64,
        of: impl Fn(&Stats) -> f64,
    ) -> Result<()> {
        if apart {
            let values: Vec<(&str, f64)> =
                all.iter().map(|(name, stats)| (name.as_str(), of(stats))).collect();
            return self.gauge(name, help, "collection", &values);
        }
        self.one(name, help, all.iter().map(|(_, stats)| of(stats)).fold(0.0, join))
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floats alone")]
fn float(number: u64) -> f64 {
    number as f64
}

fn sum(a: f64, b: f64) -> f64 {
    a + b
}

pub(super) fn gather(state: &State) -> Result<Vec<MetricFamily>> {
    let board = Board { registry: Registry::new() };
    let all = state.stats();
    let apart = state.settings.per_collection;
    board.one(
        "vecgo_ready",
        "Whether requests are to be sent here, as /readyz has it",
        f64::from(u8::from(state.is_ready(&all))),
    )?;
    board.one("vecgo_collections", "Open collections", float(all.len() as u64))?;
    let broken = |what: &str| {
        state.broken.lock().iter().filter(|trouble| trouble.what == what).count() as u64
    };
    board.one(
        "vecgo_collections_unopened",
        "Collections that could not be opened",
        float(broken("open")),
    )?;
    board.one(
        "vecgo_collections_unread",
        "Collections of which what searches read could not be loaded, but for want of memory",
        float(broken("read")),
    )?;
    sizes(&board, &all, apart)?;
    troubles(&board, &all, apart)?;
    backups(&board, state, &all)?;
    if let Some((_, stats)) = all.first() {
        shared(&board, stats)?;
    }
    Ok(board.registry.gather())
}

/// What collections hold.
fn sizes(board: &Board, all: &[(String, Stats)], apart: bool) -> Result<()> {
    let sum = |name: &str, help: &str, of: fn(&Stats) -> u64| {
        board.each(name, help, all, apart, sum, |stats| float(of(stats)))
    };
    sum("vecgo_vectors_total", "Records", |stats| stats.records)?;
    sum("vecgo_dead_rows", "Rows that were replaced or deleted and are still there", |stats| {
        stats.dead_rows
    })?;
    sum("vecgo_segments", "Segments", |stats| stats.segments.len() as u64)?;
    sum("vecgo_segment_bytes", "Bytes of segments in the store", |stats| {
        stats.segments.iter().map(|segment| segment.bytes).sum()
    })?;
    sum("vecgo_memtable_rows", "Rows that are in no segment yet", |stats| stats.memtable_rows)?;
    sum("vecgo_memtable_bytes", "Bytes of those in memory", |stats| stats.memtable_bytes)?;
    sum("vecgo_log_bytes", "Bytes of the log that no segment holds yet", |stats| stats.log_bytes)?;
    sum(
        "vecgo_version",
        "Number of the version that is read; of many collections the sum",
        |stats| stats.version,
    )
}

/// What does not work, and how far behind it is.
fn troubles(board: &Board, all: &[(String, Stats)], apart: bool) -> Result<()> {
    let mut failing: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, error) in all.iter().flat_map(|(_, stats)| stats.failures()) {
        *failing.entry(what).or_default() += u64::from(error.is_some());
    }
    let failing: Vec<(&str, f64)> =
        failing.into_iter().map(|(what, collections)| (what, float(collections))).collect();
    board.gauge(
        "vecgo_failing",
        "Collections of which the last try of something failed",
        "what",
        &failing,
    )?;
    if all.iter().any(|(_, stats)| stats.lag.is_some()) {
        let lag = |name: &str, help: &str, of: fn(&vecgo::Lag) -> f64| {
            board.each(name, help, all, apart, f64::max, |stats| stats.lag.as_ref().map_or(0.0, of))
        };
        lag(
            "vecgo_replica_lag_versions",
            "Versions that the replica is behind; of many collections the most",
            |lag| float(lag.versions),
        )?;
        lag(
            "vecgo_replica_lag_seconds",
            "How long ago its version was known to be the newest; of many collections the most",
            |lag| lag.age.as_secs_f64(),
        )?;
    }
    Ok(())
}

/// Of a server that makes backups, or can be asked to.
fn backups(board: &Board, state: &State, all: &[(String, Stats)]) -> Result<()> {
    let Some(interval) = state.settings.backup_interval() else { return Ok(()) };
    // All collections are in each backup.
    let by_itself = all.iter().find_map(|(_, stats)| stats.backup.as_ref()?.last_ms);
    let asked = state.asked_backup_ms.load(Ordering::Relaxed);
    board.one(
        "vecgo_backup_last_success_timestamp_seconds",
        "When the last backup of everything was begun that was made since the start; 0 if none was",
        float(by_itself.unwrap_or_default().max(asked)) / 1e3,
    )?;
    board.one(
        "vecgo_backup_interval_seconds",
        "How often backups are made; 0 for when one is asked for",
        interval.as_secs_f64(),
    )
}

/// What all collections share, so that any of them knows.
fn shared(board: &Board, stats: &Stats) -> Result<()> {
    let memory = &stats.memory;
    board.one(
        "vecgo_memory_limit_bytes",
        "The most memory that the database takes",
        float(memory.limit),
    )?;
    board.gauge(
        "vecgo_memory_bytes",
        "Memory of the database, by what it is used for",
        "use",
        &[
            ("memtables", float(memory.memtables)),
            ("ids", float(memory.ids)),
            ("segments", float(memory.segments)),
            ("kept", float(memory.kept)),
            ("merges", float(memory.merges)),
            ("queries", float(memory.queries)),
            ("cache", float(memory.cache)),
        ],
    )?;
    board.one(
        "vecgo_block_cache_bytes",
        "Bytes in the cache of blocks",
        float(stats.cache_bytes),
    )?;
    board.one(
        "vecgo_disk_cache_bytes",
        "Bytes of the store's objects on a disk of this machine",
        float(stats.disk_cache_bytes),
    )?;
    let Some(requests) = stats.requests else { return Ok(()) };
    board.counter(
        "vecgo_store_requests_total",
        "Requests to the bucket",
        "operation",
        &[
            ("get", requests.gets),
            ("put", requests.puts),
            ("list", requests.lists),
            ("delete", requests.deletes),
        ],
    )?;
    board.counter(
        "vecgo_store_bytes_total",
        "Bytes of bodies from and to the bucket",
        "direction",
        &[("received", requests.received), ("sent", requests.sent)],
    )
}
