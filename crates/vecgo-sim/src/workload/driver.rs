use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use vecgo_engine::{Database, Schema};
use vecgo_io::{Access, Spawn, SpawnExt};

use super::session::{DOCS, DOCS_DIM, Excuse, Numbers, Session};
use super::{End, Operation, Phase, Span};
use crate::disk::{Fault, Image, SimDisk};
use crate::machine::{Machine, PLENTY_BYTES, Process, Trace};
use crate::oracle::{Expected, Mark, Oracle, invariants};
use crate::random::Random;
use crate::violation::Failure;
use crate::{Settings, Violation};

/// A moment at which the machine might have lost power.
#[derive(Debug, Clone)]
pub struct Point {
    /// The disk at that moment.
    pub image: Image,
    known: Known,
}

/// What the driver knew at a point.
#[derive(Debug, Clone)]
enum Known {
    /// What had been asked and answered by then in the phase that still lasts.
    Mark(Mark),
    /// Before this life of the engine had looked: what the one before left.
    Before(Arc<Expected>),
}

/// Runs phases on one machine, and knows at every moment what its disk must hold.
#[derive(Debug)]
pub struct Driver {
    settings: Settings,
    machine: Machine,
    oracle: Arc<Mutex<Oracle>>,
    numbers: Arc<Numbers>,
    points: Arc<Mutex<Vec<Point>>>,
    random: Random,
    trace: Arc<Trace>,
    /// What the next life must find.
    expected: Arc<Expected>,
    /// What it must find if the machine loses power before it has looked.
    at_least: Arc<Expected>,
    struck: u64,
}

impl Driver {
    /// A machine with an empty disk.
    pub fn new(settings: Settings, mut random: Random, trace: Arc<Trace>) -> Self {
        let machine = Machine::boot(Image::default(), random.fork(1), Arc::clone(&trace));
        let machine = machine.with_own_logs(settings.own_logs);
        let oracle = Oracle::new(settings.config(DOCS_DIM));
        let expected = Arc::new(oracle.expected(&oracle.mark()));
        Self {
            settings,
            machine,
            at_least: Arc::clone(&expected),
            expected,
            oracle: Arc::new(Mutex::new(oracle)),
            numbers: Arc::default(),
            struck: 0,
            points: Arc::default(),
            random,
            trace,
        }
    }

    /// The disk.
    pub fn disk(&self) -> &SimDisk {
        &self.machine.disk
    }

    /// What must be found if the machine loses power before the next life.
    pub fn at_least(&self) -> &Expected {
        &self.at_least
    }

    /// The same, if the last change of each lane may be lost.
    pub fn but_the_last(&self) -> Expected {
        self.oracle.lock().but_the_last()
    }

    /// The same, if also what was acknowledged after the last commit may be lost.
    pub fn since_commit(&self) -> Expected {
        self.oracle.lock().since_commit()
    }

    /// How many backups were made so far, and restored to what they should.
    pub fn backups(&self) -> u64 {
        self.numbers.backups()
    }

    /// How many calls went wrong in the last phase, also if its machine is gone.
    pub fn struck(&self) -> u64 {
        self.struck
    }

    /// What a crash at a point of the last phase may leave.
    pub fn expected_at(&self, point: &Point) -> Expected {
        match &point.known {
            Known::Mark(mark) => self.oracle.lock().expected(mark),
            Known::Before(expected) => (**expected).clone(),
        }
    }

    /// From now on keeps every moment at which the disk was about to change.
    pub fn watch(&self) {
        let (oracle, points) = (Arc::clone(&self.oracle), Arc::clone(&self.points));
        self.machine.disk.watch(Some(Box::new(move |image| {
            let mark = oracle.lock().mark();
            points.lock().push(Point { image: image.clone(), known: Known::Mark(mark) });
        })));
    }

    /// The moments kept since the last call, and this one.
    pub fn take_points(&self) -> Vec<Point> {
        let mut points = std::mem::take(&mut *self.points.lock());
        let known = Known::Mark(self.oracle.lock().mark());
        points.push(Point { image: self.machine.disk.image(), known });
        points
    }

    /// Runs one life of the engine, faults and all.
    ///
    /// # Errors
    /// A promise that was not kept.
    pub fn phase(&mut self, phase: &Phase, faults: Vec<Fault>) -> Result<(), Violation> {
        self.machine.disk.plan(faults);
        // I21: whatever the wall clock says, nothing but labels follows from it.
        let year = i64::from(self.random.one_in(4)) * 31_536_000_000;
        self.machine.clock.set_wall(if self.random.one_in(2) { year } else { -year });
        let process =
            self.machine.start(Access::Write, self.settings.busy).within(self.settings.memory);
        let session = self.session(&process, phase.lanes.len())?;
        let ran = process.run(self.life(&session, phase))?;
        ran?;
        let mark = self.oracle.lock().mark();
        let image = self.machine.disk.image();
        self.struck = self.machine.disk.struck();
        // What drops in here must not tidy up: a process that is killed does not.
        self.machine.disk.turn(false);
        drop((session, process));
        self.machine.disk.turn(true);
        self.at_least = Arc::new(self.oracle.lock().expected(&mark));
        self.expected = match phase.end {
            // What a process has handed to its machine outlives the process; unless the machine
            // has failed meanwhile, when only what was durable must.
            End::Close | End::Kill if self.struck == 0 => {
                Arc::new(self.oracle.lock().expected(&mark.acknowledged()))
            }
            _ => Arc::clone(&self.at_least),
        };
        if let End::Crash(outcome) = phase.end {
            let image = image.crash(outcome, &mut self.random);
            self.machine = Machine::boot(image, self.random.fork(2), Arc::clone(&self.trace))
                .with_own_logs(self.settings.own_logs);
        }
        Ok(())
    }

