//! Graphs that go on from others when segments are merged, and memtables beside graphs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::fixture::{Fixture, clustered, combinations, ids};
use vecgo::{Config, Metric, Quantization, Record};

/// A third of the rows is replaced by others and a tenth deleted, each time from what is left.
#[test]
fn rows_that_come_and_go_are_found_merge_after_merge() {
    const ROWS: usize = 2000;
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 3 * ROWS, 100);
        let mut docs = Fixture::of(metric, quantization, &rows[..ROWS]);
        let queries = clustered(2, 40, 100);
        for round in 0..5 {
            let first = round * 300;
            docs.put(first as u64, &rows[ROWS + round * 600..][..600]);
            docs.delete(ids(1700..2000).skip(round).step_by(7));
            docs.merge();
            let recall = docs.usual_recall(&queries);
            assert!(recall >= 0.95, "{}: recall {recall} after round {round}", docs.what());
            docs.is_exact(&queries[round], 10, &docs.full(&queries[round], 10));
        }
        docs.reopen();
        let own = docs.model.iter().step_by(97).map(|(id, row)| (id.clone(), row.clone()));
        for (id, row) in own.filter(|_| metric != Metric::Dot).collect::<Vec<_>>() {
            assert_eq!(docs.search(&row, 1)[0].id, id, "{}", docs.what());
        }
    }
}

/// What a search of the new segment reads is there before the first search of it.
#[test]
fn a_merged_segment_is_loaded_before_it_is_searched() {
    let rows = clustered(1, 3000, 100);
    let mut docs = Fixture::of(Metric::L2, Quantization::RaBitQ { bits: 4 }, &rows[..2000]);
    docs.put(2000, &rows[2000..]);
    docs.merge();
    let bytes = docs.docs.stats().resident_bytes;
    assert!(bytes < 300_000, "nobody has searched, so that {bytes} bytes are held for nobody");
    docs.search(&rows[0], 10);
    let loaded = docs.docs.stats().resident_bytes;
    docs.put(0, &rows[2900..]);
    docs.merge();
    let merged = docs.docs.stats().resident_bytes;
    assert!(merged * 10 > loaded * 9, "{merged} bytes are held, before the merge {loaded}");
    docs.put(0, &rows[..1500]);
    docs.docs.flush().wait().unwrap();
    let flushed = docs.docs.stats().resident_bytes - merged;
    assert!(flushed > 1500 * 400, "{flushed} bytes are held of a segment just flushed");
}

/// Whoever searches goes through all rows of a memtable.
#[test]
fn a_memtable_beside_graphs_holds_few_rows() {
    let dir = tempfile::tempdir().unwrap();
    // A graph for every row, even: that is another matter.
    let db = vecgo::open(dir.path()).auto_compact(false).index_rows(0);
    let db = db.wal_sync(vecgo::WalSync::OnCommit).wait().unwrap();
    let graph = Config::new(4, Metric::L2);
    let flat = graph.with_index(vecgo::Index::Flat).with_quantization(Quantization::None);
    for (name, config, segments) in [("graph", graph, 2), ("flat", flat, 0)] {
        let docs = db.open_or_create(name, config).wait().unwrap();
        for first in (0..40_000u64).step_by(100) {
            let record = |n: u64| Record::new(n, vec![n as f32, 0.0, 1.0, 2.0]);
            docs.upsert((first..first + 100).map(record)).wait().unwrap();
        }
        // One may be on its way still; a batch may be more than there is room for.
        let flushed = docs.stats().segments;
        assert!(flushed.len() <= segments && flushed.len() + 1 >= segments, "{name}: {flushed:?}");
        assert!(flushed.iter().all(|segment| segment.rows <= 16_500), "{name}: {flushed:?}");
        assert_eq!(docs.count(), 40_000);
    }
}

/// However the segments change under them, searches of a graph give as many rows as they were asked
/// for, each once.
#[test]
fn k_rows_are_found_beside_writes_and_merges() {
    const ROWS: u64 = 3000;
    let rows = clustered(1, 4 * ROWS as usize, 100);
    let docs = Fixture::of(Metric::L2, Quantization::RaBitQ { bits: 8 }, &rows[..ROWS as usize]);
    let docs = &docs.docs;
    let (writing, searches) = (AtomicBool::new(true), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..3usize {
            let (writing, searches, rows) = (&writing, &searches, &rows);
            scope.spawn(move || {
                for query in rows.iter().skip(thread).step_by(3).cycle() {
                    if !writing.load(Ordering::Acquire) {
                        break;
                    }
                    let hits = docs.search(query).k(30).wait().unwrap();
                    let ids: BTreeSet<_> = hits.into_iter().map(|hit| hit.id).collect();
                    assert_eq!(ids.len(), 30);
                    searches.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..12usize {
            let new = &rows[ROWS as usize + round * 200..][..200];
            let ids = (0..ROWS).skip(round * 37).step_by(13);
            docs.upsert(ids.zip(new).map(|(id, row)| Record::new(id, row.clone()))).wait().unwrap();
            docs.flush().wait().unwrap();
            if round % 3 == 2 {
                docs.compact().wait().unwrap();
            }
        }
        writing.store(false, Ordering::Release);
    });
    assert!(searches.into_inner() > 100, "the searchers hardly searched");
    assert_eq!(docs.count(), ROWS);
}
