use std::time::Duration;

use vecgo_engine::{Config, Index, Metric, Options, WalSync};

use crate::random::Random;

/// How a run's database is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Metric of its collections.
    pub metric: Metric,
    /// When writes are durable.
    pub wal_sync: WalSync,
    /// Rows that a memtable holds: few, so that flushes happen.
    pub memtable_rows: usize,
    /// Whether segments are merged by themselves.
    pub auto_compact: bool,
    /// Whether tasks give way to each other at every call to the store.
    pub busy: bool,
}

/// Longest interval between syncs.
pub(crate) const LONGEST_INTERVAL: Duration = Duration::from_millis(20);

/// Least that the engine takes.
const MEMTABLE_BYTES: usize = 64 << 10;

impl Default for Settings {
    fn default() -> Self {
        Self {
            metric: Metric::L2,
            wal_sync: WalSync::EveryWrite,
            memtable_rows: 1000,
            auto_compact: true,
            busy: false,
        }
    }
}

impl Settings {
    /// Any settings.
    pub fn random(random: &mut Random) -> Self {
        let interval = WalSync::Interval(Duration::from_millis(1 + random.next() % 20));
        Self {
            metric: *random.pick(&[Metric::Cosine, Metric::L2, Metric::Dot]),
            wal_sync: *random.pick(&[
                WalSync::EveryWrite,
                WalSync::EveryWrite,
                WalSync::OnCommit,
                interval,
            ]),
            memtable_rows: *random.pick(&[1, 4, 10, 40, 1000]),
            auto_compact: !random.one_in(4),
            busy: random.one_in(2),
        }
    }

    /// Whether an acknowledged write is durable.
    pub fn every_write(&self) -> bool {
        self.wal_sync == WalSync::EveryWrite
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            wal_sync: self.wal_sync,
            memtable_bytes: MEMTABLE_BYTES,
            memtable_rows: self.memtable_rows,
            auto_compact: self.auto_compact,
            ..Options::default()
        }
    }

    /// Answers are compared with brute force.
    pub(crate) fn config(&self, dim: usize) -> Config {
        Config::new(dim, self.metric).with_index(Index::Flat)
    }
}
