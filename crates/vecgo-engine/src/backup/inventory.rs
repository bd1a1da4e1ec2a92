//! Finding a backup, and what it says of a collection.

use std::collections::BTreeMap;

use vecgo_format::{BackedUp, Identity, Inventory, LogPosition, Manifest, Original, StoredCopy};

use super::place::{BackupPlace, Name};
use super::taken::parts_of;
use crate::{Error, ErrorKind, Result};

/// A whole backup, as it is listed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupInfo {
    /// Tells it from every other.
    pub id: u64,
    /// When it was begun, in milliseconds since 1970.
    pub created_ms: u64,
    /// The collections in it, by name.
    pub collections: Vec<CollectionBackup>,
    /// Objects that it consists of.
    pub objects: u64,
    /// Bytes of those. Backups share what did not change between them.
    pub bytes: u64,
    /// Why it cannot be read, if that is so.
    pub failure: Option<Error>,
}

/// A collection in a backup, or one that was brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionBackup {
    /// Its name.
    pub name: String,
    /// The version, 0 if it was never committed.
    pub version: u64,
    /// When that was committed, or the collection created, in milliseconds since 1970.
    pub created_ms: u64,
    /// Records.
    pub records: u64,
}

/// Which backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhichBackup {
    /// The newest.
    #[default]
    Newest,
    /// That of an id.
    Id(u64),
    /// The newest that holds the collection at this version.
    Version(u64),
    /// The newest of which no version was committed later, in milliseconds since 1970.
    At(u64),
}

pub(super) fn describe(backed_up: &BackedUp) -> Result<CollectionBackup> {
    let version = backed_up.version().map_err(|error| Error::format("backup", error))?;
    let (version, created_ms) = match version {
        Some((manifest, _)) => (manifest.number, manifest.created_ms),
        None => (0, backed_up.entry.created_ms),
    };
    let (name, records) = (backed_up.name.clone(), backed_up.records);
    Ok(CollectionBackup { name, version, created_ms, records })
}

pub(super) fn describe_all(inventory: &Inventory) -> Result<Vec<CollectionBackup>> {
    inventory.collections.iter().map(describe).collect()
}

/// Bytes of some copies.
pub(super) fn bytes_of<'a>(copies: impl IntoIterator<Item = &'a StoredCopy>) -> u64 {
    copies.into_iter().fold(0, |sum, copy| sum.saturating_add(copy.length))
}

pub(super) fn info(name: Name, inventory: &Result<Inventory>) -> BackupInfo {
    let described = inventory.as_ref().map_err(Error::clone).and_then(|inventory| {
        let (objects, bytes) = (inventory.copies.len() as u64, bytes_of(&inventory.copies));
        Ok((describe_all(inventory)?, objects, bytes))
    });
    let (failure, (collections, objects, bytes)) = match described {
        Ok(described) => (None, described),
        Err(error) => (Some(error), (Vec::new(), 0, 0)),
    };
    let Name { created_ms, id } = name;
    BackupInfo { id, created_ms, collections, objects, bytes, failure }
}

impl BackupPlace {
    /// The backup that is meant. `collection`: the one that a version is of, and that must be in it.
    pub(super) async fn choose(
        &self,
        which: &WhichBackup,
        collection: Option<&str>,
    ) -> Result<(Name, Inventory)> {
        for name in self.whole_or_why().await? {
            if matches!(which, WhichBackup::Id(id) if *id != name.id) {
                continue;
            }
            let inventory = match self.inventory(name).await {
                Ok(None) => continue,
                Ok(Some(inventory)) => describe_all(&inventory).map(|all| (inventory, all)),
                Err(error) => Err(error),
            };
            // What was meant may be this one: an older one is not taken for it.
            let (inventory, all) = inventory.map_err(|error| {
                let id = name.id;
                let instead =
                    format!("backup {id:016x} cannot be read; another is named by its id");
                error.context(instead)
            })?;
            let has_it = collection.is_none_or(|meant| all.iter().any(|one| one.name == meant));
            match which {
                WhichBackup::Newest | WhichBackup::Id(_) if !has_it => {
                    return Err(no_collection(collection.unwrap_or_default(), &all));
                }
                _ if has_it && is_meant(which, collection, &all) => return Ok((name, inventory)),
                _ => {}
            }
        }
        let none = match which {
            WhichBackup::Newest => "there is none".to_owned(),
            WhichBackup::Id(id) => format!("none has id {id:016x}"),
            WhichBackup::Version(version) => format!("none holds version {version}"),
            WhichBackup::At(ms) => format!("none is of {ms} ms since 1970 or before"),
        };
        Err(Error::new(ErrorKind::NotFound, format!("{none} of the backups there")))
    }
}

