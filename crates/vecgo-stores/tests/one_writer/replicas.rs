//! What a reader promises on a bucket.

use std::thread;
use std::time::{Duration, Instant};

use vecgo::{Config, ErrorKind, Id, Metric};
use vecgo_stores::{Fake, Fault, Trouble};

use super::counting::{Place, Seen, look, write};

fn place(fake: &Fake, name: &str) -> Place {
    Place { uri: format!("s3://test/{name}"), options: fake.options() }
}

/// A reader that asks for a version waits for it, and is told when it does not come. (I9)
#[test]
fn a_reader_reaches_a_version() {
    let fake = Fake::start().unwrap();
    let place = place(&fake, "reach");
    let docs = place.write().unwrap();
    write(&docs, 1).unwrap();
    let first = docs.commit().wait().unwrap();
    let reader = place.read().unwrap();
    assert_eq!(reader.version(), first);
    write(&docs, 2).unwrap();
    let second = docs.commit().wait().unwrap();
    assert_eq!(reader.version(), first, "nobody asked it to move on");
    let hits = reader.search([2.0, 1.0]).k(1).min_version(second).wait().unwrap();
    assert_eq!(hits[0].distance, 0.0);
    assert!(reader.version() >= second);

    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        write(&docs, 3).unwrap();
        docs.commit().wait().unwrap()
    });
    let third = reader.reach(second + 1, Duration::from_secs(30)).wait().unwrap();
    assert!(third >= late.join().unwrap());
    let error = reader.reach(third + 1, Duration::from_millis(50)).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains(&format!("version {}", third + 1)), "{error}");
}

/// In the background, with little asked for, and how far behind is told.
#[test]
fn a_reader_follows_by_itself() {
    let fake = Fake::start().unwrap();
    let place = place(&fake, "interval");
    let docs = place.write().unwrap();
    write(&docs, 1).unwrap();
    docs.commit().wait().unwrap();
    let open = vecgo::open(&place.uri).read_only(true).refresh_interval(Duration::from_millis(20));
    let open =
        place.options.iter().fold(open, |open, (name, value)| open.store_option(name, value));
    let reader = open.wait().unwrap().collection("docs").wait().unwrap();
    fake.forget();
    thread::sleep(Duration::from_millis(500));
    let asked = fake.asked();
    let listings = asked.iter().filter(|asked| asked.key.ends_with("manifest/")).count();
    assert!(asked.len() >= 5 && listings == 0, "{listings} listings of {}", asked.len());
    assert!(asked.iter().all(|asked| asked.method == "GET"), "a reader writes nothing");

    for n in 2..30 {
        write(&docs, n).unwrap();
        docs.commit().wait().unwrap();
    }
    let start = Instant::now();
    while reader.version() < docs.version() && start.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(reader.version(), docs.version());
    let Seen::Writes(29) = look(&reader).unwrap() else { panic!("it does not see all writes") };
    let lag = reader.stats().lag.unwrap();
    assert_eq!(lag.versions, 0);
    assert!(docs.stats().lag.is_none(), "a writer is never behind");

    // Nothing is hidden: the longer no answer comes, the older is what is read.
    fake.set_trouble(Trouble::Any { one_in: 1, seed: 1 });
    let start = Instant::now();
    let mut failed = false;
    while !failed && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(50));
        failed = reader.stats().lag.unwrap().failure.is_some();
    }
    assert!(failed, "a look that fails is told of");
    assert!(reader.stats().lag.unwrap().age > Duration::from_millis(100));
    assert_eq!(reader.get(5u64).wait().unwrap().unwrap().id, Id::from(5u64), "it reads on");
}

/// A reader whose version was deleted goes on with a newer one, by itself. (R26)
#[test]
fn a_reader_outlives_its_version() {
    let fake = Fake::start().unwrap();
    let place = place(&fake, "vacuum");
    let docs = place.write().unwrap();
    (1..100).for_each(|n| write(&docs, n).unwrap());
    docs.flush().wait().unwrap();
    let reader = place.read().unwrap();
    let version = reader.version();
    (100..200).for_each(|n| write(&docs, n).unwrap());
    docs.compact().wait().unwrap();
    docs.vacuum().wait().unwrap();
    // What it knows is gone, and it has read none of it yet.
    let found = reader.get(17u64).wait().unwrap().unwrap();
    assert!(reader.version() > version);
    assert_eq!(found.metadata["n"], 177);
    let Seen::Writes(199) = look(&reader).unwrap() else { panic!("it does not see all writes") };
}

