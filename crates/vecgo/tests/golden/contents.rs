//! What the golden files hold, by `contents.json`, and looking whether a database holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vecgo::{Collection, Config, Database, Error, Id, Index, Record, Result, Schema};

pub(crate) type Rows = BTreeMap<Id, Record>;

/// A collection at each of its versions, and as a writer finds it.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) config: Config,
    pub(crate) schema: Schema,
    pub(crate) versions: BTreeMap<u64, Rows>,
    pub(crate) last: Rows,
}

/// Where the golden files are: those of this build in `head`, those of a release under its version.
pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden")
}

/// The small databases: of this build, and of each release.
pub(crate) fn databases() -> Vec<PathBuf> {
    let released = releases().into_iter().map(|release| release.join("database"));
    released.chain([golden().join("head")]).collect()
}

/// The golden files of each release.
pub(crate) fn releases() -> Vec<PathBuf> {
    let entries = fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| !path.ends_with("head")).collect()
}

/// What this build's hold.
pub(crate) fn contents() -> BTreeMap<String, Expected> {
    contents_of(&golden().join("head"))
}

pub(crate) fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn contents_of(database: &Path) -> BTreeMap<String, Expected> {
    let lines = json(&database.join("contents.json"));
    let mut contents = BTreeMap::new();
    for line in lines.as_array().unwrap() {
        let dim = usize::try_from(line["dim"].as_u64().unwrap()).unwrap();
        let config = Config::new(dim, line["metric"].as_str().unwrap().parse().unwrap())
            .with_index(index(&line["index"]))
            .with_quantization(line["quantization"].as_str().unwrap().parse().unwrap());
        let name = line["collection"].as_str().unwrap().to_owned();
        let schema = Schema::from_json(&line["schema"]).unwrap();
        let new = || Expected { config, schema, versions: BTreeMap::new(), last: Rows::new() };
        let expected = contents.entry(name).or_insert_with(new);
        let records = line["records"].as_array().unwrap().iter().map(record);
        let rows = records.map(|record| (record.id.clone(), record)).collect();
        match line["version"].as_u64() {
            Some(version) => drop(expected.versions.insert(version, rows)),
            None => expected.last = rows,
        }
    }
    contents
}

fn index(value: &serde_json::Value) -> Index {
    let setting = |name: &str| u16::try_from(value[name].as_u64().unwrap()).unwrap();
    match value["name"].as_str().unwrap() {
        "flat" => Index::Flat,
        "disk" => Index::Disk { m: setting("m"), ef_construction: setting("ef_construction") },
        "graph" => Index::Graph { m: setting("m"), ef_construction: setting("ef_construction") },
        "ivf" => {
            let clusters = value["n_clusters"].as_u64().map_or(0, |n| u32::try_from(n).unwrap());
            Index::Ivf { n_clusters: std::num::NonZeroU32::new(clusters) }
        }
        other => panic!("index {other}"),
    }
}

fn record(value: &serde_json::Value) -> Record {
    let id = match value["id"].as_u64() {
        Some(number) => Id::from(number),
        None => Id::from(value["id"].as_str().unwrap()),
    };
    let vector = value["vector"].as_array().unwrap().iter();
    #[expect(clippy::cast_possible_truncation, reason = "each was an f32")]
    let vector: Vec<f32> = vector.map(|number| number.as_f64().unwrap() as f32).collect();
    let byte = |byte: &serde_json::Value| u8::try_from(byte.as_u64().unwrap()).unwrap();
    let mut record = Record::new(id, vector).metadata(value["metadata"].clone());
    record.payload = value["payload"].as_array().map(|bytes| bytes.iter().map(byte).collect());
    record
}

/// A copy of this build's, and their paths in it.
pub(crate) fn copy() -> (TempDir, BTreeSet<String>) {
    copy_of(&golden().join("head"))
}

pub(crate) fn copy_of(golden: &Path) -> (TempDir, BTreeSet<String>) {
    let directory = tempfile::tempdir().unwrap();
    let mut paths = BTreeSet::new();
    copy_into(golden, directory.path(), "", &mut paths);
    paths.remove("contents.json");
    (directory, paths)
}

pub(crate) fn copy_into(from: &Path, to: &Path, prefix: &str, paths: &mut BTreeSet<String>) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            fs::create_dir(to.join(&name)).unwrap();
            copy_into(&entry.path(), to, &format!("{name}/"), paths);
        } else {
            fs::write(to.join(&name), fs::read(entry.path()).unwrap()).unwrap();
            paths.insert(name);
        }
    }
}

/// So that each segment stays as it is: a fifth of most is dead.
pub(crate) fn open(path: &Path, read_only: bool) -> Database {
    vecgo::open(path).read_only(read_only).auto_compact(false).wait().unwrap()
}

/// Reads everything that a copy of this build's holds, at every version, and compares it.
pub(crate) fn look(path: &Path, read_only: bool) -> Result<()> {
    look_for(&contents(), path, read_only)
}

pub(crate) fn look_for(
    contents: &BTreeMap<String, Expected>,
    path: &Path,
    read_only: bool,
) -> Result<()> {
    let database = open(path, read_only);
    let names: Vec<_> = database.collections().wait()?.into_iter().map(|c| c.name).collect();
    assert_eq!(names, contents.keys().cloned().collect::<Vec<_>>());
    for (name, expected) in contents {
        let collection = database.collection(name.as_str()).wait()?;
        assert_eq!(collection.config(), expected.config, "{name}");
        assert_eq!(collection.schema(), expected.schema, "{name}");
        let newest = || expected.versions.last_key_value().map(|(_, rows)| rows.clone());
        let shown = if read_only { newest().unwrap_or_default() } else { expected.last.clone() };
        holds(&collection, &shown)?;
        let versions = collection.versions().wait()?;
        let versions: BTreeSet<u64> = versions.iter().map(|version| version.version).collect();
        assert_eq!(versions, expected.versions.keys().copied().collect(), "{name}");
        for (version, rows) in &expected.versions {
            holds(&collection.at_version(*version).wait()?, rows)?;
        }
    }
    Ok(())
}

/// By a scan, by ids and by a search.
pub(crate) fn holds(collection: &Collection, expected: &Rows) -> Result<()> {
    let shown = format!("{} at {}", collection.name(), collection.version());
    assert_eq!(collection.count(), u64::try_from(expected.len()).unwrap(), "{shown}");
    let mut scan = collection.scan().page_size(3).with_vector().with_payload().wait()?;
    let mut rows = Rows::new();
    while let Some(page) = scan.next_page().wait()? {
        rows.extend(page.into_iter().map(|record| (record.id.clone(), record)));
    }
    assert_eq!(rows, *expected, "{shown}");
    for (id, record) in expected {
        assert_eq!(collection.get(id).wait()?.as_ref(), Some(record), "{shown}");
    }
    let query = vec![1.0; collection.config().dim()];
    let hits = collection.search(query).k(1000).wait()?;
    let found: BTreeSet<Id> = hits.into_iter().map(|hit| hit.id).collect();
    assert_eq!(found, expected.keys().cloned().collect(), "{shown}");
    Ok(())
}

/// What `verify` says of a file.
pub(crate) fn damage(path: &Path, file: &str) -> Option<String> {
    let report = open(path, true).verify().wait().unwrap();
    report.damage.into_iter().find(|damage| damage.key == file).map(|damage| damage.message)
}

pub(crate) fn told(error: &Error) -> String {
    format!("{:?}: {error}", error.kind())
}
