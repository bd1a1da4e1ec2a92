#[cfg(feature = "buckets")]
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was asked of a bucket since it was opened.
#[derive(Debug, Default)]
pub struct Requests {
    gets: AtomicU64,
    puts: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    #[cfg(feature = "buckets")]
    under_way: AtomicU64,
    round_trips: AtomicU64,
}

/// What a request does.
#[cfg(feature = "buckets")]
#[derive(Debug, Clone, Copy)]
pub(super) enum RequestKind {
    Get,
    Put,
    List,
    Delete,
}

/// [`Requests`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Objects, or parts of them, asked for.
    pub gets: u64,
    /// Objects, or parts of them, put; each upload of several parts counts two more.
    pub puts: u64,
    /// Listings, however many pages they have.
    pub lists: u64,
    /// Deletions.
    pub deletes: u64,
    /// Bytes of bodies received.
    pub received: u64,
    /// Bytes of bodies sent.
    pub sent: u64,
    /// How often one was asked for while none was under way. Where one thing is done at a time, as many had
    /// to wait for each other.
    pub round_trips: u64,
}

/// What requests cost in dollars at the list prices of S3 (us-east-1, standard storage), a thousand of each.
const PRICE_OF_1000_GETS: f64 = 0.0004;
const PRICE_OF_1000_OTHERS: f64 = 0.005;

impl RequestCounts {
    /// Those since earlier ones.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            gets: self.gets.saturating_sub(earlier.gets),
            puts: self.puts.saturating_sub(earlier.puts),
            lists: self.lists.saturating_sub(earlier.lists),
            deletes: self.deletes.saturating_sub(earlier.deletes),
            received: self.received.saturating_sub(earlier.received),
            sent: self.sent.saturating_sub(earlier.sent),
            round_trips: self.round_trips.saturating_sub(earlier.round_trips),
        }
    }

    /// How many there were.
    pub fn requests(self) -> u64 {
        self.gets + self.puts + self.lists + self.deletes
    }

    /// What they cost in dollars at the list prices of S3, without what leaves its region. Deletions are
    /// free.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn dollars(self) -> f64 {
        let (gets, others) = (self.gets as f64, (self.puts + self.lists) as f64);
        (gets * PRICE_OF_1000_GETS + others * PRICE_OF_1000_OTHERS) / 1000.0
    }
}

/// A request under way.
#[cfg(feature = "buckets")]
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Requests>);

#[cfg(feature = "buckets")]
impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(feature = "buckets")]
impl Requests {
    pub(super) fn sent(&self, kind: RequestKind, bytes: usize) {
        let counter = match kind {
            RequestKind::Get => &self.gets,
            RequestKind::Put => &self.puts,
            RequestKind::List => &self.lists,
            RequestKind::Delete => &self.deletes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// One is under way for as long as this is held.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        if self.under_way.fetch_add(1, Ordering::Relaxed) == 0 {
            self.round_trips.fetch_add(1, Ordering::Relaxed);
        }
        UnderWay(Arc::clone(self))
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Requests {
    /// As many as there are now. Repetitions of a request that failed are not counted.
    pub fn counts(&self) -> RequestCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RequestCounts {
            gets: read(&self.gets),
            puts: read(&self.puts),
            lists: read(&self.lists),
            deletes: read(&self.deletes),
            received: read(&self.received),
            sent: read(&self.sent),
            round_trips: read(&self.round_trips),
        }
    }
}
