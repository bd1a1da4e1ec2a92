//! The collections that are open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, RwLock as AsyncRwLock};
use vecgo::{Collection, CollectionInfo, Config, Database, Error, ErrorKind, Result, Schema};

use crate::troubles::Trouble;

/// Each commits, which is a sync of the disk, or a request to the bucket.
const CLOSED_AT_A_TIME: usize = 16;
/// Each reads its log.
const OPENED_AT_A_TIME: usize = 4;
/// For so long a name that is not in the list is that of no collection.
const LIST_LASTS: Duration = Duration::from_secs(1);

/// Collections, opened when they are first asked for and kept open.
#[derive(Debug, Clone)]
pub(crate) struct Held(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    open: RwLock<BTreeMap<String, Open>>,
    /// Held by who opens; by one alone who changes what collections are called, or closes them.
    changing: AsyncRwLock<()>,
    /// One does something to a collection at a time.
    turns: Mutex<BTreeMap<String, Arc<AsyncMutex<()>>>>,
    listed: AsyncMutex<Listed>,
    closed: AtomicBool,
}

#[derive(Debug, Clone)]
struct Open {
    collection: Collection,
    /// Whether what searches read was loaded.
    is_warm: bool,
}

/// Names that there were.
#[derive(Debug, Default)]
struct Listed {
    names: BTreeSet<String>,
    at: Option<Instant>,
}

impl Held {
    pub(crate) fn new(database: Database) -> Self {
        Self(Arc::new(Inner {
            database,
            open: RwLock::default(),
            changing: AsyncRwLock::default(),
            turns: Mutex::default(),
            listed: AsyncMutex::default(),
            closed: AtomicBool::new(false),
        }))
    }

    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    fn find(&self, name: &str) -> Option<Collection> {
        self.0.open.read().get(name).map(|open| open.collection.clone())
    }

