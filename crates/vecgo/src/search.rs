use vecgo_engine::SearchParams;

use crate::call::awaitable;
use crate::{Call, Filter, Hit};

/// A search about to begin. Returns the nearest records by nearness, and equally near ones by id.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct Search {
    collection: vecgo_engine::Collection,
    query: Vec<f32>,
    params: SearchParams,
    filter: Option<Filter>,
}

/// A search for several queries about to begin: one answer a query, in their order.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct SearchBatch {
    collection: vecgo_engine::Collection,
    queries: Vec<Vec<f32>>,
    params: SearchParams,
    filter: Option<Filter>,
}

impl Search {
    pub(crate) fn new(collection: vecgo_engine::Collection, query: Vec<f32>) -> Self {
        Self { collection, query, params: SearchParams::default(), filter: None }
    }

    fn call(self) -> Call<Vec<Hit>> {
        let Self { collection, query, params, filter } = self;
        let short = filter.is_none() && collection.is_short(params);
        let threads = collection.threads();
        let found = async move { collection.search(query, params, filter).await };
        if short { Call::here(found) } else { Call::on(threads, found) }
    }
}

impl SearchBatch {
    pub(crate) fn new(collection: vecgo_engine::Collection, queries: Vec<Vec<f32>>) -> Self {
        Self { collection, queries, params: SearchParams::default(), filter: None }
    }

    fn call(self) -> Call<Vec<Vec<Hit>>> {
        let Self { collection, queries, params, filter } = self;
        Call::on(collection.threads(), async move {
            collection.search_batch(queries, params, filter).await
        })
    }
}

/// The settings that both kinds of search have.
macro_rules! settings {
    ($search:ty) => {
        impl $search {
            /// How many records to return (10); fewer come back only if fewer are there.
            pub fn k(mut self, k: usize) -> Self {
                self.params.k = k;
                self
            }

            /// Candidates that the walk through a graph keeps, 1 to
            /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES): more find more of the nearest and take
            /// longer; where the nearest stand out the walk is over before. At least `k` are kept. Without
            /// it 192, or half as much again as `k` if that is more.
            ///
            /// Refused, as `InvalidArgument`, under [`Index::Flat`](crate::Index::Flat).
            pub fn ef(mut self, candidates: usize) -> Self {
                self.params.ef = Some(candidates);
                self
            }

            /// Candidates that are scored again by their vectors, 1 to
            /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES), because the codes of a quantization only
            /// estimate distances. At least `k` are. Without it all are that may be among the nearest,
            /// given how far codes can be off.
            ///
            /// Refused, as `InvalidArgument`, without a quantization.
            pub fn rerank(mut self, candidates: usize) -> Self {
                self.params.rerank = Some(candidates);
                self
            }

            /// Scores every record by its vector, so that the answer is that of brute force.
            /// Always accepted; `ef` and `rerank` have no say then.
            pub fn exact(mut self) -> Self {
                self.params.exact = true;
                self
            }

            /// Finds only records that a filter matches: as many as are wanted, if so many match.
            ///
            /// A filter that is too deep or too large, or compares with what can not be compared, is
            /// refused as `InvalidArgument`.
            pub fn filter(mut self, filter: Filter) -> Self {
                self.filter = Some(filter);
                self
            }

            /// Returns each record's metadata too.
            pub fn with_metadata(mut self) -> Self {
                self.params.fetch.metadata = true;
                self
            }

            /// Returns each record's vector too.
            pub fn with_vector(mut self) -> Self {
                self.params.fetch.vector = true;
                self
            }

            /// Returns each record's payload too.
            pub fn with_payload(mut self) -> Self {
                self.params.fetch.payload = true;
                self
            }
        }
    };
}

settings!(Search);
settings!(SearchBatch);
awaitable!(Search => Vec<Hit>);
awaitable!(SearchBatch => Vec<Vec<Hit>>);
