//! What a caller reads.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vecgo_format::Id;

use super::Collection;
use crate::query::{
    Explained, Facet, Fetch, Group, Grouping, Hit, Request, Scan, Snapshot, check_vector,
};
use crate::{Error, ErrorKind, Filter, Record, Result};
use vecgo_io::{BoxFuture, SpawnExt};

/// Something being read.
type Reading<'a, T> = BoxFuture<'a, Result<T>>;

/// Versions in a row that are deleted while they are read before a read is given up.
const MOST_TRIES: usize = 10;

/// How long a search waits for a version that it asks for.
const MIN_VERSION_WAIT: Duration = Duration::from_secs(10);

impl Collection {
    /// The records of some ids, in their order.
    ///
    /// # Errors
    /// `ResourceExhausted` if there is no memory for them; what reading the store can meet.
    pub fn get<'a>(&'a self, ids: &'a [Id]) -> BoxFuture<'a, Result<Vec<Option<Record>>>> {
        Box::pin(async move {
            self.read(|snapshot| Box::pin(async move { snapshot.get(ids).await })).await
        })
    }

    /// Whether some ids are there, in their order.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn exists<'a>(&'a self, ids: &'a [Id]) -> BoxFuture<'a, Result<Vec<bool>>> {
        Box::pin(async move {
            self.read(|snapshot| {
                Box::pin(async move {
                    let mut found = Vec::with_capacity(ids.len());
                    for id in ids {
                        found.push(snapshot.find(id).await?.is_some());
                    }
                    Ok(found)
                })
            })
            .await
        })
    }

    /// Loads what searches read of all segments, and vectors of segments where all fit, so that no search
    /// waits for it.
    ///
    /// # Errors
    /// `ResourceExhausted` if there is no memory for it; what reading the store can meet.
    pub fn warm(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.read(|snapshot| {
                Box::pin(async move {
                    let shared = Arc::clone(&snapshot.shared);
                    shared.searched.store(true, Ordering::Relaxed);
                    let segments = snapshot.view.segments.iter();
                    let tasks: Vec<_> = segments
                        .map(|live| {
                            let (segment, shared) =
                                (Arc::clone(&live.segment), Arc::clone(&shared));
                            let (metric, kernels) = (shared.metric(), shared.kernels);
                            let load = async move { segment.load_all(metric, &kernels, 0).await };
                            shared.env.spawn.start(load)
                        })
                        .collect();
                    for task in tasks {
                        task.await.ok_or_else(Error::panicked)??;
                    }
                    Ok(())
                })
            })
            .await
        })
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.snapshot().count()
    }

    /// How many records a filter matches.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter that is too deep or too large, or that compares with what can
    /// not be compared; and what reading the store can meet.
    pub fn count_where(&self, filter: Filter) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let filter = &filter;
            self.read(|snapshot| {
                Box::pin(async move { Ok(matching(snapshot, Some(filter)).await?.count()) })
            })
            .await
        })
    }

    /// Reads something at one moment. A replica whose version is not kept any more begins again with the
    /// newest.
    async fn read<'a, T>(&self, read: impl Fn(Snapshot) -> Reading<'a, T>) -> Result<T> {
        for tries in 1.. {
            let snapshot = self.open_snapshot()?;
            let version = snapshot.view.version;
            match read(snapshot).await {
                Err(error) if error.kind() == ErrorKind::VersionGone && tries < MOST_TRIES => {
                    self.moves_on(version, error).await?;
                }
                read => return read,
            }
        }
        Err(Error::internal("a read that never ends"))
    }

    /// The same, of a version that a request asks for at least.
    async fn answer<'a, T>(
        &self,
        request: &Request,
        answer: impl Fn(Snapshot) -> Reading<'a, T>,
    ) -> Result<T> {
        if let Some(version) = request.min_version {
            self.reach(version, MIN_VERSION_WAIT).await?;
        }
        self.read(answer).await
    }

    /// Reads all records, or those that a filter matches, a page at a time, in no particular order.
    ///
    /// # Errors
    /// `InvalidArgument` for a page of 0 records.
    pub fn scan(
        &self,
        fetch: Fetch,
        page: usize,
        filter: Option<Filter>,
    ) -> BoxFuture<'_, Result<Scan>> {
        Box::pin(async move {
            let filter = filter.as_ref();
            self.read(|snapshot| {
                Box::pin(async move { Scan::new(matching(snapshot, filter).await?, fetch, page) })
            })
            .await
        })
    }

    /// The nearest records of one query.
    ///
    /// # Errors
    /// `InvalidArgument` for a query that no record could equal, a knob that is out of range or does
    /// nothing for the collection's index, or a filter that is refused.
    pub fn search(&self, query: Vec<f32>, request: Request) -> BoxFuture<'_, Result<Vec<Hit>>> {
        Box::pin(async move {
            self.check_query(&query)?;
            request.check()?;
            let (query, request) = (&query, &request);
            self.answer(request, |snapshot| {
                Box::pin(async move {
                    let snapshot = matching(snapshot, request.filter.as_ref()).await?;
                    let mut found = snapshot.search(query.clone(), request.params).await?;
                    Ok(request.finish(found.pop().unwrap_or_default()))
                })
            })
            .await
        })
    }

    /// The nearest records of several queries, all seen at one moment.
    ///
    /// # Errors
    /// `InvalidArgument` names the query at fault, or the knob; `ResourceExhausted` for more hits
    /// in all than should be held at once.
    pub fn search_batch(
        &self,
        queries: Vec<Vec<f32>>,
        request: Request,
    ) -> BoxFuture<'_, Result<Vec<Vec<Hit>>>> {
        Box::pin(async move {
            for (number, query) in queries.iter().enumerate() {
                check_vector(self.shared.created(), query)
                    .map_err(|error| error.context(format!("query {number}")))?;
            }
            request.check()?;
            let (queries, request) = (&queries, &request);
            self.answer(request, |snapshot| {
                Box::pin(async move {
                    let snapshot = matching(snapshot, request.filter.as_ref()).await?;
                    let answers = snapshot.search(queries.concat(), request.params).await?;
                    Ok(answers.into_iter().map(|hits| request.finish(hits)).collect())
                })
            })
            .await
        })
    }

    fn check_query(&self, query: &[f32]) -> Result<()> {
        check_vector(self.shared.created(), query).map_err(|error| error.context("query"))
    }

    /// The nearest records of one query by the value that a field has, the nearest group first.
    ///
    /// # Errors
    /// As [`Collection::search`].
    pub fn search_groups(
        &self,
        query: Vec<f32>,
        request: Request,
        grouping: Grouping,
    ) -> BoxFuture<'_, Result<Vec<Group>>> {
        Box::pin(async move {
            self.check_query(&query)?;
            let (query, request, grouping) = (&query, &request, &grouping);
            self.answer(request, |snapshot| {
                Box::pin(async move {
                    let snapshot = matching(snapshot, request.filter.as_ref()).await?;
                    snapshot.search_groups(query, request, grouping).await
                })
            })
            .await
        })
    }

    /// How a search for one query goes about it, and what it finds.
    ///
    /// # Errors
    /// As [`Collection::search`].
    pub fn explain(&self, query: Vec<f32>, request: Request) -> BoxFuture<'_, Result<Explained>> {
        Box::pin(async move {
            self.check_query(&query)?;
            request.check()?;
            let (query, request) = (&query, &request);
            self.answer(request, |snapshot| {
                Box::pin(async move {
                    let filter = request.filter.clone();
                    let bound = filter.map(|filter| snapshot.bind(filter)).transpose()?;
                    snapshot.explain(query.clone(), request, bound).await
                })
            })
            .await
        })
    }

    /// The values of a field, or of the lists that it is, with the number of records that have each:
    /// the `most` of most records, then in the order of values.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter that is refused; what reading the store can meet.
    pub fn facet<'a>(
        &'a self,
        field: &'a str,
        most: usize,
        filter: Option<Filter>,
    ) -> BoxFuture<'a, Result<Vec<Facet>>> {
        Box::pin(async move {
            let filter = filter.as_ref();
            self.read(|snapshot| {
                Box::pin(async move { matching(snapshot, filter).await?.facet(field, most).await })
            })
            .await
        })
    }
}

/// What a filter leaves of what there is to read.
async fn matching(snapshot: Snapshot, filter: Option<&Filter>) -> Result<Snapshot> {
    match filter {
        None => Ok(snapshot),
        Some(filter) => {
            let bound = snapshot.bind(filter.clone())?;
            snapshot.only(&bound).await
        }
    }
}
