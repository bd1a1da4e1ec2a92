use std::collections::{BTreeMap, HashMap};

use hashbrown::HashTable;

use super::directory::{Place, put_value, set_bytes};
use super::{
    DENSE_ONE_IN, Field, FieldKey, Fields, MAX_FIELDS, MAX_NAME, PAGE_BYTES, Page, STEP_ONE_IN,
    STEP_ROWS, Value,
};
use crate::checksum::checksum;
use crate::path::push_key;
use crate::{FormatError, RawList, RawObject, RawValue, Schema};

/// Finds the fields of documents.
#[derive(Debug, Default)]
pub struct FieldsBuilder {
    rows: u32,
    fields: HashMap<String, [Option<FieldRows>; 2]>,
    count: usize,
    /// Whether there are fields that are not held.
    incomplete: bool,
    /// Fields that are not to be held, and whether there are such.
    unindexed: BTreeMap<String, bool>,
    name: String,
    key: FieldKey,
}

/// Contents of the sections of fields.
#[derive(Debug)]
pub struct FieldSections {
    /// The one that names them.
    pub directory: Vec<u8>,
    /// The one that holds their values and rows.
    pub data: Vec<u8>,
}

/// The rows of one field.
#[derive(Debug, Default)]
struct FieldRows {
    /// Numbers of values by their keys.
    numbers: HashTable<u32>,
    /// The keys, end to end.
    keys: Vec<u8>,
    values: Vec<Seen>,
    /// Value and row, by row.
    pairs: Vec<(u32, u32)>,
}

/// A value that was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Where its key begins.
    start: usize,
    length: u8,
    cut: bool,
    rows: u32,
    last_row: u32,
}

impl FieldRows {
    fn key(&self, value: u32) -> (&[u8], bool) {
        let Some(seen) = self.values.get(value as usize) else { return (&[], false) };
        let end = seen.start + usize::from(seen.length);
        (self.keys.get(seen.start..end).unwrap_or_default(), seen.cut)
    }

    fn add(&mut self, key: &FieldKey, row: u32) {
        let (kept, cut) = key.kept();
        let found = self.numbers.find(checksum(kept), |value| self.key(*value) == (kept, cut));
        let value = match found.copied() {
            Some(value) => value,
            None => self.add_value(kept, cut),
        };
        let Some(seen) = self.values.get_mut(value as usize) else { return };
        // A list may have a value twice.
        if seen.rows > 0 && seen.last_row == row {
            return;
        }
        seen.rows += 1;
        seen.last_row = row;
        self.pairs.push((value, row));
    }

    fn add_value(&mut self, kept: &[u8], cut: bool) -> u32 {
        let value = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        let (start, length) = (self.keys.len(), u8::try_from(kept.len()).unwrap_or(u8::MAX));
        self.keys.extend_from_slice(kept);
        self.values.push(Seen { start, length, cut, rows: 0, last_row: 0 });
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.insert_unique(checksum(kept), value, |value| checksum(self.key(*value).0));
        self.numbers = numbers;
        value
    }

    /// The rows of each value that are not in a set, value after value in this order.
    fn lists(&self, order: &[u32], dense: impl Fn(&Seen) -> bool) -> Vec<u32> {
        let mut next = vec![None; self.values.len()];
        let mut length = 0usize;
        for value in order {
            let seen = &self.values[*value as usize];
            if !dense(seen) {
                next[*value as usize] = Some(length);
                length += seen.rows as usize;
            }
        }
        let mut lists = vec![0; length];
        for (value, row) in &self.pairs {
            if let Some(next) = &mut next[*value as usize] {
                lists[*next] = *row;
                *next += 1;
            }
        }
        lists
    }

    /// The sets of those that are, in this order.
    fn sets(&self, order: &[u32], dense: impl Fn(&Seen) -> bool, bytes: usize) -> Vec<u8> {
        let mut places = vec![None; self.values.len()];
        let mut length = 0usize;
        for value in order.iter().filter(|value| dense(&self.values[**value as usize])) {
            places[*value as usize] = Some(length);
            length += bytes;
        }
        let mut sets = vec![0u8; length];
        for (value, row) in &self.pairs {
            if let Some(start) = places[*value as usize] {
                sets[start + (*row / 8) as usize] |= 1 << (row % 8);
            }
        }
        sets
    }

    /// The set of the rows with one of the values before each step.
    fn step_sets(&self, order: &[u32], steps: &[Place], bytes: usize) -> Vec<u8> {
        // The first step that each value is before.
        let mut firsts = vec![steps.len(); self.values.len()];
        let mut start = 0;
        for (step, place) in steps.iter().enumerate() {
            let end = place.values as usize;
            order[start..end].iter().for_each(|value| firsts[*value as usize] = step);
            start = end;
        }
        let mut sets = vec![0u8; steps.len() * bytes];
        for (value, row) in &self.pairs {
            let first = firsts[*value as usize];
            if first < steps.len() {
                sets[first * bytes + (*row / 8) as usize] |= 1 << (row % 8);
            }
        }
        for step in 1..steps.len() {
            let (before, after) = sets.split_at_mut(step * bytes);
            let before = &before[(step - 1) * bytes..];
            after.iter_mut().zip(before).for_each(|(after, before)| *after |= before);
        }
        sets
    }

