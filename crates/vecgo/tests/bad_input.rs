//! Input that cannot be taken: each gets its clear error and changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the clock, starts threads and prints"
)]

use std::fs;
use std::os::unix::fs::symlink;

use vecgo::{
    Collection, Config, Database, ErrorKind, Id, MAX_DIM, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH,
    MAX_ID_BYTES, Metric, Record, Result, Update, WalSync, json,
};

struct Fixture {
    dir: tempfile::TempDir,
    db: Database,
    docs: Collection,
    metric: Metric,
}

/// A collection with two records, one of them flushed.
fn fixture(metric: Metric) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).memtable_bytes(1 << 20).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(3, metric)).wait().unwrap();
    docs.upsert([Record::new(1u64, [1.0, 0.0, 0.0])]).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.upsert([Record::new("b", [0.0, 1.0, 0.0]).payload([])]).wait().unwrap();
    Fixture { dir, db, docs, metric }
}

impl Fixture {
    /// The call fails with this kind and these words in its message, and nothing has changed.
    fn refuses<T: std::fmt::Debug>(&self, result: Result<T>, kind: ErrorKind, words: &[&str]) {
        let error = result.expect_err(&format!("{words:?} under {}", self.metric));
        assert_eq!(error.kind(), kind, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "`{error}` does not say `{word}`");
        }
        assert_eq!(self.docs.stats().sequence, 2);
        assert_eq!(self.docs.count(), 2);
        assert_eq!(self.docs.get("b").wait().unwrap().unwrap().payload, Some(vec![]));
    }

    fn upsert(&self, record: Record) -> Result<vecgo::Ack> {
        // In the middle of a batch whose other rows are fine.
        let good = |id: u64| Record::new(id, [1.0, 2.0, 3.0]);
        self.docs.upsert([good(7), record, good(8)]).wait()
    }
}

const ALL: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

#[test]
fn vectors() {
    for fixture in ALL.map(fixture) {
        for (bad, words) in [
            (vec![], "0 dimensions; expected 3"),
            (vec![1.0; 2], "2 dimensions; expected 3"),
            (vec![1.0; 4], "4 dimensions; expected 3"),
            (vec![1.0, f32::NAN, 0.0], "vector[1] is NaN"),
            (vec![1.0, 0.0, f32::INFINITY], "vector[2] is inf"),
            (vec![f32::NEG_INFINITY, 0.0, 0.0], "vector[0] is -inf"),
            (vec![1e38, 1e38, 0.0], "squared length"),
            (vec![f32::MAX, 0.0, 0.0], "squared length"),
        ] {
            let invalid = ErrorKind::InvalidArgument;
            let record = Record::new(9u64, bad.clone());
            fixture.refuses(fixture.upsert(record.clone()), invalid, &["row 1", words]);
            fixture.refuses(fixture.docs.insert([record]).wait(), invalid, &["row 0", words]);
            let update = Update::new(1u64).vector(bad.clone());
            fixture.refuses(fixture.docs.update([update]).wait(), invalid, &["row 0", words]);
            fixture.refuses(fixture.docs.search(&bad).wait(), invalid, &["query", words]);
            let batch = fixture.docs.search_batch([vec![1.0; 3], bad]);
            fixture.refuses(batch.wait(), invalid, &["query 1", words]);
        }
    }
}

#[test]
fn vectors_without_a_direction() {
    let fixture = fixture(Metric::Cosine);
    for bad in [[0.0; 3], [-0.0; 3], [1e-30, 0.0, 0.0], [f32::MIN_POSITIVE / 8.0; 3]] {
        let (kind, words) = (ErrorKind::InvalidArgument, ["row 1", "too near zero"]);
        fixture.refuses(fixture.upsert(Record::new(9u64, bad)), kind, &words);
        fixture.refuses(fixture.docs.search(bad).wait(), kind, &["query", "too near zero"]);
    }
    // The other metrics take them, and answer with finite numbers.
    for fixture in [Metric::L2, Metric::Dot].map(self::fixture) {
        fixture.upsert(Record::new(9u64, [0.0; 3])).unwrap();
        fixture.upsert(Record::new(10u64, [f32::MIN_POSITIVE / 8.0; 3])).unwrap();
        let hits = fixture.docs.search([0.0; 3]).k(100).wait().unwrap();
        assert_eq!(hits.len(), 6);
        assert!(hits.iter().all(|hit| hit.distance.is_finite() && hit.score.is_finite()));
    }
}

