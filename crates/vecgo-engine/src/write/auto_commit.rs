//! Versions that the writer commits by itself.

use std::time::Duration;

use super::flush::{Backoff, LONGEST_PAUSE};
use super::writer::Writer;
use crate::AutoCommit;

/// What has been acknowledged that no version holds.
#[derive(Debug, Default)]
pub(super) struct Uncommitted {
    /// When the first of it was.
    since: Option<Duration>,
    /// Bytes of it in the log.
    bytes: u64,
    backoff: Backoff,
}

impl Uncommitted {
    /// More was acknowledged.
    pub(super) fn add(&mut self, now: Duration, bytes: u64) {
        self.since.get_or_insert(now);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Writer {
    /// The last write that a version holds.
    pub(super) fn committed_sequence(&self) -> u64 {
        self.committed.as_ref().map_or(0, |last| last.manifest.sequence)
    }

    /// A version was committed.
    pub(super) fn is_committed(&mut self) {
        if self.committed_sequence() == self.sequence {
            self.uncommitted = Uncommitted::default();
            *self.shared.commit_failure.lock() = None;
        } else if self.own.is_some() {
            // What was written while that was flushed.
            let since = Some(self.shared.env.clock.monotonic());
            let bytes = self.tail.unsealed_bytes();
            self.uncommitted = Uncommitted { since, bytes, ..Uncommitted::default() };
        }
    }

    /// How long until a commit is due if nobody writes.
    pub(super) fn until_commit(&self, now: Duration) -> Option<Duration> {
        self.check_alive().ok()?;
        if self.own.is_some() && self.is_flushing() {
            return None;
        }
        let AutoCommit { interval, bytes } = self.shared.options.auto_commit;
        let Uncommitted { since, bytes: found, backoff } = &self.uncommitted;
        let since = (*since)?;
        let by_time = interval.map(|interval| since.saturating_add(interval));
        let by_size = bytes.filter(|bytes| found >= bytes).map(|_| now);
        let due = by_time.into_iter().chain(by_size).min()?;
        let flush = if self.own.is_some() { self.backoff.until } else { now };
        Some(due.max(backoff.until).max(flush).saturating_sub(now))
    }

    /// Commits if that is due. A failure is told by `stats`, and tried again.
    pub(super) async fn commit_if_due(&mut self) {
        let now = self.shared.env.clock.monotonic();
        if self.until_commit(now) != Some(Duration::ZERO) {
            return;
        }
        if self.own.is_some() {
            // What a version holds is in segments, which are made beside writes.
            return self.begin_flush().await;
        }
        if let Err(error) = self.commit().await {
            self.uncommitted.backoff.failed(now, LONGEST_PAUSE);
            *self.shared.commit_failure.lock() = Some(error.context("commit failed"));
        }
    }
}
