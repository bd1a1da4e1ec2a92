//! What `import` takes.

use std::path::Path;

use half::f16;
use serde_json::{Value, json};

use crate::command::Place;
use crate::files::{Rng, npy, npy_f32, vecs};

type Writer = fn(&Path, &[Vec<i8>]);

/// Every format holds small integers, so that one set of rows serves all.
const FORMATS: [(&str, Writer); 8] = [
    ("f32.npy", |path, rows| npy(path, "<f4", rows, 5, |x| f32::from(*x).to_le_bytes())),
    ("f16.npy", |path, rows| {
        npy(path, "<f2", rows, 5, |x| f16::from_f32((*x).into()).to_le_bytes());
    }),
    ("f64.npy", |path, rows| npy(path, "<f8", rows, 5, |x| f64::from(*x).to_le_bytes())),
    ("u8.npy", |path, rows| npy(path, "|u1", rows, 5, |x| x.to_le_bytes())),
    ("i8.npy", |path, rows| npy(path, "|i1", rows, 5, |x| x.to_le_bytes())),
    ("some.fvecs", |path, rows| vecs(path, rows, |x| f32::from(*x).to_le_bytes())),
    ("some.bvecs", |path, rows| vecs(path, rows, |x| x.to_le_bytes())),
    ("UPPER.NPY", |path, rows| npy(path, "<f4", rows, 5, |x| f32::from(*x).to_le_bytes())),
];

#[test]
fn vectors_of_every_format() {
    let mut rng = Rng(1);
    for (name, write) in FORMATS {
        let place = Place::with_collection(5, "l2");
        let signed = name.starts_with("i8") || name.starts_with('f');
        let value = |rng: &mut Rng| (rng.next() % 128) as i8 * if signed { -1 } else { 1 };
        let rows: Vec<Vec<i8>> =
            (0..300).map(|_| (0..5).map(|_| value(&mut rng)).collect()).collect();
        write(&place.path(name), &rows);
        let done = place.json(&format!("import db {name}"));
        assert_eq!(done["rows"], 300, "{name}");
        assert!(done["seconds"].as_f64().unwrap() >= 0.0);
        assert_eq!(place.count(), 300);
        let got = place.json("get db 0 17 299");
        for (record, row) in got["records"].as_array().unwrap().iter().zip([0, 17, 299]) {
            let vector: Vec<f64> = rows[row].iter().map(|x| f64::from(*x)).collect();
            assert_eq!(record["id"], row, "{name}");
            assert_eq!(record["vector"], json!(vector), "{name}");
            assert_eq!(record["metadata"], json!({}));
            assert_eq!(record["payload"], Value::Null);
        }
    }
}

#[test]
fn records_as_they_were_given() {
    let place = Place::with_collection(3, "dot");
    let records = [
        json!({"id": 5, "vector": [0.1, -2.5e-8, 3.0], "metadata": {"a": 1, "b": 1.0}, "payload": "AAEC/w=="}),
        json!({"id": "5", "vector": [1.0, 2.0, 3.0], "metadata": {"nested": {"list": [null, true, "x", [1]]}}, "payload": ""}),
        json!({"id": u64::MAX, "vector": [0.0, 0.0, 0.0], "metadata": {"i": i64::MIN, "f": 1e300, "ключ": "значение"}, "payload": null}),
        json!({"id": "a b/c", "vector": [1.0, 1.0, 1.0], "metadata": {}, "payload": null}),
    ];
    let mut lines = String::new();
    for record in &records {
        // A blank line is no record.
        lines += &format!("{record}\n\n");
    }
    place.write("records.jsonl", lines);
    assert_eq!(place.json("import db records.jsonl")["rows"], 4);
    let got = place.command_of(&["--json", "get", "db", "5", &u64::MAX.to_string(), "a b/c"]);
    let got = crate::command::Ran::of(got).object();
    assert_eq!(got["records"], json!([records[0], records[2], records[3]]));
    assert_eq!(place.json("get --string-ids db 5")["records"], json!([records[1]]));
}

