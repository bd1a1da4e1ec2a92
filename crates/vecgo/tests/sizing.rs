//! What is reckoned beforehand, held against what is there.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and looks at files"
)]

use std::fs;
use std::path::Path;

use serde_json::json;
use vecgo::{Config, Id, Index, Metric, Quantization, Record, Records, Retention, Sizing};

const ROWS: u64 = 4000;

fn bytes_of(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let bytes = |entry: fs::DirEntry| match entry.metadata().unwrap() {
        found if found.is_dir() => bytes_of(&entry.path()),
        found => found.len(),
    };
    entries.map(bytes).sum()
}

fn configs() -> impl Iterator<Item = Config> {
    let rabitq = |bits| Quantization::RaBitQ { bits };
    let small = Index::Graph { m: 8, ef_construction: 40 };
    [
        (Index::Flat, Quantization::None),
        (small, Quantization::None),
        (small, Quantization::Sq8),
        (small, rabitq(4)),
        (Index::graph(), rabitq(8)),
        (Index::ivf(), rabitq(8)),
        (Index::ivf(), Quantization::None),
        (Index::disk(), rabitq(4)),
        (Index::disk(), rabitq(1)),
        (Index::ivf(), rabitq(6)),
        (small, Quantization::Pq { parts: 20 }),
    ]
    .into_iter()
    .flat_map(|(index, codes)| {
        // With factors in the rows of codes, and beside them.
        [(100, Metric::L2), (256, Metric::Cosine)].map(|(dim, metric)| {
            Config::new(dim, metric).with_index(index).with_quantization(codes)
        })
    })
}

#[track_caller]
fn is_near(reckoned: u64, found: u64, what: &str) {
    let ratio = reckoned as f64 / found as f64;
    assert!((0.9..=1.1).contains(&ratio), "{what}: {reckoned} reckoned, {found} found");
}

#[test]
fn no_number_is_too_large() {
    let most = u64::MAX;
    let records = Records { rows: most, id_bytes: most, metadata_bytes: most, payload_bytes: most };
    for config in configs() {
        let sizing = Sizing::of(&config, records).unwrap();
        assert_eq!((sizing.disk, sizing.disk_peak, sizing.merge), (most, most, most), "{config}");
    }
}

#[test]
fn memory_and_disk_are_as_reckoned() {
    for (number, config) in configs().enumerate() {
        let texts = number % 3 == 1;
        let dir = tempfile::tempdir().unwrap();
        let open = vecgo::open(dir.path())
            .auto_compact(false)
            .retention(Retention { versions: 1, ..Retention::default() });
        let docs = open.wait().unwrap().open_or_create("docs", config).wait().unwrap();
        let metadata = |n: u64| json!({"title": format!("the title of {n}"), "group": n % 20});
        let record = |n: u64| {
            let id = if texts { Id::from(format!("document-{n:07}")) } else { Id::from(n) };
            let vector = (0..config.dim() as u64).map(|place| ((n * 31 + place * 17) % 101) as f32);
            let vector: Vec<f32> = vector.map(|value| value - 50.0 + (n % 7) as f32).collect();
            let record = Record::new(id, vector);
            if number % 2 == 0 { record } else { record.metadata(metadata(n)) }
        };
        docs.upsert((0..ROWS).map(record)).wait().unwrap();
        docs.flush().wait().unwrap();
        docs.compact().wait().unwrap();
        docs.vacuum().wait().unwrap();
        let records = Records {
            rows: ROWS,
            id_bytes: if texts { 16 } else { 0 },
            metadata_bytes: if number % 2 == 0 {
                0
            } else {
                metadata(2000).to_string().len() as u64
            },
            payload_bytes: 0,
        };
        let sizing = Sizing::of(&config, records).unwrap();
        let what = format!("{config}, {records:?}");
        is_near(sizing.disk, bytes_of(dir.path()), &format!("{what}: disk"));
        docs.search(vec![1.0; config.dim()]).wait().unwrap();
        let resident = docs.stats().resident_bytes;
        let expected = sizing.searched + sizing.vectors + sizing.lookup;
        is_near(expected, resident, &format!("{what}: memory"));
    }
}
