//! Where things are: the keys of every object of a database.

use std::fmt;

use crate::FormatError;

/// The random 128 bits that a collection is known by, whatever it is called. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub u128);

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The part of a name that is never used again: the creator's epoch and random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Epoch of the writer that created the object.
    pub epoch: u64,
    /// Random bits.
    pub random: u64,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}", self.epoch, self.random)
    }
}

impl ObjectName {
    /// Reads a name back from the last part of a key.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if it is no such name.
    pub fn of(key: &str) -> Result<Self, FormatError> {
        let name = key.rsplit('/').next().unwrap_or(key);
        let part = |part: &str| u64::from_str_radix(part, 16).ok();
        let parts = name.split_once('-').map(|(epoch, random)| (part(epoch), part(random)));
        if let Some((Some(epoch), Some(random))) = parts
            && (Self { epoch, random }).to_string() == name
        {
            return Ok(Self { epoch, random });
        }
        let detail = format!("{key:?}; expected it to end in an epoch and a random number");
        Err(FormatError::Invalid { what: "object name", offset: 0, detail })
    }
}

/// Key of catalogue manifest `number`. The newest comes first in a listing.
pub fn catalogue_key(number: u64) -> String {
    format!("catalogue/{:020}", u64::MAX - number)
}

/// Reads the number back from the key of a manifest or catalogue manifest.
///
/// # Errors
/// [`FormatError::Invalid`] if the last part of the key is no such name.
pub fn number_of(key: &str) -> Result<u64, FormatError> {
    let inverted = plain_number_of(key)?;
    match u64::MAX - inverted {
        u64::MAX => Err(not_a_name(key)),
        number => Ok(number),
    }
}

fn plain_number_of(key: &str) -> Result<u64, FormatError> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let digits = name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit());
    // Nothing is numbered with the last number, or there would be none for the next.
    let number = name.parse::<u64>().ok().filter(|number| digits && *number < u64::MAX);
    number.ok_or_else(|| not_a_name(key))
}

fn not_a_name(key: &str) -> FormatError {
    let detail = format!("{key:?}; expected it to end in a number of 20 digits");
    FormatError::Invalid { what: "object name", offset: 0, detail }
}

/// The keys of one collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionNames(pub Identity);

impl CollectionNames {
    /// What all its keys begin with.
    pub fn prefix(&self) -> String {
        format!("collections/{}/", self.0)
    }

    /// Prefix of its manifests.
    pub fn manifests(&self) -> String {
        format!("{}manifest/", self.prefix())
    }

    /// Key of manifest `number`. The newest comes first in a listing.
    pub fn manifest(&self, number: u64) -> String {
        format!("{}{:020}", self.manifests(), u64::MAX - number)
    }

    /// Prefix of its logs.
    pub fn logs(&self) -> String {
        format!("{}log/", self.prefix())
    }

    /// Key of log `number`.
    pub fn log(&self, number: u64) -> String {
        format!("{}{number:020}", self.logs())
    }

    /// Reads the number back from a key of [`CollectionNames::log`].
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if the last part of the key is no such name.
    pub fn log_number(&self, key: &str) -> Result<u64, FormatError> {
        plain_number_of(key)
    }

    /// Key of a segment.
    pub fn segment(&self, name: ObjectName) -> String {
        format!("{}{name}", self.segments())
    }

    /// Key of a delete object.
    pub fn deletes(&self, name: ObjectName) -> String {
        format!("{}{name}", self.all_deletes())
    }

    /// Prefix of its pins.
    pub fn pins(&self) -> String {
        format!("{}pin/", self.prefix())
    }

    /// Key of a pin.
    pub fn pin(&self, name: ObjectName) -> String {
        format!("{}{name}", self.pins())
    }

    /// Prefix of its segments.
    pub fn segments(&self) -> String {
        format!("{}segment/", self.prefix())
    }

    /// Prefix of its delete objects.
    pub fn all_deletes(&self) -> String {
        format!("{}deletes/", self.prefix())
    }

    /// Key of the file that the writer holds locked, in a directory. It is no object, and is never
    /// listed or deleted.
    pub fn lock(&self) -> String {
        format!("{}.lock", self.prefix())
    }
}

/// The keys of a place that backups are in. Each is made of numbers.
#[derive(Debug, Clone, Copy)]
pub struct BackupNames;

impl BackupNames {
    /// What all its keys begin with.
    pub const PREFIX: &str = "backup/";
    /// Prefix of the inventories of whole backups.
    pub const INVENTORIES: &str = "backup/inventory/";
    /// Prefix of the notes of backups that are being made.
    pub const UNFINISHED: &str = "backup/unfinished/";
    /// Prefix of plans to delete some.
    pub const PLANS: &str = "backup/prune/";
    /// Prefix of the copies.
    pub const DATA: &str = "backup/data/";

    /// Key of the inventory of a backup. The newest comes first in a listing.
    pub fn inventory(created_ms: u64, id: u64) -> String {
        format!("{}{:020}-{id:016x}", Self::INVENTORIES, u64::MAX - created_ms)
    }

    /// When a backup was begun, and its id, of a key of [`BackupNames::inventory`].
    pub fn of_inventory(key: &str) -> Option<(u64, u64)> {
        let name = key.strip_prefix(Self::INVENTORIES)?;
        let (inverted, id) = name.split_once('-')?;
        let created_ms = u64::MAX - inverted.parse::<u64>().ok()?;
        let id = u64::from_str_radix(id, 16).ok()?;
        (Self::inventory(created_ms, id) == key).then_some((created_ms, id))
    }

    /// Key of what was noted the n-th time of a backup that is being made.
    pub fn unfinished(id: u64, nth: u64) -> String {
        format!("{}{id:016x}-{nth:020}", Self::UNFINISHED)
    }

    /// The id and the count of a key of [`BackupNames::unfinished`].
    pub fn of_unfinished(key: &str) -> Option<(u64, u64)> {
        let name = key.strip_prefix(Self::UNFINISHED)?;
        let (id, nth) = name.split_once('-')?;
        let (id, nth) = (u64::from_str_radix(id, 16).ok()?, nth.parse::<u64>().ok()?);
        (Self::unfinished(id, nth) == key).then_some((id, nth))
    }

    /// Key of a plan.
    pub fn plan(random: u64) -> String {
        format!("{}{random:016x}", Self::PLANS)
    }

    /// Whether a key is one of [`BackupNames::plan`].
    pub fn is_plan(key: &str) -> bool {
        let random = key.strip_prefix(Self::PLANS);
        let random = random.and_then(|random| u64::from_str_radix(random, 16).ok());
        random.is_some_and(|random| Self::plan(random) == key)
    }

    /// Key of a copy.
    pub fn data(number: u128) -> String {
        format!("{}{number:032x}", Self::DATA)
    }

    /// The number of a key of [`BackupNames::data`].
    pub fn of_data(key: &str) -> Option<u128> {
        let number = u128::from_str_radix(key.strip_prefix(Self::DATA)?, 16).ok()?;
        (Self::data(number) == key).then_some(number)
    }
}
