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
use crate::troubles::Trouble;

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

fn health(state: &State, stats: &[(String, Stats)]) -> HealthJson {
    let troubles = state.troubles(stats);
    let stats = || stats.iter().map(|(_, stats)| stats);
    let status = match state.phase() {
        Phase::Starting => "starting",
        Phase::Stopping => "stopping",
        Phase::Serving if troubles.iter().any(Trouble::is_in_the_way) => "unhealthy",
        Phase::Serving if !troubles.is_empty() => "degraded",
        Phase::Serving => "healthy",
    };
    let mut reasons: Vec<String> = troubles.iter().map(Trouble::reason).collect();
    reasons.sort();
    reasons.dedup();
    let fullest = stats().map(|stats| stats.memtable_bytes).max().unwrap_or_default();
    HealthJson {
        status,
        vectors: stats().map(|stats| stats.records).sum(),
        segments: stats().map(|stats| stats.segments.len()).sum(),
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
    let health = health(&state, &state.stats());
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

/// Whether requests are to be sent here: all that could be opened is, and what searches read is loaded; no stop has
/// begun; and not everything is broken.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", security(()),
    responses(
        (status = 200, description = "They are", body = String, content_type = "text/plain"),
        (status = 503, description = "Not now", body = String, content_type = "text/plain"),
    )
)]
pub(crate) async fn ready(Extract(state): Extract<Arc<State>>) -> (StatusCode, String) {
    let stats = state.stats();
    match state.is_ready(&stats) {
        true => (StatusCode::OK, "ok\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", health(&state, &stats).status)),
    }
}
