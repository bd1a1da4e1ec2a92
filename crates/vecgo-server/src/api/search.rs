use std::sync::Arc;
use std::time::Instant;

use axum::extract::State as Extract;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use vecgo::{Collection, Filter, Hit};
use vecgo_json::{ExplainJson, Few, HitJson, Unread, VectorJson};

use super::{DEFAULT, Name};
use crate::http::{ApiError, ErrorJson, Json, Reply};
use crate::serve::State;

/// The longest text of a filter.
const MOST_FILTER_BYTES: usize = 1 << 20;

/// How vectors are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VectorFormat {
    /// As a list of numbers.
    #[default]
    List,
    /// As the base64 of little-endian f32.
    Base64,
}

pub(super) const fn ten() -> usize {
    10
}

const fn one() -> usize {
    1
}

const fn yes() -> bool {
    true
}

/// A request with the settings that both kinds of search have.
macro_rules! search_request {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $of:ty),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $(
                $(#[$field_doc])*
                $field: $of,
            )+
            /// How many records to find.
            #[serde(default = "ten")]
            #[schema(minimum = 0, default = 10)]
            k: usize,
            /// Find only records that match: a tree of tests, as docs/filters.md has them.
            #[schema(value_type = Option<Object>)]
            filter: Option<Unread>,
            /// Candidates that a graph search keeps.
            ef: Option<usize>,
            /// Clusters of each segment that an IVF search looks into.
            nprobe: Option<usize>,
            /// Candidates scored again by their vectors.
            rerank: Option<usize>,
            /// Go as far as finds this part of what is nearest.
            recall_target: Option<f64>,
            /// Score every record.
            #[serde(default)]
            #[schema(default = false)]
            exact: bool,
            /// Leave out records of a lower score.
            min_score: Option<f32>,
            /// Search this version or a later one: wait for it, on a replica.
            min_version: Option<u64>,
            /// Search the collection as it was at this version.
            version: Option<u64>,
            /// Search the collection as it was when a version got this name.
            tag: Option<String>,
            /// Return documents.
            #[serde(default = "yes")]
            #[schema(default = true)]
            with_metadata: bool,
            /// Of documents return these fields only.
            fields: Option<Vec<String>>,
            /// Of documents do not return these fields.
            without_fields: Option<Vec<String>>,
            /// Return vectors.
            #[serde(default)]
            #[schema(default = false)]
            with_vector: bool,
            /// How.
            #[serde(default)]
            vector_format: VectorFormat,
            /// Return payloads.
            #[serde(default)]
            #[schema(default = false)]
            with_payload: bool,
        }

        impl $name {
            /// The collection that is meant: now, or as it was.
            async fn collection(&self, state: &State, name: &str) -> Result<Collection, ApiError> {
                let most = state.settings.limits.k;
                if self.k > most {
                    let message = format!("k is {}; expected {most} at most (limits.k)", self.k);
                    return Err(ApiError::invalid(message));
                }
                let collection = state.held.get(name).await?;
                Ok(match (self.version, &self.tag) {
                    (None, None) => collection,
                    (Some(version), None) => collection.at_version(version).await?,
                    (None, Some(tag)) => collection.at_tag(tag).await?,
                    (Some(_), Some(_)) => {
                        return Err(ApiError::invalid("of `version` and `tag` only one can be"));
                    }
                })
            }

            fn hits(&self, hits: Vec<Hit>) -> Vec<HitJson> {
                let hits = hits.into_iter().map(HitJson::from);
                match self.vector_format {
                    VectorFormat::List => hits.collect(),
                    VectorFormat::Base64 => hits.map(HitJson::in_base64).collect(),
                }
            }
        }
    };
}

search_request! {
    /// What to search for.
    SearchRequest {
        /// The query.
        vector: VectorJson
    }
}

