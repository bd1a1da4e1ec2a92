//! Several processes that make backups in one place and delete them there, paused for longer than anything that they
//! hold counts, killed, and on a network that loses, repeats and delays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use vecgo_engine::{BackupPlace, Copying, ErrorKind, Keep, Schema, WhichCollections};
use vecgo_io::{Access, Clock, Spawn, SpawnExt};

use super::contest::LONG;
use crate::bucket::SimBucket;
use crate::machine::{Process, Scheduler, SimClock, SimRand, Threads, Trace};
use crate::oracle::{Row, Rows, backups, id};
use crate::random::Random;
use crate::violation::Failure;
use crate::workload::{DOCS, DOCS_DIM, Excuse};
use crate::{Settings, Tally, Violation};

/// Processes: the writer, then those that make and delete backups, then the judge.
const WRITER: u32 = 0;
const ACTORS: u32 = 1;
const JUDGE: u32 = 20;

struct Vault {
    settings: Settings,
    data: SimBucket,
    place: SimBucket,
    clock: SimClock,
    scheduler: Arc<Scheduler>,
    /// What each version holds, as its writer knows it: nothing but commits makes any.
    versions: Mutex<BTreeMap<u64, Rows>>,
    failure: Mutex<Option<Violation>>,
}

/// Runs one made from a seed.
///
/// # Errors
/// I13.
pub fn vault(seed: u64, trace: &Arc<Trace>) -> Result<Tally, Violation> {
    let mut random = Random::new(seed ^ 0x7a_0017);
    let clock = SimClock::default();
    let bucket = |random: Random| SimBucket::new(clock.clone(), random, Arc::clone(trace));
    let vault = Arc::new(Vault {
        settings: Settings {
            memtable_rows: 1000,
            auto_compact: false,
            kept_versions: 2,
            ..Settings::default()
        },
        data: bucket(random.fork(1)),
        place: bucket(random.fork(2)),
        scheduler: Arc::new(Scheduler::new(clock.clone(), random.fork(3))),
        clock: clock.clone(),
        versions: Mutex::default(),
        failure: Mutex::default(),
    });
    let ran = vault.scheduler.run(run(&vault, &mut random));
    (0..=JUDGE).for_each(|process| vault.scheduler.kill(process));
    Ok(Tally { runs: 1, backups: ran??, ..Tally::default() })
}

async fn run(vault: &Arc<Vault>, random: &mut Random) -> Result<u64, Violation> {
    let actors = 4 + u32::try_from(random.below(3)).unwrap_or(0);
    let trouble = *random.pick(&[0, 40, 12, 6]);
    let (own, forked) = (Arc::clone(vault), random.fork(10));
    let writer = vault.threads(WRITER).start(async move { own.write(forked).await });
    while vault.versions.lock().len() < 2 {
        vault.clock.sleep(Duration::from_millis(50)).await;
    }
    vault.place.set_trouble(trouble);
    for actor in ACTORS..ACTORS + actors {
        let (own, forked) = (Arc::clone(vault), random.fork(20 + u64::from(actor)));
        let excused = trouble > 0;
        // Whether it comes to its end is for the pauses and kills to say.
        vault.threads(actor).spawn(Box::pin(async move {
            if let Err(violation) = own.act(actor, excused, forked).await {
                own.failure.lock().get_or_insert(violation);
            }
        }));
    }
    for _ in 0..12 + random.below(20) {
        vault.clock.sleep(Duration::from_millis(random.next() % 4_000)).await;
        let actor = ACTORS + u32::try_from(random.below(actors as usize)).unwrap_or(0);
        match random.below(8) {
            0 => vault.scheduler.kill(actor),
            1..=4 => {
                vault.scheduler.pause(actor, true);
                // Others go on meanwhile, and so does time.
                vault.clock.sleep(Duration::from_secs(random.next() % 2_000)).await;
                vault.scheduler.pause(actor, false);
            }
            _ => vault.clock.sleep(Duration::from_secs(random.next() % 1_200)).await,
        }
    }
    vault.place.set_trouble(0);
    writer.await.unwrap_or_else(|| Err(Violation::new("I20", "the writer is gone")))?;
    vault.clock.sleep(LONG).await;
    if let Some(violation) = vault.failure.lock().take() {
        return Err(violation);
    }
    let judged = vault.judge(random).await;
    judged.map_err(|failure| failure.unexpected("I13").context("at the end"))
}

