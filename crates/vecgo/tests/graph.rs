//! Searches through graphs, held against brute force: how much they find, that distances are true,
//! that k live rows come back, and that what is deleted does not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use oracle::distance;
use vecgo::{Collection, Config, Database, Hit, Id, MAX_CANDIDATES, Metric, Quantization, Record};

/// What should be there.
type Model = BTreeMap<Id, Vec<f32>>;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

fn quantizations() -> [Quantization; 4] {
    let rabitq = |bits| Quantization::RaBitQ { bits };
    [Quantization::None, Quantization::Sq8, rabitq(4), rabitq(8)]
}

fn combinations() -> impl Iterator<Item = (Metric, Quantization)> {
    METRICS.into_iter().flat_map(|metric| quantizations().map(|q| (metric, q)))
}

/// Numbers from -1 to 1, the same every time.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A multiple of 1/64, so that no sum of squares or products is rounded in f64, in whatever order.
fn round(value: f32) -> f32 {
    (value * 64.0).round() / 64.0
}

/// Vectors around some centres.
fn clustered(seed: u64, rows: usize, dim: usize) -> Vec<Vec<f32>> {
    const CENTRES: usize = 40;
    let mut centres = noise(4711);
    let centres: Vec<Vec<f32>> =
        (0..CENTRES).map(|_| (0..dim).map(|_| centres()).collect()).collect();
    let mut random = noise(seed);
    let row = |n: usize| {
        let centre = &centres[n * 7 % CENTRES];
        centre.iter().map(|value| round(value + 0.6 * random())).collect()
    };
    (0..rows).map(row).collect()
}

fn open(path: &Path) -> Database {
    vecgo::open(path).auto_compact(false).graph_rows(200).wait().unwrap()
}

struct Fixture {
    dir: tempfile::TempDir,
    config: Config,
    docs: Collection,
    model: Model,
}

impl Fixture {
    fn new(dim: usize, metric: Metric, quantization: Quantization) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dim, metric).with_quantization(quantization);
        let docs = open(dir.path()).open_or_create("docs", config).wait().unwrap();
        Self { dir, config, docs, model: Model::new() }
    }

    /// With rows in one segment that has a graph.
    fn of(metric: Metric, quantization: Quantization, rows: &[Vec<f32>]) -> Self {
        let mut made = Self::new(rows[0].len(), metric, quantization);
        made.put(0, rows);
        made.merge();
        made
    }

    fn put(&mut self, first: u64, rows: &[Vec<f32>]) {
        self.put_as(rows.iter().enumerate().map(|(n, row)| (Id::from(first + n as u64), row)));
    }

    fn put_as<'a>(&mut self, rows: impl Iterator<Item = (Id, &'a Vec<f32>)>) {
        let mut records = Vec::new();
        for (id, row) in rows {
            records.push(Record::new(id.clone(), row.clone()));
            self.model.insert(id, row.clone());
        }
        self.docs.upsert(records).wait().unwrap();
    }

    fn delete(&mut self, ids: impl Iterator<Item = Id>) {
        let ids: Vec<Id> = ids.collect();
        for id in &ids {
            self.model.remove(id);
        }
        self.docs.delete(ids).wait().unwrap();
    }

    /// All rows in one new segment.
    fn merge(&self) {
        self.docs.flush().wait().unwrap();
        self.docs.compact().wait().unwrap();
        assert!(self.docs.stats().segments.len() <= 1);
    }

    fn reopen(&mut self) {
        self.docs.close().wait().unwrap();
        self.docs = open(self.dir.path()).collection("docs").wait().unwrap();
    }

    fn what(&self) -> String {
        format!("{} {}", self.config.metric(), self.config.quantization())
    }

    fn search(&self, query: &[f32], k: usize) -> Vec<Hit> {
        self.docs.search(query).k(k).wait().unwrap()
    }

    /// With all the effort that a search can be told to make.
    fn full(&self, query: &[f32], k: usize) -> Vec<Hit> {
        let search = self.docs.search(query).k(k).ef(MAX_CANDIDATES);
        let search = match self.config.quantization() {
            Quantization::None => search,
            _ => search.rerank(MAX_CANDIDATES),
        };
        search.wait().unwrap()
    }

    /// Whether two sums that may have been rounded in another order are the same number.
    fn same(&self, found: f32, truth: f64) -> bool {
        match self.config.metric() {
            Metric::Cosine => (f64::from(found) - truth).abs() <= truth.abs() * 1.2e-7 + 1e-14,
            _ => found == truth as f32,
        }
    }

    /// The distances of the k nearest rows.
    fn nearest(&self, query: &[f32], k: usize) -> Vec<f64> {
        let metric = self.config.metric();
        let mut all: Vec<f64> =
            self.model.values().map(|row| distance(metric, query, row)).collect();
        all.sort_by(f64::total_cmp);
        all.truncate(k);
        all
    }

    /// What is true of every answer: k rows that are there, each once, in order, with their own
    /// distances and scores.
    #[track_caller]
    fn check(&self, query: &[f32], k: usize, hits: &[Hit]) {
        let (what, metric) = (self.what(), self.config.metric());
        assert_eq!(hits.len(), k.min(self.model.len()), "{what}: number of hits");
        for hit in hits {
            let row = self.model.get(&hit.id);
            let row = row.unwrap_or_else(|| panic!("{what}: {} is not there", hit.id));
            let own = distance(metric, query, row);
            assert!(self.same(hit.distance, own), "{what}: {hit:?}, its distance is {own}");
            let score = if metric == Metric::Cosine { 1.0 - own } else { -own };
            assert!(self.same(hit.score, score), "{what}: {hit:?}, its score is {score}");
        }
        for pair in hits.windows(2) {
            let order = pair[0].distance.total_cmp(&pair[1].distance);
            assert!(order.then(pair[0].id.cmp(&pair[1].id)).is_lt(), "{what}: {pair:?}");
        }
    }

    #[track_caller]
    fn is_exact(&self, query: &[f32], k: usize, hits: &[Hit]) {
        self.check(query, k, hits);
        for (hit, nearest) in hits.iter().zip(self.nearest(query, k)) {
            assert!(self.same(hit.distance, nearest), "{}: {hit:?} for {nearest}", self.what());
        }
    }

    /// The part of the k nearest rows that a search finds.
    #[track_caller]
    fn recall(
        &self,
        queries: &[Vec<f32>],
        k: usize,
        search: impl Fn(&[f32], usize) -> Vec<Hit>,
    ) -> f64 {
        let mut found = 0;
        for query in queries {
            let hits = search(query, k);
            self.check(query, k, &hits);
            let last = *self.nearest(query, k).last().unwrap();
            let near =
                |hit: &&Hit| f64::from(hit.distance) <= last || self.same(hit.distance, last);
            found += hits.iter().filter(near).count();
        }
        found as f64 / (k.min(self.model.len()) * queries.len()) as f64
    }

    fn usual_recall(&self, queries: &[Vec<f32>]) -> f64 {
        self.recall(queries, 10, |query, k| self.search(query, k))
    }
}

