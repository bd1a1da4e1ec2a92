use crate::codec::{Decoder, Encoder};
use crate::envelope::{self, PIN};
use crate::{FormatError, Identity};

/// Keeps a version that somebody reads, until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The collection.
    pub collection: Identity,
    /// The version.
    pub version: u64,
    /// When it no longer counts, in milliseconds since 1970.
    pub expires_ms: u64,
    /// Who reads, for people to know.
    pub holder: String,
}

impl Pin {
    /// The object's bytes and the checksum that names them.
    pub fn encode(&self) -> (Vec<u8>, u64) {
        let mut out = Encoder::new();
        out.u128(self.collection.0);
        out.u64(self.version);
        out.u64(self.expires_ms);
        out.bytes(self.holder.as_bytes());
        envelope::seal_and_sum(PIN, &out.finish())
    }

    /// Reads a pin and the checksum that names its bytes.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u64), FormatError> {
        let (body, sum) = envelope::open(PIN, bytes)?;
        let mut body = Decoder::new(PIN.what, body);
        let pin = Self {
            collection: Identity(body.u128()?),
            version: body.u64()?,
            expires_ms: body.u64()?,
            holder: body.text()?.to_owned(),
        };
        body.expect_end()?;
        Ok((pin, sum))
    }
}
