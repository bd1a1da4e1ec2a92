use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use vecgo::{Ack, Record, Update};
use vecgo_json::{
    Base64, FacetJson, Few, IdJson, RecordJson, Unread, VectorJson, by_names, nullable,
};

use super::Name;
use super::search::{VectorFormat, check_count, filter_of, ten};
use crate::http::{ApiError, ErrorJson, Json, Reply};
use crate::serve::State;

/// Records to write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordsRequest {
    /// All of them are written, or none.
    records: Vec<RecordJson>,
}

/// What became of a write.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Written {
    /// Records that were written.
    records: usize,
    /// Sequence number of the last of them.
    sequence: u64,
    /// Whether they survive a crash of the machine already.
    durable: bool,
    /// The ids of all records, if one was made for one that had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<IdJson>>,
}

impl Written {
    fn new(state: &State, operation: &str, ack: Ack, ids: Option<Vec<IdJson>>) -> Reply<Self> {
        state.metrics.wrote(operation, ack.records);
        let Ack { sequence, durable, records, .. } = ack;
        Reply(Self { records, sequence, durable, ids })
    }
}

/// A record, with an id made for it if it has none.
pub(super) fn identified(record: RecordJson) -> (Record, bool) {
    let (id, mut record) = record.into_record();
    let made = id.is_none();
    record.id = id.unwrap_or_else(|| Uuid::now_v7().to_string().into());
    (record, made)
}

/// The records, and their ids if one was made.
fn records(request: RecordsRequest) -> (Vec<Record>, Option<Vec<IdJson>>) {
    let mut any_made = false;
    let records: Vec<Record> = request
        .records
        .into_iter()
        .map(|record| {
            let (record, made) = identified(record);
            any_made |= made;
            record
        })
        .collect();
    let ids = any_made.then(|| records.iter().map(|record| IdJson(record.id.clone())).collect());
    (records, ids)
}

/// Writes records; one whose id is there is replaced.
#[utoipa::path(
    post, path = "/v1/collections/{name}/upsert", tag = "records",
    params(("name" = String, Path, description = "The collection")), request_body = RecordsRequest,
    responses((status = 200, description = "Done", body = Written), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn upsert(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<RecordsRequest>,
) -> Result<Reply<Written>, ApiError> {
    let (records, ids) = records(request);
    let ack = state.held.get(&name).await?.upsert(records).await?;
    Ok(Written::new(&state, "upsert", ack, ids))
}

/// Writes records whose ids are not there yet.
#[utoipa::path(
    post, path = "/v1/collections/{name}/insert", tag = "records",
    params(("name" = String, Path, description = "The collection")), request_body = RecordsRequest,
    responses((status = 200, description = "Done", body = Written), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn insert(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<RecordsRequest>,
) -> Result<Reply<Written>, ApiError> {
    let (records, ids) = records(request);
    let ack = state.held.get(&name).await?.insert(records).await?;
    Ok(Written::new(&state, "insert", ack, ids))
}

/// A change to a record that is there. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
struct UpdateJson {
    id: IdJson,
    /// Another vector.
    vector: Option<VectorJson>,
    /// Another document in place of the old one.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// A JSON merge patch (RFC 7396) of the document: fields are set, null removes one.
    #[schema(value_type = Option<Object>)]
    merge: Option<Value>,
    /// Another payload, in base64; null for none.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, format = Byte)]
    payload: Option<Option<Base64>>,
}

by_names!(UpdateJson);

impl From<UpdateJson> for Update {
    fn from(json: UpdateJson) -> Self {
        let mut update = Update::new(json.id.0);
        if let Some(vector) = json.vector {
            update = update.vector(vector.into_values());
        }
        if let Some(metadata) = json.metadata {
            update = update.metadata(metadata);
        }
        if let Some(patch) = json.merge {
            update = update.merge_metadata(patch);
        }
        match json.payload {
            None => update,
            Some(None) => update.remove_payload(),
            Some(Some(payload)) => update.payload(payload.0),
        }
    }
}

/// Changes to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateRequest {
    /// All of them are made, or none.
    updates: Vec<UpdateJson>,
}

/// Changes parts of records that are there.
#[utoipa::path(
    post, path = "/v1/collections/{name}/update", tag = "records",
    params(("name" = String, Path, description = "The collection")), request_body = UpdateRequest,
    responses((status = 200, description = "Done", body = Written), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn update(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<UpdateRequest>,
) -> Result<Reply<Written>, ApiError> {
    let updates = request.updates.into_iter().map(Update::from);
    let ack = state.held.get(&name).await?.update(updates).await?;
    Ok(Written::new(&state, "update", ack, None))
}

/// What to delete: some records, or all that match.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteRequest {
    /// Ids; one that is not there is no error.
    #[schema(value_type = Option<Vec<IdJson>>)]
    ids: Option<Few<IdJson>>,
    /// Or a filter.
    #[schema(value_type = Option<Object>)]
    filter: Option<Unread>,
    /// Say only how many would be deleted.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// How many records were there.
    deleted: u64,
    /// How many would be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_delete: Option<u64>,
}

/// Deletes records by id or by a filter.
#[utoipa::path(
    post, path = "/v1/collections/{name}/delete", tag = "records",
    params(("name" = String, Path, description = "The collection")), request_body = DeleteRequest,
    responses((status = 200, description = "Done", body = Deleted), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn delete(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<DeleteRequest>,
) -> Result<Reply<Deleted>, ApiError> {
    let collection = state.held.get(&name).await?;
    let filter = request.filter.as_ref().map(filter_of).transpose()?;
    let (deleted, would_delete) = match (request.ids, filter, request.dry_run) {
        (Some(ids), None, dry_run) => {
            let ids: std::collections::BTreeSet<_> = ids.0.into_iter().map(|id| id.0).collect();
            if dry_run {
                let mut there = 0;
                for some in Vec::from_iter(ids).chunks(state.settings.limits.batch) {
                    let found = collection.get_many(some.iter().cloned()).await?;
                    there += found.iter().flatten().count() as u64;
                }
                (0, Some(there))
            } else {
                (collection.delete(ids).await?.records as u64, None)
            }
        }
        (None, Some(filter), true) => (0, Some(collection.count_where(filter).await?)),
        (None, Some(filter), false) => {
            (collection.delete_where(filter).await?.records as u64, None)
        }
        _ => return Err(ApiError::invalid("expected either `ids` or `filter`")),
    };
    state.metrics.wrote("delete", usize::try_from(deleted).unwrap_or(usize::MAX));
    Ok(Reply(Deleted { deleted, would_delete }))
}

/// Records to read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetRequest {
    #[schema(value_type = Vec<IdJson>)]
    ids: Few<IdJson>,
    /// How vectors are returned.
    #[serde(default)]
    vector_format: VectorFormat,
}

/// Records that were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Got {
    /// Those that are there, in the order of the ids.
    records: Vec<RecordJson>,
    /// The ids that are not.
    missing: Vec<IdJson>,
}

