//! Filters asked of the fields that a segment has in order.

use std::ops::Range;

use memchr::memmem::Finder;
use vecgo_format::{Field, Fields, FormatError, KeyRange, Place, SectionKind, ValueKind};

use super::bind::{Check, Step, Test, Values};
use super::document::Judge;
use super::{Bound, RowSet};
use crate::segment::Segment;
use crate::{Error, Result};

/// Bytes of rows that are read at a time.
const PIECE_BYTES: u64 = 256 << 10;
/// Pages of texts that are read at a time.
const PIECE_PAGES: usize = 16;

/// What is known of the rows that match: all of `least` do, and none beyond `most`.
#[derive(Debug)]
struct Known {
    least: RowSet,
    /// The same, if absent.
    most: Option<RowSet>,
}

impl Known {
    fn exactly(rows: RowSet) -> Self {
        Self { least: rows, most: None }
    }

    fn most(&self) -> &RowSet {
        self.most.as_ref().unwrap_or(&self.least)
    }

    fn most_mut(&mut self) -> &mut RowSet {
        self.most.get_or_insert_with(|| self.least.clone())
    }

    fn not(self) -> Self {
        let complement = |mut rows: RowSet| {
            rows.not();
            rows
        };
        let least = complement(self.least);
        match self.most {
            None => Self::exactly(least),
            Some(most) => Self { least: complement(most), most: Some(least) },
        }
    }

    fn join(mut self, other: Self, join: fn(&mut RowSet, &RowSet)) -> Self {
        if self.most.is_some() || other.most.is_some() {
            join(self.most_mut(), other.most());
        }
        join(&mut self.least, &other.least);
        self
    }
}

impl Bound {
    /// The rows of a segment whose documents match, dead ones included.
    pub(super) async fn rows_of(&self, segment: &Segment) -> Result<RowSet> {
        let rows = segment.rows();
        if !segment.has(SectionKind::Documents) {
            let all = Judge::new(self).matches(&[]).map_err(|error| segment.damaged(error))?;
            return Ok(if all { RowSet::all(rows) } else { RowSet::none(rows) });
        }
        let reader = Reader { segment, fields: segment.fields().await? };
        let mut known: Vec<Known> = Vec::new();
        for step in &self.steps {
            let next = match step {
                Step::Test(test) => reader.test(test).await?,
                Step::All => Known::exactly(RowSet::all(rows)),
                Step::None => Known::exactly(RowSet::none(rows)),
                Step::Not => pop(&mut known)?.not(),
                Step::And => pop(&mut known)?.join(pop(&mut known)?, RowSet::and),
                Step::Or => pop(&mut known)?.join(pop(&mut known)?, RowSet::or),
            };
            known.push(next);
        }
        let Known { mut least, most } = pop(&mut known)?;
        if let Some(mut doubt) = most {
            doubt.without(&least);
            let mut judge = Judge::new(self);
            for row in doubt.iter() {
                let document = segment.document(row).await?;
                if judge.matches(&document).map_err(|error| segment.damaged(error))? {
                    least.insert(row);
                }
            }
        }
        Ok(least)
    }
}

fn pop(known: &mut Vec<Known>) -> Result<Known> {
    known.pop().ok_or_else(|| Error::internal("a filter whose steps do not add up"))
}

/// Reads fields of a segment.
struct Reader<'a> {
    segment: &'a Segment,
    fields: &'a Fields,
}