search_request! {
    /// What to search for, several times.
    BatchRequest {
        /// The queries.
        #[schema(value_type = Vec<VectorJson>)]
        vectors: Few<VectorJson>
    }
}

search_request! {
    /// What to search for, by the value of a field.
    GroupsRequest {
        /// The query.
        vector: VectorJson,
        /// Keys with dots between them. Records without it are in no group.
        field: String,
        /// How many records of each group; `k` is how many groups.
        #[serde(default = "one")]
        #[schema(minimum = 1, default = 1)]
        hits: usize
    }
}

/// A search, of one query or of many, with the settings of a request.
macro_rules! with_settings {
    ($search:expr, $request:expr) => {{
        let (mut search, request) = ($search.k($request.k), $request);
        if let Some(filter) = &request.filter {
            search = search.filter(filter_of(filter)?);
        }
        if let Some(ef) = request.ef {
            search = search.ef(ef);
        }
        if let Some(nprobe) = request.nprobe {
            search = search.nprobe(nprobe);
        }
        if let Some(rerank) = request.rerank {
            search = search.rerank(rerank);
        }
        if let Some(recall) = request.recall_target {
            search = search.recall_target(recall);
        }
        if request.exact {
            search = search.exact();
        }
        if let Some(score) = request.min_score {
            search = search.min_score(score);
        }
        if let Some(version) = request.min_version {
            search = search.min_version(version);
        }
        search = match (&request.fields, &request.without_fields) {
            (Some(fields), None) => search.with_fields(fields),
            (None, Some(fields)) => search.without_fields(fields),
            (None, None) if request.with_metadata => search.with_metadata(),
            (None, None) => search,
            (Some(_), Some(_)) => {
                let message = "of `fields` and `without_fields` only one can be";
                return Err(ApiError::invalid(message));
            }
        };
        if request.with_vector {
            search = search.with_vector();
        }
        if request.with_payload {
            search = search.with_payload();
        }
        search
    }};
}

pub(super) fn filter_of(filter: &Unread) -> Result<Filter, ApiError> {
    let filter = filter.read(MOST_FILTER_BYTES).and_then(|filter| Filter::from_json(&filter));
    filter.map_err(|error| ApiError::from(error).context("filter"))
}

/// What a search found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Found {
    /// The nearest records, nearest first.
    hits: Vec<HitJson>,
}

/// The records of one value that a search found.
#[derive(Debug, Serialize, ToSchema)]
struct GroupJson {
    value: Value,
    /// Nearest first.
    hits: Vec<HitJson>,
}

/// What a search found, by the value of a field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundGroups {
    /// Nearest first.
    groups: Vec<GroupJson>,
}

/// What a search for several queries found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundMany {
    /// An answer a query, in their order.
    results: Vec<Found>,
}

/// A search, which is counted however it ends, and logged if it took long.
struct Watched<'a> {
    state: &'a State,
    collection: &'a str,
    k: usize,
    start: Instant,
    is_right: bool,
}

impl<'a> Watched<'a> {
    fn begin(state: &'a State, collection: &'a str, k: usize) -> Self {
        Self { state, collection, k, start: Instant::now(), is_right: false }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let Self { state, collection, k, start, is_right } = *self;
        let took = start.elapsed();
        state.metrics.search(is_right, took);
        if took >= state.settings.slow {
            let seconds = took.as_secs_f64();
            tracing::warn!(collection, k, seconds, ok = is_right, "a slow search");
        }
    }
}

async fn found(state: &State, name: &str, request: SearchRequest) -> Result<Response, ApiError> {
    let mut watched = Watched::begin(state, name, request.k);
    let collection = request.collection(state, name).await?;
    let hits = with_settings!(collection.search(request.vector.values()), &request).await?;
    let answer = Reply(Found { hits: request.hits(hits) });
    watched.is_right = true;
    let records = answer.0.hits.len();
    Ok(answer.of(records))
}

