//! Making a backup.

use std::collections::BTreeMap;

use vecgo_format::{
    BackedUp, BackupNames, Identity, Inventory, LogPosition, LogReader, Original, StoredCopy,
};
use vecgo_io::{Access, BoxFuture};

use super::copy::{Copying, Source, Work};
use super::inventory::{CollectionBackup, describe};
use super::leases::{LEASE, Leases, Note};
use super::place::BackupPlace;
use super::taken::{Taken, WhichCollections, release};
use crate::recover::LogBytes;
use crate::{Collection, Database, Error, ErrorKind, Result};

/// Times that a database which is open for reading, and keeps nothing, begins again.
const MOST_TRIES: usize = 20;

/// What a snapshot came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshotted {
    /// The backup's id.
    pub id: u64,
    /// The collections in it.
    pub collections: Vec<CollectionBackup>,
    /// Objects that it consists of.
    pub objects: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Bytes that were not there before.
    pub copied_bytes: u64,
}

impl Database {
    /// Copies committed versions to a place for backups: of each collection its newest, all taken one right
    /// after the other. Reads beside a writer, here or in another process, and keeps what it reads by pins.
    ///
    /// Only objects are copied that the place does not have; if it has all of these versions in one
    /// backup, nothing is written, and it gives that one. What an earlier try has copied is used.
    ///
    /// # Errors
    /// `InvalidArgument` if the place is a database; `NotFound` and `VersionGone` for what cannot be taken;
    /// `Corruption` if a source is damaged, of which nothing is copied then. Whatever happens,
    /// there is no backup unless all of it is there.
    pub fn snapshot<'a>(
        &'a self,
        place: &'a BackupPlace,
        which: &'a WhichCollections,
        copying: Copying,
    ) -> BoxFuture<'a, Result<Snapshotted>> {
        Box::pin(async move {
            place.check_is_no_database().await?;
            let mut tries = 0;
            loop {
                tries += 1;
                let made = self.try_snapshot(place, which, copying.clone()).await;
                // A writer commits and deletes meanwhile.
                let is_gone = |error: &Error| {
                    use ErrorKind::{Corruption, NotFound, VersionGone};
                    matches!(error.kind(), VersionGone | NotFound | Corruption)
                };
                match made {
                    Err(error)
                        if self.inner.access == Access::Read
                            && is_gone(&error)
                            && !matches!(which, WhichCollections::At(..))
                            && tries < MOST_TRIES => {}
                    made => return made,
                }
            }
        })
    }

    async fn try_snapshot(
        &self,
        place: &BackupPlace,
        which: &WhichCollections,
        copying: Copying,
    ) -> Result<Snapshotted> {
        let mut taken = self.take(which).await?;
        let doomed = place.doomed().await?;
        for found in place.inventories(&doomed).await? {
            if let Ok(inventory) = &found.inventory
                && holds(inventory, &taken)
            {
                return snapshotted(inventory, 0);
            }
        }
        let id = self.env().rand.next_u64();
        let holder = format!("backup {id:016x}");
        let pins = self.pin(&mut taken, which, &holder).await?;
        let note = match Note::begin(place, id).await {
            Ok(note) => note,
            Err(error) => {
                release(&pins).await;
                return Err(error);
            }
        };
        let leases = Leases::new(self.env().clock.monotonic(), pins, Some(note));
        let mut making =
            Making { database: self, place, work: Work::new(self.env(), copying, Some(leases)) };
        let made = making.run(taken).await;
        let Some(Leases { pins, note: Some(mut note), .. }) = making.work.leases.take() else {
            return Err(Error::internal("a backup without its leases"));
        };
        release(&pins).await;
        match &made {
            // What is not deleted is in nobody's way.
            Ok(_) => drop(note.delete().await),
            // The next one goes on from here; nothing waits for this one.
            Err(_) => drop(note.write(std::time::Duration::ZERO).await),
        }
        made
    }
}

