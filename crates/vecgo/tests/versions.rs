//! Versions: which are kept and for how long, by number, name and time; and that nothing else is on
//! disk once a vacuum is done.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the test looks at the files, and waits")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use vecgo::{Collection, Config, ErrorKind, Index, Metric, Open, Record, Retention};

const DIM: usize = 4;

fn open(directory: &Path, versions: u64) -> Open {
    let retention = Retention { versions, ..Retention::default() };
    vecgo::open(directory).retention(retention)
}

fn docs(open: Open) -> Collection {
    let config = Config::new(DIM, Metric::L2).with_index(Index::Flat);
    open.wait().unwrap().open_or_create("docs", config).wait().unwrap()
}

/// A version in which `n` records are there.
fn grow(docs: &Collection, n: u64) -> u64 {
    docs.upsert([Record::new(n, [n as f32; DIM])]).wait().unwrap();
    docs.flush().wait().unwrap()
}

/// Where the files of the collection are.
fn folder(directory: &Path) -> PathBuf {
    fs::read_dir(directory.join("collections")).unwrap().next().unwrap().unwrap().path()
}

/// Them by kind, those of other names too.
fn files(directory: &Path) -> BTreeMap<String, Vec<String>> {
    let mut kinds = BTreeMap::new();
    for kind in fs::read_dir(folder(directory)).unwrap() {
        let kind = kind.unwrap();
        if kind.file_type().unwrap().is_dir() {
            let names = fs::read_dir(kind.path()).unwrap();
            let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
            kinds.insert(kind.file_name().into_string().unwrap(), names.collect());
        }
    }
    kinds
}

fn count(files: &BTreeMap<String, Vec<String>>, kind: &str) -> usize {
    files.get(kind).map_or(0, Vec::len)
}

#[test]
fn as_many_as_are_to_be_kept_are() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 3).auto_compact(false));
    let versions: Vec<u64> = (1..=20).map(|n| grow(&docs, n)).collect();
    let deleted = docs.vacuum().wait().unwrap();
    assert!(deleted.versions > 0 && deleted.objects > deleted.versions && deleted.bytes > 0);
    let newest = docs.version();
    for (records, version) in (1..).zip(&versions) {
        match docs.at_version(*version).wait() {
            Ok(then) => assert_eq!(then.count(), records),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::VersionGone, "{error}");
                assert!(version + 3 <= newest, "version {version} of {newest} is gone");
            }
        }
    }
    let listed = docs.versions().wait().unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.is_sorted_by(|a, b| a.version > b.version && a.created_ms >= b.created_ms));
    let files = files(directory.path());
    assert_eq!((count(&files, "manifest"), count(&files, "segment")), (3, 20));
    assert_eq!(count(&files, "log"), 0);
}

#[test]
fn what_is_merged_away_goes_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 2));
    for n in 1..=60 {
        grow(&docs, n);
    }
    docs.compact().wait().unwrap();
    docs.settle().wait().unwrap();
    let files = files(directory.path());
    assert!(count(&files, "manifest") <= 10, "{files:?}");
    assert!(count(&files, "segment") <= 10, "{files:?}");
    assert_eq!(docs.count(), 60);
}

/// Each process that opens the collection writes one version only.
#[test]
fn many_short_lives_leave_little_behind() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..160u64 {
        let docs = docs(open(directory.path(), 4));
        docs.upsert([Record::new(n % 7, [n as f32; DIM])]).wait().unwrap();
        docs.close().wait().unwrap();
    }
    let files = files(directory.path());
    assert!(count(&files, "manifest") <= 20, "{files:?}");
    assert!(count(&files, "log") <= 60, "{files:?}");
    let docs = docs(open(directory.path(), 4));
    assert_eq!(docs.count(), 7);
}

