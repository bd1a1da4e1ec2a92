//! Objects in a bucket of S3 or what speaks its language, of Google or of Azure.
//!
//! All requests are made by [`object_store`], on threads of their own: it needs an executor with a
//! network in it, and whoever awaits an answer may run on any. What it does under faults decides
//! what is asked of it here:
//!
//! - Puts with a condition are tried once. It would repeat one that was refused for a moment, and
//!   take its own first success for another's. Whoever asked repeats it, and knows its own bytes.
//! - All other requests are the same however often they are made, and it repeats those.
//! - Each request has a deadline. What of a body is missing is an error, not a short object.

mod disk_pages;
mod hedge;
mod location;
mod object;
mod pages;
mod profile;
mod request;
mod upload;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutMode, PutOptions};

pub use pages::PageCache;

use self::location::Clients;
use self::object::BucketObject;
use self::pages::Pages;
use self::request::{Network, denied, failed, is_missing};
use self::upload::Upload;
use super::requests::RequestKind;
use super::{Listed, Object, ObjectWriter, PutOutcome, Requests, Store, StoreLock};
use crate::{BoxFuture, OpenError, StoreError};

/// How long a listing may take, all its pages together.
const LIST_DEADLINE: Duration = Duration::from_secs(60);
/// Providers copy larger objects only in parts.
const MOST_COPIED: u64 = 5_000_000_000;
/// How long a request may take beside the time for its bytes.
const DEADLINE: Duration = Duration::from_secs(15);

/// Objects in a bucket, under a prefix. Clones share the connections.
#[derive(Debug, Clone)]
pub struct BucketStore {
    bucket: Arc<Bucket>,
}

/// A bucket and the way to it.
#[derive(Debug)]
struct Bucket {
    clients: Clients,
    network: Network,
    pages: Pages,
}

impl BucketStore {
    /// The bucket that an address names: `s3`, `gs` or `az`, and what follows the `://`. Options are
    /// the names and values of environment variables, in small letters and with or without what the
    /// provider's begin with, and come before those.
    ///
    /// # Errors
    /// [`OpenError::Address`] for an address or an option that means nothing.
    pub fn open(
        scheme: &str,
        rest: &str,
        options: &[(String, String)],
        cache: &PageCache,
    ) -> Result<Self, OpenError> {
        let clients = Clients::open(scheme, rest, options)?;
        let network = Network::new().map_err(OpenError::System)?;
        let pages = Pages::new(cache)?;
        Ok(Self { bucket: Arc::new(Bucket { clients, network, pages }) })
    }

    /// When an object was put, by the bucket's clock, in milliseconds since 1970; providers tell whole
    /// seconds.
    ///
    /// # Errors
    /// `NotFound`, or no answer.
    pub fn put_at_ms<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(async move {
            let path = self.bucket.path(key)?;
            Ok(self.bucket.head(key, path).await?.last_modified.timestamp_millis())
        })
    }

    /// Whether a scheme is that of a bucket.
    pub fn knows(scheme: &str) -> bool {
        location::SCHEMES.contains(&scheme)
    }
}

impl Bucket {
    fn path(&self, key: &str) -> Result<Path, StoreError> {
        let prefix = &self.clients.prefix;
        let whole = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}/{key}") };
        Path::parse(whole).map_err(|error| failed(key, &error.into()))
    }

    /// What the bucket says of an object.
    async fn head(&self, key: &str, path: Path) -> Result<ObjectMeta, StoreError> {
        self.network.requests.sent(RequestKind::Get, 0);
        let client = Arc::clone(&self.clients.again);
        let head = async move { client.head(&path).await };
        let meta = self.network.ask(key, DEADLINE, head).await?;
        meta.map_err(|error| failed(key, &error))
    }

    /// The key of what the bucket calls so.
    fn key<'a>(&self, path: &'a Path) -> Option<&'a str> {
        let prefix = self.clients.prefix.as_str();
        let rest = path.as_ref().strip_prefix(prefix)?;
        if prefix.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }
}

