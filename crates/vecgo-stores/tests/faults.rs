//! What the real client and the engine make of requests that go wrong, at every request that can.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests wait by the machine's clock")]
#![allow(clippy::disallowed_macros, reason = "a test says that it skips itself")]

use std::time::Duration;

use futures_lite::future::block_on;
use vecgo::{Config, ErrorKind, Id, Metric, Record};
use vecgo_io::{BucketStore, PageCache, PutOutcome, Store, StoreErrorKind};
use vecgo_stores::{Fake, Fault, Trouble};

/// What may become of a put.
const FAULTS: [Fault; 6] = [
    Fault::Lost,
    Fault::AnswerLost,
    Fault::DoneButRefused,
    Fault::Refused,
    Fault::FalseConflict,
    Fault::Slow(Duration::from_millis(50)),
];

fn open(fake: &Fake, name: &str) -> vecgo::Database {
    let options = fake.options().into_iter();
    let open = vecgo::open(format!("s3://test/{name}"));
    options.fold(open, |open, (name, value)| open.store_option(name, value)).wait().unwrap()
}

fn config() -> Config {
    Config::new(2, Metric::L2)
}

fn record(id: u64) -> Record {
    Record::new(id, [id as f32, 1.0])
}

/// A put that did not come to a good end says that it may be there, unless it was told of another's:
/// whatever it says first, asking again with the same bytes finds out. (R19, R20, R21, R22)
#[test]
fn an_answer_that_is_lost_is_in_doubt() {
    let fake = Fake::start().unwrap();
    let store =
        BucketStore::open("s3", "test/doubt", &fake.options(), &PageCache::default()).unwrap();
    for (number, fault) in FAULTS.into_iter().enumerate() {
        let key = format!("log/{number}");
        fake.set_trouble(Trouble::Deciding(0, fault));
        let body = || format!("body {number}").into();
        let outcome = block_on(store.put_if_absent(&key, body())).unwrap();
        assert_eq!(fake.struck(), 1, "{fault:?}");
        match fault {
            Fault::Slow(_) => assert!(matches!(outcome, PutOutcome::Committed), "{outcome:?}"),
            // 409 is what the client makes of it; the bytes under the name tell.
            Fault::FalseConflict => assert!(matches!(outcome, PutOutcome::Conflict), "{outcome:?}"),
            _ => {
                let PutOutcome::Unknown(error) = outcome else { panic!("{fault:?}: {outcome:?}") };
                assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
            }
        }
        let there = block_on(store.get(&key)).is_ok();
        let done = matches!(fault, Fault::AnswerLost | Fault::DoneButRefused | Fault::Slow(_));
        assert_eq!(there, done, "{fault:?}");
    }
}

/// Whatever goes wrong with one request, what is acknowledged is there afterwards, and exactly that.
#[test]
fn every_fault_at_every_put_that_decides() {
    let fake = Fake::start().unwrap();
    let mut struck = 0;
    for (kind, fault) in FAULTS.into_iter().enumerate() {
        for at in 0..8 {
            let name = format!("sweep-{kind}-{at}");
            fake.set_trouble(Trouble::Deciding(at, fault));
            let database = open(&fake, &name);
            let docs = database.open_or_create("docs", config()).wait().unwrap();
            for id in 0..3 {
                docs.upsert([record(id)]).wait().unwrap();
                docs.commit().wait().unwrap();
            }
            docs.delete([1u64]).wait().unwrap();
            struck += fake.struck();
            fake.set_trouble(Trouble::None);
            drop((docs, database));
            let docs = open(&fake, &name).collection("docs").wait().unwrap();
            let there = [0u64, 1, 2].map(|id| docs.get(id).wait().unwrap().is_some());
            assert_eq!(there, [true, false, true], "{fault:?} at put {at}");
            assert_eq!(docs.count(), 2);
        }
    }
    assert!(struck > 30, "only {struck} requests went wrong");
}

