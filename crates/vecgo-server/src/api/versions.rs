use std::sync::Arc;

use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vecgo_json::VersionJson;

use super::collections::Version;
use super::{Name, Tagged};
use crate::http::{ApiError, ErrorJson, Json, Reply};
use crate::serve::State;

/// The versions that are kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Versions {
    /// Newest first.
    versions: Vec<VersionJson>,
}

/// Lists the versions that are kept.
#[utoipa::path(
    get, path = "/v1/collections/{name}/versions", operation_id = "versions", tag = "versions",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = Versions), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn list(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<Versions>, ApiError> {
    let versions = state.held.get(&name).await?.versions().await?;
    Ok(Reply(Versions { versions: versions.into_iter().map(VersionJson::from).collect() }))
}

/// Moves a replica on to the newest version.
#[utoipa::path(
    post, path = "/v1/collections/{name}/refresh", tag = "versions",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = Version), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn refresh(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<Version>, ApiError> {
    let version = state.held.get(&name).await?.refresh().await?;
    Ok(Reply(Version { version }))
}

/// Returns when every earlier write is durable and others see it, with the version that holds them.
#[utoipa::path(
    post, path = "/v1/collections/{name}/commit", tag = "versions",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = Version), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn commit(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<Version>, ApiError> {
    let version = state.held.get(&name).await?.commit().await?;
    Ok(Reply(Version { version }))
}

/// Returns when every earlier write is in a segment. Happens by itself.
#[utoipa::path(
    post, path = "/v1/collections/{name}/flush", tag = "versions",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = Version), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn flush(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<Version>, ApiError> {
    let version = state.held.get(&name).await?.flush().await?;
    Ok(Reply(Version { version }))
}

/// Returns when every earlier write is in one segment, without what was replaced or deleted. Segments are merged by
/// themselves when there are many.
#[utoipa::path(
    post, path = "/v1/collections/{name}/compact", tag = "versions",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = Version), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn compact(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<Version>, ApiError> {
    let version = state.held.get(&name).await?.compact().await?;
    Ok(Reply(Version { version }))
}

/// What a vacuum deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VacuumJson {
    /// Objects.
    objects: u64,
    /// Bytes of those.
    bytes: u64,
}

/// Deletes what only versions need that are not kept. Happens by itself.
#[utoipa::path(
    post, path = "/v1/collections/{name}/vacuum", tag = "versions",
    params(("name" = String, Path, description = "The collection")),
    responses((status = 200, description = "Done", body = VacuumJson), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn vacuum(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
) -> Result<Reply<VacuumJson>, ApiError> {
    let vacuumed = state.held.get(&name).await?.vacuum().await?;
    Ok(Reply(VacuumJson { objects: vacuumed.objects, bytes: vacuumed.bytes }))
}

/// Which version to name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagRequest {
    /// Without it one that holds everything.
    version: Option<u64>,
}

/// Gives a version a name: it is kept for as long as it has one.
#[utoipa::path(
    put, path = "/v1/collections/{name}/tags/{tag}", tag = "versions",
    params(
        ("name" = String, Path, description = "The collection"),
        ("tag" = String, Path, description = "The name of the version"),
    ),
    request_body = TagRequest,
    responses((status = 200, description = "Done", body = Version), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn tag(
    Extract(state): Extract<Arc<State>>,
    Tagged { name, tag }: Tagged,
    Json(request): Json<TagRequest>,
) -> Result<Reply<Version>, ApiError> {
    let collection = state.held.get(&name).await?;
    let version = match request.version {
        Some(version) => collection.tag_version(tag, version).await?,
        None => collection.tag(tag).await?,
    };
    Ok(Reply(Version { version }))
}

/// Takes a name away from the version that has it.
#[utoipa::path(
    delete, path = "/v1/collections/{name}/tags/{tag}", tag = "versions",
    params(
        ("name" = String, Path, description = "The collection"),
        ("tag" = String, Path, description = "The name of the version"),
    ),
    responses((status = 200, description = "Done", body = Version), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn untag(
    Extract(state): Extract<Arc<State>>,
    Tagged { name, tag }: Tagged,
) -> Result<Reply<Version>, ApiError> {
    let version = state.held.get(&name).await?.untag(tag).await?;
    Ok(Reply(Version { version }))
}
