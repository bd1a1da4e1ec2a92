//! Searches that are told how much of what is nearest to find, held against brute force.

use serde_json::json;
use vecgo::filter::eq;
use vecgo::{
    Collection, Config, Id, Index, Metric, PartExplained, Quantization, RecallTarget, Record,
};

use crate::fixture::{Fixture, clustered, ids};

const DIM: usize = 48;
const ROWS: usize = 3000;
const TARGETS: [f64; 4] = [0.8, 0.9, 0.95, 0.99];

fn configs() -> impl Iterator<Item = Config> {
    let rabitq = |bits| Quantization::RaBitQ { bits };
    [
        (Metric::L2, Index::graph(), rabitq(8)),
        (Metric::Dot, Index::graph(), Quantization::Sq8),
        (Metric::Cosine, Index::Graph { m: 8, ef_construction: 40 }, Quantization::None),
        (Metric::Cosine, Index::disk(), rabitq(4)),
        (Metric::L2, Index::ivf(), rabitq(4)),
        (Metric::Dot, Index::ivf(), Quantization::None),
    ]
    .into_iter()
    .map(|(metric, index, codes)| {
        Config::new(DIM, metric).with_index(index).with_quantization(codes)
    })
}

/// Of the only segment.
fn explained(docs: &Collection, query: &[f32], target: f64) -> PartExplained {
    let search = docs.search(query).recall_target(target).explain().wait().unwrap();
    search.parts.into_iter().find(|part| part.segment.is_some()).unwrap()
}

fn recall(docs: &Fixture, queries: &[Vec<f32>], k: usize, target: f64) -> f64 {
    docs.recall(queries, k, |query, k| {
        docs.docs.search(query).k(k).recall_target(target).wait().unwrap()
    })
}

#[test]
fn as_much_is_found_as_is_asked_for() {
    let queries = clustered(2, 100, DIM);
    for config in configs() {
        let mut docs = Fixture::with(config, &clustered(1, ROWS, DIM));
        let mut before = 0;
        for target in TARGETS {
            for k in [1, 10, 40] {
                // A hundred queries tell it within some points, and of 40 it is reckoned.
                let found = recall(&docs, &queries, k, target);
                let what = docs.what();
                assert!(found >= target - 0.06, "{what}: k {k}, {found} for {target}");
            }
            let part = explained(&docs.docs, &queries[0], target);
            let (effort, expected) = (part.effort.unwrap(), part.expected_recall.unwrap());
            assert!(expected >= target && effort >= before, "{}: {part:?}", docs.what());
            before = effort;
        }
        let most = recall(&docs, &queries[..20], 10, 0.9999);
        assert!(most >= 0.97, "{}: {most}", docs.what());
        // It outlives the process, and what is deleted is made up for.
        let told = explained(&docs.docs, &queries[0], 0.9);
        docs.reopen();
        let again = explained(&docs.docs, &queries[0], 0.9);
        assert_eq!((again.effort, again.expected_recall), (told.effort, told.expected_recall));
        docs.delete(ids(0..ROWS as u64 / 3));
        let found = recall(&docs, &queries, 10, 0.9);
        assert!(found >= 0.85, "{}: {found} with dead rows", docs.what());
    }
}

/// Fewer candidates are kept, or fewer clusters searched, than usual: that is what it is for.
#[test]
fn less_is_done_for_less() {
    let query = &clustered(2, 1, DIM)[0];
    for config in configs().step_by(3) {
        let docs = Fixture::with(config, &clustered(1, ROWS, DIM));
        let few = explained(&docs.docs, query, 0.8).estimated;
        let usual = docs.docs.search(query).explain().wait().unwrap().parts[0].estimated;
        assert!(few < usual, "{}: {few} of {usual}", docs.what());
    }
}

/// What a collection says counts where a search says nothing, at once and for all handles to come.
#[test]
fn a_collection_has_one() {
    let queries = clustered(2, 1, DIM);
    let config = Config::new(DIM, Metric::L2);
    let mut docs = Fixture::with(config, &clustered(1, ROWS, DIM));
    let effort = |docs: &Fixture, set: fn(vecgo::Search) -> vecgo::Search| {
        let search = set(docs.docs.search(&queries[0]));
        search.explain().wait().unwrap().parts[0].effort.unwrap()
    };
    let usual = effort(&docs, |search| search);
    assert_eq!(usual, 192);
    let segments = docs.docs.stats().segments;
    let asked = effort(&docs, |search| search.recall_target(0.8));
    assert!(asked < usual, "{asked}");
    docs.config = config.with_recall_target(Some(RecallTarget::new(0.8).unwrap()));
    docs.docs.configure(docs.config).wait().unwrap();
    for _ in 0..2 {
        assert_eq!(docs.docs.config(), docs.config);
        assert_eq!(effort(&docs, |search| search), asked);
        assert_eq!(effort(&docs, |search| search.ef(77)), 77);
        assert!(effort(&docs, |search| search.recall_target(0.99)) > asked);
        docs.reopen();
    }
    // Nothing of a segment follows from it.
    docs.merge();
    assert_eq!(docs.docs.stats().segments, segments);
    docs.docs.configure(config).wait().unwrap();
    assert_eq!(effort(&docs, |search| search), usual);
}

/// Rows that are in no index are all looked at, and a flat collection scores all: both find enough.
#[test]
fn what_has_no_index_is_exact() {
    let rows = clustered(1, 3000, DIM);
    let flat = Config::new(DIM, Metric::L2).with_index(Index::Flat);
    for config in [flat, Config::new(DIM, Metric::L2)] {
        let mut docs = Fixture::with(config, &[]);
        docs.put(0, &rows);
        let hits = docs.docs.search(&rows[0]).recall_target(0.5).wait().unwrap();
        docs.is_exact(&rows[0], 10, &hits);
    }
}

/// Which of many equal rows are found makes no difference to how far a search goes.
#[test]
fn equal_rows_cost_no_effort() {
    let mut rows = clustered(1, ROWS, DIM);
    let like = rows[0].clone();
    rows[..ROWS / 8].fill(like);
    for quantization in [Quantization::None, Quantization::RaBitQ { bits: 8 }] {
        let docs = Fixture::of(Metric::L2, quantization, &rows);
        let part = explained(&docs.docs, &rows[ROWS - 1], 0.98);
        assert!(part.expected_recall.unwrap() >= 0.98, "{}: {part:?}", docs.what());
    }
}

/// With a filter searches go as far as usual at least.
#[test]
fn as_much_is_found_of_what_matches() {
    for config in configs().step_by(2) {
        let mut docs = Fixture::with(config, &[]);
        let rows = clustered(1, ROWS, DIM);
        let record = |(n, row): (u64, &Vec<f32>)| {
            Record::new(n, row.clone()).metadata(json!({"fifth": n % 5}))
        };
        docs.docs.upsert((0..).zip(&rows).map(record)).wait().unwrap();
        docs.merge();
        let matching = (0u64..).zip(&rows).filter(|(n, _)| n.is_multiple_of(5));
        docs.model = matching.map(|(n, row)| (Id::from(n), row.clone())).collect();
        let found = docs.recall(&clustered(2, 40, DIM), 10, |query, k| {
            let search = docs.docs.search(query).k(k).recall_target(0.8);
            search.filter(eq("fifth", 0)).wait().unwrap()
        });
        assert!(found >= 0.95, "{}: {found}", docs.what());
    }
}
