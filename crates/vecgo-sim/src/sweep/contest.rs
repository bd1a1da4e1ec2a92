//! Several processes and one bucket: writers that take over from each other, writers that stand
//! still for minutes and go on as if nothing had happened, replicas that follow, and a network
//! that loses, repeats and delays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use vecgo_engine::{BackupPlace, Collection, Database, ErrorKind, Schema};
use vecgo_io::{Access, Clock, OwnLogs, SpawnExt, Store, Task};

use crate::bucket::SimBucket;
use crate::disk::{Image, SimDisk};
use crate::machine::{Process, Scheduler, SimClock, SimRand, Threads, Trace, own_logs};
use crate::oracle::{Mark, Oracle, Rows, backups, invariants, no_garbage};
use crate::random::Random;
use crate::violation::Failure;
use crate::workload::{DOCS, DOCS_DIM, Excuse, Numbers, Operation, Session};
use crate::{Settings, Tally, Violation};

/// Longer than any request is under way.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// Processes: writers from 1 on, replicas from here on, then those that look at the end.
const REPLICAS: u32 = 10;
pub(super) const JUDGE: u32 = 20;

/// What everybody shares.
#[derive(Debug)]
pub(super) struct Contest {
    settings: Settings,
    pub(super) bucket: SimBucket,
    /// Another, where backups go.
    vault: SimBucket,
    pub(super) clock: SimClock,
    pub(super) scheduler: Arc<Scheduler>,
    oracle: Arc<Mutex<Oracle>>,
    numbers: Arc<Numbers>,
    /// One writer and a good network: nothing may fail.
    quiet: bool,
    /// Those of writers that keep their logs there.
    disks: Mutex<BTreeMap<u32, SimDisk>>,
    /// What each version was seen to hold.
    seen: Mutex<BTreeMap<u64, Rows>>,
}

/// Runs a contest made from a seed.
///
/// # Errors
/// The first promise that was not kept.
pub fn contest(seed: u64, trace: &Arc<Trace>) -> Result<Tally, Violation> {
    let mut random = Random::new(seed ^ 0xb0c4e7);
    let settings = Settings::random(&mut random);
    trace.comment(format_args!("contest of {settings:?}"));
    let quiet = random.one_in(8);
    let contest = Contest::new(settings, &mut random, trace, quiet);
    let ran = contest.scheduler.run(run(&contest, &mut random));
    contest.end();
    ran??;
    Ok(Tally { runs: 1, backups: contest.numbers.backups(), ..Tally::default() })
}

async fn run(contest: &Arc<Contest>, random: &mut Random) -> Result<(), Violation> {
    contest.create().await?;
    let writers = if contest.quiet {
        1
    } else {
        let trouble = *random.pick(&[0, 60, 20, 8]);
        contest.bucket.set_trouble(trouble);
        contest.vault.set_trouble(trouble);
        *random.pick(&[2, 3])
    };
    let replicas = *random.pick(&[0, 1, 2]);
    let mut tasks: Vec<Task<Result<(), Violation>>> = Vec::new();
    for writer in 1..=writers {
        let (own, random) = (Arc::clone(contest), random.fork(writer.into()));
        tasks.push(contest.threads(writer).start(async move { own.write(writer, random).await }));
    }
    for replica in REPLICAS..REPLICAS + replicas {
        let (own, random) = (Arc::clone(contest), random.fork(replica.into()));
        tasks
            .push(contest.threads(replica).start(async move { own.follow(replica, random).await }));
    }
    for _ in 0..random.below(8) {
        contest.clock.sleep(Duration::from_millis(random.next() % 2_000)).await;
        let process = 1 + *random.pick(&[0, 1, 2][..writers as usize]);
        contest.scheduler.pause(process, true);
        contest.clock.sleep(Duration::from_millis(random.next() % 60_000)).await;
        contest.scheduler.pause(process, false);
    }
    for task in tasks {
        task.await.unwrap_or_else(|| Err(Violation::new("I20", "an actor is gone")))?;
    }
    contest.bucket.set_trouble(0);
    contest.vault.set_trouble(0);
    // What is still under way may arrive before the first judge, or after.
    if random.one_in(2) {
        contest.clock.sleep(LONG).await;
    }
    contest.judge(JUDGE, random).await?;
    contest.clock.sleep(LONG).await;
    contest.judge(JUDGE + 1, random).await
}

