//! Timestamps: what they are compared as, told by a table of moments.

use vecgo::filter::{eq, gt, starts_with};
use vecgo::{Config, ErrorKind, Filter, Metric, Record, Schema, json};

use super::random::Random;
use super::{DIM, Value, found, naive, vector};

/// Texts, and the places of their moments in time.
const TIMES: [(&str, i64); 10] = [
    ("0000-01-01T00:00:00Z", 0),
    ("1969-12-31T23:59:59.999999999Z", 1),
    ("1970-01-01T00:00:00Z", 2),
    ("1970-01-01T01:30:00+01:30", 2),
    ("2024-02-29T12:00:00Z", 4),
    ("2024-02-29T07:00:00-05:00", 4),
    ("2024-02-29t12:00:00.000z", 4),
    ("2024-02-29T12:00:00.5Z", 5),
    ("2024-02-29T11:00:00Z", 3),
    ("9999-12-31T23:59:59Z", 6),
];

fn time(random: &mut Random) -> Value {
    json!(TIMES[random.below(TIMES.len())].0)
}

fn list(random: &mut Random) -> Value {
    (0..random.below(4)).map(|_| time(random)).collect()
}

fn document(random: &mut Random) -> Value {
    let mut document = json!({"o": {}});
    match random.below(5) {
        0 => {}
        1 => document["at"] = Value::Null,
        _ => document["at"] = time(random),
    }
    if random.below(2) == 0 {
        document["o"]["at"] = time(random);
    }
    if random.below(3) > 0 {
        document["times"] = list(random);
    }
    document
}

fn test(random: &mut Random) -> Value {
    const FIELDS: [&str; 4] = ["at", "o.at", "times", "o"];
    const OPS: [&str; 12] =
        ["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "any", "all", "contains", "exists"];
    let (field, op) = (FIELDS[random.below(4)], OPS[random.below(12)]);
    let one = |random: &mut Random| match (field, random.below(6)) {
        ("o", 0 | 1) => json!({"at": time(random)}),
        ("o", 2) => json!({}),
        ("o", _) => json!("x"),
        (_, 0) => json!(3),
        ("times", 1 | 2) => list(random),
        _ => time(random),
    };
    let operand = match op {
        "exists" => return json!({"field": field, "op": op}),
        "gt" | "gte" | "lt" | "lte" => time(random),
        "in" | "not_in" | "any" | "all" => (0..random.below(4)).map(|_| one(random)).collect(),
        _ => one(random),
    };
    json!({"field": field, "op": op, "value": operand})
}

/// The same with the moments of timestamps in their places, and no number that was there before.
fn placed(value: &Value) -> Value {
    match value {
        Value::Number(_) => json!(true),
        Value::String(text) => match TIMES.iter().find(|(time, _)| time == text) {
            Some((_, place)) => json!(place),
            None => value.clone(),
        },
        Value::Array(values) => values.iter().map(placed).collect(),
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), placed(v))).collect(),
        other => other.clone(),
    }
}

fn placed_filter(filter: &Value) -> Value {
    let mut filter = filter.clone();
    // What is compared with an object that is no field of timestamps is a text, and never equal.
    if let Some(value) = filter.get_mut("value") {
        *value = placed(value);
    }
    filter
}

fn schema() -> Schema {
    Schema::from_json(&json!({"fields": {
        "at": {"type": "timestamp"},
        "o.at": {"type": "timestamp"},
        "times": {"type": "list<timestamp>"},
    }}))
    .unwrap()
}

