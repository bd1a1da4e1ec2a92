//! Random operations on a bucket against a map in memory, while requests go wrong: whatever is acknowledged
//! is there, what is refused is not, and exact search is brute force. `VECGO_MODEL_STEPS` says how many
//! operations (600).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, and prints"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use vecgo::{Collection, Config, ErrorKind, Id, Metric, Record, Retention};
use vecgo_stores::{Fake, Site, Trouble};

const IDS: u64 = 200;

/// What is there: an id and its vector.
type Model = BTreeMap<u64, [f32; 2]>;

struct Place {
    options: Vec<(String, String)>,
    scheme: &'static str,
    cache: tempfile::TempDir,
    /// Where the writer has its logs, if they are not in the bucket.
    logs: Option<tempfile::TempDir>,
}

impl Place {
    fn open(&self, read_only: bool) -> vecgo::Result<Collection> {
        let open = vecgo::open(format!("{}://test/model", self.scheme)).read_only(read_only);
        let open = open.memtable_bytes(64 << 10).index_rows(64).vacuum_grace(Duration::ZERO);
        let open = open.retention(Retention { versions: 2, ..Retention::default() });
        let open = open.cache_dir(self.cache.path(), 16 << 20);
        let open = match &self.logs {
            Some(logs) => open.log_dir(logs.path()),
            None => open,
        };
        let options = self.options.iter();
        let open = options.fold(open, |open, (name, value)| open.store_option(name, value));
        let database = open.wait()?;
        match read_only {
            true => database.collection("docs").wait(),
            false => database.open_or_create("docs", Config::new(2, Metric::L2)).wait(),
        }
    }

    fn clear(&self) {
        let docs = self.open(false).unwrap();
        docs.delete(0..IDS).wait().unwrap();
        docs.close().wait().unwrap();
    }

    /// Another writer in place of one. Some requests go wrong for longer than is waited for; whoever asks again is
    /// answered.
    fn writer(&self, before: Option<Collection>) -> Collection {
        drop(before);
        loop {
            match self.open(false) {
                Ok(docs) => return docs,
                // The one before may be waiting for a request.
                Err(error) if self.logs.is_some() && error.kind() == ErrorKind::Busy => {}
                Err(error) => assert!(may_fail(error.kind()), "{error:?}"),
            }
        }
    }
}

fn may_fail(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::OutcomeUnknown)
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 31)) % n
    }

    fn vector(&mut self) -> [f32; 2] {
        [self.below(1000) as f32, self.below(1000) as f32]
    }
}

/// Whether what is there is what a model says.
fn is(docs: &Collection, model: &Model) -> vecgo::Result<bool> {
    let mut there = Model::new();
    let mut scan = docs.scan().with_vector().wait()?;
    while let Some(page) = scan.next_page().wait()? {
        for record in page {
            let Id::Number(id) = record.id else { panic!("{:?}", record.id) };
            there.insert(id, record.vector.try_into().unwrap());
        }
    }
    Ok(there == *model)
}

fn check_search(docs: &Collection, model: &Model, query: [f32; 2]) -> vecgo::Result<()> {
    let hits = docs.search(query).k(5).exact().wait()?;
    let distance = |v: &[f32; 2]| (v[0] - query[0]).powi(2) + (v[1] - query[1]).powi(2);
    let mut expected: Vec<(f32, u64)> = model.iter().map(|(id, v)| (distance(v), *id)).collect();
    expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let distances: Vec<f32> = hits.iter().map(|hit| hit.distance).collect();
    let brute: Vec<f32> = expected.iter().take(5).map(|(distance, _)| *distance).collect();
    assert_eq!(distances, brute, "of {query:?}");
    Ok(())
}