    /// The collection of this name.
    pub(crate) async fn get(&self, name: &str) -> Result<Collection> {
        if let Some(collection) = self.find(name) {
            return Ok(collection);
        }
        if !self.is_listed(name).await? {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no collection `{name}`"),
            ));
        }
        self.open(name).await
    }

    /// Whether there is one of this name. Names that somebody makes up cost no more than a look a second.
    async fn is_listed(&self, name: &str) -> Result<bool> {
        let mut listed = self.0.listed.lock().await;
        let is_new = listed.at.is_some_and(|at| at.elapsed() < LIST_LASTS);
        if !is_new && !listed.names.contains(name) {
            let found = self.0.database.collections().await?;
            listed.names = found.into_iter().map(|info| info.name).collect();
            listed.at = Some(Instant::now());
        }
        Ok(listed.names.contains(name))
    }

    /// Waits until nobody else does something to the collection.
    pub(crate) async fn turn(&self, name: &str) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(self.0.turns.lock().entry(name.to_owned()).or_default());
        turn.lock_owned().await
    }

    async fn open(&self, name: &str) -> Result<Collection> {
        let (_turn, _changing) = (self.turn(name).await, self.0.changing.read().await);
        if let Some(collection) = self.find(name) {
            return Ok(collection);
        }
        if self.0.closed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the server is stopping"));
        }
        let collection = self.0.database.collection(name).await?;
        let open = Open { collection: collection.clone(), is_warm: false };
        self.0.open.write().insert(name.to_owned(), open);
        Ok(collection)
    }

    /// All that are open, by name.
    pub(crate) fn all(&self) -> Vec<(String, Collection)> {
        let open = self.0.open.read();
        open.iter().map(|(name, open)| (name.clone(), open.collection.clone())).collect()
    }

    /// What there is, each configured as it is now.
    pub(crate) async fn list(&self) -> Result<Vec<CollectionInfo>> {
        let mut listed = self.0.database.collections().await?;
        let open = self.all();
        for info in &mut listed {
            let opened = open.iter().find(|(_, opened)| opened.identity() == info.identity);
            info.config = opened.map_or(info.config, |(_, opened)| opened.config());
        }
        Ok(listed)
    }

    /// Opens all that there are, those again that have stopped, and lets go of those that there are no longer; says
    /// which could not be opened.
    pub(crate) async fn follow(&self) -> Result<Vec<Trouble>> {
        let listed = {
            let _changing = self.0.changing.write().await;
            let listed = self.0.database.collections().await?;
            self.let_go(&listed).await;
            listed
        };
        let names: BTreeSet<String> = listed.into_iter().map(|info| info.name).collect();
        self.0
            .turns
            .lock()
            .retain(|name, turn| names.contains(name) || Arc::strong_count(turn) > 1);
        let tried = stream::iter(names).map(|name| async move {
            let opened = match self.find(&name) {
                Some(collection) => self.revive(&name, &collection).await,
                None => self.open(&name).await.map(drop),
            };
            opened.err().map(|error| Trouble::new(&name, "open", error))
        });
        let tried: Vec<Option<Trouble>> = tried.buffer_unordered(OPENED_AT_A_TIME).collect().await;
        Ok(tried.into_iter().flatten().collect())
    }

    /// Brings what is open together with what there is.
    async fn let_go(&self, listed: &[CollectionInfo]) {
        for (name, open) in self.strays(listed) {
            self.0.open.write().remove(&name);
            match listed.iter().find(|info| info.identity == open.collection.identity()) {
                // Another process has given it another name.
                Some(info) => {
                    self.0.open.write().entry(info.name.clone()).or_insert(open);
                }
                // A replica's is gone; what keeps it from closing has no one to matter to.
                None => drop(open.collection.close().await),
            }
        }
    }

    /// Collections that are open under names that are not theirs.
    fn strays(&self, listed: &[CollectionInfo]) -> Vec<(String, Open)> {
        let is_there = |name: &str, open: &Open| {
            let identity = open.collection.identity();
            listed.iter().any(|info| info.name == name && info.identity == identity)
        };
        let open = self.0.open.read();
        let strays = open.iter().filter(|(name, open)| !is_there(name, open));
        strays.map(|(name, open)| (name.clone(), open.clone())).collect()
    }

    /// Opens a collection again whose writer has stopped, unless another writer has taken it over.
    async fn revive(&self, name: &str, collection: &Collection) -> Result<()> {
        let failure = collection.stats().failure;
        let has_stopped = failure.is_some_and(|failure| failure.kind() != ErrorKind::Fenced);
        if !has_stopped && !collection.is_closed() {
            return Ok(());
        }
        let (_turn, _changing) = (self.turn(name).await, self.0.changing.read().await);
        match self.0.database.reopen(collection).await {
            Ok(again) => {
                let mut open = self.0.open.write();
                let there = open.get_mut(name);
                if let Some(there) = there.filter(|there| there.collection.is_closed()) {
                    (there.collection, there.is_warm) = (again, false);
                }
                Ok(())
            }
            // It is opened like any other from now on.
            Err(error) if collection.is_closed() => {
                let mut open = self.0.open.write();
                if open.get(name).is_some_and(|there| there.collection.is_closed()) {
                    open.remove(name);
                }
                Err(error)
            }
            // It can be read as it is.
            Err(error) => {
                tracing::debug!(collection = name, %error, "not to be opened again yet");
                Ok(())
            }
        }
    }

    /// Loads what searches read of collections of which that was not done, and says of which it could not be.
    pub(crate) async fn warm(&self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let cold = self.0.open.read().clone().into_iter().filter(|(_, open)| !open.is_warm);
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
            if let Some(there) = self.0.open.write().get_mut(&name) {
                there.is_warm = !open.collection.is_closed();
            }
        }
        troubles
    }

    /// Does all of a change to what there is, whether or not whoever asked for it is still there.
    async fn whole<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let held = self.clone();
        let changed = tokio::spawn(async move {
            let changed = change.await;
            held.0.listed.lock().await.at = None;
            changed
        });
        let panicked = |error| Error::new(ErrorKind::Internal, format!("a change: {error}"));
        changed.await.map_err(panicked)?
    }

    pub(crate) async fn create(
        &self,
        name: &str,
        config: Config,
        schema: Option<Schema>,
    ) -> Result<()> {
        let (held, name) = (self.clone(), name.to_owned());
        self.whole(async move {
            let _changing = held.0.changing.read().await;
            held.0.database.create(name, config).schema(schema.unwrap_or_default()).await
        })
        .await
    }

    pub(crate) async fn drop(&self, name: &str) -> Result<()> {
        let (held, name) = (self.clone(), name.to_owned());
        self.whole(async move {
            let _changing = held.0.changing.write().await;
            let open = held.0.open.write().remove(&name);
            if let Some(open) = open {
                // It need not be whole: it goes.
                let _ = open.collection.close().await;
            }
            held.0.database.drop_collection(name).await
        })
        .await
    }

    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (held, from, to) = (self.clone(), from.to_owned(), to.to_owned());
        self.whole(async move {
            let _changing = held.0.changing.write().await;
            held.0.database.rename(from.as_str(), to.as_str()).await?;
            let mut open = held.0.open.write();
            if let Some(moved) = open.remove(&from) {
                open.insert(to, moved);
            }
            Ok(())
        })
        .await
    }

    /// Commits and closes all; none is opened any more.
    pub(crate) async fn close(&self) -> Result<()> {
        self.0.closed.store(true, Ordering::Relaxed);
        let _changing = self.0.changing.write().await;
        let all = std::mem::take(&mut *self.0.open.write());
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
