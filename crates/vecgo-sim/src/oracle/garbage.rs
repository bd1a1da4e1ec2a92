use std::collections::{BTreeMap, BTreeSet};

use vecgo_format::{CollectionNames, Identity, LogHeader, Manifest, ObjectName, Pin, number_of};
use vecgo_io::{Listed, Store};

use crate::Violation;
use crate::violation::Failure;

fn leak(message: String) -> Failure {
    Failure::Wrong(Violation::new("I11b", message))
}

/// I11b: after a vacuum the store holds what the versions need that are kept, and nothing else.
/// Takes each version at its word and never asks the engine.
pub(crate) async fn no_garbage(store: &dyn Store, kept: u64) -> Result<(), Failure> {
    let failed = |error| leak(format!("the store cannot be read: {error}"));
    let listed = store.list("collections/").await.map_err(failed)?;
    let mut folders: BTreeMap<CollectionKey, Vec<Listed>> = BTreeMap::new();
    for listed in listed {
        let folder = listed.key.split('/').nth(1).and_then(|id| u128::from_str_radix(id, 16).ok());
        if let Some(identity) = folder {
            folders.entry(identity).or_default().push(listed);
        }
    }
    for (identity, listed) in folders {
        let names = CollectionNames(Identity(identity));
        let mut manifests = BTreeMap::new();
        for listed in listed.iter().filter(|l| l.key.starts_with(&names.manifests())) {
            let bytes = store.get(&listed.key).await.map_err(failed)?;
            let (number, manifest) = (number_of(&listed.key), Manifest::decode(&bytes));
            let (Ok(number), Ok((manifest, _))) = (number, manifest) else {
                return Err(leak(format!("{} is no version", listed.key)));
            };
            manifests.insert(number, manifest);
        }
        let mut pinned = BTreeSet::new();
        for listed in listed.iter().filter(|l| l.key.starts_with(&names.pins())) {
            let bytes = store.get(&listed.key).await.map_err(failed)?;
            let pin = Pin::decode(&bytes).map_err(|_| leak(format!("{} is no pin", listed.key)))?;
            pinned.insert(pin.0.version);
        }
        let fences = !store.has_locks();
        Collection { names, manifests, pinned, fences }.check(&listed, kept)?;
    }
    Ok(())
}

type CollectionKey = u128;

struct Collection {
    names: CollectionNames,
    manifests: BTreeMap<u64, Manifest>,
    /// Versions that somebody keeps who was killed, until that is found to be long ago.
    pinned: BTreeSet<u64>,
    /// Whether some things stay for a stale writer to run into.
    fences: bool,
}

impl Collection {
    fn check(&self, listed: &[Listed], kept: u64) -> Result<(), Failure> {
        let Some((number, newest)) = self.manifests.last_key_value() else { return Ok(()) };
        let tagged: BTreeSet<u64> = newest.tags.values().copied().collect();
        for (old, manifest) in &self.manifests {
            let stays = self.fences && manifest.epoch_began == *old || self.pinned.contains(old);
            if old.saturating_add(kept) <= *number && !tagged.contains(old) && !stays {
                return Err(leak(format!("version {old} is there, {number} is the newest")));
            }
        }
        let named = self.named();
        for listed in listed {
            let key = &listed.key;
            let is_log = key.starts_with(&self.names.logs());
            let is_object = key.starts_with(&self.names.segments())
                || key.starts_with(&self.names.all_deletes());
            // What a writer has begun to write that is not done has its epoch.
            let is_old = ObjectName::of(key).is_ok_and(|name| name.epoch < newest.epoch);
            if is_object && is_old && !named.contains(key) {
                return Err(leak(format!("{key} is there, no version names it")));
            }
            if is_log && !self.needs_log(listed, newest) {
                return Err(leak(format!("{key} is there, no version needs it")));
            }
        }
        Ok(())
    }

    fn named(&self) -> BTreeSet<String> {
        let segments = self.manifests.values().flat_map(|manifest| &manifest.segments);
        segments
            .flat_map(|segment| {
                let deletes = segment.deletes.map(|object| self.names.deletes(object.name));
                [Some(self.names.segment(segment.object.name)), deletes]
            })
            .flatten()
            .collect()
    }

    fn needs_log(&self, listed: &Listed, newest: &Manifest) -> bool {
        let Ok(number) = self.names.log_number(&listed.key) else { return true };
        let is_fence = self.fences && listed.length <= LogHeader::BYTES as u64;
        number >= newest.log.first
            || is_fence
            || self.manifests.values().any(|m| (m.log.first..=m.log.last).contains(&number))
    }
}