fn run(place: &Place, steps: u64, trouble: impl Fn(u64)) {
    let mut rng = Rng(steps);
    let mut model = Model::new();
    let mut docs = place.writer(None);
    let mut committed = (0, Model::new());
    let mut reopened = 0;
    for step in 0..steps {
        trouble(step);
        let before = model.clone();
        let done = match rng.below(20) {
            0..10 => {
                let ids: Vec<u64> = (0..1 + rng.below(30)).map(|_| rng.below(IDS)).collect();
                let rows: Vec<(u64, [f32; 2])> =
                    ids.into_iter().map(|id| (id, rng.vector())).collect();
                model.extend(rows.iter().copied());
                docs.upsert(rows.iter().map(|(id, v)| Record::new(*id, v))).wait().map(drop)
            }
            10..13 => {
                let ids: Vec<u64> = (0..1 + rng.below(10)).map(|_| rng.below(IDS)).collect();
                model.retain(|id, _| !ids.contains(id));
                docs.delete(ids).wait().map(drop)
            }
            13..15 => docs.commit().wait().map(|version| committed = (version, model.clone())),
            15 => docs.flush().wait().map(drop),
            16 => docs.compact().wait().map(drop),
            17 => docs.vacuum().wait().map(drop),
            18 => check_search(&docs, &model, rng.vector()),
            _ => {
                // As if it had been killed.
                docs = place.writer(Some(docs));
                reopened += 1;
                Ok(())
            }
        };
        if let Err(error) = done {
            assert!(may_fail(error.kind()), "step {step}: {error:?}");
            // Whether it happened the next writer finds out.
            docs = place.writer(Some(docs));
            reopened += 1;
            let happened = loop {
                match is(&docs, &model) {
                    Ok(happened) => break happened,
                    Err(error) => assert!(may_fail(error.kind()), "step {step}: {error:?}"),
                }
            };
            if !happened {
                model = before;
            }
        }
        if step % 25 == 24 {
            trouble(0);
            assert!(is(&docs, &model).unwrap(), "step {step}: {} expected", model.len());
            let reader = place.open(true).unwrap();
            if reader.version() == committed.0 {
                assert!(is(&reader, &committed.1).unwrap(), "step {step}: version {}", committed.0);
            }
            // A flush or a merge may have come after that commit; after this one they change nothing.
            committed = (docs.commit().wait().unwrap(), model.clone());
            let reader = place.open(true).unwrap();
            assert!(reader.version() >= committed.0, "step {step}");
            assert!(is(&reader, &model).unwrap(), "step {step}: version {}", committed.0);
        }
    }
    trouble(0);
    docs.close().wait().unwrap();
    let docs = place.open(false).unwrap();
    assert!(is(&docs, &model).unwrap());
    check_search(&docs, &model, [500.0, 500.0]).unwrap();
    println!("{steps} operations, reopened {reopened} times");
    assert!(model.len() > 10);
}

fn steps(usual: u64) -> u64 {
    std::env::var("VECGO_MODEL_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(usual)
}

#[test]
fn on_the_fake_in_trouble() {
    let fake = Fake::start().unwrap();
    let (options, cache) = (fake.options(), tempfile::tempdir().unwrap());
    let place = Place { options, scheme: "s3", cache, logs: None };
    in_trouble(&fake, &place);
}

#[test]
fn on_the_fake_in_trouble_with_logs_on_a_disk() {
    let fake = Fake::start().unwrap();
    let (options, cache) = (fake.options(), tempfile::tempdir().unwrap());
    let logs = tempfile::tempdir().unwrap();
    let place = Place { options, scheme: "s3", cache, logs: Some(logs) };
    in_trouble(&fake, &place);
    // All of it is in the bucket.
    let Place { options, cache, .. } = place;
    let docs = Place { options, scheme: "s3", cache, logs: None }.open(false).unwrap();
    assert!(docs.count() > 10);
}

fn in_trouble(fake: &Fake, place: &Place) {
    run(place, steps(600), |step| {
        let trouble = Trouble::Any { one_in: 40, seed: step };
        fake.set_trouble(if step % 3 == 1 { trouble } else { Trouble::None });
    });
    assert_eq!(fake.unfinished(), 0);
}

/// A write asks the bucket for nothing; a commit puts a segment and a version.
#[test]
fn a_write_with_logs_on_a_disk_takes_no_request() {
    let fake = Fake::start().unwrap();
    let (options, cache) = (fake.options(), tempfile::tempdir().unwrap());
    let logs = tempfile::tempdir().unwrap();
    let place = Place { options, scheme: "s3", cache, logs: Some(logs) };
    let docs = place.writer(None);
    fake.forget();
    for id in 0..50u64 {
        let ack = docs.upsert([Record::new(id, [1.0, id as f32])]).wait().unwrap();
        assert!(ack.durable);
    }
    assert_eq!(fake.asked().len(), 0, "{:?}", fake.asked());
    docs.commit().wait().unwrap();
    let puts = fake.asked().iter().filter(|asked| asked.method == "PUT").count();
    assert_eq!(puts, 2, "{:?}", fake.asked());
    assert_eq!(place.open(true).unwrap().count(), 50);
}

fn on(site: Site) {
    let Some(server) = site.start().unwrap() else {
        println!("skipped: nothing says where {site:?} is");
        return;
    };
    let (options, cache) = (server.options(), tempfile::tempdir().unwrap());
    let mut place = Place { options, scheme: server.scheme(), cache, logs: None };
    run(&place, steps(600) / 4, |_| {});
    // Another collection would do; this one has been written by a writer with logs in the bucket.
    place.logs = Some(tempfile::tempdir().unwrap());
    place.clear();
    run(&place, steps(600) / 4, |_| {});
}

#[test]
fn on_seaweedfs() {
    on(Site::SeaweedFs);
}

#[test]
fn on_moto() {
    on(Site::Moto);
}

#[test]
fn on_azurite() {
    on(Site::Azurite);
}
