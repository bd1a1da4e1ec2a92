//! Schemas: what is refused, what a change does, and what is there after it.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use vecgo::filter::{eq, exists, gte};
use vecgo::{
    Collection, Config, Database, ErrorKind, Filter, Metric, Record, Schema, Update, json,
};

type Value = serde_json::Value;

fn schema(fields: Value) -> Schema {
    Schema::from_json(&json!({"fields": fields})).unwrap()
}

fn config() -> Config {
    Config::new(1, Metric::L2)
}

fn record(id: u64, metadata: Value) -> Record {
    Record::new(id, [id as f32]).metadata(metadata)
}

fn with(db: &Database, schema: &Schema) -> Collection {
    db.open_or_create("docs", config()).schema(schema.clone()).wait().unwrap()
}

/// After a kill.
fn found_again(dir: &TempDir) -> Collection {
    vecgo::open(dir.path()).wait().unwrap().collection("docs").wait().unwrap()
}

#[test]
fn writes_that_do_not_meet_it_name_row_and_field_and_nothing_of_them_is_kept() {
    let db = vecgo::open("memory://").wait().unwrap();
    let year = schema(json!({"year": {"type": "i64", "required": true}}));
    let docs = with(&db, &year);
    let good = json!({"year": 1999, "note": "free"});
    let bad = json!({"year": "1999"});
    let told = "metadata field `year` is the string \"1999\"; expected i64";
    let batch = || [record(1, good.clone()), record(2, bad.clone()), record(3, good.clone())];
    for error in [docs.upsert(batch()).wait(), docs.insert(batch()).wait()].map(Result::unwrap_err)
    {
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::InvalidArgument, format!("row 1: {told}"))
        );
    }
    assert_eq!(docs.count(), 0);
    docs.upsert([record(1, good.clone()), record(2, good.clone())]).wait().unwrap();
    for flushed in [false, true] {
        if flushed {
            docs.flush().wait().unwrap();
        }
        let replaced = docs.update([Update::new(1u64), Update::new(2u64).metadata(bad.clone())]);
        let merged = docs.update([
            Update::new(1u64).merge_metadata(json!({"note": "more"})),
            Update::new(2u64).merge_metadata(json!({"year": null})),
        ]);
        let replaced = replaced.wait().unwrap_err().to_string();
        assert_eq!(replaced, format!("row 1: {told}"));
        let merged = merged.wait().unwrap_err().to_string();
        assert_eq!(merged, "row 1: id 2: metadata field `year` is missing; expected i64");
        for id in [1u64, 2] {
            assert_eq!(docs.get(id).wait().unwrap().unwrap().metadata, good);
        }
    }
    let none = docs.upsert([Record::new(9u64, [0.0])]).wait().unwrap_err();
    assert_eq!(none.to_string(), "row 0: metadata field `year` is missing; expected i64");
    // A vector alone leaves the document as it was.
    docs.update([Update::new(1u64).vector([7.0])]).wait().unwrap();
}

#[test]
fn it_is_there_again_whether_anything_was_committed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let declared = schema(json!({"a": {"type": "timestamp"}}));
    for _ in 0..2 {
        let db = vecgo::open(dir.path()).wait().unwrap();
        let docs = with(&db, &declared);
        assert_eq!(docs.schema(), declared);
        docs.upsert([record(1, json!({"a": "2024-01-01T00:00:00Z"}))]).wait().unwrap();
        // No commit: a kill.
        drop(docs);
        drop(db);
        let reader = vecgo::open(dir.path()).read_only(true).wait().unwrap();
        assert_eq!(reader.collection("docs").wait().unwrap().schema(), declared);
    }
    let db = vecgo::open(dir.path()).wait().unwrap();
    let other = schema(json!({"a": {"type": "string"}}));
    let error = db.open_or_create("docs", config()).schema(other).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.to_string(), "collection `docs`: field `a` is timestamp; asked for string");
    // Whoever asks for none takes what there is.
    let docs = db.open_or_create("docs", config()).wait().unwrap();
    assert_eq!(docs.schema(), declared);
    assert_eq!(docs.count_where(gte("a", "2023-12-31T23:00:00-01:00")).wait().unwrap(), 1);
    docs.close().wait().unwrap();
}