fn ids(range: Range<u64>) -> impl Iterator<Item = Id> {
    range.map(Id::from)
}

#[test]
fn most_is_found_at_once_and_all_at_full_effort() {
    for (place, (metric, quantization)) in combinations().enumerate() {
        let dim = if place % 2 == 0 { 100 } else { 128 };
        let mut docs = Fixture::of(metric, quantization, &clustered(1, 3000, dim));
        let queries = clustered(2, 30, dim);
        let recall = docs.usual_recall(&queries);
        assert!(recall >= 0.95, "{}: recall {recall}", docs.what());
        for query in &queries[..6] {
            for k in [1, 10, 300] {
                docs.is_exact(query, k, &docs.full(query, k));
                docs.is_exact(query, k, &docs.docs.search(query).k(k).exact().wait().unwrap());
            }
        }
        docs.is_exact(&queries[0], 3000, &docs.search(&queries[0], 3000));
        docs.is_exact(&queries[0], 5000, &docs.search(&queries[0], 5000));
        let one: Vec<_> = queries.iter().map(|query| docs.search(query, 10)).collect();
        assert_eq!(docs.docs.search_batch(&queries).k(10).wait().unwrap(), one, "a batch");
        docs.reopen();
        assert_eq!(docs.docs.search_batch(&queries).k(10).wait().unwrap(), one, "opened again");
    }
}

#[test]
fn the_same_rows_make_the_same_graph() {
    let rows = clustered(1, 1500, 100);
    let queries = clustered(2, 20, 100);
    for quantization in quantizations() {
        let answers = || {
            let docs = Fixture::of(Metric::Cosine, quantization, &rows);
            docs.docs.search_batch(&queries).k(10).ef(12).wait().unwrap()
        };
        assert_eq!(answers(), answers(), "{quantization}");
    }
}