/// Reads are repeated, and a body that was cut is read on where it ended.
#[test]
fn every_fault_at_every_read() {
    let fake = Fake::start().unwrap();
    let database = open(&fake, "reads");
    let docs = database.open_or_create("docs", config()).wait().unwrap();
    docs.upsert((0..500).map(record)).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.upsert([record(500)]).wait().unwrap();
    docs.close().wait().unwrap();
    let faults =
        [Fault::Lost, Fault::Refused, Fault::CutShort, Fault::Slow(Duration::from_millis(50))];
    let mut struck = 0;
    for fault in faults {
        for at in 0..12 {
            fake.set_trouble(Trouble::Reading(at, fault));
            let reader = fake
                .options()
                .into_iter()
                .fold(vecgo::open("s3://test/reads").read_only(true), |open, (name, value)| {
                    open.store_option(name, value)
                });
            let docs = reader.wait().unwrap().collection("docs").wait().unwrap();
            let hits = docs.search([250.2, 1.0]).k(2).wait().unwrap();
            assert_eq!(hits[0].id, Id::from(250u64), "{fault:?} at read {at}");
            assert!(docs.get(500u64).wait().unwrap().is_some());
            struck += fake.struck();
        }
    }
    assert!(struck > 20, "only {struck} requests went wrong");
}

/// An answer that is shorter than what was asked for, and says so itself, is no answer: never a wrong one.
#[test]
fn a_short_body_is_an_error() {
    let fake = Fake::start().unwrap();
    let store =
        BucketStore::open("s3", "test/short", &fake.options(), &PageCache::default()).unwrap();
    block_on(store.put_if_absent("segment/1", vec![7; 1000].into())).unwrap();
    let object = block_on(store.open("segment/1", Some(1000))).unwrap();
    fake.set_trouble(Trouble::Reading(0, Fault::Shorter));
    let mut out = [0; 100];
    let error = block_on(object.read_into(200, &mut out)).unwrap_err();
    assert_eq!(fake.struck(), 1);
    assert!(error.to_string().contains("segment/1"), "{error}");
}

/// A store that ignores the condition of a put, as some do without a word, is not written to. (R28)
#[test]
fn a_store_that_overwrites_is_refused() {
    let fake = Fake::start().unwrap();
    fake.keep_conditions(false);
    let error = open(&fake, "garage").create("docs", config()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("If-None-Match"), "{error}");
    assert_eq!(fake.keys(), Vec::<String>::new());
}

/// An upload that is given up leaves no parts, which would be paid for unseen. (R47)
#[test]
fn an_upload_given_up_leaves_nothing() {
    let fake = Fake::start().unwrap();
    let store =
        BucketStore::open("s3", "test/parts", &fake.options(), &PageCache::default()).unwrap();
    let mut writer = block_on(store.create("segment/1")).unwrap();
    block_on(writer.write(&vec![1; 20 << 20])).unwrap();
    assert_eq!(fake.unfinished(), 1);
    drop(writer);
    // It is given up behind our back.
    let start = std::time::Instant::now();
    while fake.unfinished() > 0 && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(fake.unfinished(), 0);
    assert_eq!(fake.keys(), Vec::<String>::new());
}

/// Where nobody answers, whoever asks is told so in bounded time, and by which address.
#[test]
fn nobody_there() {
    let options =
        [("endpoint", "http://127.0.0.1:9"), ("access_key_id", "k"), ("secret_access_key", "s")];
    let open =
        options.iter().fold(vecgo::open("s3://test/x").read_only(true), |open, (name, value)| {
            open.store_option(*name, *value)
        });
    let error = open.wait().unwrap().collections().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
}

fn refused(open: vecgo::Open) -> vecgo::Error {
    match open.wait() {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// What is secret is in no text that a program may print.
#[test]
fn secrets_are_not_shown() {
    let open = vecgo::open("s3://test/secret").store_option("secret_access_key", "hush-hush");
    let open =
        open.store_option("access_key_id", "id").store_option("endpoint", "http://127.0.0.1:9");
    assert!(!format!("{open:?}").contains("hush-hush"));
    let database = open.wait().unwrap();
    assert!(!format!("{database:?}").contains("hush-hush"));
    let error = database.collections().wait().unwrap_err();
    assert!(!format!("{error:?}").contains("hush-hush"));
}

/// Options that mean nothing are refused before anything is asked of a bucket.
#[test]
fn options_that_mean_nothing() {
    for (uri, option) in [("s3://b", "colour"), ("gs://b", "region"), ("az://b", "endpoint_url_s3")]
    {
        let error = refused(vecgo::open(uri).store_option(option, "x"));
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(option), "{error}");
    }
    for uri in ["memory://", "/tmp/nowhere"] {
        let error = refused(vecgo::open(uri).store_option("region", "x"));
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    for uri in ["s3://", "s3:///prefix", "az://b/../x"] {
        let error = refused(vecgo::open(uri).store_option("skip_signature", "true"));
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{uri}");
        assert!(error.to_string().contains("expected s3://bucket/prefix"), "{error}");
    }
}