/// Whether a backup has exactly these versions, under these names.
fn holds(inventory: &Inventory, taken: &[Taken]) -> bool {
    inventory.collections.len() == taken.len()
        && inventory.collections.iter().zip(taken).all(|(held, one)| {
            let same = (&held.name, held.entry.identity) == (&one.name, one.entry.identity);
            let version = held.version().map(|version| version.map(|(_, checksum)| checksum));
            same && version == Ok(one.committed.as_ref().map(|committed| committed.checksum))
        })
}

fn snapshotted(inventory: &Inventory, copied_bytes: u64) -> Result<Snapshotted> {
    let collections = inventory.collections.iter().map(describe).collect::<Result<_>>()?;
    let bytes = inventory.copies.iter().fold(0u64, |sum, copy| sum.saturating_add(copy.length));
    let (id, objects) = (inventory.id, inventory.copies.len() as u64);
    Ok(Snapshotted { id, collections, objects, bytes, copied_bytes })
}

/// A backup that is being made.
struct Making<'a> {
    database: &'a Database,
    place: &'a BackupPlace,
    work: Work<'a>,
}

/// Copies that are there already.
#[derive(Default)]
struct Known {
    objects: BTreeMap<(Identity, Original), StoredCopy>,
    /// Pieces of logs, by where they begin.
    logs: BTreeMap<(Identity, u64, u64), Vec<(LogPosition, StoredCopy)>>,
}

impl Known {
    fn add(&mut self, copies: &[StoredCopy]) {
        for copy in copies {
            match copy.original {
                Original::Log { number, from, end } => {
                    let pieces = self.logs.entry((copy.collection, number, from)).or_default();
                    pieces.push((end, *copy));
                }
                original => {
                    self.objects.insert((copy.collection, original), *copy);
                }
            }
        }
    }
}

