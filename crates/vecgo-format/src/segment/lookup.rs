use crate::codec::{Decoder, Encoder};
use crate::{FormatError, Id};

const WHAT: &str = "lookup section";

/// Which rows of a segment an id may name: 12 bytes a row.
///
/// Hashes of number ids are a bijection, so a match is the row; a match of a text id must be
/// checked against the row's id.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Of the hashes of text ids.
    seed: u64,
    numbers: Column,
    texts: Column,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Column {
    /// Ascending.
    hashes: Vec<u64>,
    rows: Vec<u32>,
}

impl Lookup {
    /// The lookup of a segment's ids, row 0 first, under a seed that nobody can know before.
    pub fn build<'a>(seed: u64, ids: impl Iterator<Item = &'a Id>) -> Self {
        let mut pairs: [Vec<(u64, u32)>; 2] = [Vec::new(), Vec::new()];
        for (row, id) in (0u32..).zip(ids) {
            let column = usize::from(matches!(id, Id::Text(_)));
            pairs[column].push((id.lookup_hash(seed), row));
        }
        let [numbers, texts] = pairs.map(Column::new);
        Self { seed, numbers, texts }
    }

    /// Rows that the id may name; for a number at most one, and for certain.
    pub fn candidates(&self, id: &Id) -> &[u32] {
        let column = match id {
            Id::Number(_) => &self.numbers,
            Id::Text(_) => &self.texts,
        };
        column.find(id.lookup_hash(self.seed))
    }

    /// Bytes held in memory.
    pub fn memory_bytes(&self) -> usize {
        (self.numbers.rows.len() + self.texts.rows.len()) * 12
    }

    /// Contents of the section.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u64(self.seed);
        for column in [&self.numbers, &self.texts] {
            out.u32(u32::try_from(column.rows.len()).unwrap_or(u32::MAX));
        }
        for column in [&self.numbers, &self.texts] {
            column.hashes.iter().for_each(|hash| out.u64(*hash));
            column.rows.iter().for_each(|row| out.u32(*row));
        }
        out.finish()
    }

    /// Reads the section of a segment of `rows` rows.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are no lookup of so many rows.
    pub fn decode(bytes: &[u8], rows: u32) -> Result<Self, FormatError> {
        let mut bytes = Decoder::new(WHAT, bytes);
        let (seed, numbers, texts) = (bytes.u64()?, bytes.u32()?, bytes.u32()?);
        if numbers.checked_add(texts) != Some(rows) {
            return Err(bytes.invalid(format!("{numbers} + {texts} ids for {rows} rows")));
        }
        let lookup = Self {
            seed,
            numbers: Column::decode(&mut bytes, numbers, rows, true)?,
            texts: Column::decode(&mut bytes, texts, rows, false)?,
        };
        bytes.expect_end()?;
        Ok(lookup)
    }
}

impl Column {
    fn new(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        Self {
            hashes: pairs.iter().map(|(hash, _)| *hash).collect(),
            rows: pairs.iter().map(|(_, row)| *row).collect(),
        }
    }

    fn find(&self, hash: u64) -> &[u32] {
        let first = self.first_at_least(hash);
        let matches = self.hashes[first..].iter().take_while(|found| **found == hash).count();
        &self.rows[first..first + matches]
    }

    /// Interpolation search, then galloping: hashes are spread evenly, so the first guess is a
    /// few entries off whatever the size of the segment.
    fn first_at_least(&self, hash: u64) -> usize {
        let n = self.hashes.len();
        let guess = usize::try_from((u128::from(hash) * n as u128) >> 64).unwrap_or(n);
        let mut step = 1usize;
        let (low, high) = if self.hashes.get(guess).is_some_and(|found| *found < hash) {
            let mut low = guess;
            let mut high = (guess + step).min(n);
            while high < n && self.hashes[high] < hash {
                low = high;
                step *= 2;
                high = (high + step).min(n);
            }
            (low, high)
        } else {
            let mut high = guess.min(n);
            let mut low = high.saturating_sub(step);
            while low > 0 && self.hashes[low] >= hash {
                high = low;
                step *= 2;
                low = low.saturating_sub(step);
            }
            (low, high)
        };
        low + self.hashes[low..high].partition_point(|found| *found < hash)
    }

    fn decode(
        bytes: &mut Decoder<'_>,
        n: u32,
        rows: u32,
        unique: bool,
    ) -> Result<Self, FormatError> {
        let n = n as usize;
        let mut column = Self::default();
        for chunk in bytes.raw(n.saturating_mul(8))?.chunks_exact(8) {
            let mut hash = [0u8; 8];
            hash.copy_from_slice(chunk);
            column.hashes.push(u64::from_le_bytes(hash));
        }
        for chunk in bytes.raw(n.saturating_mul(4))?.chunks_exact(4) {
            let mut row = [0u8; 4];
            row.copy_from_slice(chunk);
            column.rows.push(u32::from_le_bytes(row));
        }
        if !column.hashes.is_sorted_by(|a, b| if unique { a < b } else { a <= b }) {
            return Err(bytes.invalid("hashes out of order"));
        }
        match column.rows.iter().find(|row| **row >= rows) {
            Some(row) => Err(bytes.invalid(format!("row {row} of {rows}"))),
            None => Ok(column),
        }
    }
}
