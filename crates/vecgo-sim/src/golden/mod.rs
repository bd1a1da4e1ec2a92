//! A small database with every kind of file and value, the same bytes each time: what a later
//! build must read, and what tells that this one writes something else.

mod author;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vecgo_engine::{
    Config, Database, FieldSchema, FieldType, Index, Metric, Options, Quantization, Record, Result,
    Schema, Update, WalSync,
};
use vecgo_io::Access;

use crate::Violation;
use crate::disk::Image;
use crate::machine::{Machine, SimRand};
use crate::random::Random;
use author::{Author, contents};

/// Name of the file that says what the others hold.
const CONTENTS: &str = "contents.json";

/// Longer than anybody reads golden files.
const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Every file by path, as it is on disk, and `contents.json`: a line for each version of each
/// collection with its records, as the author of the database knows them. A line without a
/// version is what a writer finds. Locks are left out: they name processes.
///
/// # Errors
/// A write that the engine refused.
pub fn golden() -> std::result::Result<BTreeMap<String, Vec<u8>>, Violation> {
    let mut author = Author::default();
    let image = life(&mut author, Image::default(), 1, WalSync::EveryWrite, first)?;
    let before = image.files();
    let image = life(&mut author, image, 2, WalSync::OnCommit, second)?;
    let image = cut_short(image, &before)?;
    let image = life(&mut author, image, 3, WalSync::EveryWrite, third)?;
    let mut files = image.files();
    files.retain(|path, _| !path.rsplit('/').next().is_some_and(|name| name.starts_with('.')));
    files.insert(CONTENTS.to_owned(), contents(&author).into_bytes());
    Ok(files)
}

/// One life of the engine on a disk; it ends with a kill. Gives the disk.
fn life(
    author: &mut Author,
    image: Image,
    number: u64,
    wal_sync: WalSync,
    write: impl AsyncFnOnce(&mut Author, &Database) -> Result<()>,
) -> std::result::Result<Image, Violation> {
    let mut machine = Machine::boot(image, Random::new(number), Arc::default());
    let mut process = machine.start(Access::Write, false);
    // So that no bytes depend on how often the engine asks the store for a name or the time.
    process.env.rand = Arc::new(SimRand::new(Random::new(1000 + number)));
    process.env.clock = author.clock();
    let simd = Some("none".to_owned());
    let database = process.database(Options {
        wal_sync,
        simd,
        // Each file is there for what it holds, and stays.
        auto_compact: false,
        auto_vacuum: false,
        index_rows: 20,
        ..Options::default()
    })?;
    let written = process.run(write(author, &database))?;
    written.map_err(|error| Violation::new("I20", format!("{:?}: {error}", error.kind())))?;
    let image = machine.disk.image();
    // What drops in here must not tidy up: a process that is killed does not.
    machine.disk.turn(false);
    drop((database, process));
    Ok(image)
}

/// The last batch of the second life as a crash leaves it that kept half of it.
fn cut_short(
    mut image: Image,
    before: &BTreeMap<String, Vec<u8>>,
) -> std::result::Result<Image, Violation> {
    let is_new = |path: &String| path.contains("/log/") && !before.contains_key(path);
    let Some((log, mut bytes)) = image.files().into_iter().find(|(path, _)| is_new(path)) else {
        return Err(Violation::new("I20", "the second life has no log"));
    };
    bytes.truncate(bytes.len().saturating_sub(20));
    let written = image.write_file(&log, bytes);
    written.map_err(|error| Violation::new("I20", format!("{log}: {error}")))?;
    Ok(image)
}

/// Segments with and without each optional section, dead rows, a renamed collection, a dropped one.
async fn first(author: &mut Author, database: &Database) -> Result<()> {
    let words = author.create(database, "words", Config::new(3, Metric::Cosine), free()).await?;
    author.upsert(&words, of_every_type()).await?;
    author.commit(&words).await?;
    author.tag(&words, "first-words").await?;
    words.pin(1, A_CENTURY, "a reader of golden files").await?;
    let replaced = Record::new("zwei", [0.0, 2.0, -2.0]).metadata(json!({"replaced": true}));
    author.upsert(&words, vec![replaced, Record::new(u64::MAX, [1.0, 1.0, 0.25])]).await?;
    author.flush(&words).await?;
    author.delete(&words, vec![1u64.into(), "grüße".into()]).await?;
    let plain = (10..14u64).map(|id| Record::new(id, [id_component(id), 1.0, 0.5]));
    author.upsert(&words, plain.collect()).await?;
    author.flush(&words).await?;
    author.delete(&words, vec![11u64.into()]).await?;
    let update = Update::new("zwei").merge_metadata(json!({"merged": 2})).payload(*b"now");
    author
        .update(&words, update, "zwei", |record| {
            record.metadata = json!({"replaced": true, "merged": 2});
            record.payload = Some(b"now".to_vec());
        })
        .await?;
    author.commit(&words).await?;

    let dots = author.create(database, "dots", flat(2, Metric::L2), free()).await?;
    let grid = (0..6u64).map(|id| Record::new(id, [id_component(id), -0.5]));
    author.upsert(&dots, grid.collect()).await?;
    author.flush(&dots).await?;
    author.delete(&dots, vec![5u64.into()]).await?;
    author.close(dots).await?;
    author.rename(database, "dots", "points").await?;

    let times = author.create(database, "times", flat(1, Metric::L2), declared()).await?;
    let at = ["2024-05-01T12:00:00Z", "1969-12-31T23:59:59.250-07:30", "9999-12-31t00:00:00z"];
    let moment = |(id, at)| {
        let metadata = json!({"at": at, "marks": [at, at], "body": format!("text {id}"), "n": id});
        Record::new(id, [id_component(id)]).metadata(metadata)
    };
    author.upsert(&times, (0u64..).zip(at).map(moment).collect()).await?;
    author.flush(&times).await?;
    author.upsert(&times, (3u64..).zip(at).map(moment).collect()).await?;
    author.close(times).await?;

    let gone = author.create(database, "gone", Config::new(4, Metric::Dot), free()).await?;
    author.upsert(&gone, vec![Record::new("never seen", [0.0; 4])]).await?;
    author.close(gone).await?;
    author.drop_collection(database, "gone").await?;
    author.close(words).await
}

