use std::collections::BTreeMap;
use std::sync::Arc;

use async_lock::{Mutex as AsyncMutex, OnceCell};
use vecgo_format::{
    Catalogue, CollectionNames, Config, Entry, Extensions, Identity, NewerEntry, Schema,
};
use vecgo_io::{Access, BoxFuture, Env, Listed, Spawn, Store};
use vecgo_kernels::{Kernels, Level};

use super::probe::probe;
use super::{Chain, CollectionInfo, change};
use crate::collection::{Collection, Runtime, WeakCollection, lock};
use crate::vacuum::delete_all;
use crate::verify::{VerifyReport, verify};
use crate::write;
use crate::{BackupPlace, Error, ErrorKind, Options, Result};

/// Longest name of a collection.
const MAX_NAME_BYTES: usize = 64;

/// An open database.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) runtime: Runtime,
    pub(crate) chain: Chain,
    pub(crate) access: Access,
    /// Writers open in this process, so that a second open shares the first.
    pub(super) writers: AsyncMutex<BTreeMap<Identity, WeakCollection>>,
    /// Set once the store has shown that it can be written safely.
    probed: OnceCell<()>,
}

impl Database {
    /// A database on the machine that `env` is.
    ///
    /// # Errors
    /// `InvalidArgument` or `Unsupported` for options that cannot be had.
    pub fn new(env: Env, access: Access, options: Options) -> Result<Self> {
        options.check()?;
        let options = options.within(env.memory.limit());
        let level = Level::select(options.simd.as_deref());
        let kernels = level
            .and_then(Kernels::new)
            .map_err(|error| Error::invalid(format!("`simd`, or VECGO_SIMD: {error}")))?;
        let (options, writers) = (Arc::new(options), AsyncMutex::default());
        let probed = OnceCell::new();
        let chain = Chain::new(env.clone());
        let runtime = Runtime { env, kernels, options, backups: Arc::default() };
        Ok(Self { inner: Arc::new(Inner { runtime, chain, access, writers, probed }) })
    }

    /// The database's threads.
    pub fn threads(&self) -> Arc<dyn Spawn> {
        Arc::clone(&self.env().spawn)
    }

    /// A place for backups in a store, on the machine of this database.
    pub fn backup_place(&self, store: Arc<dyn Store>) -> BackupPlace {
        BackupPlace::new(store, self.env())
    }

    pub(crate) fn env(&self) -> &Env {
        &self.inner.runtime.env
    }

    /// Before the first change: whether any can be made.
    pub(crate) async fn check_writable(&self) -> Result<()> {
        let (env, Inner { access, probed, .. }) = (self.env(), &*self.inner);
        if *access == Access::Read {
            return Err(Error::new(ErrorKind::ReadOnly, "the database is open for reading only"));
        }
        if !env.store.has_locks() {
            probed.get_or_try_init(|| probe(env)).await?;
        }
        Ok(())
    }

