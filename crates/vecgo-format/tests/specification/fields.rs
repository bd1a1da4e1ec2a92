//! The fields of a segment, read as the page has it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vecgo_format::{
    FieldSchema, FieldSections, FieldType, FieldsBuilder, MAX_FIELDS, Schema, encode_document_under,
};

use crate::page::{Input, Walk, size, tags, usize};
use crate::values::map;

/// A value of a field: its key, and whether that was cut.
type Key = (Vec<u8>, bool);
/// Whether there are no others, those left out, and the rows of each value of each field, by name and elements.
type Found = (bool, Vec<String>, BTreeMap<(String, bool), BTreeMap<Key, BTreeSet<u32>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    values: u32,
    rows: u64,
    listed: u64,
    sets: u32,
}

fn place(input: &mut Input<'_>) -> Place {
    let mut walk = Walk::new("Place", input);
    let place = Place {
        values: walk.u32("values"),
        rows: walk.u64("rows"),
        listed: walk.u64("listed"),
        sets: walk.u32("sets"),
    };
    walk.end();
    place
}

/// The first key of a page, where it begins, and what is before it.
fn page(input: &mut Input<'_>) -> (Key, usize, Place) {
    let mut walk = Walk::new("Page", input);
    let first = (walk.bytes("first").to_vec(), walk.flag("cut"));
    let at = usize(walk.u64("at"));
    let before = place(walk.field("*place*", "before"));
    walk.end();
    (first, at, before)
}

fn value(input: &mut Input<'_>, before: &[u8]) -> (Key, bool, u32) {
    let mut walk = Walk::new("Value of a field", input);
    let (shared, rest, flags) = (walk.u8("shared"), walk.u8("rest"), walk.u8("flags"));
    let rest = walk.field("rest × u8", "key").raw(rest.into());
    let rows = walk.u32("rows");
    walk.end();
    assert!(flags < 4);
    let key = [&before[..shared.into()], rest].concat();
    ((key, flags % 2 == 1), flags >= 2, rows)
}

fn set(sets: &mut Input<'_>, rows: u32) -> BTreeSet<u32> {
    let set = sets.raw(usize(rows.div_ceil(64)) * 8);
    let has = |row: &u32| set[usize(row / 8)] >> (row % 8) & 1 == 1;
    (0..rows).filter(has).collect()
}

fn field(
    input: &mut Input<'_>,
    data: &[u8],
    rows: u32,
) -> ((String, bool), BTreeMap<Key, BTreeSet<u32>>) {
    let mut walk = Walk::new("Field", input);
    let (name, elements) = (walk.text("name").to_owned(), walk.flag("elements"));
    let (start, length) = (usize(walk.u64("start")), usize(walk.u64("length")));
    let end = place(walk.field("*place*", "end"));
    let (count, mut steps) = (walk.length("steps"), Vec::new());
    walk.each(count, 1, |walk| steps.push(place(walk.field("*place*", "step"))));
    let count = walk.length("pages");
    let mut pages = Vec::new();
    walk.each(count, 1, |walk| pages.push(page(walk.field("*page*", "page"))));
    walk.end();
    let mut lists = Input { bytes: data, at: start + length };
    let mut sets = Input { bytes: data, at: start + length + usize(end.listed) * 4 };
    let mut step_sets =
        Input { bytes: data, at: sets.at + usize(end.sets) * usize(rows.div_ceil(64)) * 8 };
    let mut seen = Place { values: 0, rows: 0, listed: 0, sets: 0 };
    let (mut so_far, mut steps) = (BTreeSet::new(), steps.into_iter().peekable());
    let mut since = 0;
    let mut values = BTreeMap::new();
    for (number, (first, at, before)) in pages.iter().enumerate() {
        assert_eq!(seen, *before);
        let to = pages.get(number + 1).map_or(length, |next| next.1);
        let mut input = Input::new(&data[start + at..start + to]);
        let mut key = Vec::new();
        while input.at < input.bytes.len() {
            let begins = input.at == 0;
            let (found, dense, count) = value(&mut input, &key);
            assert!(!begins || found == *first);
            seen.values += 1;
            seen.rows += u64::from(count);
            assert_eq!(dense, count * 32 > rows);
            let of: BTreeSet<u32> = match dense {
                true => {
                    seen.sets += 1;
                    set(&mut sets, rows)
                }
                false => {
                    seen.listed += u64::from(count);
                    (0..count).map(|_| lists.u32()).collect()
                }
            };
            assert_eq!(of.len(), usize(count));
            so_far.extend(&of);
            since += count;
            let stepped = steps.next_if_eq(&seen).is_some();
            assert_eq!(stepped, !elements && since >= 1024 && since * 32 > rows);
            if stepped {
                since = 0;
                assert_eq!(set(&mut step_sets, rows), so_far);
            }
            key.clone_from(&found.0);
            // In order, and each once.
            assert!(values.last_key_value().is_none_or(|(last, _)| *last < found));
            values.insert(found, of);
        }
    }
    assert_eq!((seen, steps.next()), (end, None));
    ((name, elements), values)
}

