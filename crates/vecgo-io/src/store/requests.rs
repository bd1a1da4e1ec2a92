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
        }
    }
}
