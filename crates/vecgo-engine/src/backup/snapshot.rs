//! Making a backup.

use std::collections::BTreeMap;

use vecgo_format::{
    BackedUp, BackupNames, Identity, Inventory, LogPosition, LogReader, Original, StoredCopy,
};
use vecgo_io::BoxFuture;

use super::copy::{Copying, Source, Work};
use super::inventory::{CollectionBackup, bytes_of, describe_all};
use super::leases::{Leases, Note};
use super::place::{BackupPlace, Name};
use super::taken::{Taken, WhichCollections, release};
use crate::recover::LogBytes;
use crate::{Collection, Database, Error, ErrorKind, Result};

/// Times that a snapshot begins again because what it read was deleted, which pins keep from happening where they can be put.
const MOST_TRIES: usize = 20;

/// What a snapshot came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Only objects are copied that the place does not have; if one of its newest backups has all of these
    /// versions, nothing is written, and it gives that one. What an earlier try has copied is used.
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
            let mut last = None;
            for _ in 0..MOST_TRIES {
                let taken = self.take(which).await?;
                let versions: Vec<_> = taken.iter().map(Taken::version).collect();
                match last {
                    // Nothing is newer, so that something is missing or damaged.
                    Some((before, error)) if before == versions => return Err(error),
                    _ => {}
                }
                match self.try_snapshot(place, which, taken, copying.clone()).await {
                    Err(error) if may_have_moved_on(&error, which) => {
                        last = Some((versions, error));
                    }
                    made => return made,
                }
            }
            Err(last.map_or_else(|| Error::internal("no try"), |(_, error)| error))
        })
    }

    async fn try_snapshot(
        &self,
        place: &BackupPlace,
        which: &WhichCollections,
        mut taken: Vec<Taken>,
        copying: Copying,
    ) -> Result<Snapshotted> {
        if taken.is_empty() {
            let message = "the database has no collection to be backed up";
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let mut read = BTreeMap::new();
        if let Some(made) = self.held(place, which, &taken, &mut read).await? {
            return Ok(made);
        }
        let (env, id) = (self.env(), self.env().rand.next_u64());
        let newest = place.names().await?.into_iter().next();
        // Later ones are of later times, whatever becomes of the clock.
        let after = newest.map_or(0, |newest| newest.created_ms.saturating_add(1));
        let created_ms = env.clock.wall_ms().max(after).min(u64::MAX - 1);
        let pins = self.pin(&mut taken, which, &format!("backup {id:016x}")).await?;
        let note = match Note::begin(place, id, created_ms).await {
            Ok(note) => note,
            Err(error) => {
                release(&pins).await;
                return Err(error);
            }
        };
        let leases = Leases::new(&env.clock, pins, Some(note));
        let mut making =
            Making { database: self, place, work: Work::new(env, copying, Some(leases)) };
        let made = making.run(taken, read).await;
        let Some(Leases { pins, note: Some(mut note), .. }) = making.work.leases.take() else {
            return Err(Error::internal("a backup without its leases"));
        };
        release(&pins).await;
        if made.is_err() && !note.is_decided {
            // What is left of it expires by itself if this fails, too.
            let _ = note.give_up().await;
        }
        made
    }

    /// A backup that holds all of these versions, if one of the newest does. Those that do not are in `read`.
    async fn held(
        &self,
        place: &BackupPlace,
        which: &WhichCollections,
        taken: &[Taken],
        read: &mut BTreeMap<Name, Inventory>,
    ) -> Result<Option<Snapshotted>> {
        let mut lengths = None;
        for name in place.whole().await?.into_iter().take(MOST_LOOKED_AT) {
            let Ok(Some(inventory)) = place.inventory(name).await else { continue };
            if !holds(&inventory, taken, which) {
                read.insert(name, inventory);
                continue;
            }
            let lengths = match &lengths {
                Some(lengths) => lengths,
                None => lengths.insert(data_lengths(place).await?),
            };
            let is_there = |copy: &StoredCopy| lengths.get(&copy.data) == Some(&copy.length);
            // Unless somebody has begun to delete it meanwhile, or lost a part of it.
            let (doomed, _) = place.plans().await?;
            if inventory.copies.iter().all(is_there)
                && !doomed.backups.contains(&(name.created_ms, name.id))
            {
                return snapshotted(&inventory, 0).map(Some);
            }
        }
        Ok(None)
    }
}

/// Backups that are looked at for what they have, the newest first.
const MOST_LOOKED_AT: usize = 64;

/// Lengths of the copies that a place has.
async fn data_lengths(place: &BackupPlace) -> Result<BTreeMap<u128, u64>> {
    let listed = place.store().list(BackupNames::DATA).await?;
    let data = listed.iter().filter_map(|l| Some((BackupNames::of_data(&l.key)?, l.length)));
    Ok(data.collect())
}

/// Whether an error may come of a writer that committed and deleted meanwhile, or of a drop.
fn may_have_moved_on(error: &Error, which: &WhichCollections) -> bool {
    use ErrorKind::{Corruption, NotFound, VersionGone};
    !matches!(which, WhichCollections::At(..))
        && matches!(error.kind(), VersionGone | NotFound | Corruption)
}

