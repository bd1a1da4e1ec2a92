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
    /// Dropped collections whose objects may still be there.
    pub dropped: Vec<Identity>,
    /// Collections that are being copied here and are not there yet, with when that began, in milliseconds
    /// since 1970.
    pub arriving: Vec<(Identity, u64)>,
    /// What later builds say of all of it.
    pub extensions: Extensions,
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
    /// The object's bytes and the checksum that names them.
    pub fn encode(&self) -> (Vec<u8>, u64) {
        let mut out = Encoder::new();
        out.u64(self.number);
        out.u64(self.nonce);
        out.u64(self.parent.number);
        out.u64(self.parent.checksum);
        out.u64(self.oldest);
        out.length(self.collections.len());
        for (name, entry) in &self.collections {
            out.bytes(name.as_bytes());
            entry.encode(&mut out);
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
        for _ in 0..body.length()? {
            let name = body.text()?.to_owned();
            let entry = Entry::decode(&mut body)?;
            if catalogue.collections.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(body.invalid("names out of order"));
            }
            catalogue.collections.insert(name, entry);
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
