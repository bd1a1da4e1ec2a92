//! One limit for all memory: what does not fit waits, is done another way, or is refused; never is
//! the limit passed.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test fails by panicking")]

use std::time::Duration;

use vecgo::{
    Collection, Config, Database, ErrorKind, Index, MemoryStats, Metric, Record, Retention,
};

const MIB: u64 = 1 << 20;

fn vector(n: u64, dim: usize) -> Vec<f32> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..dim).map(|_| next()).collect()
}

fn used(memory: &MemoryStats) -> u64 {
    memory.memtables + memory.segments + memory.merges + memory.queries + memory.cache
}

fn open(directory: &std::path::Path, limit: u64, wait: Duration) -> Database {
    vecgo::open(directory).memory_limit(limit).memory_wait(wait).wait().unwrap()
}

/// Writes so many records, and gives the most that was in use after a batch.
fn fill(docs: &Collection, ids: std::ops::Range<u64>, dim: usize) -> u64 {
    let mut most = 0;
    let ids: Vec<u64> = ids.collect();
    for batch in ids.chunks(64) {
        let records: Vec<Record> = batch.iter().map(|n| Record::new(*n, vector(*n, dim))).collect();
        docs.upsert(records).wait().unwrap();
        most = most.max(used(&docs.stats().memory));
    }
    most
}

fn find_themselves(docs: &Collection, ids: std::ops::Range<u64>, dim: usize) {
    for n in ids {
        let hits = docs.search(vector(n, dim)).k(1).exact().wait().unwrap();
        assert_eq!(hits[0].id, n.into());
    }
}

#[test]
fn more_is_written_and_searched_than_fits_into_memory() {
    const DIM: usize = 256;
    for (metric, index) in
        [(Metric::L2, Index::Flat), (Metric::Dot, Index::Flat), (Metric::Cosine, Index::Flat)]
    {
        let root = tempfile::tempdir().unwrap();
        let db = open(root.path(), 16 * MIB, Duration::from_secs(60));
        let config = Config::new(DIM, metric).with_index(index);
        let docs = db.open_or_create("docs", config).wait().unwrap();
        // 30 MiB of vectors.
        let most = fill(&docs, 0..30_000, DIM);
        assert!(most <= 16 * MIB, "{most}");
        docs.settle().wait().unwrap();
        let nearest = |n: u64| {
            let query = vector(n, DIM);
            let score = |m: u64| {
                let row = vector(m, DIM);
                let dot: f64 =
                    query.iter().zip(&row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let squares = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
                match metric {
                    Metric::L2 => squares(&query) + squares(&row) - 2.0 * dot,
                    Metric::Dot => -dot,
                    Metric::Cosine => -dot / squares(&row).sqrt(),
                }
            };
            let mut all: Vec<(f64, u64)> = (0..30_000).map(|m| (score(m), m)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            all[..10].iter().map(|(_, m)| vecgo::Id::from(*m)).collect::<Vec<_>>()
        };
        for n in [40_000, 40_001] {
            let hits = docs.search(vector(n, DIM)).k(10).exact().wait().unwrap();
            assert_eq!(hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>(), nearest(n));
        }
        let memory = docs.stats().memory;
        assert!(used(&memory) <= 16 * MIB, "{memory:?}");
        docs.close().wait().unwrap();
    }
}

#[test]
fn a_graph_for_which_there_is_no_memory_is_refused_with_the_figures() {
    const DIM: usize = 128;
    let root = tempfile::tempdir().unwrap();
    let retention = Retention { versions: 1, ..Retention::default() };
    let db = vecgo::open(root.path()).retention(retention).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    fill(&docs, 0..60_000, DIM);
    docs.compact().wait().unwrap();
    assert_eq!(docs.search(vector(7, DIM)).k(1).wait().unwrap()[0].id, 7u64.into());
    docs.close().wait().unwrap();
    drop((docs, db));

    let db = open(root.path(), 16 * MIB, Duration::from_millis(50));
    let docs = db.collection("docs").wait().unwrap();
    let error = docs.search(vector(7, DIM)).k(1).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert!(error.to_string().contains("the limit is 16 MiB"), "{error}");
    // What asks for less memory is done.
    find_themselves(&docs, 0..3, DIM);
    assert_eq!(docs.get(9u64).wait().unwrap().unwrap().vector, vector(9, DIM));
    docs.upsert(vec![Record::new(1u64 << 40, vector(1 << 40, DIM))]).wait().unwrap();
    let error = docs.compact().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert!(error.to_string().contains("to merge 60001 rows"), "{error}");
    docs.close().wait().unwrap();
}

#[test]
fn many_collections_share_what_there_is() {
    const DIM: usize = 64;
    let root = tempfile::tempdir().unwrap();
    let db = open(root.path(), 16 * MIB, Duration::from_secs(60));
    // Each holds half a MiB: 32 of them hold what there is, and nobody fills a memtable.
    let open = |n: u64| {
        let config = Config::new(DIM, Metric::L2).with_index(Index::Flat);
        db.open_or_create(format!("docs-{n}"), config).wait().unwrap()
    };
    let all: Vec<Collection> = (0..40).map(open).collect();
    let mut most = 0;
    for docs in &all {
        most = most.max(fill(docs, 0..1400, DIM));
    }
    assert!(most <= 16 * MIB, "{most}");
    let flushed = all.iter().filter(|docs| !docs.stats().segments.is_empty()).count();
    assert!(flushed > 0, "somebody gave memory back");
    for docs in &all {
        assert_eq!(docs.count(), 1400);
        find_themselves(docs, 0..2, DIM);
    }
}

#[test]
fn a_limit_that_is_none_is_refused() {
    for limit in [0, 16 * MIB - 1] {
        let error = vecgo::open("memory://").memory_limit(limit).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("16777216"), "{error}");
    }
    let db = vecgo::open("memory://").memory_limit(16 * MIB).wait().unwrap();
    db.create("large", Config::new(8192, Metric::L2)).wait().unwrap();
    let large = db.collection("large").wait().unwrap();
    large.upsert(vec![Record::new(1u64, vector(1, 8192))]).wait().unwrap();
    find_themselves(&large, 1..2, 8192);
}
