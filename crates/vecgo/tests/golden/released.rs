//! What a release leaves behind for all later ones: beside a copy of the small database, one with every code
//! in a graph and in clusters, and a backup. Whoever has such files has to find in them what was found then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use vecgo::{Collection, Config, Id, Index, Metric, Quantization, Record, Retention};

use crate::contents::{
    Expected, contents_of, copy_into, copy_of, golden, holds, json, open, releases,
};

/// One leaves room for what comes with a code, the other does not.
const DIMS: [usize; 2] = [19, 128];
const ROWS: u64 = 128;
/// How much less may be found than was: kernels round differently.
const TOLERANCE: f64 = 0.02;

/// Numbers that stay as they are when they are written in decimals.
fn vectors(dim: usize) -> Vec<Vec<f32>> {
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "ten bits")]
        let number = (state >> 54) as f32;
        number / 64.0 - 8.0
    };
    (0..ROWS).map(|_| (0..dim).map(|_| next()).collect()).collect()
}

/// Codes lie otherwise beside a graph than in clusters.
fn configs(dim: usize) -> BTreeMap<String, Config> {
    let ivf = Index::Ivf { n_clusters: std::num::NonZeroU32::new(4) };
    let (m, ef_construction) = (8, 64);
    let indexes = [
        ("graph", Index::Graph { m, ef_construction }),
        ("disk", Index::Disk { m, ef_construction }),
        ("ivf", ivf),
        ("flat", Index::Flat),
    ];
    let rabitq = (1..=8).map(|bits| Quantization::RaBitQ { bits });
    let others = [Quantization::None, Quantization::Sq8, Quantization::Pq { parts: 5 }];
    let codes: Vec<_> = rabitq.chain(others).collect();
    let metrics = [Metric::Cosine, Metric::L2, Metric::Dot];
    let mut configs = BTreeMap::new();
    for (turn, (name, index)) in indexes.into_iter().enumerate() {
        for (place, code) in codes.iter().enumerate() {
            let metric = metrics[(turn + place) % metrics.len()];
            let config = Config::new(dim, metric).with_index(index).with_quantization(*code);
            let is_usual =
                ["rabitq:1", "rabitq:4", "rabitq:8", "sq8"].contains(&&*code.to_string());
            let is_wanted = dim == DIMS[0] || (is_usual && index != Index::Flat);
            if is_wanted && config.check().is_ok() {
                let code = code.to_string().replace(':', "");
                configs.insert(format!("{name}-{dim}-{code}"), config);
            }
        }
    }
    configs
}

/// How many of the ten nearest of some rows a search finds that believes the codes.
fn recall(collection: &Collection, vectors: &[Vec<f32>]) -> f64 {
    let config = collection.config();
    let metric = config.metric();
    let queries = vectors.iter().step_by(5);
    let mut found = 0u32;
    let mut asked = 0u32;
    for query in queries {
        let search = collection.search(query.clone()).k(10);
        let search = match config.index() {
            Index::Flat => search,
            Index::Ivf { .. } => search.nprobe(4),
            _ => search.ef(64),
        };
        let search = match config.quantization() {
            Quantization::None => search,
            _ => search.rerank(10),
        };
        let hits = search.wait().unwrap();
        let mut distances: Vec<f64> =
            vectors.iter().map(|vector| distance(metric, query, vector)).collect();
        distances.sort_by(f64::total_cmp);
        for hit in hits {
            let Id::Number(number) = hit.id else { continue };
            let vector = &vectors[usize::try_from(number).unwrap()];
            found += u32::from(distance(metric, query, vector) <= distances[9]);
        }
        asked += 10;
    }
    f64::from(found) / f64::from(asked)
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let sum = |f: fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| f((*a).into(), (*b).into())).sum()
    };
    let dot = sum(|a, b| a * b);
    match metric {
        Metric::Dot => -dot,
        Metric::L2 => sum(|a, b| (a - b) * (a - b)),
        Metric::Cosine => -dot / (sum(|_, b| b * b) * sum(|a, _| a * a)).sqrt(),
    }
}

fn records(vectors: &[Vec<f32>]) -> Vec<Record> {
    (0u64..).zip(vectors).map(|(id, vector)| Record::new(id, vector.clone())).collect()
}

/// What this build would leave behind is found by it. `cargo xtask golden --release` says where to leave it for good.
#[test]
fn what_a_release_leaves_behind_is_read() {
    let place = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("VECGO_GOLDEN_RELEASE").map(PathBuf::from);
    let release = kept.unwrap_or_else(|| place.path().join("release"));
    assert!(!release.exists(), "{} is there, for ever", release.display());
    write_release(&release);
    fields_are_counted(&release);
    codes_find(&release);
    backup_is_restored(&release);
}

