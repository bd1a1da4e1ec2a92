//! Bodies of JSON that come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use vecgo::ErrorKind;

use super::ApiError;
use super::answer::aside;
use crate::serve::State;

/// Bytes that take longer to read than other requests are to be kept waiting.
const LARGE: usize = 256 << 10;

/// A body that is JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<State>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if body.is_end_stream() && !parts.headers.contains_key(header::CONTENT_TYPE) {
            // Whoever has nothing to say need not say so.
            return Ok(Self(vecgo_json::read(b"{}")?));
        }
        check_type(&parts.headers, "application/json")?;
        let limits = &state.settings.limits;
        check_length(&parts.headers, limits.body)?;
        let missing = || ApiError::of(ErrorKind::Internal, "a request that nobody let in");
        let share = parts.extensions.get::<Arc<Share>>().ok_or_else(missing)?;
        let all = read(body, limits.body, limits.idle, share);
        let bytes = tokio::time::timeout(limits.time, all).await.map_err(|_| too_slow())??;
        share.has_come.store(true, Ordering::Relaxed);
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(ApiError::invalid("the request is no object"));
        }
        let parsed = match bytes.len() > LARGE {
            true => aside(|| vecgo_json::read(&bytes)),
            false => vecgo_json::read(&bytes),
        };
        Ok(Self(parsed?))
    }
}

/// Anything else could come from a page of somebody else's that a browser here shows: it may send
/// forms and texts, and JSON only to those who allow it.
pub(super) fn check_type(headers: &HeaderMap, expected: &str) -> Result<(), ApiError> {
    let found =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = found.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let message = format!("Content-Type is {found:?}; expected {expected}");
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorKind::InvalidArgument, message))
}

/// Before any of it is read.
fn check_length(headers: &HeaderMap, most: usize) -> Result<(), ApiError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length > most => Err(too_large(most)),
        _ => Ok(()),
    }
}

pub(super) fn too_large(most: usize) -> ApiError {
    let message = format!(
        "the request has more than {most} bytes (limits.body); send it in parts, or import"
    );
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::InvalidArgument, message)
}

pub(super) fn too_slow() -> ApiError {
    let message = "the rest of the request did not come in time (limits.idle, limits.time)";
    ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorKind::Unavailable, message)
}

pub(super) fn broken(error: impl std::fmt::Display) -> ApiError {
    ApiError::invalid(format!("the request broke off: {error}"))
}

/// Bytes of bodies of requests that are worked on, so that many large ones at a time do not take all
/// memory.
#[derive(Debug)]
pub(crate) struct Bodies {
    taken: AtomicUsize,
    most: usize,
}

impl Bodies {
    /// As many bytes as so many of the largest bodies have.
    pub(crate) fn new(limit: usize, bodies: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), most: limit.saturating_mul(bodies) })
    }
}

/// What one request has of them, until it is answered.
#[derive(Debug)]
pub(super) struct Share {
    bodies: Arc<Bodies>,
    taken: AtomicUsize,
    /// Whether all of the request is here, so that what it asks for may be under way.
    has_come: AtomicBool,
}

impl Share {
    pub(super) fn new(bodies: &Arc<Bodies>, body: &Body) -> Self {
        let (bodies, has_come) = (Arc::clone(bodies), AtomicBool::new(body.is_end_stream()));
        Self { bodies, taken: AtomicUsize::new(0), has_come }
    }

    pub(super) fn has_come(&self) -> bool {
        self.has_come.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Result<(), ApiError> {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        let before = self.bodies.taken.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.bodies.most {
            return Ok(());
        }
        let message = "too many large requests at a time; try again";
        Err(ApiError::of(ErrorKind::ResourceExhausted, message))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.bodies.taken.fetch_sub(self.taken.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

async fn read(
    mut body: Body,
    most: usize,
    idle: Duration,
    share: &Share,
) -> Result<Bytes, ApiError> {
    let mut all = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| too_slow())?;
        let Some(frame) = frame else { return Ok(all.freeze()) };
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if all.len().saturating_add(data.len()) > most {
            return Err(too_large(most));
        }
        share.take(data.len())?;
        all.extend_from_slice(&data);
    }
}
