use std::fmt::Write;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use hyper::{Response, StatusCode};

use futures_util::stream::iter;

use super::Cut;
use super::bucket::Bucket;

pub(super) type Body = BoxBody<Bytes, Cut>;

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(Cut::from).boxed()
}

fn with(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
}

/// Of bytes, the same for the same ones.
fn tag(body: &[u8]) -> String {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let ends = body.iter().take(4096).chain(body.iter().rev().take(4096));
    format!("\"{:016x}{:x}\"", ends.fold(0xcbf2_9ce4_8422_2325, mix), body.len())
}

fn set(response: &mut Response<Body>, name: hyper::header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

/// An object was put, or a part of one.
pub(super) fn plain(body: &[u8]) -> Response<Body> {
    let mut response = with(StatusCode::OK, "");
    set(&mut response, ETAG, &tag(body));
    response
}

pub(super) fn nothing() -> Response<Body> {
    with(StatusCode::NO_CONTENT, "")
}

pub(super) fn refused(status: StatusCode, code: &str) -> Response<Body> {
    with(status, format!("<Error><Code>{code}</Code><Message>as told</Message></Error>"))
}

pub(super) fn begun(upload: &str) -> Response<Body> {
    let result = "InitiateMultipartUploadResult";
    with(StatusCode::OK, format!("<{result}><UploadId>{upload}</UploadId></{result}>"))
}

pub(super) fn finished() -> Response<Body> {
    let result = "CompleteMultipartUploadResult";
    with(StatusCode::OK, format!("<{result}><ETag>\"parts\"</ETag></{result}>"))
}

pub(super) fn copied() -> Response<Body> {
    let result = "CopyObjectResult";
    with(StatusCode::OK, format!("<{result}><ETag>\"copy\"</ETag></{result}>"))
}

/// An object or the range of it that was asked for.
pub(super) fn object(
    body: &Bytes,
    range: Option<&str>,
    head: bool,
    written: SystemTime,
) -> Response<Body> {
    let length = body.len();
    let mut response = match range.map(|range| parse(range, length)) {
        Some(None) => refused(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
        Some(Some(range)) => {
            let part = body.slice(range.clone());
            let mut response = with(StatusCode::PARTIAL_CONTENT, part);
            let last = range.end.saturating_sub(1);
            let says = format!("bytes {}-{last}/{length}", range.start);
            set(&mut response, CONTENT_RANGE, &says);
            response
        }
        None if head => {
            let mut response = with(StatusCode::OK, "");
            set(&mut response, CONTENT_LENGTH, &length.to_string());
            response
        }
        None => with(StatusCode::OK, body.clone()),
    };
    set(&mut response, ETAG, &tag(body));
    set(&mut response, LAST_MODIFIED, &httpdate::fmt_http_date(written));
    response
}

fn parse(range: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some(length.saturating_sub(last.parse().ok()?)..length);
    }
    let first: usize = first.parse().ok()?;
    let end = last.parse().map_or(length, |last: usize| last.saturating_add(1).min(length));
    (first < length && first < end).then_some(first..end)
}

/// A page of what is there.
pub(super) fn listing(
    bucket: &Bucket,
    prefix: &str,
    after: Option<&str>,
    delimiter: Option<&str>,
) -> Response<Body> {
    let mut contents = String::new();
    let mut folders: Vec<String> = Vec::new();
    let mut last = None;
    let mut truncated = false;
    let found = bucket.objects.iter().filter(|(key, _)| key.starts_with(prefix));
    let found = found.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    for (count, (key, body)) in found.enumerate() {
        if count == bucket.page {
            truncated = true;
            break;
        }
        last = Some(key);
        let rest = &key[prefix.len()..];
        if let Some(end) = delimiter.and_then(|delimiter| rest.find(delimiter)) {
            let folder = key[..=prefix.len() + end].to_owned();
            if folders.last() != Some(&folder) {
                folders.push(folder);
            }
            continue;
        }
        let (key, size) = (escape(key), body.len());
        let _ = write!(
            contents,
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
             <ETag>{}</ETag><Size>{size}</Size></Contents>",
            escape(&tag(body))
        );
    }
    let token = last.filter(|_| truncated).map_or(String::new(), |last| {
        format!("<NextContinuationToken>{}</NextContinuationToken>", escape(last))
    });
    for folder in folders {
        let folder = escape(&folder);
        let _ = write!(contents, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>");
    }
    let body = format!(
        "<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{contents}\
         </ListBucketResult>"
    );
    with(StatusCode::OK, body)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

async fn taken(response: Response<Body>) -> (hyper::http::response::Parts, Bytes) {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    (head, body.unwrap_or_default())
}

/// The same answer, of whose body half comes before the connection is cut.
pub(super) async fn cut_short(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = taken(response).await;
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    let half = body.slice(..body.len() / 2);
    let frames = [Ok(Frame::data(half)), Err(Cut)];
    Response::from_parts(head, StreamBody::new(iter(Vec::from(frames))).boxed())
}

/// The same answer with a byte of the body that is another.
pub(super) async fn flipped(response: Response<Body>) -> Response<Body> {
    let (head, body) = taken(response).await;
    let mut body = body.to_vec();
    let middle = body.len() / 2;
    if let Some(byte) = body.get_mut(middle) {
        *byte ^= 0x10;
    }
    Response::from_parts(head, full(body))
}

/// The same answer with a body shorter than what was asked for, and a length that says so.
pub(super) async fn shorter(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = taken(response).await;
    let body = body.slice(..body.len().saturating_sub(1));
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    Response::from_parts(head, full(body))
}