impl Vault {
    fn threads(&self, process: u32) -> Threads {
        Threads { scheduler: Arc::clone(&self.scheduler), process }
    }

    fn process(&self, number: u32, access: Access, random: &mut Random) -> Process {
        let rand = Arc::new(SimRand::new(random.fork(4)));
        let store = Arc::new(self.data.clone());
        Process::new(self.threads(number), store, None, rand, &self.clock, access)
    }

    /// Commits now and then.
    async fn write(&self, mut random: Random) -> Result<(), Violation> {
        let process = self.process(WRITER, Access::Write, &mut random);
        let database = process.database(self.settings.options())?;
        let wrote = async {
            let config = self.settings.config(DOCS_DIM);
            database.create(DOCS, config, Schema::default()).await?;
            let docs = database.collection(DOCS).await?;
            let mut rows = Rows::new();
            for mark in 1..40u32 {
                let row = Row::new(mark, mark, None);
                let ids: Vec<_> =
                    (0..1 + random.below(5)).map(|_| id(0, random.below(30))).collect();
                let records = ids.iter().map(|id| row.record(id, DOCS_DIM)).collect();
                docs.upsert(records).await?;
                rows.extend(ids.into_iter().map(|id| (id, row)));
                // The version may be seen before it is told.
                let next = docs.version() + 1;
                self.versions.lock().insert(next, rows.clone());
                let version = docs.commit().await?;
                if version != next {
                    return Err(Violation::new("I6", format!("{version}, not {next}")).into());
                }
                self.clock.sleep(Duration::from_secs(random.next() % 300)).await;
            }
            Ok::<(), Failure>(())
        };
        let wrote: Result<(), Failure> = wrote.await;
        wrote.map_err(|failure| failure.unexpected("I20").context("the writer"))
    }

    /// Makes backups, deletes some, and begins anew.
    async fn act(&self, number: u32, excused: bool, mut random: Random) -> Result<(), Violation> {
        let access = if random.one_in(3) { Access::Read } else { Access::Write };
        let process = self.process(number, access, &mut random);
        let database = process.database(self.settings.options())?;
        let place = BackupPlace::new(Arc::new(self.place.clone()), &process.env);
        for _ in 0..8 + random.below(16) {
            let failure = match random.below(5) {
                0 | 1 => {
                    let keep = Keep { last: 1 + random.below(3), daily: 0, weekly: 0 };
                    place.prune(keep).await.err()
                }
                _ => {
                    let which = WhichCollections::All;
                    database.snapshot(&place, &which, Copying::default()).await.err()
                }
            };
            if let Some(error) = failure {
                use ErrorKind::{Busy, OutcomeUnknown, Unavailable, VersionGone};
                let is_told = matches!(error.kind(), Busy | VersionGone | Unavailable);
                let is_excused = excused && Excuse::Network.covers(&error);
                if !(is_told || is_excused || error.kind() == OutcomeUnknown) {
                    let message = format!("actor {number}: {:?}: {error}", error.kind());
                    return Err(Violation::new("I20", message));
                }
            }
            self.clock.sleep(Duration::from_millis(random.next() % 600_000)).await;
        }
        Ok(())
    }

    /// Each backup that claims to be whole restores to what its version held, now and after another prune. Gives how many
    /// there were.
    async fn judge(&self, random: &mut Random) -> Result<u64, Failure> {
        let process = self.process(JUDGE, Access::Read, random);
        let place = BackupPlace::new(Arc::new(self.place.clone()), &process.env);
        let mut restored = 0;
        for round in 0..2 {
            for info in backups::listed(&place).await? {
                let options = self.settings.options();
                let (copied, contents) =
                    backups::restored(&place, &process.env, options, info.id).await?;
                for one in &copied.collections {
                    let expected = self.versions.lock().get(&one.version).cloned();
                    if contents.get(&DOCS_DIM) != expected.as_ref() {
                        let message = format!("version {} holds something else", one.version);
                        return Err(Violation::new("I13", message).into());
                    }
                }
                restored += 1;
            }
            if round == 0 {
                match place.prune(Keep { last: 2, daily: 0, weekly: 0 }).await {
                    Ok(pruned) if pruned.kept <= 2 => {}
                    Ok(pruned) => {
                        let message = format!("{} are kept of 2", pruned.kept);
                        return Err(Violation::new("I11b", message).into());
                    }
                    // Somebody is still at it.
                    Err(error) if error.kind() == ErrorKind::Busy => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(restored)
    }
}