impl Reader<'_> {
    fn damaged(&self, error: FormatError) -> Error {
        self.segment.damaged(error)
    }

    /// What is known of a test. A field that no document has matches nowhere; of one that is not
    /// held nothing is known.
    async fn test(&self, test: &Test) -> Result<Known> {
        let rows = self.segment.rows();
        let elements = matches!(test.check, Check::Holds(_));
        let Some(field) = self.fields.find(&test.name, elements) else {
            let least = RowSet::none(rows);
            let most = (!self.fields.complete).then(|| RowSet::all(rows));
            return Ok(Known { least, most });
        };
        let mut known = Known::exactly(RowSet::none(rows));
        match &test.check {
            Check::Keys(ranges) => self.add_ranges(field, ranges, &mut known).await?,
            Check::Text { part, at_end } => {
                self.add_texts(field, part, *at_end, &mut known).await?;
            }
            Check::Holds(Values { keys, others }) => {
                self.add_ranges(field, keys, &mut known).await?;
                if !others.is_empty() {
                    self.add_doubt(field, &[ValueKind::List, ValueKind::Object], &mut known)
                        .await?;
                }
            }
            Check::Same(serde_json::Value::Array(_)) => {
                self.add_doubt(field, &[ValueKind::List], &mut known).await?;
            }
            Check::Same(_) => self.add_doubt(field, &[ValueKind::Object], &mut known).await?,
        }
        Ok(known)
    }

    /// Rows with values of some kinds may match.
    async fn add_doubt(&self, field: &Field, kinds: &[ValueKind], known: &mut Known) -> Result<()> {
        let mut of_kinds = Known::exactly(RowSet::none(self.segment.rows()));
        let ranges: Vec<_> = kinds.iter().map(|kind| KeyRange::kind(*kind)).collect();
        self.add_ranges(field, &ranges, &mut of_kinds).await?;
        known.most_mut().or(of_kinds.most());
        Ok(())
    }

    async fn add_ranges(
        &self,
        field: &Field,
        ranges: &[KeyRange],
        known: &mut Known,
    ) -> Result<()> {
        for range in ranges {
            let [first, last] = field.pages_of(range);
            let first = self.page(field, first).await?;
            let last = self.page(field, last).await?;
            let pages = [&first, &last].map(|page| page.as_ref().map(|(n, bytes)| (*n, &**bytes)));
            let within = field.within(range, pages).map_err(|error| self.damaged(error))?;
            self.add(field, within.sure, known, true).await?;
            for unsure in within.unsure.into_iter().flatten() {
                self.add(field, unsure, known, false).await?;
            }
        }
        Ok(())
    }

    async fn page(
        &self,
        field: &Field,
        page: Option<usize>,
    ) -> Result<Option<(usize, bytes::Bytes)>> {
        let Some(page) = page else { return Ok(None) };
        let bytes = field.page_bytes(page..page + 1);
        Ok(Some((page, self.segment.read(SectionKind::FieldData, bytes).await?)))
    }

    /// The rows whose text has a part: all texts are looked at.
    async fn add_texts(
        &self,
        field: &Field,
        part: &Finder<'_>,
        at_end: bool,
        known: &mut Known,
    ) -> Result<()> {
        let pages = field.pages_within(&KeyRange::kind(ValueKind::Text));
        // Values in a row that match alike are added together.
        let mut run: Option<(Range<Place>, bool)> = None;
        for first in pages.clone().step_by(PIECE_PAGES) {
            let some = first..pages.end.min(first + PIECE_PAGES);
            let start = field.page_bytes(some.clone()).start;
            let bytes = field.page_bytes(some.clone());
            let bytes = self.segment.read(SectionKind::FieldData, bytes).await?;
            for page in some {
                let within = field.page_bytes(page..page + 1);
                let at = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
                let page_bytes = bytes.get(at(within.start)..at(within.end)).unwrap_or_default();
                let read = field.read_page(page, page_bytes);
                let mut reader = read.map_err(|error| self.damaged(error))?;
                loop {
                    let place = reader.place();
                    let value = reader.next_value().map_err(|error| self.damaged(error))?;
                    let Some(value) = value else { break };
                    let sure = value.text().and_then(|text| {
                        let found = match at_end {
                            true => !value.cut && text.ends_with(part.needle()),
                            false => part.find(text).is_some(),
                        };
                        if found { Some(true) } else { value.cut.then_some(false) }
                    });
                    let next = reader.place();
                    match (&mut run, sure) {
                        (Some((range, same)), Some(sure))
                            if range.end == place && *same == sure =>
                        {
                            range.end = next;
                        }
                        (_, Some(sure)) => {
                            if let Some((range, sure)) = run.replace((place..next, sure)) {
                                self.add(field, range, known, sure).await?;
                            }
                        }
                        (_, None) => {}
                    }
                }
            }
        }
        match run {
            Some((range, sure)) => self.add(field, range, known, sure).await,
            None => Ok(()),
        }
    }

    /// Adds the rows of some values to those that match, or to those that may.
    async fn add(
        &self,
        field: &Field,
        values: Range<Place>,
        known: &mut Known,
        sure: bool,
    ) -> Result<()> {
        if values.start == values.end {
            return Ok(());
        }
        if !sure {
            known.most_mut();
        }
        if sure {
            known.least.insert_values(self.segment, field, &values).await?;
        }
        if let Some(most) = &mut known.most {
            most.insert_values(self.segment, field, &values).await?;
        }
        Ok(())
    }
}

impl RowSet {
    /// Adds the rows that have some values of a field.
    pub(crate) async fn insert_values(
        &mut self,
        segment: &Segment,
        field: &Field,
        values: &Range<Place>,
    ) -> Result<()> {
        let rows = segment.rows();
        let (all, some) = (field.all(), values.end.rows.saturating_sub(values.start.rows));
        // Where each row has one value, most are sooner told by those that have another.
        if !field.is_of_elements() && all.end.rows == u64::from(rows) && some > all.end.rows / 2 {
            let mut others = RowSet::none(rows);
            others.insert_listed(segment, field, &(all.start..values.start)).await?;
            others.insert_listed(segment, field, &(values.end..all.end)).await?;
            others.not();
            self.or(&others);
            return Ok(());
        }
        self.insert_listed(segment, field, values).await
    }

    async fn insert_listed(
        &mut self,
        segment: &Segment,
        field: &Field,
        values: &Range<Place>,
    ) -> Result<()> {
        let rows = segment.rows();
        let set_bytes = RowSet::bytes_for(rows);
        for set in pieces(field.set_bytes(values, rows), set_bytes) {
            self.insert_bits(&segment.read(SectionKind::FieldData, set).await?);
        }
        for list in pieces(field.list_bytes(values), PIECE_BYTES) {
            let list = segment.read(SectionKind::FieldData, list).await?;
            list.chunks_exact(4).for_each(|row| self.insert(row_of(row)));
        }
        Ok(())
    }
}

/// A range in pieces of so many bytes.
fn pieces(range: Range<u64>, bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let piece = at..range.end.min(at.saturating_add(bytes.max(1)));
        at = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A row of a list.
pub(crate) fn row_of(bytes: &[u8]) -> u32 {
    let mut row = [0; 4];
    row.copy_from_slice(bytes);
    u32::from_le_bytes(row)
}
