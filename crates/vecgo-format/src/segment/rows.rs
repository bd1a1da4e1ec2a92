//! The columns that stand for a row's id, document and payload.

use std::ops::Range;

use crate::id::MOST_ID_BYTES_READ;
use crate::{FormatError, Id, IdError};

/// Builds the id sections of a segment.
#[derive(Debug, Default)]
pub struct IdColumn {
    values: Vec<u8>,
    kinds: Vec<u8>,
    text: Vec<u8>,
    rows: usize,
}

/// A text id's entry is its offset in the text section, shifted, and its length.
const LENGTH_BITS: u32 = 10;
const _: () = assert!(MOST_ID_BYTES_READ < 1 << LENGTH_BITS);

impl IdColumn {
    /// Adds the id of the next row.
    pub fn push(&mut self, id: &Id) {
        if self.rows.is_multiple_of(8) {
            self.kinds.push(0);
        }
        let value = match id {
            Id::Number(number) => *number,
            Id::Text(text) => {
                if let Some(last) = self.kinds.last_mut() {
                    *last |= 1 << (self.rows % 8);
                }
                let entry = ((self.text.len() as u64) << LENGTH_BITS) | text.len() as u64;
                self.text.extend_from_slice(text.as_bytes());
                entry
            }
        };
        self.values.extend_from_slice(&value.to_le_bytes());
        self.rows += 1;
    }

    /// Contents of the `Ids` section.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// Contents of the `IdKinds` section, if there is one.
    pub fn kinds(&self) -> Option<&[u8]> {
        (!self.text.is_empty()).then_some(self.kinds.as_slice())
    }

    /// Contents of the `IdText` section, if there is one.
    pub fn text(&self) -> Option<&[u8]> {
        (!self.text.is_empty()).then_some(self.text.as_slice())
    }

    /// Where in the text section a row's id stands, given its entry in the `Ids` section.
    pub fn text_range(entry: u64) -> Range<u64> {
        let start = entry >> LENGTH_BITS;
        start..start + (entry & ((1 << LENGTH_BITS) - 1))
    }

    /// The text id that the bytes are.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if they are not UTF-8 or of a length that no id has.
    pub fn text_id(bytes: &[u8]) -> Result<Id, FormatError> {
        let invalid = |detail: String| FormatError::Invalid { what: "id", offset: 0, detail };
        let text = std::str::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
        match text.len() {
            0 => Err(invalid(IdError::Empty.to_string())),
            found if found > MOST_ID_BYTES_READ => {
                Err(invalid(IdError::TooLong { found }.to_string()))
            }
            _ => Ok(Id::from(text)),
        }
    }
}

/// The top bit of an entry: this row has a value, if only an empty one.
const PRESENT: u64 = 1 << 63;

/// Contents of a spans section, from each row's length: `rows + 1` offsets, the top bit of one
/// telling an empty value from none.
pub fn encode_spans(lengths: impl Iterator<Item = Option<usize>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0u64;
    for length in lengths {
        let present = if length.is_some() { PRESENT } else { 0 };
        out.extend_from_slice(&(at | present).to_le_bytes());
        at = at.saturating_add(length.unwrap_or(0) as u64);
    }
    out.extend_from_slice(&at.to_le_bytes());
    out
}

/// Reads entries of a spans section.
#[derive(Debug)]
pub struct Spans;

impl Spans {
    /// Bytes to read for one row, at `row * 8`: its entry and the next.
    pub const BYTES: usize = 16;

    /// Where the row's value stands, `None` if it has none.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if the entries are out of order.
    pub fn range(entries: [u8; Self::BYTES]) -> Result<Option<Range<u64>>, FormatError> {
        let [first, next] = [0, 8].map(|at| {
            let mut entry = [0u8; 8];
            entry.copy_from_slice(&entries[at..at + 8]);
            u64::from_le_bytes(entry)
        });
        let (start, end) = (first & !PRESENT, next & !PRESENT);
        if start > end {
            return Err(FormatError::Invalid {
                what: "spans section",
                offset: 0,
                detail: format!("entry {start} after entry {end}"),
            });
        }
        Ok((first & PRESENT != 0).then_some(start..end))
    }
}
