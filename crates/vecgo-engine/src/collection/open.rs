//! Becoming the writer, a replica, or a reader of one version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use vecgo_format::{CollectionNames, Config, Entry, Metric, Schema};
use vecgo_io::{BoxFuture, Env, StoreErrorKind, StoreLock};
use vecgo_kernels::Kernels;

use crate::index::{Progress, Walkers};

use super::{Collection, Role, Shared, WriterHandle};
use crate::backup::Backups;
use crate::manifest::{self, Committed, VersionInfo};
use crate::query::View;
use crate::recover::{Extent, LogBytes, Recovered, Source};
use crate::segment::LiveSegment;
use crate::write::{self, Inbox, Writer};
use crate::{Error, ErrorKind, Options, Result};

/// How often a lock that this very process holds is tried again: a dropped handle may be a
/// moment from letting go.
const OWN_LOCK_TRIES: u32 = 40;
const OWN_LOCK_PAUSE: Duration = Duration::from_millis(25);

/// What all collections of an open database share.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    pub(crate) env: Env,
    pub(crate) kernels: Kernels,
    pub(crate) options: Arc<Options>,
    pub(crate) backups: Arc<Backups>,
}

impl Shared {
    fn new(runtime: &Runtime, name: &str, entry: &Entry) -> Self {
        let Runtime { env, kernels, options, backups } = runtime;
        let view = View {
            version: 0,
            config: entry.config,
            schema: entry.schema.clone(),
            sequence: Arc::new(AtomicU64::new(0)),
            memtables: Vec::new(),
            segments: Vec::new(),
        };
        Self {
            env: env.clone(),
            names: CollectionNames(entry.identity),
            name: name.to_owned(),
            entry: entry.clone(),
            kernels: *kernels,
            backups: Arc::clone(backups),
            walkers: Walkers::default(),
            progress: Progress::default(),
            options: Arc::clone(options),
            view: ArcSwap::from_pointee(view),
            loads_behind: AtomicBool::new(true),
            searched: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            failure: Mutex::new(None),
            commit_failure: Mutex::new(None),
            flush_failure: Mutex::new(None),
            merge_failure: Mutex::new(None),
            vacuum_failure: Mutex::new(None),
            last_flush: Mutex::new(None),
            last_merge: Mutex::new(None),
            log_bytes: AtomicU64::new(0),
            last_vacuum: Mutex::new(None),
            pins: Mutex::default(),
        }
    }

    pub(crate) fn source<'a>(
        &'a self,
        committed: Option<&'a Committed>,
        extent: Extent,
    ) -> Source<'a> {
        let (env, names, config) = (&self.env, self.names, self.created());
        Source { env, names, config, committed, extent, keeps_logs: false }
    }

    /// The configuration that it was created with, whose dimensions and metric stay.
    pub(crate) fn created(&self) -> &Config {
        &self.entry.config
    }

    /// Dimensions of every vector.
    pub(crate) fn dim(&self) -> usize {
        self.created().dim()
    }

    pub(crate) fn metric(&self) -> Metric {
        self.created().metric()
    }

    /// How segments are made now.
    pub(crate) fn config(&self) -> Config {
        self.view.load().config
    }

    /// What documents meet now. A copy: who held the view would hold its memtables.
    pub(crate) fn schema(&self) -> Schema {
        self.view.load().schema.clone()
    }

    /// Both of one version.
    pub(crate) fn settings(&self) -> (Config, Schema) {
        let view = self.view.load();
        (view.config, view.schema.clone())
    }

    /// How segments are made and what documents meet at a version.
    pub(crate) fn settings_of<'a>(
        &'a self,
        committed: Option<&'a Committed>,
    ) -> (Config, &'a Schema) {
        let Entry { config, schema, .. } = &self.entry;
        committed.map_or((*config, schema), |Committed { manifest, .. }| {
            (manifest.config, &manifest.schema)
        })
    }

    /// Shows readers what was brought back of a committed version.
    pub(super) fn show(&self, committed: Option<&Committed>, recovered: Recovered) {
        let (config, schema) = self.settings_of(committed);
        self.view.store(Arc::new(View {
            version: committed.map_or(0, |committed| committed.manifest.number),
            config,
            schema: schema.clone(),
            sequence: Arc::new(AtomicU64::new(recovered.sequence)),
            memtables: vec![Arc::clone(recovered.memtable.table())],
            segments: recovered.segments,
        }));
    }
}

