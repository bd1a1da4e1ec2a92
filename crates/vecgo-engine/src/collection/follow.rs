//! Following a writer: a replica moves on from version to version, never back.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_lock::Mutex as AsyncMutex;
use futures_lite::future::or;
use parking_lot::Mutex;
use vecgo_io::{BoxFuture, StoreErrorKind};

use super::{Collection, Role, Shared};
use crate::catalogue::Chain;
use crate::manifest::{self, Committed, Newest};
use crate::recover::Extent;
use crate::{Error, ErrorKind, Result};

/// How long a look at all versions there are is trusted to have shown where the next one would be. A
/// version that came and was deleted meanwhile is not found by its number.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// Pauses while a version is waited for, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How a replica follows.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// One at a time.
    turn: AsyncMutex<()>,
    seen: Mutex<Seen>,
}

/// What a replica knows of the versions there are.
#[derive(Debug, Default)]
struct Seen {
    /// The newest, whether it is shown or not.
    newest: u64,
    /// When the one shown was last known to be the newest.
    at_newest: Option<Duration>,
    /// When all versions were last listed.
    looked: Option<Duration>,
    failure: Option<Error>,
}

/// How far a replica is behind the writer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lag {
    /// Versions between the one that is read and the newest that was seen.
    pub versions: u64,
    /// How long ago the one that is read was last known to be the newest: the most by which answers are
    /// out of date.
    pub age: Duration,
    /// Why the last look for a newer one came to nothing, if it did.
    pub failure: Option<Error>,
}

fn number(committed: &Option<Committed>) -> u64 {
    committed.as_ref().map_or(0, |committed| committed.manifest.number)
}

impl Collection {
    /// Moves a replica on to the newest version, and gives that version. Never goes back. On the
    /// writer, which sees everything at once, it gives the last committed version.
    ///
    /// # Errors
    /// `NotFound` if it turns out that the collection has been dropped; what reading the store can meet.
    /// The replica then stays where it was.
    pub fn refresh(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let Role::Replica(following) = &self.role else { return Ok(self.version()) };
            let _one_at_a_time = following.turn.lock().await;
            following.refresh(&self.shared).await
        })
    }

    /// Waits until a version or a later one is read, for so long at most, and gives that version. A
    /// replica looks for it; the writer reads what it has committed.
    ///
    /// # Errors
    /// `Unavailable` if it is not there in time; what reading the store can meet.
    pub fn reach(&self, version: u64, within: Duration) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            if self.version() >= version {
                return Ok(self.version());
            }
            let not_there = |why: String| {
                let message = format!("version {version} is not there yet; {why}");
                Error::new(ErrorKind::Unavailable, message)
            };
            if let Role::Version = self.role {
                return Err(not_there(format!("this reads version {} for ever", self.version())));
            }
            let last = Mutex::new(None);
            let looked = self.look_until(version, &last);
            let late = async {
                self.shared.env.clock.sleep(within).await;
                let why = last.lock().take().map_or(String::new(), |why: Error| format!(": {why}"));
                Err(not_there(format!("{} is{why}", self.version())))
            };
            or(looked, late).await
        })
    }

    /// Looks for a version until it is there. What goes wrong meanwhile may come right.
    async fn look_until(&self, version: u64, last: &Mutex<Option<Error>>) -> Result<u64> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.refresh().await {
                Ok(found) if found >= version => return Ok(found),
                Ok(_) => *last.lock() = None,
                Err(error) if error.kind() == ErrorKind::Unavailable => *last.lock() = Some(error),
                Err(error) => return Err(error),
            }
            self.shared.env.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// How far a replica is behind; `None` for a writer, and for one version.
    pub(super) fn lag(&self) -> Option<Lag> {
        let Role::Replica(following) = &self.role else { return None };
        let seen = following.seen.lock();
        let now = self.shared.env.clock.monotonic();
        Some(Lag {
            versions: seen.newest.saturating_sub(self.version()),
            age: now.saturating_sub(seen.at_newest.unwrap_or_default()),
            failure: seen.failure.clone(),
        })
    }

    /// Has a replica look for the newest version every so often, for as long as anybody holds it.
    pub(super) fn follow(&self, every: Duration) {
        let Role::Replica(following) = &self.role else { return };
        let follower = Follower {
            shared: Arc::downgrade(&self.shared),
            following: Arc::downgrade(following),
            every,
        };
        self.shared.env.spawn.spawn(Box::pin(follower.run()));
    }

    /// What is read is not there any more. Whether a replica has moved on to a version where it is not
    /// needed; if there is none, something is missing that should be there.
    pub(super) async fn moves_on(&self, from: u64, error: Error) -> Result<()> {
        match self.role {
            Role::Replica(_) if self.refresh().await? > from => return Ok(()),
            Role::Replica(_) => self.shared.check_not_dropped().await?,
            Role::Version => return Err(error),
            Role::Writer(_) => {
                let Shared { env, names, .. } = &*self.shared;
                if number(&manifest::newest(&*env.store, *names).await?) > self.version() {
                    let message = "another writer has taken over and deleted what was being read";
                    return Err(error.with_kind(ErrorKind::Fenced).context(message));
                }
            }
        }
        let message = "the newest version names what is gone";
        Err(error.with_kind(ErrorKind::Corruption).context(message))
    }
}

