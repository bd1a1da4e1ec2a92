use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vecgo_engine::{Keep, Options, Schedule};
use vecgo_io::{Access, Env, Limits, Spawn};

use crate::call::awaitable;
use crate::{
    AutoCommit, Call, Collection, CollectionInfo, Config, Create, Error, ErrorKind, OpenOrCreate,
    Result, Retention, Schema, VerifyReport, WalSync,
};

/// Opens a database: a directory, a bucket (`s3://bucket/prefix`, `gs://` or `az://`, with the feature
/// `buckets`), or `memory://` for one that is gone with its last handle.
///
/// Options are set on what is returned, which is then awaited or waited for. A directory that is
/// not there is made, unless the database is opened for reading only.
///
/// # Errors
/// `ReadOnly` or `NotFound` for a directory that cannot be used; `Unsupported` for a kind of
/// address that this build does not know; `InvalidArgument` for an option or a `VECGO_SIMD` that
/// cannot be had.
pub fn open(uri: impl AsRef<Path>) -> Open {
    let (limits, options) = (Limits::default(), Options::default());
    let (uri, store_options) = (uri.as_ref().to_owned(), StoreOptions::default());
    let (access, cache_dir, log_dir, backup) = (Access::Write, None, None, None);
    Open { uri, access, limits, options, store_options, cache_dir, log_dir, backup }
}

/// Options of a database about to be opened.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct Open {
    uri: PathBuf,
    access: Access,
    limits: Limits,
    options: Options,
    store_options: StoreOptions,
    cache_dir: Option<(PathBuf, u64)>,
    log_dir: Option<PathBuf>,
    backup: Option<Box<BackupOptions>>,
}

/// Where and how a database backs itself up.
#[derive(Debug, Clone)]
struct BackupOptions {
    to: Open,
    schedule: Schedule,
}

/// How often, if nothing is said.
const BACKUP_INTERVAL: Duration = Duration::from_secs(3600);

impl<P: AsRef<Path>> From<P> for Open {
    fn from(uri: P) -> Self {
        open(uri)
    }
}

