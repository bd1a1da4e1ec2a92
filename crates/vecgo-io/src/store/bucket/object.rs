use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use super::request::{Request, failed};
use super::{Bucket, deadline_of};
use crate::store::Object;
use crate::store::requests::RequestKind;
use crate::{BoxFuture, StoreError};

/// Bytes asked for by one request. A longer read is made of several at the same time: a single one
/// is as fast as one connection.
const REQUEST_BYTES: u64 = 8 << 20;
/// Requests of one read at a time.
const AT_A_TIME: usize = 8;

/// An object being read: range by range, and nothing holds it.
#[derive(Debug)]
pub(super) struct BucketObject {
    bucket: Arc<Bucket>,
    key: String,
    path: Path,
    length: u64,
}

impl BucketObject {
    pub(super) fn new(bucket: Arc<Bucket>, key: &str, path: Path, length: u64) -> Self {
        Self { bucket, key: key.to_owned(), path, length }
    }
}

type Answer = Request<Result<Bytes, object_store::Error>>;

/// Asks for a range of an object, or for all of it.
fn ask(
    bucket: &Bucket,
    key: &str,
    path: &Path,
    range: Option<Range<u64>>,
) -> Result<Answer, StoreError> {
    bucket.network.requests.sent(RequestKind::Get, 0);
    let bytes = range.as_ref().map_or(REQUEST_BYTES, |range| range.end - range.start);
    let deadline = deadline_of(usize::try_from(bytes).unwrap_or(usize::MAX));
    let (client, path) = (Arc::clone(&bucket.clients.again), path.clone());
    let get = async move {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        client.get_opts(&path, options).await?.bytes().await
    };
    let closed = || StoreError::no_answer(key, std::io::Error::other("the store is closed"));
    bucket.network.start(deadline, get).ok_or_else(closed)
}

async fn answer(bucket: &Bucket, key: &str, asked: Answer) -> Result<Bytes, StoreError> {
    let body = asked.end(key).await?.map_err(|error| failed(key, &error))?;
    bucket.network.requests.received(body.len());
    Ok(body)
}

/// A range of an object, or all of it.
pub(super) async fn fetch(
    bucket: &Bucket,
    key: &str,
    path: &Path,
    range: Option<Range<u64>>,
) -> Result<Bytes, StoreError> {
    answer(bucket, key, ask(bucket, key, path, range)?).await
}

impl Object for BucketObject {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_into<'a>(
        &'a self,
        offset: u64,
        out: &'a mut [u8],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let ends_first =
                || StoreError::new(&self.key, std::io::ErrorKind::UnexpectedEof.into());
            let end = offset.checked_add(out.len() as u64).filter(|end| *end <= self.length);
            end.ok_or_else(ends_first)?;
            if out.is_empty() {
                return Ok(());
            }
            let piece_bytes = usize::try_from(REQUEST_BYTES).unwrap_or(usize::MAX);
            let mut pieces = out.chunks_mut(piece_bytes);
            let mut start = offset;
            let mut under_way = std::collections::VecDeque::new();
            loop {
                while under_way.len() < AT_A_TIME
                    && let Some(piece) = pieces.next()
                {
                    let range = start..start + piece.len() as u64;
                    start = range.end;
                    under_way
                        .push_back((piece, ask(&self.bucket, &self.key, &self.path, Some(range))?));
                }
                let Some((piece, asked)) = under_way.pop_front() else { return Ok(()) };
                let body = answer(&self.bucket, &self.key, asked).await?;
                if body.len() != piece.len() {
                    return Err(ends_first());
                }
                piece.copy_from_slice(&body);
            }
        })
    }
}
