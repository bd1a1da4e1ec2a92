//! What a disk does to files at rest: every byte changed, every length, files gone or swapped.

use std::collections::BTreeMap;
use std::sync::Arc;

use vecgo_engine::{Database, ErrorKind, Metric};
use vecgo_io::Access;

use crate::disk::Image;
use crate::machine::{Machine, Trace};
use crate::oracle::{Expected, invariants};
use crate::random::Random;
use crate::violation::Failure;
use crate::workload::{Driver, End, Operation, Part, Phase, Span};
use crate::{Settings, Tally, Violation};

/// A database at rest and what it holds.
#[derive(Debug)]
pub struct AtRest {
    settings: Settings,
    image: Image,
    rest: Rest,
    expected: Expected,
    /// The same, if the last batch may be lost.
    last_two: Expected,
    /// The same, if what was acknowledged after the last commit may be lost.
    committed: Expected,
    files: BTreeMap<String, Vec<u8>>,
}

/// What the database did last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It was closed: a version names the end of the log.
    Closed,
    /// Its process was killed a few seconds after its last write: the log is sealed, but no
    /// version names its end, so that one that is cut short looks as if it never was longer.
    Idle,
    /// Its process was killed right after a write. That batch is the one declared exception: a
    /// changed byte in it looks like a write that a crash cut short.
    Busy,
}

impl Rest {
    /// Every way.
    pub const ALL: [Rest; 3] = [Rest::Closed, Rest::Idle, Rest::Busy];
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A byte is changed by an exclusive or.
    Flip(usize, u8),
    /// It ends early.
    Truncate(usize),
    /// So many bytes of one value follow it.
    Extend(usize, u8),
    /// It follows itself.
    Double,
    /// It is gone.
    Remove,
    /// It holds what the file before it in its directory does.
    Swap,
}

/// What is done with damaged files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Read,
    Write,
    /// Segments are merged, which must not vouch for what is wrong.
    Merge,
}

/// Places of a large file that are damaged, about.
const MOST_PLACES: usize = 400;

const fn span(first: usize, count: usize) -> Span {
    Span { first, count }
}

impl AtRest {
    /// A small database with every kind of file, at rest in one of three ways.
    ///
    /// # Errors
    /// A promise that was not kept on the way.
    pub fn new(rest: Rest) -> Result<Self, Violation> {
        use Operation::{Commit, Create, Delete, Flush, Idle, Update, Upsert};
        let settings =
            Settings { metric: Metric::Cosine, kept_versions: u64::MAX, ..Settings::default() };
        let mut driver = Driver::new(settings.clone(), Random::new(1), Arc::default());
        let first = [Upsert(span(0, 4)), Flush, Create, Upsert(span(2, 3)), Delete(span(1, 1))];
        driver.phase(&Phase::of(&first, End::Close), Vec::new())?;
        let second = [
            Flush,
            Upsert(span(8, 2)),
            Update(span(3, 1), Part::Payload),
            Commit,
            Upsert(span(5, 1)),
            // What follows is in a log that no version names.
            Flush,
            Upsert(span(9, 2)),
            Delete(span(0, 1)),
            if rest == Rest::Idle { Idle } else { Operation::Read },
        ];
        let end = if rest == Rest::Closed { End::Close } else { End::Kill };
        driver.phase(&Phase::of(&second, end), Vec::new())?;
        Ok(Self::of(&driver, &settings, rest))
    }

    /// A database whose segments have sections of more than one block.
    ///
    /// # Errors
    /// A promise that was not kept on the way.
    pub fn with_blobs() -> Result<Self, Violation> {
        use Operation::{Blob, Flush, Upsert};
        let settings =
            Settings { metric: Metric::Dot, kept_versions: u64::MAX, ..Settings::default() };
        let mut driver = Driver::new(settings.clone(), Random::new(1), Arc::default());
        // Three full memtables and a part of one.
        let blobs = (0..14).map(Blob).chain([Upsert(span(3, 2)), Flush]).collect();
        let phase = Phase { lanes: vec![blobs], end: End::Close };
        driver.phase(&phase, Vec::new())?;
        Ok(Self::of(&driver, &settings, Rest::Closed))
    }

