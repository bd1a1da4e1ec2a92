use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use vecgo_format::{BackupNames, Inventory, PrunePlan};
use vecgo_io::{BoxFuture, Env, PutOutcome, Store, StoreErrorKind};

use super::copy::{Copying, Source, Unchecked, Work};
use super::inventory::{BackupInfo, WhichBackup, check, info};
use crate::manifest::{Decided, decide};
use crate::verify::Damage;
use crate::{Error, ErrorKind, Result};

/// A larger inventory is none.
const MOST_INVENTORY_BYTES: u64 = 1 << 30;

/// A place that backups are in, or will be: a store of which they have the keys below `backup/`.
#[derive(Debug, Clone)]
pub struct BackupPlace {
    pub(super) env: Env,
}

/// What checking backups found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
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

/// What tells a backup from others: the newest sorts last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) created_ms: u64,
    pub(super) id: u64,
}

impl Name {
    pub(super) fn key(self) -> String {
        BackupNames::inventory(self.created_ms, self.id)
    }
}

/// The number of a note that stands for a maker which was given up: it is the last, and stays.
pub(super) const GIVEN_UP: u64 = u64::MAX;

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
        Box::pin(async move {
            let mut listed = Vec::new();
            for name in self.whole_or_why().await? {
                if let Some(inventory) = self.inventory(name).await.transpose() {
                    listed.push(info(name, &inventory));
                }
            }
            Ok(listed)
        })
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
            let (name, inventory) = self.choose(&which, collection).await?;
            Ok(info(name, &Ok(inventory)))
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
            let names = match which {
                None => self.whole_or_why().await?,
                Some(which) => vec![self.choose(&which, None).await?.0],
            };
            let (mut checked, mut read) = (CheckedBackups::default(), BTreeSet::new());
            let mut work = Work::new(&self.env, copying, None);
            for name in names {
                let mut found = checked.clone();
                self.verify_one(name, &mut work, &mut found, &mut read).await?;
                // One that somebody deletes meanwhile is no damage.
                if found.damage.len() == checked.damage.len() || self.is_there(name).await? {
                    checked = found;
                }
            }
            Ok(checked)
        })
    }

    async fn verify_one(
        &self,
        name: Name,
        work: &mut Work<'_>,
        found: &mut CheckedBackups,
        read: &mut BTreeSet<u128>,
    ) -> Result<()> {
        let note = |damage: &mut Vec<Damage>, key: &str, error: &Error| {
            damage.push(Damage { key: key.to_owned(), message: error.to_string() });
        };
        let inventory = match self.inventory(name).await {
            Ok(None) => return Ok(()),
            Ok(Some(inventory)) => check(&inventory).map(|()| inventory),
            Err(error) => Err(error),
        };
        let inventory = match inventory {
            Ok(inventory) => inventory,
            Err(error) => {
                note(&mut found.damage, &name.key(), &error);
                return Ok(());
            }
        };
        found.backups += 1;
        for copy in inventory.copies {
            if !read.insert(copy.data) {
                continue;
            }
            let key = BackupNames::data(copy.data);
            let (length, checksum) = (copy.length, Some(copy.checksum));
            let source = Source { store: self.store(), key: &key, length, checksum };
            match work.pass(source, None, &mut Unchecked).await {
                Ok(_) => {
                    found.objects += 1;
                    found.bytes = found.bytes.saturating_add(length);
                }
                Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
                Err(error) => note(&mut found.damage, &key, &error),
            }
        }
        Ok(())
    }

    /// Whether a backup is there and whole.
    pub(super) async fn is_there(&self, name: Name) -> Result<bool> {
        Ok(self.whole().await?.contains(&name))
    }

    /// The whole backups, newest first; an error if there are none.
    pub(super) async fn whole_or_why(&self) -> Result<Vec<Name>> {
        let whole = self.whole().await?;
        if !whole.is_empty() {
            return Ok(whole);
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

    /// The same, or none: inventories of which there is no note any more. That it is gone says that the backup
    /// counts, so notes are looked for last.
    pub(super) async fn whole(&self) -> Result<Vec<Name>> {
        let mut names = self.names().await?;
        let noted: BTreeSet<u64> = self.notes().await?.into_keys().collect();
        names.retain(|name| !noted.contains(&name.id));
        Ok(names)
    }

    /// The names of all inventories, newest first. A file of another name is not ours and does not stop us.
    pub(super) async fn names(&self) -> Result<Vec<Name>> {
        let listed = self.store().list(BackupNames::INVENTORIES).await?;
        let names = listed.iter().filter_map(|listed| BackupNames::of_inventory(&listed.key));
        Ok(names.map(|(created_ms, id)| Name { created_ms, id }).collect())
    }

    /// An inventory; `None` if it has been deleted.
    pub(super) async fn inventory(&self, name: Name) -> Result<Option<Inventory>> {
        let key = name.key();
        let Some(inventory) = self.read(&key).await? else { return Ok(None) };
        match (inventory.created_ms, inventory.id, inventory.expires_ms) {
            (at, id, None) if (at, id) == (name.created_ms, name.id) => Ok(Some(inventory)),
            _ => {
                let message = format!("{key}: the inventory of another backup");
                Err(Error::new(ErrorKind::Corruption, message))
            }
        }
    }

    /// The numbers of the notes there are, by the id of their maker.
    pub(super) async fn notes(&self) -> Result<BTreeMap<u64, BTreeSet<u64>>> {
        let mut notes: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for listed in self.store().list(BackupNames::UNFINISHED).await? {
            if let Some((id, nth)) = BackupNames::of_unfinished(&listed.key) {
                notes.entry(id).or_default().insert(nth);
            }
        }
        Ok(notes)
    }

    /// What a maker has noted; `None` if that has been deleted.
    pub(super) async fn note(&self, id: u64, nth: u64) -> Result<Option<Inventory>> {
        self.read(&BackupNames::unfinished(id, nth)).await
    }

    async fn read(&self, key: &str) -> Result<Option<Inventory>> {
        let object = match self.store().open(key, None).await {
            Err(error) if error.kind() == StoreErrorKind::NotFound => return Ok(None),
            object => object?,
        };
        if object.length() > MOST_INVENTORY_BYTES {
            let message = format!("{key}: {} bytes are no inventory", object.length());
            return Err(Error::new(ErrorKind::Corruption, message));
        }
        let bytes = match vecgo_io::read_range(&*object, key, 0..object.length()).await {
            Err(error) if error.kind() == StoreErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let decoded = Inventory::decode(&bytes).map(|(inventory, _)| inventory);
        decoded.map(Some).map_err(|error| Error::format(key, error))
    }

    /// What somebody has said to be about to delete, and the keys of the plans that say so.
    ///
    /// # Errors
    /// Of a plan that cannot be read: nobody knows what it is about.
    pub(super) async fn plans(&self) -> Result<(PrunePlan, Vec<String>)> {
        self.read_plans(None).await
    }

    /// The same, but for one of them.
    pub(super) async fn plans_but(&self, own: &str) -> Result<PrunePlan> {
        Ok(self.read_plans(Some(own)).await?.0)
    }

    async fn read_plans(&self, but: Option<&str>) -> Result<(PrunePlan, Vec<String>)> {
        let (mut all, mut keys) = (PrunePlan::default(), Vec::new());
        for listed in self.store().list(BackupNames::PLANS).await? {
            if !BackupNames::is_plan(&listed.key) || but == Some(&*listed.key) {
                continue;
            }
            let bytes = match self.store().get(&listed.key).await {
                Err(error) if error.kind() == StoreErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            let plan = PrunePlan::decode(&bytes);
            let (plan, _) = plan.map_err(|error| Error::format(&listed.key, error))?;
            all.backups.extend(plan.backups);
            all.unfinished.extend(plan.unfinished);
            keys.push(listed.key);
        }
        Ok((all, keys))
    }

    /// Puts a small object whose name nobody else ever wants, once.
    ///
    /// # Errors
    /// After one of kind `OutcomeUnknown` it may be there, now or later.
    pub(super) async fn put_once(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        match self.store().put_if_absent(key, bytes.into()).await? {
            PutOutcome::Committed => Ok(()),
            PutOutcome::Conflict => {
                // One that was sent once and came twice has met itself.
                let message = format!("{key}: taken, perhaps by the very put that was told so");
                Err(Error::new(ErrorKind::OutcomeUnknown, message))
            }
            PutOutcome::Unknown(error) => {
                Err(Error::from(error).with_kind(ErrorKind::OutcomeUnknown))
            }
        }
    }

    /// Says that nothing of a maker counts; whether it was this call that did.
    pub(super) async fn mark_given_up(&self, id: u64) -> Result<bool> {
        // Others may do so at the same time: the moment tells whose mark it is.
        let (created_ms, expires_ms) = (self.env.rand.next_u64(), Some(0));
        let given_up = Inventory { id, created_ms, expires_ms, ..Inventory::default() };
        let key = BackupNames::unfinished(id, GIVEN_UP);
        let decided = decide(&self.env, &key, given_up.encode().0.into()).await?;
        Ok(matches!(decided, Decided::Ours))
    }

    /// The same, until it is answered.
    pub(super) async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        match decide(&self.env, key, bytes.into()).await? {
            Decided::Ours => Ok(()),
            Decided::Theirs(_) => Err(Error::internal(format!("{key}: a random name is taken"))),
        }
    }
}