#[test]
fn a_tag_keeps_its_version() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 1));
    let first = grow(&docs, 1);
    assert_eq!(docs.tag("first").wait().unwrap(), first);
    // A tag names a version that holds everything, flushed or not.
    docs.upsert([Record::new(2u64, [2.0; DIM])]).wait().unwrap();
    let second = docs.tag("second").wait().unwrap();
    assert!(second > first);
    for n in 3..=30 {
        grow(&docs, n);
    }
    docs.compact().wait().unwrap();
    docs.vacuum().wait().unwrap();
    assert_eq!(docs.at_tag("first").wait().unwrap().count(), 1);
    assert_eq!(docs.at_tag("second").wait().unwrap().count(), 2);
    let reader = vecgo::open(directory.path()).read_only(true).wait().unwrap();
    let reader = reader.collection("docs").wait().unwrap();
    assert!(reader.at_tag("second").wait().unwrap().exists(2u64).wait().unwrap());
    let tags: Vec<Vec<String>> =
        reader.versions().wait().unwrap().into_iter().map(|version| version.tags).collect();
    assert_eq!(tags[tags.len() - 2..], [vec!["second".to_owned()], vec!["first".to_owned()]]);

    assert_eq!(docs.untag("first").wait().unwrap(), first);
    assert_eq!(docs.untag("first").wait().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(docs.tag_version("first", first).wait().unwrap_err().kind(), ErrorKind::VersionGone);
    docs.vacuum().wait().unwrap();
    assert_eq!(docs.at_version(first).wait().unwrap_err().kind(), ErrorKind::VersionGone);
    assert_eq!(docs.at_tag("second").wait().unwrap().count(), 2);
    let told = docs.at_tag("third").wait().unwrap_err().to_string();
    assert_eq!(told, "there is no tag `third`; the collection has second");
    for wrong in ["", "a b", "x/y", &"x".repeat(65)] {
        assert_eq!(docs.tag(wrong).wait().unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    docs.close().wait().unwrap();
    // It survives the writer.
    let docs = self::docs(open(directory.path(), 1));
    docs.vacuum().wait().unwrap();
    assert_eq!(docs.at_tag("second").wait().unwrap().count(), 2);
}

#[test]
fn a_collection_without_a_version_has_no_tag() {
    let docs = docs(vecgo::open("memory://"));
    assert_eq!(docs.tag("none").wait().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(docs.vacuum().wait().unwrap().objects, 0);
}

#[test]
fn a_pin_keeps_its_version_until_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 1));
    let first = grow(&docs, 1);
    let pin = docs.pin(first, Duration::from_secs(3600), "a backup").wait().unwrap();
    let second = grow(&docs, 2);
    let short = docs.pin(second, Duration::from_millis(1), "a moment").wait().unwrap();
    for n in 3..=12 {
        grow(&docs, n);
    }
    std::thread::sleep(Duration::from_millis(5));
    docs.vacuum().wait().unwrap();
    assert_eq!(docs.at_version(first).wait().unwrap().count(), 1);
    assert_eq!(docs.at_version(second).wait().unwrap_err().kind(), ErrorKind::VersionGone);
    let listed = docs.versions().wait().unwrap();
    assert_eq!(listed.last().unwrap().pinned_by.as_deref(), Some("a backup"));
    let told: Vec<u64> = docs.stats().pins.iter().map(|pin| pin.version).collect();
    assert_eq!(told, [first]);
    // It is kept by a pin only, which may end any moment.
    let late = docs.pin(first, Duration::from_secs(9), "late").wait().unwrap_err();
    assert_eq!(late.kind(), ErrorKind::VersionGone);
    short.release().wait().unwrap();
    pin.renew(Duration::from_secs(60)).wait().unwrap();
    pin.release().wait().unwrap();
    docs.vacuum().wait().unwrap();
    assert_eq!(docs.at_version(first).wait().unwrap_err().kind(), ErrorKind::VersionGone);
    assert_eq!(count(&files(directory.path()), "pin"), 0);
}

/// A log that was begun after a version which only a pin keeps, and flushed before the next.
#[test]
fn no_log_stays_that_no_version_needs() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 1));
    let first = grow(&docs, 1);
    docs.close().wait().unwrap();
    let docs = self::docs(open(directory.path(), 1));
    // From here on the writer knows what there is.
    docs.vacuum().wait().unwrap();
    let pin = docs.pin(first, Duration::from_secs(3600), "a backup").wait().unwrap();
    for n in 2..=4 {
        grow(&docs, n);
        docs.vacuum().wait().unwrap();
        assert_eq!(count(&files(directory.path()), "log"), 0);
    }
    assert_eq!(docs.at_version(first).wait().unwrap().count(), 1);
    pin.release().wait().unwrap();
}