fn is_meant(which: &WhichBackup, collection: Option<&str>, all: &[CollectionBackup]) -> bool {
    let mut meant = all.iter().filter(|one| collection.is_none_or(|name| name == one.name));
    match which {
        WhichBackup::Newest | WhichBackup::Id(_) => true,
        WhichBackup::Version(version) => meant.any(|one| one.version == *version),
        WhichBackup::At(ms) => !all.is_empty() && meant.all(|one| one.created_ms <= *ms),
    }
}

fn no_collection(name: &str, there: &[CollectionBackup]) -> Error {
    let names: Vec<&str> = there.iter().map(|of| of.name.as_str()).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let message = format!("there is no collection `{name}` in the backup; it has {there}");
    Error::new(ErrorKind::NotFound, message)
}

/// Where the copies are of what a version consists of.
pub(super) struct Parts<'a> {
    /// Segments and delete objects, in the order of [`parts_of`].
    pub(super) objects: Vec<&'a StoredCopy>,
    /// The logs in their order, each of one copy or of several one after the other.
    pub(super) logs: Vec<Vec<&'a StoredCopy>>,
}

/// Whether an inventory has all that its versions name.
///
/// # Errors
/// `Corruption` names what it lacks.
pub(super) fn check(inventory: &Inventory) -> Result<()> {
    for collection in &inventory.collections {
        let version = collection.version().map_err(|error| Error::format("backup", error))?;
        if let Some((manifest, _)) = version {
            parts(inventory, collection.entry.identity, &manifest)?;
        }
    }
    Ok(())
}

/// The copies that a version needs.
pub(super) fn parts<'a>(
    inventory: &'a Inventory,
    collection: Identity,
    manifest: &Manifest,
) -> Result<Parts<'a>> {
    let lacks = |what: String| {
        let message = format!("the backup lacks {what} of version {}", manifest.number);
        Error::new(ErrorKind::Corruption, message)
    };
    let own = inventory.copies.iter().filter(|copy| copy.collection == collection);
    let by_original: BTreeMap<Original, &StoredCopy> =
        own.map(|copy| (copy.original, copy)).collect();
    let mut found = Vec::new();
    for part in parts_of(manifest) {
        let (original, length) = (part.original(), part.object.length);
        let copy = by_original.get(&original).filter(|copy| copy.length == length);
        found.push(*copy.ok_or_else(|| lacks(format!("{original:?}")))?);
    }
    let mut logs: BTreeMap<u64, Vec<(u64, LogPosition, &StoredCopy)>> = BTreeMap::new();
    for (original, copy) in &by_original {
        if let Original::Log { number, from, end } = *original {
            logs.entry(number).or_default().push((from, end, copy));
        }
    }
    let range = manifest.log;
    let needs_logs = range.last >= range.first;
    logs.retain(|number, _| needs_logs && (range.first..=range.last).contains(number));
    // Whether those between are there is found when they are read: each says which was before it.
    if needs_logs && !logs.contains_key(&range.last) {
        return Err(lacks(format!("log {}", range.last)));
    }
    let mut in_order = Vec::new();
    for (number, mut pieces) in logs {
        pieces.sort_unstable_by_key(|(from, ..)| *from);
        let mut end = LogPosition::default();
        for (from, next, copy) in &pieces {
            if *from != end.length || from.checked_add(copy.length) != Some(next.length) {
                return Err(lacks(format!("bytes from {} on of log {number}", end.length)));
            }
            end = *next;
        }
        if number == range.last && end != range.end {
            return Err(lacks(format!("the end of log {number}")));
        }
        in_order.push(pieces.into_iter().map(|(_, _, copy)| copy).collect());
    }
    Ok(Parts { objects: found, logs: in_order })
}
