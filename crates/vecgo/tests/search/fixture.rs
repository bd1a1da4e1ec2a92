//! A collection, what should be in it, and what is true of every answer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use vecgo::{
    Collection, Config, Database, Hit, Id, Index, MAX_CANDIDATES, MAX_CLUSTERS, Metric,
    Quantization, Record, Search,
};

use crate::oracle::distance;

/// What should be there.
type Model = BTreeMap<Id, Vec<f32>>;

pub(crate) const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

pub(crate) fn quantizations() -> [Quantization; 4] {
    let rabitq = |bits| Quantization::RaBitQ { bits };
    [Quantization::None, Quantization::Sq8, rabitq(4), rabitq(8)]
}

pub(crate) fn combinations() -> impl Iterator<Item = (Metric, Quantization)> {
    METRICS.into_iter().flat_map(|metric| quantizations().map(|q| (metric, q)))
}

/// Numbers from -1 to 1, the same every time.
pub(crate) fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A multiple of 1/64, so that no sum of squares or products is rounded in f64, in whatever order.
pub(crate) fn round(value: f32) -> f32 {
    (value * 64.0).round() / 64.0
}

/// Vectors around some centres.
pub(crate) fn clustered(seed: u64, rows: usize, dim: usize) -> Vec<Vec<f32>> {
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
    vecgo::open(path).auto_compact(false).index_rows(200).wait().unwrap()
}

pub(crate) struct Fixture {
    dir: tempfile::TempDir,
    pub(crate) config: Config,
    pub(crate) docs: Collection,
    pub(crate) model: Model,
}

impl Fixture {
    pub(crate) fn new(dim: usize, metric: Metric, quantization: Quantization) -> Self {
        Self::empty(Config::new(dim, metric).with_quantization(quantization))
    }

    fn empty(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let docs = open(dir.path()).open_or_create("docs", config).wait().unwrap();
        Self { dir, config, docs, model: Model::new() }
    }

    /// With rows in one segment that has a graph.
    pub(crate) fn of(metric: Metric, quantization: Quantization, rows: &[Vec<f32>]) -> Self {
        let config = Config::new(rows[0].len(), metric).with_quantization(quantization);
        Self::with(config, rows)
    }

    /// The same with any index.
    pub(crate) fn with(config: Config, rows: &[Vec<f32>]) -> Self {
        let mut made = Self::empty(config);
        if !rows.is_empty() {
            made.put(0, rows);
            made.merge();
        }
        made
    }

    pub(crate) fn put(&mut self, first: u64, rows: &[Vec<f32>]) {
        self.put_as(rows.iter().enumerate().map(|(n, row)| (Id::from(first + n as u64), row)));
    }

    pub(crate) fn put_as<'a>(&mut self, rows: impl Iterator<Item = (Id, &'a Vec<f32>)>) {
        let mut records = Vec::new();
        for (id, row) in rows {
            records.push(Record::new(id.clone(), row.clone()));
            self.model.insert(id, row.clone());
        }
        self.docs.upsert(records).wait().unwrap();
    }

    pub(crate) fn delete(&mut self, ids: impl Iterator<Item = Id>) {
        let ids: Vec<Id> = ids.collect();
        for id in &ids {
            self.model.remove(id);
        }
        self.docs.delete(ids).wait().unwrap();
    }

    /// All rows in one new segment.
    pub(crate) fn merge(&self) {
        self.docs.flush().wait().unwrap();
        self.docs.compact().wait().unwrap();
        assert!(self.docs.stats().segments.len() <= 1);
    }

    pub(crate) fn reopen(&mut self) {
        self.docs.close().wait().unwrap();
        self.docs = open(self.dir.path()).collection("docs").wait().unwrap();
    }

    /// Merges by itself from now on.
    pub(crate) fn reopen_to_merge(&mut self) {
        self.docs.close().wait().unwrap();
        let database = vecgo::open(self.dir.path()).index_rows(200).wait().unwrap();
        self.docs = database.collection("docs").wait().unwrap();
    }

    /// The same, opened to be read only.
    pub(crate) fn reader(&self) -> Collection {
        let database = vecgo::open(self.dir.path()).read_only(true).wait().unwrap();
        database.collection("docs").wait().unwrap()
    }

    /// What is in the files of a folder of the collection.
    #[expect(clippy::disallowed_methods, reason = "it looks at files")]
    pub(crate) fn files(&self, folder: &str) -> Vec<Vec<u8>> {
        let collection = std::fs::read_dir(self.dir.path().join("collections")).unwrap().next();
        let files = std::fs::read_dir(collection.unwrap().unwrap().path().join(folder)).unwrap();
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    pub(crate) fn what(&self) -> String {
        self.config.to_string()
    }

    pub(crate) fn search(&self, query: &[f32], k: usize) -> Vec<Hit> {
        self.docs.search(query).k(k).wait().unwrap()
    }

    /// With all the effort that a search can be told to make.
    pub(crate) fn full(&self, query: &[f32], k: usize) -> Vec<Hit> {
        self.all_effort(self.docs.search(query).k(k)).wait().unwrap()
    }

    pub(crate) fn all_effort(&self, search: Search) -> Search {
        let search = match self.config.index() {
            Index::Flat => return search,
            Index::Ivf { .. } => search.nprobe(MAX_CLUSTERS as usize),
            _ => search.ef(MAX_CANDIDATES),
        };
        match self.config.quantization() {
            Quantization::None => search,
            _ => search.rerank(MAX_CANDIDATES),
        }
    }

    /// Whether two sums that may have been rounded in another order are the same number.
    pub(crate) fn same(&self, found: f32, truth: f64) -> bool {
        match self.config.metric() {
            Metric::Cosine => (f64::from(found) - truth).abs() <= truth.abs() * 1.2e-7 + 1e-14,
            _ => found == truth as f32,
        }
    }

    /// The distances of the k nearest rows.
    pub(crate) fn nearest(&self, query: &[f32], k: usize) -> Vec<f64> {
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
    pub(crate) fn check(&self, query: &[f32], k: usize, hits: &[Hit]) {
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
    pub(crate) fn is_exact(&self, query: &[f32], k: usize, hits: &[Hit]) {
        self.check(query, k, hits);
        for (hit, nearest) in hits.iter().zip(self.nearest(query, k)) {
            assert!(self.same(hit.distance, nearest), "{}: {hit:?} for {nearest}", self.what());
        }
    }

    /// The part of the k nearest rows that a search finds.
    #[track_caller]
    pub(crate) fn recall(
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

    pub(crate) fn usual_recall(&self, queries: &[Vec<f32>]) -> f64 {
        self.recall(queries, 10, |query, k| self.search(query, k))
    }
}

pub(crate) fn ids(range: Range<u64>) -> impl Iterator<Item = Id> {
    range.map(Id::from)
}