#[test]
fn distances_stay_in_their_range() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(3, Metric::Cosine)).wait().unwrap();
    // Parallel and opposite vectors, whose cosine rounds beyond 1 now and then.
    let vectors = (1..200u64).map(|n| [n as f32 * 0.1, n as f32 * 0.3, n as f32 * 0.7]);
    let both = vectors.flat_map(|v| [v, v.map(|x| -x)]);
    docs.upsert((0u64..).zip(both).map(|(id, v)| Record::new(id, v))).wait().unwrap();
    for hit in docs.search([0.1, 0.3, 0.7]).k(1000).wait().unwrap() {
        assert!((0.0..=2.0).contains(&hit.distance), "{}", hit.distance);
        assert!((-1.0..=1.0).contains(&hit.score), "{}", hit.score);
    }
    docs.upsert([Record::new("large", [3e18, 3e18, 0.0])]).wait().unwrap();
    docs.upsert([Record::new("small", [2e-19, 0.0, 0.0])]).wait().unwrap();
    let hits = docs.search([1e-18, 1e-18, 0.0]).k(2).wait().unwrap();
    assert_eq!((&hits[0].id, hits[0].distance), (&Id::from("large"), 0.0));
}

#[test]
fn ids() {
    for fixture in ALL.map(fixture) {
        let long = "x".repeat(MAX_ID_BYTES + 1);
        for (bad, words) in [("", "empty"), (long.as_str(), "513 bytes")] {
            let kind = ErrorKind::InvalidArgument;
            let record = Record::new(bad, [1.0, 0.0, 0.0]);
            fixture.refuses(fixture.upsert(record), kind, &["row 1", words]);
            fixture.refuses(fixture.docs.delete(["b", bad]).wait(), kind, &["row 1", words]);
        }
    }
    let fixture = fixture(Metric::L2);
    let good: Vec<Id> = ["x".repeat(MAX_ID_BYTES), "a\0b".into(), "../e\u{301}".into(), "5".into()]
        .into_iter()
        .map(Id::from)
        .chain([0, 5, u64::MAX].map(Id::from))
        .collect();
    let records = good.iter().map(|id| Record::new(id, [1.0, 2.0, 3.0]));
    fixture.docs.upsert(records).wait().unwrap();
    for flushed in [false, true] {
        for id in &good {
            assert_eq!(fixture.docs.get(id).wait().unwrap().unwrap().id, *id, "{flushed}");
        }
        fixture.docs.flush().wait().unwrap();
    }
    assert_eq!(fixture.docs.count(), 2 + good.len() as u64);
}

#[test]
fn metadata() {
    let fixture = fixture(Metric::L2);
    // `json!` would copy what is inside, by recursion.
    let outer =
        |inner| serde_json::Value::Object(std::iter::once(("in".to_owned(), inner)).collect());
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| outer(inner));
    let invalid = ErrorKind::InvalidArgument;
    for (bad, words) in [
        (json!(null), "metadata is null"),
        (json!([1]), "metadata is a list"),
        (json!("text"), "metadata is a string"),
        (json!({"a": {"b": [u64::MAX]}}), "`a.b.[]` is 18446744073709551615"),
        (nested(MAX_DOCUMENT_DEPTH + 1), "nested more than 64 deep"),
        (json!({"big": "x".repeat(MAX_DOCUMENT_BYTES)}), "more than 1048576 bytes"),
    ] {
        let record = Record::new(9u64, [1.0; 3]).metadata(bad);
        fixture.refuses(fixture.upsert(record), invalid, &["row 1", words]);
    }
    let update = Update::new(1u64).merge_metadata(json!(3));
    fixture.refuses(fixture.docs.update([update]).wait(), invalid, &["merge patch is a number"]);
    let update = Update::new(1u64).merge_metadata(json!({"n": u64::MAX}));
    fixture.refuses(fixture.docs.update([update]).wait(), invalid, &["row 0", "`n` is 1844"]);

    // Deep enough to overflow a stack if it were walked without a limit.
    let update = Update::new(1u64).merge_metadata(nested(5000));
    fixture.refuses(fixture.docs.update([update]).wait(), invalid, &["row 0", "64 deep"]);

    let good = json!({
        "": {"__proto__": null}, "é\0": [true, [], {}, ""], "min": i64::MIN, "max": i64::MAX,
        "float": -0.0, "tiny": 5e-324, "huge": 1.7976931348623157e308, "one": 1.0, "int": 1,
    });
    let records = [
        Record::new(20u64, [1.0; 3]).metadata(good.clone()),
        Record::new(21u64, [1.0; 3]).metadata(nested(MAX_DOCUMENT_DEPTH)),
        Record::new(22u64, [1.0; 3]).metadata(json!({"text": "x".repeat(400_000)})),
    ];
    for record in records {
        fixture.docs.upsert([record.clone()]).wait().unwrap();
        let stored = fixture.docs.get(&record.id).wait().unwrap().unwrap();
        assert_eq!(stored.metadata, record.metadata);
        fixture.docs.flush().wait().unwrap();
        let stored = fixture.docs.get(&record.id).wait().unwrap().unwrap();
        assert_eq!(stored.metadata, record.metadata);
        // Equal as text too: 1 is not 1.0 and -0.0 keeps its sign.
        assert_eq!(stored.metadata.to_string(), record.metadata.to_string());
    }
}

