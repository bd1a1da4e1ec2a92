use std::sync::Arc;

use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use vecgo::{Config, ErrorKind, Schema};
use vecgo_json::{CollectionJson, ConfigChange, ConfigJson, StatsJson};

use super::Name;
use crate::http::{ApiError, ErrorJson, Json, Reply};
use crate::serve::State;

/// The collections that there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Collections {
    /// By name.
    collections: Vec<CollectionJson>,
}

/// Lists the collections.
#[utoipa::path(
    get, path = "/v1/collections", tag = "collections",
    responses((status = 200, description = "Done", body = Collections), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn list(
    Extract(state): Extract<Arc<State>>,
) -> Result<Reply<Collections>, ApiError> {
    let listed = state.held.list().await?;
    Ok(Reply(Collections { collections: listed.iter().map(CollectionJson::from).collect() }))
}

/// What a collection is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Described {
    name: String,
    /// Live records.
    records: u64,
    #[serde(flatten)]
    config: ConfigJson,
}

/// Says what a collection is.
#[utoipa::path(
    get, path = "/v1/collections/{name}", tag = "collections",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = Described), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn describe(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<Described>, ApiError> {
    let collection = state.held.get(&name).await?;
    let (records, config) = (collection.count(), (&collection.config()).into());
    Ok(Reply(Described { name, records, config }))
}

/// A collection to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRequest {
    /// Dimensions of a vector.
    dim: usize,
    /// `cosine`, `l2` or `dot`.
    metric: String,
    /// What is not to be as usual.
    #[serde(default)]
    config: ConfigChange,
    /// What the fields of documents have to be: docs/schemas.md.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    /// Succeed if it is there already with the same configuration and, if one is given, schema.
    #[serde(default)]
    #[schema(default = false)]
    if_not_exists: bool,
}

/// Whether a collection was created.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Created {
    name: String,
    /// False if it was there.
    created: bool,
}

fn schema_of(json: &Value) -> Result<Schema, ApiError> {
    Schema::from_json(json).map_err(|error| ApiError::from(vecgo::Error::from(error)))
}

/// Creates an empty collection.
#[utoipa::path(
    put, path = "/v1/collections/{name}", tag = "collections",
    params(("name" = String, Path, description = "1 to 64 of a-z, 0-9, _ and -")), request_body = CreateRequest,
    responses((status = 200, description = "Done", body = Created), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn create(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(request): Json<CreateRequest>,
) -> Result<Reply<Created>, ApiError> {
    let config = request.config.apply(Config::new(request.dim, request.metric.parse()?))?;
    let schema = request.schema.as_ref().map(schema_of).transpose()?;
    let created = match state.held.create(&name, config, schema.clone()).await {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists && request.if_not_exists => {
            let there = state.held.get(&name).await?;
            let is_other = |schema: &Schema| there.schema().difference(schema).is_some();
            if there.config() != config || schema.as_ref().is_some_and(is_other) {
                let message = format!(
                    "collection `{name}` is there and has {}, or another schema",
                    there.config()
                );
                return Err(ApiError::of(ErrorKind::Conflict, message));
            }
            false
        }
        Err(error) => return Err(error.into()),
    };
    // So that it counts in numbers from now on.
    state.held.get(&name).await?;
    Ok(Reply(Created { name, created }))
}

/// A version that holds a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Configured {
    #[serde(flatten)]
    config: ConfigJson,
    /// It has it, and all earlier writes.
    version: u64,
}

/// Changes the index, the quantization or the recall target of what is written from now on.
#[utoipa::path(
    patch, path = "/v1/collections/{name}", tag = "collections",
    params(("name" = String, Path, description = "The collection")), request_body = ConfigChange,
    responses((status = 200, description = "Done", body = Configured), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn configure(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(change): Json<ConfigChange>,
) -> Result<Reply<Configured>, ApiError> {
    let collection = state.held.get(&name).await?;
    // What another changes meanwhile would be changed back.
    let _turn = state.held.turn(&name).await;
    let config = change.apply(collection.config())?;
    let version = collection.configure(config).await?;
    Ok(Reply(Configured { config: (&config).into(), version }))
}

/// What was dropped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dropped {
    dropped: String,
}

/// Deletes a collection and all it holds.
#[utoipa::path(
    delete, path = "/v1/collections/{name}", tag = "collections",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = Dropped), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn drop(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<Dropped>, ApiError> {
    state.held.drop(&name).await?;
    Ok(Reply(Dropped { dropped: name }))
}

/// Another name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameRequest {
    to: String,
}

/// What was renamed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Renamed {
    from: String,
    to: String,
}

/// Gives a collection another name.
#[utoipa::path(
    post, path = "/v1/collections/{name}/rename", tag = "collections",
    params(("name" = String, Path, description = "The collection")), request_body = RenameRequest,
    responses((status = 200, description = "Done", body = Renamed), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn rename(
    Extract(state): Extract<Arc<State>>,
    Name(from): Name,
    Json(RenameRequest { to }): Json<RenameRequest>,
) -> Result<Reply<Renamed>, ApiError> {
    state.held.rename(&from, &to).await?;
    Ok(Reply(Renamed { from, to }))
}

/// Says what the fields of documents have to be.
#[utoipa::path(
    get, path = "/v1/collections/{name}/schema", tag = "collections",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = Object), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn schema(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<Value>, ApiError> {
    Ok(Reply(state.held.get(&name).await?.schema().to_json()))
}

/// A version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Version {
    pub(super) version: u64,
}

/// Changes what the fields of documents have to be, to anything that all records meet already.
#[utoipa::path(
    put, path = "/v1/collections/{name}/schema", tag = "collections",
    params(("name" = String, Path, description = "The collection")), request_body = Object,
    responses((status = 200, description = "Done", body = Version), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn set_schema(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    Json(schema): Json<Value>,
) -> Result<Reply<Version>, ApiError> {
    let version = state.held.get(&name).await?.set_schema(schema_of(&schema)?).await?;
    Ok(Reply(Version { version }))
}

/// Puts a collection in numbers.
#[utoipa::path(
    get, path = "/v1/collections/{name}/stats", tag = "collections",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = StatsJson), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn stats(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<StatsJson>, ApiError> {
    let stats = state.held.get(&name).await?.stats();
    Ok(Reply(StatsJson::of(&name, &stats)))
}