    /// The database of a driver whose last phase has ended.
    pub(super) fn of(driver: &Driver, settings: &Settings, rest: Rest) -> Self {
        let image = driver.disk().image();
        let (expected, committed) = (driver.at_least().clone(), driver.since_commit());
        let last_two = driver.but_the_last();
        let (settings, files) = (settings.clone(), image.files());
        Self { rest, settings, files, image, expected, last_two, committed }
    }

    /// Damages something somewhere.
    ///
    /// # Errors
    /// As [`AtRest::damage`].
    pub(super) fn damage_any(&self, random: &mut Random) -> Result<Tally, Violation> {
        let paths: Vec<&String> = self.files.keys().collect();
        let path = *random.pick(&paths);
        let damages = self.damages(path, true);
        let damage = *random.pick(&damages);
        self.damage(path, damage).map_err(|v| v.context(format!("{path}, {damage:?}")))
    }

    /// Its files, with their lengths.
    pub fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.len()))
    }

    /// Every damage of a file that is tried. `bits`: each bit of each byte, or one change a byte,
    /// and in a large file of some bytes only.
    pub fn damages(&self, path: &str, bits: bool) -> Vec<Damage> {
        let length = self.files.get(path).map_or(0, Vec::len);
        let step = if bits { 1 } else { (length / MOST_PLACES).max(1) };
        let flips = (0..length).step_by(step).flat_map(|at| {
            let masks = if bits { (0..8).map(|bit| 1 << bit).collect() } else { vec![mask(at)] };
            masks.into_iter().map(move |mask| Damage::Flip(at, mask))
        });
        let rest =
            [1, 8, 700].into_iter().flat_map(|more| [0, 0xa5].map(|b| Damage::Extend(more, b)));
        flips
            .chain((0..length).step_by(step).map(Damage::Truncate))
            .chain(rest)
            .chain([Damage::Double, Damage::Swap])
            .chain((!self.is_newest(path)).then_some(Damage::Remove))
            .collect()
    }

    /// The last object of a chain: without it the database is as it was before, and nothing tells.
    fn is_newest(&self, path: &str) -> bool {
        let directory = directory_of(path);
        let chain = directory.ends_with("manifest") || directory.ends_with("catalogue");
        let first = self.files.keys().find(|other| directory_of(other) == directory);
        chain && first.is_some_and(|first| first == path)
    }

    /// Damages a file and looks at everything. I14: each error names the file, and each answer is
    /// right; `verify` names the file, unless nothing is different.
    ///
    /// # Errors
    /// A wrong answer, or damage that nobody noticed.
    pub fn damage(&self, path: &str, damage: Damage) -> Result<Tally, Violation> {
        let Some(image) = self.damaged(path, damage) else { return Ok(Tally::default()) };
        let expected = match (self.rest, damage) {
            (Rest::Busy, Damage::Flip(..)) => &self.last_two,
            (Rest::Busy, _) | (Rest::Idle, Damage::Truncate(_) | Damage::Remove) => &self.committed,
            _ => &self.expected,
        };
        let look = |visit| self.look(&image, (path, damage), visit, expected.clone());
        let (seen, written) = (look(Visit::Read)?, look(Visit::Write)?);
        let is_merged = ["/segment/", "/deletes/"].iter().any(|part| path.contains(part));
        let merged = !is_merged || look(Visit::Merge)?;
        let found = self.verify(&image, path)?;
        if !(found || seen && written && merged) {
            return Err(Violation::new("I14", "an error, though `verify` finds nothing"));
        }
        Ok(Tally { runs: 1, faults: u64::from(found), ..Tally::default() })
    }

    fn damaged(&self, path: &str, damage: Damage) -> Option<Image> {
        let mut image = self.image.clone();
        let mut bytes = self.files.get(path)?.clone();
        match damage {
            Damage::Flip(at, mask) => *bytes.get_mut(at)? ^= mask,
            Damage::Truncate(length) => bytes.truncate(length),
            Damage::Extend(more, byte) => bytes.resize(bytes.len() + more, byte),
            Damage::Double => bytes.extend_from_within(..),
            Damage::Remove => {
                image.remove_file(path).ok()?;
                return Some(image);
            }
            Damage::Swap => {
                let before = self.files.range(..path.to_owned()).next_back();
                let (_, other) = before.filter(|(p, _)| directory_of(p) == directory_of(path))?;
                bytes.clone_from(other);
            }
        }
        if bytes == *self.files.get(path)? {
            return None;
        }
        image.write_file(path, bytes).ok()?;
        Some(image)
    }

    /// Reads everything; false if there was an error that names the file.
    fn look(
        &self,
        image: &Image,
        (path, damage): (&str, Damage),
        visit: Visit,
        mut expected: Expected,
    ) -> Result<bool, Violation> {
        let mut machine = Machine::boot(image.clone(), Random::new(2), Arc::new(Trace::unread()));
        let access = if visit == Visit::Read { Access::Read } else { Access::Write };
        let process = machine.start(access, false);
        let database = process.database(self.settings.options())?;
        let looked = process.run(async {
            let names = invariants::names(&database).await?;
            expected.found_names(&names)?;
            let mut damaged = Ok(());
            for name in names.keys() {
                // The others stay usable.
                match look_at(&database, name, visit, &mut expected, &self.settings).await {
                    Err(Failure::Engine(error)) if damaged.is_ok() => {
                        damaged = Err(Failure::Engine(error));
                    }
                    looked => looked?,
                }
            }
            damaged
        })?;
        match looked {
            Ok(()) => Ok(true),
            Err(Failure::Engine(error)) if names_damage(&error, path) => Ok(false),
            Err(Failure::Engine(error))
                if damage == Damage::Remove && error.kind() == ErrorKind::VersionGone =>
            {
                Ok(false)
            }
            Err(failure) => Err(failure.unexpected("I14").context(format!("visit to {visit:?}"))),
        }
    }

    /// Whether `verify` says that the file is damaged.
    fn verify(&self, image: &Image, path: &str) -> Result<bool, Violation> {
        let mut machine = Machine::boot(image.clone(), Random::new(2), Arc::new(Trace::unread()));
        let process = machine.start(Access::Read, false);
        let database = process.database(self.settings.options())?;
        let report = process.run(database.verify())?;
        let report = report.map_err(|error| Violation::new("I14", format!("verify: {error}")))?;
        Ok(report.damage.iter().any(|damage| damage.key == path))
    }
}

async fn look_at(
    database: &Database,
    name: &str,
    visit: Visit,
    expected: &mut Expected,
    settings: &Settings,
) -> Result<(), Failure> {
    let collection = database.collection(name).await?;
    if visit == Visit::Merge {
        // Before anything else is read, or that would find the damage.
        collection.compact().await?;
    }
    let rows = match visit {
        Visit::Read => invariants::rows(&collection).await?,
        Visit::Write | Visit::Merge => invariants::durable(&collection, expected).await?,
    };
    invariants::newest_version(&collection, expected)?;
    invariants::versions(&collection, expected, settings).await?;
    invariants::answers(&collection, &rows, &mut Random::new(3)).await
}

fn names_damage(error: &vecgo_engine::Error, path: &str) -> bool {
    let kinds = [ErrorKind::Corruption, ErrorKind::Unsupported];
    kinds.contains(&error.kind()) && error.to_string().contains(path)
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Another bit in every byte.
fn mask(at: usize) -> u8 {
    1 << (at % 8)
}
