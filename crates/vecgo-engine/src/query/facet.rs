//! The values of a field, counted.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use vecgo_format::{
    Field, FieldKey, FormatError, Place, RawObject, RawValue, SectionKind, field_name, field_path,
};

use super::view::{RowSource, Seen, Snapshot};
use crate::filter::{RowSet, row_of};
use crate::segment::Segment;
use crate::{Error, ErrorKind, Result};

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct Facet {
    /// The value: null, a boolean, a number (an integer if it is one) or a string.
    pub value: Value,
    /// How many records have it.
    pub count: u64,
}

/// Values that are counted at most, and bytes of all of them.
const MAX_VALUES: usize = 1 << 20;
const MAX_BYTES: usize = 64 << 20;
/// If no more than one row in so many counts, their documents are read instead of all values.
const FEW_ONE_IN: u32 = 64;

/// Values, and how many records have each.
#[derive(Debug, Default)]
struct Counts {
    counts: BTreeMap<FieldKey, u64>,
    bytes: usize,
}

impl Counts {
    fn add(&mut self, key: FieldKey, count: u64) -> Result<()> {
        if count > 0 {
            let bytes = key.bytes().len();
            let counted = self.counts.entry(key).or_insert_with(|| {
                self.bytes = self.bytes.saturating_add(bytes);
                0
            });
            *counted += count;
        }
        if self.counts.len() > MAX_VALUES || self.bytes > MAX_BYTES {
            let message = format!(
                "a field of more than {MAX_VALUES} values or {MAX_BYTES} bytes of them to count"
            );
            return Err(Error::new(ErrorKind::ResourceExhausted, message));
        }
        Ok(())
    }

    /// Counts what a field is in a document: a value, or each one in a list once.
    fn add_document(
        &mut self,
        document: &[u8],
        path: &[String],
        wanted: impl Fn(&FieldKey) -> bool,
    ) -> Result<()> {
        let broken = |error: FormatError| Error::format("a document", error);
        let found = RawObject::document(document).and_then(|document| document.find(path));
        let mut keys = Vec::new();
        match found.map_err(broken)? {
            Some(RawValue::List(mut list)) => {
                while let Some(value) = list.next_value().map_err(broken)? {
                    keys.extend(key_of(&value));
                }
                keys.sort_unstable();
                keys.dedup();
            }
            Some(value) => keys.extend(key_of(&value)),
            None => {}
        }
        keys.into_iter().filter(wanted).try_for_each(|key| self.add(key, 1))
    }
}

fn key_of(value: &RawValue<'_>) -> Option<FieldKey> {
    let mut key = FieldKey::default();
    key.set(value);
    key.is_of_scalar().then_some(key)
}

impl Snapshot {
    /// The values that most records have.
    pub(crate) async fn facet(&self, field: &str, most: usize) -> Result<Vec<Facet>> {
        let path = field_path(field);
        let mut counts = Counts::default();
        for (number, source) in self.sources() {
            let seen = self.seen(number, source);
            match source {
                RowSource::Memtable(table) => {
                    let rows = u32::try_from(table.rows_at(self.sequence)).unwrap_or(u32::MAX);
                    for row in (0..rows).filter(|row| seen.has(*row)) {
                        if let Some(row) = table.row(row) {
                            counts.add_document(&row.document, &path, |_| true)?;
                        }
                    }
                }
                RowSource::Segment(live) if live.segment.has(SectionKind::Documents) => {
                    let dead = live.dead.count_at(self.sequence) > 0;
                    let rows = (dead || seen.matched().is_some()).then(|| living(live, seen));
                    let counting = Counting { segment: &live.segment, rows, path: &path };
                    counting.count(&mut counts).await?;
                }
                RowSource::Segment(_) => {}
            }
        }
        let mut counted: Vec<(FieldKey, u64)> = counts.counts.into_iter().collect();
        counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counted.truncate(most);
        let facet = |(key, count): (FieldKey, u64)| Some(Facet { value: key.value()?, count });
        Ok(counted.into_iter().filter_map(facet).collect())
    }
}

