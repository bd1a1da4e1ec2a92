//! Restores: with the power lost at every step, on a disk that fails at every call, and of backups of which
//! every byte is changed in turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use vecgo_engine::{BackupPlace, Database, Error, ErrorKind, RestoreRequest};
use vecgo_io::{Access, DirectoryStore, Env, Store};

use crate::disk::{Fault, FaultKind, Image, Outcome, Rooted, SimDisk};
use crate::machine::{Machine, Process};
use crate::oracle::{Contents, backups, invariants};
use crate::random::Random;
use crate::violation::Failure;
use crate::workload::{Driver, End, Operation, Phase, Span};
use crate::{Settings, Tally, Violation};

/// The directory that is restored to, beside the one that backups are in.
const NEW: &str = "new";

/// Bytes of a copy that are changed, about.
const MOST_PLACES: usize = 150;

/// A backup on a disk, and what it holds.
#[derive(Debug)]
pub struct AtVault {
    settings: Settings,
    image: Image,
    /// What its collections hold.
    contents: Contents,
}

const fn span(first: usize, count: usize) -> Span {
    Span { first, count }
}

impl AtVault {
    /// A backup of a small database with every kind of file, some of it in a log, made in two steps.
    ///
    /// # Errors
    /// A promise that was not kept on the way.
    pub fn new(seed: u64) -> Result<Self, Violation> {
        use Operation::{Backup, Commit, Create, Delete, Flush, Upsert, WriteOther};
        let mut random = Random::new(seed ^ 0x000b_ac09);
        let settings = match seed {
            0 => Settings::default(),
            _ => Settings { memory: Settings::default().memory, ..Settings::random(&mut random) },
        };
        let mut driver = Driver::new(settings.clone(), random.fork(1), Arc::default());
        let first =
            [Upsert(span(0, 4)), Flush, Create, WriteOther, Upsert(span(2, 3)), Commit, Backup];
        let second =
            [Delete(span(1, 1)), Flush, Upsert(span(8, 2)), Delete(span(0, 1)), Commit, Backup];
        driver.phase(&Phase::of(&first, End::Close), Vec::new())?;
        let more: Vec<Operation> = match seed {
            0 => Vec::new(),
            _ => (0..random.below(8)).map(|_| Operation::random(&mut random)).collect(),
        };
        let second: Vec<Operation> = more.into_iter().chain(second).collect();
        driver.phase(&Phase::of(&second, End::Close), Vec::new())?;
        let image = driver.disk().image();
        let made = Self { settings, image, contents: Contents::new() };
        let (_, contents) = made.attempt(made.image.clone(), (7, Vec::new()))?;
        let contents = contents.map_err(|failure| failure.unexpected("I13"))?;
        Ok(Self { contents, ..made })
    }

    /// Restores the newest backup to a directory that is not there, or is what an earlier try left; gives the machine as
    /// it is then, and what was restored.
    fn attempt(
        &self,
        image: Image,
        (random, faults): (u64, Vec<Fault>),
    ) -> Result<(Machine, Result<Contents, Failure>), Violation> {
        let mut machine = Machine::boot(image, Random::new(random), Arc::default());
        let process = machine.start(Access::Write, false);
        machine.disk.plan(faults);
        let contents = self.restore(&machine, &process)?;
        drop(process);
        Ok((machine, contents))
    }

    fn restore(
        &self,
        machine: &Machine,
        process: &Process,
    ) -> Result<Result<Contents, Failure>, Violation> {
        let Some(vault) = machine.vault(process, Access::Read) else {
            return Err(Violation::new("I20", "no vault"));
        };
        let place = BackupPlace::new(vault, &process.env);
        let env = match new_place(&machine.disk, &process.env, Access::Write) {
            Ok(env) => env,
            Err(error) => return Ok(Err(Failure::Engine(error))),
        };
        let database = Database::new(env, Access::Write, self.settings.options());
        let database = database.map_err(|error| Violation::new("I20", error.to_string()))?;
        process.run(async {
            database.restore(&place, RestoreRequest::default()).await?;
            backups::contents(&database).await
        })
    }

