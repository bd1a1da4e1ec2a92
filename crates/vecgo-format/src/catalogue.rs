use std::collections::BTreeMap;

use crate::codec::{Decoder, Encoder};
use crate::envelope::{self, CATALOGUE};
use crate::{Config, Extensions, FormatError, Identity, Parent, Schema};

/// A collection as the catalogue knows it. One without a manifest is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What its objects live under.
    pub identity: Identity,
    /// Its configuration.
    pub config: Config,
    /// What it says of the fields of documents, until a manifest says more.
    pub schema: Schema,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// What later builds say of it.
    pub extensions: Extensions,
}

/// The database's own manifest chain: which collections there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// Number in the chain, from 1; 0 is the empty catalogue before the first.
    pub number: u64,
    /// Tells one attempt at a number from every other.
    pub nonce: u64,
    /// The catalogue before.
    pub parent: Parent,
    /// The oldest that is kept: at a lower number nothing counts that comes later.
    pub oldest: u64,
    /// Collections by name.
    pub collections: BTreeMap<String, Entry>,
    /// Those that only a newer build can read, by name.
    pub newer: BTreeMap<String, NewerEntry>,
    /// Dropped collections whose objects may still be there.
    pub dropped: Vec<Identity>,
    /// Collections that are being copied here and are not there yet, with when that began, in milliseconds
    /// since 1970.
    pub arriving: Vec<(Identity, u64)>,
    /// What later builds say of all of it.
    pub extensions: Extensions,
}

/// A collection that a newer build has made, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerEntry {
    bytes: Vec<u8>,
    /// What of it is not known.
    pub why: String,
}

impl Entry {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u128(self.identity.0);
        self.config.encode(out);
        self.schema.encode(out);
        out.u64(self.created_ms);
        self.extensions.encode(out);
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            identity: Identity(bytes.u128()?),
            config: Config::decode(bytes)?,
            schema: Schema::decode(bytes)?,
            created_ms: bytes.u64()?,
            extensions: Extensions::decode(bytes)?,
        })
    }
}

impl Catalogue {
    /// Whether it lists a collection that this build can read, under whatever name.
    pub fn lists(&self, identity: Identity) -> bool {
        self.collections.values().any(|entry| entry.identity == identity)
    }

    /// Whether a collection has this name.
    pub fn has(&self, name: &str) -> bool {
        self.collections.contains_key(name) || self.newer.contains_key(name)
    }

    /// The object's bytes and the checksum that names them.
    pub fn encode(&self) -> (Vec<u8>, u64) {
        let mut out = Encoder::new();
        out.u64(self.number);
        out.u64(self.nonce);
        out.u64(self.parent.number);
        out.u64(self.parent.checksum);
        out.u64(self.oldest);
        let known = self.collections.iter().map(|(name, entry)| {
            let mut out = Encoder::new();
            entry.encode(&mut out);
            (name, out.finish())
        });
        let newer = self.newer.iter().map(|(name, entry)| (name, entry.bytes.clone()));
        let all: BTreeMap<&String, Vec<u8>> = known.chain(newer).collect();
        out.length(all.len());
        for (name, entry) in all {
            out.bytes(name.as_bytes());
            out.bytes(&entry);
        }
        out.length(self.dropped.len());
        for identity in &self.dropped {
            out.u128(identity.0);
        }
        out.length(self.arriving.len());
        for (identity, since_ms) in &self.arriving {
            out.u128(identity.0);
            out.u64(*since_ms);
        }
        self.extensions.encode(&mut out);
        envelope::seal_and_sum(CATALOGUE, &out.finish())
    }

    /// Reads a catalogue and the checksum that names its bytes.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u64), FormatError> {
        let (body, sum) = envelope::open(CATALOGUE, bytes)?;
        let mut body = Decoder::new(CATALOGUE.what, body);
        let mut catalogue = Self {
            number: body.u64()?,
            nonce: body.u64()?,
            parent: Parent { number: body.u64()?, checksum: body.u64()? },
            oldest: body.u64()?,
            ..Self::default()
        };
        if catalogue.oldest > catalogue.number {
            let Catalogue { oldest, number, .. } = catalogue;
            return Err(body.invalid(format!("oldest {oldest} of {number}")));
        }
        let mut last = None;
        for _ in 0..body.length()? {
            let (name, bytes) = (body.text()?, body.bytes()?);
            if last.is_some_and(|last| last >= name) {
                return Err(body.invalid("names out of order"));
            }
            last = Some(name);
            let mut entry = Decoder::new(CATALOGUE.what, bytes);
            match Entry::decode(&mut entry) {
                Ok(known) => {
                    entry.expect_end()?;
                    catalogue.collections.insert(name.to_owned(), known);
                }
                Err(FormatError::Unknown { detail: why, .. }) => {
                    let newer = NewerEntry { bytes: bytes.to_vec(), why };
                    catalogue.newer.insert(name.to_owned(), newer);
                }
                Err(error) => return Err(error),
            }
        }
        for _ in 0..body.length()? {
            catalogue.dropped.push(Identity(body.u128()?));
        }
        for _ in 0..body.length()? {
            catalogue.arriving.push((Identity(body.u128()?), body.u64()?));
        }
        catalogue.extensions = Extensions::decode(&mut body)?;
        body.expect_end()?;
        Ok((catalogue, sum))
    }
}
