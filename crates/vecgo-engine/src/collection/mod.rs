//! A collection: what a caller holds to write and read.

mod configure;
mod follow;
mod open;
mod reading;
mod stats;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use futures_channel::oneshot;
use parking_lot::Mutex;
use vecgo_format::{CollectionNames, Config, Entry, Id, Schema};
use vecgo_io::{BoxFuture, Env, Spawn};
use vecgo_kernels::Kernels;

use follow::Following;
pub use follow::Lag;
pub(crate) use open::{Runtime, lock};
pub use stats::{SegmentStats, SegmentWritten, Stats};

use crate::backup::Backups;
use crate::index::{Progress, Walkers};
use crate::query::{Fetch, Scan, SearchParams, Snapshot, View};
use crate::write::{Ack, Batch, Condition, Inbox, Message, TagChange};
use crate::{Error, ErrorKind, Filter, Options, PinStats, Record, Result, Update, Vacuumed};

/// What all handles of a collection and its writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) names: CollectionNames,
    pub(crate) name: String,
    /// As it was created: its configuration and schema until a version says others, its dimensions and
    /// metric for ever.
    entry: Entry,
    pub(crate) kernels: Kernels,
    pub(crate) walkers: Walkers,
    pub(crate) progress: Progress,
    pub(crate) options: Arc<Options>,
    /// How the backups go that the database makes by itself.
    pub(crate) backups: Arc<Backups>,
    pub(crate) view: ArcSwap<View>,
    /// Whether what searches had to do without is loaded behind them.
    pub(crate) loads_behind: AtomicBool,
    /// Whether anybody has searched here.
    pub(crate) searched: AtomicBool,
    /// Number of this writer's opening; 0 of who only reads.
    pub(crate) epoch: AtomicU64,
    /// Why the writer has stopped.
    pub(crate) failure: Mutex<Option<Error>>,
    /// Why the last commit that nobody asked for came to nothing; it is tried again.
    pub(crate) commit_failure: Mutex<Option<Error>>,
    /// Why the last flush came to nothing; it is tried again.
    pub(crate) flush_failure: Mutex<Option<Error>>,
    /// Why the last merge came to nothing; the policy tries again.
    pub(crate) merge_failure: Mutex<Option<Error>>,
    /// Why the last vacuum came to nothing; it is tried again.
    pub(crate) vacuum_failure: Mutex<Option<Error>>,
    /// What the last flush and the last merge of this writer wrote.
    pub(crate) last_flush: Mutex<Option<SegmentWritten>>,
    pub(crate) last_merge: Mutex<Option<SegmentWritten>>,
    /// Bytes of the log that no segment holds yet.
    pub(crate) log_bytes: AtomicU64,
    /// What the last vacuum of this writer did, and the pins that it found.
    pub(crate) last_vacuum: Mutex<Option<Vacuumed>>,
    pub(crate) pins: Mutex<Vec<PinStats>>,
}

/// A collection of a database.
///
/// Clones are the same collection. When the last of a writer's handles is dropped the writer
/// ends without a commit, as if the process had been killed; [`Collection::close`] commits.
#[derive(Debug, Clone)]
pub struct Collection {
    pub(crate) shared: Arc<Shared>,
    role: Role,
}

#[derive(Debug, Clone)]
enum Role {
    Writer(Arc<WriterHandle>),
    /// Follows the writer.
    Replica(Arc<Following>),
    /// One version for ever.
    Version,
}

#[derive(Debug)]
pub(crate) struct WriterHandle {
    inbox: Arc<Inbox>,
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

/// A writer that is open as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct WeakCollection {
    shared: Weak<Shared>,
    handle: Weak<WriterHandle>,
}

impl WeakCollection {
    /// The collection, unless it was dropped or closed.
    pub(crate) fn upgrade(&self) -> Option<Collection> {
        let (shared, handle) = (self.shared.upgrade()?, self.handle.upgrade()?);
        (!handle.inbox.is_closed()).then_some(Collection { shared, role: Role::Writer(handle) })
    }
}

/// More than a deletion takes of a batch, however long the id.
const DELETION_BYTES: usize = 1024;

impl Collection {
    pub(crate) fn downgrade(&self) -> WeakCollection {
        let handle = match &self.role {
            Role::Writer(handle) => Arc::downgrade(handle),
            Role::Replica(_) | Role::Version => Weak::new(),
        };
        WeakCollection { shared: Arc::downgrade(&self.shared), handle }
    }

