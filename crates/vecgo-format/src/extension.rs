use std::collections::BTreeMap;

use crate::FormatError;
use crate::codec::{Decoder, Encoder};

/// What later builds say of a collection or a segment, by kind. This one knows no kind and passes them on: none
/// of them changes what it reads or writes, since what would is marked as required, and refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions(BTreeMap<u16, Vec<u8>>);

impl FromIterator<(u16, Vec<u8>)> for Extensions {
    fn from_iter<T: IntoIterator<Item = (u16, Vec<u8>)>>(said: T) -> Self {
        Self(said.into_iter().collect())
    }
}

impl Extensions {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.length(self.0.len());
        for (kind, said) in &self.0 {
            out.u16(*kind);
            out.u8(0);
            out.bytes(said);
        }
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        let mut said = BTreeMap::new();
        for _ in 0..bytes.length()? {
            let (kind, required) = (bytes.u16()?, bytes.u8()?);
            if required != 0 {
                return Err(bytes.unknown(format!("extension of kind {kind}")));
            }
            if said.last_key_value().is_some_and(|(last, _)| *last >= kind) {
                return Err(bytes.invalid(format!("extension {kind} out of order")));
            }
            said.insert(kind, bytes.bytes()?.to_vec());
        }
        Ok(Self(said))
    }
}