#[test]
fn moments_are_compared_wherever_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).auto_compact(false).wait().unwrap();
    let docs =
        db.open_or_create("docs", Config::new(DIM, Metric::L2)).schema(schema()).wait().unwrap();
    let mut random = Random(11);
    let documents: Vec<Value> = (0..300).map(|_| document(&mut random)).collect();
    let filters: Vec<Value> = (0..250)
        .map(|_| match random.below(4) {
            0 => json!({"and": [test(&mut random), test(&mut random)]}),
            1 => json!({"not": test(&mut random)}),
            _ => test(&mut random),
        })
        .collect();
    let placed_filters: Vec<Value> = filters
        .iter()
        .map(|filter| match (filter.get("and"), filter.get("not")) {
            (Some(Value::Array(parts)), _) => {
                json!({"and": parts.iter().map(placed_filter).collect::<Vec<_>>()})
            }
            (_, Some(part)) => json!({"not": placed_filter(part)}),
            _ => placed_filter(filter),
        })
        .collect();
    let check = |docs: &vecgo::Collection, known: usize, place: &str| {
        for (json, placed_json) in filters.iter().zip(&placed_filters) {
            let found = found(docs, &Filter::from_json(json).unwrap());
            for (id, document) in (0u64..).zip(&documents[..known]) {
                let expected = naive::matches(placed_json, &placed(document));
                assert_eq!(found.contains(&id.into()), expected, "{place}: {json} on {document}");
            }
        }
    };
    let mut written = 0;
    for part in documents.chunks(100) {
        let ids = written as u64..;
        let records = ids
            .zip(part)
            .map(|(id, document)| Record::new(id, vector(&mut random)).metadata(document.clone()));
        docs.upsert(records.collect::<Vec<_>>()).wait().unwrap();
        written += part.len();
        check(&docs, written, "a memtable");
        docs.flush().wait().unwrap();
    }
    check(&docs, written, "segments");
    docs.compact().wait().unwrap();
    check(&docs, written, "a merged segment");
    docs.close().wait().unwrap();
    let reader = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    let docs = reader.collection("docs").wait().unwrap();
    check(&docs, written, "a reader");
    for (id, document) in (0u64..).zip(&documents) {
        assert_eq!(docs.get(id).wait().unwrap().unwrap().metadata, *document);
    }
}

#[test]
fn what_is_no_timestamp_is_not_compared_with_one() {
    let db = vecgo::open("memory://").wait().unwrap();
    let docs =
        db.open_or_create("docs", Config::new(1, Metric::L2)).schema(schema()).wait().unwrap();
    let refused = [
        eq("at", "2024-02-29"),
        gt("o.at", "1970-01-01T00:00:00.0000000010Z"),
        vecgo::filter::is_in("at", ["2024-02-29T12:00:00Z", ""]),
        vecgo::filter::any("times", ["now"]),
        vecgo::filter::contains("times", "2024"),
    ];
    for filter in refused {
        let error = docs.count_where(filter.clone()).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let told = error.to_string();
        assert!(told.contains("expected a timestamp of RFC 3339, like 2024-05-01T12"), "{told}");
        assert_eq!(docs.delete_where(filter).wait().unwrap_err().to_string(), told);
    }
    // A part of a string is no part of a moment.
    docs.upsert([Record::new(1u64, [0.0]).metadata(json!({"at": "2024-02-29T12:00:00Z"}))])
        .wait()
        .unwrap();
    assert_eq!(docs.count_where(starts_with("at", "2024")).wait().unwrap(), 0);
}

#[test]
fn one_moment_is_one_value_of_a_facet_and_one_group() {
    let db = vecgo::open("memory://").wait().unwrap();
    let docs =
        db.open_or_create("docs", Config::new(1, Metric::L2)).schema(schema()).wait().unwrap();
    let times = [4, 5, 6, 7].map(|place: usize| TIMES[place].0);
    let records = |from: u64| {
        (from..).zip(times).map(|(id, at)| Record::new(id, [id as f32]).metadata(json!({"at": at})))
    };
    docs.upsert(records(0).collect::<Vec<_>>()).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.upsert(records(4).collect::<Vec<_>>()).wait().unwrap();
    let facets = docs.facet("at", 10, None).wait().unwrap();
    let counted: Vec<_> = facets.iter().map(|facet| (&facet.value, facet.count)).collect();
    let moments = [json!("2024-02-29T12:00:00Z"), json!("2024-02-29T12:00:00.5Z")];
    assert_eq!(counted, [(&moments[0], 6), (&moments[1], 2)]);
    let groups = docs.search([0.0]).k(5).grouped_by("at", 8).wait().unwrap();
    assert_eq!(groups.iter().map(|group| group.hits.len()).collect::<Vec<_>>(), [6, 2]);
}