    /// The collections, by name.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn collections(&self) -> BoxFuture<'_, Result<Vec<CollectionInfo>>> {
        Box::pin(async move {
            let (catalogue, _) = self.inner.chain.newest().await?;
            let entries = catalogue.collections.iter();
            Ok(entries
                .map(|(name, entry)| CollectionInfo {
                    name: name.clone(),
                    identity: entry.identity.0,
                    config: entry.config,
                    created_ms: entry.created_ms,
                })
                .collect())
        })
    }

    /// Creates an empty collection.
    ///
    /// # Errors
    /// `AlreadyExists`; `InvalidArgument` for a name or configuration that cannot be.
    pub fn create<'a>(
        &'a self,
        name: &'a str,
        config: Config,
        schema: Schema,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.check_writable().await?;
            check_name(name)?;
            config.check()?;
            let env = self.env();
            let identity = Identity(env.rand.next_u128());
            let (created_ms, extensions) = (env.clock.wall_ms(), Extensions::default());
            let entry = Entry { identity, config, schema, created_ms, extensions };
            change(&self.inner.chain, |catalogue| {
                if catalogue.has(name) {
                    let message = format!("collection `{name}` is there already");
                    return Err(Error::new(ErrorKind::AlreadyExists, message));
                }
                catalogue.collections.insert(name.to_owned(), entry.clone());
                Ok(())
            })
            .await
        })
    }

    /// Opens a collection, creating it if it is not there. Without a schema it may have any.
    ///
    /// # Errors
    /// `Conflict` if it is there with another configuration or schema; `Busy` if it has a writer
    /// already.
    pub fn open_or_create<'a>(
        &'a self,
        name: &'a str,
        config: Config,
        schema: Option<Schema>,
    ) -> BoxFuture<'a, Result<Collection>> {
        Box::pin(async move {
            check_name(name)?;
            config.check()?;
            let (catalogue, _) = self.inner.chain.newest().await?;
            if !catalogue.has(name) {
                match self.create(name, config, schema.clone().unwrap_or_default()).await {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    created => created?,
                }
            }
            let collection = self.collection(name).await?;
            let found = collection.config();
            if found != config {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("collection `{name}` has {found}; asked for {config}"),
                ));
            }
            let found = collection.schema();
            if let Some(difference) = schema.and_then(|schema| found.difference(&schema)) {
                let message = format!("collection `{name}`: {difference}");
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Ok(collection)
        })
    }

    /// Opens a collection: as its writer, or in a database open for reading as a replica.
    ///
    /// # Errors
    /// `NotFound`; `Busy`, naming the holder, if it has a writer already.
    pub fn collection<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Collection>> {
        Box::pin(async move {
            let Inner { runtime, access, writers, .. } = &*self.inner;
            let (env, options) = (&runtime.env, &runtime.options);
            let (catalogue, _) = self.inner.chain.newest().await?;
            let entry = find(&catalogue, name)?.clone();
            if *access == Access::Read {
                return Collection::open_replica(runtime, name, &entry).await;
            }
            self.check_writable().await?;
            options.check_dim(entry.config.dim())?;
            let mut writers = writers.lock().await;
            if let Some(open) = writers.get(&entry.identity).and_then(WeakCollection::upgrade) {
                return Ok(open);
            }
            let lock = lock(env, &CollectionNames(entry.identity), name).await?;
            // It may have been dropped while we came to the lock.
            let (catalogue, _) = self.inner.chain.newest().await?;
            if !catalogue.lists(entry.identity) {
                return Err(not_found(name));
            }
            let opened = Collection::open_writer(runtime, name, &entry, lock).await?;
            if !catalogue.dropped.is_empty() || !catalogue.arriving.is_empty() {
                // Somebody else's drop, which was interrupted: no reason not to open this one.
                let _ = self.finish_drops().await;
            }
            writers.retain(|_, open| open.upgrade().is_some());
            writers.insert(entry.identity, opened.downgrade());
            Ok(opened)
        })
    }

    /// Deletes a collection and all it holds.
    ///
    /// # Errors
    /// `NotFound`; `Busy` while it has a writer.
    pub fn drop_collection<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.check_writable().await?;
            let env = self.env();
            let (catalogue, _) = self.inner.chain.newest().await?;
            let entry = find(&catalogue, name)?.clone();
            let identity = entry.identity;
            let _lock = lock(env, &CollectionNames(identity), name).await?;
            if !env.store.has_locks() {
                Collection::fence(&self.inner.runtime, name, &entry).await?;
            }
            change(&self.inner.chain, |catalogue| {
                if find(catalogue, name)?.identity != identity {
                    return Err(not_found(name));
                }
                catalogue.collections.remove(name);
                catalogue.dropped.push(identity);
                Ok(())
            })
            .await?;
            // It is dropped. What this does not delete, the next writer of any collection does.
            let _ = self.finish_drops().await;
            Ok(())
        })
    }

    /// Deletes the objects of dropped collections, those of a drop that was interrupted too.
    pub(crate) async fn finish_drops(&self) -> Result<()> {
        let env = self.env();
        self.give_up_arrivals().await?;
        let (catalogue, _) = self.inner.chain.newest().await?;
        let gone = &catalogue.dropped;
        for identity in gone {
            delete_objects(env, *identity, !env.store.has_locks()).await?;
            let _ = write::forget_own_log(env, CollectionNames(*identity)).await;
        }
        if gone.is_empty() {
            return Ok(());
        }
        change(&self.inner.chain, |catalogue| {
            catalogue.dropped.retain(|dropped| !gone.contains(dropped));
            Ok(())
        })
        .await
    }

    /// Gives a collection another name. Whoever has it open keeps it.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` if the new name is taken.
    pub fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.check_writable().await?;
            check_name(to)?;
            change(&self.inner.chain, |catalogue| {
                let entry = find(catalogue, from)?.clone();
                if catalogue.has(to) {
                    let message = format!("collection `{to}` is there already");
                    return Err(Error::new(ErrorKind::AlreadyExists, message));
                }
                catalogue.collections.remove(from);
                catalogue.collections.insert(to.to_owned(), entry);
                Ok(())
            })
            .await
        })
    }

    /// Reads everything that the database holds and checks every checksum.
    ///
    /// # Errors
    /// What keeps it from looking; damage found is in the report.
    pub fn verify(&self) -> BoxFuture<'_, Result<VerifyReport>> {
        Box::pin(async move { verify(self.env()).await })
    }
}

/// Deletes what there is of a collection that no catalogue has any more; but for the newest manifest and the
/// last log if a writer may be left, without a lock, that does not know: it tries the names after these next.
pub(crate) async fn delete_objects(env: &Env, of: Identity, has_writer: bool) -> Result<()> {
    let names = CollectionNames(of);
    let listed = env.store.list(&names.prefix()).await?;
    let kept = if has_writer { last_names(&names, &listed) } else { [None; 2] };
    let gone = listed.iter().filter(|listed| !kept.contains(&Some(listed)));
    delete_all(env, gone.map(|listed| listed.key.clone()).collect(), || Ok(())).await?;
    Ok(env.store.clear_prefix(&names.prefix()).await?)
}

/// The newest manifest and the last log.
fn last_names<'a>(names: &CollectionNames, listed: &'a [Listed]) -> [Option<&'a Listed>; 2] {
    let mut manifests = listed.iter().filter(|l| l.key.starts_with(&names.manifests()));
    let mut logs = listed.iter().filter(|l| l.key.starts_with(&names.logs()));
    [manifests.next(), logs.next_back()]
}

pub(crate) fn find<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a Entry> {
    if let Some(newer) = catalogue.newer.get(name) {
        return Err(needs_newer(name, newer));
    }
    catalogue.collections.get(name).ok_or_else(|| {
        let names: Vec<&str> = catalogue.collections.keys().map(String::as_str).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let message = format!("there is no collection `{name}`; the database has {there}");
        Error::new(ErrorKind::NotFound, message)
    })
}

pub(crate) fn needs_newer(name: &str, NewerEntry { why, .. }: &NewerEntry) -> Error {
    let message = format!("collection `{name}` needs a newer build: {why}");
    Error::new(ErrorKind::Unsupported, message)
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no collection `{name}`"))
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME_BYTES + 1).collect();
    Err(Error::invalid(format!(
        "collection name {shown:?}; expected 1 to {MAX_NAME_BYTES} of a-z, 0-9, _ and -"
    )))
}