fn read(sections: &FieldSections, rows: u32) -> Found {
    let mut input = Input::new(&sections.directory);
    let mut walk = Walk::new("Fields", &mut input);
    let complete = walk.flag("complete");
    let (count, mut left_out) = (walk.length("left out"), Vec::new());
    walk.each(count, 1, |walk| left_out.push(walk.text("name left out").to_owned()));
    assert!(left_out.is_sorted_by(|a, b| a < b));
    let count = walk.length("fields");
    let mut fields = Vec::new();
    let read = |walk: &mut Walk<'_, '_>| {
        fields.push(field(walk.field("*field*", "field"), &sections.data, rows));
    };
    walk.each(count, 1, read);
    walk.end();
    input.end();
    assert!(fields.is_sorted_by(|a, b| a.0 < b.0));
    (complete, left_out, fields.into_iter().collect())
}

/// The key of a value, as the page has it.
fn key(value: &Value) -> Key {
    let tags = tags("key");
    let tagged = |name: &str, rest: &[u8]| [&[tags[name]], rest].concat();
    let whole = |key: Vec<u8>| (key, false);
    match value {
        Value::Null => whole(tagged("null", &[])),
        Value::Bool(value) => whole(tagged("bool", &[u8::from(*value)])),
        Value::Array(_) => whole(tagged("list", &[])),
        Value::Object(_) => whole(tagged("object", &[])),
        Value::String(text) => {
            let most = size("most text of a field");
            let kept = &text.as_bytes()[..text.len().min(most)];
            (tagged("text", kept), text.len() > most)
        }
        Value::Number(number) => {
            // No more than 2^53 and a bit: what is left is 0 or 1.
            let float = number.as_f64().unwrap();
            let rest = match number.as_i64() {
                Some(int) if int > 1 << 53 => u16::try_from(int % 2).unwrap(),
                _ => 0,
            };
            let float = if rest == 1 { 9_007_199_254_740_992.0 } else { float };
            let bits = if float == 0.0 { 0 } else { float.to_bits() };
            let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
            let mut high: Vec<u8> = ordered.to_le_bytes().to_vec();
            high.reverse();
            let rest = [u8::try_from(rest / 256).unwrap(), u8::try_from(rest % 256).unwrap()];
            whole(tagged("number", &[high, rest.to_vec()].concat()))
        }
    }
}

fn add(found: &mut Found, object: &Value, path: Option<&str>, row: u32) {
    for (name, value) in map(object) {
        let name = name.replace('\\', r"\\").replace('.', r"\.");
        let name = path.map_or(name.clone(), |path| format!("{path}.{name}"));
        let mut put = |elements, value: &Value| {
            let values = found.2.entry((name.clone(), elements)).or_default();
            values.entry(key(value)).or_default().insert(row);
        };
        put(false, value);
        value.as_array().into_iter().flatten().for_each(|element| put(true, element));
        if value.is_object() {
            add(found, value, Some(&name), row);
        }
    }
}

