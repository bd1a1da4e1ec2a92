//! Real vectors, found through `VECGO_DATASETS`: a folder whose sub-folders have `base.npy`,
//! `query.npy`, `gt.npy` and a `manifest.json` with the metric.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Place, Ran};

const SETS: [&str; 2] = ["pkgtext-384", "ir-cranfield"];
/// A larger set takes too long for a test.
const MOST_ROWS: u64 = 100_000;
const QUERIES: usize = 50;

/// Writes the first rows of an `.npy` file of two dimensions.
fn first_rows(from: &Path, to: &Path, rows: usize) {
    let mut bytes = Vec::new();
    File::open(from).unwrap().read_to_end(&mut bytes).unwrap();
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..end]).into_owned();
    let shape = header.split_once("'shape': (").unwrap().1;
    let all: usize = shape.split(',').next().unwrap().parse().unwrap();
    let rows = rows.min(all);
    let changed = header.replacen(&format!("({all},"), &format!("({rows},"), 1);
    // The header keeps its length: what the number got shorter by becomes spaces.
    let changed = format!("{:<width$}\n", changed.trim_end(), width = end - 11);
    let row_bytes = (bytes.len() - end) / all;
    let head = [&bytes[..10], changed.as_bytes()].concat();
    fs::write(to, [&head[..], &bytes[end..end + rows * row_bytes]].concat()).unwrap();
}

fn is_required() -> bool {
    env::var("VECGO_REQUIRE_DATASETS").is_ok_and(|value| value == "1")
}

/// The folder of data sets; what has to be skipped without it says so.
fn datasets() -> Option<PathBuf> {
    let folder = env::var_os("VECGO_DATASETS").map(PathBuf::from);
    if folder.is_none() {
        assert!(!is_required(), "VECGO_REQUIRE_DATASETS is set and VECGO_DATASETS is not");
        println!("skipped: VECGO_DATASETS is not set");
    }
    folder
}

#[test]
fn recall_on_real_vectors_is_one() {
    let Some(folder) = datasets() else { return };
    let required = is_required();
    let mut tried = 0;
    for name in SETS {
        let set = Path::new(&folder).join(name);
        let Ok(manifest) = fs::read(set.join("manifest.json")) else { continue };
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let rows = manifest["n_base"].as_u64().unwrap();
        if rows > MOST_ROWS {
            continue;
        }
        tried += 1;
        let place = Place::new();
        let file = |name: &str| set.join(name).to_str().unwrap().to_owned();
        let (dim, metric) = (manifest["dim"].to_string(), manifest["metric"].as_str().unwrap());
        place.ok(&format!("create db --dim {dim} --metric {metric} --index flat"));
        let base = file("base.npy");
        let import = place.command_of(&["--json", "import", "db", &base]);
        let imported = Ran::of(import);
        assert_eq!(imported.object()["rows"], rows, "{imported:?}");
        first_rows(&set.join("query.npy"), &place.path("query.npy"), QUERIES);
        let truth = file("gt.npy");
        let bench = [
            "--json",
            "bench",
            "db",
            "--queries",
            "query.npy",
            "--truth",
            &truth,
            "-k",
            "10",
            "--exact",
        ];
        let answer = Ran::of(place.command_of(&bench));
        let answer = answer.object();
        assert_eq!(answer["points"][0]["recall"], 1.0, "{name}: {answer}");
        assert_eq!(answer["queries"], QUERIES);
    }
    assert!(tried > 0 || !required, "VECGO_DATASETS has none of {SETS:?}");
    if tried == 0 {
        println!("skipped: VECGO_DATASETS has none of {SETS:?}");
    }
}

/// A set with metadata, `filters.json` and the nearest rows of those that each filter matches.
const FILTERED: &str = "pkgtext-384";

#[test]
fn filters_of_real_metadata_find_what_they_match() {
    let Some(folder) = datasets() else { return };
    let set = folder.join(FILTERED);
    let Ok(filters) = fs::read(set.join("filters.json")) else {
        assert!(!is_required(), "VECGO_DATASETS has no {FILTERED}");
        println!("skipped: VECGO_DATASETS has no {FILTERED}");
        return;
    };
    let filters: Value = serde_json::from_slice(&filters).unwrap();
    let place = Place::new();
    let file = |name: &str| set.join(name).to_str().unwrap().to_owned();
    place.ok("create db --dim 384 --metric cosine");
    let (base, metadata) = (file("base.npy"), file("meta.jsonl"));
    let import = place.command_of(&["import", "db", &base, "--metadata", &metadata]);
    assert_eq!(Ran::of(import).code, Some(0));
    first_rows(&set.join("query.npy"), &place.path("query.npy"), QUERIES);
    for filter in filters.as_array().unwrap() {
        let text = filter["filter"].to_string();
        let count = Ran::of(place.command_of(&["--json", "count", "db", "--filter", &text]));
        assert_eq!(count.object()["count"], filter["n_match"], "{text}");
        let truth = file(filter["gt"].as_str().unwrap());
        let bench = ["--json", "bench", "db", "--queries", "query.npy", "--truth", &truth];
        let options = ["--seconds", "0", "--filter", &text];
        let answer = Ran::of(place.command_of(&[&bench[..], &options].concat())).object();
        let recall = answer["points"][0]["recall"].as_f64().unwrap();
        assert!(recall >= 0.95, "{text}: {answer}");
    }
}
