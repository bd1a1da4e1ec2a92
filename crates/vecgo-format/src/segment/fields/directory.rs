use std::cmp::Ordering;
use std::ops::Range;

use super::key::{self, KeyRange, compare};
use super::{WHAT, invalid};
use crate::codec::{Decoder, Encoder};
use crate::{FormatError, field_name, field_path};

/// Values of a field between two of its pages' ends, or its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Values before it.
    pub values: u32,
    /// How many rows those have, a row with several of them as often.
    pub rows: u64,
    /// How many of those rows are in lists.
    pub listed: u64,
    /// How many of those values have a set.
    pub sets: u32,
}

impl Place {
    fn encode(self, out: &mut Encoder) {
        out.u32(self.values);
        out.u64(self.rows);
        out.u64(self.listed);
        out.u32(self.sets);
    }

    fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            values: bytes.u32()?,
            rows: bytes.u64()?,
            listed: bytes.u64()?,
            sets: bytes.u32()?,
        })
    }

    fn is_past(self, before: Self) -> bool {
        self.values > before.values
            && self.rows > before.rows
            && self.listed >= before.listed
            && self.sets >= before.sets
    }

    pub(super) fn past(self, value: &Value<'_>) -> Self {
        let rows = u64::from(value.rows);
        Self {
            values: self.values.saturating_add(1),
            rows: self.rows.saturating_add(rows),
            listed: self.listed.saturating_add(if value.dense { 0 } else { rows }),
            sets: self.sets.saturating_add(u32::from(value.dense)),
        }
    }
}

/// Some of a field's values, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// The first of them.
    pub(super) first: Vec<u8>,
    pub(super) cut: bool,
    /// Where it stands among the field's pages.
    pub(super) at: u64,
    /// What is before it.
    pub(super) place: Place,
}

/// A field: where its values and rows stand in the section of all fields' data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub(super) name: String,
    pub(super) elements: bool,
    /// Where its pages begin.
    pub(super) start: u64,
    /// Bytes of its pages.
    pub(super) length: u64,
    pub(super) pages: Vec<Page>,
    /// Places that have a set of all rows with a value before them.
    pub(super) steps: Vec<Place>,
    /// What is before its end: all.
    pub(super) end: Place,
}

/// All fields of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Whether there are no others but those left out.
    complete: bool,
    /// Fields that are not held by the collection's schema, nor those in them, in order.
    left_out: Vec<String>,
    fields: Vec<Field>,
}

impl Fields {
    pub(super) fn new(complete: bool, left_out: Vec<String>, fields: Vec<Field>) -> Self {
        Self { complete, left_out, fields }
    }

