//! The collections that are open.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use vecgo::{Collection, CollectionInfo, Config, Database, Error, ErrorKind, Result, Schema};

use crate::troubles::Trouble;

/// Each commits, which is a sync of the disk, or a request to the bucket.
const CLOSED_AT_A_TIME: usize = 16;

/// Collections, opened when they are first asked for and kept open.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) database: Database,
    open: RwLock<BTreeMap<String, Open>>,
    /// Held while the catalogue and what is open are brought together.
    changing: Mutex<()>,
    closed: std::sync::atomic::AtomicBool,
}

#[derive(Debug, Clone)]
struct Open {
    collection: Collection,
    created_ms: u64,
    /// Whether what searches read was loaded.
    is_warm: bool,
}

impl Held {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            open: RwLock::default(),
            changing: Mutex::default(),
            closed: std::sync::atomic::AtomicBool::new(false),
        }
    }

    fn find(&self, name: &str) -> Option<Collection> {
        self.open.read().get(name).map(|open| open.collection.clone())
    }

    /// The collection of this name.
    pub(crate) async fn get(&self, name: &str) -> Result<Collection> {
        if let Some(collection) = self.find(name) {
            return Ok(collection);
        }
        let _changing = self.changing.lock().await;
        match self.find(name) {
            Some(collection) => Ok(collection),
            None => self.open(name).await,
        }
    }

    async fn open(&self, name: &str) -> Result<Collection> {
        if self.closed.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the server is stopping"));
        }
        let listed = self.database.collections().await?;
        let info = listed.iter().find(|info| info.name == name);
        let missing =
            || Error::new(ErrorKind::NotFound, format!("there is no collection `{name}`"));
        let created_ms = info.ok_or_else(missing)?.created_ms;
        let collection = self.database.collection(name).await?;
        let open = Open { collection: collection.clone(), created_ms, is_warm: false };
        self.open.write().insert(name.to_owned(), open);
        Ok(collection)
    }

    /// All that are open, by name.
    pub(crate) fn all(&self) -> Vec<(String, Collection)> {
        let open = self.open.read();
        open.iter().map(|(name, open)| (name.clone(), open.collection.clone())).collect()
    }

    /// Opens all that there are, those again that have stopped, and lets go of those that there are no longer; says
    /// which could not be opened.
    pub(crate) async fn follow(&self) -> Result<Vec<Trouble>> {
        let _changing = self.changing.lock().await;
        let listed = self.database.collections().await?;
        for (name, open) in self.strays(&listed) {
            self.open.write().remove(&name);
            match listed.iter().find(|info| info.created_ms == open.created_ms) {
                // Another process has given it another name.
                Some(info) => {
                    self.open.write().entry(info.name.clone()).or_insert(open);
                }
                // A replica's is gone; what keeps it from closing has no one to matter to.
                None => drop(open.collection.close().await),
            }
        }
        self.revive().await;
        let mut troubles = Vec::new();
        for info in listed.iter().filter(|info| self.find(&info.name).is_none()) {
            if let Err(error) = self.open(&info.name).await {
                troubles.push(Trouble::new(&info.name, "open", error));
            }
        }
        Ok(troubles)
    }

    /// Opens those again whose writer has stopped, but for those that another writer has taken over.
    async fn revive(&self) {
        let has_stopped = |collection: &Collection| {
            collection.stats().failure.is_some_and(|failure| failure.kind() != ErrorKind::Fenced)
        };
        for (name, collection) in self.all() {
            if !collection.is_closed() && !has_stopped(&collection) {
                continue;
            }
            match self.database.reopen(&collection).await {
                Ok(again) => {
                    if let Some(open) = self.open.write().get_mut(&name) {
                        (open.collection, open.is_warm) = (again, false);
                    }
                }
                // It is opened like any other from now on.
                Err(_) if collection.is_closed() => drop(self.open.write().remove(&name)),
                // It can be read as it is.
                Err(error) => {
                    tracing::debug!(collection = name, %error, "not to be opened again yet");
                }
            }
        }
    }

    /// Loads what searches read of collections of which that was not done, and says of which it could not be.
    pub(crate) async fn warm(&self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let cold = self.open.read().clone().into_iter().filter(|(_, open)| !open.is_warm);
        for (name, open) in cold {
            match open.collection.warm().await {
                Ok(()) => {}
                // Searches load what they need, or find the same.
                Err(error) if error.kind() == ErrorKind::ResourceExhausted => {
                    tracing::warn!(collection = name, %error, "not all of it is in memory");
                }
                // It was dropped, or is opened again.
                Err(error) if error.kind() == ErrorKind::Closed => continue,
                Err(error) => {
                    troubles.push(Trouble::new(&name, "read", error));
                    continue;
                }
            }
            if let Some(there) = self.open.write().get_mut(&name) {
                there.is_warm = there.created_ms == open.created_ms;
            }
        }
        troubles
    }

    /// Collections that are open under names that are not theirs.
    fn strays(&self, listed: &[CollectionInfo]) -> Vec<(String, Open)> {
        let is_there = |name: &str, open: &Open| {
            listed.iter().any(|info| info.name == name && info.created_ms == open.created_ms)
        };
        let open = self.open.read();
        let strays = open.iter().filter(|(name, open)| !is_there(name, open));
        strays.map(|(name, open)| (name.clone(), open.clone())).collect()
    }

    pub(crate) async fn create(
        &self,
        name: &str,
        config: Config,
        schema: Option<Schema>,
    ) -> Result<()> {
        let create = self.database.create(name, config);
        create.schema(schema.unwrap_or_default()).await
    }

    pub(crate) async fn drop(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        let open = self.open.write().remove(name);
        if let Some(open) = open {
            // It need not be whole: it goes.
            let _ = open.collection.close().await;
        }
        self.database.drop_collection(name).await
    }

    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        self.database.rename(from, to).await?;
        let mut open = self.open.write();
        if let Some(moved) = open.remove(from) {
            open.insert(to.to_owned(), moved);
        }
        Ok(())
    }

    /// Commits and closes all; none is opened any more.
    pub(crate) async fn close(&self) -> Result<()> {
        self.closed.store(true, std::sync::atomic::Ordering::Relaxed);
        let _changing = self.changing.lock().await;
        let all = std::mem::take(&mut *self.open.write());
        let closing = all.into_iter().map(|(name, open)| async move {
            match open.collection.close().await {
                // Under another name, by whoever gave it that.
                Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
                closed => closed.inspect_err(
                    |error| tracing::error!(collection = name, %error, "could not be closed"),
                ),
            }
        });
        let closed: Vec<Result<()>> =
            stream::iter(closing).buffer_unordered(CLOSED_AT_A_TIME).collect().await;
        closed.into_iter().collect()
    }
}