/// Who opens to read writes nothing, whatever it is asked for.
#[test]
fn a_reader_writes_nothing() {
    let fake = Fake::start().unwrap();
    let place = place(&fake, "quiet");
    let docs = place.write().unwrap();
    (1..50).for_each(|n| write(&docs, n).unwrap());
    docs.flush().wait().unwrap();
    docs.close().wait().unwrap();
    let database = place.open(true).unwrap();
    let reader = database.collection("docs").wait().unwrap();
    fake.forget();
    look(&reader).unwrap();
    reader.refresh().wait().unwrap();
    reader.versions().wait().unwrap();
    let refused = [
        write(&reader, 1).unwrap_err(),
        reader.commit().wait().unwrap_err(),
        reader.flush().wait().unwrap_err(),
        reader.vacuum().wait().unwrap_err(),
        reader.compact().wait().unwrap_err(),
        reader.tag("x").wait().unwrap_err(),
        database.drop_collection("docs").wait().unwrap_err(),
        database.rename("docs", "other").wait().unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    }
    drop((reader, database));
    assert!(fake.asked().iter().all(|asked| asked.method == "GET"), "{:?}", fake.asked());
}

/// A body that is cut in the middle of a look for a newer version leaves the reader where it was.
#[test]
fn a_refresh_that_fails_changes_nothing() {
    let fake = Fake::start().unwrap();
    let place = place(&fake, "cut");
    let docs = place.write().unwrap();
    write(&docs, 1).unwrap();
    docs.commit().wait().unwrap();
    let reader = place.read().unwrap();
    write(&docs, 2).unwrap();
    docs.commit().wait().unwrap();
    // The listing, the manifest and the log.
    for at in 0..3 {
        fake.set_trouble(Trouble::Reading(at, Fault::Shorter));
        let before = reader.version();
        reader.refresh().wait().unwrap_err();
        assert_eq!((reader.version(), fake.struck()), (before, 1));
        let Seen::Writes(1) = look(&reader).unwrap() else { panic!("nothing can be read") };
    }
    fake.set_trouble(Trouble::None);
    reader.refresh().wait().unwrap();
    let Seen::Writes(2) = look(&reader).unwrap() else { panic!("it does not see all writes") };
}

/// Whoever still reads a collection that was dropped is told so, not that something is damaged.
#[test]
fn a_reader_learns_that_the_collection_is_dropped() {
    let fake = Fake::start().unwrap();
    let place = place(&fake, "dropped");
    // What the newest version names besides segments: nothing, logs, logs and deletes.
    for (flushed, unflushed) in [(6, 0), (2, 3), (99, 10)] {
        let database = place.open(false).unwrap();
        let docs = database.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
        (1..=flushed).for_each(|n| write(&docs, n).unwrap());
        docs.flush().wait().unwrap();
        (1..=unflushed).for_each(|n| write(&docs, flushed + n).unwrap());
        docs.commit().wait().unwrap();
        // Neither has read anything yet, and one looks for a newer version: that of the fence.
        let readers = [place.read().unwrap(), place.read().unwrap()];
        docs.close().wait().unwrap();
        database.drop_collection("docs").wait().unwrap();
        let is_told = |error: vecgo::Error| {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("`docs` has been dropped"), "{error}");
        };
        // What they have in memory they may still give. Another one of that name is another one.
        let mut told = 0;
        for _ in 0..2 {
            let refreshed = readers[0].refresh().wait().err();
            let read = readers.iter().filter_map(|reader| reader.get(1u64).wait().err());
            for error in refreshed.into_iter().chain(read) {
                is_told(error);
                told += 1;
            }
            database.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
        }
        assert!(told >= 2, "after {flushed} and {unflushed} writes nobody is told");
        database.drop_collection("docs").wait().unwrap();
    }
}
