//! Spans of requests for a collector that speaks OTLP, with the names that OpenTelemetry has for calls of databases.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, StatusCode};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::settings::SettingsError;

/// What sends spans; whoever holds it last sends the rest.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// To the collector at this address.
    pub(crate) fn to(collector: &str) -> Result<(Self, Tracer), SettingsError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')))
            .build()
            .map_err(|error| SettingsError(format!("trace.otlp is {collector}: {error}")))?;
        let resource = Resource::builder().with_service_name("vecgo").build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("vecgo");
        Ok((Self(provider), tracer))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // A collector that is away is not waited for longer than the library does.
        let _ = self.0.shutdown();
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// The span of a request, a part of the trace that its `traceparent` names.
pub(crate) fn span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    // `/v1/collections/docs/search`: the collection and what is done with it.
    let mut parts =
        request.uri().path().strip_prefix("/v1/collections/").unwrap_or_default().split('/');
    let collection = parts.next().filter(|name| !name.is_empty());
    let operation = route.rsplit('/').next().filter(|part| !part.contains('{'));
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = field::Empty,
        db.system.name = "vecgo",
        db.operation.name = operation,
        db.collection.name = collection,
    );
    let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
    // Where nobody listens there is no span to have one.
    let _ = span.set_parent(parent);
    span
}

/// How the request was answered.
pub(crate) fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
}
