//! What is not as it was written, on the way or in the bucket, is never an answer.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss, reason = "a test")]

use std::time::Duration;

use vecgo::{Collection, Config, ErrorKind, Id, Metric, Record, Retention};
use vecgo_stores::{Fake, Fault, Trouble};

const ROWS: u64 = 4000;

fn open(fake: &Fake, read_only: bool) -> vecgo::Open {
    let open = vecgo::open("s3://test/damage").read_only(read_only);
    let retention = Retention { versions: 1, ..Retention::default() };
    let open = open.retention(retention).vacuum_grace(Duration::ZERO);
    fake.options().into_iter().fold(open, |open, (name, value)| open.store_option(name, value))
}

/// A segment with a graph, and a log.
fn write(fake: &Fake) {
    let database = open(fake, false).wait().unwrap();
    let docs = database.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
    docs.upsert((0..ROWS).map(|n| Record::new(n, [n as f32, 0.0]))).wait().unwrap();
    docs.compact().wait().unwrap();
    docs.vacuum().wait().unwrap();
    docs.upsert([Record::new(ROWS, [ROWS as f32, 0.0])]).wait().unwrap();
    docs.close().wait().unwrap();
}

fn check(docs: &Collection) {
    for n in [0, 17, 2000, 3999, ROWS] {
        let hits = docs.search([n as f32, 0.0]).k(1).wait().unwrap();
        assert_eq!((hits[0].id.clone(), hits[0].distance), (Id::from(n), 0.0));
        assert!(docs.get(n).wait().unwrap().is_some());
    }
}

/// A byte that changes on its way is noticed, and asked for again, whatever was kept of it: a cache on a
/// disk would give it back for ever. Of what is read whole an error is what comes of it.
#[test]
fn a_byte_changes_on_its_way() {
    let fake = Fake::start().unwrap();
    write(&fake);
    let (mut struck, mut healed) = (0, 0);
    for at in 0..14 {
        let cache = tempfile::tempdir().unwrap();
        fake.set_trouble(Trouble::Reading(at, Fault::Flipped));
        let docs = open(&fake, true).cache_dir(cache.path(), 16 << 20).wait().unwrap();
        match docs.collection("docs").wait() {
            Ok(docs) => {
                check(&docs);
                healed += fake.struck();
            }
            Err(error) => {
                let kinds = [ErrorKind::Corruption, ErrorKind::Unavailable, ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "at read {at}: {error:?}");
            }
        }
        struck += fake.struck();
        fake.set_trouble(Trouble::None);
    }
    assert!(struck > 4 && healed > 0, "{struck} struck, of which {healed} came right");
}

/// An object that is gone is named by `verify`, and reading says that it is missing: not that a version is
/// too old.
#[test]
fn a_segment_is_gone() {
    let fake = Fake::start().unwrap();
    write(&fake);
    let report = open(&fake, true).wait().unwrap().verify().wait().unwrap();
    assert_eq!(report.damage, []);
    let is_segment = |key: &String| key.contains("/segment/");
    let segments: Vec<String> = fake.keys().into_iter().filter(is_segment).collect();
    let [segment] = segments.as_slice() else { panic!("{segments:?}") };
    fake.remove(segment);
    let database = open(&fake, true).wait().unwrap();
    let report = database.verify().wait().unwrap();
    let [damage] = report.damage.as_slice() else { panic!("{:?}", report.damage) };
    assert!(segment.ends_with(&damage.key), "{damage:?} of {segment}");
    for read_only in [true, false] {
        let docs = open(&fake, read_only).wait().unwrap().collection("docs").wait();
        let error = docs.and_then(|docs| docs.search([1.0, 0.0]).wait()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
    }
}
