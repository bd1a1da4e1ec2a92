//! Becoming the writer: under a lock, or by taking over from whoever was.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use vecgo_format::{LogRange, Manifest, Parent};
use vecgo_io::StoreLock;

use super::own_log::{self, Left, OwnLog};
use super::tail::LogTail;
use crate::collection::Shared;
use crate::manifest::{self, Committed, Decided, decide};
use crate::memtable::MemtableWriter;
use crate::recover::{Extent, Recovered};
use crate::segment::LiveSegment;
use crate::{Error, ErrorKind, Result};

/// What a writer begins with.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Kept for life; `None` where there are no locks.
    pub(super) lock: Option<StoreLock>,
    pub(super) committed: Option<Committed>,
    pub(super) segments: Vec<LiveSegment>,
    pub(super) memtable: MemtableWriter,
    /// Sequence number of the last write.
    pub(super) sequence: u64,
    pub(super) tail: LogTail,
    /// The log of the writer's own that `tail` is, if it is one.
    pub(super) own: Option<OwnLog>,
}

/// Times that a number is lost to a writer who is being fenced before the open is given up.
const MAX_TRIES: usize = 100;
/// Versions that are lost in a row to a writer who commits all the time before the newest is looked for:
/// first so many, then twice as many each time.
const FIRST_CHASE: usize = 8;
/// Versions lost in all before the open is given up.
const MOST_LOST: usize = 1000;

/// Brings everything back and makes it durable. In a store without locks, first makes sure that no older
/// writer can add to it.
pub(crate) async fn open(shared: &Shared, lock: Option<StoreLock>) -> Result<Opened> {
    if !shared.env.store.has_locks() {
        return Box::pin(take_over(shared, lock)).await;
    }
    shared.env.store.clear_unfinished(&shared.names.prefix()).await?;
    let committed = manifest::newest(&*shared.env.store, shared.names).await?;
    let mut recovered = recover(shared, committed.as_ref()).await?;
    let (epoch, next_log) = (recovered.next_epoch, recovered.next_log);
    let mut tail = tail(shared, &recovered, epoch, next_log);
    // What was replayed is shown to readers, so it must outlive the machine from now on.
    tail.restore(std::mem::take(&mut recovered.unvouched)).await?;
    Ok(opened(lock, committed, recovered, tail, None))
}

/// Becomes the writer of a store without locks.
///
/// The next manifest carries our epoch, so that an older writer's next commit fails; a fence at
/// the lowest free log number does the same to its next log. An older writer has one log put in
/// flight at most, so either it took that number, and we replay it, or the fence did, and what it
/// has in flight comes to nothing. Each step is followed by a look whether we are still the last
/// to come: one who was paused between them must not fence those who came since.
async fn take_over(shared: &Shared, lock: Option<StoreLock>) -> Result<Opened> {
    let own = shared.env.of_own_logs();
    let (mut left, mut fresh) = (None, 0);
    if let Some(env) = &own {
        let newest = manifest::newest(&*shared.env.store, shared.names).await?;
        left = own_log::left(env, shared.names, newest.as_ref()).await?;
        match &left {
            Some(left) if left.goes_on_from(newest.as_ref()) => left.check_room(env)?,
            Some(old) => {
                old.set_aside(env, shared.names).await?;
                left = None;
            }
            None => {}
        }
        if left.is_none() {
            fresh = own_log::name_another(env, shared.names).await?;
        }
    }
    let committed = claim(shared, fresh, left.as_ref()).await?;
    still_newest(shared, &committed).await?;
    let epoch = committed.manifest.epoch;
    for _ in 0..MAX_TRIES {
        let recovered = match recover(shared, Some(&committed)).await {
            // Another may have come since, and deleted what our version needs.
            Err(error)
                if matches!(error.kind(), ErrorKind::Corruption | ErrorKind::VersionGone) =>
            {
                still_newest(shared, &committed).await?;
                return Err(error);
            }
            recovered => recovered?,
        };
        let mut tail = tail(shared, &recovered, epoch, recovered.free_log);
        match tail.fence().await {
            // Somebody was faster: that log belongs to the collection.
            Err(error) if error.kind() == ErrorKind::Conflict => continue,
            fenced => fenced?,
        }
        still_newest(shared, &committed).await?;
        let Some(env) = own else {
            return Ok(opened(lock, Some(committed), recovered, tail, None));
        };
        let (own, recovered, tail) =
            own_log::begin(shared, env, recovered, (&committed, &tail)).await?;
        return Ok(opened(lock, Some(committed), recovered, tail, Some(own)));
    }
    Err(Error::new(ErrorKind::Conflict, "log numbers are taken all the time"))
}

