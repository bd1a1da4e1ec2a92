//! Ids of rows that bring none.

use serde_json::{Value, json};

use crate::command::Place;
use crate::files::npy_f32;

/// A file of `rows` rows, each of which is its row number and `mark`.
fn rows(place: &Place, name: &str, rows: usize, mark: f32) {
    let rows: Vec<Vec<f32>> = (0..rows).map(|row| vec![row as f32, mark]).collect();
    npy_f32(&place.path(name), &rows);
}

fn vector(place: &Place, flags: &str, id: &str) -> Value {
    place.json(&format!("get {flags} db {id}"))["records"][0]["vector"].clone()
}

#[test]
fn numbers_run_on_through_all_files() {
    let place = Place::with_collection(2, "l2");
    rows(&place, "a.npy", 5000, 1.0);
    rows(&place, "b.npy", 3, 2.0);
    place.write(
        "c.jsonl",
        "{\"vector\":[0,3]}\n{\"id\":\"own\",\"vector\":[1,3]}\n{\"vector\":[2,3]}\n",
    );
    assert_eq!(place.json("import db a.npy b.npy c.jsonl")["rows"], 5006);
    assert_eq!(place.count(), 5006);
    for (id, expected) in [
        ("0", [0.0, 1.0]),
        ("4999", [4999.0, 1.0]),
        ("5000", [0.0, 2.0]),
        ("5002", [2.0, 2.0]),
        ("5003", [0.0, 3.0]),
        ("own", [1.0, 3.0]),
        // A row with an id of its own uses up no number.
        ("5004", [2.0, 3.0]),
    ] {
        assert_eq!(vector(&place, "", id), json!(expected), "{id}");
    }
}

#[test]
fn into_a_collection_that_is_not_empty_the_first_number_must_be_given() {
    let place = Place::with_collection(2, "l2");
    rows(&place, "a.npy", 2, 1.0);
    rows(&place, "b.npy", 2, 2.0);
    place.ok("import db a.npy --first-id 10");
    place.refuses("import db b.npy", "InvalidArgument", &["--first-id", "not empty"]);
    assert_eq!(place.count(), 2);
    place.ok("import db b.npy --first-id 11");
    assert_eq!(place.count(), 3);
    assert_eq!(vector(&place, "", "11"), json!([0.0, 2.0]));

    // Rows with ids of their own need no number.
    place.write("ids.jsonl", "{\"id\": 1}\n{\"id\": 2}\n");
    place.ok("import db b.npy --metadata ids.jsonl");
    assert_eq!(place.count(), 5);

    // Empty again, so there is nothing to run into.
    place.ok("delete db 1 2 10 11 12");
    place.ok("import db a.npy");
    assert_eq!(vector(&place, "", "0"), json!([0.0, 1.0]));
}

#[test]
fn the_last_number_can_be_used_and_no_more() {
    let place = Place::with_collection(2, "l2");
    rows(&place, "a.npy", 2, 1.0);
    let first = |n: u64| format!("import db a.npy --first-id {n}");
    place.refuses(&first(u64::MAX), "InvalidArgument", &["no ids are left"]);
    assert_eq!(place.count(), 0);
    place.ok(&first(u64::MAX - 1));
    assert_eq!(vector(&place, "", &u64::MAX.to_string()), json!([1.0, 1.0]));
}

#[test]
fn numbers_as_texts() {
    let place = Place::with_collection(2, "l2");
    rows(&place, "a.npy", 3, 1.0);
    place.write("side.jsonl", "{}\n{\"id\": 40}\n{\"id\": \"x\"}\n");
    place.ok("import db a.npy --metadata side.jsonl --string-ids --first-id 7");
    for (id, row) in [("7", 0.0), ("40", 1.0), ("x", 2.0)] {
        assert_eq!(vector(&place, "--string-ids", id), json!([row, 1.0]), "{id}");
    }
    assert_eq!(place.run("get db 7").code, Some(1));
}
