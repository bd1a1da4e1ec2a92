//! Backups, copies and exports by the command.

use std::fs;

use serde_json::{Value, json};

use crate::command::Place;

/// A database with records of all kinds in two collections.
fn place() -> Place {
    let place = Place::with_flat(3, "l2");
    let line = |id: Value, n: u64| {
        let record =
            json!({"id": id, "vector": [n, 1, 2], "metadata": {"n": n}, "payload": "AAEC"});
        format!("{record}\n")
    };
    let lines: String = (0..20u64).map(|n| line(json!(n), n)).collect();
    place.write("numbers.jsonl", lines);
    place.write(
        "texts.jsonl",
        (0..5u64).map(|n| line(json!(format!("t{n}")), n)).collect::<String>(),
    );
    place.ok("import db numbers.jsonl");
    place.ok("create db --dim 3 --metric dot --collection other");
    place.ok("import db texts.jsonl --collection other");
    place
}

fn u64_of(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("{key} in {object}"))
}

#[test]
fn what_scripts_rely_on() {
    let place = place();
    let made = place.json("snapshot db backups");
    let copied = u64_of(&made, "copied_bytes");
    assert!(copied > 0 && copied == u64_of(&made, "bytes") && u64_of(&made, "objects") == 2);
    assert_eq!(made["version"], place.json("stats db")["version"]);
    assert_eq!(u64_of(&place.json("snapshot db backups"), "copied_bytes"), 0);
    let restored = place.json("restore backups new --verify");
    assert_eq!(restored["version"], made["version"]);
    assert_eq!(restored["collections"], made["collections"]);
    assert_eq!(u64_of(&restored["verified"], "records"), 25);
    for key in ["objects", "bytes", "copied_bytes"] {
        assert!(u64_of(&restored, key) > 0, "{restored}");
    }
    assert_eq!(place.json("get new 7")["records"], place.json("get db 7")["records"]);
    let cloned = place.json("clone db clone");
    assert_eq!((u64_of(&cloned, "objects"), u64_of(&cloned, "copied_bytes")), (2, 0));
    let listed = place.json("backups list backups");
    assert_eq!(listed["backups"][0]["backup"], made["backup"]);
    assert_eq!(place.json("backups verify backups")["ok"], true);
    place.ok("delete db 1");
    place.ok("backup db backups --keep-last 1");
    assert_eq!(place.json("backups list backups")["backups"].as_array().unwrap().len(), 1);
    let pruned = place.json("backups prune backups --keep-last 1");
    assert_eq!((u64_of(&pruned, "kept"), u64_of(&pruned, "backups")), (1, 0));
}

#[test]
fn one_collection_at_one_version() {
    let place = place();
    let old = u64_of(&place.json("stats db"), "version");
    place.ok("tag db keep");
    place.ok("delete db 1 2 3");
    let made = place.json(&format!("snapshot db backups --version {old}"));
    assert_eq!((u64_of(&made, "version"), made["collections"].as_array().unwrap().len()), (old, 1));
    place.ok("snapshot db backups --collection other");
    place.ok("snapshot db backups");
    // In another database, under another name, and beside its own.
    place.ok(&format!("restore backups new --version {old}"));
    assert_eq!(u64_of(&place.json("count new"), "count"), 20);
    place.ok("restore backups db --name back --collection default");
    assert_eq!(u64_of(&place.json("count db --collection back"), "count"), 17);
    place.ok(&format!("clone db db --version {old} --name then"));
    assert_eq!(u64_of(&place.json("count db --collection then"), "count"), 20);
    place.ok("verify db");
    place.refuses("restore backups db --collection other", "AlreadyExists", &["other"]);
    place.refuses("restore backups x --version 99", "NotFound", &["99"]);
    place.refuses("restore backups x --backup 1", "NotFound", &["0000000000000001"]);
    place.refuses("restore backups x --time 1970-01-02", "InvalidArgument", &["--time"]);
    place.refuses("restore backups x --time 5", "NotFound", &["5 ms"]);
    place.refuses("restore db x", "NotFound", &["there is a database"]);
    place.refuses("restore nowhere x", "NotFound", &["nowhere"]);
    place.refuses("snapshot db new", "InvalidArgument", &["database"]);
    place.refuses("snapshot nowhere backups", "NotFound", &["nowhere"]);
    assert!(!place.path("x").exists() && !place.path("nowhere").exists());
}

#[test]
fn damage_is_named_and_nothing_is_left() {
    let place = place();
    place.ok("snapshot db backups");
    let data = place.path("backups/backup/data");
    for entry in fs::read_dir(data).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let whole = fs::read(&path).unwrap();
        let mut broken = whole.clone();
        broken[whole.len() / 2] ^= 1;
        fs::write(&path, broken).unwrap();
        place.refuses("restore backups new", "Corruption", &[&name]);
        assert!(!place.path("new").exists());
        let ran = place.run("--json backups verify backups");
        assert_eq!((ran.code, ran.object()["ok"].clone()), (Some(1), json!(false)));
        fs::remove_file(&path).unwrap();
        place.refuses("restore backups new", "Corruption", &[&name]);
        fs::write(&path, whole).unwrap();
    }
    place.ok("restore backups new --verify");
}

/// Everything goes out and comes back, by either kind of file.
#[test]
fn exports_hold_everything() {
    let place = place();
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let whole = sorted(place.ok("export db -"));
    assert_eq!(whole.len(), 20);
    for file in ["all.jsonl", "all.parquet"] {
        let told = place.json(&format!("export db {file}"));
        assert_eq!((u64_of(&told, "rows"), u64_of(&told, "objects")), (20, 1));
        assert_eq!(u64_of(&told, "bytes"), fs::metadata(place.path(file)).unwrap().len());
        let to = file.replace('.', "-");
        place.ok(&format!("create {to} --dim 3 --metric l2 --index flat"));
        place.ok(&format!("import {to} {file}"));
        assert_eq!(sorted(place.ok(&format!("export {to} -"))), whole);
        place.refuses(&format!("export db {file}"), "AlreadyExists", &[file]);
    }
    place.ok("export db other.parquet --collection other");
    place.ok("import db other.parquet --collection other");
    assert_eq!(u64_of(&place.json("count db --collection other"), "count"), 5);
    let ran = place.run("export db all.csv");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    place.refuses("export nowhere x.jsonl", "NotFound", &["nowhere"]);
    place.refuses("export db gone/x.jsonl", "NotFound", &["gone"]);
    assert!(!place.path("x.jsonl").exists());
}

#[test]
fn parquet_that_does_not_fit_is_refused_before_anything_is_stored() {
    let place = place();
    place.ok("export db all.parquet");
    place.ok("create four --dim 4 --metric l2");
    place.refuses("import four all.parquet", "InvalidArgument", &["3 dimensions", "expected 4"]);
    place.write("no.parquet", "PAR1 that is none PAR1");
    place.refuses("import db no.parquet", "InvalidArgument", &["no.parquet"]);
    let ran = place.run("import db all.parquet --metadata numbers.jsonl");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(place.count(), 20);
}