/// Commits a version of our epoch that is otherwise the same as the newest, but for the name of our own log: that of the
/// one before, or a fresh one.
async fn claim(shared: &Shared, fresh: u64, before: Option<&Left>) -> Result<Committed> {
    let mut last = manifest::newest(&*shared.env.store, shared.names).await?;
    let (mut chase, mut left) = (FIRST_CHASE, FIRST_CHASE);
    for _ in 0..MOST_LOST {
        let own_log = match before {
            Some(before) if before.goes_on_from(last.as_ref()) => before.name,
            Some(_) => return Err(Error::new(ErrorKind::Fenced, "another writer has taken over")),
            None => fresh,
        };
        let manifest = Manifest { own_log, ..claimed(shared, last.as_ref()) };
        manifest.check().map_err(|why| Error::internal(format!("a take-over: {why}")))?;
        let key = shared.names.manifest(manifest.number);
        let (bytes, checksum) = manifest.encode();
        last = match decide(&shared.env, &key, bytes.into()).await? {
            Decided::Ours => return Ok(Committed { manifest, checksum }),
            // A writer that commits all the time would always be ahead of one that looks for the newest
            // first, so this goes on from what took the number, as that writer does. The farther behind a
            // look leaves us, the longer it takes to come up to it.
            Decided::Theirs(bytes) if left > 0 => {
                left -= 1;
                Some(manifest::decode(shared.names, &key, &bytes)?)
            }
            Decided::Theirs(_) => {
                chase = chase.saturating_mul(2);
                left = chase;
                manifest::newest(&*shared.env.store, shared.names).await?
            }
        };
    }
    Err(Error::new(ErrorKind::Conflict, "the collection is committed to all the time"))
}

fn claimed(shared: &Shared, last: Option<&Committed>) -> Manifest {
    let env = &shared.env;
    let (nonce, created_ms) = (env.rand.next_u64(), env.clock.wall_ms());
    let (config, schema) = shared.settings_of(last);
    match last {
        Some(Committed { manifest, checksum }) => Manifest {
            number: manifest.number + 1,
            epoch: manifest.epoch + 1,
            nonce,
            parent: Parent { number: manifest.number, checksum: *checksum },
            created_ms: created_ms.max(manifest.created_ms),
            epoch_began: manifest.number + 1,
            extensions: Default::default(),
            ..manifest.clone()
        },
        None => Manifest {
            collection: shared.names.0,
            number: 1,
            epoch: 1,
            epoch_began: 1,
            nonce,
            parent: Parent::default(),
            created_ms,
            sequence: 0,
            oldest: 1,
            tags: BTreeMap::new(),
            next_segment: 1,
            config,
            schema: schema.clone(),
            log: LogRange { first: 1, last: 0, epoch: 0, end: Default::default(), flushed: 0 },
            own_log: 0,
            segments: Vec::new(),
            extensions: Default::default(),
        },
    }
}

async fn still_newest(shared: &Shared, ours: &Committed) -> Result<()> {
    let newest = manifest::newest(&*shared.env.store, shared.names).await?;
    if newest.is_some_and(|newest| newest.checksum == ours.checksum) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Fenced, "another writer has taken over while this one opened"))
}

async fn recover(shared: &Shared, committed: Option<&Committed>) -> Result<Recovered> {
    shared.source(committed, Extent::Everything).recover(&[]).await
}

fn tail(shared: &Shared, recovered: &Recovered, epoch: u64, next_log: u64) -> LogTail {
    shared.epoch.store(epoch, Ordering::Release);
    LogTail::new(shared.env.clone(), shared.names, epoch, recovered.durable, next_log)
}

fn opened(
    lock: Option<StoreLock>,
    committed: Option<Committed>,
    recovered: Recovered,
    tail: LogTail,
    own: Option<OwnLog>,
) -> Opened {
    let Recovered { segments, memtable, sequence, .. } = recovered;
    Opened { lock, committed, segments, memtable, sequence, tail, own }
}
