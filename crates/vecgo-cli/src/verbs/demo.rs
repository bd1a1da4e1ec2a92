#![expect(clippy::disallowed_methods, reason = "the demo measures, and kills a child process")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use vecgo::{Collection, Config, Database, Hit, Metric, Record, json};

use super::import;
use crate::Answer;
use crate::args::{Demo, Import, Target};
use crate::failure::Failure;
use crate::output::{Output, bytes};
use crate::vector_file::VectorFile;

const VECTORS: &[u8] = include_bytes!("../../demo/vectors.npy");
const RECORDS: &[u8] = include_bytes!("../../demo/records.jsonl");
const QUERY_VECTORS: &[u8] = include_bytes!("../../demo/queries.npy");
const QUERIES: &str = include_str!("../../demo/queries.jsonl");
const LICENSE: &str = include_str!("../../demo/LICENSE.md");

const COLLECTION: &str = "words";
const DIM: usize = 384;
const SHOWN: usize = 5;
/// How long the child writes before it is killed.
const CHILD_TIME: Duration = Duration::from_millis(1500);
const CHILD_COLLECTION: &str = "crash-test";
const CHILD_BATCH: u64 = 10;
const CHILD_DIM: usize = 16;
const SIGKILL: i32 = 9;
/// Least share of the nearest that the index has to find.
const MIN_RECALL: f64 = 0.95;

pub(crate) fn run(target: &Target, demo: Demo, out: &Output) -> Result<Answer, Failure> {
    if demo.license {
        out.always(LICENSE.trim_end());
        return Ok(Answer::Yes);
    }
    let temporary = tempfile::tempdir().map_err(|error| Failure::file(Path::new("."), &error))?;
    let root = demo.dir.clone().unwrap_or_else(|| temporary.path().join("database"));
    let target = &Target { uri: root.clone(), collection: COLLECTION.to_owned(), ..target.clone() };
    out.line("Vecgo demo: 4,000 words of WordNet 3.0, found by what they mean.");
    out.line("(WordNet 3.0 Copyright 2006 by Princeton University; `vecgo demo --license`)\n");

    let queries = unpack(temporary.path())?;
    load(target, temporary.path(), out)?;
    let words = reopen(target, out)?;
    show_searches(&words, &queries, out)?;
    let enough = measure(&words, &queries, out)?;
    let lost = kill_a_writer(target, out)?;
    sizes(&words, target, out)?;
    if demo.dir.is_some() {
        out.line(format!("\nThe database is in {}; try:", root.display()));
        out.line(format!("  vecgo stats {} --collection words", root.display()));
    }
    Ok(if lost == 0 && enough { Answer::Yes } else { Answer::No })
}

/// A query: its text, its word, its vector.
struct Query {
    text: String,
    title: String,
    vector: Vec<f32>,
}

