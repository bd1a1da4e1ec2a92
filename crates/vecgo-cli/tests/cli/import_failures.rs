//! What `import` refuses: it names the file and the row, and tells how much was stored.

use crate::command::{Place, Ran};
use crate::files::{npy, npy_f32, npy_i32};

/// Rows that an import hands over at a time at most.
const BATCH: usize = 4096;

fn fails(place: &Place, args: &str, words: &[&str]) -> String {
    place.run(&format!("--json {args}")).is_refused("InvalidArgument", words)
}

#[test]
fn a_missing_file() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("a.npy"), &[vec![1.0, 2.0]]);
    place.write("a.jsonl", "{\"id\":1,\"vector\":[1,2]}\n");
    for files in ["a.npy nope.npy", "a.jsonl nope.jsonl", "a.npy nope.fvecs"] {
        place.refuses(&format!("import db {files}"), "NotFound", &["nope."]);
    }
    place.refuses("import db a.npy --metadata nope.jsonl", "NotFound", &["nope.jsonl"]);
    assert_eq!(place.count(), 0);
}

#[test]
fn files_of_another_kind() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("good.npy"), &[vec![1.0, 2.0]]);
    npy_i32(&place.path("int.npy"), &[vec![1, 2]]);
    place.write("a.csv", "1,2\n");
    place.write("short.npy", "\x7fNUM");
    place.write("short.fvecs", [2, 0, 0, 0, 1, 2]);
    std::fs::create_dir(place.path("dir.npy")).unwrap();
    std::fs::create_dir(place.path("dir.jsonl")).unwrap();
    for (file, word) in [
        ("int.npy", "<i4"),
        ("a.csv", ".npy, .fvecs or .bvecs"),
        ("short.npy", "magic"),
        ("short.fvecs", "within a row"),
        ("dir.npy", "a directory"),
        ("dir.jsonl", "a directory"),
    ] {
        place.refuses(&format!("import db good.npy {file}"), "InvalidArgument", &[file, word]);
    }
    assert_eq!(place.count(), 0, "a wrong file was found only after others were stored");
}

#[test]
fn another_dimension() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("three.npy"), &[vec![1.0, 2.0, 3.0]]);
    let words = ["three.npy", "3 dimensions", "expected 2"];
    place.refuses("import db three.npy", "InvalidArgument", &words);
    place.write("three.jsonl", "{\"id\":1,\"vector\":[1,2,3]}\n");
    let words = ["three.jsonl", "3 dimensions", "expected 2"];
    place.refuses("import db three.jsonl", "InvalidArgument", &words);
}

#[test]
fn a_side_file_of_another_length() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("a.npy"), &vec![vec![1.0, 2.0]; BATCH + 1]);
    for lines in [0, 1, BATCH, BATCH + 2] {
        place.write("side.jsonl", "{}\n".repeat(lines));
        let words = ["side.jsonl", &format!("{lines} lines"), "4097 vectors"];
        place.refuses("import db a.npy --metadata side.jsonl", "InvalidArgument", &words);
        assert_eq!(place.count(), 0);
    }
    place.write("a.jsonl", "{\"id\":1,\"vector\":[1,2]}\n");
    let ran = place.run("--json import db a.jsonl --metadata side.jsonl");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    ran.tells_failure("InvalidArgument", &["--metadata"]);
}

#[test]
fn a_bad_line_of_a_side_file() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("a.npy"), &[vec![1.0, 2.0], vec![1.0, 2.0]]);
    for line in ["[1]", "7", "{\"a\": }", "{\"id\": -1}", "{\"id\": 1.5}", "{\"id\": null}"] {
        place.write("side.jsonl", format!("\n{{}}\n{line}\n"));
        let words = ["side.jsonl line 3"];
        place.refuses("import db a.npy --metadata side.jsonl", "InvalidArgument", &words);
        assert_eq!(place.count(), 0);
    }
}

#[test]
fn a_bad_line_of_records() {
    let place = Place::with_collection(2, "l2");
    for (line, word) in [
        ("{", "EOF"),
        ("[]", "expected an object"),
        ("{\"id\": 1}", "missing field `vector`"),
        ("{\"id\": -1, \"vector\": [1, 2]}", "`-1`, expected an id"),
        ("{\"id\": true, \"vector\": [1, 2]}", "`true`, expected an id"),
        ("{\"id\": 1, \"vector\": [1, \"2\"]}", "vector[1]: "),
        ("{\"id\": 1, \"vector\": 1}", "expected a vector: a list of numbers"),
        ("{\"id\": 1, \"vector\": [1, 2], \"payload\": \"?\"}", "base64"),
        ("{\"id\": 1, \"vector\": [1, 2], \"payload\": 1}", "base64"),
        ("{\"id\": 1, \"vector\": [1, 2], \"text\": \"a\"}", "unknown field `text`"),
    ] {
        place.write("a.jsonl", format!("{{\"id\":7,\"vector\":[1,2]}}\n\n{line}\n"));
        place.refuses("import db a.jsonl", "InvalidArgument", &["a.jsonl", "line 3", word]);
        assert_eq!(place.count(), 0, "{line}");
    }
}