    /// The power is lost before every change of a restore, in every outcome: what is there then is nothing or everything,
    /// and another try ends well and leaves nothing behind of the first.
    ///
    /// # Errors
    /// A promise that was not kept.
    pub fn crashes(&self) -> Result<Tally, Violation> {
        let mut machine = Machine::boot(self.image.clone(), Random::new(7), Arc::default());
        let process = machine.start(Access::Write, false);
        let images = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&images);
        machine.disk.watch(Some(Box::new(move |image| seen.lock().push(image.clone()))));
        let restored = self.restore(&machine, &process)?;
        machine.disk.watch(None);
        self.is_all(restored.map_err(|failure| failure.unexpected("I13"))?)?;
        drop(process);
        let images = std::mem::take(&mut *images.lock());
        let (mut tally, mut random) = (Tally { runs: 1, ..Tally::default() }, Random::new(8));
        for (step, image) in images.iter().enumerate() {
            for outcome in [Outcome::Strict, Outcome::Lucky, Outcome::Random] {
                let crashed = image.crash(outcome, &mut random);
                self.after(crashed).map_err(|violation| {
                    violation.context(format!("power lost at step {step}, {outcome:?}"))
                })?;
                tally.crashes += 1;
            }
        }
        Ok(tally)
    }

    /// Nothing or everything is there; if nothing, another try brings everything.
    fn after(&self, image: Image) -> Result<(), Violation> {
        let mut machine = Machine::boot(image, Random::new(9), Arc::default());
        let process = machine.start(Access::Write, false);
        let there = match new_place(&machine.disk, &process.env, Access::Read) {
            Err(_) => Contents::new(),
            Ok(env) => {
                let database = Database::new(env, Access::Read, self.settings.options());
                let database = database.map_err(|e| Violation::new("I20", e.to_string()))?;
                let there = process.run(backups::contents(&database))?;
                there.map_err(|failure| failure.unexpected("I13"))?
            }
        };
        drop(process);
        if !there.is_empty() {
            return self.is_all(there);
        }
        let (machine, restored) = self.attempt(machine.disk.image(), (10, Vec::new()))?;
        self.is_all(restored.map_err(|failure| failure.unexpected("I13"))?)?;
        self.nothing_else(machine)
    }

    fn is_all(&self, found: Contents) -> Result<(), Violation> {
        match found == self.contents {
            true => Ok(()),
            false => {
                Err(Violation::new("I13", format!("restored {found:?}, not {:?}", self.contents)))
            }
        }
    }

    /// Nothing is left of tries that came to nothing.
    fn nothing_else(&self, mut machine: Machine) -> Result<(), Violation> {
        let process = machine.start(Access::Write, false);
        let env = new_place(&machine.disk, &process.env, Access::Write);
        let env = env.map_err(|error| Violation::new("I20", error.to_string()))?;
        let database = Database::new(env.clone(), Access::Write, self.settings.options());
        let database = database.map_err(|error| Violation::new("I20", error.to_string()))?;
        let looked = process.run(async {
            let names = invariants::names(&database).await?;
            // The try that ended well has deleted it, and leaves nothing to the next writer.
            invariants::no_leftovers(&*env.store, &names).await?;
            for name in names.keys() {
                database.collection(name).await?.close().await?;
            }
            invariants::no_leftovers(&*env.store, &names).await?;
            invariants::undamaged(&database).await
        })?;
        looked.map_err(|failure| failure.unexpected("I11b"))
    }

    /// The n-th call fails, once and for good, in every way, for every n until a restore is clean. An error that struck once
    /// leaves nothing behind, and another try ends well whatever happened.
    ///
    /// # Errors
    /// A promise that was not kept, with the fault.
    pub fn errors(&self) -> Result<Tally, Violation> {
        let mut tally = Tally::default();
        for kind in FaultKind::ALL {
            for lasting in [false, true] {
                for call in 0.. {
                    let fault = Fault { call, kind, lasting };
                    let struck = self.error(fault);
                    let struck = struck.map_err(|v| v.context(format!("{fault:?}")))?;
                    tally.add(Tally { runs: 1, faults: struck, ..Tally::default() });
                    if struck == 0 {
                        break;
                    }
                }
            }
        }
        Ok(tally)
    }

    fn error(&self, fault: Fault) -> Result<u64, Violation> {
        let (machine, restored) = self.attempt(self.image.clone(), (7, vec![fault]))?;
        let struck = machine.disk.struck();
        machine.disk.plan(Vec::new());
        match restored {
            Ok(contents) => self.is_all(contents)?,
            Err(Failure::Wrong(violation)) => return Err(violation),
            Err(Failure::Engine(error)) if struck == 0 || error.kind() == ErrorKind::Internal => {
                return Err(Violation::new("I20", format!("{:?}: {error}", error.kind())));
            }
            Err(Failure::Engine(_)) => {}
        }
        self.after(machine.disk.image())?;
        Ok(struck)
    }

    /// Files of the newest backup, its inventory first.
    pub fn files(&self) -> Vec<String> {
        let files = self.image.files();
        let of = |part: &str| {
            let part = part.to_owned();
            files.keys().filter(move |path| path.starts_with(&part)).cloned()
        };
        // The newest comes first in a listing.
        of("vault/backup/inventory/").take(1).chain(of("vault/backup/data/")).collect()
    }

    /// Changes bytes of a file, cuts it short at some, lengthens it, and takes it away: a restore
    /// names it and leaves nothing behind, unless the backup does not need it.
    ///
    /// # Errors
    /// A promise that was not kept, with the damage.
    pub fn damage(&self, path: &str) -> Result<Tally, Violation> {
        let files = self.image.files();
        let Some(bytes) = files.get(path) else { return Ok(Tally::default()) };
        let step = (bytes.len() / MOST_PLACES).max(1);
        let mut tally = Tally::default();
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let found = self.damaged(path, Some(changed));
            tally.faults += found.map_err(|v| v.context(format!("{path}, byte {at}")))?;
            tally.runs += 1;
            let found = self.damaged(path, Some(bytes[..at].to_vec()));
            tally.faults += found.map_err(|v| v.context(format!("{path}, cut at {at}")))?;
            tally.runs += 1;
        }
        let longer = [bytes.as_slice(), b"more"].concat();
        for changed in [Some(longer), None] {
            let found = self.damaged(path, changed);
            tally.faults += found.map_err(|v| v.context(path.to_owned()))?;
            tally.runs += 1;
        }
        Ok(tally)
    }

    fn damaged(&self, path: &str, bytes: Option<Vec<u8>>) -> Result<u64, Violation> {
        let mut image = self.image.clone();
        let failed = |_| Violation::new("I20", "the image takes no file");
        let is_gone = bytes.is_none();
        match bytes {
            Some(bytes) => image.write_file(path, bytes).map_err(failed)?,
            None => image.remove_file(path).map_err(failed)?,
        }
        let (machine, restored) = self.attempt(image, (7, Vec::new()))?;
        let name = path.strip_prefix("vault/").unwrap_or(path);
        match restored {
            // An older backup, or a copy that only another needs.
            Ok(contents) if is_gone && name.contains("/inventory/") => {
                return match contents.is_empty() {
                    true => Err(Violation::new("I13", "it restored to nothing")),
                    false => Ok(0),
                };
            }
            Ok(contents) => {
                self.is_all(contents)?;
                return Ok(0);
            }
            Err(Failure::Engine(error))
                if matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported)
                    && error.to_string().contains(name) => {}
            Err(failure) => return Err(failure.unexpected("I14")),
        }
        let left: BTreeSet<String> =
            machine.disk.image().files().into_keys().filter(|path| path.starts_with(NEW)).collect();
        match left.is_empty() {
            true => Ok(1),
            false => Err(Violation::new("I11b", format!("left behind: {left:?}"))),
        }
    }
}

/// The directory that is restored to, as the machine of a database.
fn new_place(disk: &SimDisk, env: &Env, access: Access) -> Result<Env, Error> {
    let rooted = match access {
        Access::Read => Rooted::open(disk, NEW),
        Access::Write => match Rooted::create(disk, NEW) {
            Ok(rooted) => rooted,
            Err(error) => return Err(Error::new(ErrorKind::Unavailable, error.to_string())),
        },
    };
    let store = DirectoryStore::new(Arc::new(rooted), Arc::clone(&env.rand), access);
    let store = Arc::new(store);
    Ok(Env { store: Arc::clone(&store) as Arc<dyn Store>, logs: Some(store), ..env.clone() })
}