impl Collection {
    /// Recovers all of the log and starts the writer.
    pub(crate) async fn open_writer(
        runtime: &Runtime,
        name: &str,
        entry: &Entry,
        lock: Option<StoreLock>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::new(runtime, name, entry));
        let opened = write::open(&shared, lock).await?;
        let inbox = Arc::new(Inbox::new(runtime.options.batch_bytes()));
        let writer = Writer::new(Arc::clone(&shared), Arc::clone(&inbox), opened);
        runtime.env.spawn.spawn(Box::pin(writer.run()));
        Ok(Self { shared, role: Role::Writer(Arc::new(WriterHandle { inbox })) })
    }

    /// Makes sure, where there are no locks, that no writer of the collection can go on.
    pub(crate) async fn fence(runtime: &Runtime, name: &str, entry: &Entry) -> Result<()> {
        let shared = Shared::new(runtime, name, entry);
        write::open(&shared, None).await.map(drop)
    }

    /// Reads the newest version, beside a writer or without.
    pub(crate) async fn open_replica(runtime: &Runtime, name: &str, entry: &Entry) -> Result<Self> {
        let shared = Arc::new(Shared::new(runtime, name, entry));
        let replica = Self { shared, role: Role::Replica(Arc::default()) };
        replica.refresh().await?;
        if let Some(every) = runtime.options.refresh_interval {
            replica.follow(every);
        }
        Ok(replica)
    }

    /// The collection as it was at a version that is still kept.
    ///
    /// # Errors
    /// `VersionGone` if it is not kept.
    pub fn at_version(&self, version: u64) -> BoxFuture<'_, Result<Self>> {
        Box::pin(async move {
            let env = &self.shared.env;
            let Shared { kernels, options, backups, .. } = &*self.shared;
            let runtime = Runtime {
                env: env.clone(),
                kernels: *kernels,
                options: Arc::clone(options),
                backups: Arc::clone(backups),
            };
            let shared = Arc::new(Shared::new(&runtime, &self.shared.name, &self.shared.entry));
            shared.loads_behind.store(false, Ordering::Relaxed);
            let committed = Some(manifest::at(env, shared.names, version).await?);
            let known: Vec<LiveSegment> = self.shared.view.load().segments.clone();
            let recovered =
                shared.source(committed.as_ref(), Extent::Version).recover(&known).await;
            let recovered = match recovered {
                // It may have become too old since.
                Err(error) if error.kind() == ErrorKind::Corruption => {
                    manifest::at(env, shared.names, version).await?;
                    return Err(error);
                }
                recovered => recovered?,
            };
            shared.show(committed.as_ref(), recovered);
            Ok(Self { shared, role: Role::Version })
        })
    }

    /// One of which nothing is read yet.
    pub(crate) fn unread(runtime: &Runtime, name: &str, entry: &Entry) -> Self {
        Self { shared: Arc::new(Shared::new(runtime, name, entry)), role: Role::Version }
    }

    /// Brings a version back in one of which nothing was read, and gives what of its logs belongs to it.
    pub(crate) async fn bring_back(&self, committed: Option<&Committed>) -> Result<Vec<LogBytes>> {
        let source = self.shared.source(committed, Extent::Version);
        let mut recovered = Source { keeps_logs: true, ..source }.recover(&[]).await?;
        let logs = std::mem::take(&mut recovered.logs);
        self.shared.show(committed, recovered);
        Ok(logs)
    }

    /// The collection as it was when a version got this name.
    ///
    /// # Errors
    /// `NotFound` if no version has it.
    pub fn at_tag<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Result<Self>> {
        Box::pin(async move {
            let version = manifest::tagged(&self.shared.env, self.shared.names, tag).await?;
            self.at_version(version).await
        })
    }

    /// The collection as its newest version was at a time, in milliseconds since 1970.
    ///
    /// # Errors
    /// `VersionGone` if no version that is kept is as old.
    pub fn at_time(&self, time_ms: u64) -> BoxFuture<'_, Result<Self>> {
        Box::pin(async move {
            let version = manifest::as_of(&self.shared.env, self.shared.names, time_ms).await?;
            self.at_version(version).await
        })
    }

    /// The version being read: the last committed one for the writer.
    pub fn version(&self) -> u64 {
        self.shared.view.load().version
    }

    /// The versions that are kept, newest first.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn versions(&self) -> BoxFuture<'_, Result<Vec<VersionInfo>>> {
        Box::pin(async move { manifest::versions(&self.shared.env, self.shared.names).await })
    }
}

/// Takes the writer's lock; `None` where there are no locks, and whoever comes last is the writer. Where a writer has a
/// log of its own, the lock is on that, for those who have the same disk.
pub(crate) async fn lock(
    env: &Env,
    names: &CollectionNames,
    collection: &str,
) -> Result<Option<StoreLock>> {
    let store = match &env.own_logs {
        _ if env.store.has_locks() => &env.store,
        Some(own) => &own.store,
        None => return Ok(None),
    };
    let process = format!("process {}", std::process::id());
    let host = rustix::system::uname();
    let holder = format!("{process} on host {}", host.nodename().to_string_lossy());
    let mut tries = 0;
    loop {
        match store.lock(&names.lock(), &holder).await {
            Ok(lock) => return Ok(Some(lock)),
            Err(error) if error.kind() == StoreErrorKind::Busy => {
                let ours = error.to_string().contains(&format!("{process} "));
                if !ours || tries == OWN_LOCK_TRIES {
                    let busy = format!("collection `{collection}` has a writer already");
                    return Err(Error::from(error).context(busy));
                }
                tries += 1;
                env.clock.sleep(OWN_LOCK_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
