use vecgo_engine::SearchParams;

use crate::call::awaitable;
use crate::{Call, Hit};

/// A search about to begin. Returns the nearest records by nearness, and equally near ones by id.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct Search {
    collection: vecgo_engine::Collection,
    query: Vec<f32>,
    params: SearchParams,
}

/// A search for several queries about to begin: one answer a query, in their order.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct SearchBatch {
    collection: vecgo_engine::Collection,
    queries: Vec<Vec<f32>>,
    params: SearchParams,
}

impl Search {
    pub(crate) fn new(collection: vecgo_engine::Collection, query: Vec<f32>) -> Self {
        Self { collection, query, params: SearchParams::default() }
    }

    fn call(self) -> Call<Vec<Hit>> {
        let Self { collection, query, params } = self;
        let (short, threads) = (collection.is_short(1), collection.threads());
        let found = async move { collection.search(query, params).await };
        if short { Call::here(found) } else { Call::on(threads, found) }
    }
}

impl SearchBatch {
    pub(crate) fn new(collection: vecgo_engine::Collection, queries: Vec<Vec<f32>>) -> Self {
        Self { collection, queries, params: SearchParams::default() }
    }

    fn call(self) -> Call<Vec<Vec<Hit>>> {
        let Self { collection, queries, params } = self;
        Call::on(
            collection.threads(),
            async move { collection.search_batch(queries, params).await },
        )
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

            /// Scores every record. Always accepted; under the index `flat` every search is exact.
            pub fn exact(self) -> Self {
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