/// Settings of a bucket, of which some are secret.
#[derive(Clone, Default)]
struct StoreOptions(Vec<(String, String)>);

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Open {
    /// For reading only: no lock is taken and nothing is written, so it works beside a writer
    /// and on a medium that cannot be written. Collections are replicas, which
    /// [`Collection::refresh`] moves on.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.access = if read_only { Access::Read } else { Access::Write };
        self
    }

    /// When acknowledged writes are durable.
    pub fn wal_sync(mut self, wal_sync: WalSync) -> Self {
        self.options.wal_sync = wal_sync;
        self
    }

    /// When a version is committed that nobody asked for (never).
    pub fn auto_commit(mut self, auto_commit: AutoCommit) -> Self {
        self.options.auto_commit = auto_commit;
        self
    }

    /// Bytes at which a memtable is flushed to a segment (64 MiB), an eighth of the memory limit at
    /// most. Each open collection may hold two, and half of one is the largest batch.
    pub fn memtable_bytes(mut self, bytes: usize) -> Self {
        self.options.memtable_bytes = bytes;
        self
    }

    /// Bytes of the cache of blocks that all collections share, and as many again for vectors of
    /// segments that are kept whole because they fit (256 MiB); a quarter of the memory limit at
    /// most.
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.limits.cache = bytes;
        self
    }

    /// Bytes that memtables, graphs and vectors in memory, merges, answers and the cache of all
    /// collections take together. Without it three quarters of the memory that the machine has and
    /// its control groups allow, or of the address space that the process may have and threads leave,
    /// if that is less. Writes and searches for which there is not enough wait, see [`Open::memory_wait`];
    /// segments for whose merge there is not enough stay apart.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.limits.memory = Some(bytes);
        self
    }

    /// How long a write, a search or a merge waits for memory (10 seconds). Then it fails with
    /// `ResourceExhausted`.
    pub fn memory_wait(mut self, wait: Duration) -> Self {
        self.limits.wait = wait;
        self
    }

    /// Whether segments are merged by themselves when there are many small ones or many dead rows
    /// (they are). [`Collection::compact`] merges them all the same.
    pub fn auto_compact(mut self, auto: bool) -> Self {
        self.options.auto_compact = auto;
        self
    }

    /// Which versions are kept beside the newest.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.options.retention = retention;
        self
    }

    /// Whether what only versions need that are not kept is deleted by itself (it is).
    /// [`Collection::vacuum`] deletes it all the same.
    pub fn auto_vacuum(mut self, auto: bool) -> Self {
        self.options.auto_vacuum = auto;
        self
    }

    /// How long after a version stopped being kept what only it needs is deleted: none in a
    /// directory, where a reader holds its files open, and a quarter of an hour elsewhere.
    pub fn vacuum_grace(mut self, grace: Duration) -> Self {
        self.options.vacuum_grace = Some(grace);
        self
    }

    /// Bytes of the disk that writes leave free (64 MiB), 0 for none: while less is free they fail with
    /// `ResourceExhausted`, but for deletions. Merges and vacuums need room to make some.
    pub fn disk_reserve(mut self, bytes: u64) -> Self {
        self.options.disk_reserve = bytes;
        self
    }

    /// Rows from which on a merge gives a segment its index, a graph or clusters (2048).
    /// Fewer are scored one by one, which takes no longer than to walk a graph of them.
    pub fn index_rows(mut self, rows: usize) -> Self {
        self.options.index_rows = rows;
        self
    }

    /// How often readers of the database look for a newer version in the background (never): each look costs
    /// a request where the data is in a bucket. [`Stats::lag`](crate::Stats::lag) says how far behind they
    /// are.
    pub fn refresh_interval(mut self, every: Duration) -> Self {
        self.options.refresh_interval = Some(every);
        self
    }

    /// Which kernels to use: `none`, `avx2` or `avx512`. Without it the environment variable
    /// `VECGO_SIMD` decides, and without that the CPU.
    pub fn simd(mut self, simd: impl Into<String>) -> Self {
        self.options.simd = Some(simd.into());
        self
    }

    /// A setting of the bucket, which comes before what the environment says: `endpoint`, `region`,
    /// `access_key_id` and the like, as the variables that begin with `AWS_`, `GOOGLE_` and `AZURE_` are
    /// called without that. A value that is refused is found when the database is opened.
    pub fn store_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.store_options.0.push((name.into(), value.into()));
        self
    }

    /// A directory of this machine that keeps up to so many bytes of what was read from a bucket, 16 MiB at
    /// least. The next process finds what one leaves; of several at the same time each has a part of its own,
    /// of as many bytes. It may be deleted whenever nobody has it open. Of no use where the data is local.
    pub fn cache_dir(mut self, directory: impl AsRef<Path>, bytes: u64) -> Self {
        self.cache_dir = Some((directory.as_ref().to_owned(), bytes));
        self
    }

    /// A directory of this machine in which a writer keeps its logs, in place of the bucket. A write is durable as soon as
    /// this disk has it, which takes no request; a version, which [`Collection::commit`] makes by a flush, is what others
    /// see and what outlives the machine. Until then writes are lost with this disk, and when another writer takes over:
    /// the next open here then fails once as `Fenced`, and names the folder in which they were set aside. Each
    /// collection that is written takes a lock there.
    pub fn log_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.log_dir = Some(directory.as_ref().to_owned());
        self
    }

    /// Has the database back itself up to another place (never): at once, and then every
    /// [`Open::backup_interval`], for as long as the [`Database`] is held. It takes the time that other work leaves; if
    /// nothing was committed since the last one, nothing is written. [`Stats::backup`](crate::Stats::backup)
    /// says how that goes.
    pub fn backup_to(mut self, place: impl Into<Open>) -> Self {
        let to = place.into();
        let schedule = Schedule { every: BACKUP_INTERVAL, keep: None, bytes_per_second: None };
        let before = self.backup.take();
        let schedule = before.map_or(schedule, |before| before.schedule);
        self.backup = Some(Box::new(BackupOptions { to, schedule }));
        self
    }

    /// How often (an hour). Of no use without [`Open::backup_to`], as the next two.
    pub fn backup_interval(self, every: Duration) -> Self {
        self.with_schedule(|schedule| schedule.every = every)
    }

    /// Which backups are kept (all): the others are deleted after each.
    pub fn backup_keep(self, keep: Keep) -> Self {
        self.with_schedule(|schedule| schedule.keep = Some(keep))
    }

    /// Bytes a second that a backup copies at most (as many as can be).
    pub fn backup_bandwidth(self, bytes_per_second: u64) -> Self {
        self.with_schedule(|schedule| schedule.bytes_per_second = Some(bytes_per_second))
    }

    fn with_schedule(mut self, change: impl FnOnce(&mut Schedule)) -> Self {
        if self.backup.is_none() {
            let nowhere = open("");
            self = self.backup_to(nowhere);
        }
        if let Some(backup) = &mut self.backup {
            change(&mut backup.schedule);
        }
        self
    }

    /// What is there, for backups.
    pub(crate) fn place(mut self, access: Access) -> Result<Env> {
        self.access = access;
        self.check_is_place()?;
        self.env()
    }

    fn check_is_place(&self) -> Result<()> {
        let why = match self.uri.to_str() {
            Some("") => "no place for backups is named; see `backup_to`",
            Some("memory://") => "memory:// is gone with the process, and keeps no backup",
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidArgument, why))
    }

    /// The directory that it names, if it names one.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        match self.uri.to_str().and_then(|uri| uri.split_once("://")) {
            None => Some(self.uri.clone()),
            Some(("file", path)) => Some(PathBuf::from(path)),
            Some(_) => None,
        }
    }

    fn call(self) -> Call<Database> {
        Call::here(async move { self.open() })
    }

    pub(crate) fn open(mut self) -> Result<Database> {
        if self.options.simd.is_none() {
            self.options.simd = env::var("VECGO_SIMD").ok();
        }
        let env = match &self.log_dir {
            Some(directory) if self.access == Access::Write => {
                self.env()?.with_logs_in(directory)?
            }
            _ => self.env()?,
        };
        let inner = vecgo_engine::Database::new(env, self.access, self.options)?;
        if let Some(backup) = self.backup {
            let BackupOptions { to, schedule } = *backup;
            inner.back_up(inner.backup_place(to.place(Access::Write)?.store), schedule)?;
        }
        Ok(Database { inner })
    }

    fn env(&self) -> Result<Env> {
        match self.uri.to_str().and_then(|uri| uri.split_once("://")) {
            None => self.local(&self.uri),
            Some(("file", path)) => self.local(Path::new(path)),
            Some(("memory", "")) => {
                self.check_no_options()?;
                Ok(Env::memory(self.limits)?)
            }
            #[cfg(feature = "buckets")]
            Some((scheme, rest)) if vecgo_io::BucketStore::knows(scheme) => {
                let directory = self.cache_dir.clone();
                Ok(Env::bucket(scheme, rest, &self.store_options.0, directory, self.limits)?)
            }
            Some((scheme, _)) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("{scheme}:// is not in this build; expected {}", addresses()),
            )),
        }
    }

    fn local(&self, path: &Path) -> Result<Env> {
        self.check_no_options()?;
        Ok(Env::local(path, self.access, self.limits)?)
    }

    fn check_no_options(&self) -> Result<()> {
        let Some((name, _)) = self.store_options.0.first() else { return Ok(()) };
        let message = format!("option `{name}` means nothing to {}", self.uri.display());
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }
}

