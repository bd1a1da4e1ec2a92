//! Segments are merged while others write, delete and search: what comes back is held against a
//! map and a brute-force search.

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

mod oracle;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use oracle::{Model, check_all};
use vecgo::{Collection, Config, Database, ErrorKind, Id, Metric, Record, WalSync, json};

const DIM: usize = 8;

/// Half numbers, half texts, with documents and payloads of every length, none among them.
fn record(n: u64, mark: u64) -> Record {
    let id = if n.is_multiple_of(2) { Id::from(n) } else { Id::from(format!("text-{n}")) };
    let vector: Vec<f32> =
        (0..DIM as u64).map(|i| ((n * 31 + mark * 17 + i * 7) % 23) as f32 - 11.5).collect();
    let record = Record::new(id, vector);
    match (n + mark) % 4 {
        0 => record,
        1 => record.payload(vec![n as u8; (n % 9) as usize]),
        2 => record.metadata(json!({"n": n, "mark": mark})),
        _ => record.metadata(json!({"mark": mark})).payload(vec![mark as u8; (n % 70) as usize]),
    }
}

fn queries() -> Vec<Vec<f32>> {
    (0..4u8).map(|q| (0..DIM).map(|i| f32::from(q) * 3.0 - i as f32 + 0.25).collect()).collect()
}

fn open(path: &std::path::Path, auto: bool) -> Database {
    let open = vecgo::open(path).memtable_bytes(64 << 10).wal_sync(WalSync::OnCommit);
    open.auto_compact(auto).wait().unwrap()
}

fn docs(db: &Database, metric: Metric) -> Collection {
    db.open_or_create("docs", Config::new(DIM, metric)).wait().unwrap()
}

fn segments(docs: &Collection) -> usize {
    docs.stats().segments.len()
}

#[test]
fn many_segments_become_one() {
    for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
        let dir = tempfile::tempdir().unwrap();
        let docs = docs(&open(dir.path(), false), metric);
        let mut model = Model::new();
        for round in 0..6u64 {
            for n in round * 10..round * 10 + 40 {
                let record = record(n, round);
                model.insert(record.id.clone(), record.clone());
                docs.upsert([record]).wait().unwrap();
            }
            docs.delete([record(round * 10, 0).id]).wait().unwrap();
            model.remove(&record(round * 10, 0).id);
            docs.flush().wait().unwrap();
        }
        assert_eq!(segments(&docs), 6);
        let ids: Vec<Id> = (0..120).map(|n| record(n, 0).id).collect();
        let before = docs.at_version(docs.version()).wait().unwrap();
        let version = docs.compact().wait().unwrap();
        assert!(version > before.version());
        let stats = docs.stats();
        assert_eq!((stats.segments.len(), stats.dead_rows), (1, 0));
        assert_eq!(stats.segments[0].rows, model.len() as u64);
        check_all(&model, &docs, &ids, &queries());
        // Whoever read the old segments goes on, and so does who opens the old version.
        check_all(&model, &before, &ids, &queries());
        let old = docs.at_version(before.version()).wait().unwrap();
        check_all(&model, &old, &ids, &queries());
        assert_eq!(docs.compact().wait().unwrap(), version, "nothing was left to do");
        docs.close().wait().unwrap();
        let db = open(dir.path(), false);
        check_all(&model, &db.collection("docs").wait().unwrap(), &ids, &queries());
        assert_eq!(db.verify().wait().unwrap().damage, []);
    }
}

#[test]
fn nothing_is_left_of_what_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let docs = docs(&open(dir.path(), false), Metric::L2);
    assert_eq!(docs.compact().wait().unwrap(), 0);
    for round in 0..3u64 {
        docs.upsert((0..20).map(|n| record(round * 20 + n, 0))).wait().unwrap();
        docs.flush().wait().unwrap();
    }
    docs.delete((0..60).map(|n| record(n, 0).id)).wait().unwrap();
    docs.compact().wait().unwrap();
    assert_eq!((segments(&docs), docs.count()), (0, 0));
    docs.upsert([record(7, 1)]).wait().unwrap();
    docs.close().wait().unwrap();
    let docs = open(dir.path(), true).collection("docs").wait().unwrap();
    assert_eq!(docs.get(record(7, 1).id).wait().unwrap(), Some(record(7, 1)));
    assert_eq!(docs.count(), 1);
}