/// Finds the records nearest to a query.
#[utoipa::path(
    post, path = "/v1/collections/{name}/search", tag = "search",
    params(("name" = String, Path, description = "The collection")), request_body = SearchRequest,
    responses((status = 200, description = "Done", body = Found), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn search(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<SearchRequest>,
) -> Result<Response, ApiError> {
    found(&state, &name, request).await
}

/// Finds the records of the collection `default` nearest to a query.
#[utoipa::path(
    post, path = "/search", tag = "search", request_body = SearchRequest,
    responses((status = 200, description = "Done", body = Found), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn search_default(
    Extract(state): Extract<Arc<State>>,
    Json(request): Json<SearchRequest>,
) -> Result<Response, ApiError> {
    found(&state, DEFAULT, request).await
}

/// Finds the records nearest to each of several queries; all cores share the work.
#[utoipa::path(
    post, path = "/v1/collections/{name}/search/batch", tag = "search",
    params(("name" = String, Path, description = "The collection")), request_body = BatchRequest,
    responses((status = 200, description = "Done", body = FoundMany), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn batch(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<BatchRequest>,
) -> Result<Response, ApiError> {
    let mut watched = Watched::begin(&state, &name, request.k);
    let collection = request.collection(&state, &name).await?;
    check_count(&state, "vectors", request.vectors.0.len())?;
    let queries = request.vectors.0.iter().map(VectorJson::values);
    let answers = with_settings!(collection.search_batch(queries), &request).await?;
    let records = answers.iter().map(Vec::len).sum();
    let results = answers.into_iter().map(|hits| Found { hits: request.hits(hits) });
    let answer = Reply(FoundMany { results: results.collect() });
    watched.is_right = true;
    Ok(answer.of(records))
}

/// Finds the records nearest to a query by the value of a field: the nearest groups, and of each the nearest records.
#[utoipa::path(
    post, path = "/v1/collections/{name}/search/groups", tag = "search",
    params(("name" = String, Path, description = "The collection")), request_body = GroupsRequest,
    responses((status = 200, description = "Done", body = FoundGroups), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn groups(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<GroupsRequest>,
) -> Result<Response, ApiError> {
    let mut watched = Watched::begin(&state, &name, request.k);
    let collection = request.collection(&state, &name).await?;
    if request.hits > state.settings.limits.k {
        let most = state.settings.limits.k;
        let message = format!("hits is {}; expected {most} at most (limits.k)", request.hits);
        return Err(ApiError::invalid(message));
    }
    let search = with_settings!(collection.search(request.vector.values()), &request);
    let groups = search.grouped_by(request.field.as_str(), request.hits).await?;
    let records = groups.iter().map(|group| group.hits.len()).sum();
    let groups = groups
        .into_iter()
        .map(|group| GroupJson { value: group.value, hits: request.hits(group.hits) });
    let answer = Reply(FoundGroups { groups: groups.collect() });
    watched.is_right = true;
    Ok(answer.of(records))
}

/// Refuses more queries or ids than a request may have.
pub(super) fn check_count(state: &State, what: &str, count: usize) -> Result<(), ApiError> {
    let most = state.settings.limits.batch;
    match count > most {
        true => Err(ApiError::invalid(format!(
            "{count} {what}; expected {most} at most (limits.batch)"
        ))),
        false => Ok(()),
    }
}

/// Searches, and says how it went about it: which way each segment was gone through and why, rows scored, bytes
/// read.
#[utoipa::path(
    post, path = "/v1/collections/{name}/explain", tag = "search",
    params(("name" = String, Path, description = "The collection")), request_body = SearchRequest,
    responses((status = 200, description = "Done", body = ExplainJson), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn explain(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<SearchRequest>,
) -> Result<Reply<ExplainJson>, ApiError> {
    let collection = request.collection(&state, &name).await?;
    let explained =
        with_settings!(collection.search(request.vector.values()), &request).explain().await?;
    Ok(Reply((&explained).into()))
}