#[test]
fn batches_and_conditions() {
    let fixture = fixture(Metric::L2);
    let record = |id: u64| Record::new(id, [1.0, 2.0, 3.0]);
    let (invalid, exists) = (ErrorKind::InvalidArgument, ErrorKind::AlreadyExists);
    let large = (0..100).map(|id| record(id + 100).payload(vec![0; 10_000]));
    fixture.refuses(fixture.docs.upsert(large).wait(), invalid, &["row 51", "524288 bytes"]);
    fixture.refuses(fixture.docs.insert([record(5), record(1)]).wait(), exists, &["row 1", "id 1"]);
    let missing = [Update::new(1u64).payload([1]), Update::new("1").payload([1])];
    let updated = fixture.docs.update(missing).wait();
    fixture.refuses(updated, ErrorKind::NotFound, &["row 1", "id \"1\""]);
    let scan = fixture.docs.scan().page_size(0).wait();
    fixture.refuses(scan, invalid, &["page of 0"]);

    // Nothing to do is no error, makes no write and no version.
    let version = fixture.docs.commit().wait().unwrap();
    assert_eq!(fixture.docs.upsert([]).wait().unwrap().records, 0);
    assert_eq!(fixture.docs.delete(["absent"]).wait().unwrap().records, 0);
    assert_eq!(fixture.docs.commit().wait().unwrap(), version);
    // Two updates of one id add up.
    let updates = [
        Update::new(1u64).vector([5.0, 5.0, 5.0]).merge_metadata(json!({"a": 1, "b": 1})),
        Update::new(1u64).merge_metadata(json!({"b": null, "c": 2})).payload([9]),
    ];
    assert_eq!(fixture.docs.update(updates).wait().unwrap().records, 1);
    let record = fixture.docs.get(1u64).wait().unwrap().unwrap();
    let expected = Record::new(1u64, [5.0; 3]).metadata(json!({"a": 1, "c": 2})).payload([9]);
    assert_eq!(record, expected);
    // An update counts for all that the record comes to.
    for id in 1000..1010u64 {
        fixture.docs.upsert([Record::new(id, [1.0; 3]).payload(vec![1; 100_000])]).wait().unwrap();
    }
    let all = (1000..1010u64).map(|id| Update::new(id).vector([2.0; 3]));
    let error = fixture.docs.update(all).wait().unwrap_err();
    assert_eq!((error.kind(), error.row()), (ErrorKind::InvalidArgument, Some(5)), "{error}");
    let record = |id: u64| Record::new(id, [1.0, 2.0, 3.0]);
    // Of two rows with one id the last wins.
    let twice = [record(30).payload([1]), record(30).payload([2])];
    // But for an insert.
    let error = fixture.docs.insert(twice.clone()).wait().unwrap_err();
    assert_eq!((error.kind(), error.row()), (ErrorKind::AlreadyExists, Some(1)), "{error}");
    assert_eq!(fixture.docs.upsert(twice).wait().unwrap().records, 1);
    assert_eq!(fixture.docs.get(30u64).wait().unwrap().unwrap().payload, Some(vec![2]));
}

#[test]
fn k() {
    let fixture = fixture(Metric::L2);
    for (k, expected) in [(0, 0), (1, 1), (2, 2), (3, 2), (u32::MAX as usize, 2), (usize::MAX, 2)] {
        assert_eq!(fixture.docs.search([1.0; 3]).k(k).wait().unwrap().len(), expected);
        let batch = fixture.docs.search_batch([[1.0; 3]; 2]).k(k).wait().unwrap();
        assert!(batch.len() == 2 && batch.iter().all(|hits| hits.len() == expected));
    }
    let none: [[f32; 3]; 0] = [];
    assert!(fixture.docs.search_batch(none).wait().unwrap().is_empty());
}