fn living(live: &crate::segment::LiveSegment, seen: Seen<'_>) -> RowSet {
    let rows = live.segment.rows();
    let mut living = RowSet::none(rows);
    (0..rows).filter(|row| seen.has(*row)).for_each(|row| living.insert(row));
    living
}

/// A segment whose values are counted.
struct Counting<'a> {
    segment: &'a Segment,
    /// Those that count, if not all.
    rows: Option<RowSet>,
    path: &'a [String],
}

impl Counting<'_> {
    async fn count(&self, counts: &mut Counts) -> Result<()> {
        let (fields, name) = (self.segment.fields().await?, field_name(self.path));
        let held = [false, true].map(|elements| fields.find(&name, elements));
        let few = |rows: &RowSet| rows.count() <= self.segment.rows() / FEW_ONE_IN;
        // The values in lists may be beyond the last field that is held.
        let beyond = fields.may_have(&name) && held.iter().any(Option::is_none);
        if beyond || self.rows.as_ref().is_some_and(few) {
            let all = RowSet::all(self.segment.rows());
            let rows = self.rows.as_ref().unwrap_or(&all);
            for row in rows.iter() {
                let document = self.segment.document(row).await?;
                counts.add_document(&document, self.path, |_| true)?;
            }
            return Ok(());
        }
        for field in held.into_iter().flatten() {
            self.count_field(field, counts).await?;
        }
        Ok(())
    }

    async fn count_field(&self, field: &Field, counts: &mut Counts) -> Result<()> {
        let mut page = 0;
        while let Some(bytes) = self.page(field, page).await? {
            let damaged = |error| self.segment.damaged(error);
            let mut reader = field.read_page(page, &bytes).map_err(damaged)?;
            loop {
                let start = reader.place();
                let Some(value) = reader.next_value().map_err(damaged)? else { break };
                let (key, cut, all) = (FieldKey::from_bytes(value.key), value.cut, value.rows);
                let dense = value.dense;
                if !key.is_of_scalar() {
                    continue;
                }
                let values = start..reader.place();
                match (&self.rows, cut) {
                    (None, false) => counts.add(key, all.into())?,
                    (Some(counted), false) => {
                        let rows = match dense {
                            true => self.rows_of(field, &values).await?.count(),
                            false => self.listed(field, &values, counted).await?,
                        };
                        counts.add(key, rows.into())?;
                    }
                    (_, true) => {
                        let begins = |found: &FieldKey| {
                            found.bytes().len() > key.bytes().len()
                                && found.bytes().starts_with(key.bytes())
                        };
                        for row in self.rows_of(field, &values).await?.iter() {
                            let document = self.segment.document(row).await?;
                            counts.add_document(&document, self.path, begins)?;
                        }
                    }
                }
            }
            page += 1;
        }
        Ok(())
    }

    async fn page(&self, field: &Field, page: usize) -> Result<Option<bytes::Bytes>> {
        let range = field.page_bytes(page..page + 1);
        if range.is_empty() {
            return Ok(None);
        }
        self.segment.read(SectionKind::FieldData, range).await.map(Some)
    }

    /// How many rows of a value that has a list count.
    async fn listed(&self, field: &Field, values: &Range<Place>, counted: &RowSet) -> Result<u32> {
        let list = self.segment.read(SectionKind::FieldData, field.list_bytes(values)).await?;
        let rows = list.chunks_exact(4).filter(|row| counted.contains(row_of(row)));
        Ok(u32::try_from(rows.count()).unwrap_or(u32::MAX))
    }

    /// The rows of a value that count.
    async fn rows_of(&self, field: &Field, values: &Range<Place>) -> Result<RowSet> {
        let mut rows = RowSet::none(self.segment.rows());
        rows.insert_values(self.segment, field, values).await?;
        if let Some(counted) = &self.rows {
            rows.and(counted);
        }
        Ok(rows)
    }
}
