//! One limit for all memory that grows with the data.

mod machine;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use event_listener::{Event, EventListener};
use thiserror::Error;

use crate::Clock;

pub(crate) use machine::memory_of_machine;

/// What memory is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Writes that are in no segment yet.
    Memtables,
    /// Finding the rows of ids, which every write does.
    Ids,
    /// What searches need of segments.
    Segments,
    /// What makes them faster: whoever finds too little does without.
    Kept,
    /// Making segments of others.
    Merges,
    /// Answers.
    Queries,
}

const USES: [Use; 6] =
    [Use::Memtables, Use::Ids, Use::Segments, Use::Kept, Use::Merges, Use::Queries];

/// Bytes in use, by what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStats {
    /// The limit for all of them.
    pub limit: u64,
    /// Writes that are in no segment yet.
    pub memtables: u64,
    /// Finding the rows of ids in segments.
    pub ids: u64,
    /// What searches need of segments: indexes and their codes; logs of versions that are read.
    pub segments: u64,
    /// What makes them faster: vectors that could be read each time, codes of rows in no index.
    pub kept: u64,
    /// Making segments of others.
    pub merges: u64,
    /// Answers.
    pub queries: u64,
    /// Set aside for the cache of blocks.
    pub cache: u64,
}

/// Memory under a limit: whoever needs much asks first, and waits for others to be done.
#[derive(Debug)]
pub struct Memory {
    limit: u64,
    /// Longest wait.
    wait: Duration,
    /// Set aside for the cache of blocks.
    cache: u64,
    clock: Arc<dyn Clock>,
    taken: AtomicU64,
    by_use: [AtomicU64; USES.len()],
    /// How many hold memory for memtables.
    memtables: AtomicU64,
    freed: Event,
    /// How often somebody found too little.
    pressure: AtomicU64,
    pressed: Event,
}

/// There is not so much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub struct OutOfMemory {
    /// What was asked for.
    pub bytes: u64,
    /// What there was.
    pub stats: MemoryStats,
}

/// Memory taken for as long as this lives.
#[derive(Debug)]
pub struct Charge {
    memory: Arc<Memory>,
    used_for: Use,
    bytes: u64,
}

