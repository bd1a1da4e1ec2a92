//! Backups that a database makes by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_lite::future::or;
use parking_lot::Mutex;
use vecgo_format::Identity;

use super::copy::Copying;
use super::place::BackupPlace;
use super::prune::Keep;
use super::snapshot::Snapshotted;
use super::taken::WhichCollections;
use crate::catalogue::Inner;
use crate::{Database, Error, ErrorKind, Result};

/// Pauses after a backup that failed, each twice as long as the one before, and none longer than the interval.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// How a database backs itself up.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// How often.
    pub every: Duration,
    /// Which of its backups are kept; all if absent.
    pub keep: Option<Keep>,
    /// Bytes a second that are copied at most.
    pub bytes_per_second: Option<u64>,
}

/// How the backups go that a database makes by itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupStats {
    /// The id of the last that was made, or that held all there was.
    pub last: Option<u64>,
    /// Everything that was committed by then is in it, in milliseconds since 1970.
    pub last_ms: Option<u64>,
    /// The version of this collection in it.
    pub version: Option<u64>,
    /// Why the last try came to nothing, if it did; it is tried again.
    pub failure: Option<Error>,
    /// Why backups that are not kept could not be deleted, if so; it is tried again.
    pub prune_failure: Option<Error>,
}

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Backups {
    state: Mutex<Option<State>>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<(u64, u64)>,
    versions: BTreeMap<Identity, u64>,
    failure: Option<Error>,
    prune_failure: Option<Error>,
}

impl Backups {
    /// As a collection sees it; `None` if nobody makes any.
    pub(crate) fn stats(&self, collection: Identity) -> Option<BackupStats> {
        let state = self.state.lock();
        let state = state.as_ref()?;
        Some(BackupStats {
            last: state.last.map(|(id, _)| id),
            last_ms: state.last.map(|(_, ms)| ms),
            version: state.versions.get(&collection).copied(),
            failure: state.failure.clone(),
            prune_failure: state.prune_failure.clone(),
        })
    }
}

impl Database {
    /// Backs the database up now and every so often, for as long as somebody holds it, with the time that
    /// other work leaves. [`Stats::backup`](crate::Stats::backup) says how that goes.
    ///
    /// # Errors
    /// `InvalidArgument` for an interval of nothing; `Conflict` if it does already.
    pub fn back_up(&self, place: BackupPlace, schedule: Schedule) -> Result<()> {
        if schedule.every.is_zero() {
            return Err(Error::invalid("backup_interval is 0; expected more"));
        }
        let runtime = &self.inner.runtime;
        {
            let mut state = runtime.backups.state.lock();
            if state.is_some() {
                let message = "the database backs itself up already";
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            *state = Some(State::default());
        }
        let job = Job { database: Arc::downgrade(&self.inner), place, schedule };
        runtime.env.spawn.spawn_background(Box::pin(job.run()));
        Ok(())
    }
}

struct Job {
    database: Weak<Inner>,
    place: BackupPlace,
    schedule: Schedule,
}

impl Job {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let clock = Arc::clone(&self.place.env.clock);
        loop {
            let Some(inner) = self.database.upgrade() else { return };
            let made = self.once(Database { inner }).await;
            let wait = match made {
                Ok(Some(())) => {
                    pause = FIRST_PAUSE;
                    self.schedule.every
                }
                // Soon after the first collection there is to be a backup of it.
                Ok(None) => FIRST_PAUSE.min(self.schedule.every),
                Err(()) => {
                    let wait = pause.min(self.schedule.every);
                    pause = pause.saturating_mul(2);
                    wait
                }
            };
            // In short parts, so that whoever drops the database is not outlived for long.
            let gone = async {
                while self.database.strong_count() > 0 {
                    clock.sleep(Duration::from_secs(1)).await;
                }
            };
            or(clock.sleep(wait), gone).await;
        }
    }

    /// Makes one; `None` if there is nothing to copy.
    async fn once(&self, database: Database) -> std::result::Result<Option<()>, ()> {
        let backups = Arc::clone(&database.inner.runtime.backups);
        // A database that nobody holds any more ends its backup.
        let watched = self.database.clone();
        let watch = move |_| match watched.strong_count() > 1 {
            true => std::ops::ControlFlow::Continue(()),
            false => std::ops::ControlFlow::Break(()),
        };
        let bytes_per_second = self.schedule.bytes_per_second;
        let copying = Copying { bytes_per_second, watch: Some(Arc::new(watch)) };
        // What is committed from here on may not be in it.
        let now_ms = self.place.env.clock.wall_ms();
        let made = match database.inner.chain.newest().await {
            Ok((catalogue, _))
                if catalogue.collections.is_empty() && catalogue.newer.is_empty() =>
            {
                return Ok(None);
            }
            Ok(_) => database.snapshot(&self.place, &WhichCollections::All, copying).await,
            Err(error) => Err(error),
        };
        let versions = match &made {
            Ok(made) => versions(&database, made).await,
            Err(_) => None,
        };
        if let Some(state) = &mut *backups.state.lock() {
            match &made {
                Ok(made) => {
                    state.last = Some((made.id, now_ms));
                    state.failure = None;
                    state.versions = versions.unwrap_or_default();
                }
                Err(error) => state.failure = Some(error.clone()),
            }
        }
        if let (Ok(_), Some(keep)) = (&made, self.schedule.keep) {
            let pruned = self.place.prune(keep).await;
            if let Some(state) = &mut *backups.state.lock() {
                state.prune_failure = pruned.err();
            }
        }
        made.map(|_| Some(())).map_err(drop)
    }
}

/// The versions of a backup by the identities of their collections.
async fn versions(database: &Database, made: &Snapshotted) -> Option<BTreeMap<Identity, u64>> {
    let (catalogue, _) = database.inner.chain.newest().await.ok()?;
    let of = |name: &str| catalogue.collections.get(name).map(|entry| entry.identity);
    Some(made.collections.iter().filter_map(|one| Some((of(&one.name)?, one.version))).collect())
}
