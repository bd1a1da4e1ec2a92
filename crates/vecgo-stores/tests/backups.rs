//! Backups of buckets in buckets, on servers that others made and on one on which requests go wrong.
//! `VECGO_BACKUPS` says how many backups are made on each (25).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, and prints"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use vecgo::{
    Collection, Config, ErrorKind, Id, Keep, Metric, Open, Record, WhichBackup, backups, restore,
};
use vecgo_stores::{Fake, Site, Trouble};

/// Ids and the first values of their vectors.
type Model = BTreeMap<u64, f32>;

struct Bucket {
    options: Vec<(String, String)>,
    scheme: &'static str,
}

impl Bucket {
    fn at(&self, prefix: &str) -> Open {
        let open = vecgo::open(format!("{}://test/{prefix}", self.scheme));
        let open = open.memtable_bytes(64 << 10).vacuum_grace(Duration::ZERO);
        let options = self.options.iter();
        options.fold(open, |open, (name, value)| open.store_option(name, value))
    }
}

fn count(usual: u64) -> u64 {
    std::env::var("VECGO_BACKUPS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

fn contents(docs: &Collection) -> vecgo::Result<Model> {
    let mut found = Model::new();
    let mut scan = docs.scan().with_vector().wait()?;
    while let Some(page) = scan.next_page().wait()? {
        for record in page {
            let Id::Number(id) = record.id else { panic!("{:?}", record.id) };
            found.insert(id, record.vector[0]);
        }
    }
    Ok(found)
}

fn may_fail(error: &vecgo::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown)
}

/// Asks until it is answered.
fn insist<T>(call: impl Fn() -> vecgo::Result<T>) -> T {
    loop {
        match call() {
            Ok(done) => return done,
            Err(error) => assert!(may_fail(&error), "{error:?}"),
        }
    }
}

fn run(bucket: &Bucket, rounds: u64, trouble: impl Fn(u64)) {
    trouble(0);
    let database = bucket.at("data").wait().unwrap();
    let docs = database.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
    let (mut model, mut made, mut failed) = (Model::new(), Vec::new(), 0);
    for round in 0..rounds {
        trouble(0);
        let rows: Vec<(u64, f32)> =
            (0..40).map(|n| ((round * 17 + n * 3) % 300, (round * 100 + n) as f32)).collect();
        model.extend(rows.iter().copied());
        docs.upsert(rows.iter().map(|(id, x)| Record::new(*id, [*x, 1.0]))).wait().unwrap();
        if round % 3 == 1 {
            model.remove(&(round % 300));
            docs.delete([round % 300]).wait().unwrap();
        }
        if round % 5 == 4 {
            docs.flush().wait().unwrap();
        }
        docs.commit().wait().unwrap();
        trouble(round + 1);
        match database.snapshot(bucket.at("backups")).wait() {
            Ok(backup) => made.push((backup.id, model.clone())),
            Err(error) => {
                assert!(may_fail(&error), "{error:?}");
                failed += 1;
                // It goes on from there.
                let snapshot = || database.snapshot(bucket.at("backups")).wait();
                made.push((insist(snapshot).id, model.clone()));
            }
        }
    }
    trouble(0);
    // One whose answer was lost may be there beside those that were answered.
    let listed = backups(bucket.at("backups")).list().wait().unwrap();
    for (id, _) in &made {
        assert!(listed.iter().any(|backup| backup.id == *id), "{id:016x} is gone");
    }
    let local = tempfile::tempdir().unwrap();
    for (number, backup) in listed.iter().enumerate() {
        let to = match number % 3 {
            0 => bucket.at(&format!("restored-{number}")),
            _ => Open::from(local.path().join(format!("{number}"))),
        };
        let which = WhichBackup::Id(backup.id);
        restore(bucket.at("backups"), to.clone()).which(which).verify(number < 3).wait().unwrap();
        let restored = to.wait().unwrap().collection("docs").wait().unwrap();
        if let Some((_, model)) = made.iter().find(|(id, _)| *id == backup.id) {
            assert_eq!(contents(&restored).unwrap(), *model, "{backup:?}");
        }
    }
    // Within the bucket nothing but logs passes through here.
    let cloned = database.clone_to(bucket.at("clone")).wait().unwrap();
    assert!(cloned.copied_bytes < cloned.bytes / 2, "{cloned:?}");
    let clone = bucket.at("clone").wait().unwrap().collection("docs").wait().unwrap();
    assert_eq!(contents(&clone).unwrap(), model);
    let pruned = backups(bucket.at("backups")).prune(Keep { last: 2, daily: 0, weekly: 0 });
    match pruned.wait() {
        Ok(pruned) => assert_eq!(pruned.kept, 2),
        // A try that failed counts for a quarter of an hour.
        Err(error) => assert!(failed > 0 && error.kind() == ErrorKind::Busy, "{error:?}"),
    }
    let (count, listed) = (made.len(), listed.len());
    println!("{count} backups, {failed} tries failed, {listed} restored");
}

#[test]
fn on_the_fake_in_trouble() {
    let fake = Fake::start().unwrap();
    let bucket = Bucket { options: fake.options(), scheme: "s3" };
    run(&bucket, count(25), |round| {
        let trouble = Trouble::Any { one_in: 25, seed: round };
        fake.set_trouble(if round > 0 { trouble } else { Trouble::None });
    });
}

fn on(site: Site) {
    let Some(server) = site.start().unwrap() else {
        println!("skipped: nothing says where {site:?} is");
        return;
    };
    let bucket = Bucket { options: server.options(), scheme: server.scheme() };
    run(&bucket, count(25), |_| {});
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

/// A server that does not know what a copy is stores nothing under its name: the clone is refused, and nothing is left.
#[test]
fn copies_that_are_none_are_refused() {
    let fake = Fake::start().unwrap();
    let bucket = Bucket { options: fake.options(), scheme: "s3" };
    let database = bucket.at("data").wait().unwrap();
    let docs = database.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
    docs.upsert((0..100u64).map(|id| Record::new(id, [1.0, id as f32]))).wait().unwrap();
    docs.flush().wait().unwrap();
    fake.make_copies(false);
    let refused = database.clone_to(bucket.at("clone")).wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corruption, "{refused:?}");
    // But for an empty catalogue.
    let left = fake.keys().into_iter().filter(|key| key.starts_with("clone/collections/"));
    let left: Vec<String> = left.collect();
    assert_eq!(left, Vec::<String>::new());
    fake.make_copies(true);
    assert_eq!(database.clone_to(bucket.at("clone")).wait().unwrap().collections[0].records, 100);
}