fn field(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Writes the corpus to files, from which the demo imports as anybody would.
fn unpack(dir: &Path) -> Result<Vec<Query>, Failure> {
    for (name, contents) in
        [("vectors.npy", VECTORS), ("records.jsonl", RECORDS), ("queries.npy", QUERY_VECTORS)]
    {
        let path = dir.join(name);
        std::fs::write(&path, contents).map_err(|error| Failure::file(&path, &error))?;
    }
    let mut file = VectorFile::open(&dir.join("queries.npy"))?;
    let mut vectors = Vec::new();
    file.read_rows(usize::MAX / DIM, &mut vectors)?;
    let lines = QUERIES.lines().zip(vectors.chunks_exact(file.dim()));
    lines
        .map(|(line, vector)| {
            let value: Value = serde_json::from_str(line)
                .map_err(|error| Failure::invalid(format!("queries.jsonl: {error}")))?;
            let (text, title) = (field(&value, "text"), field(&value, "title"));
            Ok(Query { text, title, vector: vector.to_vec() })
        })
        .collect()
}

fn load(target: &Target, files: &Path, out: &Output) -> Result<(), Failure> {
    let db = target.open().wait()?;
    let config = Config::new(DIM, Metric::Cosine);
    db.create(&target.collection, config).wait()?;
    drop(db);
    out.line("1. Import 4,000 records with 384-dimension embeddings");
    out.line(format!("   {config}"));
    let import = Import {
        uri: target.uri.clone(),
        files: vec![files.join("vectors.npy")],
        metadata: Some(files.join("records.jsonl")),
        first_id: None,
        string_ids: false,
        no_wait: false,
        memtable_bytes: None,
        wal_sync: "commit".to_owned(),
    };
    import::run(target, import, out).map(drop)
}

/// Puts the words into the collection of their name, if it is not there.
pub(super) fn put_words(target: &Target, out: &Output) -> Result<(), Failure> {
    let target = Target { collection: COLLECTION.to_owned(), ..target.clone() };
    let there = target.open().wait()?.collections().wait()?;
    if there.iter().any(|info| info.name == COLLECTION) {
        return Ok(());
    }
    let files = tempfile::tempdir().map_err(|error| Failure::file(Path::new("."), &error))?;
    unpack(files.path())?;
    out.line("(WordNet 3.0 Copyright 2006 by Princeton University; `vecgo demo --license`)");
    load(&target, files.path(), out)
}

fn reopen(target: &Target, out: &Output) -> Result<Collection, Failure> {
    let start = Instant::now();
    let words = super::reader(target)?;
    let seconds = start.elapsed().as_secs_f64();
    out.line(format!(
        "\n2. Reopen: {} records at version {}, in {:.1} ms",
        words.count(),
        words.version(),
        seconds * 1e3
    ));
    Ok(words)
}

fn show_searches(words: &Collection, queries: &[Query], out: &Output) -> Result<(), Failure> {
    out.line("\n3. Search by meaning");
    for query in queries.iter().take(SHOWN) {
        out.line(format!("\n   \"{}\"   (WordNet: {})", query.text, query.title));
        for hit in words.search(&query.vector).k(3).with_metadata().wait()? {
            let metadata = hit.metadata.unwrap_or_default();
            let (title, text) = (field(&metadata, "title"), field(&metadata, "text"));
            out.line(format!("   {:.3}  {title}: {text}", hit.score));
        }
    }
    Ok(())
}

/// What a way to search found of the ten nearest, and how long it took.
#[derive(Default)]
struct Measured {
    found: usize,
    latencies: Vec<f64>,
}

impl Measured {
    fn search(&mut self, search: vecgo::Search, tenth: f64) -> Result<(), Failure> {
        let start = Instant::now();
        let hits: Vec<Hit> = search.k(10).wait()?;
        self.latencies.push(start.elapsed().as_secs_f64() * 1e6);
        self.found += hits.iter().filter(|hit| f64::from(hit.score) >= tenth - 1e-6).count();
        Ok(())
    }

    /// Recall, and the median latency in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
    fn figures(mut self) -> (f64, f64) {
        self.latencies.sort_by(f64::total_cmp);
        let queries = self.latencies.len();
        (self.found as f64 / (queries * 10) as f64, self.latencies[queries / 2])
    }
}

/// Compares searches with plain loops over all vectors; says whether they found enough.
fn measure(words: &Collection, queries: &[Query], out: &Output) -> Result<bool, Failure> {
    let mut all = Vec::new();
    let mut scan = words.scan().with_vector().wait()?;
    while let Some(page) = scan.next_page().wait()? {
        all.extend(page);
    }
    let (mut index, mut exact) = (Measured::default(), Measured::default());
    for query in queries {
        let mut cosines: Vec<f64> =
            all.iter().map(|word| cosine(&query.vector, &word.vector)).collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        index.search(words.search(&query.vector), cosines[9])?;
        exact.search(words.search(&query.vector).exact(), cosines[9])?;
    }
    let ((recall, median), (exact_recall, exact_median)) = (index.figures(), exact.figures());
    out.line(format!("\n4. Recall@10 against brute force, over {} queries", queries.len()));
    out.line(format!("   by the index  {recall:.3}, median search {median:.0} us"));
    out.line(format!("   --exact       {exact_recall:.3}, median search {exact_median:.0} us"));
    Ok(exact_recall == 1.0 && recall >= MIN_RECALL)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Kills a process that writes, and counts what was acknowledged and is not there.
fn kill_a_writer(target: &Target, out: &Output) -> Result<u64, Failure> {
    let child_failed = |error: &std::io::Error| Failure::file(Path::new("demo-writer"), error);
    let program = std::env::current_exe().map_err(|error| child_failed(&error))?;
    let limit = target.memory_limit.map(|bytes| format!("--memory-limit={bytes}"));
    let mut child = Command::new(program)
        .arg("demo-writer")
        .arg(&target.uri)
        .args(limit)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| child_failed(&error))?;
    let mut acknowledged = 0u64;
    let start = Instant::now();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            // A line cut short by the kill is no acknowledgement.
            acknowledged = line.ok().and_then(|line| line.parse().ok()).unwrap_or(acknowledged);
            if start.elapsed() >= CHILD_TIME {
                break;
            }
        }
    }
    let ended = child.kill().and_then(|()| child.wait()).map_err(|error| child_failed(&error))?;
    if ended.signal() != Some(SIGKILL) {
        let message = format!("the process that wrote ended by itself: {ended}");
        return Err(Failure::new(vecgo::ErrorKind::Internal, message));
    }
    let db = target.open().wait()?;
    let survived = db.collection(CHILD_COLLECTION).wait()?;
    let mut lost = 0;
    for id in 0..acknowledged {
        lost += u64::from(!survived.exists(id).wait()?);
    }
    out.line(format!(
        "\n5. A process that wrote was killed with SIGKILL: {acknowledged} records acknowledged, \
         {} there, {lost} lost",
        survived.count()
    ));
    survived.close().wait()?;
    Ok(lost)
}

/// The child of the demo: writes batches, each synced, and prints how many records are safe.
pub(crate) fn write_until_killed(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let db = target.open().wait()?;
    let config = Config::new(CHILD_DIM, Metric::L2);
    let collection = db.open_or_create(CHILD_COLLECTION, config).wait()?;
    let mut next = 0u64;
    while !out.is_over() {
        let ids = next..next + CHILD_BATCH;
        #[expect(clippy::cast_precision_loss, reason = "any value does")]
        let record =
            |id: u64| Record::new(id, vec![id as f32; CHILD_DIM]).metadata(json!({"n": id}));
        let ack = collection.upsert(ids.map(record)).wait()?;
        if !ack.durable {
            return Err(Failure::new(vecgo::ErrorKind::Internal, "a write is not durable"));
        }
        next += CHILD_BATCH;
        out.always(next.to_string());
    }
    Ok(Answer::Yes)
}

fn sizes(words: &Collection, target: &Target, out: &Output) -> Result<(), Failure> {
    let stats = words.stats();
    let segments: u64 = stats.segments.iter().map(|segment| segment.bytes).sum();
    let db: Database = super::reading(target)?;
    let report = db.verify().wait()?;
    out.line(format!(
        "\n6. Sizes: {} in {} segment(s) for {} records; the whole database {} in {} objects, \
         every checksum {}",
        bytes(segments),
        stats.segments.len(),
        stats.records,
        bytes(report.bytes),
        report.objects,
        if report.damage.is_empty() { "right" } else { "NOT right" },
    ));
    Ok(())
}
