//! What a caller reads.

use vecgo_format::Id;

use super::Collection;
use crate::query::{
    Explained, Facet, Fetch, Group, Grouping, Hit, Request, Scan, Snapshot, check_vector,
};
use crate::{Filter, Record, Result};
use vecgo_io::BoxFuture;

impl Collection {
    /// The records of some ids, in their order.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn get<'a>(&'a self, ids: &'a [Id]) -> BoxFuture<'a, Result<Vec<Option<Record>>>> {
        Box::pin(async move {
            let snapshot = self.open_snapshot()?;
            let mut records = Vec::with_capacity(ids.len());
            for id in ids {
                records.push(snapshot.get(id).await?);
            }
            Ok(records)
        })
    }

    /// Whether some ids are there, in their order.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn exists<'a>(&'a self, ids: &'a [Id]) -> BoxFuture<'a, Result<Vec<bool>>> {
        Box::pin(async move {
            let snapshot = self.open_snapshot()?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(snapshot.find(id).await?.is_some());
            }
            Ok(found)
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
        Box::pin(async move { Ok(self.matching(Some(filter)).await?.count()) })
    }

    /// What a filter leaves of what there is to read.
    async fn matching(&self, filter: Option<Filter>) -> Result<Snapshot> {
        let snapshot = self.open_snapshot()?;
        match filter {
            None => Ok(snapshot),
            Some(filter) => {
                let bound = snapshot.bind(filter)?;
                snapshot.only(&bound).await
            }
        }
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
        Box::pin(async move { Scan::new(self.matching(filter).await?, fetch, page) })
    }

    /// The nearest records of one query.
    ///
    /// # Errors
    /// `InvalidArgument` for a query that no record could equal, a knob that is out of range or does
    /// nothing for the collection's index, or a filter that is refused.
    pub fn search(&self, query: Vec<f32>, mut request: Request) -> BoxFuture<'_, Result<Vec<Hit>>> {
        Box::pin(async move {
            self.check_query(&query)?;
            request.check()?;
            let snapshot = self.matching(request.filter.take()).await?;
            let hits = snapshot.search(query, request.params).await?.pop().unwrap_or_default();
            Ok(request.finish(hits))
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
        mut request: Request,
    ) -> BoxFuture<'_, Result<Vec<Vec<Hit>>>> {
        Box::pin(async move {
            for (number, query) in queries.iter().enumerate() {
                check_vector(self.shared.created(), query)
                    .map_err(|error| error.context(format!("query {number}")))?;
            }
            request.check()?;
            let snapshot = self.matching(request.filter.take()).await?;
            let answers = snapshot.search(queries.concat(), request.params).await?;
            Ok(answers.into_iter().map(|hits| request.finish(hits)).collect())
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
        mut request: Request,
        grouping: Grouping,
    ) -> BoxFuture<'_, Result<Vec<Group>>> {
        Box::pin(async move {
            self.check_query(&query)?;
            let snapshot = self.matching(request.filter.take()).await?;
            snapshot.search_groups(&query, &request, &grouping).await
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
            let snapshot = self.open_snapshot()?;
            let bound = request.filter.clone().map(|filter| snapshot.bind(filter)).transpose()?;
            snapshot.explain(query, &request, bound).await
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
        Box::pin(async move { self.matching(filter).await?.facet(field, most).await })
    }
}