/// What only the collection can refuse is named as what the reader of the file refuses.
#[test]
fn a_record_that_cannot_be_stored_is_named_by_its_line() {
    let place = Place::with_collection(2, "l2");
    for (line, word) in [
        ("{\"id\": 1, \"vector\": [1, 2, 3]}", "3 dimensions; expected 2"),
        ("{\"id\": 1, \"vector\": [1, 1e39]}", "vector[1]: number out of range"),
        ("{\"id\": \"\", \"vector\": [1, 2]}", "an id is empty"),
        ("{\"id\": 1, \"vector\": [1, 2], \"metadata\": [1]}", "metadata"),
        ("{\"id\": 1, \"vector\": [1, 2], \"metadata\": {\"n\": 18446744073709551615}}", "`n`"),
    ] {
        // The blank line makes rows and lines two things.
        place.write("a.jsonl", format!("{{\"id\":7,\"vector\":[1,2]}}\n\n{line}\n"));
        place.refuses("import db a.jsonl", "InvalidArgument", &["a.jsonl", word]);
        assert_eq!(place.count(), 0, "{line}");
        place.refuses("import db a.jsonl", "InvalidArgument", &["line 3"]);
    }
}

/// A file of vectors whose row 5000 is bad.
fn bad_in_the_middle(place: &Place) {
    let mut rows = vec![vec![1.0f32, 2.0]; 10_000];
    rows[5000][1] = f32::NAN;
    npy_f32(&place.path("nan.npy"), &rows);
    let mut rows = vec![vec![1.0f64, 2.0]; 10_000];
    rows[5000][1] = 1e300;
    npy(&place.path("huge.npy"), "<f8", &rows, 2, |x| x.to_le_bytes());
}

#[test]
fn a_bad_row_in_the_middle_is_named() {
    let place = Place::with_collection(2, "l2");
    bad_in_the_middle(&place);
    for (file, word) in [("nan.npy", "NaN"), ("huge.npy", "1e300")] {
        let import = format!("import db {file} --first-id 0");
        let message = fails(&place, &import, &[file, word, "4096 rows were stored"]);
        assert!(message.contains("row 5000"), "`{message}` does not name row 5000 of the file");
    }
}

/// What is said to be stored is there for everybody.
#[test]
fn the_rows_before_a_bad_one_are_stored() {
    let place = Place::with_collection(2, "l2");
    bad_in_the_middle(&place);
    fails(&place, "import db nan.npy", &["4096 rows were stored"]);
    assert_eq!(place.count(), 4096);
}

#[test]
fn rows_of_the_files_before_are_told() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("good.npy"), &vec![vec![1.0, 2.0]; 10]);
    npy_f32(&place.path("nan.npy"), &[vec![1.0, f32::NAN]]);
    fails(&place, "import db good.npy nan.npy", &["10 rows were stored", "nan.npy", "row 0"]);
}

#[test]
fn wrong_settings() {
    let place = Place::with_collection(2, "l2");
    npy_f32(&place.path("a.npy"), &[vec![1.0, 2.0]]);
    for (flags, word) in [("--memtable-bytes 1", "65536"), ("--wal-sync 0", "interval")] {
        place.refuses(&format!("import db a.npy {flags}"), "InvalidArgument", &[word]);
    }
    for args in ["--wal-sync often", "--first-id x", "--memtable-bytes x", "--nope"] {
        let ran = place.run(&format!("import db a.npy {args}"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    // A document that fits no batch is refused by the limit's name.
    let large =
        format!("{{\"id\":1,\"vector\":[1,2],\"payload\":\"{}\"}}\n", "AAAA".repeat(20_000));
    place.write("large.jsonl", large);
    let words = ["large.jsonl", "memtable_bytes"];
    place.refuses("import db large.jsonl --memtable-bytes 65536", "InvalidArgument", &words);
    assert_eq!(place.count(), 0);
    let ran: Ran = place.run("import db");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}
