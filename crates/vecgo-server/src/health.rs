//! Whether all is well, for those who may not know more.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use vecgo::Stats;

use crate::http::Reply;
use crate::serve::{Phase, State};

/// How the server is.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct HealthJson {
    /// `healthy`; `degraded` if something does not work that searches do not need; `unhealthy` if something cannot be
    /// read or written; `starting`; `stopping`.
    status: &'static str,
    /// Records of all collections.
    vectors: u64,
    /// Segments of all collections.
    segments: usize,
    /// How full the fullest memtable is.
    memtable_pct: f64,
    /// Why it is not healthy, without names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// What keeps a collection from being all right: whether it is in the way of searches or writes, and what it is.
fn troubles(stats: &Stats) -> Vec<(bool, String)> {
    let mut troubles = Vec::new();
    let kind = |what: &str, error: &vecgo::Error| format!("{what} ({})", error.kind());
    if let Some(error) = &stats.failure {
        troubles.push((true, kind("a writer has stopped", error)));
    }
    let beside = [
        (&stats.commit_failure, "a commit failed"),
        (&stats.flush_failure, "a flush failed"),
        (&stats.merge_failure, "a merge failed"),
        (&stats.vacuum_failure, "a vacuum failed"),
    ];
    for (error, what) in beside {
        troubles.extend(error.as_ref().map(|error| (false, kind(what, error))));
    }
    if let Some(error) = stats.lag.as_ref().and_then(|lag| lag.failure.as_ref()) {
        troubles.push((false, kind("a look for newer versions failed", error)));
    }
    if let Some(backup) = &stats.backup {
        let errors =
            [(&backup.failure, "a backup failed"), (&backup.prune_failure, "old backups stay")];
        for (error, what) in errors {
            troubles.extend(error.as_ref().map(|error| (false, kind(what, error))));
        }
    }
    troubles
}

pub(crate) fn health(state: &State) -> HealthJson {
    let stats: Vec<Stats> =
        state.held.all().iter().map(|(_, collection)| collection.stats()).collect();
    let mut troubles: Vec<(bool, String)> = stats.iter().flat_map(troubles).collect();
    for (_, error) in state.unopened.lock().iter() {
        troubles.push((true, format!("a collection could not be opened ({})", error.kind())));
    }
    let status = match state.phase() {
        Phase::Starting => "starting",
        Phase::Stopping => "stopping",
        Phase::Serving if troubles.iter().any(|(in_the_way, _)| *in_the_way) => "unhealthy",
        Phase::Serving if !troubles.is_empty() => "degraded",
        Phase::Serving => "healthy",
    };
    let mut reasons: Vec<String> = troubles.into_iter().map(|(_, reason)| reason).collect();
    reasons.sort();
    reasons.dedup();
    let fullest = stats.iter().map(|stats| stats.memtable_bytes).max().unwrap_or_default();
    HealthJson {
        status,
        vectors: stats.iter().map(|stats| stats.records).sum(),
        segments: stats.iter().map(|stats| stats.segments.len()).sum(),
        memtable_pct: percent(fullest, state.settings.memtable_bytes),
        reasons,
    }
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn percent(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 1e4).round() / 100.0
}

/// How the server is: its state, and how much it holds.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "operation", security(()),
    responses(
        (status = 200, body = HealthJson, description = "`healthy` or `degraded`"),
        (status = 503, body = HealthJson, description = "`starting`, `stopping` or `unhealthy`"),
    )
)]
pub(crate) async fn get(Extract(state): Extract<Arc<State>>) -> Response {
    let health = health(&state);
    let is_well = matches!(health.status, "healthy" | "degraded");
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Reply(health)).into_response()
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/livez", tag = "operation", security(()),
    responses((status = 200, description = "It does", body = String, content_type = "text/plain"))
)]
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// Whether requests are to be sent here: a version of every collection is loaded, no stop has begun, and writers
/// write.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", security(()),
    responses(
        (status = 200, description = "It does", body = String, content_type = "text/plain"),
        (status = 503, description = "Not now", body = String, content_type = "text/plain"),
    )
)]
pub(crate) async fn ready(Extract(state): Extract<Arc<State>>) -> (StatusCode, String) {
    let status = health(&state).status;
    match status {
        "healthy" | "degraded" => (StatusCode::OK, "ok\n".to_owned()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, format!("{status}\n")),
    }
}