#[test]
fn it_changes_to_what_all_records_meet() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let docs = db.open_or_create("docs", config()).wait().unwrap();
    docs.upsert([record(1, json!({"n": 1, "s": "x"})), record(2, json!({"n": 2}))]).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.upsert([record(3, json!({"n": 3})), record(4, json!({"n": 4.5}))]).wait().unwrap();
    let before = docs.commit().wait().unwrap();
    let refused = |fields: Value, told: &str| {
        let error = docs.set_schema(schema(fields)).wait().unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Conflict, told));
        assert!(docs.schema().is_empty());
    };
    refused(
        json!({"n": {"type": "i64"}}),
        "record 4: metadata field `n` is the number 4.5; expected i64",
    );
    refused(
        json!({"s": {"type": "string", "required": true}}),
        "record 2: metadata field `s` is missing; expected string",
    );
    docs.delete([4u64]).wait().unwrap();
    // What is dead does not count.
    let declared =
        schema(json!({"n": {"type": "i64", "required": true}, "at": {"type": "timestamp"}}));
    let version = docs.set_schema(declared.clone()).wait().unwrap();
    assert!(version > before);
    assert_eq!(docs.set_schema(declared.clone()).wait().unwrap(), version);
    docs.upsert([record(5, json!({"n": 5.5}))]).wait().unwrap_err();
    docs.upsert([record(5, json!({"n": 5, "at": "2024-01-01T00:00:00Z"}))]).wait().unwrap();
    let error = docs.set_schema(schema(json!({"at": {"type": "string"}}))).wait().unwrap_err();
    let told = "record 5: strings do not become timestamps, nor timestamps strings; take them out of the \
                records, and write them again once the schema is changed: `at`";
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Conflict, told));
    // The reader of an older version has what held then.
    assert!(docs.at_version(before).wait().unwrap().schema().is_empty());
    assert_eq!(docs.at_version(version).wait().unwrap().schema(), declared);
    drop(docs);
    drop(db);
    let docs = found_again(&dir);
    assert_eq!(docs.schema(), declared);
    assert_eq!(docs.count_where(eq("at", "2024-01-01T01:00:00+01:00")).wait().unwrap(), 1);
    docs.upsert([record(6, json!({"n": "6"}))]).wait().unwrap_err();
    // And to none.
    docs.delete([5u64]).wait().unwrap();
    docs.set_schema(Schema::default()).wait().unwrap();
    docs.upsert([record(6, json!({"n": "6"}))]).wait().unwrap();
    docs.close().wait().unwrap();
}

#[test]
fn a_collection_without_a_write_has_the_schema_that_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let docs = db.open_or_create("docs", config()).wait().unwrap();
    let declared = schema(json!({"a": {"type": "bool"}}));
    assert_eq!(docs.set_schema(declared.clone()).wait().unwrap(), 1);
    drop(docs);
    drop(db);
    let docs = found_again(&dir);
    assert_eq!((docs.schema(), docs.count(), docs.version()), (declared, 0, 1));
    docs.upsert([record(1, json!({"a": true}))]).wait().unwrap();
    assert_eq!(docs.commit().wait().unwrap(), 2);
}

