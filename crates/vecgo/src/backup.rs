//! Backups, and copies of collections.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vecgo_engine::{
    BackupInfo, BackupPlace, CheckedBackups, Copied, CopyProgress, Copying, Keep, Proof, Pruned,
    RestoreRequest, Snapshotted, WhichBackup, WhichCollections,
};
use vecgo_io::{Access, LocalDisk, SpawnExt};

use crate::call::awaitable;
use crate::{Call, Database, Error, Open, Result};

/// How fast a copy may be, and who is told how far it is.
macro_rules! with_copying {
    ($builder:ident) => {
        impl $builder {
            /// Bytes a second that are copied at most, on average (as many as can be).
            pub fn bytes_per_second(mut self, bytes: u64) -> Self {
                self.copying.bytes_per_second = Some(bytes);
                self
            }

            /// Is told after every few megabytes how far it is. If it breaks, the copy ends with an error of
            /// kind `Closed`, as if it had failed.
            pub fn progress(
                mut self,
                watch: impl Fn(CopyProgress) -> ControlFlow<()> + Send + Sync + 'static,
            ) -> Self {
                self.copying.watch = Some(Arc::new(watch));
                self
            }
        }
    };
}

/// Which versions are copied: the newest of all collections if nothing is said.
macro_rules! with_which {
    ($builder:ident) => {
        impl $builder {
            /// Only this collection.
            pub fn collection(mut self, name: impl Into<String>) -> Self {
                self.which = WhichCollections::One(name.into());
                self
            }

            /// Only this collection, at a version that is kept.
            pub fn version(mut self, collection: impl Into<String>, version: u64) -> Self {
                self.which = WhichCollections::At(collection.into(), version);
                self
            }
        }
    };
}

/// A place that backups are in: a directory of their own, or a part of a bucket.
///
/// ```
/// use vecgo::{Config, Keep, Metric, Record};
///
/// # fn main() -> vecgo::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let (data, place, new) = (dir.path().join("data"), dir.path().join("backups"), dir.path().join("new"));
/// let db = vecgo::open(&data).wait()?;
/// let docs = db.open_or_create("docs", Config::new(2, Metric::L2)).wait()?;
/// docs.upsert([Record::new(1u64, [0.5, 1.0])]).wait()?;
/// docs.commit().wait()?;
/// let backup = db.snapshot(&place).wait()?;
/// assert_eq!(backup.collections[0].records, 1);
///
/// let restored = vecgo::restore(&place, &new).verify(true).wait()?;
/// assert_eq!(restored.copied.collections, backup.collections);
/// assert_eq!(vecgo::backups(&place).list().wait()?.len(), 1);
/// vecgo::backups(&place).prune(Keep { last: 10, daily: 7, weekly: 4 }).wait()?;
/// # Ok(())
/// # }
/// ```
pub fn backups(place: impl Into<Open>) -> Backups {
    Backups { place: place.into() }
}

/// See [`backups`].
#[derive(Debug, Clone)]
pub struct Backups {
    place: Open,
}

impl Backups {
    /// Does something there on threads that are begun for it.
    fn there<T: Send + 'static, F>(
        &self,
        access: Access,
        work: impl FnOnce(BackupPlace) -> F + Send + 'static,
    ) -> Call<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let open = self.place.clone();
        Call::here(async move {
            // A wrong path must not make a directory.
            let mut env = open.clone().place(Access::Read)?;
            if access == Access::Write {
                env = open.place(access)?;
            }
            let place = BackupPlace::new(Arc::clone(&env.store), &env);
            let done = env.spawn.start(work(place)).await;
            done.unwrap_or_else(|| Err(Error::panicked()))
        })
    }

    /// The whole backups there, newest first.
    ///
    /// # Errors
    /// `NotFound` if there are none.
    pub fn list(&self) -> Call<Vec<BackupInfo>> {
        self.there(Access::Read, |place| async move { place.list().await })
    }

    /// Reads all backups there, or one of them, and checks that every byte is as it was written.
    ///
    /// # Errors
    /// `NotFound` if there are none; what keeps it from looking. Damage is in what it gives.
    pub fn verify(&self, which: Option<WhichBackup>) -> Call<CheckedBackups> {
        self.there(Access::Read, move |place| async move {
            place.verify(which, Copying::default()).await
        })
    }

    /// Deletes the backups that are not kept, and what only they have. The newest of each collection stays.
    ///
    /// # Errors
    /// `NotFound` for a directory that is not there; `Busy` while a backup is being made there, and for a quarter of an
    /// hour after one was killed; `Corruption` if one cannot be read: nothing is deleted then.
    pub fn prune(&self, keep: Keep) -> Call<Pruned> {
        self.there(Access::Write, move |place| async move { place.prune(keep).await })
    }

    /// Deletes one backup, by its id, and what only it has.
    ///
    /// # Errors
    /// As [`Backups::prune`].
    pub fn delete(&self, id: u64) -> Call<Pruned> {
        self.there(Access::Write, move |place| async move { place.delete(id).await })
    }
}

impl Database {
    /// Copies the newest committed version of every collection to a place for backups, all taken one
    /// right after the other. What the place has already is not copied again, and if it has all of it
    /// nothing is written. It runs beside a writer, here or in another process, and opens none.
    ///
    /// # Errors
    /// `InvalidArgument` if there is a database in that place; `Corruption` if something that is to be copied
    /// is damaged. There is no backup then; what was copied is used by the next try.
    pub fn snapshot(&self, to: impl Into<Open>) -> Snapshot {
        let (database, to, which) = (self.clone(), to.into(), WhichCollections::All);
        Snapshot { database, to, which, copying: Copying::default() }
    }