    /// Whether documents may have a field all the same that is not found.
    pub fn may_have(&self, name: &str) -> bool {
        let is_within = |outer: &String| {
            name.strip_prefix(outer.as_str())
                .is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'.', ..]))
        };
        !self.complete || self.left_out.iter().any(is_within)
    }

    /// A field, or the values in its lists.
    pub fn find(&self, name: &str, elements: bool) -> Option<&Field> {
        let key =
            |field: &Field| (field.name.as_str().cmp(name)).then(field.elements.cmp(&elements));
        self.fields.binary_search_by(key).ok().and_then(|place| self.fields.get(place))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// Contents of the section that names them.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u8(u8::from(self.complete));
        out.length(self.left_out.len());
        self.left_out.iter().for_each(|name| out.bytes(name.as_bytes()));
        out.length(self.fields.len());
        for field in &self.fields {
            out.bytes(field.name.as_bytes());
            out.u8(u8::from(field.elements));
            out.u64(field.start);
            out.u64(field.length);
            field.end.encode(&mut out);
            out.length(field.steps.len());
            field.steps.iter().for_each(|step| step.encode(&mut out));
            out.length(field.pages.len());
            for page in &field.pages {
                out.bytes(&page.first);
                out.u8(u8::from(page.cut));
                out.u64(page.at);
                page.place.encode(&mut out);
            }
        }
        out.finish()
    }

    /// Reads the section of a segment of `rows` rows that has so many bytes of fields' data.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are anything else.
    pub fn decode(bytes: &[u8], rows: u32, data: u64) -> Result<Self, FormatError> {
        let mut bytes = Decoder::new(WHAT, bytes);
        let complete = flag(&mut bytes)?;
        let mut left_out: Vec<String> = Vec::new();
        for _ in 0..bytes.length()? {
            let name = bytes.text()?;
            let is_own = field_name(field_path(name)) == name;
            let follows = left_out.last().is_none_or(|last| last.as_str() < name);
            if !is_own || !follows {
                return Err(bytes.invalid(format!("field {name} that cannot be left out here")));
            }
            left_out.push(name.to_owned());
        }
        let mut fields: Vec<Field> = Vec::new();
        for _ in 0..bytes.length()? {
            let field = Field::decode(&mut bytes)?;
            field
                .check(rows, data)
                .map_err(|why| bytes.invalid(format!("{}: {why}", field.name)))?;
            let order = |last: &Field| (&last.name, last.elements) < (&field.name, field.elements);
            if left_out.binary_search(&field.name).is_ok() {
                return Err(bytes.invalid(format!("field {} that is left out", field.name)));
            }
            if !fields.last().is_none_or(order) {
                return Err(bytes.invalid(format!("field {} out of order", field.name)));
            }
            fields.push(field);
        }
        bytes.expect_end()?;
        Ok(Self { complete, left_out, fields })
    }
}

fn flag(bytes: &mut Decoder<'_>) -> Result<bool, FormatError> {
    match bytes.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        tag => Err(bytes.invalid(format!("flag {tag}, expected 0 or 1"))),
    }
}

/// Where some values end that come before a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    /// What is before the first value that is surely not before it.
    place: Place,
    /// What is before the last value before that, if it is cut off where that decides.
    unsure: Option<Place>,
}

/// Values in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Within {
    /// Those that surely are.
    pub sure: Range<Place>,
    /// Those that may be, each by itself: texts that were cut off.
    pub unsure: [Option<Range<Place>>; 2],
}

impl Field {
    /// The path of keys that leads to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its values are those in the lists that the path leads to.
    pub fn is_of_elements(&self) -> bool {
        self.elements
    }

    /// All that it holds.
    pub fn all(&self) -> Range<Place> {
        Place::default()..self.end
    }

    fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        let name = bytes.text()?.to_owned();
        let elements = flag(bytes)?;
        let (start, length) = (bytes.u64()?, bytes.u64()?);
        let end = Place::decode(bytes)?;
        let steps = (0..bytes.length()?).map(|_| Place::decode(bytes)).collect::<Result<_, _>>()?;
        let count = bytes.length()?;
        let mut pages = Vec::new();
        for _ in 0..count {
            pages.push(Page {
                first: bytes.bytes()?.to_vec(),
                cut: flag(bytes)?,
                at: bytes.u64()?,
                place: Place::decode(bytes)?,
            });
        }
        Ok(Self { name, elements, start, length, pages, steps, end })
    }

    fn check(&self, rows: u32, data: u64) -> Result<(), String> {
        let lists = self.end.listed.checked_mul(4);
        let sets = u64::from(self.end.sets) + self.steps.len() as u64;
        let sets = sets.checked_mul(set_bytes(rows));
        let end = [Some(self.length), lists, sets]
            .into_iter()
            .try_fold(self.start, |end, part| end.checked_add(part?));
        if end.is_none_or(|end| end > data) {
            return Err(format!("it ends beyond the {data} bytes of all fields"));
        }
        let begins =
            self.pages.first().is_some_and(|page| page.at == 0 && page.place == Place::default());
        let in_order = self.pages.windows(2).all(|two| {
            two[0].at < two[1].at
                && two[1].place.is_past(two[0].place)
                && two[0].first <= two[1].first
        });
        let ends = self
            .pages
            .last()
            .is_some_and(|page| page.at < self.length && self.end.is_past(page.place));
        if !begins || !in_order || !ends {
            return Err("its pages are out of order".to_owned());
        }
        let mut last = Place::default();
        let follows = |step: &Place| {
            let page = self.pages.partition_point(|page| page.place.values <= step.values);
            let place = |page: usize| self.pages.get(page).map_or(self.end, |page| page.place);
            let (start, end) = (place(page.saturating_sub(1)), place(page));
            let is_within =
                (*step == start || step.is_past(start)) && (*step == end || end.is_past(*step));
            is_within && step.is_past(std::mem::replace(&mut last, *step))
        };
        if !self.steps.iter().all(follows) {
            return Err("its steps are out of order, or not in its pages".to_owned());
        }
        if self.elements && !self.steps.is_empty() {
            return Err("steps of elements, of which rows have many".to_owned());
        }
        Ok(())
    }

    /// Where some of its pages stand.
    pub fn page_bytes(&self, pages: Range<usize>) -> Range<u64> {
        let at = |page: usize| self.pages.get(page).map_or(self.length, |page| page.at);
        let (start, end) = (at(pages.start), at(pages.end));
        self.start + start..self.start + end.max(start)
    }

    /// Where the lists of some values' rows stand, each row a u32.
    pub fn list_bytes(&self, values: &Range<Place>) -> Range<u64> {
        let at = |place: Place| self.start + self.length + place.listed * 4;
        at(values.start)..at(values.end).max(at(values.start))
    }

    /// Where the sets of some values' rows stand, one after the other.
    pub fn set_bytes(&self, values: &Range<Place>, rows: u32) -> Range<u64> {
        let start = self.start + self.length + self.end.listed * 4;
        let at = |place: Place| start + u64::from(place.sets) * set_bytes(rows);
        at(values.start)..at(values.end).max(at(values.start))
    }

    /// Places of which it is known which rows have a value before them, in order; each row has one
    /// value at most then.
    pub fn steps(&self) -> &[Place] {
        &self.steps
    }

    /// Where the set of the rows that have a value before a step stands.
    pub fn step_bytes(&self, step: usize, rows: u32) -> Range<u64> {
        let start = self.set_bytes(&(self.end..self.end), rows).start;
        let start = start + step as u64 * set_bytes(rows);
        start..start + set_bytes(rows)
    }

    /// The page in which the last value before each end of a range is, if any is before it.
    pub fn pages_of(&self, range: &KeyRange) -> [Option<usize>; 2] {
        range.ends().map(|bound| {
            let before = |page: &Page| {
                compare(&page.first, page.cut, bound).is_none_or(|order| order == Ordering::Less)
            };
            self.pages.partition_point(before).checked_sub(1)
        })
    }

    /// The pages in which values of a range may be.
    pub fn pages_within(&self, range: &KeyRange) -> Range<usize> {
        let [first, last] = self.pages_of(range);
        first.unwrap_or(0)..last.map_or(0, |last| last + 1)
    }

    /// The values of a range, given the bytes of the pages that [`pages_of`](Field::pages_of) names.
    ///
    /// # Errors
    /// [`FormatError`] if those are no pages of this field.
    pub fn within(
        &self,
        range: &KeyRange,
        pages: [Option<(usize, &[u8])>; 2],
    ) -> Result<Within, FormatError> {
        let [from, to] = range.ends();
        let (from, to) = (self.bound(from, pages[0])?, self.bound(to, pages[1])?);
        let end = to.unsure.unwrap_or(to.place);
        let start = from.place;
        let sure = start..if end.values < start.values { start } else { end };
        let first = from.unsure.map(|place| place..from.place);
        // Where both ends fall into one value it is named once.
        let last = to.unsure.filter(|place| Some(*place) != from.unsure);
        Ok(Within { sure, unsure: [first, last.map(|place| place..to.place)] })
    }

    fn bound(&self, bound: &[u8], page: Option<(usize, &[u8])>) -> Result<Bound, FormatError> {
        let Some((page, bytes)) = page else {
            return Ok(Bound { place: Place::default(), unsure: None });
        };
        let mut reader = self.read_page(page, bytes)?;
        let mut unsure = None;
        loop {
            let place = reader.place();
            let Some(value) = reader.next_value()? else { break };
            match compare(value.key, value.cut, bound) {
                Some(Ordering::Less) => {}
                None => unsure = Some(place),
                Some(_) => return Ok(Bound { place, unsure }),
            }
        }
        Ok(Bound { place: reader.place(), unsure })
    }

    /// The values in a page.
    ///
    /// # Errors
    /// [`FormatError`] if there is no such page.
    pub fn read_page<'a>(
        &self,
        page: usize,
        bytes: &'a [u8],
    ) -> Result<PageReader<'a>, FormatError> {
        let end = self.pages.get(page + 1).map_or(self.end, |next| next.place);
        let page = self.pages.get(page).ok_or_else(|| invalid(format!("no page {page}")))?;
        Ok(PageReader { bytes: Decoder::new(WHAT, bytes), key: Vec::new(), place: page.place, end })
    }
}