impl Store for BucketStore {
    fn put_if_absent<'a>(
        &'a self,
        key: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<PutOutcome, StoreError>> {
        Box::pin(async move {
            let Bucket { clients, network, .. } = &*self.bucket;
            let path = self.bucket.path(key)?;
            network.requests.sent(RequestKind::Put, body.len());
            let client = Arc::clone(&clients.once);
            let deadline = deadline_of(body.len());
            let put = async move {
                let mode = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                client.put_opts(&path, body.into(), mode).await
            };
            use object_store::Error;
            match network.ask(key, deadline, put).await {
                Ok(Ok(_)) => Ok(PutOutcome::Committed),
                Ok(Err(Error::AlreadyExists { .. } | Error::Precondition { .. })) => {
                    Ok(PutOutcome::Conflict)
                }
                Ok(Err(
                    error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }),
                )) => Err(denied(key, &error)),
                // It was refused before anything came of it.
                Ok(Err(
                    error @ (Error::NotFound { .. }
                    | Error::NotSupported { .. }
                    | Error::NotImplemented { .. }
                    | Error::InvalidPath { .. }),
                )) => Err(failed(key, &error)),
                Ok(Err(error)) => Ok(PutOutcome::Unknown(failed(key, &error))),
                Err(error) => Ok(PutOutcome::Unknown(error)),
            }
        })
    }

    fn create<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectWriter>, StoreError>> {
        Box::pin(async move {
            let path = self.bucket.path(key)?;
            let upload = Upload::new(Arc::clone(&self.bucket), key, path);
            Ok(Box::new(upload) as Box<dyn ObjectWriter>)
        })
    }

    fn open<'a>(
        &'a self,
        key: &'a str,
        length: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Object>, StoreError>> {
        Box::pin(async move {
            let path = self.bucket.path(key)?;
            let length = match length {
                Some(length) => length,
                None => self.bucket.head(key, path.clone()).await?.size,
            };
            let object = BucketObject::new(Arc::clone(&self.bucket), key, path, length);
            Ok(Box::new(object) as Box<dyn Object>)
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<u8>, StoreError>> {
        Box::pin(async move {
            let path = self.bucket.path(key)?;
            let body = object::fetch(&self.bucket, key, &path, None).await?;
            Ok(body.into())
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        Box::pin(async move {
            let Bucket { clients, network, .. } = &*self.bucket;
            let folder = prefix.strip_suffix('/').unwrap_or(prefix);
            let path = self.bucket.path(folder)?;
            network.requests.sent(RequestKind::List, 0);
            let client = Arc::clone(&clients.again);
            let list = async move { client.list(Some(&path)).try_collect::<Vec<_>>().await };
            let found = network.ask(prefix, LIST_DEADLINE, list).await?;
            let found = found.map_err(|error| failed(prefix, &error))?;
            let mut listed: Vec<Listed> = found
                .iter()
                .filter_map(|meta| {
                    let key = self.bucket.key(&meta.location)?.to_owned();
                    key.starts_with(prefix).then_some(Listed { key, length: meta.size })
                })
                .collect();
            // Some list by folder and some twice what is on two pages.
            listed.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            listed.dedup_by(|a, b| a.key == b.key);
            Ok(listed)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let Bucket { clients, network, .. } = &*self.bucket;
            let path = self.bucket.path(key)?;
            network.requests.sent(RequestKind::Delete, 0);
            let client = Arc::clone(&clients.again);
            let delete = async move { client.delete(&path).await };
            match network.ask(key, DEADLINE, delete).await? {
                Err(error) if !is_missing(&error) => Err(failed(key, &error)),
                _ => Ok(()),
            }
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn copy_from<'a>(
        &'a self,
        from: &'a dyn Store,
        key: &'a str,
        length: u64,
        to: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let Some(from) = from.as_any().downcast_ref::<Self>() else { return Ok(false) };
            let Bucket { clients, network, .. } = &*self.bucket;
            if clients.place != from.bucket.clients.place || length > MOST_COPIED {
                return Ok(false);
            }
            let (path, to_path) = (from.bucket.path(key)?, self.bucket.path(to)?);
            network.requests.sent(RequestKind::Put, 0);
            let client = Arc::clone(&clients.again);
            let copy = async move { client.copy(&path, &to_path).await };
            let deadline = deadline_of(usize::try_from(length).unwrap_or(usize::MAX));
            match network.ask(to, deadline, copy).await? {
                Ok(()) => Ok(true),
                Err(object_store::Error::NotImplemented { .. }) => Ok(false),
                Err(error) => Err(failed(key, &error)),
            }
        })
    }

    /// Uploads that were begun and neither finished nor given up are no objects. Rules of the bucket
    /// delete them.
    fn clear_unfinished<'a>(&'a self, _prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn requests(&self) -> Option<&Requests> {
        Some(&self.bucket.network.requests)
    }

    fn cached_on_disk(&self) -> u64 {
        self.bucket.pages.disk_bytes()
    }

    fn has_locks(&self) -> bool {
        false
    }

    fn lock<'a>(
        &'a self,
        key: &'a str,
        _holder: &'a str,
    ) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        Box::pin(async move { Err(StoreError::new(key, std::io::ErrorKind::Unsupported.into())) })
    }
}

/// How long a request for so many bytes may take: a slow line gets the time that they need.
fn deadline_of(bytes: usize) -> Duration {
    const LEAST_BYTES_PER_SECOND: usize = 256 << 10;
    let seconds = u32::try_from(bytes / LEAST_BYTES_PER_SECOND).unwrap_or(u32::MAX);
    DEADLINE.saturating_add(Duration::from_secs(1).saturating_mul(seconds))
}
