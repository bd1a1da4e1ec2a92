//! One limit for all memory: what does not fit waits, is done another way, or is refused. That the
//! kernel sees no more than that is tested of the command.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, and asks the kernel"
)]

use std::time::Duration;

use serde_json::json;
use vecgo::{
    Collection, Config, Database, ErrorKind, Index, Metric, Quantization, Record, Retention,
    WalSync,
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

fn open(directory: &std::path::Path, limit: u64, wait: Duration) -> Database {
    vecgo::open(directory).memory_limit(limit).memory_wait(wait).wait().unwrap()
}

/// Writes so many records.
fn fill(docs: &Collection, ids: std::ops::Range<u64>, dim: usize) {
    let ids: Vec<u64> = ids.collect();
    for batch in ids.chunks(64) {
        let records: Vec<Record> = batch.iter().map(|n| Record::new(*n, vector(*n, dim))).collect();
        docs.upsert(records).wait().unwrap();
    }
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
    const ROWS: u64 = 20_000;
    for metric in [Metric::L2, Metric::Dot, Metric::Cosine] {
        let root = tempfile::tempdir().unwrap();
        let db = open(root.path(), 16 * MIB, Duration::from_secs(60));
        let config = Config::new(DIM, metric).with_index(Index::Flat);
        let docs = db.open_or_create("docs", config).wait().unwrap();
        // 20 MiB of vectors.
        fill(&docs, 0..ROWS, DIM);
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
            let mut all: Vec<(f64, u64)> = (0..ROWS).map(|m| (score(m), m)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            all[..10].iter().map(|(_, m)| vecgo::Id::from(*m)).collect::<Vec<_>>()
        };
        for n in [40_000, 40_001] {
            let hits = docs.search(vector(n, DIM)).k(10).exact().wait().unwrap();
            assert_eq!(hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>(), nearest(n));
        }
        let held = docs.stats().resident_bytes;
        assert!(held < ROWS * DIM as u64 * 4, "all vectors are in memory: {held} bytes");
        // What searches keep leaves some to merges.
        for part in 0..12 {
            fill(&docs, ROWS + part * 50..ROWS + part * 50 + 50, DIM);
            docs.flush().wait().unwrap();
        }
        docs.settle().wait().unwrap();
        let segments = docs.stats().segments.len();
        assert!(segments <= 16, "{segments} segments");
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
    drop((docs, db));

    // A little more is enough, once the cache has given up what it had.
    let db = open(root.path(), 18 * MIB, Duration::from_millis(50));
    let docs = db.collection("docs").wait().unwrap();
    assert_eq!(docs.stats().memory.cache, 18 * MIB / 4);
    assert_eq!(docs.search(vector(7, DIM)).k(1).wait().unwrap()[0].id, 7u64.into());
    assert!(docs.stats().memory.cache < 3 * MIB, "{:?}", docs.stats().memory);
    find_themselves(&docs, 0..3, DIM);
    docs.close().wait().unwrap();
}

/// 19 MiB of vectors in 16 MiB.
#[test]
fn vectors_are_read_where_there_is_room_for_the_index_alone() {
    const DIM: usize = 512;
    const ROWS: u64 = 9_600;
    for (index, quantization) in [
        (Index::ivf(), Quantization::RaBitQ { bits: 8 }),
        (Index::ivf(), Quantization::Pq { parts: 32 }),
        (Index::Graph { m: 16, ef_construction: 100 }, Quantization::RaBitQ { bits: 4 }),
    ] {
        let root = tempfile::tempdir().unwrap();
        let db = vecgo::open(root.path()).wait().unwrap();
        let config = Config::new(DIM, Metric::L2).with_index(index).with_quantization(quantization);
        let docs = db.open_or_create("docs", config).wait().unwrap();
        fill(&docs, 0..ROWS, DIM);
        docs.compact().wait().unwrap();
        let queries: Vec<Vec<f32>> = (0..70).map(|n| vector(n * 977, DIM)).collect();
        let in_memory = docs.search_batch(&queries).k(10).wait().unwrap();
        docs.close().wait().unwrap();
        drop((docs, db));

        let db = open(root.path(), 16 * MIB, Duration::from_secs(10));
        let docs = db.collection("docs").wait().unwrap();
        let found = docs.search_batch(&queries).k(10).wait().unwrap();
        let one: Vec<_> =
            queries.iter().map(|query| docs.search(query).k(10).wait().unwrap()).collect();
        assert_eq!(found, one, "{config}: a batch");
        let reads = docs.search(vector(ROWS, DIM)).explain().wait().unwrap().parts[0].reads;
        assert!(reads > 0, "{config}: {reads} reads");
        // Of what is read less is looked at, which costs most where all are about as far away.
        let same = found
            .iter()
            .zip(&in_memory)
            .map(|(found, before)| found.iter().filter(|hit| before.contains(hit)).count());
        let same: usize = same.sum();
        assert!(same >= 665, "{config}: {same} of 700");
        docs.close().wait().unwrap();
    }
}

/// Documents and payloads of an answer are of the memory, too; a scan has them a few at a time.
#[test]
fn an_answer_that_does_not_fit_is_refused() {
    const ROWS: u64 = 64;
    let root = tempfile::tempdir().unwrap();
    let db = open(root.path(), 32 * MIB, Duration::from_millis(200));
    let docs = db.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
    let text = "x".repeat(256 << 10);
    for n in 0..ROWS {
        let record = Record::new(n, [n as f32, 1.0]).metadata(json!({"text": text}));
        docs.upsert([record.payload(vec![1; 256 << 10])]).wait().unwrap();
    }
    docs.flush().wait().unwrap();
    let search = || docs.search([0.0, 1.0]).k(64);
    assert_eq!(search().wait().unwrap().len(), 64);
    assert_eq!(search().k(5).with_metadata().with_payload().wait().unwrap().len(), 5);
    let refused = [
        search().with_metadata().wait().map(drop),
        search().with_payload().with_metadata().wait().map(drop),
        docs.search_batch((0..4).map(|n| [n as f32, 1.0])).k(64).with_metadata().wait().map(drop),
        docs.get_many(0..ROWS).wait().map(drop),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ResourceExhausted);
    }
    let mut scan = docs.scan().with_payload().wait().unwrap();
    let mut pages = Vec::new();
    while let Some(page) = scan.next_page().wait().unwrap() {
        pages.push(page.len());
    }
    assert_eq!(pages.iter().sum::<usize>(), 64);
    assert!(pages.len() > 4 && pages.iter().all(|records| *records < 16), "{pages:?}");
    assert_eq!(docs.get_many(0..8u64).wait().unwrap().len(), 8);
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
    for docs in &all {
        fill(docs, 0..1400, DIM);
    }
    let flushed = all.iter().filter(|docs| !docs.stats().segments.is_empty()).count();
    assert!(flushed > 0, "somebody gave memory back");
    for docs in &all {
        assert_eq!(docs.count(), 1400);
        find_themselves(docs, 0..2, DIM);
    }
}

#[test]
fn a_writer_that_lacks_memory_flushes_what_it_holds() {
    const DIM: usize = 64;
    let root = tempfile::tempdir().unwrap();
    let db = open(root.path(), 16 * MIB, Duration::from_secs(30));
    let config = Config::new(DIM, Metric::L2).with_index(Index::Flat);
    let docs = db.open_or_create("docs", config).wait().unwrap();
    fill(&docs, 0..4800, DIM);
    let version = docs.commit().wait().unwrap();
    assert!(docs.stats().segments.is_empty());
    // What their logs hold is in the memory of each of them, and nobody can flush it.
    let old: Vec<_> = (0..6).map(|_| docs.at_version(version).wait().unwrap()).collect();
    fill(&docs, 4800..20_000, DIM);
    assert_eq!((docs.count(), old[5].count()), (20_000, 4800));
    find_themselves(&docs, 0..3, DIM);
    find_themselves(&docs, 19_990..19_993, DIM);
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

/// What the kernel says that this process has in memory, of which other tests must take nothing: so
/// each of these is run in a process of its own.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs a test of this file again, alone; true in that process.
#[cfg(target_os = "linux")]
fn alone(test: &str) -> bool {
    if std::env::var_os("VECGO_ALONE").is_some() {
        return true;
    }
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("VECGO_ALONE", "1")
        .status();
    assert!(again.unwrap().success(), "see above");
    false
}

#[test]
#[cfg(target_os = "linux")]
fn churn_does_not_grow() {
    if !alone("churn_does_not_grow") {
        return;
    }
    const DIM: usize = 64;
    let root = tempfile::tempdir().unwrap();
    let retention = Retention { versions: 2, ..Retention::default() };
    let db = vecgo::open(root.path()).retention(retention).wal_sync(WalSync::OnCommit);
    let docs = db.wait().unwrap().open_or_create("docs", Config::new(DIM, Metric::L2));
    let docs = docs.wait().unwrap();
    let mut early = 0;
    for round in 0..240u64 {
        let records = (0..2000).map(|n| Record::new(n, vector(n * 1000 + round, DIM)));
        docs.upsert(records).wait().unwrap();
        docs.flush().wait().unwrap();
        docs.search(vector(5 * 1000 + round, DIM)).k(10).wait().unwrap();
        // On a machine that has much else to do merges would fall behind, and memory has to be had for what waits.
        if round % 6 == 0 {
            docs.settle().wait().unwrap();
        }
        if round == 60 {
            early = resident();
        }
    }
    docs.settle().wait().unwrap();
    let late = resident();
    println!("after 60 rounds {} KiB, after 240 {} KiB", early / 1024, late / 1024);
    assert!(late <= early + 24 * MIB, "from {early} to {late} bytes");
    assert_eq!(docs.count(), 2000);
}

#[test]
#[cfg(target_os = "linux")]
fn a_record_in_each_of_many_collections_costs_little() {
    if !alone("a_record_in_each_of_many_collections_costs_little") {
        return;
    }
    const DIM: usize = 1536;
    let root = tempfile::tempdir().unwrap();
    let db = vecgo::open(root.path()).wal_sync(WalSync::OnCommit).wait().unwrap();
    let open = |n: u64| {
        let docs = db.open_or_create(format!("docs-{n}"), Config::new(DIM, Metric::L2));
        let docs = docs.wait().unwrap();
        docs.upsert([Record::new(n, vector(n, DIM))]).wait().unwrap();
        docs
    };
    let first = open(0);
    let (before, all) = (resident(), (1..=200).map(open).collect::<Vec<_>>());
    let each = (resident() - before) / 200;
    println!("{each} bytes each");
    assert!(each < 128 << 10, "{each} bytes each");
    drop((first, all));
}

#[test]
#[cfg(target_os = "linux")]
fn one_delete_of_many_rows_costs_little() {
    if !alone("one_delete_of_many_rows_costs_little") {
        return;
    }
    const ROWS: u64 = 400_000;
    let root = tempfile::tempdir().unwrap();
    let db = vecgo::open(root.path()).wal_sync(WalSync::OnCommit).auto_compact(false);
    let config = Config::new(1, Metric::L2).with_index(Index::Flat);
    let docs = db.wait().unwrap().open_or_create("docs", config).wait().unwrap();
    for part in 0..40 {
        let ids = part * ROWS / 40..(part + 1) * ROWS / 40;
        docs.upsert(ids.map(|n| Record::new(n, [n as f32]))).wait().unwrap();
    }
    docs.compact().wait().unwrap();
    assert_eq!(docs.stats().segments.len(), 1);
    docs.delete([17u64]).wait().unwrap();
    let before = resident();
    docs.delete([ROWS - 1]).wait().unwrap();
    let grown = resident().saturating_sub(before);
    assert_eq!(docs.count(), ROWS - 2);
    println!("{grown} bytes");
    assert!(grown < MIB, "{grown} bytes");
}

#[test]
fn many_dimensions_need_no_settings() {
    for (dim, rows) in [(1536, 2100), (8192, 2050)] {
        let root = tempfile::tempdir().unwrap();
        let db = vecgo::open(root.path()).wait().unwrap();
        let docs = db.open_or_create("docs", Config::new(dim, Metric::Cosine)).wait().unwrap();
        fill(&docs, 0..rows, dim);
        docs.compact().wait().unwrap();
        for n in [0, rows / 2, rows - 1] {
            assert_eq!(docs.search(vector(n, dim)).k(1).wait().unwrap()[0].id, n.into());
        }
        assert!(docs.stats().hops > 0, "there is a graph");
    }
}
