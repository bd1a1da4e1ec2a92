use std::time::Duration;

use crate::{Error, Result, Retention};

/// When an acknowledged write is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WalSync {
    /// When it is acknowledged. Writes that wait together share one sync of the log.
    #[default]
    EveryWrite,
    /// At most this long after it was acknowledged.
    Interval(Duration),
    /// When a later `commit` returns.
    OnCommit,
}

/// When a writer commits a version by itself, so that other processes see what was written: at the
/// first of both; never if there is neither, which is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AutoCommit {
    /// So long after a write was acknowledged that no version holds.
    pub interval: Option<Duration>,
    /// Once so many bytes were written to the log that no version holds.
    pub bytes: Option<u64>,
}

/// Settings of an open database. They belong to the process, not to the data.
#[derive(Debug, Clone)]
pub struct Options {
    /// When acknowledged writes are durable.
    pub wal_sync: WalSync,
    /// When a version is committed that nobody asked for.
    pub auto_commit: AutoCommit,
    /// A memtable is flushed to a segment when it holds so many bytes, or an eighth of the memory
    /// that there may be. Two may exist at a time.
    pub memtable_bytes: usize,
    /// A memtable is flushed when it holds so many rows, or 16,384 if segments have an index: every
    /// search goes through all of them.
    pub memtable_rows: usize,
    /// Whether segments are merged when there are many small ones or many dead rows.
    pub auto_compact: bool,
    /// Which versions are kept.
    pub retention: Retention,
    /// Whether versions that are not kept are deleted by themselves.
    pub auto_vacuum: bool,
    /// How long after a version stopped being kept what only it names is deleted: long enough for
    /// readers elsewhere to be done. If absent, none in a directory, where a reader holds its files
    /// open, and a quarter of an hour elsewhere.
    pub vacuum_grace: Option<Duration>,
    /// While less of the disk is free nothing is written but deletions: merges and vacuums need room
    /// to make some. 0 for none.
    pub disk_reserve: u64,
    /// A segment of fewer rows gets no index: to go through all its rows takes no longer than to
    /// walk one.
    pub index_rows: usize,
    /// How often a replica looks for a newer version; never by itself if absent.
    pub refresh_interval: Option<Duration>,
    /// Which kernels to use: `none`, `avx2`, `avx512`; the best there is if absent.
    pub simd: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wal_sync: WalSync::default(),
            auto_commit: AutoCommit::default(),
            memtable_bytes: 64 << 20,
            memtable_rows: 1 << 18,
            auto_compact: true,
            retention: Retention::default(),
            auto_vacuum: true,
            vacuum_grace: None,
            disk_reserve: 64 << 20,
            index_rows: 2048,
            refresh_interval: None,
            simd: None,
        }
    }
}

/// Below this a flush would hold a few rows only.
const MIN_MEMTABLE_BYTES: usize = 64 << 10;
/// Half of it, the largest batch, is well below the 4 GiB that a frame of the log can hold.
const MAX_MEMTABLE_BYTES: usize = 4 << 30;

impl Options {
    /// As they are where there may be so many bytes of memory.
    pub(crate) fn within(mut self, memory: u64) -> Self {
        let part = usize::try_from(memory / 8).unwrap_or(usize::MAX);
        self.memtable_bytes = self.memtable_bytes.min(part.max(MIN_MEMTABLE_BYTES));
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.memtable_bytes < MIN_MEMTABLE_BYTES {
            let found = self.memtable_bytes;
            let message =
                format!("memtable_bytes is {found}; expected {MIN_MEMTABLE_BYTES} or more");
            return Err(Error::invalid(message));
        }
        if self.memtable_bytes > MAX_MEMTABLE_BYTES {
            let found = self.memtable_bytes;
            let message =
                format!("memtable_bytes is {found}; expected {MAX_MEMTABLE_BYTES} or less");
            return Err(Error::invalid(message));
        }
        if self.memtable_rows == 0 {
            return Err(Error::invalid("memtable_rows is 0; expected 1 or more"));
        }
        if self.wal_sync == WalSync::Interval(Duration::ZERO) {
            return Err(Error::invalid(
                "the interval of WalSync is 0; expected more, or EveryWrite",
            ));
        }
        if self.refresh_interval == Some(Duration::ZERO) {
            return Err(Error::invalid("refresh_interval is 0; expected more, or None"));
        }
        if self.auto_commit.interval == Some(Duration::ZERO) || self.auto_commit.bytes == Some(0) {
            return Err(Error::invalid("auto_commit at 0; expected more, or None"));
        }
        Ok(())
    }

    /// Whether a record of so many dimensions fits a batch.
    pub(crate) fn check_dim(&self, dim: usize) -> Result<()> {
        let (row, limit) = (dim * 4, self.batch_bytes());
        if row > limit / 2 {
            return Err(Error::invalid(format!(
                "a vector of {dim} dimensions takes {row} bytes; expected memtable_bytes of {} or \
                 more and a memory_limit of eight times as many, found {}",
                row * 4,
                self.memtable_bytes
            )));
        }
        Ok(())
    }

    /// Largest batch in bytes: half a memtable.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.memtable_bytes / 2
    }
}
