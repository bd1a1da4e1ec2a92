//! What a backup holds: versions of collections, and where the copies of their objects are.
//!
//! Nothing in it is a path. Copies are named by numbers, of which [`crate::BackupNames`] makes keys.

use crate::codec::{Decoder, Encoder};
use crate::envelope::{self, BACKUP, PRUNE_PLAN};
use crate::{Entry, Extensions, FormatError, Identity, LogPosition, Manifest, ObjectName};

/// A backup, or one that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Tells it from every other.
    pub id: u64,
    /// When it was begun, in milliseconds since 1970.
    pub created_ms: u64,
    /// Until when it counts as being made, in milliseconds since 1970; `None` once it is whole.
    pub expires_ms: Option<u64>,
    /// The collections, by name.
    pub collections: Vec<BackedUp>,
    /// What of their objects was copied: everything, if it is whole.
    pub copies: Vec<StoredCopy>,
    /// What later builds say of it.
    pub extensions: Extensions,
}

/// A collection in a backup, at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// Its name then.
    pub name: String,
    /// As the catalogue knew it.
    pub entry: Entry,
    /// Live records.
    pub records: u64,
    /// The manifest's bytes; `None` for a collection that was never committed.
    pub manifest: Option<Vec<u8>>,
}

/// A copy of an object, or of a part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredCopy {
    /// The collection whose object it is.
    pub collection: Identity,
    /// What it is a copy of.
    pub original: Original,
    /// The number that it is stored under.
    pub data: u128,
    /// Its length in bytes.
    pub length: u64,
    /// Checksum of all its bytes.
    pub checksum: u64,
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Original {
    /// A segment.
    Segment(ObjectName),
    /// A delete object.
    Deletes(ObjectName),
    /// What a log holds from a place on.
    Log {
        /// The log's number.
        number: u64,
        /// Where it begins.
        from: u64,
        /// Where it ends.
        end: LogPosition,
    },
}

const SEGMENT: u8 = 1;
const DELETES: u8 = 2;
const LOG: u8 = 3;

impl BackedUp {
    /// The version and the checksum that names its bytes; `None` if there is none.
    ///
    /// # Errors
    /// [`FormatError`] if it is no version of this collection.
    pub fn version(&self) -> Result<Option<(Manifest, u64)>, FormatError> {
        let Some(bytes) = &self.manifest else { return Ok(None) };
        let (manifest, checksum) = Manifest::decode(bytes)?;
        if manifest.collection != self.entry.identity
            || !manifest.config.has_vectors_of(&self.entry.config)
        {
            let detail = format!("version {} of another collection", manifest.number);
            return Err(FormatError::Invalid { what: BACKUP.what, offset: 0, detail });
        }
        Ok(Some((manifest, checksum)))
    }
}

impl Inventory {
    /// The object's bytes and the checksum that names them.
    pub fn encode(&self) -> (Vec<u8>, u64) {
        let mut out = Encoder::new();
        out.u64(self.id);
        out.u64(self.created_ms);
        match self.expires_ms {
            None => out.u8(0),
            Some(expires_ms) => {
                out.u8(1);
                out.u64(expires_ms);
            }
        }
        out.length(self.collections.len());
        for collection in &self.collections {
            out.bytes(collection.name.as_bytes());
            collection.entry.encode(&mut out);
            out.u64(collection.records);
            match &collection.manifest {
                None => out.u8(0),
                Some(manifest) => {
                    out.u8(1);
                    out.bytes(manifest);
                }
            }
        }
        out.length(self.copies.len());
        for copy in &self.copies {
            out.u128(copy.collection.0);
            encode_original(copy.original, &mut out);
            out.u128(copy.data);
            out.u64(copy.length);
            out.u64(copy.checksum);
        }
        self.extensions.encode(&mut out);
        envelope::seal_and_sum(BACKUP, &out.finish())
    }