impl Making<'_> {
    async fn run(&mut self, taken: Vec<Taken>) -> Result<Snapshotted> {
        let known = self.known().await?;
        let objects = taken.iter().flat_map(Taken::objects);
        self.work.progress.total_bytes = objects.map(|part| part.object.length).sum();
        let mut collections = Vec::new();
        let mut used: Vec<StoredCopy> = Vec::new();
        for one in taken {
            // It can be read from its first record to its last before a byte of it is copied.
            let collection =
                Collection::unread(&self.database.inner.runtime, &one.name, &one.entry);
            let logs = collection.bring_back(one.committed.as_ref()).await?;
            let records = collection.count();
            drop(collection);
            self.work.progress.total_bytes +=
                logs.iter().map(|log| log.bytes.len() as u64).sum::<u64>();
            for part in one.objects() {
                let known = known.objects.get(&(one.entry.identity, part.original));
                let length = part.object.length;
                if let Some(known) = known.filter(|known| known.length == length) {
                    used.push(*known);
                    self.work.skip(length).await?;
                    continue;
                }
                let data = self.work_number();
                let key = BackupNames::data(data);
                let store = &*self.database.env().store;
                let source = Source { store, key: &part.key, length, checksum: None };
                let to = Some((self.place.store(), key.as_str()));
                let checksum = self.work.pass(source, to, &mut *part.check()).await?;
                let (collection, original) = (one.entry.identity, part.original);
                let copy = StoredCopy { collection, original, data, length, checksum };
                used.push(copy);
                self.copied(copy);
            }
            for log in logs {
                self.log(one.entry.identity, log, &known, &mut used).await?;
            }
            let manifest = one.committed.map(|committed| committed.manifest.encode().0);
            let Taken { name, entry, .. } = one;
            collections.push(BackedUp { name, entry, records, manifest });
        }
        self.finish(collections, used).await
    }

    fn work_number(&self) -> u128 {
        self.database.env().rand.next_u128()
    }

    fn note(&mut self) -> Option<&mut Note> {
        self.work.leases.as_mut().and_then(|leases| leases.note.as_mut())
    }

    fn copied(&mut self, copy: StoredCopy) {
        if let Some(note) = self.note() {
            note.inventory.copies.push(copy);
        }
    }

    /// What is there that nobody is about to delete. The note was written before this looks: whoever
    /// plans to delete something either sees that, or is seen here.
    async fn known(&self) -> Result<Known> {
        let doomed = self.place.doomed().await?;
        let mut known = Known::default();
        for unfinished in self.place.unfinished().await? {
            if !doomed.unfinished.contains(&(unfinished.id, unfinished.nth)) {
                known.add(&unfinished.inventory.copies);
            }
        }
        // Those that are whole come last, and count more.
        for found in self.place.inventories(&doomed).await? {
            if let Ok(inventory) = &found.inventory {
                known.add(&inventory.copies);
            }
        }
        Ok(known)
    }

    /// Copies what of a log is not there. Pieces that are there are of this log if their ends are places of it:
    /// the checksum of a place is that of everything before it.
    async fn log(
        &mut self,
        collection: Identity,
        log: LogBytes,
        known: &Known,
        used: &mut Vec<StoredCopy>,
    ) -> Result<()> {
        let LogBytes { number, bytes } = log;
        let places = places(&bytes)?;
        let mut at = 0;
        while let Some(pieces) = known.logs.get(&(collection, number, at)) {
            let fitting = pieces.iter().filter(|(end, copy)| {
                places.get(&end.length) == Some(&end.checksum)
                    && at.checked_add(copy.length) == Some(end.length)
            });
            let Some((end, copy)) = fitting.max_by_key(|(end, _)| end.length) else { break };
            used.push(*copy);
            self.work.skip(copy.length).await?;
            at = end.length;
        }
        let length = bytes.len() as u64;
        let Some(checksum) = places.get(&length).filter(|_| at < length) else { return Ok(()) };
        let rest = bytes.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
        let data = self.work_number();
        self.work.write(self.place.store(), &BackupNames::data(data), rest).await?;
        self.work.progress.objects += 1;
        let end = LogPosition { length, checksum: *checksum };
        let original = Original::Log { number, from: at, end };
        let (length, checksum) = (rest.len() as u64, vecgo_format::checksum(rest));
        let copy = StoredCopy { collection, original, data, length, checksum };
        used.push(copy);
        self.copied(copy);
        Ok(())
    }

    /// Writes the inventory: from then on there is a backup.
    async fn finish(
        &mut self,
        collections: Vec<BackedUp>,
        copies: Vec<StoredCopy>,
    ) -> Result<Snapshotted> {
        let (place, moved) = (self.place, self.work.moved);
        let Some(note) = self.note() else { return Err(Error::internal("a backup unnoted")) };
        note.write(LEASE).await?;
        let (id, created_ms) = (note.id(), note.inventory.created_ms);
        let inventory = Inventory { id, created_ms, expires_ms: None, collections, copies };
        super::inventory::check(&inventory)?;
        let made = snapshotted(&inventory, moved)?;
        let key = BackupNames::inventory(created_ms, id);
        place.put(&key, inventory.encode().0).await?;
        // Had this stood still for longer than its note counts, copies may be gone. Whoever plans to delete
        // them from now on finds the inventory, which names them.
        if note.is_there().await? {
            return Ok(made);
        }
        place.store().delete(&key).await?;
        let message =
            "the backup took a pause so long that what it had copied may have been deleted";
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}

/// The ends of a log's frames, and the checksums of all before each.
fn places(bytes: &[u8]) -> Result<BTreeMap<u64, u64>> {
    let mut log = LogReader::open(bytes).map_err(|error| Error::format("log", error))?;
    let mut places = BTreeMap::new();
    loop {
        let position = log.position();
        places.insert(position.length, position.checksum);
        if log.next_frame().is_none() {
            return Ok(places);
        }
    }
}