/// The log says which row of which segment each write replaces. Segments that are merged before
/// what is in the log is flushed leave it naming segments that are gone.
#[test]
fn rows_killed_after_their_flush_stay_dead_through_a_merge() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let open = vecgo::open(dir.path()).memtable_bytes(64 << 10).wal_sync(WalSync::OnCommit);
        // Graphs, for which rows are put in another order.
        let db = open.auto_compact(false).index_rows(1).wait().unwrap();
        let docs = docs(&db, Metric::L2);
        (db, docs)
    };
    let (db, docs) = open();
    let mut model = Model::new();
    for round in 0..9u64 {
        for n in round * 20..round * 20 + 20 {
            let record = record(n, 0);
            model.insert(record.id.clone(), record.clone());
            docs.upsert([record]).wait().unwrap();
        }
        docs.flush().wait().unwrap();
    }
    let ids: Vec<Id> = (0..200).map(|n| record(n, 0).id).collect();
    let change = |docs: &Collection, model: &mut Model, from: u64| {
        for n in (from..180).step_by(7) {
            docs.delete([record(n, 0).id]).wait().unwrap();
            model.remove(&record(n, 0).id);
            let replaced = record((n + 3) % 180, 5);
            model.insert(replaced.id.clone(), replaced.clone());
            docs.upsert([replaced]).wait().unwrap();
        }
    };
    change(&docs, &mut model, 0);
    assert_eq!(segments(&docs), 9);
    docs.settle().wait().unwrap();
    assert!(segments(&docs) < 9, "nothing was merged");
    change(&docs, &mut model, 1);
    check_all(&model, &docs, &ids, &queries());
    docs.commit().wait().unwrap();
    drop((db, docs));
    let (db, docs) = open();
    check_all(&model, &docs, &ids, &queries());
    docs.flush().wait().unwrap();
    check_all(&model, &docs, &ids, &queries());
    docs.close().wait().unwrap();
    drop((db, docs));
    check_all(&model, &open().1, &ids, &queries());
}

#[test]
fn segments_are_merged_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let docs = docs(&open(dir.path(), true), Metric::L2);
    for round in 0..40u64 {
        docs.upsert((0..10).map(|n| record(round * 10 + n, 0))).wait().unwrap();
        docs.flush().wait().unwrap();
    }
    docs.settle().wait().unwrap();
    assert!(segments(&docs) <= 4, "{} segments", segments(&docs));
    docs.delete((0..150).map(|n| record(n, 0).id)).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.settle().wait().unwrap();
    let stats = docs.stats();
    assert!(stats.segments.iter().all(|s| s.dead_rows * 5 <= s.rows), "{:?}", stats.segments);
    assert_eq!(docs.count(), 250);
    assert!(stats.merge_failure.is_none());
}

#[test]
fn a_merge_that_was_switched_off_happens_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let docs = docs(&open(dir.path(), false), Metric::L2);
    for round in 0..9u64 {
        docs.upsert([record(round, 0)]).wait().unwrap();
        docs.flush().wait().unwrap();
    }
    assert_eq!(segments(&docs), 9);
    docs.settle().wait().unwrap();
    assert!(segments(&docs) <= 4, "{} segments", segments(&docs));
    docs.compact().wait().unwrap();
    assert_eq!(segments(&docs), 1);
}

