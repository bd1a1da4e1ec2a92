//! Filters asked of the fields that a segment has in order.

use std::ops::Range;

use memchr::memmem::Finder;
use vecgo_format::{
    Field, FieldValue, Fields, FormatError, KeyRange, Place, SectionKind, ValueKind,
};

use super::bind::{Check, Step, Test, Values};
use super::document::Judge;
use super::{Bound, RowSet};
use crate::segment::Segment;
use crate::{Error, Result};

/// Bytes of rows that are read at a time.
const PIECE_BYTES: u64 = 256 << 10;

/// What is known of the rows that match.
#[derive(Debug)]
struct Known {
    sure: RowSet,
    /// Those that may match too, if any may.
    doubt: Option<RowSet>,
}

impl Known {
    fn exactly(rows: RowSet) -> Self {
        Self { sure: rows, doubt: None }
    }

    /// All that may match.
    fn most(&self) -> RowSet {
        let mut most = self.sure.clone();
        self.doubt.iter().for_each(|doubt| most.or(doubt));
        most
    }

    fn not(mut self) -> Self {
        let mut most = self.most();
        most.not();
        self.sure.not();
        let doubt = self.doubt.is_some().then_some(self.sure);
        Self { sure: most, doubt }
    }

    fn and(mut self, other: Self) -> Self {
        if self.doubt.is_some() || other.doubt.is_some() {
            let mut most = self.most();
            most.and(&other.most());
            self.doubt = Some(most);
        }
        self.sure.and(&other.sure);
        self
    }

    fn or(mut self, other: Self) -> Self {
        self.sure.or(&other.sure);
        match (&mut self.doubt, other.doubt) {
            (Some(doubt), Some(other)) => doubt.or(&other),
            (None, other) => self.doubt = other,
            (Some(_), None) => {}
        }
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
        for step in self.steps() {
            let next = match step {
                Step::Test(test) => reader.test(test).await?,
                Step::All => Known::exactly(RowSet::all(rows)),
                Step::None => Known::exactly(RowSet::none(rows)),
                Step::Not => pop(&mut known)?.not(),
                Step::And => pop(&mut known)?.and(pop(&mut known)?),
                Step::Or => pop(&mut known)?.or(pop(&mut known)?),
            };
            known.push(next);
        }
        let Known { mut sure, doubt } = pop(&mut known)?;
        if let Some(mut doubt) = doubt {
            doubt.without(&sure);
            let mut judge = Judge::new(self);
            for row in doubt.iter() {
                let document = segment.document(row).await?;
                if judge.matches(&document).map_err(|error| segment.damaged(error))? {
                    sure.insert(row);
                }
            }
        }
        Ok(sure)
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
            let doubt = self.fields.may_have(&test.name).then(|| RowSet::all(rows));
            return Ok(Known { sure: RowSet::none(rows), doubt });
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

    /// Rows with values of some kinds may match: those have one key each, which is never cut.
    async fn add_doubt(&self, field: &Field, kinds: &[ValueKind], known: &mut Known) -> Result<()> {
        let ranges: Vec<_> = kinds.iter().map(|kind| KeyRange::kind(*kind)).collect();
        let mut of_kinds = Known::exactly(RowSet::none(self.segment.rows()));
        self.add_ranges(field, &ranges, &mut of_kinds).await?;
        known.doubt = Some(of_kinds.sure);
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
        // Whether a value matches for sure; `None` if it does not.
        let matches = |value: &FieldValue<'_>| {
            let text = value.text()?;
            let found = match at_end {
                true => !value.cut && text.ends_with(part.needle()),
                false => part.find(text).is_some(),
            };
            if found { Some(true) } else { value.cut.then_some(false) }
        };
        // Values next to each other that match alike are added together.
        let mut run: Option<(Range<Place>, bool)> = None;
        for page in field.pages_within(&KeyRange::kind(ValueKind::Text)) {
            let Some((_, bytes)) = self.page(field, Some(page)).await? else { continue };
            let mut reader = field.read_page(page, &bytes).map_err(|error| self.damaged(error))?;
            loop {
                let place = reader.place();
                let value = reader.next_value().map_err(|error| self.damaged(error))?;
                let Some(value) = value else { break };
                let Some(sure) = matches(&value) else { continue };
                let next = reader.place();
                match &mut run {
                    Some((values, same)) if values.end == place && *same == sure => {
                        values.end = next;
                    }
                    _ => {
                        if let Some((values, sure)) = run.replace((place..next, sure)) {
                            self.add(field, values, known, sure).await?;
                        }
                    }
                }
            }
        }
        match run {
            Some((values, sure)) => self.add(field, values, known, sure).await,
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
        let rows = match sure {
            true => &mut known.sure,
            false => known.doubt.get_or_insert_with(|| RowSet::none(self.segment.rows())),
        };
        rows.insert_values(self.segment, field, &values).await
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
        let nearest = [values.start, values.end].map(|end| Nearest::of(field, end, rows));
        let by_steps = nearest.iter().map(|step| step.cost).sum::<u64>() + 2 * set_cost(rows);
        if field.steps().is_empty() || cost(values, rows) <= by_steps {
            return self.insert_listed(segment, field, values).await;
        }
        let [start, end] = nearest;
        let mut within = RowSet::before(segment, field, end, values.end).await?;
        within.without(&RowSet::before(segment, field, start, values.start).await?);
        self.or(&within);
        Ok(())
    }

    /// The rows that have a value before a place, found from a step.
    async fn before(
        segment: &Segment,
        field: &Field,
        Nearest { step, at, .. }: Nearest,
        place: Place,
    ) -> Result<Self> {
        let rows = segment.rows();
        let (mut before, mut between) = (RowSet::none(rows), RowSet::none(rows));
        if let Some(step) = step {
            let bits = field.step_bytes(step, rows);
            before.insert_bits(&segment.read(SectionKind::FieldData, bits).await?);
        }
        if at.values <= place.values {
            before.insert_listed(segment, field, &(at..place)).await?;
        } else {
            between.insert_listed(segment, field, &(place..at)).await?;
            before.without(&between);
        }
        Ok(before)
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

/// The step of a field that is nearest to a place, or its beginning.
#[derive(Debug, Clone, Copy)]
struct Nearest {
    step: Option<usize>,
    at: Place,
    cost: u64,
}

impl Nearest {
    fn of(field: &Field, place: Place, rows: u32) -> Self {
        let steps = field.steps();
        let after = steps.partition_point(|step| step.values < place.values);
        let at = |step: Option<usize>| {
            let at = step.and_then(|step| steps.get(step)).copied().unwrap_or_default();
            let between = if at.values < place.values { at..place } else { place..at };
            Self { step, at, cost: cost(&between, rows) }
        };
        let before = at(after.checked_sub(1));
        let after = (after < steps.len()).then(|| at(Some(after)));
        after.filter(|after| after.cost < before.cost).unwrap_or(before)
    }
}

/// What it costs to add the rows of some values, in rows of lists.
fn cost(values: &Range<Place>, rows: u32) -> u64 {
    let sets = values.end.sets.saturating_sub(values.start.sets);
    let listed = values.end.listed.saturating_sub(values.start.listed);
    listed.saturating_add(u64::from(sets).saturating_mul(set_cost(rows)))
}

/// What it costs to add a set of bits, a word of which takes about as long as a row.
fn set_cost(rows: u32) -> u64 {
    u64::from(rows / 64)
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