/// Whether a backup has these versions under these names, and nothing else if all were meant.
fn holds(inventory: &Inventory, taken: &[Taken], which: &WhichCollections) -> bool {
    let has = |one: &Taken| {
        let checksum = one.committed.as_ref().map(|committed| committed.checksum);
        inventory.collections.iter().any(|held| {
            let version = || held.version().map(|version| version.map(|(_, checksum)| checksum));
            (&held.name, held.entry.identity) == (&one.name, one.entry.identity)
                && version() == Ok(checksum)
        })
    };
    let is_more = inventory.collections.len() > taken.len();
    !(is_more && *which == WhichCollections::All) && taken.iter().all(has)
}

fn snapshotted(inventory: &Inventory, copied_bytes: u64) -> Result<Snapshotted> {
    let collections = describe_all(inventory)?;
    let bytes = bytes_of(&inventory.copies);
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
    /// Takes in those of some copies that are there.
    fn add(&mut self, copies: &[StoredCopy], lengths: &BTreeMap<u128, u64>) {
        for copy in copies.iter().filter(|copy| lengths.get(&copy.data) == Some(&copy.length)) {
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
    /// `read`: inventories that were read before, which never change.
    async fn run(
        &mut self,
        taken: Vec<Taken>,
        read: BTreeMap<Name, Inventory>,
    ) -> Result<Snapshotted> {
        let known = self.known(read).await?;
        self.work.expect(taken.iter().flat_map(Taken::objects).map(|part| part.object.length));
        let mut collections = Vec::new();
        let mut used: Vec<StoredCopy> = Vec::new();
        for one in taken {
            // It can be read from its first record to its last before a byte of it is copied.
            let collection =
                Collection::unread(&self.database.inner.runtime, &one.name, &one.entry);
            let logs = collection.bring_back(one.committed.as_ref()).await?;
            let records = collection.count();
            drop(collection);
            self.work.expect(logs.iter().map(|log| log.bytes.len() as u64));
            for part in one.objects() {
                let known = known.objects.get(&(one.entry.identity, part.original()));
                let length = part.object.length;
                if let Some(known) = known.filter(|known| known.length == length) {
                    used.push(*known);
                    self.work.skip(length).await?;
                    continue;
                }
                let data = self.database.env().rand.next_u128();
                let key = BackupNames::data(data);
                let store = &*self.database.env().store;
                let from = part.key(one.names());
                let source = Source { store, key: &from, length, checksum: None };
                let to = Some((self.place.store(), key.as_str()));
                let checksum = self.work.pass(source, to, &mut *part.check()).await?;
                let (collection, original) = (one.entry.identity, part.original());
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
    async fn known(&self, mut read: BTreeMap<Name, Inventory>) -> Result<Known> {
        let (place, mut known) = (self.place, Known::default());
        let (doomed, _) = place.plans().await?;
        let lengths = data_lengths(place).await?;
        for (id, numbers) in place.notes().await? {
            if doomed.unfinished.iter().any(|(doomed, _)| *doomed == id) {
                continue;
            }
            // What cannot be read says nothing.
            if let Some(nth) = numbers.last()
                && let Ok(Some(noted)) = place.note(id, *nth).await
            {
                known.add(&noted.copies, &lengths);
            }
        }
        // Those that are whole come last, and count more; of them the newest.
        for name in place.whole().await?.into_iter().take(MOST_LOOKED_AT).rev() {
            if doomed.backups.contains(&(name.created_ms, name.id)) {
                continue;
            }
            let inventory = match read.remove(&name) {
                None => place.inventory(name).await,
                read => Ok(read),
            };
            if let Ok(Some(inventory)) = inventory {
                known.add(&inventory.copies, &lengths);
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
        let LogBytes { number, bytes, .. } = log;
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
        let data = self.database.env().rand.next_u128();
        self.work.write(self.place.store(), &BackupNames::data(data), rest).await?;
        let end = LogPosition { length, checksum: *checksum };
        let original = Original::Log { number, from: at, end };
        let (length, checksum) = (rest.len() as u64, vecgo_format::checksum(rest));
        let copy = StoredCopy { collection, original, data, length, checksum };
        used.push(copy);
        self.copied(copy);
        Ok(())
    }

    /// Writes the inventory, and then takes the notes away: from then on there is a backup. Between the two, and
    /// before, it looks whether somebody has given this one up, and if so takes it back.
    async fn finish(
        &mut self,
        collections: Vec<BackedUp>,
        copies: Vec<StoredCopy>,
    ) -> Result<Snapshotted> {
        let (place, moved) = (self.place, self.work.moved);
        let Some(note) = self.note() else { return Err(Error::internal("a backup unnoted")) };
        let (id, created_ms) = (note.id(), note.inventory.created_ms);
        let inventory = Inventory { id, created_ms, collections, copies, ..Inventory::default() };
        super::inventory::check(&inventory)?;
        let made = snapshotted(&inventory, moved)?;
        let name = note.decide(inventory).await?;
        let counts = match note.check_alive().await {
            Ok(()) => note.count().await,
            given_up => given_up,
        };
        match counts {
            Ok(()) => Ok(Snapshotted { id: name.id, ..made }),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => Err(error),
            Err(error) => {
                let _ = place.store().delete(&name.key()).await;
                Err(error)
            }
        }
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
