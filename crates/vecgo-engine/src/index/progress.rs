use std::sync::atomic::{AtomicU64, Ordering};

/// How far the graph that is being made is; one is made at a time.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    number: AtomicU64,
    rows: AtomicU64,
    done: AtomicU64,
}

/// A graph in the making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphBuild {
    /// Tells it from those made before and after.
    pub number: u64,
    /// Rows that it is to lead to.
    pub rows: u64,
    /// How much of the linking is done, as a number of rows. Encoding and ordering them comes before,
    /// and counts for nothing.
    pub done: u64,
}

/// Says that a graph is being made, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watched<'a>(&'a Progress);

impl Progress {
    pub(crate) fn begin(&self, rows: usize) -> Watched<'_> {
        self.number.fetch_add(1, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        self.rows.store(rows as u64, Ordering::Relaxed);
        Watched(self)
    }

    /// `None` if no graph is being made.
    pub(crate) fn now(&self) -> Option<GraphBuild> {
        let rows = self.rows.load(Ordering::Relaxed);
        let number = self.number.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed).min(rows);
        (rows > 0).then_some(GraphBuild { number, rows, done })
    }
}

impl Watched<'_> {
    pub(crate) fn done(&self, rows: usize) {
        self.0.done.store(rows as u64, Ordering::Relaxed);
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.rows.store(0, Ordering::Relaxed);
    }
}