impl Memory {
    /// So many bytes, `cache` of which are set aside for blocks. Nobody waits longer than `wait`.
    pub fn new(limit: u64, cache: u64, wait: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            limit,
            wait,
            cache,
            clock,
            taken: AtomicU64::new(0),
            by_use: Default::default(),
            memtables: AtomicU64::new(0),
            freed: Event::new(),
            pressure: AtomicU64::new(0),
            pressed: Event::new(),
        }
    }

    /// The limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Up to how much may be in use for this to get more: so that searches and writes go on while
    /// there is a merge, writes while much is searched, and merges whatever is kept.
    fn ceiling(&self, used_for: Use) -> u64 {
        match used_for {
            Use::Memtables | Use::Ids | Use::Queries => self.limit,
            Use::Segments => self.limit - self.limit / 16,
            Use::Merges => self.limit - self.limit / 4,
            Use::Kept => self.limit / 2,
        }
    }

    /// The most that this could ever get.
    pub fn most(&self, used_for: Use) -> u64 {
        self.ceiling(used_for).saturating_sub(self.least_cache(used_for))
    }

    /// What this leaves to the cache at least. A search needs its index, a write needs ids, and with few
    /// blocks both only take longer; all else leaves it what those have not taken of it.
    fn least_cache(&self, used_for: Use) -> u64 {
        let least = self.never_lent();
        if matches!(used_for, Use::Segments | Use::Ids) {
            return least;
        }
        let lent = self.used(Use::Segments).saturating_add(self.used(Use::Ids));
        let lent = lent.saturating_add(self.cache).saturating_sub(self.ceiling(Use::Segments));
        self.cache.saturating_sub(lent).max(least)
    }

    fn never_lent(&self) -> u64 {
        self.cache.min(self.limit / 64)
    }

    /// Bytes that blocks may have now.
    pub fn cache(&self) -> u64 {
        let left = self.limit.saturating_sub(self.taken.load(Ordering::Relaxed));
        left.clamp(self.never_lent(), self.cache)
    }

    fn used(&self, used_for: Use) -> u64 {
        self.by_use[used_for as usize].load(Ordering::Relaxed)
    }

    /// How much is there.
    pub fn left(&self, used_for: Use) -> u64 {
        self.most(used_for).saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// How much there will be once all is given back that is about to be: memtables, merges, answers.
    pub fn attainable(&self, used_for: Use) -> u64 {
        let held = [Use::Segments, Use::Kept, Use::Ids];
        let held = held.map(|held| self.used(held));
        self.most(used_for).saturating_sub(held.into_iter().sum())
    }

    /// Takes so much if it is there.
    pub fn try_take(self: &Arc<Self>, used_for: Use, bytes: u64) -> Option<Charge> {
        let most = self.most(used_for);
        // Nothing can always be had.
        let fits = |taken: &u64| bytes == 0 || *taken <= most;
        let take = |taken: u64| taken.checked_add(bytes).filter(fits);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(self.charge(used_for, bytes))
    }

    /// Takes so much whether it is there or not: for what is in memory already.
    pub fn take_anyhow(self: &Arc<Self>, used_for: Use, bytes: u64) -> Charge {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.charge(used_for, bytes)
    }

    fn charge(self: &Arc<Self>, used_for: Use, bytes: u64) -> Charge {
        if used_for == Use::Memtables {
            self.memtables.fetch_add(1, Ordering::Relaxed);
        }
        self.by_use[used_for as usize].fetch_add(bytes, Ordering::Relaxed);
        Charge { memory: Arc::clone(self), used_for, bytes }
    }

    /// Takes so much, once it is there.
    ///
    /// # Errors
    /// [`OutOfMemory`] if it is not there after the longest wait, or can never be.
    pub async fn take(self: &Arc<Self>, used_for: Use, bytes: u64) -> Result<Charge, OutOfMemory> {
        self.take_unless(used_for, bytes, || false).await
    }

    /// The same, but does not wait any longer once it is `in_vain`.
    ///
    /// # Errors
    /// As [`take`](Memory::take), and then.
    pub async fn take_unless(
        self: &Arc<Self>,
        used_for: Use,
        bytes: u64,
        in_vain: impl Fn() -> bool + Send,
    ) -> Result<Charge, OutOfMemory> {
        if let Some(charge) = self.try_take(used_for, bytes) {
            return Ok(charge);
        }
        if bytes > self.most(used_for) {
            return Err(self.exhausted(bytes));
        }
        let mut wait = self.wait();
        loop {
            let freed = self.freed();
            if let Some(charge) = self.try_take(used_for, bytes) {
                return Ok(charge);
            }
            // What a merge made room with would be more to merge.
            if used_for != Use::Merges {
                self.press();
            }
            if in_vain() || wait.until(freed).await.is_none() {
                return Err(self.exhausted(bytes));
            }
        }
    }

    /// A wait that has its end.
    pub fn wait(&self) -> Wait<'_> {
        Wait { clock: &*self.clock, until: self.clock.monotonic().saturating_add(self.wait) }
    }

    /// Tells once some was given back after this call.
    pub fn freed(&self) -> EventListener {
        self.freed.listen()
    }

    /// Tells all who hold memory that they could do without that somebody waits for it.
    pub fn press(&self) {
        self.pressure.fetch_add(1, Ordering::Release);
        self.pressed.notify(usize::MAX);
    }

    /// How often that was told.
    pub fn pressure(&self) -> u64 {
        self.pressure.load(Ordering::Acquire)
    }

    /// Returns once it was told more often than that.
    pub async fn pressed(&self, before: u64) {
        loop {
            let pressed = self.pressed.listen();
            if self.pressure() != before {
                return;
            }
            pressed.await;
        }
    }

    /// What a memtable holds at least that is worth giving back: all above that together are half
    /// of what there is.
    pub fn worth_freeing(&self) -> u64 {
        let bytes = self.used(Use::Memtables);
        bytes / self.memtables.load(Ordering::Relaxed).max(1) / 2
    }

    /// The failure to get so much.
    pub fn exhausted(&self, bytes: u64) -> OutOfMemory {
        OutOfMemory { bytes, stats: self.stats() }
    }

    /// What is in use.
    pub fn stats(&self) -> MemoryStats {
        let [memtables, ids, segments, kept, merges, queries] = USES.map(|of| self.used(of));
        let (limit, cache) = (self.limit, self.cache());
        MemoryStats { limit, memtables, ids, segments, kept, merges, queries, cache }
    }
}

/// Until when somebody waits.
#[derive(Debug)]
pub struct Wait<'a> {
    clock: &'a dyn Clock,
    until: Duration,
}

impl Wait<'_> {
    /// Waits for that; `None` if it is not there by the end.
    pub async fn until<T>(&mut self, ready: impl Future<Output = T>) -> Option<T> {
        let left = self.until.saturating_sub(self.clock.monotonic());
        if left.is_zero() {
            return None;
        }
        let over = async {
            self.clock.sleep(left).await;
            None
        };
        futures_lite::future::or(async { Some(ready.await) }, over).await
    }
}

impl Charge {
    /// How much.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds another for the same use.
    pub fn add(&mut self, mut other: Self) {
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut other.bytes));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let Self { memory, used_for, bytes } = self;
        if *used_for == Use::Memtables {
            memory.memtables.fetch_sub(1, Ordering::Relaxed);
        }
        if *bytes > 0 {
            memory.by_use[*used_for as usize].fetch_sub(*bytes, Ordering::Relaxed);
            memory.taken.fetch_sub(*bytes, Ordering::Relaxed);
            memory.freed.notify(usize::MAX);
        }
    }
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MemoryStats { limit, memtables, ids, segments, kept, merges, queries, cache } =
            self.stats;
        write!(
            f,
            "{} of memory were asked for; the limit is {}, of which memtables hold {}, ids {}, \
             segments {}, what is kept for speed {}, merges {}, answers {}, and {} are for the cache",
            Size(self.bytes),
            Size(limit),
            Size(memtables),
            Size(ids),
            Size(segments),
            Size(kept),
            Size(merges),
            Size(queries),
            Size(cache)
        )
    }
}

/// Bytes as people read them.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 10 << 20 => write!(f, "{} KiB", bytes.div_ceil(1 << 10)),
            bytes => write!(f, "{} MiB", bytes.div_ceil(1 << 20)),
        }
    }
}

#[cfg(test)]
mod tests;