/// Whole neighbourhoods among them: the nearest of every query.
#[test]
fn k_rows_are_found_among_many_dead_ones() {
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 2000, 100);
        let mut docs = Fixture::of(metric, quantization, &rows);
        let queries = clustered(2, 5, 100);
        docs.delete(ids(0..2000).filter(|id| {
            let Id::Number(n) = id else { return false };
            // One row of each of four clusters of the forty is left.
            !(n % 40 < 4 && n % 80 < 40 || *n == 1999)
        }));
        let left = docs.model.len();
        assert_eq!(left, 101);
        for state in ["before a flush", "flushed", "merged", "opened again"] {
            match state {
                "flushed" => drop(docs.docs.flush().wait().unwrap()),
                "merged" => docs.merge(),
                "opened again" => docs.reopen(),
                _ => {}
            }
            for query in &queries {
                for k in [1, 10, left - 1, left, left + 1] {
                    docs.check(query, k, &docs.search(query, k));
                    docs.is_exact(query, k, &docs.full(query, k));
                }
            }
        }
        docs.delete(docs.model.clone().into_keys());
        assert_eq!(docs.search(&queries[0], 10), [], "{}", docs.what());
    }
}

#[test]
fn deleted_and_replaced_rows_are_not_found() {
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 1500, 100);
        let mut docs = Fixture::of(metric, quantization, &rows);
        docs.delete(ids(0..100));
        let elsewhere = clustered(9, 100, 100);
        docs.put(100, &elsewhere);
        for state in ["at once", "flushed", "opened again", "merged", "opened once more"] {
            match state {
                "flushed" => drop(docs.docs.flush().wait().unwrap()),
                "merged" => docs.merge(),
                "at once" => {}
                _ => docs.reopen(),
            }
            // Each is the nearest of its own vector, where it was.
            for row in rows[..200].iter().step_by(7) {
                docs.check(row, 10, &docs.search(row, 10));
                docs.is_exact(row, 10, &docs.full(row, 10));
            }
            for (n, row) in elsewhere.iter().enumerate().step_by(7) {
                if metric != Metric::Dot {
                    let found = &docs.search(row, 1)[0].id;
                    assert_eq!(found, &Id::from(100 + n as u64), "{} {state}", docs.what());
                }
            }
        }
    }
}

#[test]
fn dead_rows_cost_no_recall() {
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 2500, 100);
        let queries = clustered(2, 60, 100);
        let mut docs = Fixture::of(metric, quantization, &rows);
        docs.delete(ids(0..2500).step_by(5));
        let with_dead = docs.usual_recall(&queries);
        docs.merge();
        let without = docs.usual_recall(&queries);
        assert!(with_dead >= without - 0.005, "{}: {with_dead}, {without}", docs.what());
    }
}

#[test]
fn rows_are_found_wherever_they_are() {
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 1500, 100);
        let mut docs = Fixture::of(metric, quantization, &rows[..800]);
        docs.put(800, &rows[800..900]);
        docs.docs.flush().wait().unwrap();
        docs.put(900, &rows[900..1000]);
        let queries = clustered(2, 30, 100);
        let segments = docs.docs.stats().segments;
        assert_eq!(segments.len(), 2, "a graph, a flat one, and a memtable");
        let recall = docs.usual_recall(&queries);
        assert!(recall >= 0.95, "{}: recall {recall}", docs.what());
        for query in &queries {
            docs.is_exact(query, 20, &docs.full(query, 20));
            docs.is_exact(query, 20, &docs.docs.search(query).k(20).exact().wait().unwrap());
        }
        if metric != Metric::Dot {
            for (n, row) in rows[..1000].iter().enumerate().skip(800).step_by(9) {
                assert_eq!(docs.search(row, 1)[0].id, Id::from(n as u64), "{}", docs.what());
            }
        }
    }
}

#[test]
fn queries_unlike_the_rows_find_theirs_with_more_effort() {
    for (metric, quantization) in combinations() {
        let docs = Fixture::of(metric, quantization, &clustered(1, 3000, 100));
        let mut random = noise(77);
        let queries: Vec<Vec<f32>> =
            (0..30).map(|_| (0..100).map(|_| round(3.0 * random())).collect()).collect();
        let recall = docs.recall(&queries, 10, |query, k| {
            let search = docs.docs.search(query).k(k).ef(1000);
            let search = match quantization {
                Quantization::None => search,
                _ => search.rerank(200),
            };
            search.wait().unwrap()
        });
        assert!(recall >= 0.99, "{}: recall {recall}", docs.what());
    }
}