fn write_release(release: &Path) {
    fs::create_dir(release).unwrap();
    let (database, _) = copy_of(&golden().join("head"));
    publish(&golden().join("head"), &release.join("database"));
    let backup = tempfile::tempdir().unwrap();
    open(database.path(), true).snapshot(vecgo::open(backup.path())).wait().unwrap();
    publish(backup.path(), &release.join("backup"));
    for dim in DIMS {
        let codes = tempfile::tempdir().unwrap();
        write_codes(codes.path(), dim);
        publish(codes.path(), &release.join(format!("codes-{dim}")));
    }
    let fields = tempfile::tempdir().unwrap();
    write_fields(fields.path());
    publish(fields.path(), &release.join("fields"));
}

/// All but locks, which name processes.
fn publish(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    let mut paths = BTreeSet::new();
    copy_into(from, to, "", &mut paths);
    for lock in paths.iter().filter(|path| path.rsplit('/').next() == Some(".lock")) {
        fs::remove_file(to.join(lock)).unwrap();
    }
}

fn write_codes(directory: &Path, dim: usize) {
    let vectors = vectors(dim);
    let retention = Retention { versions: 1, age: None, bytes: None };
    let database = vecgo::open(directory).index_rows(20).retention(retention).wait().unwrap();
    let mut collections = Vec::new();
    for (name, config) in configs(dim) {
        let collection = database.open_or_create(&*name, config).wait().unwrap();
        collection.upsert(records(&vectors)).wait().unwrap();
        collection.compact().wait().unwrap();
        // What made it is of no use.
        collection.vacuum().wait().unwrap();
        let segments = collection.stats().segments;
        assert_eq!((segments.len(), segments[0].index), (1, config.index()), "{name}");
        collections.push(json!({
            "collection": name,
            "metric": config.metric().to_string(),
            "quantization": config.quantization().to_string(),
            "recall": recall(&collection, &vectors),
        }));
        collection.close().wait().unwrap();
    }
    drop(database);
    let contents = json!({"vectors": vectors, "collections": collections});
    fs::write(directory.join("contents.json"), contents.to_string()).unwrap();
}

/// Documents whose fields take every form: of few values and of many, cut off, in lists, and one of so many fields
/// that not all are held.
fn documents() -> Vec<serde_json::Value> {
    let mut documents: Vec<_> = (0..2_600u64)
        .map(|n| {
            let few = ["red", "green", "blue"][usize::try_from(n % 3).unwrap()];
            let rare = if n % 100 == 7 { json!("rare") } else { json!(null) };
            json!({"n": n, "few": few, "rare": rare, "marks": [n % 50, "m"], "half": n as f64 / 2.0})
        })
        .collect();
    for (n, document) in documents.iter_mut().enumerate().skip(2_590) {
        document["long"] = json!(format!("{}{n}", "x".repeat(125)));
    }
    documents[5] = (0..1_100).map(|n| (format!("field{n}"), json!(n))).collect();
    documents
}

fn filters() -> Vec<serde_json::Value> {
    let long = "x".repeat(125);
    let test = |field: &str, op: &str, value: serde_json::Value| json!({"field": field, "op": op, "value": value});
    vec![
        test("few", "eq", json!("red")),
        test("rare", "eq", json!("rare")),
        json!({"and": [test("n", "gte", json!(100)), test("n", "lt", json!(1_200))]}),
        test("half", "gt", json!(1_000.5)),
        test("marks", "any", json!([7])),
        test("long", "eq", json!(format!("{long}2595"))),
        test("long", "starts_with", json!(long)),
        test("field1099", "eq", json!(1_099)),
        json!({"and": [test("few", "eq", json!("blue")), test("n", "lt", json!(500))]}),
    ]
}

fn write_fields(directory: &Path) {
    let database = vecgo::open(directory).auto_vacuum(false).wait().unwrap();
    let config = Config::new(1, Metric::L2).with_index(Index::Flat);
    let records = database.open_or_create("records", config).wait().unwrap();
    let rows =
        (0u64..).zip(documents()).map(|(id, document)| Record::new(id, [1.0]).metadata(document));
    records.upsert(rows).wait().unwrap();
    records.flush().wait().unwrap();
    let counted = |filter: serde_json::Value| {
        let found = records.count_where(vecgo::Filter::from_json(&filter).unwrap()).wait().unwrap();
        assert!(found > 0, "{filter}");
        json!({"filter": filter, "count": found})
    };
    let filters: Vec<_> = filters().into_iter().map(counted).collect();
    let facets: Vec<_> = ["few", "rare", "marks"].map(|field| facet(&records, field)).into();
    records.close().wait().unwrap();
    drop(database);
    let contents = json!({"filters": filters, "facets": facets});
    fs::write(directory.join("contents.json"), contents.to_string()).unwrap();
}

