//! What takes as long as it takes: all records out, many records in.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vecgo::{Ack, Collection, ErrorKind, Record, Scan};
use vecgo_json::{RecordJson, Unread};

use super::Name;
use super::records::identified;
use super::search::{VectorFormat, filter_of};
use crate::http::{ApiError, ErrorJson, Json, Lines, Reply};
use crate::serve::{Phase, State};

/// Records of a page of a scan.
const PAGE: usize = 32;
/// About the bytes of lines of a batch, and the most rows in one.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ROWS: usize = 4096;

/// Which records to read, and what of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScanRequest {
    /// Read only records that match.
    #[schema(value_type = Option<Object>)]
    filter: Option<Unread>,
    /// No more than so many.
    limit: Option<u64>,
    /// How vectors are returned.
    #[serde(default)]
    vector_format: VectorFormat,
}

/// Reads all records of one state of the collection, each once, a line of JSON each.
#[utoipa::path(
    post, path = "/v1/collections/{name}/scan", tag = "records",
    params(("name" = String, Path, description = "The collection")), request_body = ScanRequest,
    responses(
        (status = 200, description = "A record a line; cut short if something fails on the way", body = RecordJson, content_type = "application/jsonl"),
        (status = "default", description = "Not done, and why", body = ErrorJson),
    )
)]
pub(super) async fn scan(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    version: Version,
    Json(request): Json<ScanRequest>,
) -> Result<Response, ApiError> {
    if version < Version::HTTP_11 {
        // It would take an end that comes too early for the end of all.
        let message =
            "a scan is HTTP/1.1; a proxy may have to be told so (nginx: proxy_http_version 1.1)";
        let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return Err(ApiError::new(status, ErrorKind::Unsupported, message));
    }
    let mut scan = state.held.get(&name).await?.scan().page_size(PAGE).with_vector().with_payload();
    if let Some(filter) = &request.filter {
        scan = scan.filter(filter_of(filter)?);
    }
    let scan = scan.await?;
    let pages = Pages {
        scan,
        left: request.limit.unwrap_or(u64::MAX),
        format: request.vector_format,
        state: Arc::clone(&state),
    };
    let body = Body::from_stream(stream::try_unfold(pages, Pages::next));
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], body).into_response())
}

/// A scan that is sent page by page.
struct Pages {
    scan: Scan,
    /// Records that may still be sent.
    left: u64,
    format: VectorFormat,
    state: Arc<State>,
}

impl Pages {
    /// The lines of the next page. It is too late to answer what went wrong: the answer is cut short.
    async fn next(self) -> Result<Option<(Bytes, Self)>, vecgo::Error> {
        let page = self.page().await;
        page.inspect_err(|error| tracing::error!(%error, "a scan was cut short"))
    }

    async fn page(mut self) -> Result<Option<(Bytes, Self)>, vecgo::Error> {
        if self.state.phase() == Phase::Stopping {
            return Err(vecgo::Error::new(ErrorKind::Unavailable, "the server is stopping"));
        }
        if self.left == 0 {
            return Ok(None);
        }
        let Some(records) = self.scan.next_page().await? else { return Ok(None) };
        let mut lines = Vec::new();
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(records.len());
        for record in records.into_iter().take(taken).map(RecordJson::from) {
            let record =
                if self.format == VectorFormat::Base64 { record.in_base64() } else { record };
            let written = serde_json::to_writer(&mut lines, &record);
            written.map_err(|error| vecgo::Error::new(ErrorKind::Internal, error.to_string()))?;
            lines.push(b'\n');
        }
        self.left = self.left.saturating_sub(taken as u64);
        Ok(Some((lines.into(), self)))
    }
}

/// What an import wrote.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Imported {
    /// Rows that were written.
    rows: u64,
    /// How long it took.
    seconds: f64,
    /// A version that holds them.
    version: u64,
}

/// Rows of lines, written in batches: one is written while the next is read.
struct Import<'a> {
    state: &'a State,
    collection: Collection,
    batch: Vec<Record>,
    /// Of each row of the batch, its line.
    places: Vec<u64>,
    batch_bytes: usize,
    rows: u64,
}

/// Writes the records of lines, a record each; one whose id is there is replaced. Then commits. If a line is
/// wrong, what was before it is there.
#[utoipa::path(
    post, path = "/v1/collections/{name}/import", tag = "records",
    params(("name" = String, Path, description = "The collection")),
    request_body(
        content((RecordJson = "application/jsonl"), (RecordJson = "application/x-ndjson")),
        description = "A record a line",
    ),
    responses((status = 200, description = "Done", body = Imported), (status = "default", description = "Not done, and why", body = ErrorJson))
)]
pub(super) async fn import(
    Extract(state): Extract<Arc<State>>,
    Name(name): Name,
    mut lines: Lines,
) -> Result<Reply<Imported>, ApiError> {
    let start = Instant::now();
    let collection = state.held.get(&name).await?;
    let most = BATCH_BYTES.min(collection.largest_batch() / 4);
    let mut import = Import {
        state: &state,
        collection,
        batch: Vec::new(),
        places: Vec::new(),
        batch_bytes: 0,
        rows: 0,
    };
    let read = import.all(&mut lines, most).await;
    // What was read before a wrong line is written all the same.
    let written = import.write().await;
    let version = import.collection.commit().await;
    let after = |error: ApiError| error.context(format!("after {} rows were stored", import.rows));
    read.and(written).map_err(after)?;
    let version = version.map_err(|error| after(error.into()))?;
    Ok(Reply(Imported { rows: import.rows, seconds: start.elapsed().as_secs_f64(), version }))
}

impl Import<'_> {
    async fn all(&mut self, lines: &mut Lines, most: usize) -> Result<(), ApiError> {
        loop {
            let line = tokio::select! {
                biased;
                () = self.state.stopping() => {
                    return Err(ApiError::of(ErrorKind::Unavailable, "the server is stopping"));
                }
                line = lines.next() => line?,
            };
            let Some(line) = line else { return Ok(()) };
            let record = vecgo_json::read::<RecordJson>(&line);
            let record = record.map_err(|error| ApiError::from(error).context(lines.place(0)))?;
            if !self.batch.is_empty() && self.batch_bytes.saturating_add(line.len()) > most {
                self.write().await?;
            }
            self.batch.push(identified(record).0);
            self.places.push(lines.number);
            self.batch_bytes = self.batch_bytes.saturating_add(line.len());
            if self.batch.len() >= BATCH_ROWS {
                self.write().await?;
            }
        }
    }

    async fn write(&mut self) -> Result<(), ApiError> {
        let (batch, places) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.places));
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let written = self.collection.upsert(batch).into_future().await;
        let Ack { records, .. } = written.map_err(|error| {
            let place = error.row().and_then(|row| places.get(row)).or(places.first());
            let place = place.map_or(String::new(), |line| format!("line {line}"));
            let message = error.message().to_owned();
            ApiError::of(error.kind(), message).context(place)
        })?;
        self.state.metrics.wrote("import", records);
        self.rows += places.len() as u64;
        Ok(())
    }
}
