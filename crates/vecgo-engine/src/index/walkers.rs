use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::walk::Walker;

/// What searches have done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Rows whose distance was estimated.
    pub(crate) estimates: u64,
    /// Rows whose edges were followed.
    pub(crate) hops: u64,
}

/// Walkers that nobody is using.
#[derive(Debug, Default)]
pub(crate) struct Walkers {
    idle: Mutex<Vec<Walker>>,
    estimates: AtomicU64,
    hops: AtomicU64,
}

impl Walkers {
    pub(crate) fn take(&self) -> Walker {
        self.idle.lock().pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, mut walker: Walker) {
        let Counts { estimates, hops } = std::mem::take(&mut walker.counts);
        self.estimates.fetch_add(estimates, Ordering::Relaxed);
        self.hops.fetch_add(hops, Ordering::Relaxed);
        self.idle.lock().push(walker);
    }

    /// What all those have done that were given back.
    pub(crate) fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { estimates: count(&self.estimates), hops: count(&self.hops) }
    }
}
