use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vecgo::{BackupInfo, CollectionBackup, ErrorKind};

use crate::http::{ApiError, ErrorJson, Json, Reply};
use crate::serve::State;

/// What to back up. Where to is for the server's settings alone to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotRequest {
    /// Only this collection.
    collection: Option<String>,
}

/// A collection in a backup.
#[derive(Debug, Serialize, ToSchema)]
struct InBackup {
    name: String,
    version: u64,
    created_ms: u64,
    records: u64,
}

impl From<CollectionBackup> for InBackup {
    fn from(collection: CollectionBackup) -> Self {
        let CollectionBackup { name, version, created_ms, records, .. } = collection;
        Self { name, version, created_ms, records }
    }
}

/// A backup that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SnapshotJson {
    /// Tells it from every other: 16 hexadecimal digits, as the command line has them.
    id: String,
    collections: Vec<InBackup>,
    /// Objects that it consists of.
    objects: u64,
    /// Bytes of those.
    bytes: u64,
    /// Bytes that were not there before.
    copied_bytes: u64,
    /// Collections of which only what was committed before is in it, since a commit failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uncommitted: Vec<String>,
}

fn place(state: &State) -> Result<&str, ApiError> {
    let nowhere =
        || ApiError::of(ErrorKind::Unsupported, "no place for backups is set (backup.to)");
    state.settings.backup_to.as_deref().ok_or_else(nowhere)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Commits, and copies what is committed to the place for backups.
#[utoipa::path(
    post, path = "/v1/snapshot", tag = "operation", request_body = SnapshotRequest,
    responses((status = 200, description = "Done", body = SnapshotJson), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn snapshot(
    Extract(state): Extract<Arc<State>>,
    Json(request): Json<SnapshotRequest>,
) -> Result<Reply<SnapshotJson>, ApiError> {
    let mut snapshot = state.held.database().snapshot(place(&state)?);
    if let Some(bytes) = state.settings.bandwidth() {
        snapshot = snapshot.bytes_per_second(bytes);
    }
    let begun_ms = now_ms();
    let is_whole = request.collection.is_none();
    let mut uncommitted = Vec::new();
    match request.collection {
        Some(name) => {
            state.held.get(&name).await?.commit().await?;
            snapshot = snapshot.collection(name);
        }
        None => {
            for (name, collection) in state.held.all() {
                match collection.commit().await {
                    Ok(_) => {}
                    // It was dropped, or renamed.
                    Err(error) if error.kind() == ErrorKind::Closed => {}
                    Err(error) => {
                        tracing::warn!(collection = name, %error, "what it has committed is backed up");
                        uncommitted.push(name);
                    }
                }
            }
        }
    }
    let made = snapshot.await?;
    if is_whole {
        state.asked_backup_ms.fetch_max(begun_ms, Ordering::Relaxed);
    }
    Ok(Reply(SnapshotJson {
        id: format!("{:016x}", made.id),
        collections: made.collections.into_iter().map(InBackup::from).collect(),
        objects: made.objects,
        bytes: made.bytes,
        copied_bytes: made.copied_bytes,
        uncommitted,
    }))
}

/// A backup that is there.
#[derive(Debug, Serialize, ToSchema)]
struct BackupJson {
    id: String,
    created_ms: u64,
    collections: Vec<InBackup>,
    objects: u64,
    bytes: u64,
    /// Why it cannot be read, if that is so.
    failure: Option<String>,
}

impl From<BackupInfo> for BackupJson {
    fn from(info: BackupInfo) -> Self {
        Self {
            id: format!("{:016x}", info.id),
            created_ms: info.created_ms,
            collections: info.collections.into_iter().map(InBackup::from).collect(),
            objects: info.objects,
            bytes: info.bytes,
            failure: info.failure.map(|error| error.to_string()),
        }
    }
}

/// The backups that there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackupsJson {
    /// Newest first.
    backups: Vec<BackupJson>,
}

/// Lists the backups.
#[utoipa::path(
    get, path = "/v1/backups", operation_id = "backups", tag = "operation",
    responses((status = 200, description = "Done", body = BackupsJson), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn list(
    Extract(state): Extract<Arc<State>>,
) -> Result<Reply<BackupsJson>, ApiError> {
    let place = place(&state)?;
    // Each opens the place anew, with threads of its own.
    let _alone = state.listing_backups.lock().await;
    let backups = match vecgo::backups(place).list().await {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    Ok(Reply(BackupsJson { backups: backups.into_iter().map(BackupJson::from).collect() }))
}
