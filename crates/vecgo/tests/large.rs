//! More rows than 16 bits can number, across a restart.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test fails by panicking")]

use std::path::Path;

use vecgo::{Collection, Config, Id, Metric, Record, WalSync, json};

const DIM: usize = 8;
const ROWS: u64 = 70_000;
/// Deleted: around the row whose number has 17 bits.
const GONE: std::ops::Range<u64> = 65_530..65_545;

fn id(n: u64) -> Id {
    if n.is_multiple_of(2) { Id::from(n) } else { Id::from(format!("text-{n}")) }
}

fn vector(n: u64) -> [f32; DIM] {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::array::from_fn(|_| {
        state = state.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
        (state >> 40) as f32 / (1u32 << 24) as f32
    })
}

fn check(docs: &Collection) {
    assert_eq!(docs.count(), ROWS - (GONE.end - GONE.start));
    for n in [0, 1, 65_529, 65_545, 65_546, ROWS - 1] {
        let record = docs.get(id(n)).wait().unwrap().unwrap();
        assert_eq!(record.vector, vector(n));
        assert_eq!(record.metadata, json!({"n": n}));
        let hits = docs.search(vector(n)).k(1).exact().wait().unwrap();
        assert_eq!(hits[0].id, id(n));
        assert_eq!(docs.search(vector(n)).k(9).wait().unwrap().len(), 9);
    }
    for n in GONE {
        assert!(!docs.exists(id(n)).wait().unwrap());
        let hits = docs.search(vector(n)).k(5).exact().wait().unwrap();
        assert!(hits.iter().all(|hit| hit.id != id(n)));
    }
}

fn open(path: &Path, read_only: bool) -> Collection {
    let open = vecgo::open(path).read_only(read_only).wal_sync(WalSync::OnCommit);
    let db = open.wait().unwrap();
    if read_only {
        return db.collection("docs").wait().unwrap();
    }
    // A cheap graph: it is its numbers that matter here.
    let index = vecgo::Index::Graph { m: 8, ef_construction: 24 };
    db.open_or_create("docs", Config::new(DIM, Metric::L2).with_index(index)).wait().unwrap()
}

#[test]
fn a_restart_beyond_65536_rows() {
    let dir = tempfile::tempdir().unwrap();
    let docs = open(dir.path(), false);
    let record = |n| Record::new(id(n), vector(n)).metadata(json!({"n": n}));
    for first in (0..ROWS).step_by(5000) {
        docs.upsert((first..first + 5000).map(record)).wait().unwrap();
    }
    docs.compact().wait().unwrap();
    docs.delete(GONE.map(id)).wait().unwrap();
    docs.flush().wait().unwrap();
    check(&docs);
    docs.close().wait().unwrap();
    check(&open(dir.path(), true));
    let docs = open(dir.path(), false);
    check(&docs);
    docs.compact().wait().unwrap();
    check(&docs);
    docs.close().wait().unwrap();
    let db = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    assert_eq!(db.verify().wait().unwrap().damage, []);
}
