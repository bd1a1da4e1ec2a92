use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use vecgo_engine::{
    Ack, BackupPlace, Collection, Database, Error, ErrorKind, Result as EngineResult, WalSync,
};
use vecgo_io::{Access, DirectoryStore, Env, Store};

use crate::disk::SimDisk;
use crate::machine::{PLENTY_BYTES, memory};
use crate::oracle::{Names, Oracle, Row, Rows, Said, schema};
use crate::violation::Failure;
use crate::{Settings, Violation};

/// The collection that most operations work on.
pub(crate) const DOCS: &str = "docs";
/// Its dimension; every other collection has one of its own, by which the oracle knows it.
pub(crate) const DOCS_DIM: usize = 3;

/// A client's side of one life of the engine.
#[derive(Debug)]
pub struct Session {
    pub(crate) settings: Settings,
    pub(crate) database: Database,
    pub(crate) oracle: Arc<Mutex<Oracle>>,
    /// How many lanes write at the same time.
    pub(crate) lanes: usize,
    /// The lane that this session has to itself, if other sessions write the others.
    pub(crate) alone: Option<usize>,
    pub(crate) docs: Mutex<Option<Collection>>,
    pub(crate) env: Env,
    /// Where backups go.
    pub(crate) vault: Option<Arc<dyn Store>>,
    pub(crate) excuse: Excuse,
    pub(crate) numbers: Arc<Numbers>,
    /// Sequence number of the last change of each lane.
    pub(crate) sequences: Mutex<BTreeMap<(usize, usize), u64>>,
    /// Whether memory may be lacking, because others hold what they read for long.
    pub(crate) may_lack_memory: AtomicBool,
}

/// Numbers that a run never uses twice.
#[derive(Debug)]
pub(crate) struct Numbers {
    mark: AtomicU32,
    dim: AtomicUsize,
    backups: AtomicU64,
}

impl Numbers {
    /// A backup was made, and restored to what it should.
    pub(crate) fn backed_up(&self) {
        self.backups.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn backups(&self) -> u64 {
        self.backups.load(Ordering::Relaxed)
    }
}

impl Default for Numbers {
    fn default() -> Self {
        let (mark, dim) = (AtomicU32::new(1), AtomicUsize::new(DOCS_DIM + 1));
        Self { mark, dim, backups: AtomicU64::new(0) }
    }
}

/// Why a call may fail.
#[derive(Debug, Clone)]
pub(crate) enum Excuse {
    /// A fault of the disk has struck.
    Disk(SimDisk),
    /// There is a network in between, and others who want to write.
    Network,
    /// There is none.
    Nothing,
}

impl Excuse {
    /// An internal error is never right, nor damage that a network cannot have done.
    pub(crate) fn covers(&self, error: &Error) -> bool {
        match (self, error.kind()) {
            (_, ErrorKind::Internal)
            | (Excuse::Nothing, _)
            | (Excuse::Network, ErrorKind::Corruption) => false,
            (Excuse::Disk(disk), ErrorKind::Corruption) => disk.has_lied(),
            (Excuse::Disk(disk), _) => disk.struck() > 0,
            (Excuse::Network, _) => true,
        }
    }
}

/// What a call came to.
enum Answer<T> {
    Done(T),
    Refused,
    Unknown,
}

impl Session {
    pub(crate) fn docs(&self) -> Option<Collection> {
        self.docs.lock().clone()
    }

    pub(crate) fn names(&self, lane: usize) -> Names {
        (**self.oracle.lock().names(lane).current()).clone()
    }

    /// A row that no other is equal to.
    pub(crate) fn new_row(&self) -> Row {
        let mark = self.numbers.mark.fetch_add(1, Ordering::Relaxed);
        Row::new(mark, mark, (!mark.is_multiple_of(3)).then_some(mark))
    }

    pub(crate) fn new_dim(&self) -> usize {
        self.numbers.dim.fetch_add(1, Ordering::Relaxed)
    }

    /// What a lane has been told is there.
    pub(crate) fn current(&self, dim: usize, lane: usize) -> Arc<Rows> {
        Arc::clone(self.oracle.lock().lane(dim, lane).current())
    }

