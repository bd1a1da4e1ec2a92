use std::time::Duration;

use vecgo_engine::{AutoCommit, Config, Index, Metric, Options, Quantization, Retention, WalSync};

use crate::machine::PLENTY_BYTES;
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
    /// When versions are committed that nobody asked for.
    pub auto_commit: AutoCommit,
    /// How many versions are kept that have no tag.
    pub kept_versions: u64,
    /// Whether tasks give way to each other at every call to the store.
    pub busy: bool,
    /// Bytes of memory: so few at times that a memtable has to be flushed before the next grows.
    pub memory: u64,
    /// Whether merged segments have graphs.
    pub indexed: Option<Indexed>,
    /// Whether the store has no locks and no logs, which writers keep on disks of their own.
    pub own_logs: bool,
}

/// What merged segments have beside their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// Of which kind.
    pub index: Index,
    /// What is walked or scanned.
    pub quantization: Quantization,
    /// Rows from which on a segment has one: few, so that there are some.
    pub rows: usize,
}

/// Longest interval between syncs, and that between commits.
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
            auto_commit: AutoCommit::default(),
            kept_versions: 2,
            busy: false,
            memory: PLENTY_BYTES,
            indexed: None,
            own_logs: false,
        }
    }
}

impl Settings {
    /// Any settings.
    pub fn random(random: &mut Random) -> Self {
        // One draw for several, so that what follows it means what it did before there were graphs.
        let drawn = random.next();
        let interval = WalSync::Interval(Duration::from_millis(1 + drawn % 20));
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
            auto_commit: AutoCommit {
                interval: (drawn / 3840).is_multiple_of(4).then_some(LONGEST_INTERVAL),
                bytes: (drawn / 15_360).is_multiple_of(4).then_some(100),
            },
            kept_versions: [16, 1, 2, 3, 5, u64::MAX][(drawn / 640 % 6) as usize],
            busy: random.one_in(2),
            memory: [80 << 10, PLENTY_BYTES][usize::from(!(drawn / 61_440).is_multiple_of(4))],
            indexed: Indexed::of(drawn / 20),
            own_logs: (drawn / 245_760) % 6 == 5,
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
            auto_commit: self.auto_commit,
            auto_compact: self.auto_compact,
            // By bytes nobody could say from outside which versions must be there.
            retention: Retention { versions: self.kept_versions, age: None, bytes: Some(u64::MAX) },
            index_rows: self.indexed.map_or(usize::MAX, |indexed| indexed.rows),
            ..Options::default()
        }
    }

    pub(crate) fn config(&self, dim: usize) -> Config {
        let config = Config::new(dim, self.metric);
        match self.indexed {
            None => config.with_index(Index::Flat),
            Some(indexed) => {
                config.with_index(indexed.index).with_quantization(indexed.quantization)
            }
        }
    }
}

impl Indexed {
    /// The index of a number, as often as none.
    fn of(number: u64) -> Option<Self> {
        let quantization = match number % 8 {
            4 => Quantization::None,
            5 => Quantization::Sq8,
            6 => Quantization::RaBitQ {
                bits: match number / 256 % 8 {
                    bits @ (1..=3 | 5..=7) => u8::try_from(bits).unwrap_or_default(),
                    _ => 4,
                },
            },
            7 if number / 256 % 4 == 3 => Quantization::Pq { parts: 1 },
            7 => Quantization::RaBitQ { bits: 8 },
            _ => return None,
        };
        let rows = match number / 8 % 4 {
            0 => 4,
            1 => 1,
            2 => 8,
            _ => 16,
        };
        let index = match number / 32 % 6 {
            2 | 5 => Index::ivf(),
            4 if quantization != Quantization::None => Index::disk(),
            _ => Index::default(),
        };
        Some(Self { index, quantization, rows })
    }
}
