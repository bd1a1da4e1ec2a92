//! The versions that are copied, each kept by a pin for as long as that takes.

use vecgo_format::{CollectionNames, Entry, Identity, Manifest, ObjectRef, Original, SegmentRef};
use vecgo_io::Access;

use super::copy::{Check, DeletesCheck};
use super::leases::LEASE;
use crate::catalogue::{find, needs_newer};
use crate::manifest::{self, Committed};
use crate::segment::SegmentCheck;
use crate::vacuum::{Named, objects};
use crate::{Collection, Database, ErrorKind, Pin, Result};

/// Versions in a row that are gone before there is a pin.
const MOST_TRIES: usize = 100;

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

    /// What tells it from others.
    pub(super) fn version(&self) -> (Identity, u64) {
        let number = self.committed.as_ref().map_or(0, |committed| committed.manifest.number);
        (self.entry.identity, number)
    }

    /// The objects that it names, each once.
    pub(super) fn objects(&self) -> Vec<Part<'_>> {
        self.committed.as_ref().map(|committed| parts_of(&committed.manifest)).unwrap_or_default()
    }
}

/// The objects that a version names, each once.
pub(super) fn parts_of(manifest: &Manifest) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (kind, object) in objects(manifest) {
        // One delete object may serve many segments.
        if parts.iter().any(|part| (part.kind, part.object.name) == (kind, object.name)) {
            continue;
        }
        let segment = manifest.segments.iter().find(|named| named.object.name == object.name);
        parts.push(Part { kind, object, segment });
    }
    parts
}

/// An object that a version names.
pub(super) struct Part<'a> {
    kind: Named,
    pub(super) object: ObjectRef,
    segment: Option<&'a SegmentRef>,
}

impl Part<'_> {
    /// As a backup knows it.
    pub(super) fn original(&self) -> Original {
        match self.kind {
            Named::Segment => Original::Segment(self.object.name),
            Named::Deletes => Original::Deletes(self.object.name),
        }
    }

    /// Its key in a collection that has it.
    pub(super) fn key(&self, of: CollectionNames) -> String {
        self.kind.key(of, self.object.name)
    }

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
            // A backup of all is of all.
            None => match catalogue.newer.first_key_value() {
                Some((name, newer)) => return Err(needs_newer(name, newer)),
                None => catalogue.collections.clone(),
            },
            Some(name) => {
                let entry = find(&catalogue, name)?.clone();
                [(name.to_owned(), entry)].into()
            }
        };
        let mut taken = Vec::new();
        for (name, entry) in named {
            let mut one = Taken { name, entry, committed: None };
            one.committed = self.version(&one, which).await?;
            taken.push(one);
        }
        Ok(taken)
    }

    async fn version(&self, one: &Taken, which: &WhichCollections) -> Result<Option<Committed>> {
        let names = one.names();
        match which {
            WhichCollections::At(_, version) => {
                manifest::at(self.env(), names, *version).await.map(Some)
            }
            _ => manifest::newest(&*self.env().store, names).await,
        }
    }

    /// Keeps them until the pins are released; of one that is gone already its newest version. A database that is
    /// open for reading writes no pins: a version that goes meanwhile is found to be gone.
    pub(super) async fn pin(
        &self,
        taken: &mut [Taken],
        which: &WhichCollections,
        holder: &str,
    ) -> Result<Vec<Pin>> {
        let mut pins = Vec::new();
        if self.inner.access == Access::Read {
            return Ok(pins);
        }
        for one in taken {
            match self.pin_one(one, which, holder).await {
                Ok(pin) => pins.extend(pin),
                Err(error) => {
                    release(&pins).await;
                    return Err(error);
                }
            }
        }
        Ok(pins)
    }

    async fn pin_one(
        &self,
        one: &mut Taken,
        which: &WhichCollections,
        holder: &str,
    ) -> Result<Option<Pin>> {
        let mut tries = 0;
        loop {
            let Some(committed) = &one.committed else { return Ok(None) };
            let collection = Collection::unread(&self.inner.runtime, &one.name, &one.entry);
            let number = committed.manifest.number;
            tries += 1;
            match collection.pin(number, LEASE, holder).await {
                // A writer that keeps few versions commits all the time.
                Err(error)
                    if error.kind() == ErrorKind::VersionGone
                        && !matches!(which, WhichCollections::At(..))
                        && tries < MOST_TRIES =>
                {
                    one.committed = self.version(one, which).await?;
                }
                // A medium that cannot be written: what goes meanwhile is found to be gone, as for a reader.
                Err(error) if error.kind() == ErrorKind::ReadOnly => return Ok(None),
                pin => return pin.map(Some),
            }
        }
    }
}

/// What is not released expires by itself.
pub(super) async fn release(pins: &[Pin]) {
    for pin in pins {
        let _ = pin.release().await;
    }
}
