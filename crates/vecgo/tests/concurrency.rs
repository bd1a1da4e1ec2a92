//! Readers beside a writer see whole batches and one version, in this process and in others.

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

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use vecgo::{Collection, Config, Metric, Record, WalSync, json};

const DIM: usize = 8;
/// Ids that every batch replaces, all of them with one mark.
const IDS: u64 = 40;

fn batch(mark: u64) -> Vec<Record> {
    let record = |id| {
        let vector: Vec<f32> = (0..DIM as u64).map(|i| ((id * 7 + i * mark) % 13) as f32).collect();
        Record::new(id, vector).metadata(json!({"mark": mark}))
    };
    (0..IDS).map(record).collect()
}

/// How to read all records at one moment.
#[derive(Clone, Copy)]
enum By {
    Search,
    Batch,
    Scan,
    Ids,
}

/// The mark that every record has; a second one would be half a batch.
fn mark_of(collection: &Collection, by: By) -> Option<u64> {
    let k = IDS as usize * 2;
    let of_hits = |hits: Vec<vecgo::Hit>| -> Vec<_> {
        hits.into_iter().map(|hit| (hit.id, hit.metadata.unwrap())).collect()
    };
    let metadata: Vec<_> = match by {
        By::Search => of_hits(collection.search([1.0; DIM]).k(k).with_metadata().wait().unwrap()),
        By::Batch => {
            let queries = [[1.0; DIM], [0.0; DIM], [9.0; DIM], [-2.0; DIM]];
            let found = collection.search_batch(queries).k(k).with_metadata().wait().unwrap();
            let mut found: Vec<_> = found.into_iter().map(of_hits).collect();
            found.iter_mut().for_each(|hits| hits.sort_by(|a, b| a.0.cmp(&b.0)));
            assert!(found.iter().all(|hits| *hits == found[0]), "a batch saw two moments");
            found.swap_remove(0)
        }
        By::Scan => {
            let mut scan = collection.scan().page_size(7).wait().unwrap();
            let mut records = Vec::new();
            while let Some(page) = scan.next_page().wait().unwrap() {
                records.extend(page.into_iter().map(|record| (record.id, record.metadata)));
            }
            records
        }
        By::Ids => {
            let records = collection.get_many(0..IDS).wait().unwrap();
            records.into_iter().flatten().map(|record| (record.id, record.metadata)).collect()
        }
    };
    if metadata.is_empty() {
        return None;
    }
    let marks: std::collections::BTreeSet<u64> =
        metadata.iter().map(|(_, document)| document["mark"].as_u64().unwrap()).collect();
    assert_eq!(metadata.len(), IDS as usize, "marks {marks:?}");
    assert_eq!(marks.len(), 1, "half a batch: {marks:?}");
    marks.first().copied()
}