/// Bytes of a set of rows.
pub(super) fn set_bytes(rows: u32) -> u64 {
    u64::from(rows).div_ceil(64) * 8
}

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its key, as far as it is held.
    pub key: &'a [u8],
    /// Whether more follows.
    pub cut: bool,
    /// Whether its rows are in a set, and not in a list.
    pub dense: bool,
    /// How many those are.
    pub rows: u32,
}

impl Value<'_> {
    /// The bytes of a text, as far as they are held.
    pub fn text(&self) -> Option<&[u8]> {
        super::key::text_of(self.key)
    }
}

/// Reads values of a page.
#[derive(Debug)]
pub struct PageReader<'a> {
    bytes: Decoder<'a>,
    key: Vec<u8>,
    place: Place,
    end: Place,
}

const CUT: u8 = 1;
const DENSE: u8 = 2;

/// Adds a value to a page in which `before` is the key before it.
pub(super) fn put_value(out: &mut Vec<u8>, before: &[u8], value: Value<'_>) {
    let shared = before.iter().zip(value.key).take_while(|(a, b)| a == b).count();
    let shared = u8::try_from(shared).unwrap_or(u8::MAX);
    let rest = &value.key[usize::from(shared)..];
    let flags = if value.cut { CUT } else { 0 } | if value.dense { DENSE } else { 0 };
    out.extend([shared, u8::try_from(rest.len()).unwrap_or(u8::MAX), flags]);
    out.extend_from_slice(rest);
    out.extend_from_slice(&value.rows.to_le_bytes());
}

impl PageReader<'_> {
    /// What is before the next value.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The next value.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are no page of this place.
    pub fn next_value(&mut self) -> Result<Option<Value<'_>>, FormatError> {
        if self.place == self.end {
            self.bytes.expect_end()?;
            return Ok(None);
        }
        let (shared, rest, flags) = (self.bytes.u8()?, self.bytes.u8()?, self.bytes.u8()?);
        if usize::from(shared) > self.key.len() || flags > CUT + DENSE {
            return Err(self.bytes.invalid(format!("{shared} shared bytes, flags {flags}")));
        }
        self.key.truncate(usize::from(shared));
        self.key.extend_from_slice(self.bytes.raw(usize::from(rest))?);
        if self.key.first().is_some_and(|tag| !key::is_known(*tag)) {
            return Err(self.bytes.unknown(format!("key {:02x?}", self.key)));
        }
        let value = Value {
            key: &self.key,
            cut: flags & CUT != 0,
            dense: flags & DENSE != 0,
            rows: self.bytes.u32()?,
        };
        let next = self.place.past(&value);
        if next.values > self.end.values
            || next.rows > self.end.rows
            || next.listed > self.end.listed
            || next.sets > self.end.sets
        {
            return Err(self.bytes.invalid("more values than the page has"));
        }
        self.place = next;
        Ok(Some(value))
    }
}
