//! The checks find what they are there to find: disks are changed behind the driver's back, and
//! the violation that comes of it must be reported. A sweep that could find nothing would pass.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use vecgo_engine::{Collection, Options, Record, Retention};
use vecgo_io::Access;
use vecgo_sim::{
    Checker, Driver, End, Expected, Image, Machine, Operation, Phase, Random, Settings, Span,
};

use Operation::{Commit, Create, Delete, Flush, Rename, Upsert};

const fn span(first: usize, count: usize) -> Span {
    Span { first, count }
}

/// Every version is to be there.
fn settings() -> Settings {
    Settings { kept_versions: 100, ..Settings::default() }
}

/// A machine after one life of each of some clients.
fn lived(lives: &[&[&[Operation]]], end: End) -> Driver {
    let mut driver = Driver::new(settings(), Random::new(1), Arc::default());
    for lanes in lives {
        let lanes = lanes.iter().map(|operations| operations.to_vec()).collect();
        driver.phase(&Phase { lanes, end }, Vec::new()).unwrap();
    }
    driver
}

fn image(driver: &Driver) -> Image {
    driver.disk().image()
}

/// How often each promise is found broken. Not every check looks at everything, so there are many.
fn found(image: &Image, expected: &Expected) -> BTreeMap<&'static str, usize> {
    let mut found = BTreeMap::new();
    for seed in 0..24 {
        let mut checker = Checker::new(settings(), Random::new(seed));
        let verdict = match checker.after_crash(image, expected, 0) {
            Ok(()) => "good",
            Err(violation) => violation.invariant,
        };
        *found.entry(verdict).or_default() += 1;
    }
    found
}

/// Nothing is found by anybody.
fn assert_good(driver: &Driver) {
    assert_eq!(found(&image(driver), driver.at_least()), BTreeMap::from([("good", 24)]));
}

/// Every look at the names and records finds one of these.
fn assert_found(image: &Image, expected: &Expected, invariants: &[&str]) {
    let found = found(image, expected);
    assert!(found.keys().all(|name| invariants.contains(name)), "{found:?}, not {invariants:?}");
}

/// A look at everything finds this, and one at names and records nothing else.
fn assert_found_by_thorough(image: &Image, expected: &Expected, invariant: &str) {
    let found = found(image, expected);
    assert!(found.contains_key(invariant), "{found:?}, not {invariant}");
    assert!(found.keys().all(|name| [invariant, "good"].contains(name)), "{found:?}");
}

/// Opens `docs` of an image without anybody's knowledge and gives the image that comes of it.
fn behind_the_back(image: Image, change: impl AsyncFnOnce(&Collection)) -> Image {
    let mut machine = Machine::boot(image, Random::new(7), Arc::default());
    let process = machine.start(Access::Write, false);
    let database = process.database(Options::default()).unwrap();
    let changed = process.run(async {
        let docs = database.collection("docs").await.unwrap();
        change(&docs).await;
        docs.close().await.unwrap();
    });
    changed.unwrap();
    machine.disk.image()
}

#[test]
fn i1_an_acknowledged_write_is_lost() {
    let older = lived(&[&[&[Upsert(span(0, 4))]]], End::Kill);
    let newer = lived(&[&[&[Upsert(span(0, 4)), Upsert(span(2, 4))]]], End::Kill);
    let deleted = lived(&[&[&[Upsert(span(0, 4)), Delete(span(1, 1))]]], End::Kill);
    [&older, &newer, &deleted].into_iter().for_each(assert_good);
    assert_found(&image(&older), newer.at_least(), &["I1"]);
    assert_found(&image(&older), deleted.at_least(), &["I1"]);
    assert_found(&image(&newer), deleted.at_least(), &["I1"]);

    let gone = behind_the_back(image(&newer), async |docs| {
        docs.delete(vec![2_u64.into()]).await.unwrap();
    });
    assert_found(&gone, newer.at_least(), &["I1"]);
}

#[test]
fn i1_a_name_is_lost_or_another() {
    let none = lived(&[&[&[Upsert(span(0, 1))]]], End::Kill);
    let other = lived(&[&[&[Upsert(span(0, 1)), Create]]], End::Kill);
    let renamed = lived(&[&[&[Upsert(span(0, 1)), Create, Rename]]], End::Kill);
    [&none, &other, &renamed].into_iter().for_each(assert_good);
    assert_found(&image(&none), other.at_least(), &["I1"]);
    assert_found(&image(&other), none.at_least(), &["I1"]);
    assert_found(&image(&other), renamed.at_least(), &["I1"]);
}

#[test]
fn i1_a_log_is_gone() {
    let driver = lived(&[&[&[Upsert(span(0, 4)), Commit, Upsert(span(4, 4))]]], End::Kill);
    let mut image = image(&driver);
    let logs: Vec<String> = image.files().into_keys().filter(|p| p.contains("/log/")).collect();
    assert!(!logs.is_empty());
    logs.iter().for_each(|log| image.remove_file(log).unwrap());
    // A reader beside no writer looks first where everything is looked at.
    assert_found(&image, driver.at_least(), &["I1", "I8"]);
}

