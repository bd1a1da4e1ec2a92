//! A part of the disk is left to merges and vacuums, so that a disk which is nearly full can still be
//! emptied.

use std::time::Duration;

use super::batch::Batch;
use super::own_log::OwnLog;
use super::writer::Writer;
use crate::{Error, ErrorKind, Result};

/// After so long, or so many bytes of log, the disk is asked again what is free.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_BYTES: u64 = 4 << 20;

/// What the disk said last.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    looked_at: Option<Duration>,
    /// Bytes written to the log since.
    written: u64,
    /// What is free, if that is less than is to be left.
    lacking: Option<u64>,
}

impl Reserve {
    /// So many bytes of log were written.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }
}

impl Writer {
    /// Whether a batch may take room on the disk. One that only deletes always may.
    ///
    /// # Errors
    /// `ResourceExhausted`, with what is free.
    pub(super) fn check_disk(&mut self, batch: &Batch) -> Result<()> {
        let left = self.shared.options.disk_reserve;
        if left == 0 || batch.only_deletes() {
            return Ok(());
        }
        let now = self.shared.env.clock.monotonic();
        let is_new = |at: Duration| now.saturating_sub(at) < LOOK_EVERY;
        let is_known =
            self.reserve.looked_at.is_some_and(is_new) && self.reserve.written < LOOK_EVERY_BYTES;
        if !is_known {
            let store = self.own.as_ref().map_or(&self.shared.env.store, OwnLog::store);
            let free = store.free_space();
            let lacking = free.filter(|free| *free < left);
            self.reserve = Reserve { looked_at: Some(now), written: 0, lacking };
        }
        let Some(free) = self.reserve.lacking else { return Ok(()) };
        Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!(
                "{free} bytes are free on the disk; {left} are left to merges and vacuums \
                 (disk_reserve): free some, or delete records"
            ),
        ))
    }
}
