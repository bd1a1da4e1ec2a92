use vecgo_engine::{Grouping, Request, Selection};

use crate::call::awaitable;
use crate::{Call, Explained, Filter, Group, Hit};

/// A search about to begin. Returns the nearest records by nearness, and equally near ones by id.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct Search {
    collection: vecgo_engine::Collection,
    query: Vec<f32>,
    request: Request,
}

/// A search for several queries about to begin: one answer a query, in their order.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct SearchBatch {
    collection: vecgo_engine::Collection,
    queries: Vec<Vec<f32>>,
    request: Request,
}

impl Search {
    pub(crate) fn new(collection: vecgo_engine::Collection, query: Vec<f32>) -> Self {
        Self { collection, query, request: Request::default() }
    }

    fn call(self) -> Call<Vec<Hit>> {
        let Self { collection, query, request } = self;
        let waits = request.filter.is_some() || request.min_version.is_some();
        let short = !waits && collection.is_short(request.params);
        let threads = collection.threads();
        let found = async move { collection.search(query, request).await };
        if short { Call::here(found) } else { Call::on(threads, found) }
    }
}

impl Search {
    /// Finds the nearest records by the value that they have in a field: as many groups as `k`, the
    /// nearest first, and of each the nearest `hits`. Records without the field are in none.
    ///
    /// More and more of the nearest are looked through until all groups are full, 65,536 at most: so
    /// groups may be missing, or lack hits, that are farther than so many.
    ///
    /// # Errors
    /// As a search. `InvalidArgument` for no groups or no hits.
    pub fn grouped_by(self, field: impl Into<String>, hits: usize) -> Call<Vec<Group>> {
        let Self { collection, query, request } = self;
        let grouping = Grouping { field: field.into(), groups: request.params.k, hits };
        Call::on(collection.threads(), async move {
            collection.search_groups(query, request, grouping).await
        })
    }

    /// Searches, and says how it went about it: what the filter matched, which way each segment and
    /// memtable was gone through and why, rows scored, bytes read, time.
    ///
    /// # Errors
    /// As a search.
    pub fn explain(self) -> Call<Explained> {
        let Self { collection, query, request } = self;
        Call::on(collection.threads(), async move { collection.explain(query, request).await })
    }
}

impl SearchBatch {
    pub(crate) fn new(collection: vecgo_engine::Collection, queries: Vec<Vec<f32>>) -> Self {
        Self { collection, queries, request: Request::default() }
    }

    fn call(self) -> Call<Vec<Vec<Hit>>> {
        let Self { collection, queries, request } = self;
        Call::on(
            collection.threads(),
            async move { collection.search_batch(queries, request).await },
        )
    }
}

/// The settings that both kinds of search have.
macro_rules! settings {
    ($search:ty) => {
        impl $search {
            /// How many records to return (10); fewer come back only if fewer are there.
            pub fn k(mut self, k: usize) -> Self {
                self.request.params.k = k;
                self
            }

            /// Candidates that the walk through a graph keeps, 1 to
            /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES): more find more of the nearest and take
            /// longer; where the nearest stand out the walk is over before. At least `k` are kept. Without
            /// it 192, or half as much again as `k` if that is more.
            ///
            /// Refused, as `InvalidArgument`, unless the index is a graph.
            pub fn ef(mut self, candidates: usize) -> Self {
                self.request.params.ef = Some(candidates);
                self
            }

            /// Clusters of each segment that are searched, 1 to [`MAX_CLUSTERS`](crate::MAX_CLUSTERS),
            /// nearest first: more find more of the nearest and take longer. With a filter, and where records
            /// were deleted, more are, so
            /// that as many records are looked at; and as many more as it takes to find `k`. Without it
            /// 128, or as many as have 32 times as many records as `k` if those are more; twice as many with
            /// a filter.
            ///
            /// Refused, as `InvalidArgument`, unless the index is [`Index::Ivf`](crate::Index::Ivf).
            pub fn nprobe(mut self, clusters: usize) -> Self {
                self.request.params.nprobe = Some(clusters);
                self
            }

            /// Candidates that are scored again by their vectors, 1 to
            /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES), because the codes of a quantization only
            /// estimate distances. At least `k` are. Without it all are that may be among the nearest,
            /// given how far codes can be off; of vectors that are read from the disk, those that may be
            /// nearer than `k` which were scored first.
            ///
            /// Refused, as `InvalidArgument`, without a quantization.
            pub fn rerank(mut self, candidates: usize) -> Self {
                self.request.params.rerank = Some(candidates);
                self
            }

            /// Goes as far as it takes to find this part of what is nearest, 0.5 to 0.9999, on average over
            /// queries like the records: when a segment is written, it is measured how much of what is nearest
            /// to some of its rows is found how far. [`explain`](Search::explain) says how far that is. Without
            /// it, and without `ef` and `nprobe`, that of the collection counts
            /// ([`Config::with_recall_target`](crate::Config::with_recall_target)), if it has one.
            ///
            /// Refused, as `InvalidArgument`, beside `ef` or `nprobe`.
            pub fn recall_target(mut self, recall: f64) -> Self {
                self.request.params.recall_target = Some(recall);
                self
            }

            /// Searches this version or a later one, so that a reader finds what somebody else has committed
            /// ([`Collection::commit`](crate::Collection::commit) says as which version). A reader that has not
            /// come so far looks for it, and fails as `Unavailable` after ten seconds.
            pub fn min_version(mut self, version: u64) -> Self {
                self.request.min_version = Some(version);
                self
            }

            /// Scores every record by its vector, so that the answer is that of brute force.
            /// Always accepted; `ef`, `nprobe`, `recall_target` and `rerank` have no say then.
            pub fn exact(mut self) -> Self {
                self.request.params.exact = true;
                self
            }

            /// Finds only records that a filter matches: as many as are wanted, if so many match.
            ///
            /// A filter that is too deep or too large, or compares with what can not be compared, is
            /// refused as `InvalidArgument`.
            pub fn filter(mut self, filter: Filter) -> Self {
                self.request.filter = Some(filter);
                self
            }

            /// Leaves out hits of a lower score: so fewer than `k` may come back.
            ///
            /// To find all that are near enough, ask for as many as there may be.
            pub fn min_score(mut self, score: f32) -> Self {
                self.request.min_score = Some(score);
                self
            }

            /// Returns each record's metadata too.
            pub fn with_metadata(mut self) -> Self {
                self.request.params.fetch.metadata = true;
                self
            }

            /// Returns these fields of each record's metadata, paths as in a filter, and no others.
            pub fn with_fields<F: Into<String>>(
                mut self,
                fields: impl IntoIterator<Item = F>,
            ) -> Self {
                let fields = fields.into_iter().map(Into::into).collect();
                self.request.fields = Selection::Only(fields);
                self.with_metadata()
            }

            /// Returns each record's metadata without these fields, paths as in a filter.
            pub fn without_fields<F: Into<String>>(
                mut self,
                fields: impl IntoIterator<Item = F>,
            ) -> Self {
                let fields = fields.into_iter().map(Into::into).collect();
                self.request.fields = Selection::But(fields);
                self.with_metadata()
            }

            /// Returns each record's vector too.
            pub fn with_vector(mut self) -> Self {
                self.request.params.fetch.vector = true;
                self
            }

            /// Returns each record's payload too.
            pub fn with_payload(mut self) -> Self {
                self.request.params.fetch.payload = true;
                self
            }
        }
    };
}

settings!(Search);
settings!(SearchBatch);
awaitable!(Search => Vec<Hit>);
awaitable!(SearchBatch => Vec<Vec<Hit>>);