#[test]
fn names_and_configurations() {
    let fixture = fixture(Metric::L2);
    let (db, config) = (&fixture.db, Config::new(3, Metric::L2));
    let long = "x".repeat(65);
    let invalid = ErrorKind::InvalidArgument;
    for bad in
        ["", ".", "..", "a/b", "../x", "a\\b", "a\0b", "/abs", "%2e", "é", "A", "a b", "a.", &long]
    {
        let words = ["collection name", "a-z, 0-9, _ and -"];
        fixture.refuses(db.create(bad, config).wait(), invalid, &words);
        fixture.refuses(db.open_or_create(bad, config).wait(), invalid, &words);
        fixture.refuses(db.rename("docs", bad).wait(), invalid, &words);
        fixture.refuses(db.collection(bad).wait(), ErrorKind::NotFound, &["no collection"]);
    }
    for dim in [0, MAX_DIM + 1, usize::MAX] {
        let config = Config::new(dim, Metric::L2);
        fixture.refuses(db.create("other", config).wait(), invalid, &["dimension is", "65536"]);
    }
    let (exists, conflict) = (ErrorKind::AlreadyExists, ErrorKind::Conflict);
    fixture.refuses(db.create("docs", config).wait(), exists, &["`docs`"]);
    for other in [Config::new(4, Metric::L2), Config::new(3, Metric::Dot)] {
        let opened = db.open_or_create("docs", other).wait();
        fixture.refuses(opened, conflict, &["dim 3, metric l2", "asked for dim"]);
    }
    fixture.refuses(db.rename("docs", "docs").wait(), exists, &["`docs`"]);
    fixture.refuses(db.drop_collection("absent").wait(), ErrorKind::NotFound, &["absent", "docs"]);
    fixture.refuses(db.drop_collection("docs").wait(), ErrorKind::Busy, &["process"]);
    assert_eq!(db.collections().wait().unwrap().len(), 1);
}

#[test]
fn a_dropped_collection_is_gone_and_its_name_is_free() {
    let Fixture { dir, db, docs, .. } = fixture(Metric::L2);
    docs.close().wait().unwrap();
    db.rename("docs", "old").wait().unwrap();
    let reader = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    let reader = reader.collection("old").wait().unwrap();
    db.drop_collection("old").wait().unwrap();
    assert!(db.collections().wait().unwrap().is_empty());
    let config = Config::new(5, Metric::Dot);
    let docs = db.open_or_create("docs", config).wait().unwrap();
    assert_eq!(docs.count(), 0);
    docs.upsert([Record::new(1u64, [1.0; 5])]).wait().unwrap();
    // Whoever had it open reads on: its files are held.
    assert_eq!(reader.search([1.0; 3]).wait().unwrap().len(), 2);
}

#[test]
fn places() {
    let dir = tempfile::tempdir().unwrap();
    let (file, dangling) = (dir.path().join("file"), dir.path().join("dangling"));
    fs::write(&file, b"text").unwrap();
    symlink(dir.path().join("nowhere"), &dangling).unwrap();
    for (path, read_only) in [(&file, false), (&file, true), (&dangling, false), (&dangling, true)]
    {
        let error = vecgo::open(path).read_only(read_only).wait().unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    let absent = dir.path().join("absent");
    let error = vecgo::open(&absent).read_only(true).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!absent.exists(), "opening for reading made a directory");
    for uri in ["http://x", "ftp://x", "memory://x"] {
        let error = vecgo::open(uri).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    let options: [(vecgo::Open, &str); 3] = [
        (vecgo::open(&absent).memtable_bytes(10), "memtable_bytes"),
        (vecgo::open(&absent).wal_sync(WalSync::Interval(std::time::Duration::ZERO)), "interval"),
        (vecgo::open(&absent).simd("sse9"), "sse9"),
    ];
    for (open, word) in options {
        let error = open.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn readers_write_nothing() {
    let Fixture { dir, docs, .. } = fixture(Metric::L2);
    docs.commit().wait().unwrap();
    let db = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    let reader = db.collection("docs").wait().unwrap();
    let record = || Record::new(9u64, [1.0; 3]);
    let read_only = [
        reader.upsert([record()]).wait().map(drop),
        reader.insert([record()]).wait().map(drop),
        reader.update([Update::new(1u64)]).wait().map(drop),
        reader.delete([1u64]).wait().map(drop),
        reader.commit().wait().map(drop),
        reader.flush().wait().map(drop),
        db.create("new", Config::new(3, Metric::L2)).wait(),
        db.drop_collection("docs").wait(),
        db.rename("docs", "new").wait(),
    ];
    for result in read_only {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ReadOnly);
    }
    for version in [0, 3, u64::MAX] {
        let gone = docs.at_version(version).wait().unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::VersionGone, "{gone}");
    }
}

#[test]
fn a_database_in_memory_does_the_same() {
    let db = vecgo::open("memory://").wal_sync(WalSync::OnCommit).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(3, Metric::L2)).wait().unwrap();
    docs.upsert([Record::new(1u64, [1.0; 3])]).wait().unwrap();
    docs.commit().wait().unwrap();
    docs.upsert([Record::new(1u64, [2.0; 3]), Record::new(2u64, [3.0; 3])]).wait().unwrap();
    docs.close().wait().unwrap();
    let docs = db.collection("docs").wait().unwrap();
    assert_eq!(docs.count(), 2);
    assert_eq!(docs.at_version(1).wait().unwrap().count(), 1);
    docs.flush().wait().unwrap();
    assert_eq!(docs.search([2.0; 3]).k(1).wait().unwrap()[0].id, Id::from(1u64));
}
