use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vecgo_engine::{Config, Id, Schema};

use super::{MadeBackup, Names, Rows, Said, Tags, lane_of, lane_of_name};
use crate::Violation;

/// Every state that may be found at some moment.
#[derive(Debug, Clone)]
pub struct Expected {
    pub(super) catalogue: Vec<Vec<Arc<Names>>>,
    pub(super) collections: BTreeMap<usize, Vec<Vec<Arc<Rows>>>>,
    pub(super) said: Vec<Arc<Said>>,
    pub(super) versions: Vec<Version>,
    pub(super) tags: Tags,
    pub(super) backups: Vec<MadeBackup>,
}

/// A version that a commit returned, with the states that each lane may have in it.
#[derive(Debug, Clone)]
pub struct Version {
    /// The collection.
    pub dim: usize,
    /// The version's number.
    pub number: u64,
    /// The possible states of each lane.
    pub lanes: Vec<Vec<Arc<Rows>>>,
}

impl Expected {
    /// Holds what was found against what may be there, and from then on that is what there is.
    ///
    /// # Errors
    /// I1 or I2.
    pub(crate) fn found_names(&mut self, found: &Names) -> Result<(), Violation> {
        let lanes = found.keys().map(|name| lane_of_name(name) + 1).max().unwrap_or(0);
        let begun = self.catalogue.len();
        self.catalogue.resize(lanes.max(begun), vec![Arc::default()]);
        for (lane, possible) in self.catalogue.iter_mut().enumerate() {
            let own = found.iter().filter(|(name, _)| lane_of_name(name) == lane);
            let own: Names = own.map(|(name, dim)| (name.clone(), *dim)).collect();
            let Some(is) = possible.iter().find(|names| ***names == own) else {
                let message = format!("the catalogue has {own:?}, expected {possible:?}");
                return Err(Violation::new("I1", message));
            };
            *possible = vec![Arc::clone(is)];
        }
        Ok(())
    }

    /// The same for the records of a collection.
    ///
    /// # Errors
    /// I1 or I2.
    pub(crate) fn found_rows(&mut self, dim: usize, found: &Rows) -> Result<(), Violation> {
        let lanes = self.collections.entry(dim).or_default();
        for (number, possible) in pick(found, lanes)?.into_iter().enumerate() {
            lanes[number] = vec![possible];
        }
        Ok(())
    }

    /// The same for the schema and configuration of the collection that most operations work on.
    ///
    /// # Errors
    /// I1.
    pub(crate) fn found_said(&mut self, schema: &Schema, config: Config) -> Result<(), Violation> {
        let Some(is) = self.said.iter().find(|said| said.is(schema, config)) else {
            let found = format!("the schema is {schema}, the configuration {config}");
            return Err(Violation::new("I1", format!("{found}, expected one of {:?}", self.said)));
        };
        self.said = vec![Arc::clone(is)];
        Ok(())
    }

    /// Whether a version has a tag for certain.
    pub(crate) fn is_tagged(&self, dim: usize, version: u64) -> bool {
        self.tags.iter().any(|((of, _), tagged)| (*of, *tagged) == (dim, version))
    }

    /// Versions of a collection that a commit returned.
    pub(crate) fn versions_of(&self, dim: usize) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(move |version| version.dim == dim)
    }

    /// A change that was acknowledged after all else was found.
    pub(crate) fn acknowledged(&mut self, dim: usize, lane: usize, rows: Rows) {
        let lanes = self.collections.entry(dim).or_default();
        if lanes.len() <= lane {
            lanes.resize_with(lane + 1, || vec![Arc::default()]);
        }
        lanes[lane] = vec![Arc::new(rows)];
    }
}

impl Version {
    /// Holds the records of this version against what it may hold.
    ///
    /// # Errors
    /// I4.
    pub(crate) fn check(&self, found: &Rows) -> Result<(), Violation> {
        let version = self.number;
        let wrong = |why: Violation| Violation::new("I4", format!("version {version}: {why}"));
        pick(found, &self.lanes).map_err(wrong).map(drop)
    }
}

/// The state of each lane that was found.
fn pick(found: &Rows, lanes: &[Vec<Arc<Rows>>]) -> Result<Vec<Arc<Rows>>, Violation> {
    let mut parts: Vec<Rows> = vec![Rows::new(); lanes.len()];
    for (id, row) in found {
        let lane = lane_of(id).and_then(|lane| parts.get_mut(lane));
        let lane = lane.ok_or_else(|| Violation::new("I2", format!("nobody wrote id {id}")))?;
        lane.insert(id.clone(), *row);
    }
    let picked = parts.iter().zip(lanes).enumerate().map(|(number, (part, possible))| {
        let is = possible.iter().find(|state| ***state == *part);
        is.cloned().ok_or_else(|| unexpected_rows(number, part, possible))
    });
    picked.collect()
}

fn unexpected_rows(lane: usize, found: &Rows, possible: &[Arc<Rows>]) -> Violation {
    let none = Rows::new();
    let last = possible.last().map_or(&none, |last| last);
    let ids: BTreeSet<&Id> = found.keys().chain(last.keys()).collect();
    let differ = ids.into_iter().filter(|id| found.get(id) != last.get(id));
    let differences: Vec<String> = differ
        .map(|id| format!("{id} is {:?}, not {:?}", found.get(id), last.get(id)))
        .take(MOST_TOLD)
        .collect();
    let (states, differences) = (possible.len(), differences.join("; "));
    let message = format!(
        "lane {lane} is in none of {states} possible states; against the last of them: {differences}"
    );
    Violation::new("I1", message)
}

/// Differences that are told, at most.
const MOST_TOLD: usize = 8;
