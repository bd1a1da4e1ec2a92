//! What is done after every crash: come up, look, go on, crash again, look again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use vecgo_engine::{BackupPlace, Collection, Database};
use vecgo_io::{Access, Env, Store};

use crate::disk::{Image, Outcome};
use crate::machine::{Machine, Trace};
use crate::oracle::{Expected, backups, invariants, no_garbage};
use crate::random::Random;
use crate::violation::Failure;
use crate::{Settings, Violation};

/// Checks crashes, and counts them.
#[derive(Debug)]
pub struct Checker {
    settings: Settings,
    random: Random,
    /// Every so many crashes everything is checked that can be.
    thorough_every: usize,
    /// Steps of one recovery that are crashed at, about.
    steps_of_a_recovery: usize,
    /// Crashes checked so far: each a power failure, a recovery, and a look at all that is there.
    pub crashes: u64,
    /// Backups restored after them, and held against what they should hold.
    pub backups: u64,
}

/// Longer than what is no longer named stays.
const GRACE: Duration = Duration::from_secs(3600);

/// How far a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// All names and records.
    Contents,
    /// Versions, searches, `get` and `verify` too.
    Everything,
}

impl Checker {
    /// A checker of databases set up in one way.
    pub fn new(settings: Settings, random: Random) -> Self {
        let steps_of_a_recovery = usize::MAX;
        Self { settings, random, thorough_every: 4, steps_of_a_recovery, crashes: 0, backups: 0 }
    }

    /// Crashes at about so many steps of each recovery, not at every one: a recovery has some hundred,
    /// and one during a recovery the square of that.
    #[must_use]
    pub(crate) fn with_steps_of_a_recovery(mut self, about: usize) -> Self {
        self.steps_of_a_recovery = about;
        self
    }

    /// Checks a disk as a crash left it. `nested`: so many more crashes during recovery, each at
    /// every step, unless told otherwise.
    ///
    /// # Errors
    /// A promise that was not kept.
    pub fn after_crash(
        &mut self,
        image: &Image,
        expected: &Expected,
        nested: u32,
    ) -> Result<(), Violation> {
        let look = match self.random.one_in(self.thorough_every) {
            true => Look::Everything,
            false => Look::Contents,
        };
        if look == Look::Everything {
            self.replica(image, expected)?;
        }
        let during = Arc::new(Mutex::new(Vec::new()));
        let mut found = expected.clone();
        let watch = (nested > 0).then_some(&during);
        let after = self.visit(image, &mut found, look, watch)?;
        // What was shown once stays, and so does what was acknowledged since.
        let again = after.crash(Outcome::Strict, &mut self.random);
        self.visit(&again, &mut found.clone(), Look::Contents, None)
            .map_err(|violation| violation.context("after a second crash"))?;
        let during = std::mem::take(&mut *during.lock());
        let every = during.len().div_ceil(self.steps_of_a_recovery);
        for image in &during {
            if every > 1 && !self.random.one_in(every) {
                continue;
            }
            for outcome in [Outcome::Strict, Outcome::Random] {
                let image = image.crash(outcome, &mut self.random);
                self.after_crash(&image, expected, nested - 1)
                    .map_err(|violation| violation.context("crash during recovery"))?;
            }
        }
        Ok(())
    }

    fn boot(&mut self, image: &Image) -> Machine {
        Machine::boot(image.clone(), self.random.fork(1), Arc::new(Trace::unread()))
            .with_own_logs(self.settings.own_logs)
    }

    /// Comes up on a disk, looks, and writes something; gives the disk as it is then.
    fn visit(
        &mut self,
        image: &Image,
        expected: &mut Expected,
        look: Look,
        watch: Option<&Arc<Mutex<Vec<Image>>>>,
    ) -> Result<Image, Violation> {
        self.crashes += 1;
        let mut machine = self.boot(image);
        let process = machine.start(Access::Write, false);
        let database = process.database(self.settings.options())?;
        if let Some(images) = watch {
            let images = Arc::clone(images);
            machine.disk.watch(Some(Box::new(move |image| images.lock().push(image.clone()))));
        }
        let vault = machine.vault(&process, Access::Read);
        let around = (&process.env, vault.as_ref());
        let looked = process.run(self.look(&database, around, expected, look))?;
        let collections = looked.map_err(|failure| failure.unexpected("I1"))?;
        machine.disk.watch(None);
        let gone_on = process.run(async {
            for collection in &collections {
                invariants::goes_on(collection, expected, &self.settings).await?;
            }
            Ok::<(), Failure>(())
        })?;
        gone_on.map_err(|failure| failure.unexpected("I20"))?;
        Ok(machine.disk.image())
    }

    async fn look(
        &mut self,
        database: &Database,
        (env, vault): (&Env, Option<&Arc<dyn Store>>),
        expected: &mut Expected,
        look: Look,
    ) -> Result<Vec<Collection>, Failure> {
        let store = &*env.store;
        let names = invariants::names(database).await?;
        expected.found_names(&names)?;
        let mut collections = Vec::new();
        for name in names.keys() {
            let collection = database.collection(name).await?;
            let rows = invariants::durable(&collection, expected).await?;
            invariants::newest_version(&collection, expected)?;
            if look == Look::Everything {
                invariants::versions(&collection, expected, &self.settings).await?;
                invariants::answers(&collection, &rows, &mut self.random).await?;
            }
            collections.push(collection);
        }
        if look == Look::Everything {
            invariants::undamaged(database).await?;
            // Where there are no locks something stays for a writer that does not know.
            if store.has_locks() {
                invariants::no_leftovers(store, &names).await?;
            }
            for collection in &collections {
                collection.flush().await?;
                collection.settle().await?;
                collection.vacuum().await?;
            }
            // Without locks what is not needed is deleted once nobody can be reading it any more.
            for _ in 0..if store.has_locks() { 0 } else { 2 } {
                env.clock.sleep(GRACE).await;
                for collection in &collections {
                    collection.vacuum().await?;
                }
            }
            no_garbage(store, self.settings.kept_versions).await?;
            if let Some(vault) = vault {
                let place = BackupPlace::new(Arc::clone(vault), env);
                let options = self.settings.options();
                self.backups += backups::whole(&place, env, &options, expected).await?;
            }
        }
        Ok(collections)
    }

    /// I8: a reader beside no writer sees the last version that was committed, or a later one.
    fn replica(&mut self, image: &Image, expected: &Expected) -> Result<(), Violation> {
        let mut machine = self.boot(image);
        let process = machine.start(Access::Read, false);
        let database = process.database(self.settings.options())?;
        let looked = process.run(async {
            let names = invariants::names(&database).await?;
            expected.clone().found_names(&names)?;
            for name in names.keys() {
                let replica = database.collection(name).await?;
                invariants::newest_version(&replica, expected)?;
                invariants::versions(&replica, expected, &self.settings).await?;
            }
            Ok::<(), Failure>(())
        })?;
        looked.map_err(|failure| failure.unexpected("I8").context("a read-only open"))
    }
}