    /// Where backups go.
    pub(crate) fn vault(&self) -> Option<BackupPlace> {
        let store = self.vault.as_ref()?;
        Some(BackupPlace::new(Arc::clone(store), &self.env))
    }

    /// The engine as another process on the same machine has it; `None` where there is no disk.
    pub(crate) fn beside(&self, access: Access) -> Result<Option<Database>, Violation> {
        let Excuse::Disk(disk) = &self.excuse else { return Ok(None) };
        if self.settings.own_logs && access == Access::Write {
            return Ok(None);
        }
        let rand = Arc::clone(&self.env.rand);
        let store = Arc::new(DirectoryStore::new(Arc::new(disk.clone()), rand, access));
        let (memory, cache) = memory(PLENTY_BYTES, 0, &self.env.clock);
        let env =
            Env { logs: Some(Arc::clone(&store) as _), store, cache, memory, ..self.env.clone() };
        let database = Database::new(env, access, self.settings.options());
        database.map(Some).map_err(|error| Violation::new("I20", error.to_string()))
    }

    /// After the longest time that an acknowledged write may wait for its sync.
    pub(crate) fn interval_has_passed(&self, before: &[usize]) {
        let troubled = match &self.excuse {
            Excuse::Disk(disk) => disk.struck() > 0,
            Excuse::Network | Excuse::Nothing => true,
        };
        if matches!(self.settings.wal_sync, WalSync::Interval(_)) && !troubled {
            self.oracle.lock().committed(DOCS_DIM, before);
        }
    }

    /// A change of records: tells the oracle what is asked, asks, and tells it the answer.
    pub(crate) async fn write(
        &self,
        collection: &Collection,
        lane: usize,
        change: impl FnOnce(&mut Rows),
        call: impl Future<Output = EngineResult<Ack>>,
    ) -> Result<(), Violation> {
        let dim = collection.config().dim();
        let changed;
        {
            let mut oracle = self.oracle.lock();
            let history = oracle.lane(dim, lane);
            // Nobody knows what the next change would change.
            if history.is_open() {
                return Ok(());
            }
            let before = history.current();
            let mut rows = (**before).clone();
            change(&mut rows);
            let ids: BTreeSet<_> = before.keys().chain(rows.keys()).collect();
            changed = ids.into_iter().filter(|id| before.get(*id) != rows.get(*id)).count();
            history.ask(rows);
        }
        let mut answer = self.judge(call.await)?;
        // What is durable on one machine alone is lost when another takes over.
        let is_shared = self.settings.own_logs && !matches!(self.excuse, Excuse::Disk(_));
        if let (true, Answer::Done(ack)) = (is_shared, &mut answer) {
            ack.durable = false;
        }
        let mut oracle = self.oracle.lock();
        let history = oracle.lane(dim, lane);
        if let Answer::Done(ack) = &answer {
            self.check_ack(dim, lane, ack, changed)?;
        }
        match answer {
            Answer::Done(ack) if self.settings.every_write() && !ack.durable && !is_shared => {
                return Err(Violation::new("I1", "acknowledged, though not durable"));
            }
            Answer::Done(ack) => history.acknowledge(ack.durable),
            Answer::Refused => history.refuse(),
            Answer::Unknown => {}
        }
        Ok(())
    }

    /// An answer counts the records that changed, and its sequence number is beyond those of all
    /// changes before: each has as many numbers as it has records.
    fn check_ack(
        &self,
        dim: usize,
        lane: usize,
        ack: &Ack,
        changed: usize,
    ) -> Result<(), Violation> {
        let mut sequences = self.sequences.lock();
        let last = sequences.entry((dim, lane)).or_default();
        // A disk that lies may take the last batch with it, and its numbers.
        let lied = matches!(&self.excuse, Excuse::Disk(disk) if disk.has_lied());
        let follows = lied || ack.sequence >= *last + ack.records as u64;
        if ack.records < changed || !follows {
            let message = format!("{ack:?} after write {last}, with {changed} records changed");
            return Err(Violation::new("I18", message));
        }
        // A writer that is dropped may take with it what is not durable, and its numbers.
        if ack.durable {
            *last = ack.sequence;
        }
        Ok(())
    }