/// Writers of their own ids each, searchers, somebody who asks for merges, and flushes all the
/// time. Each writer knows what is there of its ids; at the end all of them together do.
#[test]
fn writers_and_searchers_beside_merges() {
    const WRITERS: u64 = 3;
    const IDS: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let docs = docs(&open(dir.path(), true), Metric::L2);
    let stop = AtomicBool::new(false);
    let (merges, searches) = (AtomicU64::new(0), AtomicU64::new(0));
    let running = || !stop.load(Ordering::Acquire);
    let models: Vec<Model> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let docs = docs.clone();
                let (merges, searches) = (&merges, &searches);
                scope.spawn(move || {
                    let ids = writer * IDS..(writer + 1) * IDS;
                    let mut model = write(&docs, ids.clone(), Model::new());
                    // Until the others have had their turns.
                    while [merges, searches].iter().any(|n| n.load(Ordering::Relaxed) < 6) {
                        model = write(&docs, ids.clone(), model);
                    }
                    model
                })
            })
            .collect();
        scope.spawn(|| {
            while running() {
                docs.compact().wait().unwrap();
                merges.fetch_add(1, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            while running() {
                search(&docs);
                searches.fetch_add(1, Ordering::Relaxed);
            }
        });
        let models = writers.into_iter().map(|writer| writer.join());
        let models: Vec<_> = models.collect();
        stop.store(true, Ordering::Release);
        models.into_iter().map(|model| model.unwrap()).collect()
    });
    let model: Model = models.into_iter().flatten().collect();
    let ids: Vec<Id> = (0..WRITERS * IDS).map(|n| record(n, 0).id).collect();
    check_all(&model, &docs, &ids, &queries());
    drop(docs);
    // Killed, not closed: all that was acknowledged had reached the log.
    let db = open(dir.path(), true);
    let docs = db.collection("docs").wait().unwrap();
    check_all(&model, &docs, &ids, &queries());
    docs.compact().wait().unwrap();
    check_all(&model, &docs, &ids, &queries());
    assert_eq!(db.verify().wait().unwrap().damage, []);
}

fn write(docs: &Collection, ids: std::ops::Range<u64>, mut model: Model) -> Model {
    let mut random = ids.start + 1;
    let width = ids.end - ids.start;
    for mark in 0..250u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let n = ids.start + (random >> 33) % width;
        let first = record(n, mark);
        match (random >> 20) % 10 {
            0..=2 => {
                docs.delete([first.id.clone()]).wait().unwrap();
                model.remove(&first.id);
            }
            3 => {
                docs.flush().wait().unwrap();
            }
            _ => {
                let more = (n..(n + 5).min(ids.end)).map(|n| record(n, mark));
                let records: BTreeMap<Id, Record> =
                    more.map(|record| (record.id.clone(), record)).collect();
                docs.upsert(records.values().cloned()).wait().unwrap();
                model.extend(records);
            }
        }
        // Nobody else writes these, so they are what was written last, wherever they are now.
        let found = docs.get(first.id.clone()).wait().unwrap();
        assert_eq!(found.as_ref(), model.get(&first.id), "id {} at {mark}", first.id);
    }
    model
}

/// No id twice, and each hit at the distance that its own vector has.
fn search(docs: &Collection) {
    for query in queries() {
        let hits = docs.search(&query).k(400).with_vector().wait().unwrap();
        let ids: std::collections::BTreeSet<&Id> = hits.iter().map(|hit| &hit.id).collect();
        assert_eq!(ids.len(), hits.len(), "an id twice");
        for hit in &hits {
            let vector = hit.vector.as_ref().unwrap();
            let truth: f32 = vector.iter().zip(&query).map(|(a, b)| (a - b) * (a - b)).sum();
            assert!((truth - hit.distance).abs() <= 1e-3 * (1.0 + truth), "{hit:?}, {truth}");
        }
    }
}

#[test]
fn closing_ends_a_merge() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::new();
    for round in 0..20u64 {
        let docs = docs(&open(dir.path(), true), Metric::L2);
        let records: Vec<Record> = (0..200).map(|n| record(n + round * 13, round)).collect();
        model.extend(records.iter().map(|record| (record.id.clone(), record.clone())));
        docs.upsert(records).wait().unwrap();
        docs.flush().wait().unwrap();
        thread::scope(|scope| {
            let merging = docs.clone();
            scope.spawn(move || match merging.compact().wait() {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
            });
            match round % 3 {
                0 => docs.close().wait().unwrap(),
                1 => drop(docs),
                _ => docs.settle().wait().map(drop).unwrap(),
            }
        });
    }
    let db = open(dir.path(), true);
    let docs = db.collection("docs").wait().unwrap();
    let ids: Vec<Id> = (0..500).map(|n| record(n, 0).id).collect();
    check_all(&model, &docs, &ids, &queries());
    assert_eq!(db.verify().wait().unwrap().damage, []);
}