    /// Reads it and the checksum that names its bytes.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u64), FormatError> {
        let (body, sum) = envelope::open(BACKUP, bytes)?;
        let mut body = Decoder::new(BACKUP.what, body);
        let (id, created_ms) = (body.u64()?, body.u64()?);
        let expires_ms = match body.u8()? {
            0 => None,
            1 => Some(body.u64()?),
            tag => return Err(body.invalid(format!("expiry tag {tag}, expected 0 or 1"))),
        };
        let mut collections: Vec<BackedUp> = Vec::new();
        for _ in 0..body.length()? {
            let name = body.text()?.to_owned();
            let (entry, records) = (Entry::decode(&mut body)?, body.u64()?);
            let manifest = match body.u8()? {
                0 => None,
                1 => Some(body.bytes()?.to_vec()),
                tag => return Err(body.invalid(format!("version tag {tag}, expected 0 or 1"))),
            };
            if collections.last().is_some_and(|last| last.name >= name) {
                return Err(body.invalid("names out of order"));
            }
            collections.push(BackedUp { name, entry, records, manifest });
        }
        let mut copies = Vec::new();
        for _ in 0..body.length()? {
            copies.push(StoredCopy {
                collection: Identity(body.u128()?),
                original: decode_original(&mut body)?,
                data: body.u128()?,
                length: body.u64()?,
                checksum: body.u64()?,
            });
        }
        let extensions = Extensions::decode(&mut body)?;
        body.expect_end()?;
        Ok((Self { id, created_ms, expires_ms, collections, copies, extensions }, sum))
    }
}

fn encode_original(original: Original, out: &mut Encoder) {
    match original {
        Original::Segment(name) => {
            out.u8(SEGMENT);
            out.u64(name.epoch);
            out.u64(name.random);
        }
        Original::Deletes(name) => {
            out.u8(DELETES);
            out.u64(name.epoch);
            out.u64(name.random);
        }
        Original::Log { number, from, end } => {
            out.u8(LOG);
            out.u64(number);
            out.u64(from);
            out.u64(end.length);
            out.u64(end.checksum);
        }
    }
}

fn decode_original(bytes: &mut Decoder<'_>) -> Result<Original, FormatError> {
    Ok(match bytes.u8()? {
        SEGMENT => Original::Segment(ObjectName { epoch: bytes.u64()?, random: bytes.u64()? }),
        DELETES => Original::Deletes(ObjectName { epoch: bytes.u64()?, random: bytes.u64()? }),
        LOG => Original::Log {
            number: bytes.u64()?,
            from: bytes.u64()?,
            end: LogPosition { length: bytes.u64()?, checksum: bytes.u64()? },
        },
        tag => return Err(bytes.unknown(format!("copy of kind {tag}"))),
    })
}

/// Backups that are about to be deleted: nobody builds on their copies any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrunePlan {
    /// Whole ones: when they were begun, and their ids.
    pub backups: Vec<(u64, u64)>,
    /// Those that were given up while they were made: their ids, and how often each was noted.
    pub unfinished: Vec<(u64, u64)>,
}

impl PrunePlan {
    /// The object's bytes and the checksum that names them.
    pub fn encode(&self) -> (Vec<u8>, u64) {
        let mut out = Encoder::new();
        for list in [&self.backups, &self.unfinished] {
            out.length(list.len());
            for (first, second) in list {
                out.u64(*first);
                out.u64(*second);
            }
        }
        envelope::seal_and_sum(PRUNE_PLAN, &out.finish())
    }

    /// Reads it and the checksum that names its bytes.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u64), FormatError> {
        let (body, sum) = envelope::open(PRUNE_PLAN, bytes)?;
        let mut body = Decoder::new(PRUNE_PLAN.what, body);
        let mut plan = Self::default();
        for list in [&mut plan.backups, &mut plan.unfinished] {
            for _ in 0..body.length()? {
                list.push((body.u64()?, body.u64()?));
            }
        }
        body.expect_end()?;
        Ok((plan, sum))
    }
}
