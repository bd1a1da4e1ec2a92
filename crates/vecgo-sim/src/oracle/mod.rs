//! What the database must hold, from the driver's own log of what it asked and what it was told.
//! Never from what the database says of itself.

pub(crate) mod backups;
mod expected;
mod garbage;
mod history;
pub(crate) mod invariants;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;

use vecgo_engine::Config;

pub(crate) use backups::{Contents, MadeBackup};
pub use expected::{Expected, Version};
pub(crate) use garbage::no_garbage;
pub use history::History;
pub(crate) use history::Range;
pub(crate) use record::{
    BLOB, CONFIGS, SCHEMAS, Said, id, lane_of, metadata, payload, schema, vector,
};
pub use record::{Row, Rows};

/// Collections by name. One is told from another of the same name by its dimension, which no two
/// collections of a run share.
pub type Names = BTreeMap<String, usize>;

/// The driver's log, kept as the states that it allows.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Which collections there are, by the lane that made them.
    pub catalogue: Vec<History<Names>>,
    /// The lanes of each collection, by its dimension. A lane writes ids of its own, one change
    /// after the other.
    pub collections: BTreeMap<usize, Vec<History<Rows>>>,
    /// What is said of the collection that most operations work on.
    pub said: History<Said>,
    /// Versions that a commit has returned.
    pub versions: Vec<Version>,
    /// The version of each tag, by collection; none of a tag whose last change is in doubt.
    pub(crate) tags: Tags,
    /// Backups that were made.
    pub(crate) backups: Vec<MadeBackup>,
    /// How often somebody has asked for some to be deleted.
    pub(crate) prunes: u64,
}

/// Versions that have a tag, by collection and tag.
pub(crate) type Tags = BTreeMap<(usize, String), u64>;

/// A moment of a run: what may be found if everything stops there.
#[derive(Debug, Clone)]
pub struct Mark {
    catalogue: Vec<Range>,
    collections: BTreeMap<usize, Vec<Range>>,
    said: Range,
    versions: usize,
    tags: Tags,
    backups: Vec<MadeBackup>,
}

/// The history of a lane, which begins empty.
fn at<S: Default>(lanes: &mut Vec<History<S>>, lane: usize) -> &mut History<S> {
    if lanes.len() <= lane {
        lanes.resize_with(lane + 1, History::default);
    }
    &mut lanes[lane]
}

/// The lane that a collection's name belongs to: nobody else creates, renames or drops it.
fn lane_of_name(name: &str) -> usize {
    name.rsplit_once('-').and_then(|(_, lane)| lane.parse().ok()).unwrap_or(0)
}

impl Mark {
    /// The same moment, if nothing that was acknowledged may be lost.
    #[must_use]
    pub(crate) fn acknowledged(mut self) -> Self {
        self.ranges().for_each(|range| range.first = range.acknowledged);
        self
    }

    fn ranges(&mut self) -> impl Iterator<Item = &mut Range> {
        self.collections.values_mut().flatten().chain(&mut self.catalogue).chain([&mut self.said])
    }
}

impl Oracle {
    /// Of a database in which nothing is yet, and whose collection will be made so.
    pub fn new(config: Config) -> Self {
        let said = History::settled(vec![Arc::new(Said::when_created(config))]);
        Self { said, ..Self::default() }
    }

    /// A lane of a collection.
    pub fn lane(&mut self, dim: usize, lane: usize) -> &mut History<Rows> {
        at(self.collections.entry(dim).or_default(), lane)
    }

    /// The collections of a lane.
    pub fn names(&mut self, lane: usize) -> &mut History<Names> {
        at(&mut self.catalogue, lane)
    }

    /// This moment.
    pub fn mark(&self) -> Mark {
        let ranges = |lanes: &Vec<History<Rows>>| lanes.iter().map(History::range).collect();
        Mark {
            catalogue: self.catalogue.iter().map(History::range).collect(),
            collections: self.collections.iter().map(|(dim, l)| (*dim, ranges(l))).collect(),
            said: self.said.range(),
            versions: self.versions.len(),
            tags: self.tags.clone(),
            backups: self.backups.clone(),
        }
    }

    /// A tag is about to be changed: until that is answered nobody knows. Gives its version.
    pub(crate) fn tag_is_open(&mut self, dim: usize, tag: &str) -> Option<u64> {
        self.tags.remove(&(dim, tag.to_owned()))
    }

    /// A version has got a tag.
    pub(crate) fn tagged(&mut self, dim: usize, tag: &str, version: u64) {
        self.tags.insert((dim, tag.to_owned()), version);
    }