#[test]
fn equal_rows_are_all_found() {
    for (metric, quantization) in combinations() {
        let mut rows = clustered(1, 2500, 100);
        let same = rows[3].clone();
        rows[300..2300].fill(same.clone());
        let docs = Fixture::of(metric, quantization, &rows);
        let hits = docs.full(&same, 2001);
        docs.is_exact(&same, 2001, &hits);
        docs.is_exact(&same, 2500, &docs.full(&same, 2500));
        if metric != Metric::Dot {
            let found: BTreeSet<Id> = hits.into_iter().map(|hit| hit.id).collect();
            assert_eq!(found, ids(300..2300).chain(ids(3..4)).collect(), "{}", docs.what());
        }
        for query in clustered(2, 5, 100) {
            docs.is_exact(&query, 400, &docs.full(&query, 400));
        }
    }
}

#[test]
fn nothing_but_equal_rows() {
    for (metric, quantization) in combinations() {
        let row = clustered(1, 1, 100).remove(0);
        let docs = Fixture::of(metric, quantization, &vec![row.clone(); 700]);
        for query in [row, clustered(2, 1, 100).remove(0)] {
            for k in [1, 10, 699, 700, 701] {
                docs.is_exact(&query, k, &docs.search(&query, k));
                docs.is_exact(&query, k, &docs.full(&query, k));
            }
        }
    }
}

#[test]
fn about_as_many_rows_as_are_worth_a_graph() {
    for rows in [1, 199, 200, 201] {
        for (metric, quantization) in combinations() {
            let mut docs = Fixture::of(metric, quantization, &clustered(1, rows, 20));
            for query in clustered(2, 5, 20) {
                docs.check(&query, 10, &docs.search(&query, 10));
                docs.is_exact(&query, 10, &docs.full(&query, 10));
                docs.is_exact(&query, rows, &docs.full(&query, rows));
            }
            docs.reopen();
            let query = clustered(2, 1, 20).remove(0);
            docs.is_exact(&query, rows + 1, &docs.full(&query, rows + 1));
        }
    }
}

#[test]
fn a_graph_of_one_row() {
    for (metric, quantization) in combinations() {
        let dir = tempfile::tempdir().unwrap();
        let db = vecgo::open(dir.path()).auto_compact(false).graph_rows(1).wait().unwrap();
        let config = Config::new(3, metric).with_quantization(quantization);
        let docs = db.open_or_create("docs", config).wait().unwrap();
        for rows in 1..6u64 {
            docs.upsert([Record::new(rows, [1.0, rows as f32, 3.0])]).wait().unwrap();
            docs.flush().wait().unwrap();
            docs.compact().wait().unwrap();
            let hits = docs.search([1.0, 1.0, 3.0]).wait().unwrap();
            let found: BTreeSet<Id> = hits.into_iter().map(|hit| hit.id).collect();
            assert_eq!(found, ids(1..rows + 1).collect(), "{metric} {quantization}");
        }
    }
}

#[test]
fn text_ids() {
    for quantization in quantizations() {
        let rows = clustered(1, 900, 100);
        let mut docs = Fixture::new(100, Metric::Cosine, quantization);
        let id = |n: usize| match n % 3 {
            0 => Id::from(n as u64),
            _ => Id::from(format!("{}-{n}", "text".repeat(n % 5))),
        };
        docs.put_as(rows.iter().enumerate().map(|(n, row)| (id(n), row)));
        docs.merge();
        for (n, row) in rows.iter().enumerate().step_by(11) {
            assert_eq!(docs.search(row, 1)[0].id, id(n), "{quantization}");
            docs.check(row, 10, &docs.search(row, 10));
            let record = docs.docs.get(id(n)).wait().unwrap().unwrap();
            assert_eq!(record.vector, *row, "{quantization}");
        }
    }
}

/// Codes hold the coordinates of a long vector and of a short one to the same part of its length,
/// so between lengths that are far apart more has to be scored again.
#[test]
fn vectors_of_very_different_lengths() {
    for metric in [Metric::Dot, Metric::L2] {
        for (quantization, lengths) in quantizations().into_iter().flat_map(|q| [(q, 7), (q, 11)]) {
            let mut rows = clustered(1, 2000, 100);
            for (n, row) in rows.iter_mut().enumerate() {
                let scale = f32::from(1u16 << (n % lengths));
                row.iter_mut().for_each(|value| *value *= scale / 32.0);
            }
            let docs = Fixture::of(metric, quantization, &rows);
            let queries = clustered(2, 30, 100);
            let recall = match (lengths, quantization) {
                (11, Quantization::RaBitQ { .. }) => docs.recall(&queries, 10, |query, k| {
                    docs.docs.search(query).k(k).ef(1000).rerank(200).wait().unwrap()
                }),
                _ => docs.usual_recall(&queries),
            };
            assert!(recall >= 0.95, "{} {lengths}: recall {recall}", docs.what());
            for query in &queries[..5] {
                docs.is_exact(query, 50, &docs.full(query, 50));
            }
        }
    }
}