impl Shared {
    /// Fails as `NotFound` unless the newest catalogue lists the collection, whatever its name is by now.
    async fn check_not_dropped(&self) -> Result<()> {
        let (catalogue, _) = Chain::new(self.env.clone()).newest().await?;
        if !catalogue.lists(self.names.0) && !catalogue.newer.contains_key(&self.name) {
            let message = format!("collection `{}` has been dropped", self.name);
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(())
    }
}

impl Following {
    /// Shows the newest version. For whoever has the turn.
    async fn refresh(&self, shared: &Shared) -> Result<u64> {
        let began = shared.env.clock.monotonic();
        let moved = self.advance(shared).await;
        let shown = shared.view.load().version;
        let mut seen = self.seen.lock();
        if moved.is_ok() {
            seen.looked = Some(began);
        }
        // A store may show less than it has shown before.
        if moved.is_ok() && shown >= seen.newest {
            seen.at_newest = Some(began);
        }
        seen.failure = moved.as_ref().err().cloned();
        moved
    }

    async fn advance(&self, shared: &Shared) -> Result<u64> {
        let current = shared.view.load_full();
        let shown = (!current.memtables.is_empty()).then_some(current.version);
        let found = manifest::newest_but(&*shared.env.store, shared.names, shown).await?;
        let Newest::Another(found) = found else { return Ok(current.version) };
        let mut committed = found.map(|found| *found);
        loop {
            let newest = number(&committed);
            {
                let mut seen = self.seen.lock();
                seen.newest = seen.newest.max(newest);
            }
            if newest < current.version {
                shared.check_not_dropped().await?;
            }
            if shown.is_some_and(|shown| newest <= shown) {
                return Ok(current.version);
            }
            let source = shared.source(committed.as_ref(), Extent::Version);
            match source.recover(&current.segments).await {
                Ok(recovered) => {
                    shared.show(committed.as_ref(), recovered);
                    return Ok(shared.view.load().version);
                }
                // A writer deletes what it has replaced: look again while it moves on.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Corruption | ErrorKind::VersionGone) =>
                {
                    committed = manifest::newest(&*shared.env.store, shared.names).await?;
                    if number(&committed) <= newest {
                        shared.check_not_dropped().await?;
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The same if there may be a newer one: where that was looked for a moment ago, the next number is
    /// asked for, which costs less than a listing.
    async fn poll(&self, shared: &Shared) -> Result<()> {
        let now = shared.env.clock.monotonic();
        let (looked, newest) = {
            let seen = self.seen.lock();
            (seen.looked, seen.newest)
        };
        let shown = shared.view.load().version;
        if shown >= newest && looked.is_some_and(|looked| now < looked + LOOK_AFTER) {
            let next = shown.saturating_add(1);
            let key = shared.names.manifest(next);
            match shared.env.store.get(&key).await {
                Err(error) if error.kind() == StoreErrorKind::NotFound => {
                    let mut seen = self.seen.lock();
                    (seen.at_newest, seen.failure) = (Some(now), None);
                    return Ok(());
                }
                // Whatever it says, a look at all tells more.
                _ => {}
            }
        }
        self.refresh(shared).await.map(drop)
    }
}

/// What looks for new versions in the background.
struct Follower {
    shared: Weak<Shared>,
    following: Weak<Following>,
    every: Duration,
}

impl Follower {
    async fn run(self) {
        loop {
            let Some(clock) = self.shared.upgrade().map(|shared| Arc::clone(&shared.env.clock))
            else {
                return;
            };
            clock.sleep(self.every).await;
            let (Some(shared), Some(following)) = (self.shared.upgrade(), self.following.upgrade())
            else {
                return;
            };
            let _one_at_a_time = following.turn.lock().await;
            // What went wrong is noted for `stats`, and tried again.
            let _ = following.poll(&shared).await;
        }
    }
}