/// Whoever writes while it changes is under the one or under the other.
#[test]
fn writers_beside_changes() {
    let db = vecgo::open("memory://").memtable_bytes(1 << 16).wait().unwrap();
    let docs = db.open_or_create("docs", config()).wait().unwrap();
    let done = AtomicBool::new(false);
    let write = |lane: u64| {
        let ids = (lane..).step_by(2).take_while(|_| !done.load(Ordering::Relaxed));
        ids.map(|id| {
            // A value in the last field that is declared: then it is a timestamp.
            let schema = docs.schema();
            let field = schema.fields().last().map(|(name, _)| name.to_owned());
            let written = field.iter().map(|name| (name.clone(), json!("2024-01-01T00:00:00Z")));
            let metadata: Value = written.collect();
            docs.upsert([record(id, metadata)]).wait().unwrap();
            u64::from(field.is_some())
        })
        .sum::<u64>()
    };
    let mut names: Vec<String> = Vec::new();
    let written: u64 = std::thread::scope(|scope| {
        let lanes = [0, 1].map(|lane| scope.spawn(move || write(lane)));
        for change in 0..20 {
            let before = docs.count();
            while docs.count() < before + 100 {
                std::thread::yield_now();
            }
            names.push(format!("at{change:02}"));
            let declared = |name: &String| (name.clone(), json!({"type": "timestamp"}));
            docs.set_schema(schema(names.iter().map(declared).collect())).wait().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    });
    let counts = |filter: fn(&str) -> Filter| -> u64 {
        names.iter().map(|name| docs.count_where(filter(name)).wait().unwrap()).sum()
    };
    assert!(written > 0);
    assert_eq!(counts(|name| exists(name)), written);
    assert_eq!(counts(|name| eq(name, "2024-01-01T01:00:00+01:00")), written);
}

/// Strings written as such by a batch that comes to the writer after the change are timestamps.
#[test]
fn batches_checked_before_a_change_are_checked_again() {
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", config()).wait().unwrap();
    let times = schema(json!({"at": {"type": "timestamp"}}));
    for at in ["2024-01-01T00:00:00Z", "yesterday"] {
        // Until one of them comes to be between the other's check and its turn.
        for _ in 0..300 {
            docs.delete_where(exists("at")).wait().unwrap();
            docs.set_schema(Schema::default()).wait().unwrap();
            let (written, changed) = std::thread::scope(|scope| {
                let write = || docs.upsert([record(1, json!({"at": at}))]).wait();
                let written = scope.spawn(write);
                let changed = docs.set_schema(times.clone()).wait();
                (written.join().unwrap(), changed)
            });
            let found = docs.count_where(eq("at", "2024-01-01T00:00:00Z")).wait().unwrap();
            match (written, changed) {
                (Ok(_), Ok(_)) => assert_eq!((at, found), ("2024-01-01T00:00:00Z", 1)),
                (Err(error), Ok(_)) => {
                    assert_eq!((at, error.kind()), ("yesterday", ErrorKind::InvalidArgument));
                    assert_eq!(docs.count(), 0);
                }
                (Ok(_), Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Conflict);
                    assert!(docs.schema().is_empty());
                }
                (Err(error), Err(_)) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn fields_that_are_not_indexed_are_filtered_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let declared = schema(json!({
        "body": {"type": "string", "indexed": false},
        "deep": {"type": "object", "indexed": false},
        "tags": {"type": "list<i64>", "indexed": false},
    }));
    let docs = with(&db, &declared);
    let document = |n: u64| json!({"body": format!("b{}", n % 3), "deep": {"n": n % 2}, "tags": [n % 5], "k": n % 4});
    docs.upsert((0..200).map(|n| record(n, document(n)))).wait().unwrap();
    let counts = |docs: &Collection| {
        [
            eq("body", "b1"),
            eq("deep.n", 1),
            vecgo::filter::contains("tags", 4),
            exists("deep") & eq("k", 0),
            !exists("body"),
            exists("bod"),
        ]
        .map(|filter| docs.count_where(filter).wait().unwrap())
    };
    let expected = [67, 100, 40, 50, 0, 0];
    assert_eq!(counts(&docs), expected);
    docs.flush().wait().unwrap();
    assert_eq!(counts(&docs), expected);
    let facets = docs.facet("tags", 10, None).wait().unwrap();
    assert_eq!(facets.iter().map(|facet| facet.count).collect::<Vec<_>>(), [40; 5]);
    assert_eq!(docs.facet("deep.n", 10, Some(eq("k", 1))).wait().unwrap()[0].count, 50);
    // Old segments lack what new ones have.
    docs.set_schema(Schema::default()).wait().unwrap();
    assert_eq!(counts(&docs), expected);
    docs.upsert([record(0, document(0))]).wait().unwrap();
    docs.compact().wait().unwrap();
    assert_eq!(counts(&docs), expected);
    docs.close().wait().unwrap();
}

#[test]
fn readers_follow_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let docs = db.open_or_create("docs", config()).wait().unwrap();
    docs.upsert([record(1, json!({}))]).wait().unwrap();
    docs.commit().wait().unwrap();
    let reader = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    let replica = reader.collection("docs").wait().unwrap();
    let times = schema(json!({"at": {"type": "timestamp"}}));
    let error = replica.set_schema(times.clone()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    let version = docs.set_schema(times.clone()).wait().unwrap();
    docs.upsert([record(2, json!({"at": "2024-01-01T00:00:00Z"}))]).wait().unwrap();
    docs.commit().wait().unwrap();
    assert!(replica.schema().is_empty());
    assert!(replica.refresh().wait().unwrap() > version);
    assert_eq!(replica.schema(), times);
    assert_eq!(replica.count_where(eq("at", "2024-01-01T00:00:00.0Z")).wait().unwrap(), 1);
    docs.close().wait().unwrap();
}

/// A filter that means something else under the new schema is asked as that has it.
#[test]
fn deletions_by_filter_beside_changes() {
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", config()).wait().unwrap();
    let times = schema(json!({"at": {"type": "timestamp"}}));
    let recent = gte("at", "2024-01-01T00:00:00Z");
    for _ in 0..300 {
        docs.upsert((0..50).map(|id| record(id, json!({})))).wait().unwrap();
        let written = std::thread::scope(|scope| {
            let deleting = scope.spawn(|| docs.delete_where(!recent.clone()).wait());
            docs.set_schema(times.clone()).wait().unwrap();
            let now = record(49, json!({"at": "2025-01-01T00:00:00Z"}));
            let written = docs.upsert([now]).wait().unwrap();
            deleting.join().unwrap().unwrap();
            written
        });
        // It matches under no schema that there was.
        assert_eq!(docs.count_where(recent.clone()).wait().unwrap(), 1, "{written:?}");
        docs.delete([49u64]).wait().unwrap();
        docs.set_schema(Schema::default()).wait().unwrap();
    }
}
