//! Answers: how large all of them together may be, and how long they may take to be sent.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use tokio::runtime::{Handle, RuntimeFlavor};
use vecgo::ErrorKind;

use super::ApiError;

/// The largest answer that is put together in memory, and all that there may be at a time.
const MOST_BYTES: usize = 256 << 20;
const MOST_AT_A_TIME: usize = 512 << 20;
/// What is taken of that at a time; smaller answers take nothing.
const STEP_BYTES: usize = 1 << 20;
/// An answer is sent in parts of so many bytes.
const PART_BYTES: usize = 64 << 10;
/// How long an answer may take to be sent, beside a second for each of its megabytes.
const PATIENCE: Duration = Duration::from_secs(30);
/// More records than that are written where they keep no other request waiting.
const FEW: usize = 256;

/// Bytes of all answers that are not sent yet.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// What one answer has of them.
#[derive(Debug, Default)]
struct Weight(usize);

impl Weight {
    fn take(&mut self, bytes: usize) -> bool {
        self.0 += bytes;
        TAKEN.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= MOST_AT_A_TIME
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Text that is refused when it grows too long.
#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    weight: Weight,
    /// Why no more of it is written.
    refused: Option<&'static str>,
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.bytes.len().saturating_add(bytes.len());
        if length > MOST_BYTES {
            self.refused = Some("the answer has more than 256 MiB; ask for fewer records, or scan");
        } else if length > self.weight.0.saturating_add(STEP_BYTES)
            && !self.weight.take((length - self.weight.0).next_multiple_of(STEP_BYTES))
        {
            self.refused = Some("too many large answers at a time; try again");
        }
        if self.refused.is_some() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer that is JSON.
#[derive(Debug)]
pub(crate) struct Reply<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let mut text = Text::default();
        match (serde_json::to_writer(&mut text, &self.0), text.refused) {
            (Ok(()), _) => {
                let body = Sent::new(text.bytes.into(), text.weight);
                ([(header::CONTENT_TYPE, "application/json")], Body::new(body)).into_response()
            }
            (Err(_), Some(refused)) => {
                // What there is of it makes room first.
                drop((text, self));
                ApiError::of(ErrorKind::ResourceExhausted, refused).into_response()
            }
            (Err(error), None) => {
                tracing::error!(%error, "an answer could not be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

impl<T: Serialize> Reply<T> {
    /// The same of an answer with so many records, where many keep no other request waiting.
    pub(crate) fn of(self, records: usize) -> Response {
        if records > FEW { aside(|| self.into_response()) } else { self.into_response() }
    }
}

/// Does what takes long and waits for nothing, while other threads serve other requests.
pub(super) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}

/// A body that is taken in time, or not at all.
#[derive(Debug)]
struct Sent {
    rest: Bytes,
    weight: Weight,
    /// When it was begun, and how long it may take.
    begun: Instant,
    patience: Duration,
}

impl Sent {
    fn new(rest: Bytes, weight: Weight) -> Self {
        let megabytes = (rest.len() / STEP_BYTES) as u64;
        let patience = PATIENCE.saturating_add(Duration::from_secs(megabytes));
        Self { rest, weight, begun: Instant::now(), patience }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            self.weight = Weight::default();
            return Poll::Ready(None);
        }
        if self.begun.elapsed() > self.patience {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let length = self.rest.len().min(PART_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A body that keeps something until it is sent.
#[derive(Debug)]
pub(crate) struct Keeping<T> {
    pub(crate) body: Body,
    pub(crate) _kept: T,
}

impl<T: Unpin> HttpBody for Keeping<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
