//! Opening a collection again whose writer has stopped.

use std::sync::atomic::Ordering;

use vecgo_format::CollectionNames;
use vecgo_io::{BoxFuture, PutOutcome, Store};

use super::Database;
use crate::collection::{Collection, Shared, WeakCollection};
use crate::{Error, ErrorKind, Result, manifest};

impl Database {
    /// Opens a collection again if its writer has stopped (`Stats::failure`); otherwise gives it back. Until it is clear that
    /// nobody has taken over and that the store can be written, it is left as it is, and can be read.
    ///
    /// # Errors
    /// `Fenced` if another writer has taken over; what writing the store can meet; then as [`Database::collection`],
    /// and the collection is closed.
    pub fn reopen<'a>(&'a self, collection: &'a Collection) -> BoxFuture<'a, Result<Collection>> {
        Box::pin(async move {
            let shared = &collection.shared;
            if shared.failure.lock().is_none() {
                return Ok(collection.clone());
            }
            // Somebody else of this process may have done so.
            let writers = self.inner.writers.lock().await;
            let open = writers.get(&shared.names.0).and_then(WeakCollection::upgrade);
            drop(writers);
            if let Some(open) = open.filter(|open| open.shared.failure.lock().is_none()) {
                return Ok(open);
            }
            check_ours(shared).await?;
            check_written(shared).await?;
            // It says again that it has stopped.
            let _ = collection.close().await;
            let name = self.name_of(shared.names).await?;
            self.collection(&name).await
        })
    }

    /// What a collection is called now.
    async fn name_of(&self, names: CollectionNames) -> Result<String> {
        let (catalogue, _) = self.inner.chain.newest().await?;
        let mut entries = catalogue.collections.iter();
        let named = entries.find(|(_, entry)| entry.identity == names.0);
        named
            .map(|(name, _)| name.clone())
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the collection was dropped"))
    }
}

/// Where there are no locks, whether no writer has come since: to open would take the collection from that one.
async fn check_ours(shared: &Shared) -> Result<()> {
    let store = &*shared.env.store;
    if store.has_locks() {
        return Ok(());
    }
    let newest = manifest::newest(store, shared.names).await?;
    let ours = shared.epoch.load(Ordering::Acquire);
    if newest.is_none_or(|newest| newest.manifest.epoch <= ours) {
        return Ok(());
    }
    let fenced = Error::new(ErrorKind::Fenced, "another writer has taken over");
    *shared.failure.lock() = Some(fenced.clone());
    Err(fenced)
}

/// Whether an object can be put, and is durable then, where there is the log as well.
async fn check_written(shared: &Shared) -> Result<()> {
    if let Some(own) = &shared.env.own_logs {
        check_put(shared, &*own.store).await?;
    }
    check_put(shared, &*shared.env.store).await
}

async fn check_put(shared: &Shared, store: &dyn Store) -> Result<()> {
    let key = format!("probe/{:032x}", shared.env.rand.next_u128());
    let put = store.put_if_absent(&key, "reopen".into()).await;
    // What is left of it is in nobody's way.
    let _ = store.delete(&key).await;
    match put? {
        PutOutcome::Committed | PutOutcome::Conflict => Ok(()),
        PutOutcome::Unknown(error) => Err(Error::from(error)
            .with_kind(ErrorKind::Unavailable)
            .context("the store was probed")),
    }
}
