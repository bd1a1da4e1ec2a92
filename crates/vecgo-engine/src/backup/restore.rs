//! Bringing a backup back, as collections of their own.

use vecgo_format::{BackupNames, CollectionNames, Entry, FormatError, Inventory};
use vecgo_io::{BoxFuture, read_range};

use super::Copied;
use super::arrive::{Arrivals, Arrived};
use super::copy::{Copying, Source, Work};
use super::inventory::{CollectionBackup, Parts, WhichBackup, describe, parts};
use super::place::BackupPlace;
use super::taken::Taken;
use crate::manifest::Committed;
use crate::{Database, Error, ErrorKind, Result};

/// More than the largest memtable takes in a log.
const MOST_LOG_BYTES: u64 = 8 << 30;

/// What is brought back.
#[derive(Debug, Clone, Default)]
pub struct RestoreRequest {
    /// Of which backup.
    pub which: WhichBackup,
    /// One collection of it; all if absent.
    pub collection: Option<String>,
    /// The name that the one gets; the one that it had if absent.
    pub name: Option<String>,
    /// How.
    pub copying: Copying,
}

impl Database {
    /// Brings collections back from a backup. Every byte is checked on its way, and none of them can be seen
    /// before all of them are there; if anything is not as it should be, nothing is left behind.
    ///
    /// They are new collections, with the version, the times and the records that they had.
    ///
    /// # Errors
    /// `NotFound` for a backup or a collection that is not there; `AlreadyExists` if a name is taken;
    /// `Corruption` names the object that is damaged or missing; `Unsupported` for what a newer build wrote.
    pub fn restore<'a>(
        &'a self,
        place: &'a BackupPlace,
        request: RestoreRequest,
    ) -> BoxFuture<'a, Result<Copied>> {
        Box::pin(async move {
            let RestoreRequest { which, collection, name, copying } = request;
            if collection.is_none() && (name.is_some() || matches!(which, WhichBackup::Version(_)))
            {
                let message = "a version and another name are of one collection; say of which";
                return Err(Error::invalid(message));
            }
            let (backup, inventory) = place.choose(&which, collection.as_deref()).await?;
            let chosen = chosen(&inventory, collection.as_deref(), name.as_deref())?;
            let names: Vec<&str> = chosen.iter().map(|one| one.described.name.as_str()).collect();
            let arrivals = self.arrive(&names).await?;
            let mut work = Work::new(self.env(), copying, None);
            work.expect(chosen.iter().flat_map(|one| one.parts.copies()).map(|copy| copy.length));
            match self.bring(place, &mut work, &arrivals, chosen).await {
                Ok(copied) => Ok(copied),
                Err(error) => {
                    self.forget(arrivals).await;
                    // Somebody has deleted the backup meanwhile.
                    let is_gone = error.kind() == ErrorKind::Corruption
                        && !place.is_there(backup).await.unwrap_or(true);
                    Err(match is_gone {
                        true => {
                            error.with_kind(ErrorKind::NotFound).context("the backup was deleted")
                        }
                        false => error,
                    })
                }
            }
        })
    }

    async fn bring(
        &self,
        place: &BackupPlace,
        work: &mut Work<'_>,
        arrivals: &Arrivals,
        chosen: Vec<Chosen<'_>>,
    ) -> Result<Copied> {
        let mut arrived = Vec::new();
        let mut copied = Copied { collections: Vec::new(), objects: 0, bytes: 0, copied_bytes: 0 };
        for (one, (name, identity)) in chosen.into_iter().zip(&arrivals.identities) {
            let entry = Entry { identity: *identity, ..one.entry };
            let here = Arrived { name: name.clone(), entry };
            if let Some(committed) = one.taken.committed.as_ref() {
                let names = CollectionNames(*identity);
                for (part, copy) in one.taken.objects().iter().zip(&one.parts.objects) {
                    let to = part.key(names);
                    let key = BackupNames::data(copy.data);
                    let (length, checksum) = (copy.length, Some(copy.checksum));
                    let source = Source { store: place.store(), key: &key, length, checksum };
                    let to = Some((&*self.env().store, to.as_str()));
                    work.pass(source, to, &mut *part.check()).await.map_err(is_damage)?;
                }
                let mut logs = Vec::new();
                for pieces in &one.parts.logs {
                    logs.push(read_log(place, pieces).await.map_err(is_damage)?);
                }
                let records = one.described.records;
                self.land(work, &here, &committed.manifest, logs, records).await?;
            }
            for copy in one.parts.copies() {
                copied.objects += 1;
                copied.bytes = copied.bytes.saturating_add(copy.length);
            }
            copied.collections.push(CollectionBackup { name: name.clone(), ..one.described });
            arrived.push(here);
        }
        self.publish(&arrived).await?;
        copied.copied_bytes = work.moved;
        Ok(copied)
    }
}

/// What a backup names has to be there.
fn is_damage(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => {
            error.with_kind(ErrorKind::Corruption).context("the backup names what is gone")
        }
        _ => error,
    }
}

async fn read_log(place: &BackupPlace, pieces: &[&vecgo_format::StoredCopy]) -> Result<Vec<u8>> {
    let mut log = Vec::new();
    for copy in pieces {
        let key = BackupNames::data(copy.data);
        let object = place.store().open(&key, Some(copy.length)).await?;
        if object.length() != copy.length || copy.length > MOST_LOG_BYTES {
            let detail = format!("object of {} bytes, expected {}", object.length(), copy.length);
            let what = "copied log";
            return Err(Error::format(&key, FormatError::Invalid { what, offset: 0, detail }));
        }
        let bytes = read_range(&*object, &key, 0..copy.length).await?;
        let (expected, found) = (copy.checksum, vecgo_format::checksum(&bytes));
        if found != expected {
            let (what, offset) = ("copied log", 0);
            let error = FormatError::Checksum { what, offset, expected, found };
            return Err(Error::format(&key, error));
        }
        log.extend_from_slice(&bytes);
    }
    Ok(log)
}

/// A collection that is brought back.
struct Chosen<'a> {
    entry: Entry,
    taken: Taken,
    parts: Parts<'a>,
    described: CollectionBackup,
}

impl<'a> Parts<'a> {
    fn copies(&self) -> impl Iterator<Item = &'a vecgo_format::StoredCopy> {
        self.objects.iter().chain(self.logs.iter().flatten()).copied()
    }
}

fn chosen<'a>(
    inventory: &'a Inventory,
    collection: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Chosen<'a>>> {
    let mut chosen = Vec::new();
    for backed_up in &inventory.collections {
        if collection.is_some_and(|collection| collection != backed_up.name) {
            continue;
        }
        let version = backed_up.version().map_err(|error| Error::format("backup", error))?;
        let (parts, committed) = match version {
            None => (Parts { objects: Vec::new(), logs: Vec::new() }, None),
            Some((manifest, checksum)) => {
                let parts = parts(inventory, backed_up.entry.identity, &manifest)?;
                (parts, Some(Committed { manifest, checksum }))
            }
        };
        let mut described = describe(backed_up)?;
        described.name = name.unwrap_or(&described.name).to_owned();
        let (entry, name) = (backed_up.entry.clone(), backed_up.name.clone());
        let taken = Taken { name, entry: entry.clone(), committed };
        chosen.push(Chosen { entry, taken, parts, described });
    }
    Ok(chosen)
}
