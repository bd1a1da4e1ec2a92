use std::io;

use bytes::Bytes;
use vecgo_io::{BoxFuture, Clock, Object, ObjectWriter, StoreError};

use super::weather::RequestFault;
use super::{SimBucket, no_answer};

/// An object being read: range by range, and nothing holds it.
#[derive(Debug)]
pub(super) struct BucketObject {
    bucket: SimBucket,
    key: String,
    length: u64,
}

impl BucketObject {
    pub(super) fn new(bucket: SimBucket, key: &str, length: u64) -> Self {
        Self { bucket, key: key.to_owned(), length }
    }
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
            self.bucket.ask("read", &self.key).await?;
            let body = self.bucket.body(&self.key)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = body.get(start..).and_then(|tail| tail.get(..out.len()));
            let ends_first = || StoreError::new(&self.key, io::ErrorKind::UnexpectedEof.into());
            out.copy_from_slice(bytes.ok_or_else(ends_first)?);
            Ok(())
        })
    }
}

/// A multipart upload: nothing of it is there before it is finished.
#[derive(Debug)]
pub(super) struct Upload {
    bucket: SimBucket,
    key: String,
    body: Vec<u8>,
}

impl Upload {
    pub(super) fn new(bucket: SimBucket, key: &str) -> Self {
        Self { bucket, key: key.to_owned(), body: Vec::new() }
    }
}

impl ObjectWriter for Upload {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let (fault, takes) = self.bucket.request("part", &self.key, bytes);
            self.bucket.clock.sleep(takes).await;
            match fault {
                None
                | Some(RequestFault::Slow | RequestFault::Duplicated | RequestFault::Hidden) => {
                    self.body.extend_from_slice(bytes);
                    Ok(())
                }
                Some(_) => Err(no_answer(&self.key)),
            }
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            let (fault, takes) = self.bucket.request("finish", &self.key, &[]);
            self.bucket.clock.sleep(takes).await;
            let done = !matches!(
                fault,
                Some(RequestFault::Lost | RequestFault::Refused | RequestFault::FalseConflict)
            );
            if done {
                let body = Bytes::from(self.body);
                self.bucket.state().objects.insert(self.key.clone(), body);
            }
            match fault {
                None
                | Some(RequestFault::Slow | RequestFault::Duplicated | RequestFault::Hidden) => {
                    Ok(())
                }
                Some(_) => Err(no_answer(&self.key)),
            }
        })
    }
}
