use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use vecgo_format::{BackupNames, Inventory, PrunePlan};
use vecgo_io::{BoxFuture, Env, Store, StoreErrorKind};

use super::copy::{Copying, Source, Unchecked, Work};
use super::inventory::{BackupInfo, WhichBackup, info};
use crate::manifest::{Decided, decide};
use crate::verify::Damage;
use crate::{Error, ErrorKind, Result};

/// A place that backups are in, or will be: a store of which they have the keys below `backup/`.
#[derive(Debug, Clone)]
pub struct BackupPlace {
    pub(super) env: Env,
}

/// What checking backups found.
#[derive(Debug, Clone, Default)]
pub struct CheckedBackups {
    /// Backups checked.
    pub backups: u64,
    /// Copies read.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What is not as it was written, or is missing.
    pub damage: Vec<Damage>,
}

/// The inventory of a whole backup that was found.
pub(super) struct Found {
    pub(super) key: String,
    pub(super) created_ms: u64,
    pub(super) id: u64,
    pub(super) inventory: Result<Inventory>,
}

/// What a backup that is being made, or was given up, has noted.
pub(super) struct Unfinished {
    pub(super) id: u64,
    pub(super) nth: u64,
    pub(super) inventory: Inventory,
}

impl BackupPlace {
    /// In a store, on the machine of a database.
    pub fn new(store: Arc<dyn Store>, env: &Env) -> Self {
        // Logs are copied whole, so nothing grows there.
        Self { env: Env { store, logs: None, ..env.clone() } }
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.env.store
    }

