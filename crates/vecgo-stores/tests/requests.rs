//! What is asked of a bucket: how often, how much of it at the same time, and never twice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the clock and prints"
)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use vecgo::{Config, Id, Metric, Record, filter, json};
use vecgo_io::{BucketStore, Object, PageCache, Store};
use vecgo_stores::{Fake, Fault, Trouble};

const PAGE: usize = 64 << 10;

fn body(length: usize) -> Vec<u8> {
    (0u32..).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes()).take(length).collect()
}

fn store(fake: &Fake, cache: &PageCache) -> BucketStore {
    BucketStore::open("s3", "test/pages", &fake.options(), cache).unwrap()
}

fn object(fake: &Fake, cache: &PageCache, length: usize) -> Arc<dyn Object> {
    object_of(&store(fake, cache), fake, length)
}

fn object_of(store: &BucketStore, fake: &Fake, length: usize) -> Arc<dyn Object> {
    if block_on(store.get("segment/1")).is_err() {
        block_on(store.put_if_absent("segment/1", body(length).into())).unwrap();
    }
    let object = block_on(store.open("segment/1", Some(length as u64))).unwrap();
    fake.forget();
    object.into()
}

fn read(object: &dyn Object, offset: usize, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    block_on(object.read_into(offset as u64, &mut out)).unwrap();
    out
}

fn memory() -> PageCache {
    PageCache { memory: 16 << 20, directory: None }
}

