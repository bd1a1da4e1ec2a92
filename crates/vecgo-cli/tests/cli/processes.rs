//! Two processes at one database.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Child, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::command::Place;

/// An import that waits in the middle of its file until it is let go.
struct Import {
    child: Child,
    /// Kept open for reading too, so that it never lacks a reader.
    pipe: std::fs::File,
}

/// More than a pipe holds: once so much is written, the import is reading, and so it is the writer.
const ROWS: usize = 20_000;

fn start(place: &Place) -> Import {
    mknodat(CWD, place.path("pipe.jsonl"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut pipe =
        OpenOptions::new().read(true).write(true).open(place.path("pipe.jsonl")).unwrap();
    let mut command = place.command("--json import db pipe.jsonl");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for id in 0..ROWS {
        writeln!(pipe, "{{\"id\":{id},\"vector\":[1,2]}}").unwrap();
    }
    Import { child, pipe }
}

impl Import {
    fn finish(self) {
        drop(self.pipe);
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(done["rows"], ROWS);
    }
}

#[test]
fn one_writer_and_many_readers() {
    let place = Place::with_collection(2, "l2");
    place.write("a.jsonl", "{\"id\":\"first\",\"vector\":[1,2]}\n");
    place.ok("import db a.jsonl");
    let import = start(&place);
    let pid = import.child.id().to_string();

    for args in ["delete db first", "import db a.jsonl", "drop db"] {
        place.refuses(args, "Busy", &[&pid]);
    }
    assert_eq!(place.json("search db --vector [1,2] -k 1")["hits"][0]["id"], "first");
    assert_eq!(place.json("get db first")["records"][0]["id"], "first");
    assert!(place.count() >= 1);
    assert!(place.json("stats db")["version"].as_u64().unwrap() >= 1);
    assert!(!place.json("versions db")["versions"].as_array().unwrap().is_empty());
    assert_eq!(place.json("collections db")["collections"][0]["name"], "default");
    assert_eq!(place.json("verify db")["ok"], true);

    // Another collection has a writer of its own.
    place.ok("create db --dim 2 --metric l2 --collection other");
    place.ok("--collection other import db a.jsonl");

    import.finish();
    assert_eq!(place.json("count db"), json!({"count": ROWS + 1}));
    place.ok("delete db first");
}

#[test]
fn a_killed_writer_leaves_the_collection_free() {
    let place = Place::with_collection(2, "l2");
    let mut import = start(&place);
    import.child.kill().unwrap();
    import.child.wait().unwrap();
    place.write("a.jsonl", "{\"id\":\"first\",\"vector\":[1,2]}\n");
    place.ok("import db a.jsonl");
    assert_eq!(place.json("get db first")["missing"], json!([]));
    assert_eq!(place.json("verify db")["ok"], true);
}