    fn session(&self, process: &Process, lanes: usize) -> Result<Arc<Session>, Violation> {
        Ok(Arc::new(Session {
            settings: self.settings.clone(),
            database: process.database(self.settings.options())?,
            oracle: Arc::clone(&self.oracle),
            lanes,
            alone: None,
            docs: Mutex::new(None),
            env: process.env.clone(),
            vault: self.machine.vault(process, Access::Write),
            excuse: Excuse::Disk(self.machine.disk.clone()),
            numbers: Arc::clone(&self.numbers),
            sequences: Mutex::default(),
            may_lack_memory: AtomicBool::new(self.settings.memory < PLENTY_BYTES),
        }))
    }

    async fn life(&self, session: &Arc<Session>, phase: &Phase) -> Result<(), Violation> {
        if !self.open(session).await? {
            return Ok(());
        }
        let spawn: &Arc<dyn Spawn> = &session.env.spawn;
        let tasks = phase.lanes.iter().enumerate().map(|(lane, operations)| {
            let (session, operations) = (Arc::clone(session), operations.clone());
            spawn.start(async move { run_lane(&session, lane, &operations).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            let ended = task.await;
            ended.unwrap_or_else(|| Err(Violation::new("I20", "a client's task is gone")))?;
        }
        if session.may_lack_memory.swap(false, Ordering::Relaxed) {
            // I19: nobody reads any more, so that all can be given back that is taken.
            let write = Operation::Upsert(Span { first: 0, count: 9 });
            write.run(session, 0).await.map_err(|violation| violation.context("at the end"))?;
        }
        if phase.end == End::Close {
            close_all(session).await?;
        }
        Ok(())
    }

    /// Opens the database and looks at what is there; false if a fault keeps it from that.
    async fn open(&self, session: &Session) -> Result<bool, Violation> {
        match self.look(&session.database).await {
            Ok(found) => self.settle(found),
            Err(Failure::Engine(error)) => {
                session.check_failure(&error)?;
                // Nobody has seen anything: all that was possible still is.
                return Ok(false);
            }
            Err(Failure::Wrong(violation)) => return Err(violation),
        }
        if !session.names(0).contains_key(DOCS) {
            let config = self.settings.config(DOCS_DIM);
            let change = |names: &mut crate::oracle::Names| {
                names.insert(DOCS.to_owned(), DOCS_DIM).is_none()
            };
            session
                .change_names(0, change, session.database.create(DOCS, config, Schema::default()))
                .await?;
        }
        if !session.names(0).contains_key(DOCS) {
            return Ok(false);
        }
        match session.database.collection(DOCS).await {
            Ok(docs) => *session.docs.lock() = Some(docs),
            Err(error) => session.check_failure(&error)?,
        }
        Ok(session.docs().is_some())
    }

    fn settle(&self, found: Expected) {
        for point in self.points.lock().iter_mut() {
            point.known = Known::Before(Arc::clone(&self.at_least));
        }
        self.oracle.lock().settle(found);
    }

    async fn look(&self, database: &Database) -> Result<Expected, Failure> {
        let mut expected = (*self.expected).clone();
        let names = invariants::names(database).await?;
        expected.found_names(&names)?;
        for name in names.keys() {
            let collection = database.collection(name).await?;
            invariants::durable(&collection, &mut expected).await?;
            invariants::newest_version(&collection, &expected)?;
        }
        Ok(expected)
    }
}

async fn close_all(session: &Session) -> Result<(), Violation> {
    let collections = match session.database.collections().await {
        Ok(collections) => collections,
        Err(error) => return session.check_failure(&error),
    };
    for info in collections {
        match session.database.collection(&info.name).await {
            Ok(collection) => session.close(&collection).await?,
            Err(error) => session.check_failure(&error)?,
        }
    }
    Ok(())
}

async fn run_lane(
    session: &Session,
    lane: usize,
    operations: &[Operation],
) -> Result<(), Violation> {
    for (place, operation) in operations.iter().enumerate() {
        let ran = operation.run(session, lane).await;
        ran.map_err(|v| v.context(format!("lane {lane}, operation {place}, {operation:?}")))?;
    }
    Ok(())
}