/// However many ask at the same time.
#[test]
fn one_request_for_a_page() {
    let fake = Fake::start().unwrap();
    let length = 40 * PAGE + 123;
    let object = object(&fake, &memory(), length);
    fake.set_delay(Duration::from_millis(200));
    let readers: Vec<_> = (0..16)
        .map(|reader| {
            let object = Arc::clone(&object);
            thread::spawn(move || {
                let offset = 3 * PAGE + reader * 100;
                assert_eq!(read(&*object, offset, 5000), body(offset + 5000)[offset..]);
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    assert_eq!(fake.asked().len(), 1, "{:?}", fake.asked());
    // What is missing comes in one go, a page between two that are missing with them.
    let offset = 2 * PAGE + 7;
    assert_eq!(read(&*object, offset, 5 * PAGE), body(offset + 5 * PAGE)[offset..]);
    let asked: Vec<_> =
        fake.asked().into_iter().skip(1).map(|asked| asked.range.unwrap()).collect();
    let range = |first: usize, end: usize| format!("bytes={}-{}", first * PAGE, end * PAGE - 1);
    assert_eq!(asked, [range(2, 8)]);
    assert_eq!(read(&*object, offset, 5 * PAGE), body(offset + 5 * PAGE)[offset..]);
    assert_eq!(fake.asked().len(), 2, "what was kept is asked for again");
    assert_eq!(read(&*object, length - 10, 10), body(length)[length - 10..]);
}

/// What was said to be read soon comes in as few requests as it takes, all at the same time.
#[test]
fn pages_that_will_be_read() {
    let fake = Fake::start().unwrap();
    let object = object(&fake, &memory(), 100 * PAGE);
    fake.count_rounds(Duration::from_millis(60));
    let at = |page: usize| (page * PAGE + 10) as u64..(page * PAGE + 20) as u64;
    object.will_read(&[at(50), at(3), at(4), at(6), at(20), at(99), at(3)]);
    for page in [3, 4, 6, 20, 50, 99] {
        let offset = page * PAGE + 10;
        assert_eq!(read(&*object, offset, 10), body(offset + 10)[offset..]);
    }
    let asked = fake.asked();
    assert_eq!((asked.len(), fake.rounds()), (4, 1), "{asked:?}");
}

/// A long read is made of several requests at the same time, and is right.
#[test]
fn a_long_read() {
    let fake = Fake::start().unwrap();
    let length = 20 << 20;
    let object = object(&fake, &memory(), length);
    fake.count_rounds(Duration::from_millis(60));
    assert!(read(&*object, 1, length - 2) == body(length)[1..length - 1]);
    assert_eq!((fake.asked().len(), fake.rounds()), (3, 1));
    let mut past = vec![0; length];
    block_on(object.read_past(0, &mut past)).unwrap();
    assert!(past == body(length));
    assert_eq!(fake.rounds(), 2, "what is read past what is kept is asked for");
}

fn on_disk(root: &Path) -> PageCache {
    PageCache { memory: 0, directory: Some((root.to_owned(), 64 << 20)) }
}

/// Bytes that files below a directory take, as the file system counts them.
fn taken(root: &Path) -> u64 {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => taken(&entry.path()),
        // One that is gone takes nothing.
        _ => entry.metadata().map_or(0, |file| file.blocks() * 512),
    });
    sizes.sum()
}

/// However many read at the same time, of four times as much as may be kept.
#[test]
fn the_bound_of_the_disk_holds_under_load() {
    const BOUND: u64 = 16 << 20;
    const READERS: u64 = 8;
    let fake = Fake::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let cache = PageCache { memory: 1 << 20, directory: Some((root.path().to_owned(), BOUND)) };
    let length = 4 * usize::try_from(BOUND).unwrap();
    let object = object(&fake, &cache, length);
    let expected = body(length);
    let most = thread::scope(|scope| {
        let read_on = |reader: u64| {
            let (object, expected) = (&object, &expected);
            scope.spawn(move || {
                let mut at = reader;
                for _ in 0..300 {
                    at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
                    let offset = usize::try_from(at >> 20).unwrap() % (length - 3 * PAGE);
                    let bytes = read(&**object, offset, 2 * PAGE);
                    assert!(bytes == expected[offset..offset + 2 * PAGE]);
                }
            })
        };
        let readers: Vec<_> = (0..READERS).map(read_on).collect();
        let mut most = 0;
        while !readers.iter().all(|reader| reader.is_finished()) {
            most = most.max(taken(root.path()));
        }
        most
    });
    assert!((BOUND / 2..=BOUND).contains(&most), "{most} bytes of {BOUND}");
}

/// The next process finds what one leaves, and damage to it is no wrong answer.
#[test]
fn pages_outlive_a_process() {
    let fake = Fake::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let length = 30 * PAGE;
    let first = object(&fake, &on_disk(root.path()), length);
    assert!(read(&*first, 0, length) == body(length));
    // It is written behind whoever asked.
    let pages = || {
        let folders = std::fs::read_dir(root.path().join("part-0")).unwrap().flatten();
        let files = folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten();
        files.flatten().map(|file| file.path()).collect::<Vec<_>>()
    };
    while pages().len() < 30 {
        thread::sleep(Duration::from_millis(10));
    }
    // And is done with it.
    thread::sleep(Duration::from_millis(300));
    drop(first);
    let second = object(&fake, &on_disk(root.path()), length);
    assert!(read(&*second, 0, length) == body(length));
    assert_eq!(fake.asked(), [], "all of it is on the disk");
    drop(second);
    for path in pages().iter().take(10) {
        std::fs::write(path, body(PAGE - 1)).unwrap();
    }
    let third = object(&fake, &on_disk(root.path()), length);
    assert!(read(&*third, 0, length) == body(length));
    assert!(!fake.asked().is_empty());
}

/// A read that takes longer than most is asked for a second time, and the first answer counts. Both
/// are counted as requests.
#[test]
fn a_slow_read_is_asked_for_again() {
    let fake = Fake::start().unwrap();
    let store = store(&fake, &memory());
    let object = object_of(&store, &fake, 200 * PAGE);
    for page in 0..20 {
        read(&*object, page * 3 * PAGE, 10);
    }
    fake.forget();
    fake.set_trouble(Trouble::Reading(0, Fault::Slow(Duration::from_secs(8))));
    let before = store.requests().unwrap().counts();
    let start = std::time::Instant::now();
    assert_eq!(read(&*object, 100 * PAGE, 10), body(100 * PAGE + 10)[100 * PAGE..]);
    assert!(start.elapsed() < Duration::from_secs(7), "it waited for the slow one");
    assert_eq!((fake.struck(), fake.asked().len()), (1, 2));
    assert_eq!(store.requests().unwrap().counts().since(before).gets, 2);
}

/// A request that has to wait for another begins a round trip; others that are asked for within this
/// time are of the same.
const QUIET: Duration = Duration::from_millis(150);
const DIM: usize = 16;

fn open(fake: &Fake, read_only: bool) -> vecgo::Open {
    let open = vecgo::open("s3://test/trips").read_only(read_only).auto_compact(false);
    fake.options().into_iter().fold(open, |open, (name, value)| open.store_option(name, value))
}

fn record(n: u64) -> Record {
    let mixed = |at: u64| (at ^ (at >> 13)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let vector: Vec<f32> =
        (0..DIM as u64).map(|d| mixed(n * 31 + d + 1) as f32 / (1 << 24) as f32).collect();
    Record::new(n, vector).metadata(json!({"n": n, "even": n.is_multiple_of(2)}))
}

/// What each step of a reader that knows nothing yet waits for: two round trips for the database, three for a
/// collection, three for a search and none once it is warm.
#[test]
fn round_trips_of_a_reader() {
    let fake = Fake::start().unwrap();
    let database = open(&fake, false).wait().unwrap();
    let docs = database.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    for segment in 0..4 {
        docs.upsert((0..3000).map(|n| record(segment * 3000 + n))).wait().unwrap();
        docs.flush().wait().unwrap();
        if segment == 0 {
            // With a graph, and rows that died since.
            docs.compact().wait().unwrap();
            docs.delete((0..100u64).map(|n| n * 7)).wait().unwrap();
        }
    }
    // And a log of eight objects.
    for n in 0..8 {
        docs.upsert([record(12_000 + n)]).wait().unwrap();
    }
    docs.close().wait().unwrap();
    drop((docs, database));

    let step = |what: &str, most: u64, step: &mut dyn FnMut()| {
        fake.forget();
        fake.count_rounds(QUIET);
        step();
        let (rounds, asked) = (fake.rounds(), fake.asked());
        println!("{what}: {rounds} round trips, {} requests", asked.len());
        assert!(rounds <= most, "{what} took {rounds} round trips, at most {most}: {asked:#?}");
        rounds
    };
    let database = open(&fake, true).wait().unwrap();
    step("the database", 2, &mut || drop(database.collections().wait().unwrap()));
    let mut docs = None;
    // The first is for the catalogue, which may have changed since.
    step("the collection", 4, &mut || docs = Some(database.collection("docs").wait().unwrap()));
    let docs = docs.unwrap();
    let query = record(4000).vector;
    let search = || docs.search(&query).k(10);
    let mut hits = Vec::new();
    step("a search", 3, &mut || hits = search().wait().unwrap());
    assert_eq!((hits[0].id.clone(), hits[0].distance), (Id::from(4000u64), 0.0));
    // Whoever has nothing yet, with a filter and with what the records hold.
    let other = open(&fake, true).wait().unwrap().collection("docs").wait().unwrap();
    let filtered = other.search(&query).k(10).filter(filter::eq("even", true)).with_metadata();
    let mut hits = Vec::new();
    step("a search with a filter", 4, &mut || hits = filtered.clone().wait().unwrap());
    assert_eq!(hits[0].metadata.as_ref().unwrap()["n"], 4000);
    assert!(hits.iter().all(|hit| hit.metadata.as_ref().unwrap()["even"] == true));

    docs.warm().wait().unwrap();
    step("a search when it is warm", 0, &mut || drop(search().wait().unwrap()));
    step("a look for a newer version", 1, &mut || assert!(docs.refresh().wait().is_ok()));

    let stats = docs.stats();
    let requests = stats.requests.unwrap();
    assert!(requests.gets > 10 && requests.puts == 0 && requests.received > 100_000);
    assert!(requests.dollars() > 0.0 && requests.round_trips > 5);
    let explained = search().explain().wait().unwrap();
    assert_eq!(explained.requests.unwrap(), Default::default(), "nothing more is asked for");
}