fn write_and_watch(wal_sync: WalSync, memtable_bytes: usize) {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wal_sync(wal_sync).memtable_bytes(memtable_bytes);
    let db = db.wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    let (stop, committed, written) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let running = || !stop.load(Ordering::Acquire);
    let seen = AtomicU64::new(0);
    thread::scope(|scope| {
        // In the writer's process: all that was acknowledged, at once.
        for by in [By::Search, By::Batch, By::Scan, By::Ids] {
            let (docs, written, seen) = (docs.clone(), &written, &seen);
            scope.spawn(move || {
                while running() {
                    let before = written.load(Ordering::Acquire);
                    assert!(mark_of(&docs, by).unwrap_or(0) >= before);
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // In a database of its own, as in another process: never less than what was committed
        // before it refreshed, never backwards.
        scope.spawn(|| {
            let db = vecgo::open(dir.path()).read_only(true).wait().unwrap();
            let reader = db.collection("docs").wait().unwrap();
            let (mut version, mut mark) = (0, 0);
            while running() {
                let before = committed.load(Ordering::Acquire);
                let refreshed = reader.refresh().wait().unwrap();
                assert!(refreshed >= version, "from {version} back to {refreshed}");
                let now = mark_of(&reader, By::Search).unwrap_or(0);
                assert!(now >= before.max(mark), "{now} after {before} was committed");
                assert_eq!(mark_of(&reader, By::Scan).unwrap_or(0), now);
                (version, mark) = (refreshed, now);
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Stops the readers even if a write panics.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let _stop = Stop(&stop);
        for mark in 1..=400 {
            docs.upsert(batch(mark)).wait().unwrap();
            written.store(mark, Ordering::Release);
            if mark % 7 == 0 {
                docs.commit().wait().unwrap();
                committed.store(mark, Ordering::Release);
            }
        }
    });
    assert!(seen.load(Ordering::Relaxed) > 20, "the readers hardly read");
    assert_eq!(mark_of(&docs, By::Search), Some(400));
}

#[test]
fn whole_batches_in_a_memtable() {
    write_and_watch(WalSync::OnCommit, 64 << 20);
}

#[test]
fn whole_batches_across_flushes() {
    write_and_watch(WalSync::OnCommit, 64 << 10);
}

#[test]
fn whole_batches_with_a_sync_each() {
    write_and_watch(WalSync::EveryWrite, 64 << 10);
}

#[test]
fn a_scan_does_not_move_with_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).memtable_bytes(64 << 10).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    docs.upsert(batch(1)).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.upsert((100..120u64).map(|id| Record::new(id, [1.0; DIM]))).wait().unwrap();
    let mut scan = docs.scan().page_size(9).wait().unwrap();
    let mut pages = vec![scan.next_page().wait().unwrap().unwrap()];
    docs.upsert(batch(2)).wait().unwrap();
    docs.delete(100..120u64).wait().unwrap();
    docs.flush().wait().unwrap();
    while let Some(page) = scan.next_page().wait().unwrap() {
        pages.push(page);
    }
    let records: Vec<_> = pages.into_iter().flatten().collect();
    assert_eq!(records.len(), IDS as usize + 20);
    assert!(records.iter().all(|r| r.metadata == json!({"mark": 1}) || r.metadata == json!({})));
    assert_eq!(docs.count(), IDS);
}

#[test]
fn calls_can_be_awaited_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    futures_lite::future::block_on(async {
        let db = vecgo::open(dir.path()).await.unwrap();
        let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).await.unwrap();
        docs.upsert(batch(1)).await.unwrap();
        drop(docs.upsert(batch(2)));
        assert_eq!(mark_of(&docs, By::Search), Some(1), "a call that nobody awaited was made");
        let hits = docs.search([1.0; DIM]).k(3).await.unwrap();
        assert_eq!(hits.len(), 3);
        let answers = docs.search_batch([[1.0; DIM], [2.0; DIM]]).k(3).await.unwrap();
        assert_eq!(answers[0], hits);
        let mut scan = docs.scan().await.unwrap();
        assert_eq!(scan.next_page().await.unwrap().unwrap().len(), IDS as usize);
        docs.commit().await.unwrap();
        docs.close().await.unwrap();
    });
}

#[test]
fn many_small_writes_beside_flushes_are_never_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).memtable_bytes(64 << 10).wal_sync(WalSync::OnCommit);
    let docs =
        db.wait().unwrap().open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    const WRITERS: u64 = 16;
    const WRITES: u64 = 200;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let docs = docs.clone();
            scope.spawn(move || {
                for n in 0..WRITES {
                    let record = Record::new(writer * WRITES + n, [n as f32; DIM]);
                    docs.upsert([record.payload(vec![0; 200])]).wait().unwrap();
                }
            });
        }
        // A flush waits for the writes before it, not for those after.
        let docs = docs.clone();
        scope.spawn(move || {
            for _ in 0..5 {
                docs.flush().wait().unwrap();
            }
        });
    });
    assert_eq!(docs.count(), WRITERS * WRITES);
    let segments = docs.stats().segments.len();
    assert!(segments < 100, "{segments} segments");
}

#[test]
fn counts_beside_a_writer_are_exact() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).memtable_bytes(64 << 10).wal_sync(WalSync::OnCommit);
    let docs =
        db.wait().unwrap().open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    docs.upsert(batch(1)).wait().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Acquire) {
                    assert_eq!(docs.count(), IDS);
                }
            });
        }
        for mark in 2..600 {
            docs.upsert(batch(mark)).wait().unwrap();
        }
        stop.store(true, Ordering::Release);
    });
    let reopened = docs.count();
    docs.close().wait().unwrap();
    assert_eq!(reopened, IDS);
}

#[test]
fn a_closed_collection_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    docs.upsert(batch(1)).wait().unwrap();
    docs.close().wait().unwrap();
    let closed = [
        docs.get(1u64).wait().map(drop),
        docs.exists(1u64).wait().map(drop),
        docs.search([1.0; DIM]).wait().map(drop),
        docs.search_batch([[1.0; DIM]]).wait().map(drop),
        docs.scan().wait().map(drop),
        docs.upsert(batch(2)).wait().map(drop),
        docs.commit().wait().map(drop),
        docs.close().wait(),
    ];
    for result in closed {
        assert_eq!(result.unwrap_err().kind(), vecgo::ErrorKind::Closed);
    }
}