fn facet(records: &Collection, field: &str) -> serde_json::Value {
    let values = records.facet(field, 100, None).wait().unwrap();
    let values = values.into_iter().map(|facet| json!([facet.value, facet.count]));
    json!({"field": field, "values": values.collect::<Vec<_>>()})
}

#[test]
fn fields_of_releases_are_filtered_and_counted() {
    releases().iter().for_each(|release| fields_are_counted(release));
}

fn fields_are_counted(release: &Path) {
    let (directory, _) = copy_of(&release.join("fields"));
    let contents = json(&release.join("fields/contents.json"));
    let database = open(directory.path(), true);
    assert_eq!(database.verify().wait().unwrap().damage, []);
    let records = database.collection("records").wait().unwrap();
    for counted in contents["filters"].as_array().unwrap() {
        let filter = vecgo::Filter::from_json(&counted["filter"]).unwrap();
        let count = records.count_where(filter).wait().unwrap();
        assert_eq!(count, counted["count"].as_u64().unwrap(), "{}", counted["filter"]);
    }
    for counted in contents["facets"].as_array().unwrap() {
        assert_eq!(facet(&records, counted["field"].as_str().unwrap()), *counted);
    }
}

#[test]
fn codes_of_releases_find_what_they_found() {
    releases().iter().for_each(|release| codes_find(release));
}

fn codes_find(release: &Path) {
    for dim in DIMS {
        let codes = release.join(format!("codes-{dim}"));
        let (directory, _) = copy_of(&codes);
        let contents = json(&codes.join("contents.json"));
        let vectors: Vec<Vec<f32>> = serde_json::from_value(contents["vectors"].clone()).unwrap();
        let rows = records(&vectors).into_iter().map(|record| (record.id.clone(), record));
        let rows = rows.collect();
        let database = open(directory.path(), true);
        assert_eq!(database.verify().wait().unwrap().damage, []);
        for known in contents["collections"].as_array().unwrap() {
            let name = known["collection"].as_str().unwrap();
            let shown = format!("{name} of {}", release.display());
            let collection = database.collection(name).wait().unwrap();
            assert_eq!(collection.config().metric().to_string(), known["metric"], "{shown}");
            let codes = collection.config().quantization();
            assert_eq!(codes.to_string(), known["quantization"], "{shown}");
            holds(&collection, &rows).unwrap();
            let (found, then) = (recall(&collection, &vectors), known["recall"].as_f64().unwrap());
            assert!(found > then - TOLERANCE, "{shown}: {found}, and {then} then");
        }
        drop(database);
        go_on(directory.path(), &contents, &vectors);
    }
}

/// A merge goes on from what is there.
fn go_on(path: &Path, contents: &serde_json::Value, vectors: &[Vec<f32>]) {
    let database = vecgo::open(path).index_rows(20).wait().unwrap();
    for known in contents["collections"].as_array().unwrap() {
        let name = known["collection"].as_str().unwrap();
        let collection = database.collection(name).wait().unwrap();
        let config = collection.config();
        // Rows that are there already, under other ids.
        let more =
            (1_000u64..).zip(vectors).take(9).map(|(id, vector)| Record::new(id, vector.clone()));
        collection.upsert(more).wait().unwrap();
        collection.delete(1_000u64..1_009).wait().unwrap();
        collection.upsert([Record::new(0u64, vectors[0].clone())]).wait().unwrap();
        collection.compact().wait().unwrap();
        assert_eq!(collection.stats().segments[0].index, config.index(), "{name}");
        let (found, then) = (recall(&collection, vectors), known["recall"].as_f64().unwrap());
        assert!(found > then - 0.06, "{name}: {found}, and {then} then");
    }
}

#[test]
fn backups_of_releases_are_restored() {
    releases().iter().for_each(|release| backup_is_restored(release));
}

fn backup_is_restored(release: &Path) {
    let directory = tempfile::tempdir().unwrap();
    restore(&release.join("backup"), directory.path());
    let database = open(directory.path(), true);
    for (name, Expected { versions, .. }) in contents_of(&release.join("database")) {
        // What was never committed is in no backup.
        let rows = versions.last_key_value().map(|(_, rows)| rows.clone()).unwrap_or_default();
        holds(&database.collection(&*name).wait().unwrap(), &rows).unwrap();
    }
}

fn restore(from: &Path, to: &Path) {
    // A read takes notes, and these files stay as they are.
    let (backup, _) = copy_of(from);
    vecgo::restore(vecgo::open(backup.path()), vecgo::open(to)).verify(true).wait().unwrap();
}
