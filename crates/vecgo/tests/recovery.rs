//! What crashes, stray files and damage leave behind, made by hand.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and tampers with files"
)]

use std::fs;
use std::path::{Path, PathBuf};

use vecgo::{Collection, Config, Database, ErrorKind, Metric, Record, Result};

const DIM: usize = 4;

fn open(path: &Path) -> Result<(Database, Collection)> {
    let db = vecgo::open(path).wait()?;
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::Dot)).wait()?;
    Ok((db, docs))
}

fn write(docs: &Collection, ids: std::ops::Range<u64>) {
    for id in ids {
        let ack = docs.upsert([Record::new(id, [id as f32; DIM])]).wait().unwrap();
        assert!(ack.durable);
    }
}

fn count(path: &Path) -> u64 {
    let (_, docs) = open(path).unwrap();
    let count = docs.count();
    docs.close().wait().unwrap();
    count
}

/// A folder of the only collection.
fn folder(path: &Path, name: &str) -> PathBuf {
    let collections: Vec<_> = fs::read_dir(path.join("collections")).unwrap().collect();
    assert_eq!(collections.len(), 1);
    collections[0].as_ref().unwrap().path().join(name)
}

fn log(path: &Path, number: u64) -> PathBuf {
    folder(path, "log").join(format!("{number:020}"))
}

#[test]
fn a_log_cut_short_before_its_header_was_whole() {
    // However much of the header is there, and whether anything was written or flushed before.
    for before in ["nothing", "rows", "flushed"] {
        for length in [0, 1, 40, 87] {
            let dir = tempfile::tempdir().unwrap();
            let (db, docs) = open(dir.path()).unwrap();
            let mut expected = 0;
            if before != "nothing" {
                write(&docs, 0..5);
                expected = 5;
            }
            if before == "flushed" {
                docs.flush().wait().unwrap();
            }
            docs.close().wait().unwrap();
            drop((db, docs));
            let next = if before == "nothing" { 1 } else { 2 };
            fs::create_dir_all(folder(dir.path(), "log")).unwrap();
            fs::write(log(dir.path(), next), vec![7; length]).unwrap();

            assert_eq!(count(dir.path()), expected, "{before}, {length} bytes");
            for round in 1..4 {
                let (db, docs) = open(dir.path()).unwrap();
                write(&docs, round * 100..round * 100 + 3);
                docs.commit().wait().unwrap();
                drop((db, docs));
                expected += 3;
                assert_eq!(count(dir.path()), expected, "{before}, {length} bytes, {round}");
            }
            let db = vecgo::open(dir.path()).read_only(true).wait().unwrap();
            assert_eq!(db.collection("docs").wait().unwrap().count(), expected);
            assert_eq!(db.verify().wait().unwrap().damage, []);
        }
    }
}

#[test]
fn a_log_whose_header_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path()).unwrap();
    write(&docs, 0..50);
    drop((db, docs));
    assert_eq!(count(dir.path()), 50);
    let whole = fs::read(log(dir.path(), 1)).unwrap();
    for place in 8..88 {
        let mut damaged = whole.clone();
        damaged[place] ^= 4;
        fs::write(log(dir.path(), 1), damaged).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption, "byte {place}: {error}");
        assert!(error.to_string().contains("log/00000000000000000001"), "{error}");
        let db = vecgo::open(dir.path()).wait().unwrap();
        assert!(!db.verify().wait().unwrap().damage.is_empty(), "byte {place}");
    }
    fs::write(log(dir.path(), 1), whole).unwrap();
    assert_eq!(count(dir.path()), 50);
}

#[test]
fn a_log_cut_short_anywhere_keeps_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path()).unwrap();
    write(&docs, 0..5);
    drop((db, docs));
    let whole = fs::read(log(dir.path(), 1)).unwrap();
    let mut counts = Vec::new();
    for length in 0..=whole.len() {
        let cut = tempfile::tempdir().unwrap();
        copy(dir.path(), cut.path());
        fs::write(log(cut.path(), 1), &whole[..length]).unwrap();
        counts.push(count(cut.path()));
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!((counts[0], counts[whole.len()], counts[whole.len() - 1]), (0, 5, 4));
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn damage_in_the_middle_of_a_log_is_no_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path()).unwrap();
    write(&docs, 0..10);
    drop((db, docs));
    let whole = fs::read(log(dir.path(), 1)).unwrap();
    let frame = (whole.len() - 88) / 10;
    // Each byte of the third record; the records after it say that it was durable.
    for place in 88 + 2 * frame..88 + 3 * frame {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x80;
        // Apart from the writer, which may be a moment from letting go.
        let copy_dir = tempfile::tempdir().unwrap();
        copy(dir.path(), copy_dir.path());
        fs::write(log(copy_dir.path(), 1), damaged).unwrap();
        let error = open(copy_dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption, "byte {place}");
        assert!(error.to_string().contains("write 3"), "{error}");
    }
}

#[test]
fn files_that_are_not_ours_are_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path()).unwrap();
    write(&docs, 0..5);
    docs.flush().wait().unwrap();
    docs.delete([0u64]).wait().unwrap();
    docs.flush().wait().unwrap();
    write(&docs, 5..9);
    docs.close().wait().unwrap();
    drop((db, docs));
    let folders = ["manifest", "log", "segment", "deletes", ""];
    let folders = folders.map(|name| folder(dir.path(), name));
    let others = ["catalogue", "collections", ""].map(|name| dir.path().join(name));
    for folder in folders.iter().chain(&others) {
        assert!(folder.is_dir(), "{}", folder.display());
        for name in ["00 copy", "x", ".hidden", "0000000000000000000", "99999999999999999999"] {
            fs::write(folder.join(name), b"stray").unwrap();
        }
        let nested = folder.join("nested");
        fs::create_dir(&nested).unwrap();
        fs::write(nested.join("00000000000000000001"), b"stray").unwrap();
    }
    assert_eq!(count(dir.path()), 8);
    let (db, docs) = open(dir.path()).unwrap();
    assert_eq!(docs.versions().wait().unwrap().len(), 3);
    assert_eq!(db.verify().wait().unwrap().damage, []);
}

#[test]
fn a_missing_object_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path()).unwrap();
    write(&docs, 0..5);
    docs.flush().wait().unwrap();
    docs.delete([1u64]).wait().unwrap();
    write(&docs, 5..8);
    docs.flush().wait().unwrap();
    write(&docs, 8..9);
    docs.close().wait().unwrap();
    drop((db, docs));
    for name in ["segment", "deletes", "log"] {
        let copy_dir = tempfile::tempdir().unwrap();
        copy(dir.path(), copy_dir.path());
        let mut files: Vec<_> = fs::read_dir(folder(copy_dir.path(), name))
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        let last = files.pop().unwrap();
        fs::remove_file(&last).unwrap();
        let error = open(copy_dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption, "{name}: {error}");
        let file = last.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(file), "{error}");
        let db = vecgo::open(copy_dir.path()).read_only(true).wait().unwrap();
        let damage = db.verify().wait().unwrap().damage;
        assert!(damage.iter().any(|damage| damage.key.contains(file)), "{damage:?}");
    }
}