#[test]
fn records_with_parts_left_out() {
    let place = Place::with_collection(2, "l2");
    place.write(
        "records.jsonl",
        "{\"vector\": [1, 2]}\n{\"vector\": [3, 4], \"metadata\": null, \"payload\": null}\n",
    );
    place.ok("import db records.jsonl");
    let record = |id: u64, vector: [f64; 2]| json!({"id": id, "vector": vector, "metadata": {}, "payload": null});
    let got = place.json("get db 0 1");
    assert_eq!(got["records"], json!([record(0, [1.0, 2.0]), record(1, [3.0, 4.0])]));
}

#[test]
fn of_one_id_the_last_record_wins() {
    let place = Place::with_collection(1, "l2");
    place.write("a.jsonl", "{\"id\":1,\"vector\":[1]}\n{\"id\":1,\"vector\":[2]}\n");
    place.write("b.jsonl", "{\"id\":1,\"vector\":[3],\"metadata\":{\"from\":\"b\"}}\n");
    assert_eq!(place.json("import db a.jsonl b.jsonl")["rows"], 3);
    assert_eq!(place.count(), 1);
    let record = &place.json("get db 1")["records"][0];
    assert_eq!(record["vector"], json!([3.0]));
    assert_eq!(record["metadata"], json!({"from": "b"}));
}

#[test]
fn a_side_file_gives_metadata_and_ids() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("a.npy"), &[vec![0.0, 0.0], vec![1.0, 1.0]]);
    npy_f32(&place.path("b.npy"), &[vec![2.0, 2.0]]);
    place.write(
        "side.jsonl",
        "{\"id\": \"first\", \"title\": \"One\", \"n\": 1}\n\n{\"title\": \"Two\"}\n{\"id\": 70}\n",
    );
    assert_eq!(place.json("import db a.npy b.npy --metadata side.jsonl")["rows"], 3);
    let got = place.json("get db first 0 70");
    assert_eq!(
        got["records"],
        json!([
            {"id": "first", "vector": [0.0, 0.0], "metadata": {"title": "One", "n": 1}, "payload": null},
            {"id": 0, "vector": [1.0, 1.0], "metadata": {"title": "Two"}, "payload": null},
            {"id": 70, "vector": [2.0, 2.0], "metadata": {}, "payload": null},
        ])
    );
}

#[test]
fn files_without_rows() {
    let place = Place::with_collection(2, "l2");
    npy::<f32, 4>(&place.path("none.npy"), "<f4", &[], 2, |x| x.to_le_bytes());
    npy_f32(&place.path("one.npy"), &[vec![1.0, 2.0]]);
    place.write("none.jsonl", "");
    place.write("blank.jsonl", "\n  \n");
    for files in ["none.npy", "none.jsonl", "blank.jsonl", "none.npy --metadata none.jsonl"] {
        assert_eq!(place.json(&format!("import db {files}"))["rows"], 0, "{files}");
    }
    assert_eq!(place.count(), 0);
    assert_eq!(place.json("import db none.npy one.npy none.jsonl")["rows"], 1);
    assert_eq!(place.count(), 1);
}

#[test]
fn every_way_to_sync_and_not_to_wait() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("a.npy"), &[vec![1.0, 2.0], vec![3.0, 4.0]]);
    for (first, flags) in
        ["--wal-sync commit", "--wal-sync every", "--wal-sync 5"].iter().enumerate()
    {
        place.ok(&format!("import db a.npy --first-id {} {flags}", 10 * first));
    }
    assert_eq!(place.json("stats db")["memtable_rows"], 0);
    place.ok("import db a.npy --first-id 100 --no-wait --memtable-bytes 65536");
    assert_eq!(place.json("stats db")["memtable_rows"], 2);
    assert_eq!(place.count(), 8);
}