    /// Copies the newest committed version of every collection to another database. Where both are directories of one
    /// file system files are linked, where both are in one bucket it copies its objects; otherwise
    /// they pass through here. Afterwards neither needs anything of the other.
    ///
    /// # Errors
    /// `AlreadyExists` if a collection of that name is there.
    pub fn clone_to(&self, to: impl Into<Open>) -> CloneTo {
        let (database, which, copying) = (self.clone(), WhichCollections::All, Copying::default());
        CloneTo { database, to: Some(to.into()), which, name: None, copying }
    }

    /// The same within this database: copies a collection to another name.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken.
    pub fn clone_collection(&self, from: impl Into<String>, name: impl Into<String>) -> CloneTo {
        let (which, name) = (WhichCollections::One(from.into()), Some(name.into()));
        CloneTo { database: self.clone(), to: None, which, name, copying: Copying::default() }
    }
}

/// A backup about to be made. See [`Database::snapshot`].
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct Snapshot {
    database: Database,
    to: Open,
    which: WhichCollections,
    copying: Copying,
}

impl Snapshot {
    fn call(self) -> Call<Snapshotted> {
        let Self { database, to, which, copying } = self;
        Call::on(database.threads(), async move {
            let place = database.inner.backup_place(to.place(Access::Write)?.store);
            database.inner.snapshot(&place, &which, copying).await
        })
    }
}

with_which!(Snapshot);
with_copying!(Snapshot);
awaitable!(Snapshot => Snapshotted);

/// A copy about to be made. See [`Database::clone_to`].
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct CloneTo {
    database: Database,
    /// This database if absent.
    to: Option<Open>,
    which: WhichCollections,
    name: Option<String>,
    copying: Copying,
}

impl CloneTo {
    /// The name that the one collection gets.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    fn call(self) -> Call<Copied> {
        let Self { database, to, which, name, copying } = self;
        Call::on(database.threads(), async move {
            let fresh = to.as_ref().map(fresh_directories).unwrap_or_default();
            let done = async {
                let target = match to {
                    None => database.clone(),
                    Some(to) => to.open()?,
                };
                let from = &database.inner;
                from.clone_to(&which, &target.inner, name.as_deref(), copying).await
            };
            done.await.inspect_err(|_| remove(&fresh))
        })
    }
}

with_which!(CloneTo);
with_copying!(CloneTo);
awaitable!(CloneTo => Copied);

/// Brings the newest backup of a place back, to another that is or becomes a database. What is restored is checked
/// to its last byte before any of it can be seen; if that fails, nothing is left behind.
///
/// ```no_run
/// use vecgo::WhichBackup;
///
/// # fn main() -> vecgo::Result<()> {
/// vecgo::restore("s3://bucket/backups", "data").wait()?;
/// // One collection as it was at a version, beside the one that is in use.
/// vecgo::restore("s3://bucket/backups", "data")
///     .collection("docs")
///     .named("docs-before")
///     .which(WhichBackup::Version(120))
///     .wait()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` for a backup or a collection that is not there; `AlreadyExists` if a name is taken; `Corruption` names the
/// object that is damaged or missing; `Unsupported` for what another build wrote.
pub fn restore(from: impl Into<Open>, to: impl Into<Open>) -> Restore {
    let (from, to) = (from.into(), to.into());
    Restore {
        from,
        to,
        request: RestoreRequest::default(),
        copying: Copying::default(),
        verify: false,
    }
}

/// A restore about to be made. See [`restore`].
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct Restore {
    from: Open,
    to: Open,
    request: RestoreRequest,
    copying: Copying,
    verify: bool,
}

/// What a restore came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// What was brought back.
    pub copied: Copied,
    /// What was shown of it, if that was asked for.
    pub proof: Option<Proof>,
}

impl Restore {
    /// Only this collection.
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.request.collection = Some(name.into());
        self
    }

    /// The name that the one collection gets.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.request.name = Some(name.into());
        self
    }

    /// Which backup (the newest).
    pub fn which(mut self, which: WhichBackup) -> Self {
        self.request.which = which;
        self
    }

    /// Whether to read back all that was restored, count it, and search for some of it.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    fn call(self) -> Call<Restored> {
        let Self { from, to, mut request, copying, verify } = self;
        Call::here(async move {
            let env = from.place(Access::Read)?;
            let place = BackupPlace::new(Arc::clone(&env.store), &env);
            request.copying = copying;
            let restored = env.spawn.start(async move {
                // Before anything is made in the other place.
                place.find(request.which, request.collection.as_deref()).await?;
                let fresh = fresh_directories(&to);
                let done = async {
                    let database = to.open()?;
                    let copied = database.inner.restore(&place, request).await?;
                    Ok((database, copied))
                };
                let (database, copied) = done.await.inspect_err(|_: &Error| remove(&fresh))?;
                let proof = match verify {
                    true => Some(database.inner.prove(&copied.collections).await?),
                    false => None,
                };
                Ok(Restored { copied, proof })
            });
            restored.await.unwrap_or_else(|| Err(Error::panicked()))
        })
    }
}

with_copying!(Restore);
awaitable!(Restore => Restored);

/// The directories that are made for a database because they are not there, the innermost first.
fn fresh_directories(open: &Open) -> Vec<PathBuf> {
    let root = open.directory().unwrap_or_default();
    let missing =
        root.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    missing.map(Path::to_owned).collect()
}

/// Removes those of some directories in which nothing is.
fn remove(fresh: &[PathBuf]) {
    for root in fresh {
        let _ = LocalDisk::remove_root(root);
    }
}
