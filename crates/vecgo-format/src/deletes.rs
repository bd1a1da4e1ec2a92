use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use crate::FormatError;
use crate::codec::{Decoder, Encoder};
use crate::envelope::{self, DELETES};

/// The dead rows of several segments, as one flush found them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteObject {
    /// Every dead row, by segment number.
    pub dead: BTreeMap<u64, RoaringBitmap>,
}

impl DeleteObject {
    /// The object's bytes and the checksum that names them.
    pub fn encode(&self) -> (Vec<u8>, u64) {
        let mut out = Encoder::new();
        out.length(self.dead.len());
        for (segment, rows) in &self.dead {
            out.u64(*segment);
            let mut bytes = Vec::with_capacity(rows.serialized_size());
            // Writing to a vector does not fail.
            let written = rows.serialize_into(&mut bytes);
            debug_assert!(written.is_ok());
            out.bytes(&bytes);
        }
        envelope::seal_and_sum(DELETES, &out.finish())
    }

    /// Reads a delete object and the checksum that names its bytes.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u64), FormatError> {
        let (body, sum) = envelope::open(DELETES, bytes)?;
        let mut body = Decoder::new(DELETES.what, body);
        let mut dead = BTreeMap::new();
        for _ in 0..body.length()? {
            let segment = body.u64()?;
            let mut bytes = body.bytes()?;
            let rows = RoaringBitmap::deserialize_from(&mut bytes)
                .map_err(|error| body.invalid(format!("dead rows: {error}")))?;
            if !bytes.is_empty() {
                return Err(body.invalid(format!("{} bytes after a bitmap", bytes.len())));
            }
            if dead.last_key_value().is_some_and(|(last, _)| *last >= segment) {
                return Err(body.invalid(format!("segment {segment} out of order")));
            }
            dead.insert(segment, rows);
        }
        body.expect_end()?;
        Ok((Self { dead }, sum))
    }
}