    /// What may be found after a crash at a moment.
    pub fn expected(&self, mark: &Mark) -> Expected {
        let mut collections = BTreeMap::new();
        for (dim, ranges) in &mark.collections {
            let lanes = self.collections.get(dim).into_iter().flatten();
            let possible = lanes.zip(ranges).map(|(lane, range)| lane.between(*range));
            collections.insert(*dim, possible.collect());
        }
        let names = self.catalogue.iter().zip(&mark.catalogue);
        Expected {
            catalogue: names.map(|(names, range)| names.between(*range)).collect(),
            collections,
            said: self.said.between(mark.said),
            versions: self.versions[..mark.versions].to_vec(),
            tags: mark.tags.clone(),
            backups: mark.backups.clone(),
        }
    }

    /// What may be found now by one who began to look at a moment: nothing older than what was
    /// durable then.
    pub fn expected_since(&self, mark: &Mark) -> Expected {
        let mut now = self.mark();
        for (dim, ranges) in &mut now.collections {
            let then = mark.collections.get(dim).into_iter().flatten().map(|range| range.first);
            // A lane that had not begun was empty.
            let then = then.chain(std::iter::repeat(0));
            ranges.iter_mut().zip(then).for_each(|(range, then)| range.first = then);
        }
        let then = mark.catalogue.iter().map(|range| range.first).chain(std::iter::repeat(0));
        now.catalogue.iter_mut().zip(then).for_each(|(range, then)| range.first = then);
        now.said.first = mark.said.first;
        self.expected(&now)
    }

    /// What may be found if the last change of each lane may be lost.
    pub fn but_the_last(&self) -> Expected {
        let mut mark = self.mark();
        mark.ranges().for_each(|range| range.first = range.first.saturating_sub(1));
        self.expected(&mark)
    }

    /// What may be found if what was acknowledged after the last version may be lost.
    pub fn since_commit(&self) -> Expected {
        let mut expected = self.expected(&self.mark());
        for version in &self.versions {
            let ever = self.ever();
            let lanes = ever.collections.get(&version.dim).into_iter().flatten();
            let since = lanes.zip(&version.lanes).map(|(lane, then)| {
                let is_then = |state: &&Arc<Rows>| then.first().is_some_and(|t| ***state == **t);
                let first = lane.iter().position(|state| is_then(&state)).unwrap_or(0);
                lane[first..].to_vec()
            });
            expected.collections.insert(version.dim, since.collect());
        }
        expected
    }

    /// Everything that was ever there or asked for.
    pub fn ever(&self) -> Expected {
        let mut mark = self.mark();
        mark.ranges().for_each(|range| range.first = 0);
        self.expected(&mark)
    }

    /// Goes on from what was found: that is what there is from now on.
    pub fn settle(&mut self, found: Expected) {
        self.catalogue = found.catalogue.into_iter().map(History::settled).collect();
        self.collections = found
            .collections
            .into_iter()
            .map(|(dim, lanes)| (dim, lanes.into_iter().map(History::settled).collect()))
            .collect();
        self.said = History::settled(found.said);
        self.versions = found.versions;
        self.tags = found.tags;
        self.backups = found.backups;
    }

    /// The state of every lane of a collection that a commit finds at least: what was acknowledged
    /// to lanes that write through the same writer, and what was durable of others.
    pub fn before_commit(&self, dim: usize, alone: Option<usize>) -> Vec<usize> {
        let lanes = self.collections.get(&dim).into_iter().flatten().enumerate();
        lanes
            .map(|(lane, history)| match alone.is_none_or(|own| own == lane) {
                true => history.acknowledged(),
                false => history.durable(),
            })
            .collect()
    }

    /// A commit has returned: what was there before it is durable.
    pub fn committed(&mut self, dim: usize, before: &[usize]) {
        let lanes = self.collections.get_mut(&dim).into_iter().flatten();
        for (lane, state) in lanes.zip(before) {
            lane.is_durable_through(*state);
        }
    }

    /// The states that a version may hold that a commit returned, which found `before`. A writer
    /// that nobody has told that it is fenced may know nothing of other lanes: if it has nothing
    /// to commit, it gives its last version.
    pub fn add_version(&mut self, dim: usize, number: u64, before: &[usize], alone: Option<usize>) {
        let mut lanes: Vec<Vec<Arc<Rows>>> = Vec::new();
        for (place, lane) in self.collections.get(&dim).into_iter().flatten().enumerate() {
            let own = alone.is_none_or(|own| own == place);
            lanes.push(lane.since(before.get(place).copied().filter(|_| own).unwrap_or(0)));
        }
        self.versions.push(Version { dim, number, lanes });
    }
}