fn built(documents: &[Value]) -> FieldSections {
    built_under(&Schema::default(), documents)
}

fn built_under(schema: &Schema, documents: &[Value]) -> FieldSections {
    let mut builder = FieldsBuilder::new(schema);
    for document in documents {
        builder.push(&encode_document_under(map(document), schema).unwrap()).unwrap();
    }
    builder.finish()
}

#[test]
fn fields_that_the_schema_leaves_out_are_named() {
    let unindexed = FieldSchema::new(FieldType::Any).unindexed();
    let names = [r"a\.b", "object", "list", "never", "deep.inner"];
    let schema = Schema::new(false, names.map(|name| (name, unindexed))).unwrap();
    let document = json!({
        "a.b": 1, "a": {"b": 2}, "object": {"in": 3}, "list": [4], "deep": {"inner": 5, "other": 6},
    });
    let mut expected: Found = (true, Vec::new(), BTreeMap::new());
    expected.1 = [r"a\.b", "deep.inner", "list", "object"].map(str::to_owned).into();
    add(&mut expected, &json!({"a": {"b": 2}, "deep": {"other": 6}}), None, 0);
    assert_eq!(read(&built_under(&schema, &[document]), 1), expected);
}

#[test]
fn keys_of_timestamps_are_as_specified() {
    let schema = Schema::new(false, [("at", FieldSchema::list_of(FieldType::Timestamp))]).unwrap();
    let times = ["1969-12-31T23:59:58.5Z", "2001-09-09T03:46:40.000000256+02:00"];
    let found = read(&built_under(&schema, &[json!({"at": times})]), 1);
    let tag = tags("key")["timestamp"];
    let keys = [
        [&[tag, 0x7f], &[0xff; 6][..], &[0xfe, 0x1d, 0xcd, 0x65, 0]].concat(),
        [&[tag, 0x80, 0, 0, 0, 0x3b, 0x9a, 0xca, 0, 0, 0, 1, 0][..]].concat(),
    ];
    let values = &found.2[&("at".to_owned(), true)];
    assert_eq!(values.keys().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
}

#[test]
fn the_fields_of_a_segment_are_as_specified() {
    let document = |row: i64| {
        json!({
            "n": row % 90, "float": f64::from(i32::try_from(row % 7).unwrap()) / 2.0 - 1.0, "big": (1_i64 << 53) + row % 3,
            "text": format!("text {row}"), "long": "é".repeat(59 + usize(row % 4)),
            "rare": if row % 50 == 0 { json!(null) } else { json!(row % 2 == 0) },
            "list": [row % 5, row % 3, "x", [], {}], "a.b": {r"c\d": {"": row % 40}},
        })
    };
    let documents: Vec<Value> = (0..2_500).map(document).chain([json!({})]).collect();
    let sections = built(&documents);
    let mut expected: Found = (true, Vec::new(), BTreeMap::new());
    for (row, document) in (0u32..).zip(&documents) {
        add(&mut expected, document, None, row);
    }
    assert_eq!(read(&sections, 2_501), expected);
    assert!(expected.2.contains_key(&(r"a\.b.c\\d.".to_owned(), false)));
}

#[test]
fn fields_of_long_names_are_told_and_left_out() {
    let most = size("most name of a field");
    for (length, complete) in [(most, true), (most + 1, false)] {
        let found = read(&built(&[json!({"x".repeat(length): 1, "y": 2})]), 1);
        assert_eq!((found.0, found.2.len()), (complete, 1 + usize::from(complete)));
    }
}

#[test]
fn fields_beyond_the_most_are_told_and_left_out() {
    let most = size("most fields");
    assert_eq!(most, MAX_FIELDS);
    for (count, complete) in [(most, true), (most + 1, false)] {
        let document: Value = (0..count).map(|n| (format!("f{n:05}"), json!(1))).collect();
        let found = read(&built(&[document]), 1);
        assert_eq!((found.0, found.2.len()), (complete, most));
    }
}