    /// Closes the collection, which makes all before it durable.
    pub(crate) async fn close(&self, collection: &Collection) -> Result<(), Violation> {
        let dim = collection.config().dim();
        let before = self.oracle.lock().before_commit(dim, self.alone);
        if let Answer::Done(()) = self.judge(collection.close().await)? {
            self.oracle.lock().committed(dim, &before);
        }
        Ok(())
    }

    /// Opens the collection again that was closed.
    pub(crate) async fn reopen(&self) -> Result<(), Violation> {
        // If that fails there is no writer.
        let opened = self.database.collection(DOCS).await;
        let failed = opened.as_ref().err().cloned();
        *self.docs.lock() = opened.ok();
        failed.map_or(Ok(()), |error| self.check_failure(&error))
    }

    /// Opens the collection again, whose writer has stopped. As long as that cannot be, what is there stays.
    pub(crate) async fn reopen_stopped(&self, docs: &Collection) -> Result<(), Violation> {
        match self.database.reopen(docs).await {
            Ok(opened) => {
                *self.docs.lock() = Some(opened);
                Ok(())
            }
            Err(error) => {
                self.check_failure(&error)?;
                self.reopen().await
            }
        }
    }

    /// A call that makes all before it durable and gives the version that holds it.
    pub(crate) async fn make_version(
        &self,
        collection: &Collection,
        call: impl Future<Output = EngineResult<u64>>,
    ) -> Result<(), Violation> {
        let dim = collection.config().dim();
        let before = self.oracle.lock().before_commit(dim, self.alone);
        if let Answer::Done(version) = self.judge(call.await)? {
            let mut oracle = self.oracle.lock();
            oracle.committed(dim, &before);
            if version > 0 {
                oracle.add_version(dim, version, &before, self.alone);
            }
        }
        Ok(())
    }

    /// Changes what is said of documents, to what all are anyway.
    pub(crate) async fn declare(&self, docs: &Collection, which: usize) -> Result<(), Violation> {
        let change = |said: Said| Said { schema: which, ..said };
        self.say(change, docs.set_schema(schema(which))).await
    }

    /// Changes what segments are searched by.
    pub(crate) async fn configure(&self, docs: &Collection, which: usize) -> Result<(), Violation> {
        let change = |said: Said| said.configured(which);
        let config = change(Said::default()).config(docs.config());
        self.say(change, docs.configure(config)).await
    }

    async fn say(
        &self,
        change: impl FnOnce(Said) -> Said,
        call: impl Future<Output = EngineResult<u64>>,
    ) -> Result<(), Violation> {
        let before = {
            let mut oracle = self.oracle.lock();
            if oracle.said.is_open() {
                return Ok(());
            }
            let said = change(**oracle.said.current());
            oracle.said.ask(said);
            oracle.before_commit(DOCS_DIM, self.alone)
        };
        let answer = self.judge(call.await)?;
        let mut oracle = self.oracle.lock();
        match answer {
            Answer::Done(version) => {
                oracle.said.acknowledge(true);
                oracle.committed(DOCS_DIM, &before);
                if version > 0 {
                    oracle.add_version(DOCS_DIM, version, &before, self.alone);
                }
            }
            Answer::Refused => oracle.said.refuse(),
            Answer::Unknown => {}
        }
        Ok(())
    }

    /// A call that deletes what nothing needs, and changes nothing that can be seen.
    pub(crate) async fn vacuum(&self, collection: &Collection) -> Result<(), Violation> {
        self.judge(collection.vacuum().await).map(drop)
    }

    /// Gives the lane's tag to a version that holds everything.
    pub(crate) async fn tag(&self, collection: &Collection, lane: usize) -> Result<(), Violation> {
        let (dim, tag) = (collection.config().dim(), format!("lane-{lane}"));
        let before = {
            let mut oracle = self.oracle.lock();
            oracle.tag_is_open(dim, &tag);
            oracle.before_commit(dim, self.alone)
        };
        let answer = match collection.tag(&tag, None).await {
            // Nothing was ever written.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            answer => self.judge(answer)?,
        };
        if let Answer::Done(version) = answer {
            let mut oracle = self.oracle.lock();
            oracle.committed(dim, &before);
            oracle.add_version(dim, version, &before, self.alone);
            oracle.tagged(dim, &tag, version);
        }
        Ok(())
    }