/// The addresses that this build knows.
const fn addresses() -> &'static str {
    match cfg!(feature = "buckets") {
        true => "a path, file://, memory://, s3://, gs:// or az://",
        false => {
            "a path, file:// or memory://; s3://, gs:// and az:// come with the feature `buckets`"
        }
    }
}

awaitable!(Open => Database);

/// An open database. Clones are the same database.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) inner: vecgo_engine::Database,
}

impl Database {
    pub(crate) fn threads(&self) -> Arc<dyn Spawn> {
        self.inner.threads()
    }

    /// Opens a collection, creating it if it is not there.
    ///
    /// # Errors
    /// `Conflict` if it is there with another configuration or schema; `Busy`, naming the holder, if
    /// it has a writer already.
    pub fn open_or_create(&self, name: impl Into<String>, config: Config) -> OpenOrCreate {
        let (database, name) = (self.inner.clone(), name.into());
        OpenOrCreate { database, name, config, schema: None }
    }

    /// Opens a collection that is there: as its writer, or in a database opened for reading only
    /// as a replica.
    ///
    /// # Errors
    /// `NotFound`; `Busy`, naming the holder, if it has a writer already.
    pub fn collection(&self, name: impl Into<String>) -> Call<Collection> {
        let (inner, name) = (self.inner.clone(), name.into());
        Call::on(self.threads(), async move { Ok(Collection::new(inner.collection(&name).await?)) })
    }