impl Contest {
    pub(super) fn new(
        settings: Settings,
        random: &mut Random,
        trace: &Arc<Trace>,
        quiet: bool,
    ) -> Arc<Self> {
        let clock = SimClock::default();
        let oracle = Arc::new(Mutex::new(Oracle::new(settings.config(DOCS_DIM))));
        Arc::new(Self {
            settings,
            bucket: SimBucket::new(clock.clone(), random.fork(1), Arc::clone(trace)),
            vault: SimBucket::new(clock.clone(), random.fork(5), Arc::clone(trace)),
            scheduler: Arc::new(Scheduler::new(clock.clone(), random.fork(2))),
            clock,
            oracle,
            numbers: Arc::default(),
            quiet,
            disks: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// Ends every process.
    pub(super) fn end(&self) {
        (0..=JUDGE + 1).for_each(|process| self.scheduler.kill(process));
    }

    pub(super) fn threads(&self, process: u32) -> Threads {
        Threads { scheduler: Arc::clone(&self.scheduler), process }
    }

    fn process(&self, number: u32, access: Access, random: &mut Random) -> Process {
        let rand = Arc::new(SimRand::new(random.fork(4)));
        let store = Arc::new(self.bucket.clone());
        let threads = self.threads(number);
        let mut process =
            Process::new(threads, store, None, Arc::clone(&rand), &self.clock, access);
        if self.settings.own_logs && (1..REPLICAS).contains(&number) {
            let mut disks = self.disks.lock();
            let disk = disks
                .entry(number)
                .or_insert_with(|| SimDisk::new(Image::default(), Arc::new(Trace::default())));
            let own = own_logs(disk, &rand);
            process.env.own_logs = Some(OwnLogs { store: Arc::clone(&own) as _, logs: own });
        }
        process
    }

    pub(super) async fn create(&self) -> Result<(), Violation> {
        let process = self.process(0, Access::Write, &mut Random::new(0));
        let database = process.database(self.settings.options())?;
        let created =
            database.create(DOCS, self.settings.config(DOCS_DIM), Schema::default()).await;
        created.map_err(|error| Violation::new("I20", error.to_string()))?;
        let mut oracle = self.oracle.lock();
        oracle.names(0).ask([(DOCS.to_owned(), DOCS_DIM)].into());
        oracle.names(0).acknowledge(true);
        Ok(())
    }

    /// A writer: takes over, looks, writes, and goes; and comes again.
    async fn write(&self, number: u32, mut random: Random) -> Result<(), Violation> {
        for _ in 0..1 + random.below(4) {
            self.clock.sleep(Duration::from_millis(random.next() % 3_000)).await;
            let operations: Vec<Operation> =
                (0..random.below(10)).map(|_| Operation::random(&mut random)).collect();
            self.live(number, &operations, &mut random).await?;
        }
        Ok(())
    }

    /// One life of a writer.
    pub(super) async fn live(
        &self,
        number: u32,
        operations: &[Operation],
        random: &mut Random,
    ) -> Result<(), Violation> {
        let process = self.process(number, Access::Write, random);
        let lived = self.life(&process, number as usize - 1, operations, random).await;
        lived.map_err(|violation| violation.context(format!("writer {number}")))
    }

    async fn life(
        &self,
        process: &Process,
        lane: usize,
        operations: &[Operation],
        random: &mut Random,
    ) -> Result<(), Violation> {
        let database = process.database(self.settings.options())?;
        let mark = self.oracle.lock().mark();
        let docs = match self.open(&database, &mark, Some(lane)).await {
            Ok(docs) => docs,
            Err(failure) => return self.excuse(failure),
        };
        let session = Session {
            settings: self.settings.clone(),
            database,
            oracle: Arc::clone(&self.oracle),
            lanes: usize::MAX,
            alone: Some(lane),
            docs: Mutex::new(Some(docs.clone())),
            env: process.env.clone(),
            vault: Some(Arc::new(self.vault.clone())),
            excuse: if self.quiet { Excuse::Nothing } else { Excuse::Network },
            numbers: Arc::clone(&self.numbers),
            sequences: Mutex::default(),
            may_lack_memory: AtomicBool::new(false),
        };
        for operation in operations {
            let ran = operation.run(&session, lane).await;
            ran.map_err(|violation| violation.context(format!("{operation:?}")))?;
        }
        if docs.stats().failure.is_some() {
            let mark = self.oracle.lock().mark();
            let back = async {
                let docs = session.database.reopen(&docs).await?;
                self.look(docs, &mark, Some(lane)).await
            };
            return back.await.map(drop).or_else(|failure| self.excuse(failure));
        }
        if random.one_in(2) {
            session.close(&docs).await?;
        }
        Ok(())
    }

    /// Opens the collection and looks at it. I1, I2, I7: all that was durable when the open began
    /// is there, nothing that nobody asked for, and what a lane's last life left in doubt is
    /// decided for ever.
    async fn open(
        &self,
        database: &Database,
        mark: &Mark,
        lane: Option<usize>,
    ) -> Result<Collection, Failure> {
        self.look(database.collection(DOCS).await?, mark, lane).await
    }

    async fn look(
        &self,
        docs: Collection,
        mark: &Mark,
        lane: Option<usize>,
    ) -> Result<Collection, Failure> {
        if self.settings.own_logs && lane.is_some() {
            // What this machine alone has is decided by whoever takes over.
            docs.commit().await?;
        }
        let rows = invariants::rows(&docs).await?;
        let mut oracle = self.oracle.lock();
        oracle.expected_since(mark).found_rows(DOCS_DIM, &rows)?;
        if let Some(lane) = lane {
            let own = invariants::of_lane(&rows, lane);
            if !oracle.lane(DOCS_DIM, lane).resolve(&own) {
                return Err(Violation::new("I3", format!("lane {lane} flips")).into());
            }
        }
        Ok(docs)
    }

    fn excuse(&self, failure: Failure) -> Result<(), Violation> {
        match failure {
            Failure::Engine(error) if !self.quiet && Excuse::Network.covers(&error) => Ok(()),
            failure => Err(failure.unexpected("I20")),
        }
    }

    /// A replica: its version never goes back, and what it shows of a version is what everybody
    /// else sees of it.
    async fn follow(&self, number: u32, mut random: Random) -> Result<(), Violation> {
        let process = self.process(number, Access::Read, &mut random);
        let database = process.database(self.settings.options())?;
        let mut replica: Option<Collection> = None;
        for _ in 0..10 {
            self.clock.sleep(Duration::from_millis(random.next() % 4_000)).await;
            match self.step(&database, &mut replica).await {
                Ok(()) => {}
                Err(failure) => self
                    .excuse(failure)
                    .map_err(|violation| violation.context(format!("replica {number}")))?,
            }
        }
        Ok(())
    }

    async fn step(
        &self,
        database: &Database,
        replica: &mut Option<Collection>,
    ) -> Result<(), Failure> {
        let collection = match replica {
            Some(replica) => replica,
            None => replica.insert(database.collection(DOCS).await?),
        };
        let before = collection.version();
        let refreshed = collection.refresh().await;
        let after = collection.version();
        if after < before {
            return Err(Violation::new("I8", format!("from version {before} to {after}")).into());
        }
        refreshed?;
        self.see(after, invariants::rows(collection).await?)
    }

    /// I4: a version holds the same for everybody, and nothing that nobody asked for.
    fn see(&self, version: u64, rows: Rows) -> Result<(), Failure> {
        self.oracle.lock().ever().found_rows(DOCS_DIM, &rows)?;
        let mut seen = self.seen.lock();
        match seen.insert(version, rows) {
            Some(before) if before != seen[&version] => {
                Err(Violation::new("I4", format!("version {version} is two things")).into())
            }
            _ => Ok(()),
        }
    }

    /// From now on every lane is what was found of it.
    fn decide(&self, rows: &Rows) {
        let mut oracle = self.oracle.lock();
        for lane in 0..oracle.before_commit(DOCS_DIM, None).len() {
            oracle.lane(DOCS_DIM, lane).resolve(&invariants::of_lane(rows, lane));
        }
    }

    /// Long after the last change what nothing needs is deleted, and no more.
    async fn vacuum(&self, database: &Database, store: &dyn Store) -> Result<(), Failure> {
        for name in invariants::names(database).await?.keys() {
            let collection = database.collection(name).await?;
            collection.flush().await?;
            collection.settle().await?;
            for _ in 0..2 {
                collection.vacuum().await?;
                self.clock.sleep(LONG).await;
            }
            collection.vacuum().await?;
        }
        no_garbage(store, self.settings.kept_versions).await
    }

    /// Everything is quiet: the next writer opens at once, finds what it must, and goes on.
    pub(super) async fn judge(&self, number: u32, random: &mut Random) -> Result<(), Violation> {
        let process = self.process(number, Access::Write, random);
        let database = process.database(self.settings.options())?;
        let judged = async {
            let mark = self.oracle.lock().mark();
            let docs = self.open(&database, &mark, None).await?;
            let mut expected = self.oracle.lock().expected(&mark);
            let rows = invariants::durable(&docs, &mut expected).await?;
            expected.found_names(&invariants::names(&database).await?)?;
            invariants::newest_version(&docs, &expected)?;
            invariants::versions(&docs, &expected, &self.settings).await?;
            invariants::answers(&docs, &rows, random).await?;
            invariants::undamaged(&database).await?;
            for version in docs.versions().await? {
                match docs.at_version(version.version).await {
                    Ok(then) => self.see(version.version, invariants::rows(&then).await?)?,
                    // It has grown too old since.
                    Err(error) if error.kind() == ErrorKind::VersionGone => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let place = BackupPlace::new(Arc::new(self.vault.clone()), &process.env);
            let options = self.settings.options();
            backups::whole(&place, &process.env, &options, &expected).await?;
            self.vacuum(&database, &*process.env.store).await?;
            expected.found_rows(DOCS_DIM, &invariants::rows(&docs).await?)?;
            invariants::versions(&docs, &expected, &self.settings).await?;
            invariants::undamaged(&database).await?;
            // What was found once is decided for ever.
            self.decide(&rows);
            let row = crate::oracle::Row::new(1, 1, None);
            let id = crate::oracle::id(JUDGE_LANE, number as usize);
            let mut own = invariants::of_lane(&rows, JUDGE_LANE);
            own.insert(id.clone(), row);
            docs.upsert(vec![row.record(&id, DOCS_DIM)]).await?;
            docs.close().await?;
            let mut oracle = self.oracle.lock();
            let history = oracle.lane(DOCS_DIM, JUDGE_LANE);
            history.ask(own);
            history.acknowledge(true);
            Ok::<(), Failure>(())
        };
        let judged: Result<(), Failure> = judged.await;
        judged.map_err(|failure| failure.unexpected("I20").context("at the end"))
    }
}

/// The lane of writes that show that the database goes on.
const JUDGE_LANE: usize = 5;

/// A store that ignores conditions is refused before anything is written to it.
///
/// # Errors
/// It is not.
pub fn ignored_conditions(trace: &Arc<Trace>) -> Result<(), Violation> {
    let clock = SimClock::default();
    let bucket = SimBucket::new(clock.clone(), Random::new(1), Arc::clone(trace));
    bucket.ignore_conditions();
    let scheduler = Arc::new(Scheduler::new(clock.clone(), Random::new(2)));
    let rand = Arc::new(SimRand::new(Random::new(3)));
    let threads = Threads { scheduler: Arc::clone(&scheduler), process: 1 };
    let process =
        Process::new(threads, Arc::new(bucket.clone()), None, rand, &clock, Access::Write);
    let settings = Settings::default();
    let database = process.database(settings.options())?;
    let created =
        scheduler.run(database.create(DOCS, settings.config(DOCS_DIM), Schema::default()))?;
    match created.map_err(|error| error.kind()) {
        Err(ErrorKind::Unsupported) if bucket.keys().is_empty() => Ok(()),
        other => {
            let left = bucket.keys();
            Err(Violation::new("I6", format!("conditions are ignored: {other:?}, left: {left:?}")))
        }
    }
}
