//! What crashes, stray files and damage leave behind, made by hand.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and tampers with files"
)]

use std::fs;
use std::path::{Path, PathBuf};

use vecgo::{Collection, Config, Database, ErrorKind, Metric, Record, Result, WalSync};

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
        // What was cut off does not come back behind what is written now.
        let (db, docs) = open(cut.path()).unwrap();
        write(&docs, 100..101);
        drop((db, docs));
        let (_db, docs) = open(cut.path()).unwrap();
        assert_eq!(docs.count(), counts[length] + 1);
        let there = |id: &u64| docs.exists(*id).wait().unwrap();
        assert!((0..counts[length]).chain([100]).all(|id| there(&id)));
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!((counts[0], counts[whole.len()], counts[whole.len() - 1]), (0, 5, 4));
}

/// A file system that had made the file longer when the power went, and not written what is in it.
#[test]
fn zeros_behind_a_log_are_no_part_of_it() {
    for zeros in [1, 8, 700, 100_000] {
        let dir = tempfile::tempdir().unwrap();
        let (db, docs) = open(dir.path()).unwrap();
        write(&docs, 0..5);
        drop((db, docs));
        let mut bytes = fs::read(log(dir.path(), 1)).unwrap();
        bytes.resize(bytes.len() + zeros, 0);
        fs::write(log(dir.path(), 1), bytes).unwrap();
        assert_eq!(count(dir.path()), 5, "{zeros} zeros");
        let (db, docs) = open(dir.path()).unwrap();
        write(&docs, 5..8);
        drop((db, docs));
        assert_eq!(count(dir.path()), 8, "{zeros} zeros");
    }
}

#[test]
fn an_open_that_failed_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path()).unwrap();
    write(&docs, 0..50);
    drop((db, docs));
    let whole = fs::read(log(dir.path(), 1)).unwrap();
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    fs::write(log(dir.path(), 1), damaged).unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    for _ in 0..3 {
        // Not `Busy`: who failed has let go of the lock.
        let error = db.collection("docs").wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
    }
    fs::write(log(dir.path(), 1), whole).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    write(&docs, 50..60);
    docs.compact().wait().unwrap();
    assert_eq!((docs.count(), docs.stats().segments.len()), (60, 1));
    let other = vecgo::open(dir.path()).wait().unwrap();
    assert_eq!(other.collection("docs").wait().unwrap_err().kind(), ErrorKind::Busy);
}

/// Clean ends and kills in turn: nothing that a clean end left is taken for what came later.
#[test]
fn what_comes_after_a_clean_end_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected: std::collections::BTreeSet<u64> = (0..6).collect();
    let (db, docs) = open(dir.path()).unwrap();
    write(&docs, 0..6);
    docs.close().wait().unwrap();
    drop((db, docs));
    for round in 1..6u64 {
        let (db, docs) = open(dir.path()).unwrap();
        write(&docs, round * 10..round * 10 + 5);
        expected.extend(round * 10..round * 10 + 5);
        let gone = [round, round * 10 + 2];
        docs.delete(gone).wait().unwrap();
        gone.iter().for_each(|id| assert!(expected.remove(id)));
        match round % 3 {
            0 => docs.close().wait().unwrap(),
            1 => assert!(docs.commit().wait().unwrap() > 0),
            _ => {}
        }
        drop((db, docs));
        let (_db, docs) = open(dir.path()).unwrap();
        let hits = docs.search([1.0; DIM]).k(100).wait().unwrap();
        let found: std::collections::BTreeSet<_> = hits.into_iter().map(|hit| hit.id).collect();
        assert_eq!(found, expected.iter().map(|id| vecgo::Id::from(*id)).collect());
        for id in 0..60 {
            assert_eq!(docs.exists(id).wait().unwrap(), expected.contains(&id), "{id}");
        }
    }
}

#[test]
fn a_delete_alone_is_a_version() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wal_sync(WalSync::OnCommit).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::Dot)).wait().unwrap();
    docs.upsert((0..5u64).map(|id| Record::new(id, [1.0; DIM]))).wait().unwrap();
    let before = docs.flush().wait().unwrap();
    docs.delete([3u64]).wait().unwrap();
    let after = docs.commit().wait().unwrap();
    assert!(after > before);
    let reader = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    let reader = reader.collection("docs").wait().unwrap();
    assert_eq!((reader.count(), reader.exists(3u64).wait().unwrap()), (4, false));
    let old = reader.at_version(before).wait().unwrap();
    assert_eq!((old.count(), old.exists(3u64).wait().unwrap()), (5, true));
    drop((db, docs));
    assert!(!open(dir.path()).unwrap().1.exists(3u64).wait().unwrap());
}

#[test]
fn collections_do_not_mix_up_their_logs() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = [0, 0];
    for round in 0..3u64 {
        let db = vecgo::open(dir.path()).wait().unwrap();
        let open =
            |name: &str| db.open_or_create(name, Config::new(DIM, Metric::L2)).wait().unwrap();
        let both = [open("a"), open("b")];
        for n in 0..20 {
            let (which, id) = ((n % 2) as usize, round * 100 + n);
            both[which].upsert([Record::new(id, [which as f32; DIM])]).wait().unwrap();
            expected[which] += 1;
            if n == 9 + round {
                both[0].flush().wait().unwrap();
            }
        }
        drop((both, db));
        let db = vecgo::open(dir.path()).wait().unwrap();
        for (which, name) in ["a", "b"].into_iter().enumerate() {
            let docs = db.collection(name).wait().unwrap();
            assert_eq!(docs.count(), expected[which]);
            let mut scan = docs.scan().with_vector().wait().unwrap();
            while let Some(page) = scan.next_page().wait().unwrap() {
                assert!(page.iter().all(|record| record.vector == [which as f32; DIM]));
            }
        }
    }
}

#[test]
fn what_was_dropped_stays_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path()).unwrap();
    write(&docs, 0..50);
    docs.close().wait().unwrap();
    drop(docs);
    db.drop_collection("docs").wait().unwrap();
    db.create("docs", Config::new(DIM, Metric::Dot)).wait().unwrap();
    let docs = db.collection("docs").wait().unwrap();
    write(&docs, 7..8);
    drop((db, docs));
    assert_eq!(count(dir.path()), 1);
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