    /// Opens a collection again if its writer has stopped, as [`Stats::failure`](crate::Stats::failure) says; otherwise
    /// gives it back. Until it is clear that nobody has taken over and that the store can be written, it is left
    /// as it is, and can be read.
    ///
    /// # Errors
    /// `Fenced` if another writer has taken over; what writing the store can meet; then as [`Database::collection`],
    /// and the collection is closed.
    pub fn reopen(&self, collection: &Collection) -> Call<Collection> {
        let (inner, stopped) = (self.inner.clone(), collection.inner.clone());
        Call::on(self.threads(), async move { Ok(Collection::new(inner.reopen(&stopped).await?)) })
    }

    /// Creates an empty collection.
    ///
    /// ```
    /// use vecgo::{Config, Index, Metric, Quantization};
    ///
    /// # fn main() -> vecgo::Result<()> {
    /// let db = vecgo::open("memory://").wait()?;
    /// db.create("exact", Config::new(64, Metric::L2).with_index(Index::Flat)).wait()?;
    ///
    /// let index = Index::Graph { m: 16, ef_construction: Index::DEFAULT_EF_CONSTRUCTION };
    /// let config = Config::new(64, Metric::L2)
    ///     .with_index(index)
    ///     .with_quantization(Quantization::RaBitQ { bits: 4 });
    /// db.create("small", config).wait()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `AlreadyExists`; `InvalidArgument` for a name or configuration that cannot be.
    pub fn create(&self, name: impl Into<String>, config: Config) -> Create {
        let (database, name) = (self.inner.clone(), name.into());
        Create { database, name, config, schema: Schema::default() }
    }

    /// Deletes a collection and all it holds.
    ///
    /// # Errors
    /// `NotFound`; `Busy` while it has a writer.
    pub fn drop_collection(&self, name: impl Into<String>) -> Call<()> {
        let (inner, name) = (self.inner.clone(), name.into());
        Call::on(self.threads(), async move { inner.drop_collection(&name).await })
    }

    /// Gives a collection another name. Whoever has it open keeps it.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` if the new name is taken.
    pub fn rename(&self, from: impl Into<String>, to: impl Into<String>) -> Call<()> {
        let (inner, from, to) = (self.inner.clone(), from.into(), to.into());
        Call::on(self.threads(), async move { inner.rename(&from, &to).await })
    }

    /// The collections, by name.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn collections(&self) -> Call<Vec<CollectionInfo>> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.collections().await })
    }

    /// Reads everything that the database holds and checks every checksum.
    ///
    /// # Errors
    /// What keeps it from looking; damage found is in the report.
    pub fn verify(&self) -> Call<VerifyReport> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.verify().await })
    }
}