/// Reads records by id.
#[utoipa::path(
    post, path = "/v1/collections/{name}/get", tag = "records",
    params(("name" = String, Path, description = "The collection")), request_body = GetRequest,
    responses((status = 200, description = "Done", body = Got), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn get(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<GetRequest>,
) -> Result<Response, ApiError> {
    check_count(&state, "ids", request.ids.0.len())?;
    let collection = state.held.get(&name).await?;
    let found = collection.get_many(request.ids.0.iter().map(|id| id.0.clone())).await?;
    let (mut records, mut missing) = (Vec::new(), Vec::new());
    for (id, found) in request.ids.0.into_iter().zip(found) {
        match found.map(RecordJson::from) {
            Some(record) if request.vector_format == VectorFormat::Base64 => {
                records.push(record.in_base64());
            }
            Some(record) => records.push(record),
            None => missing.push(id),
        }
    }
    let count = records.len();
    Ok(Reply(Got { records, missing }).of(count))
}

/// What to count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountRequest {
    /// Count only records that match.
    #[schema(value_type = Option<Object>)]
    filter: Option<Unread>,
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    count: u64,
}

/// Counts records.
#[utoipa::path(
    post, path = "/v1/collections/{name}/count", tag = "records",
    params(("name" = String, Path, description = "The collection")), request_body = CountRequest,
    responses((status = 200, description = "Done", body = Count), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn count(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<CountRequest>,
) -> Result<Reply<Count>, ApiError> {
    let collection = state.held.get(&name).await?;
    let count = match &request.filter {
        Some(filter) => collection.count_where(filter_of(filter)?).await?,
        None => collection.count(),
    };
    Ok(Reply(Count { count }))
}

/// Values to count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FacetRequest {
    /// Keys with dots between them.
    field: String,
    /// How many values, those of most records first.
    #[serde(default = "ten")]
    #[schema(minimum = 0, default = 10)]
    k: usize,
    /// Count only records that match.
    #[schema(value_type = Option<Object>)]
    filter: Option<Unread>,
}

/// The values that most records have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Facets {
    facets: Vec<FacetJson>,
}

/// Counts the values of a field.
#[utoipa::path(
    post, path = "/v1/collections/{name}/facet", tag = "records",
    params(("name" = String, Path, description = "The collection")), request_body = FacetRequest,
    responses((status = 200, description = "Done", body = Facets), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn facet(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<FacetRequest>,
) -> Result<Reply<Facets>, ApiError> {
    let filter = request.filter.as_ref().map(filter_of).transpose()?;
    let facets = state.held.get(&name).await?.facet(request.field, request.k, filter).await?;
    Ok(Reply(Facets { facets: facets.into_iter().map(FacetJson::from).collect() }))
}
