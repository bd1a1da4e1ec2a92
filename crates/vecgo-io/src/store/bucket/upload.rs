use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};

use super::request::{Request, failed, is_missing};
use super::{Bucket, DEADLINE, deadline_of};
use crate::store::ObjectWriter;
use crate::store::requests::RequestKind;
use crate::{BoxFuture, StoreError};

/// Bytes of a part. All but the last are as long as each other, as some stores want it; there are
/// 10,000 at most, so this bounds the length of an object to 78 GiB.
const PART_BYTES: usize = 8 << 20;
/// Parts under way at a time.
const AT_A_TIME: usize = 4;

/// An object being written: put whole if it fits one part, otherwise part by part. Nothing of it is
/// there before it is finished.
#[derive(Debug)]
pub(super) struct Upload {
    bucket: Arc<Bucket>,
    key: String,
    path: Path,
    /// Bytes of the part that is not full.
    buffer: Vec<u8>,
    /// There once a part is full.
    parts: Option<Box<dyn MultipartUpload>>,
    under_way: VecDeque<Request<Result<(), object_store::Error>>>,
}

impl Upload {
    pub(super) fn new(bucket: Arc<Bucket>, key: &str, path: Path) -> Self {
        let (buffer, under_way) = (Vec::new(), VecDeque::new());
        Self { bucket, key: key.to_owned(), path, buffer, parts: None, under_way }
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        if self.parts.is_some() {
            return Ok(());
        }
        let Bucket { clients, network, .. } = &*self.bucket;
        network.requests.sent(RequestKind::Put, 0);
        let (client, path) = (Arc::clone(&clients.again), self.path.clone());
        let begin = async move { client.put_multipart(&path).await };
        let begun = network.ask(&self.key, DEADLINE, begin).await?;
        self.parts = Some(begun.map_err(|error| failed(&self.key, &error))?);
        Ok(())
    }

    /// Sends the buffer as the next part.
    async fn send_part(&mut self) -> Result<(), StoreError> {
        self.begin().await?;
        while self.under_way.len() >= AT_A_TIME {
            self.end_one().await?;
        }
        let body = Bytes::from(std::mem::take(&mut self.buffer));
        let network = &self.bucket.network;
        network.requests.sent(RequestKind::Put, body.len());
        if let Some(parts) = &mut self.parts {
            let deadline = deadline_of(body.len());
            let bytes = body.len();
            self.under_way.extend(network.start(bytes, deadline, parts.put_part(body.into())));
        }
        Ok(())
    }

    async fn end_one(&mut self) -> Result<(), StoreError> {
        let Some(part) = self.under_way.pop_front() else { return Ok(()) };
        part.end(&self.key).await?.map_err(|error| failed(&self.key, &error))
    }

    async fn put_whole(&mut self) -> Result<(), StoreError> {
        let Bucket { clients, network, .. } = &*self.bucket;
        let body = Bytes::from(std::mem::take(&mut self.buffer));
        network.requests.sent(RequestKind::Put, body.len());
        let (client, path) = (Arc::clone(&clients.again), self.path.clone());
        let deadline = deadline_of(body.len());
        let put = async move { client.put(&path, body.into()).await };
        let put = network.ask(&self.key, deadline, put).await?;
        put.map(drop).map_err(|error| failed(&self.key, &error))
    }

    async fn complete(&mut self) -> Result<(), StoreError> {
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        while !self.under_way.is_empty() {
            self.end_one().await?;
        }
        let Some(mut parts) = self.parts.take() else { return Ok(()) };
        let network = &self.bucket.network;
        network.requests.sent(RequestKind::Put, 0);
        let complete = async move {
            let completed = parts.complete().await;
            (parts, completed)
        };
        // The store puts the parts together before it answers.
        let (parts, completed) = network.ask(&self.key, DEADLINE * 4, complete).await?;
        if completed.is_err() {
            self.parts = Some(parts);
        }
        completed.map(drop).map_err(|error| match is_missing(&error) {
            // The client asks again when an answer is lost, and an upload that is finished is not there.
            true => StoreError::no_answer(&*self.key, std::io::Error::other(error)),
            false => failed(&self.key, &error),
        })
    }
}

impl ObjectWriter for Upload {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut rest = bytes;
            while !rest.is_empty() {
                if self.buffer.len() == PART_BYTES {
                    self.send_part().await?;
                }
                let (now, later) = rest.split_at(rest.len().min(PART_BYTES - self.buffer.len()));
                self.buffer.extend_from_slice(now);
                rest = later;
            }
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            match self.parts {
                None => self.put_whole().await,
                Some(_) => self.complete().await,
            }
        })
    }
}

impl Drop for Upload {
    /// Parts that nobody will finish are deleted: they cost as much as objects do.
    fn drop(&mut self) {
        self.under_way.clear();
        if let Some(mut parts) = self.parts.take() {
            let abort = async move { parts.abort().await };
            self.bucket.network.start_and_forget(abort);
        }
    }
}
