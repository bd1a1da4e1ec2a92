//! Versions that the writer commits by itself, as a reader elsewhere sees them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the test waits")]

use std::path::Path;
use std::thread;
use std::time::Duration;

use vecgo::{AutoCommit, Collection, Config, ErrorKind, Metric, Record, WalSync};

const BY_TIME: AutoCommit = AutoCommit { interval: Some(Duration::from_millis(20)), bytes: None };
const BY_SIZE: AutoCommit = AutoCommit { interval: None, bytes: Some(1000) };

fn docs(path: &Path, auto_commit: AutoCommit, wal_sync: WalSync) -> Collection {
    let db = vecgo::open(path).auto_commit(auto_commit).wal_sync(wal_sync).wait().unwrap();
    db.open_or_create("docs", Config::new(4, Metric::L2)).wait().unwrap()
}

fn write(docs: &Collection, ids: std::ops::Range<u64>) {
    for n in ids {
        docs.upsert([Record::new(n, [n as f32; 4])]).wait().unwrap();
    }
}

/// Waits until a reader elsewhere sees so many records, and gives the version that it sees: the writer
/// shows it to its own readers a moment later.
#[track_caller]
fn is_seen(path: &Path, records: u64) -> u64 {
    let db = vecgo::open(path).read_only(true).wait().unwrap();
    let docs = db.collection("docs").wait().unwrap();
    for _ in 0..2000 {
        docs.refresh().wait().unwrap();
        if docs.count() == records {
            return docs.version();
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("a reader sees {} records, expected {records}", docs.count());
}

#[test]
fn what_was_written_is_seen_after_a_while() {
    for wal_sync in [WalSync::EveryWrite, WalSync::OnCommit] {
        let dir = tempfile::tempdir().unwrap();
        let docs = docs(dir.path(), BY_TIME, wal_sync);
        write(&docs, 0..40);
        let version = is_seen(dir.path(), 40);
        docs.delete([7u64]).wait().unwrap();
        let later = is_seen(dir.path(), 39);
        assert!(later > version);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(docs.version(), later, "nothing was written, nothing is committed");
    }
}

#[test]
fn what_a_writer_finds_uncommitted_is_seen_after_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let first = docs(dir.path(), AutoCommit::default(), WalSync::EveryWrite);
    write(&first, 0..5);
    first.commit().wait().unwrap();
    write(&first, 5..9);
    assert_eq!(first.version(), 1, "off unless it is asked for");
    drop(first);
    let _second = docs(dir.path(), BY_TIME, WalSync::EveryWrite);
    is_seen(dir.path(), 9);
}

#[test]
fn a_version_holds_so_many_bytes() {
    for wal_sync in [WalSync::EveryWrite, WalSync::OnCommit] {
        let dir = tempfile::tempdir().unwrap();
        let docs = docs(dir.path(), BY_SIZE, wal_sync);
        write(&docs, 0..1);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(docs.version(), 0, "one record is less");
        write(&docs, 1..200);
        let (versions, bytes) = (docs.version(), docs.stats().log_bytes);
        assert!(bytes > 200 * 24, "{bytes} bytes of 200 records are in the log");
        // One write more than 1,000 bytes a version, at most; and the last may be on its way.
        let (least, most) = (bytes / 1100 - 1, bytes / 1000);
        assert!((least..=most).contains(&versions), "{versions} versions of {bytes} bytes");
        docs.flush().wait().unwrap();
        assert!(docs.stats().log_bytes < 200, "a segment holds what the log held");
        let flush = docs.stats().last_flush.unwrap();
        assert!(flush.rows == 200 && flush.bytes > 200 * 24, "{flush:?}");
    }
}

#[test]
fn never_is_said_by_none() {
    let dir = tempfile::tempdir().unwrap();
    for (interval, bytes) in [(Some(Duration::ZERO), None), (None, Some(0))] {
        let open = vecgo::open(dir.path()).auto_commit(AutoCommit { interval, bytes });
        assert_eq!(open.wait().unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
