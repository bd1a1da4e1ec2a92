//! Many threads write the same ids: of each there is one record at any moment, and no answer that a
//! writer got is untrue.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts threads"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use vecgo::{Collection, Config, Database, ErrorKind, Metric, Record, Update, WalSync, json};

const DIM: usize = 8;

fn open(path: &Path) -> (Database, Collection) {
    let open = vecgo::open(path).memtable_bytes(64 << 10).wal_sync(WalSync::OnCommit);
    let db = open.wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    (db, docs)
}

fn record(id: u64, mark: u64) -> Record {
    Record::new(id, [mark as f32; DIM]).metadata(json!({"mark": mark}))
}

/// Each id is there once, in a scan as in a search.
fn each_once(docs: &Collection, ids: u64) {
    let mut scan = docs.scan().page_size(11).wait().unwrap();
    let mut scanned = Vec::new();
    while let Some(page) = scan.next_page().wait().unwrap() {
        scanned.extend(page.into_iter().map(|record| record.id));
    }
    let hits = docs.search([1.0; DIM]).k(ids as usize * 3).exact().wait().unwrap();
    let found: Vec<_> = hits.into_iter().map(|hit| hit.id).collect();
    for all in [scanned, found] {
        assert_eq!(all.len() as u64, ids);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len() as u64, ids);
    }
    assert_eq!(docs.count(), ids);
}

#[test]
fn writers_of_the_same_ids_leave_one_record_each() {
    const IDS: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path());
    docs.upsert((0..IDS).map(|id| record(id, 0))).wait().unwrap();
    let writing = AtomicBool::new(true);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while writing.load(Ordering::Acquire) {
                each_once(&docs, IDS);
            }
        });
        let writers: Vec<_> = (0..8u64)
            .map(|writer| {
                let docs = &docs;
                scope.spawn(move || {
                    for n in 0..200 {
                        let ids = (0..5).map(|i| (writer * 3 + n * 7 + i) % IDS);
                        docs.upsert(ids.map(|id| record(id, n))).wait().unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        writing.store(false, Ordering::Release);
        watcher.join().unwrap();
    });
    each_once(&docs, IDS);
    docs.flush().wait().unwrap();
    each_once(&docs, IDS);
    docs.compact().wait().unwrap();
    each_once(&docs, IDS);
    docs.upsert((0..IDS).map(|id| record(id, 999))).wait().unwrap();
    docs.commit().wait().unwrap();
    // As if killed.
    drop((db, docs));
    each_once(&open(dir.path()).1, IDS);
}

#[test]
fn of_many_inserts_of_an_id_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let (_db, docs) = open(dir.path());
    for id in 0..50 {
        if id % 10 == 0 {
            docs.flush().wait().unwrap();
        }
        let inserted: Vec<_> = thread::scope(|scope| {
            let insert = |mark| docs.insert([record(id, mark)]).wait().map(|_| mark);
            let writers: Vec<_> = (0..8).map(|mark| scope.spawn(move || insert(mark))).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = inserted.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 7));
        let there = |error: vecgo::Error| error.kind() == ErrorKind::AlreadyExists;
        assert!(lost.into_iter().all(|lost| there(lost.unwrap_err())));
        let mark = won.into_iter().next().unwrap().unwrap();
        assert_eq!(docs.get(id).wait().unwrap(), Some(record(id, mark)));
    }
}

#[test]
fn updates_of_one_record_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path());
    docs.upsert([record(7, 0)]).wait().unwrap();
    thread::scope(|scope| {
        for writer in 0..8u64 {
            let docs = &docs;
            scope.spawn(move || {
                for n in 0..50 {
                    let patch = json!({format!("{writer}_{n}"): n});
                    docs.update([Update::new(7u64).merge_metadata(patch)]).wait().unwrap();
                    if n % 20 == 0 {
                        docs.flush().wait().unwrap();
                    }
                }
            });
        }
    });
    let all = |docs: &Collection| {
        let metadata = docs.get(7u64).wait().unwrap().unwrap().metadata;
        assert_eq!(metadata.as_object().unwrap().len(), 401);
        assert!((0..8).all(|writer| (0..50).all(|n| metadata[format!("{writer}_{n}")] == n)));
        assert_eq!(docs.count(), 1);
    };
    all(&docs);
    docs.close().wait().unwrap();
    drop((db, docs));
    all(&open(dir.path()).1);
}

#[test]
fn deletes_from_many_threads_all_count() {
    const ROWS: u64 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let (db, docs) = open(dir.path());
    for part in 0..10 {
        docs.upsert((0..ROWS / 10).map(|n| record(part * ROWS / 10 + n, n))).wait().unwrap();
        if part == 5 {
            docs.flush().wait().unwrap();
        }
    }
    let deleted = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..8u64 {
            let (docs, deleted) = (&docs, &deleted);
            scope.spawn(move || {
                let ids: Vec<u64> = (0..ROWS).filter(|id| id % 8 == thread).collect();
                for ids in ids.chunks(7) {
                    // One of them is another's, so that some are asked for twice.
                    let ids = ids.iter().copied().chain([(ids[0] + 1) % ROWS]);
                    let ack = docs.delete(ids).wait().unwrap();
                    deleted.fetch_add(ack.records as u64, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..5 {
                docs.flush().wait().unwrap();
            }
        });
    });
    let none = |docs: &Collection| {
        assert_eq!(docs.count(), 0);
        assert!(docs.search([1.0; DIM]).k(10).wait().unwrap().is_empty());
        assert!(docs.scan().wait().unwrap().next_page().wait().unwrap().is_none());
    };
    assert_eq!(deleted.into_inner(), ROWS);
    none(&docs);
    docs.commit().wait().unwrap();
    let reader = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    none(&reader.collection("docs").wait().unwrap());
    drop((db, docs));
    let (_db, docs) = open(dir.path());
    none(&docs);
    docs.compact().wait().unwrap();
    none(&docs);
}