#[test]
fn a_time_names_the_version_that_was_newest() {
    let docs = docs(vecgo::open("memory://").auto_vacuum(false));
    let before = SystemTime::now() - Duration::from_secs(1);
    let mut times = Vec::new();
    for n in 1..=9 {
        grow(&docs, n);
        times.push(SystemTime::now());
        std::thread::sleep(Duration::from_millis(3));
    }
    for (n, time) in (1..).zip(times) {
        assert_eq!(docs.at_time(time).wait().unwrap().count(), n);
    }
    assert_eq!(docs.at_time(before).wait().unwrap_err().kind(), ErrorKind::VersionGone);
}

/// A tag keeps a version, not the time after it.
#[test]
fn a_time_between_kept_versions_is_gone() {
    let docs =
        docs(vecgo::open("memory://").retention(Retention { versions: 1, ..Retention::default() }));
    grow(&docs, 1);
    docs.tag("first").wait().unwrap();
    std::thread::sleep(Duration::from_millis(3));
    grow(&docs, 2);
    let between = SystemTime::now();
    std::thread::sleep(Duration::from_millis(3));
    grow(&docs, 3);
    docs.vacuum().wait().unwrap();
    assert_eq!(docs.at_tag("first").wait().unwrap().count(), 1);
    assert_eq!(docs.at_time(between).wait().unwrap_err().kind(), ErrorKind::VersionGone);
    assert_eq!(docs.at_time(SystemTime::now()).wait().unwrap().count(), 3);
}

/// Age counts while nobody writes, too, and a grace may be without end.
#[test]
fn old_age_comes_to_what_lies_idle() {
    let age = Some(Duration::from_millis(20));
    let retention = Retention { versions: 1, age, bytes: None };
    let docs = docs(vecgo::open("memory://").retention(retention).auto_vacuum(false));
    for n in 1..=5 {
        grow(&docs, n);
    }
    std::thread::sleep(Duration::from_millis(40));
    assert!(docs.vacuum().wait().unwrap().versions >= 4);

    let forever = vecgo::open("memory://").vacuum_grace(Duration::MAX);
    let docs = self::docs(forever.retention(Retention { versions: 1, ..Retention::default() }));
    for n in 1..=20 {
        grow(&docs, n);
    }
    assert_eq!(docs.vacuum().wait().unwrap().versions, 0);
    assert_eq!(docs.count(), 20);
}

/// What lies under the folders of the database and is none of it is left alone.
#[test]
fn copies_beside_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 1));
    for n in 1..=4 {
        grow(&docs, n);
    }
    let collection = folder(directory.path());
    let copies = [
        collection.join("segment/backup/0000000000000000-0123456789abcdef"),
        collection.join("manifest/old/18446744073709551614"),
    ];
    for copy in &copies {
        fs::create_dir(copy.parent().unwrap()).unwrap();
        fs::write(copy, "a copy").unwrap();
    }
    assert!(docs.vacuum().wait().unwrap().versions > 0);
    assert!(copies.iter().all(|copy| copy.exists()));
}

#[test]
fn nothing_is_deleted_while_a_version_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 2).auto_vacuum(false));
    let first = grow(&docs, 1);
    docs.tag("first").wait().unwrap();
    for n in 2..=6 {
        grow(&docs, n);
    }
    docs.vacuum().wait().unwrap();
    docs.untag("first").wait().unwrap();
    // A vacuum makes one more version, and keeps that and this one.
    let kept = docs.version();
    assert!(kept > first);
    let name = format!("manifest/{:020}", u64::MAX - kept);
    let (path, aside) = (folder(directory.path()).join(name), directory.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    let before = count(&files(directory.path()), "segment");
    let failed = docs.vacuum().wait().unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Corruption, "{failed}");
    assert_eq!(count(&files(directory.path()), "segment"), before);
    fs::rename(&aside, &path).unwrap();
    docs.vacuum().wait().unwrap();
}

/// A reader holds the files of its version open, whatever becomes of their names.
#[test]
fn a_reader_goes_on_while_its_version_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 1));
    for n in 1..=5 {
        grow(&docs, n);
    }
    let then = docs.at_version(docs.version()).wait().unwrap();
    let replica = vecgo::open(directory.path()).read_only(true).wait().unwrap();
    let replica = replica.collection("docs").wait().unwrap();
    for n in 6..=30 {
        grow(&docs, n);
    }
    docs.compact().wait().unwrap();
    docs.vacuum().wait().unwrap();
    assert_eq!(docs.at_version(then.version()).wait().unwrap_err().kind(), ErrorKind::VersionGone);
    for old in [&then, &replica] {
        assert_eq!(old.count(), 5);
        assert_eq!(old.get(3u64).wait().unwrap().unwrap().vector, [3.0; DIM]);
        assert_eq!(old.search([4.0; DIM]).k(1).wait().unwrap()[0].id, 4u64.into());
    }
    replica.refresh().wait().unwrap();
    assert_eq!(replica.count(), 30);
}

