use std::sync::Arc;

use async_lock::Mutex;
use vecgo_engine::Fetch;
use vecgo_io::Spawn;

use crate::call::awaitable;
use crate::{Call, Filter, Record};

/// A scan about to begin.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct ScanBuilder {
    inner: vecgo_engine::Collection,
    fetch: Fetch,
    page: usize,
    filter: Option<Filter>,
}

impl ScanBuilder {
    pub(crate) fn new(inner: vecgo_engine::Collection, fetch: Fetch) -> Self {
        Self { inner, fetch, page: 1000, filter: None }
    }

    /// Records a page at most (1000); fewer where they are large, and on the last.
    pub fn page_size(mut self, records: usize) -> Self {
        self.page = records;
        self
    }

    /// Reads only records that a filter matches.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Reads vectors too.
    pub fn with_vector(mut self) -> Self {
        self.fetch.vector = true;
        self
    }

    /// Reads payloads too.
    pub fn with_payload(mut self) -> Self {
        self.fetch.payload = true;
        self
    }

    fn call(self) -> Call<Scan> {
        let threads = self.inner.threads();
        let here = self.filter.is_none();
        let on = Arc::clone(&threads);
        let begin = async move {
            let scan = self.inner.scan(self.fetch, self.page, self.filter).await?;
            Ok(Scan {
                version: scan.version(),
                sequence: scan.sequence(),
                inner: Arc::new(Mutex::new(scan)),
                threads,
            })
        };
        if here { Call::here(begin) } else { Call::on(on, begin) }
    }
}

awaitable!(ScanBuilder => Scan);

/// A scan: every record of one state of the collection once, whatever is written meanwhile.
#[derive(Debug)]
pub struct Scan {
    inner: Arc<Mutex<vecgo_engine::Scan>>,
    threads: Arc<dyn Spawn>,
    version: u64,
    sequence: u64,
}

impl Scan {
    /// The version that was newest when the scan began.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Sequence number of the last write that the scan sees.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The next records, in no particular order; `None` after the last.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn next_page(&mut self) -> Call<Option<Vec<Record>>> {
        let inner = Arc::clone(&self.inner);
        let next = async move { inner.lock().await.next_page().await };
        Call::on(Arc::clone(&self.threads), next)
    }
}