    /// Puts pages, lists, sets and sets of steps behind what there is of `data`.
    fn finish(self, (name, elements): (String, bool), rows: u32, data: &mut Vec<u8>) -> Field {
        let mut order: Vec<u32> = (0u32..).take(self.values.len()).collect();
        order.sort_unstable_by_key(|value| self.key(*value));
        let dense = |seen: &Seen| u64::from(seen.rows) * u64::from(DENSE_ONE_IN) > u64::from(rows);
        let (start, mut at) = (data.len(), data.len());
        let (mut pages, mut place): (Vec<Page>, _) = (Vec::new(), Place::default());
        let mut before: &[u8] = &[];
        let (mut steps, mut step): (Vec<Place>, _) = (Vec::new(), Place::default());
        for value in &order {
            let (key, cut) = self.key(*value);
            let seen = &self.values[*value as usize];
            if pages.is_empty() || data.len() - at >= PAGE_BYTES {
                at = data.len();
                before = &[];
                pages.push(Page { first: key.to_vec(), cut, at: (at - start) as u64, place });
            }
            let value = Value { key, cut, dense: dense(seen), rows: seen.rows };
            put_value(data, before, value);
            place = place.past(&value);
            before = key;
            let since = place.rows - step.rows;
            if !elements && since >= STEP_ROWS && since * u64::from(STEP_ONE_IN) > u64::from(rows) {
                step = place;
                steps.push(step);
            }
        }
        let length = (data.len() - start) as u64;
        data.extend(self.lists(&order, dense).into_iter().flat_map(u32::to_le_bytes));
        let bytes = usize::try_from(set_bytes(rows)).unwrap_or(usize::MAX);
        data.extend(self.sets(&order, dense, bytes));
        data.extend(self.step_sets(&order, &steps, bytes));
        Field { name, elements, start: start as u64, length, pages, steps, end: place }
    }
}

impl FieldsBuilder {
    /// Of documents of a collection with a schema.
    pub fn new(schema: &Schema) -> Self {
        let fields = schema.fields().filter(|(_, field)| !field.is_indexed());
        let unindexed = fields.map(|(name, _)| (name.to_owned(), false)).collect();
        Self { unindexed, ..Self::default() }
    }

    /// Takes the document of the next row.
    ///
    /// # Errors
    /// [`FormatError`] if it is none.
    pub fn push(&mut self, document: &[u8]) -> Result<(), FormatError> {
        let document = RawObject::document(document)?;
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        let pushed = self.object(document, &mut name, true);
        self.name = name;
        self.rows += 1;
        pushed
    }

    /// As deep as documents are nested.
    fn object(
        &mut self,
        mut object: RawObject<'_>,
        name: &mut String,
        outermost: bool,
    ) -> Result<(), FormatError> {
        let length = name.len();
        while let Some((key, value)) = object.next_field()? {
            let key = std::str::from_utf8(key).map_err(|e| super::invalid(e.to_string()))?;
            push_key(name, key, outermost);
            match self.unindexed.get_mut(name) {
                Some(met) => *met = true,
                None => self.add_all(name, value)?,
            }
            name.truncate(length);
        }
        Ok(())
    }

    /// Adds a value and those in it.
    fn add_all(&mut self, name: &mut String, value: RawValue<'_>) -> Result<(), FormatError> {
        self.add(name, false, &value);
        match value {
            RawValue::List(list) => self.list(list, name),
            RawValue::Object(object) => self.object(object, name, false),
            _ => Ok(()),
        }
    }

    fn list(&mut self, mut list: RawList<'_>, name: &str) -> Result<(), FormatError> {
        while let Some(value) = list.next_value()? {
            self.add(name, true, &value);
        }
        Ok(())
    }

    fn add(&mut self, name: &str, elements: bool, value: &RawValue<'_>) {
        self.key.set(value);
        let place = usize::from(elements);
        if let Some(Some(field)) = self.fields.get_mut(name).map(|pair| &mut pair[place]) {
            return field.add(&self.key, self.rows);
        }
        if self.count >= MAX_FIELDS || name.len() > MAX_NAME {
            self.incomplete = true;
            return;
        }
        self.count += 1;
        let mut field = FieldRows::default();
        field.add(&self.key, self.rows);
        self.fields.entry(name.to_owned()).or_default()[place] = Some(field);
    }

    /// The sections of all rows.
    pub fn finish(self) -> FieldSections {
        let mut fields: Vec<((String, bool), FieldRows)> = Vec::new();
        for (name, [scalars, elements]) in self.fields {
            fields.extend(elements.map(|field| ((name.clone(), true), field)));
            fields.extend(scalars.map(|field| ((name, false), field)));
        }
        fields.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut data = Vec::new();
        let finish = |(name, field): (_, FieldRows)| field.finish(name, self.rows, &mut data);
        let fields = fields.into_iter().map(finish).collect();
        let left_out = self.unindexed.into_iter().filter(|(_, met)| *met);
        let left_out = left_out.map(|(name, _)| name).collect();
        let directory = Fields::new(!self.incomplete, left_out, fields).encode();
        FieldSections { directory, data }
    }
}
