//! The versions that are copied, each kept by a pin for as long as that takes.

use vecgo_format::{CollectionNames, Entry, ObjectRef, Original, SegmentRef};
use vecgo_io::Access;

use super::copy::{Check, DeletesCheck};
use super::inventory::original;
use super::leases::LEASE;
use crate::catalogue::find;
use crate::manifest::{self, Committed};
use crate::segment::SegmentCheck;
use crate::vacuum::{Named, objects};
use crate::{Collection, Database, Pin, Result};

/// Which collections are copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WhichCollections {
    /// All of them.
    #[default]
    All,
    /// One.
    One(String),
    /// One, at a version that is kept.
    At(String, u64),
}

impl WhichCollections {
    /// The name of the one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::One(name) | Self::At(name, _) => Some(name),
        }
    }
}

/// A version of a collection to be copied.
pub(super) struct Taken {
    pub(super) name: String,
    pub(super) entry: Entry,
    pub(super) committed: Option<Committed>,
}

impl Taken {
    pub(super) fn names(&self) -> CollectionNames {
        CollectionNames(self.entry.identity)
    }

    /// The objects that it names, each once.
    pub(super) fn objects(&self) -> Vec<Part<'_>> {
        let Some(committed) = &self.committed else { return Vec::new() };
        let manifest = &committed.manifest;
        let mut parts: Vec<Part<'_>> = Vec::new();
        for (kind, object) in objects(manifest) {
            let original = original(kind, object.name);
            if parts.iter().any(|part| part.original == original) {
                continue;
            }
            let key = match kind {
                Named::Segment => self.names().segment(object.name),
                Named::Deletes => self.names().deletes(object.name),
            };
            let segment = manifest.segments.iter().find(|named| named.object.name == object.name);
            parts.push(Part { original, key, object, segment });
        }
        parts
    }
}

/// An object that a version names.
pub(super) struct Part<'a> {
    pub(super) original: Original,
    pub(super) key: String,
    pub(super) object: ObjectRef,
    pub(super) segment: Option<&'a SegmentRef>,
}

impl Part<'_> {
    /// What its bytes have to be.
    pub(super) fn check(&self) -> Box<dyn Check> {
        match self.segment {
            Some(segment) => Box::new(SegmentCheck::new(segment)),
            None => Box::new(DeletesCheck { named: self.object, bytes: Vec::new() }),
        }
    }
}

impl Database {
    /// The versions that are meant, taken one right after the other.
    pub(super) async fn take(&self, which: &WhichCollections) -> Result<Vec<Taken>> {
        let (catalogue, _) = self.inner.chain.newest().await?;
        let named = match which.name() {
            None => catalogue.collections.clone(),
            Some(name) => {
                let entry = find(&catalogue, name)?.clone();
                [(name.to_owned(), entry)].into()
            }
        };
        let mut taken = Vec::new();
        for (name, entry) in named {
            let names = CollectionNames(entry.identity);
            let committed = match which {
                WhichCollections::At(_, version) => {
                    Some(manifest::at(self.env(), names, *version).await?)
                }
                _ => manifest::newest(&*self.env().store, names).await?,
            };
            taken.push(Taken { name, entry, committed });
        }
        Ok(taken)
    }

    /// Keeps them until the pins are released. A database that is open for reading writes none: a version that
    /// is gone meanwhile is found to be.
    pub(super) async fn pin(&self, taken: &[Taken], holder: &str) -> Result<Vec<Pin>> {
        let mut pins = Vec::new();
        if self.inner.access == Access::Read {
            return Ok(pins);
        }
        for one in taken {
            let Some(committed) = &one.committed else { continue };
            let collection = Collection::unread(&self.inner.runtime, &one.name, &one.entry);
            match collection.pin(committed.manifest.number, LEASE, holder).await {
                Ok(pin) => pins.push(pin),
                Err(error) => {
                    release(&pins).await;
                    return Err(error);
                }
            }
        }
        Ok(pins)
    }
}

/// What is not released expires by itself.
pub(super) async fn release(pins: &[Pin]) {
    for pin in pins {
        let _ = pin.release().await;
    }
}