fn free() -> Schema {
    Schema::default()
}

fn declared() -> Schema {
    let time = FieldSchema::new(FieldType::Timestamp);
    let fields = [
        ("at", time),
        ("marks", FieldSchema::list_of(FieldType::Timestamp)),
        ("body", FieldSchema::new(FieldType::String).unindexed()),
        ("n", FieldSchema::new(FieldType::I64)),
    ];
    Schema::new(true, fields).unwrap_or_default()
}

fn flat(dim: usize, metric: Metric) -> Config {
    Config::new(dim, metric).with_index(Index::Flat)
}

/// A log that ends in batches that nobody vouches for.
async fn second(author: &mut Author, database: &Database) -> Result<()> {
    let words = author.open(database, "words").await?;
    author.upsert(&words, vec![Record::new(20u64, [0.5, 0.0, 0.0]).payload(*b"")]).await?;
    author.commit(&words).await?;
    let first = Record::new(21u64, [0.0, 0.5, 0.0]).metadata(json!({"written": "again"}));
    author.upsert(&words, vec![first]).await?;
    author.delete(&words, vec![10u64.into()]).await?;
    // Acknowledged, and cut short by the crash that follows.
    words.upsert(vec![Record::new(22u64, [0.0, 0.0, 0.5])]).await?;
    Ok(())
}

/// Recovery writes the end of that log again. Then writes that no version holds, and a collection
/// that has none.
async fn third(author: &mut Author, database: &Database) -> Result<()> {
    let words = author.open(database, "words").await?;
    author.upsert(&words, vec![Record::new("nach dem Absturz", [4.0, 0.0, 3.0])]).await?;
    author.commit(&words).await?;
    author.delete(&words, vec![12u64.into()]).await?;
    author.upsert(&words, vec![Record::new(30u64, [0.0, -1.0, 0.0]).payload([0, 255])]).await?;
    let points = author.open(database, "points").await?;
    author.upsert(&points, vec![Record::new("text", [8.0, 8.0])]).await?;
    let index = Index::Graph { m: 16, ef_construction: 100 };
    let config = Config::new(1, Metric::Dot).with_index(index).with_quantization(Quantization::Sq8);
    let scores = author.create(database, "scores", config, free()).await?;
    let log_only = Record::new(0u64, [-3.0]).metadata(json!({"log": "only"}));
    author.upsert(&scores, vec![log_only]).await?;
    let ivf = Index::Ivf { n_clusters: NonZeroU32::new(2) };
    let rabitq = |bits| Quantization::RaBitQ { bits };
    for (name, index, codes) in [
        ("walked", Index::graph(), rabitq(8)),
        ("clusters", ivf, rabitq(8)),
        ("on-disk", Index::disk(), rabitq(4)),
        ("planes", ivf, rabitq(7)),
        ("parts", ivf, Quantization::Pq { parts: 2 }),
    ] {
        let config = Config::new(2, Metric::Cosine).with_index(index).with_quantization(codes);
        let indexed = author.create(database, name, config, free()).await?;
        let arc = (0..20u64).map(|id| Record::new(id, [id_component(id) - 2.5, 3.0]));
        author.upsert(&indexed, arc.collect()).await?;
        author.compact(&indexed).await?;
        if index == Index::graph() {
            author.configure(&indexed, config.with_quantization(Quantization::Sq8)).await?;
        }
    }
    Ok(())
}

/// Documents of every type of value, both kinds of id, payloads there, empty and absent.
fn of_every_type() -> Vec<Record> {
    vec![
        Record::new(1u64, [1.0, 0.0, 0.0]).metadata(json!({
            "null": null, "no": false, "yes": true,
            "least": i64::MIN, "most": i64::MAX, "one": 1, "float": 1.0, "small": -5e-324,
        })),
        Record::new("1", [0.0, 1.0, 0.0]).payload(*b"bytes \0\xff"),
        Record::new("grüße", [0.0, 0.0, 1.0]).metadata(json!({"text": "日本語", "": ""})),
        Record::new("zwei", [0.6, 0.8, 0.0]).metadata(json!({"of": "the log only"})).payload([]),
        Record::new("nested", [2.0, 3.0, 6.0]).metadata(json!({
            "list": [1, 2.5, "x", [], {}, [[null]]], "object": {"a": {"b": [true]}, "z": {}},
        })),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "ids stay below 2^24")]
fn id_component(id: u64) -> f32 {
    id as f32 / 4.0
}
