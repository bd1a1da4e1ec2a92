use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};
use xxhash_rust::xxh3::xxh3_128;

use super::pages::{self, Paged};
use super::request::{Request, closed, failed};
use super::{Bucket, deadline_of};
use crate::store::Object;
use crate::store::requests::RequestKind;
use crate::{BoxFuture, StoreError};

/// Bytes asked for by one request. A longer read is made of several at the same time: a single one
/// is as fast as one connection.
const REQUEST_BYTES: usize = 8 << 20;
/// Reads of more are not asked for twice: their time is that of their bytes.
const HEDGED_BYTES: usize = 1 << 20;
/// The longest object that is read whole: catalogues, manifests, logs and delete objects are much shorter.
const MOST_BYTES: u64 = 1 << 30;
/// What time there is for one of them.
const USUAL_BYTES: u64 = 64 << 20;
/// Bytes of one read that are asked for at a time.
const WINDOW_BYTES: usize = 8 * REQUEST_BYTES;

/// An object being read: page by page, and nothing holds it.
#[derive(Debug)]
pub(super) struct BucketObject {
    bucket: Arc<Bucket>,
    paged: Paged,
}

impl BucketObject {
    pub(super) fn new(bucket: Arc<Bucket>, key: &str, path: Path, length: u64) -> Self {
        let hash = xxh3_128(format!("{}/{path}", bucket.clients.again).as_bytes());
        Self { bucket, paged: Paged { key: key.into(), path, length, hash } }
    }

    fn ends_first(&self) -> StoreError {
        StoreError::new(&*self.paged.key, std::io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether so many bytes are there at `offset`; those of nothing always are.
    fn check(&self, offset: u64, length: usize) -> Result<(), StoreError> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.paged.length);
        end.map(drop).ok_or_else(|| self.ends_first())
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
    let whole = range.is_none();
    // Whoever asks for all does not know how much that is.
    let bytes = range.as_ref().map_or(USUAL_BYTES, |range| range.end - range.start);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let deadline = deadline_of(bytes);
    let (client, path) = (Arc::clone(&bucket.clients.again), path.clone());
    let hedges = Arc::clone(&bucket.network.hedges);
    let requests = Arc::clone(&bucket.network.requests);
    let get = async move {
        let ask = || async {
            // Here, so that what is asked for twice is two requests.
            requests.sent(RequestKind::Get, 0);
            let range = range.clone().map(GetRange::Bounded);
            let options = GetOptions { range, ..GetOptions::default() };
            let answer = client.get_opts(&path, options).await?;
            // Before so much memory is taken.
            if answer.range.end.saturating_sub(answer.range.start) > MOST_BYTES {
                let source = format!("an object of {} bytes", answer.range.end).into();
                return Err(object_store::Error::NotSupported { source });
            }
            answer.bytes().await
        };
        match bytes <= HEDGED_BYTES {
            true => hedges.ask(ask).await,
            false => ask().await,
        }
    };
    let network = &bucket.network;
    network.start(if whole { 0 } else { bytes }, deadline, get).ok_or_else(|| closed(key))
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
        self.paged.length
    }

    fn will_read(&self, ranges: &[Range<u64>]) {
        pages::will_read(&self.bucket, &self.paged, ranges);
    }

    fn forget(&self, range: Range<u64>) {
        self.bucket.pages.forget(&self.paged, range);
    }

    fn read_into<'a>(
        &'a self,
        offset: u64,
        out: &'a mut [u8],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.check(offset, out.len())?;
            let mut start = offset;
            for window in out.chunks_mut(WINDOW_BYTES) {
                pages::read(&self.bucket, &self.paged, start, window).await?;
                start += window.len() as u64;
            }
            Ok(())
        })
    }

    fn read_past<'a>(
        &'a self,
        offset: u64,
        out: &'a mut [u8],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.check(offset, out.len())?;
            let Paged { key, path, .. } = &self.paged;
            let mut start = offset;
            for window in out.chunks_mut(WINDOW_BYTES) {
                let mut asked = Vec::new();
                for piece in window.chunks_mut(REQUEST_BYTES) {
                    let range = start..start + piece.len() as u64;
                    start = range.end;
                    asked.push((piece, ask(&self.bucket, key, path, Some(range))?));
                }
                for (piece, asked) in asked {
                    let body = answer(&self.bucket, key, asked).await?;
                    if body.len() != piece.len() {
                        return Err(self.ends_first());
                    }
                    piece.copy_from_slice(&body);
                }
            }
            Ok(())
        })
    }
}