    /// Whether backups may be put there.
    ///
    /// # Errors
    /// `InvalidArgument` for a database, in which one would be taken for the other.
    pub(super) async fn check_is_no_database(&self) -> Result<()> {
        match self.store().list("catalogue/").await?.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid(
                "there is a database; expected a place of their own for its backups",
            )),
        }
    }

    /// The whole backups there are, newest first.
    ///
    /// # Errors
    /// `NotFound` if there are none. Of one that cannot be read it says why.
    pub fn list(&self) -> BoxFuture<'_, Result<Vec<BackupInfo>>> {
        Box::pin(async move { Ok(self.found().await?.iter().map(info).collect()) })
    }

    /// The backup that is meant. `collection`: the one that a version is of, and that must be in it.
    ///
    /// # Errors
    /// `NotFound` if there is none such.
    pub fn find<'a>(
        &'a self,
        which: WhichBackup,
        collection: Option<&'a str>,
    ) -> BoxFuture<'a, Result<BackupInfo>> {
        Box::pin(async move {
            let inventory = self.choose(&which, collection).await?;
            let (created_ms, id) = (inventory.created_ms, inventory.id);
            let key = BackupNames::inventory(created_ms, id);
            Ok(info(&Found { key, created_ms, id, inventory: Ok(inventory) }))
        })
    }

    /// Reads backups, and checks that every byte is as it was written: one of them, or all.
    ///
    /// # Errors
    /// `NotFound` if there are none; what keeps it from looking. Damage is in what it gives.
    pub fn verify(
        &self,
        which: Option<WhichBackup>,
        copying: Copying,
    ) -> BoxFuture<'_, Result<CheckedBackups>> {
        Box::pin(async move {
            let mut found = self.found().await?;
            if let Some(which) = which {
                let id = self.choose(&which, None).await?.id;
                found.retain(|found| found.id == id);
            }
            let mut checked = CheckedBackups::default();
            let mut read = BTreeSet::new();
            let mut work = Work::new(&self.env, copying, None);
            for Found { key, inventory, .. } in found {
                let note = |damage: &mut Vec<Damage>, key: &str, error: &Error| {
                    damage.push(Damage { key: key.to_owned(), message: error.to_string() });
                };
                let whole = inventory.and_then(|inventory| {
                    super::inventory::check(&inventory)?;
                    Ok(inventory)
                });
                let inventory = match whole {
                    Ok(inventory) => inventory,
                    Err(error) => {
                        note(&mut checked.damage, &key, &error);
                        continue;
                    }
                };
                checked.backups += 1;
                for copy in inventory.copies {
                    if !read.insert(copy.data) {
                        continue;
                    }
                    let key = BackupNames::data(copy.data);
                    let (length, checksum) = (copy.length, Some(copy.checksum));
                    let source = Source { store: self.store(), key: &key, length, checksum };
                    match work.pass(source, None, &mut Unchecked).await {
                        Ok(_) => {
                            checked.objects += 1;
                            checked.bytes += length;
                        }
                        Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
                        Err(error) => note(&mut checked.damage, &key, &error),
                    }
                }
            }
            Ok(checked)
        })
    }

    /// The whole backups, newest first, but for those that somebody is about to delete.
    pub(super) async fn found(&self) -> Result<Vec<Found>> {
        let doomed = self.doomed().await?;
        let found = self.inventories(&doomed).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let has = async |prefix| self.store().list(prefix).await.map(|listed| !listed.is_empty());
        let why = if has(BackupNames::UNFINISHED).await? {
            "; one was begun and never came to its end"
        } else if has("catalogue/").await? {
            "; there is a database"
        } else {
            ""
        };
        Err(Error::new(ErrorKind::NotFound, format!("there is no whole backup there{why}")))
    }

    /// The same, or none.
    pub(super) async fn inventories(&self, doomed: &PrunePlan) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for listed in self.store().list(BackupNames::INVENTORIES).await? {
            // A file of another name is not ours and does not stop us.
            let Some((created_ms, id)) = BackupNames::of_inventory(&listed.key) else { continue };
            if doomed.backups.contains(&(created_ms, id)) {
                continue;
            }
            let bytes = match self.store().get(&listed.key).await {
                Err(error) if error.kind() == StoreErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            let inventory = decode(&listed.key, &bytes).and_then(|inventory| {
                match (inventory.created_ms, inventory.id, inventory.expires_ms) {
                    (at, of, None) if (at, of) == (created_ms, id) => Ok(inventory),
                    _ => Err(not_its_own(&listed.key)),
                }
            });
            found.push(Found { key: listed.key, created_ms, id, inventory });
        }
        Ok(found)
    }

    /// What backups have noted that are being made or were given up. What cannot be read counts for nothing.
    pub(super) async fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let mut found = Vec::new();
        for listed in self.store().list(BackupNames::UNFINISHED).await? {
            let Some((id, nth)) = BackupNames::of_unfinished(&listed.key) else { continue };
            let bytes = match self.store().get(&listed.key).await {
                Err(error) if error.kind() == StoreErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            let unreadable = Inventory {
                id,
                created_ms: 0,
                expires_ms: Some(0),
                collections: Vec::new(),
                copies: Vec::new(),
            };
            let noted = decode(&listed.key, &bytes).ok().filter(|noted| noted.id == id);
            let inventory = noted.unwrap_or(unreadable);
            found.push(Unfinished { id, nth, inventory });
        }
        Ok(found)
    }

    /// All that somebody has said to be about to delete.
    pub(super) async fn doomed(&self) -> Result<PrunePlan> {
        let mut doomed = PrunePlan::default();
        for (_, plan) in self.plans().await? {
            doomed.backups.extend(plan.backups);
            doomed.unfinished.extend(plan.unfinished);
        }
        Ok(doomed)
    }

    pub(super) async fn plans(&self) -> Result<Vec<(String, PrunePlan)>> {
        let mut plans = Vec::new();
        for listed in self.store().list(BackupNames::PLANS).await? {
            let bytes = match self.store().get(&listed.key).await {
                Err(error) if error.kind() == StoreErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            let plan = PrunePlan::decode(&bytes).map(|(plan, _)| plan);
            let plan = plan.map_err(|error| Error::format(&listed.key, error))?;
            plans.push((listed.key, plan));
        }
        Ok(plans)
    }

    /// Puts a small object whose name nobody else ever wants.
    pub(super) async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        match decide(&self.env, key, bytes.into()).await? {
            Decided::Ours => Ok(()),
            Decided::Theirs(_) => Err(Error::internal(format!("{key}: a random name is taken"))),
        }
    }
}

fn decode(key: &str, bytes: &[u8]) -> Result<Inventory> {
    Inventory::decode(bytes)
        .map(|(inventory, _)| inventory)
        .map_err(|error| Error::format(key, error))
}

fn not_its_own(key: &str) -> Error {
    Error::new(ErrorKind::Corruption, format!("{key}: the inventory of another backup"))
}
