use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use vecgo_io::{Charge, Memory, Use};

use super::{Bound, MatchedRows, RowSet};

/// Filters whose rows are kept for each segment and memtable.
const KEPT: usize = 32;

/// Larger filters are not kept.
const LARGEST: usize = 64 << 10;

/// The rows that recent filters match: those of a segment never change, those of a memtable only
/// grow.
#[derive(Debug, Default)]
pub(crate) struct KeptMatches {
    kept: ArcSwap<Vec<Arc<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    bound: Arc<Bound>,
    rows: Arc<MatchedRows>,
    /// Whether anybody asked for it since it was last thought of giving it up.
    used: AtomicBool,
    _memory: Charge,
}

impl KeptMatches {
    pub(super) fn find(&self, bound: &Bound) -> Option<Arc<MatchedRows>> {
        let kept = self.kept.load();
        let found = kept.iter().find(|kept| kept.bound.is_as(bound))?;
        if !found.used.load(Ordering::Relaxed) {
            found.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&found.rows))
    }

    /// Keeps rows, if there is memory for it. Who keeps others at the same time may be forgotten.
    pub(super) fn keep(&self, bound: &Arc<Bound>, rows: &Arc<MatchedRows>, memory: &Arc<Memory>) {
        let filter = bound.filter().bytes();
        if filter > LARGEST {
            return;
        }
        // Which clusters have some of them takes a bit of each, of which there is one for 16 rows; tests
        // take several times as much as the filter.
        let count = rows.set.rows();
        let bytes = RowSet::bytes_for(count) + RowSet::bytes_for(count.div_ceil(16));
        let bytes = bytes.saturating_add(8 * filter as u64);
        let Some(charge) = memory.try_take(Use::Kept, bytes) else { return };
        let others = self.kept.load();
        let mut kept: Vec<_> =
            others.iter().filter(|kept| !kept.bound.is_as(bound)).cloned().collect();
        if kept.len() >= KEPT {
            // The oldest that nobody asked for since this was last the question.
            let unused = kept.iter().position(|kept| !kept.used.swap(false, Ordering::Relaxed));
            kept.remove(unused.unwrap_or(0));
        }
        kept.push(Arc::new(Kept {
            bound: Arc::clone(bound),
            rows: Arc::clone(rows),
            used: AtomicBool::new(false),
            _memory: charge,
        }));
        self.kept.store(Arc::new(kept));
    }
}
