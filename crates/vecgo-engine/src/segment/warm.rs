//! A segment that was just written is loaded before anybody sees it: its lookup where that of a
//! segment that it replaces was, the rest where anybody searches. Then nobody waits for that.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use vecgo_format::SegmentRef;

use super::{Segment, SegmentSource};
use crate::Result;
use crate::collection::Shared;
use crate::manifest::written_is_missing;
use crate::short_codes::{CHUNK_ROWS, ShortCodes};

impl Segment {
    /// Opens a segment that `writer` wrote in place of others, or of a memtable if those are none.
    pub(crate) async fn open_written(
        shared: &Shared,
        named: &SegmentRef,
        writer: &str,
        others: &[&Segment],
    ) -> Result<Arc<Self>> {
        let segment = Self::open_again(shared, named, writer).await?;
        // Whoever needs what cannot be loaded now meets the error, and who does not need not know.
        let _ = segment.warm(shared, others).await;
        Ok(Arc::new(segment))
    }

    /// Opens one that `writer` wrote, and loads nothing of it.
    pub(crate) async fn open_again(
        shared: &Shared,
        named: &SegmentRef,
        writer: &str,
    ) -> Result<Self> {
        let source = SegmentSource {
            store: Arc::clone(&shared.env.store),
            cache: Arc::clone(&shared.env.cache),
            memory: Arc::clone(&shared.env.memory),
            names: shared.names,
        };
        let segment = Self::open(source, named).await;
        segment.map_err(|error| written_is_missing(&*shared.env.store, error, writer))
    }

    async fn warm(&self, shared: &Shared, others: &[&Segment]) -> Result<()> {
        if others.is_empty() || others.iter().any(|other| other.has_lookup()) {
            self.load_lookup().await?;
        }
        if !shared.searched.load(Ordering::Relaxed) {
            return Ok(());
        }
        let given_up = others.iter().map(|other| other.held()).sum();
        self.load_all(shared.metric(), &shared.kernels, given_up).await?;
        if !self.has_index() && ShortCodes::are_for(&shared.config()) {
            let chunks =
                if self.resident().is_some() { self.rows() as usize / CHUNK_ROWS } else { 0 };
            for _ in 0..chunks {
                self.short_codes.grow(shared, |first| {
                    self.resident_rows(u32::try_from(first).ok()?, CHUNK_ROWS)
                })?;
            }
        }
        Ok(())
    }
}
