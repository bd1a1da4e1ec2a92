use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vecgo_format::{LogHeader, LogRange, Manifest, ObjectName};
use vecgo_io::{Env, Listed, SpawnExt, Store};

use super::pins::{PinStats, pinned};
use super::retention::{Past, freed, objects};
use crate::collection::Shared;
use crate::manifest::{self, Kept};
use crate::segment::Stop;
use crate::{Error, ErrorKind, Result};

/// Objects read or deleted at the same time where each takes a round trip.
const AT_A_TIME: usize = 16;

/// A vacuum in the making: everything it needs, so that it shares nothing with the writer.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) shared: Arc<Shared>,
    /// The newest version.
    pub(crate) newest: Manifest,
    /// What was kept by a version that was committed long enough ago: what is gone by that one and
    /// by the newest is deleted.
    pub(crate) kept: Kept,
    pub(crate) epoch: u64,
    /// The logs of each version that is kept, if they are known. If not, this is a survey: it reads
    /// all versions, looks for what was left behind and finds out what each would free.
    pub(crate) known_logs: Option<BTreeMap<u64, LogRange>>,
    /// Versions that are gone with all that only they named, though their manifests have to stay.
    pub(crate) left: BTreeSet<u64>,
    pub(crate) stop: Stop,
}

/// What a vacuum did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Vacuumed {
    /// Versions that are gone.
    pub versions: u64,
    /// Objects deleted, their manifests included.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What a sweep came to.
#[derive(Debug)]
pub(crate) struct Swept {
    pub(crate) vacuumed: Vacuumed,
    pub(crate) pins: BTreeMap<u64, PinStats>,
    /// The versions before the newest, oldest first, if they were surveyed.
    pub(crate) past: Option<Vec<Past>>,
    /// The versions that are gone.
    pub(crate) gone: BTreeSet<u64>,
    /// Those of them whose manifests have to stay.
    pub(crate) left: BTreeSet<u64>,
    /// The logs of those that are kept and were read.
    pub(crate) kept_logs: BTreeMap<u64, LogRange>,
    /// Lengths of the logs there were.
    pub(crate) log_bytes: BTreeMap<u64, u64>,
}

/// Objects to delete, by key, with their lengths.
type Doomed = BTreeMap<String, u64>;

impl Sweep {
    /// Deletes what only versions name that are gone, and then their manifests: until then these
    /// say what there is to delete, so that another goes on where this one was interrupted.
    pub(crate) async fn run(self) -> Result<Swept> {
        let (store, names) = (&*self.shared.env.store, self.shared.names);
        let survey = self.known_logs.is_none();
        // Manifests before pins: whoever pins a version looks after that whether it is kept.
        let mut manifests = manifest::listed(store, names).await?;
        manifests.retain(|number, _| !self.left.contains(number));
        let mut row = self.kept.oldest..self.newest.number;
        if let Some(missing) = row.find(|number| !manifests.contains_key(number)) {
            let key = names.manifest(missing);
            let message = format!("nothing is deleted: {key}: gone, though it is kept");
            return Err(Error::new(ErrorKind::Corruption, message));
        }
        let pins = pinned(&self.shared.env, names, true).await?;
        let now = Kept::by(&self.newest);
        let is_kept =
            |number: &u64| self.kept.has(*number) || now.has(*number) || pins.contains_key(number);
        let (kept, gone): (BTreeSet<u64>, BTreeSet<u64>) =
            manifests.keys().partition(|number| is_kept(number));
        let mut read = BTreeMap::new();
        self.read(&gone, &mut read).await?;
        let neighbours = if survey { kept } else { around(&gone, &kept, &self.kept) };
        self.read(&neighbours, &mut read).await?;
        let kept_logs = read.iter().filter(|(number, _)| !gone.contains(number));
        let kept_logs: BTreeMap<u64, LogRange> =
            kept_logs.map(|(number, version)| (*number, version.log)).collect();
        let logs = self.logs().await?;
        let mut doomed = self.named_by_gone(&read, &gone);
        if survey {
            doomed = self.left_behind(&read, doomed).await?;
        }
        doomed.extend(self.doomed_logs(&kept_logs, &gone, &logs));
        self.delete(doomed.keys()).await?;
        let stays = |number: &u64| read.get(number).is_some_and(|m| self.is_stumbling_block(m));
        let left: BTreeSet<u64> = gone.iter().copied().filter(stays).collect();
        let gone_keys =
            manifests.into_iter().filter(|(number, _)| gone.contains(number) && !stays(number));
        let gone_keys: Doomed = gone_keys.map(|(_, listed)| (listed.key, listed.length)).collect();
        self.delete(gone_keys.keys()).await?;
        let all = doomed.values().chain(gone_keys.values());
        Ok(Swept {
            vacuumed: Vacuumed {
                versions: gone_keys.len() as u64,
                objects: (doomed.len() + gone_keys.len()) as u64,
                bytes: all.fold(0, |sum, bytes| sum.saturating_add(*bytes)),
            },
            pins,
            past: survey.then(|| past(&read, self.newest.oldest, &logs)),
            gone,
            left,
            kept_logs,
            log_bytes: logs.into_iter().map(|(number, listed)| (number, listed.length)).collect(),
        })
    }

