//! A panic in a task of the database, which is always a defect, takes that task along and nothing
//! else: whoever waited is told, what is in the background is tried again, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_lite::future::block_on;
use vecgo_engine::{Collection, Config, Database, ErrorKind, Metric, Options, Record};
use vecgo_io::{Access, Env, Limits};

use crate::store::{Traps, trapped};

/// A database in a directory, and its traps.
fn open(root: &std::path::Path) -> (Database, Arc<Traps>) {
    let env = Env::local(root, Access::Write, Limits::default()).unwrap();
    let (env, traps) = trapped(env);
    let options = Options { auto_compact: false, ..Options::default() };
    (Database::new(env, Access::Write, options).unwrap(), traps)
}

async fn collection(database: &Database) -> Collection {
    database.open_or_create("docs", Config::new(2, Metric::L2), None).await.unwrap()
}

fn record(n: u64) -> Vec<Record> {
    vec![Record::new(n, vec![1.0, n as f32])]
}

async fn has(docs: &Collection, ids: impl IntoIterator<Item = u64>) {
    let mut count = 0;
    for n in ids {
        let found = docs.get(&[n.into()]).await.unwrap();
        assert!(found[0].is_some(), "{n}");
        count += 1;
    }
    assert_eq!(docs.count(), count);
}

#[test]
fn a_flush_that_panics_is_told_and_tried_again() {
    let root = tempfile::tempdir().unwrap();
    block_on(async {
        let (database, traps) = open(root.path());
        let docs = collection(&database).await;
        docs.upsert(record(1)).await.unwrap();
        traps.new_segment.store(true, Ordering::SeqCst);
        assert_eq!(docs.flush().await.unwrap_err().kind(), ErrorKind::Internal);
        assert!(docs.stats().flush_failure.unwrap().message().contains("panicked"));
        docs.upsert(record(2)).await.unwrap();
        while docs.flush().await.is_err() {}
        assert!(docs.stats().flush_failure.is_none());
        has(&docs, [1, 2]).await;
        docs.close().await.unwrap();
    });
}

#[test]
fn a_merge_that_panics_is_told_and_tried_again() {
    let root = tempfile::tempdir().unwrap();
    block_on(async {
        let (database, traps) = open(root.path());
        let docs = collection(&database).await;
        for n in 0..3 {
            docs.upsert(record(n)).await.unwrap();
            docs.flush().await.unwrap();
        }
        traps.new_segment.store(true, Ordering::SeqCst);
        assert_eq!(docs.compact().await.unwrap_err().kind(), ErrorKind::Internal);
        assert!(docs.stats().merge_failure.unwrap().message().contains("panicked"));
        assert_eq!(docs.stats().segments.len(), 3);
        docs.compact().await.unwrap();
        assert_eq!(docs.stats().segments.len(), 1);
        assert!(docs.stats().merge_failure.is_none());
        has(&docs, 0..3).await;
        docs.close().await.unwrap();
    });
}

#[test]
fn a_write_during_which_the_writer_panics_is_in_doubt_and_no_later_one_succeeds() {
    let root = tempfile::tempdir().unwrap();
    block_on(async {
        let (database, traps) = open(root.path());
        let docs = collection(&database).await;
        docs.upsert(record(1)).await.unwrap();
        traps.sync.store(true, Ordering::SeqCst);
        let error = docs.upsert(record(2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
        assert!(docs.stats().failure.unwrap().message().contains("panicked"));
        assert_eq!(docs.upsert(record(3)).await.unwrap_err().kind(), ErrorKind::Closed);
        // The same database opens it again: what was in doubt is there, what was refused is not.
        let docs = collection(&database).await;
        docs.upsert(record(4)).await.unwrap();
        has(&docs, [1, 2, 4]).await;
        docs.close().await.unwrap();
    });
}
