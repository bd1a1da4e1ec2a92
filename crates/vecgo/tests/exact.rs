//! Exact search is exact where f32 is not: among near duplicates, at the ends of the range, and
//! whatever part of the database a row is in.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod oracle;

use oracle::distance;
use vecgo::{Collection, Config, Id, Index, Metric, Record};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

fn collection(dim: usize, metric: Metric) -> (tempfile::TempDir, Collection) {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let config = Config::new(dim, metric).with_index(Index::Flat);
    let docs = db.open_or_create("docs", config).wait().unwrap();
    (dir, docs)
}

/// Numbers from 0 to 1, the same every time.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    }
}

/// Checks that no row left out is nearer than one that was found, by more than f32 can tell.
fn check(vectors: &[Vec<f32>], metric: Metric, query: &[f32], k: usize, docs: &Collection) {
    let hits = docs.search(query).k(k).wait().unwrap();
    let mut expected: Vec<f32> =
        vectors.iter().map(|vector| distance(metric, query, vector) as f32).collect();
    expected.sort_by(f32::total_cmp);
    let found: Vec<f32> = hits.iter().map(|hit| hit.distance).collect();
    for (found, expected) in found.iter().zip(&expected) {
        // Two sums in f64 in another order, rounded to f32.
        let tolerance = expected.abs() * 2e-7 + 1e-14;
        assert!((found - expected).abs() <= tolerance, "{metric}: {found:e} for {expected:e}");
    }
}

#[test]
fn near_duplicates() {
    for metric in METRICS {
        for spread in [1e-6, 1e-5, 1e-4, 1e-3, 1e-1] {
            let mut random = noise(7);
            let base: Vec<f32> = (0..128).map(|_| random() + 0.1).collect();
            let vectors: Vec<Vec<f32>> = (0..500)
                .map(|_| base.iter().map(|x| x * (1.0 + spread * (random() - 0.5))).collect())
                .collect();
            let (_dir, docs) = collection(128, metric);
            let records = (0u64..).zip(&vectors).map(|(id, v)| Record::new(id, v.as_slice()));
            docs.upsert(records).wait().unwrap();
            for flushed in [false, true] {
                for query in vectors.iter().step_by(25) {
                    check(&vectors, metric, query, 10, &docs);
                    if metric != Metric::Dot {
                        let nearest = &docs.search(query).k(1).wait().unwrap()[0];
                        let own = distance(metric, query, query);
                        let found = f64::from(nearest.distance);
                        assert!(found - own < 1e-14, "{metric} {flushed}: {found}");
                    }
                }
                docs.flush().wait().unwrap();
            }
        }
    }
}

#[test]
fn vectors_at_the_ends_of_the_range() {
    for metric in METRICS {
        for (dim, value) in [(1000, 1.4e17f32), (1, 4e18), (16, 1.0e18), (1000, 1e-19)] {
            let (_dir, docs) = collection(dim, metric);
            let (up, down) = (vec![value; dim], vec![-value; dim]);
            docs.upsert([Record::new(1u64, up.clone())]).wait().unwrap();
            let hits = docs.search(down).wait().unwrap();
            assert_eq!(hits.len(), 1, "{metric} {dim} {value:e}");
            assert!(hits[0].distance.is_finite() && hits[0].score.is_finite());
        }
    }
}

#[test]
fn which_of_equal_rows_is_found_does_not_depend_on_a_flush() {
    for metric in METRICS {
        let (_dir, docs) = collection(3, metric);
        let write = |ids: std::ops::Range<u64>| {
            docs.upsert(ids.map(|id| Record::new(id, [1.0, 2.0, 3.0]))).wait().unwrap();
        };
        let found = || -> Vec<Id> {
            let hits = docs.search([3.0, 2.0, 2.0]).k(7).wait().unwrap();
            hits.into_iter().map(|hit| hit.id).collect()
        };
        write(10..15);
        docs.flush().wait().unwrap();
        write(0..5);
        let before = found();
        docs.flush().wait().unwrap();
        assert_eq!(found(), before);
        assert!(before.is_sorted(), "equally near ones by id: {before:?}");
    }
}

#[test]
fn many_rows_as_near_as_the_last() {
    for metric in METRICS {
        let (_dir, docs) = collection(8, metric);
        for part in 0..5u64 {
            let ids = part * 1000..(part + 1) * 1000;
            docs.upsert(ids.map(|id| Record::new(id, [2.0; 8]))).wait().unwrap();
        }
        docs.upsert([Record::new("near", [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.1])])
            .wait()
            .unwrap();
        let query = [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.2];
        let hits = docs.search(query).k(3).wait().unwrap();
        assert_eq!((hits.len(), &hits[0].id), (3, &Id::from("near")), "{metric}");
        assert_eq!(docs.search(query).k(4000).wait().unwrap().len(), 4000);
    }
}