    /// Segments and delete objects that only versions name that are gone.
    fn named_by_gone(&self, read: &BTreeMap<u64, Manifest>, gone: &BTreeSet<u64>) -> Doomed {
        let is_gone = |number: &u64| gone.contains(number);
        let kept: BTreeSet<ObjectName> = read
            .iter()
            .filter(|(number, _)| !is_gone(number))
            .flat_map(|(_, manifest)| objects(manifest).map(|(_, object)| object.name))
            .collect();
        let named = read.iter().filter(|(number, _)| is_gone(number));
        let named = named.flat_map(|(_, manifest)| objects(manifest));
        let named = named.filter(|(_, object)| !kept.contains(&object.name));
        named
            .map(|(kind, object)| (kind.key(self.shared.names, object.name), object.length))
            .collect()
    }

    /// Logs that no version needs which is kept: those of versions that are gone, and those that were
    /// begun and flushed between two versions.
    fn doomed_logs(
        &self,
        kept_logs: &BTreeMap<u64, LogRange>,
        gone: &BTreeSet<u64>,
        logs: &BTreeMap<u64, Listed>,
    ) -> Doomed {
        let known = self.known_logs.iter().flatten().filter(|(number, _)| !gone.contains(number));
        let needed: Vec<&LogRange> = known.chain(kept_logs).map(|(_, range)| range).collect();
        let is_needed =
            |number: u64| needed.iter().any(|range| (range.first..=range.last).contains(&number));
        let fences_stay = !self.shared.env.store.has_locks();
        logs.range(..self.newest.log.first)
            .filter(|(number, _)| !is_needed(**number))
            .filter(|(_, listed)| !fences_stay || listed.length > LogHeader::BYTES as u64)
            .map(|(_, listed)| (listed.key.clone(), listed.length))
            .collect()
    }

    /// Segments and delete objects that are there: those that only versions name that are gone, most of which may be
    /// deleted already, and those that no version names, left behind by writers before this one.
    async fn left_behind(&self, read: &BTreeMap<u64, Manifest>, by_gone: Doomed) -> Result<Doomed> {
        let names = self.shared.names;
        let named: BTreeSet<String> = read
            .values()
            .flat_map(|manifest| {
                objects(manifest).map(|(kind, object)| kind.key(self.shared.names, object.name))
            })
            .collect();
        let store = &self.shared.env.store;
        let mut listed = store.list(&names.segments()).await?;
        listed.extend(store.list(&names.all_deletes()).await?);
        let is_past = |listed: &Listed| {
            let ours = |name| [names.segment(name), names.deletes(name)].contains(&listed.key);
            ObjectName::of(&listed.key).is_ok_and(|name| name.epoch < self.epoch && ours(name))
        };
        let is_orphan = |listed: &Listed| is_past(listed) && !named.contains(&listed.key);
        let doomed = listed.into_iter().filter(|l| by_gone.contains_key(&l.key) || is_orphan(l));
        Ok(doomed.map(|listed| (listed.key, listed.length)).collect())
    }