    /// The name under which it was opened.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Tells it from every other, whatever it is called.
    pub fn identity(&self) -> u128 {
        self.shared.names.0.0
    }

    /// Whether it was closed, or its writer has ended.
    pub fn is_closed(&self) -> bool {
        matches!(&self.role, Role::Writer(handle) if handle.inbox.is_closed())
    }

    /// Its configuration.
    pub fn config(&self) -> Config {
        self.shared.config()
    }

    /// What it says of the fields of documents.
    pub fn schema(&self) -> Schema {
        self.shared.schema()
    }

    /// Bytes of the largest batch that it takes: half a memtable.
    pub fn largest_batch(&self) -> usize {
        self.shared.options.batch_bytes()
    }

    /// The database's threads.
    pub fn threads(&self) -> Arc<dyn Spawn> {
        Arc::clone(&self.shared.env.spawn)
    }

    /// Whether a search for one query is done sooner here than handed to another thread.
    pub fn is_short(&self, params: SearchParams) -> bool {
        self.snapshot().is_short(params)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.shared)
    }

    /// For a read that can fail: a closed writer's view would be out of date.
    pub(crate) fn open_snapshot(&self) -> Result<Snapshot> {
        if self.is_closed() { Err(Error::closed()) } else { Ok(self.snapshot()) }
    }

    pub(crate) fn writer(&self) -> Result<&Inbox> {
        match &self.role {
            Role::Writer(handle) => Ok(&handle.inbox),
            Role::Replica(_) | Role::Version => Err(Error::new(
                ErrorKind::ReadOnly,
                format!("collection `{}` is open for reading only", self.shared.name),
            )),
        }
    }

    pub(crate) async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T>>) -> Message,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.writer()?.send(message(reply)).await?;
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.why_unanswered().await),
        }
    }

    /// Why the writer has ended without an answer.
    async fn why_unanswered(&self) -> Error {
        if let Ok(inbox) = self.writer() {
            inbox.closed().await;
        }
        // What was asked of a writer that panicked may be done.
        match &*self.shared.failure.lock() {
            Some(failure) if failure.kind() == ErrorKind::Internal => {
                failure.clone().with_kind(ErrorKind::OutcomeUnknown)
            }
            _ => Error::closed(),
        }
    }

    async fn write(&self, batch: Batch) -> Result<Ack> {
        self.ask(|reply| Message::Write { batch, reply }).await
    }

    /// Writes records; one whose id is there already is replaced. An empty batch does nothing.
    ///
    /// # Errors
    /// `InvalidArgument` names the row at fault; nothing of the batch is kept then.
    pub async fn upsert(&self, records: Vec<Record>) -> Result<Ack> {
        self.put(records, Condition::Any).await
    }

    /// Writes records whose ids are not there yet.
    ///
    /// # Errors
    /// `AlreadyExists` names a row whose id is there, or in the batch already; nothing of the batch is kept then.
    pub async fn insert(&self, records: Vec<Record>) -> Result<Ack> {
        self.put(records, Condition::Absent).await
    }

    async fn put(&self, records: Vec<Record>, condition: Condition) -> Result<Ack> {
        self.writer()?;
        let limit = self.shared.options.batch_bytes();
        let schema = self.schema();
        self.write(Batch::of_records(self.shared.created(), &schema, limit, records, condition)?)
            .await
    }

    /// Changes parts of records that are there.
    ///
    /// # Errors
    /// `NotFound` names a row whose id is not there; nothing of the batch is kept then.
    pub async fn update(&self, updates: Vec<Update>) -> Result<Ack> {
        self.writer()?;
        let limit = self.shared.options.batch_bytes();
        let schema = self.schema();
        self.write(Batch::of_updates(self.shared.created(), &schema, limit, updates)?).await
    }

    /// Deletes records; an id that is not there is no error. The answer counts those that were.
    ///
    /// # Errors
    /// `InvalidArgument` for an id that no record can have.
    pub async fn delete(&self, ids: Vec<Id>) -> Result<Ack> {
        self.writer()?;
        let limit = self.shared.options.batch_bytes();
        self.write(Batch::of_deletes(&self.schema(), limit, ids, None)?).await
    }

    /// Deletes the records that a filter matches, in batches. Of what is written meanwhile only that is
    /// deleted which matched at the beginning and matches still.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter that is refused. What was deleted before an error stays so.
    pub fn delete_where(&self, filter: Filter) -> BoxFuture<'_, Result<Ack>> {
        Box::pin(async move {
            self.writer()?;
            let snapshot = self.open_snapshot()?;
            let (schema, bound) = (snapshot.view.schema.clone(), snapshot.bind(filter)?);
            let snapshot = snapshot.only(&bound).await?;
            let limit = self.shared.options.batch_bytes();
            let mut matching = Scan::new(snapshot, Fetch::default(), limit / DELETION_BYTES)?;
            // No write but of what is deleted: one that failed would tell of a deletion that was done.
            let mut ack: Option<Ack> = None;
            while let Some(records) = matching.next_page().await? {
                let ids = records.into_iter().map(|record| record.id).collect();
                let next =
                    self.write(Batch::of_deletes(&schema, limit, ids, Some(&bound))?).await?;
                let before = ack.map_or(0, |ack| ack.records);
                ack = Some(Ack { records: before + next.records, ..next });
            }
            match ack {
                Some(ack) => Ok(ack),
                None => self.write(Batch::of_deletes(&schema, limit, Vec::new(), None)?).await,
            }
        })
    }

    /// Returns when every earlier write is durable and visible to other processes, with the
    /// version that holds them; 0 if there never was a write.
    ///
    /// # Errors
    /// `OutcomeUnknown` if the disk failed meanwhile; the writer has stopped then.
    pub async fn commit(&self) -> Result<u64> {
        self.ask(|reply| Message::Commit { reply }).await
    }

    /// Returns when every earlier write is in a segment, with the version that names it.
    ///
    /// # Errors
    /// What the store can meet; the writes are in the log all the same.
    pub async fn flush(&self) -> Result<u64> {
        self.ask(|reply| Message::Flush { reply }).await
    }

    /// Returns when every earlier write is in one segment, with the version that names it; rows
    /// that were replaced or deleted are gone from it. Writes and searches go on meanwhile.
    ///
    /// # Errors
    /// What the store can meet; the segments are then as they were. `Closed` if the collection was
    /// closed meanwhile.
    pub async fn compact(&self) -> Result<u64> {
        self.flush().await?;
        self.ask(|reply| Message::Compact { reply }).await
    }

    /// Returns when no merge of segments and no vacuum is running or due, with the last version. What
    /// is due is merged, whether that happens by itself or not.
    ///
    /// # Errors
    /// Why the last merge or vacuum came to nothing, if one did; it is tried again.
    pub async fn settle(&self) -> Result<u64> {
        self.ask(|reply| Message::Settle { reply }).await
    }

    /// Deletes what only versions need that are not kept, and what writers that were killed left
    /// behind; says what it deleted. Happens by itself unless that was switched off.
    ///
    /// # Errors
    /// What the store can meet. If a version cannot be read, nothing is deleted.
    pub async fn vacuum(&self) -> Result<Vacuumed> {
        self.ask(|reply| Message::Vacuum { reply }).await
    }

    /// Gives a version a name, by which it is kept until the name is taken away or given to
    /// another: `version`, or one that holds all earlier writes. Gives the version.
    ///
    /// # Errors
    /// `VersionGone` if it is not kept; `NotFound` if there is none yet.
    pub async fn tag(&self, tag: &str, version: Option<u64>) -> Result<u64> {
        let (tag, change) = (tag.to_owned(), TagChange::Add(version));
        self.ask(|reply| Message::Tag { tag, change, reply }).await
    }

    /// Takes a name away, and gives the version that had it.
    ///
    /// # Errors
    /// `NotFound` if no version has it.
    pub async fn untag(&self, tag: &str) -> Result<u64> {
        let (tag, change) = (tag.to_owned(), TagChange::Remove);
        self.ask(|reply| Message::Tag { tag, change, reply }).await
    }

    /// Commits, ends the writer and frees the collection for another. All handles are closed.
    ///
    /// # Errors
    /// As [`Collection::commit`]; the writer has ended all the same.
    pub async fn close(&self) -> Result<()> {
        match self.role {
            Role::Writer(_) => self.ask(|reply| Message::Close { reply }).await,
            Role::Replica(_) | Role::Version => Ok(()),
        }
    }
}