/// Nor does a scan that has begun meet a file that is gone.
#[test]
fn a_scan_goes_on_while_its_version_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 1));
    docs.upsert((0..60u64).map(|n| Record::new(n, [n as f32; DIM]))).wait().unwrap();
    docs.flush().wait().unwrap();
    let version = docs.version();
    let mut scan = docs.scan().page_size(7).with_vector().wait().unwrap();
    let mut records = scan.next_page().wait().unwrap().unwrap();
    docs.upsert((0..60u64).map(|n| Record::new(n, [0.5; DIM]))).wait().unwrap();
    docs.compact().wait().unwrap();
    docs.vacuum().wait().unwrap();
    assert_eq!(docs.at_version(version).wait().unwrap_err().kind(), ErrorKind::VersionGone);
    while let Some(page) = scan.next_page().wait().unwrap() {
        records.extend(page);
    }
    assert_eq!(records.len(), 60);
    for record in records {
        let vecgo::Id::Number(n) = record.id else { panic!("{}", record.id) };
        assert_eq!(record.vector, [n as f32; DIM]);
    }
}

#[test]
fn nothing_is_deleted_while_a_version_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let docs = docs(open(directory.path(), 2).auto_vacuum(false));
    for n in 1..=6 {
        grow(&docs, n);
    }
    // A merge would make files while they are listed.
    docs.settle().wait().unwrap();
    let manifest = folder(directory.path()).join("manifest/18446744073709551613");
    let whole = fs::read(&manifest).unwrap();
    fs::write(&manifest, &whole[..whole.len() - 1]).unwrap();
    let before = files(directory.path());
    let failed = docs.vacuum().wait().unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Corruption, "{failed}");
    assert!(failed.to_string().contains("nothing is deleted"), "{failed}");
    assert_eq!(docs.stats().vacuum_failure.unwrap().kind(), ErrorKind::Corruption);
    let after = files(directory.path());
    assert!(before.iter().all(|(kind, names)| after[kind].len() >= names.len()), "{after:?}");
    fs::write(&manifest, whole).unwrap();
    assert!(docs.vacuum().wait().unwrap().versions > 0);
    assert!(docs.stats().vacuum_failure.is_none());
}

#[test]
fn temporary_files_of_the_killed_go_at_the_next_open() {
    let directory = tempfile::tempdir().unwrap();
    let first = docs(open(directory.path(), 2));
    grow(&first, 1);
    first.close().wait().unwrap();
    let collection = folder(directory.path());
    let left = collection.join("segment/.0000000000000001-0123456789abcdef.fedcba9876543210");
    let others = collection.join("segment/.mine");
    fs::write(&left, "half a segment").unwrap();
    fs::write(&others, "not ours").unwrap();
    let docs = docs(open(directory.path(), 2));
    assert!(!left.exists() && others.exists());
    assert_eq!(docs.count(), 1);
}

/// A segment that a writer had written and not named when it was killed.
#[test]
fn what_a_killed_writer_left_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let first = docs(open(directory.path(), 2));
    grow(&first, 1);
    first.close().wait().unwrap();
    let collection = folder(directory.path());
    let orphan = collection.join("segment/0000000000000001-0123456789abcdef");
    fs::write(&orphan, "nobody names it").unwrap();
    let docs = docs(open(directory.path(), 2));
    grow(&docs, 2);
    docs.vacuum().wait().unwrap();
    assert!(!orphan.exists());
    assert_eq!(docs.count(), 2);
}

/// Of the catalogue as of collections: what changes often leaves a bounded trail.
#[test]
fn old_catalogues_go() {
    let directory = tempfile::tempdir().unwrap();
    let db = vecgo::open(directory.path()).wait().unwrap();
    for n in 0..60 {
        db.create(format!("c{n}"), Config::new(DIM, Metric::L2)).wait().unwrap();
    }
    assert!(fs::read_dir(directory.path().join("catalogue")).unwrap().count() <= 18);
    assert_eq!(db.collections().wait().unwrap().len(), 60);
    assert!(db.verify().wait().unwrap().damage.is_empty());
}