    /// Takes the lane's tag away.
    pub(crate) async fn untag(
        &self,
        collection: &Collection,
        lane: usize,
    ) -> Result<(), Violation> {
        let (dim, tag) = (collection.config().dim(), format!("lane-{lane}"));
        let had = self.oracle.lock().tag_is_open(dim, &tag);
        match (collection.untag(&tag).await, had) {
            (Err(error), None) if error.kind() == ErrorKind::NotFound => Ok(()),
            (Ok(version), Some(had)) if version != had => {
                let message = format!("the tag of version {had} was that of {version}");
                Err(Violation::new("I4", message))
            }
            (answer, _) => self.judge(answer).map(drop),
        }
    }

    /// A change of the catalogue. `change` says whether it can be made.
    pub(crate) async fn change_names(
        &self,
        lane: usize,
        change: impl FnOnce(&mut Names) -> bool,
        call: impl Future<Output = EngineResult<()>>,
    ) -> Result<(), Violation> {
        let possible = {
            let mut oracle = self.oracle.lock();
            let history = oracle.names(lane);
            if history.is_open() {
                return Ok(());
            }
            let mut names = (**history.current()).clone();
            let possible = change(&mut names);
            if possible {
                history.ask(names);
            }
            possible
        };
        if !possible {
            return match call.await {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                Err(error) => self.check_failure(&error),
                Ok(()) => Err(Violation::new("I18", "done, expected a refusal")),
            };
        }
        let answer = self.judge(call.await)?;
        let mut oracle = self.oracle.lock();
        match answer {
            Answer::Done(()) => oracle.names(lane).acknowledge(true),
            Answer::Refused => oracle.names(lane).refuse(),
            Answer::Unknown => {}
        }
        Ok(())
    }

    /// A call that must fail in one way, if the disk lets it come so far.
    pub(crate) fn refused<T>(
        &self,
        result: EngineResult<T>,
        expected: ErrorKind,
    ) -> Result<(), Violation> {
        match result {
            Err(error) if error.kind() == expected => Ok(()),
            Err(error) => self.check_failure(&error),
            Ok(_) => Err(Violation::new("I18", format!("it was done; expected {expected}"))),
        }
    }

    /// Something of the catalogue is there that was not acknowledged.
    pub(crate) fn check_open_catalogue(&self, lane: usize, what: &str) -> Result<(), Violation> {
        match self.oracle.lock().names(lane).is_open() {
            true => Ok(()),
            false => Err(Violation::new("I18", format!("{what} there"))),
        }
    }

    fn judge<T>(&self, result: EngineResult<T>) -> Result<Answer<T>, Violation> {
        match result {
            Ok(done) => Ok(Answer::Done(done)),
            Err(error) => {
                self.check_failure(&error)?;
                let unknown = error.kind() == ErrorKind::OutcomeUnknown;
                Ok(if unknown { Answer::Unknown } else { Answer::Refused })
            }
        }
    }

    /// A look that failed: a wrong answer never is right.
    pub(crate) fn check_look(&self, failure: Failure) -> Result<(), Violation> {
        match failure {
            Failure::Engine(error) => self.check_failure(&error),
            Failure::Wrong(violation) => Err(violation),
        }
    }

    /// An error is right only where there is an excuse for it.
    pub(crate) fn check_failure(&self, error: &Error) -> Result<(), Violation> {
        let exhausted = error.kind() == ErrorKind::ResourceExhausted;
        let lacks = exhausted && self.may_lack_memory.load(Ordering::Relaxed);
        match lacks || self.excuse.covers(error) {
            true => Ok(()),
            false => {
                let invariant = if exhausted { "I19" } else { "I20" };
                Err(Violation::new(invariant, format!("{:?}: {error}", error.kind())))
            }
        }
    }
}