    /// Whether a manifest has to stay for a writer to run into that was away while another took
    /// over: its name is the next one that it would take.
    fn is_stumbling_block(&self, manifest: &Manifest) -> bool {
        !self.shared.env.store.has_locks() && manifest.number == manifest.epoch_began
    }

    async fn logs(&self) -> Result<BTreeMap<u64, Listed>> {
        let names = self.shared.names;
        let listed = self.shared.env.store.list(&names.logs()).await?.into_iter();
        let ours = listed.filter_map(|listed| {
            let number = names.log_number(&listed.key).ok()?;
            (names.log(number) == listed.key).then_some((number, listed))
        });
        Ok(ours.collect())
    }

    /// Reads manifests. One that cannot be read ends the sweep: nobody knows what it names.
    async fn read(
        &self,
        numbers: &BTreeSet<u64>,
        read: &mut BTreeMap<u64, Manifest>,
    ) -> Result<()> {
        let newest = self.newest.number;
        read.extend(numbers.contains(&newest).then(|| (newest, self.newest.clone())));
        let numbers: Vec<u64> = numbers.iter().copied().filter(|n| *n != newest).collect();
        let names = self.shared.names;
        let found = for_each(
            &self.shared.env,
            &numbers,
            || self.stop.check(),
            |store, number| async move { manifest::read(&*store, names, &names.manifest(number)).await },
        );
        let found = found.await.map_err(|error| error.context("nothing is deleted"))?;
        read.extend(numbers.into_iter().zip(found.into_iter().map(|found| found.manifest)));
        Ok(())
    }

    async fn delete(&self, keys: impl Iterator<Item = &String>) -> Result<()> {
        delete_all(&self.shared.env, keys.cloned().collect(), || self.stop.check()).await
    }
}

/// Deletes objects, in no order.
pub(crate) async fn delete_all(
    env: &Env,
    keys: Vec<String>,
    go_on: impl Fn() -> Result<()>,
) -> Result<()> {
    let delete = |store: Arc<dyn Store>, key: String| async move { Ok(store.delete(&key).await?) };
    for_each(env, &keys, go_on, delete).await.map(drop)
}

/// Asks the store the same of some objects, and gives what comes back in their order. From afar each request takes a
/// round trip, and some are under way at the same time; a directory is as busy with one.
async fn for_each<K: Clone, T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
    env: &Env,
    of: &[K],
    go_on: impl Fn() -> Result<()>,
    ask: impl Fn(Arc<dyn Store>, K) -> F,
) -> Result<Vec<T>> {
    let mut found = Vec::with_capacity(of.len());
    let at_a_time = if env.logs.is_none() { AT_A_TIME } else { 1 };
    for some in of.chunks(at_a_time) {
        go_on()?;
        let asked = some.iter().map(|of| ask(Arc::clone(&env.store), of.clone()));
        if some.len() == 1 {
            for asked in asked {
                found.push(asked.await?);
            }
            continue;
        }
        for asked in asked.map(|asked| env.spawn.start(asked)).collect::<Vec<_>>() {
            found.push(asked.await.ok_or_else(Error::panicked)??);
        }
    }
    Ok(found)
}

/// The versions that are kept from the one before the first that is gone up to the oldest of the
/// row.
///
/// An object is named by an unbroken row of versions, so one that a version names which is gone is
/// named by one of these, or by none that is kept.
fn around(gone: &BTreeSet<u64>, kept: &BTreeSet<u64>, row: &Kept) -> BTreeSet<u64> {
    let Some(first) = gone.first() else { return BTreeSet::new() };
    let before = kept.range(..first).next_back().unwrap_or(first);
    kept.range(before..=&row.oldest).copied().collect()
}

/// What each version of the row would free, oldest first.
fn past(read: &BTreeMap<u64, Manifest>, oldest: u64, logs: &BTreeMap<u64, Listed>) -> Vec<Past> {
    let row: Vec<&Manifest> = read.range(oldest..).map(|(_, manifest)| manifest).collect();
    let log_bytes = |number: u64| logs.get(&number).map_or(0, |listed| listed.length);
    let pairs = row.iter().zip(row.iter().skip(1));
    pairs
        .map(|(older, newer)| Past {
            number: older.number,
            until_ms: newer.created_ms,
            freed: freed(older, newer, log_bytes),
        })
        .collect()
}