#[test]
fn i2_half_a_batch() {
    let half = lived(&[&[&[Upsert(span(0, 2))]]], End::Kill);
    let whole = lived(&[&[&[Upsert(span(0, 4))]]], End::Kill);
    // Of the two only the ids that the batch has differ: it is in none of its states.
    assert_found(&image(&half), whole.at_least(), &["I1", "I2"]);
}

#[test]
fn i2_a_record_that_nobody_wrote() {
    let driver = lived(&[&[&[Upsert(span(0, 2))]]], End::Kill);
    // Of a client that there was none of.
    let more = behind_the_back(image(&driver), async |docs| {
        docs.upsert(vec![Record::new(1000_u64, vec![1.0, 1001.0, 1.0])]).await.unwrap();
    });
    assert_found(&more, driver.at_least(), &["I2"]);

    // Parts of two records: the metadata says 7, the vector 8.
    let mixed = behind_the_back(image(&driver), async |docs| {
        let mut record = Record::new(0_u64, vec![8.0, 1.0, 2.0]);
        record.metadata = serde_json::json!({ "mark": 7, "text": "xxxxxxx" });
        docs.upsert(vec![record]).await.unwrap();
    });
    assert_found(&mixed, driver.at_least(), &["I2"]);
}

#[test]
fn i4_a_version_is_not_what_it_was() {
    let life = |first: usize| {
        let operations = [Upsert(span(first, 2)), Flush, Upsert(span(0, 4)), Flush];
        lived(&[&[&operations]], End::Close)
    };
    let (one, other) = (life(0), life(2));
    assert_good(&one);
    // Both hold the same now, and the same versions; the first of these was something else.
    assert_found_by_thorough(&image(&other), one.at_least(), "I4");
}

#[test]
fn i11_a_version_was_deleted_that_is_to_be_kept() {
    let operations = [Upsert(span(0, 2)), Flush, Upsert(span(1, 4)), Flush, Delete(span(2, 1))];
    let driver = lived(&[&[&operations]], End::Close);
    assert_good(&driver);
    let mut machine = Machine::boot(image(&driver), Random::new(7), Arc::default());
    let process = machine.start(Access::Write, false);
    let retention = Retention { versions: 1, ..Retention::default() };
    let database = process.database(Options { retention, ..Options::default() }).unwrap();
    let vacuumed = process.run(async {
        let docs = database.collection("docs").await?;
        let vacuumed = docs.vacuum().await?;
        docs.close().await.map(|()| vacuumed)
    });
    assert!(vacuumed.unwrap().unwrap().versions > 0);
    // Readers look first; what writers find next is the same.
    let found = found(&machine.disk.image(), driver.at_least());
    assert!(found.contains_key("I8"), "{found:?}");
    assert!(found.keys().all(|name| ["I8", "I1", "good"].contains(name)), "{found:?}");
}

#[test]
fn i6_a_version_is_gone() {
    let first: &[&[Operation]] = &[&[Upsert(span(0, 2)), Flush]];
    let second: &[&[Operation]] = &[&[Upsert(span(5, 1)), Delete(span(5, 1)), Flush]];
    let older = lived(&[first], End::Close);
    let newer = lived(&[first, second], End::Close);
    [&older, &newer].into_iter().for_each(assert_good);
    // Nothing is missing of what is there now.
    assert_found(&image(&older), newer.at_least(), &["I6"]);
}

#[test]
fn i8_a_reader_cannot_open_what_was_committed() {
    let driver = lived(&[&[&[Upsert(span(0, 4)), Flush]]], End::Close);
    let mut image = image(&driver);
    let segment = image.files().into_keys().find(|path| path.contains("/segment/")).unwrap();
    image.remove_file(&segment).unwrap();
    let found = found(&image, driver.at_least());
    // A writer fails on the same; readers come first where everything is looked at.
    assert!(found.contains_key("I8") && found.contains_key("I1"), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn i14_a_flipped_bit() {
    let driver = lived(&[&[&[Upsert(span(0, 4)), Flush]]], End::Close);
    let files = image(&driver).files();
    let (segment, bytes) = files.iter().find(|(path, _)| path.contains("/segment/")).unwrap();
    // The zeros between sections are under no checksum, as the format says.
    let places = (0..bytes.len()).filter(|place| bytes[*place] != 0);
    for place in places.step_by(7) {
        let (mut image, mut bytes) = (image(&driver), bytes.clone());
        bytes[place] ^= 1;
        image.write_file(segment, bytes).unwrap();
        let found = found(&image, driver.at_least());
        assert!(found.keys().any(|name| *name != "good"), "byte {place} of a segment");
    }
}

#[test]
fn i20_an_error_that_nothing_excuses() {
    let mut driver = lived(&[&[&[Upsert(span(0, 4))]]], End::Close);
    driver.disk().turn(false);
    let life = Phase::of(&[Upsert(span(0, 1))], End::Close);
    assert_eq!(driver.phase(&life, Vec::new()).unwrap_err().invariant, "I20");
}
