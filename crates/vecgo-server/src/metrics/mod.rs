//! What Prometheus is told.

mod collections;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TEXT_FORMAT,
    TextEncoder,
};
use vecgo::ErrorKind;

use crate::http::{ApiError, ErrorJson};
use crate::serve::State;

/// Buckets of the times of searches, and of requests, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// What is counted while the server runs.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    searches: HistogramVec,
    requests: IntCounterVec,
    durations: HistogramVec,
    written: IntCounterVec,
    in_flight: IntGauge,
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(crate) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What comes of a description that is right, which all in here are.
#[expect(clippy::expect_used, reason = "names and labels are constants, and every test makes them")]
fn right<T>(made: prometheus::Result<T>) -> T {
    made.expect("a metric of constants")
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
            let made = right(HistogramVec::new(options, labels));
            right(registry.register(Box::new(made.clone())));
            made
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let made = right(IntCounterVec::new(Opts::new(name, help), labels));
            right(registry.register(Box::new(made.clone())));
            made
        };
        let build = right(IntGaugeVec::new(
            Opts::new("vecgo_build_info", "Always 1; the version is a label"),
            &["version"],
        ));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        right(registry.register(Box::new(build)));
        right(registry.register(Box::new(ProcessCollector::for_self())));
        let searches = histogram(
            "vecgo_search_duration_seconds",
            "How long searches took; a batch is one",
            &["status"],
        );
        // There from the first scrape on, so that rates of them are.
        for status in ["ok", "error"] {
            searches.with_label_values(&[status]);
        }
        let in_flight = right(IntGauge::new(
            "vecgo_http_requests_in_flight",
            "Requests that are not answered yet",
        ));
        right(registry.register(Box::new(in_flight.clone())));
        Self {
            in_flight,
            searches,
            requests: counter(
                "vecgo_http_requests_total",
                "Requests that were answered",
                &["method", "route", "status"],
            ),
            durations: histogram(
                "vecgo_http_request_duration_seconds",
                "How long requests took, up to the first byte of the answer",
                &["route"],
            ),
            written: counter(
                "vecgo_records_written_total",
                "Records written or deleted",
                &["operation"],
            ),
            registry,
        }
    }

    /// Counts a request as long as what is returned is there.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(crate) fn search(&self, is_right: bool, took: Duration) {
        let status = if is_right { "ok" } else { "error" };
        self.searches.with_label_values(&[status]).observe(took.as_secs_f64());
    }

    pub(crate) fn wrote(&self, operation: &str, records: usize) {
        self.written.with_label_values(&[operation]).inc_by(records as u64);
    }

    /// `route` is what the path matched; none is told apart that matched nothing.
    pub(crate) fn request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let route = if route.is_empty() { "none" } else { route };
        // A client may make methods up.
        let method = match *method {
            Method::GET
            | Method::PUT
            | Method::POST
            | Method::PATCH
            | Method::DELETE
            | Method::HEAD => method.as_str(),
            _ => "other",
        };
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
        self.durations.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    fn text(&self, state: &State) -> prometheus::Result<String> {
        let mut families = self.registry.gather();
        families.extend(collections::gather(state)?);
        TextEncoder::new().encode_to_string(&families)
    }
}

/// What Prometheus reads: histograms of searches and requests, and the database in numbers.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "operation",
    responses(
        (status = 200, description = "Series", body = String, content_type = "text/plain"),
        (status = "default", description = "Not done, and why", body = ErrorJson),
    )
)]
pub(crate) async fn get(Extract(state): Extract<Arc<State>>) -> Result<Response, ApiError> {
    let text = state.metrics.text(&state);
    let text = text.map_err(|error| ApiError::of(ErrorKind::Internal, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}
