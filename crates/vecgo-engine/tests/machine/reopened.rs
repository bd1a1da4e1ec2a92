//! A writer that has stopped comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_lite::future::block_on;
use tempfile::TempDir;
use vecgo_engine::{Collection, Config, Database, ErrorKind, Id, Metric, Options, Record};
use vecgo_io::{Access, Env, Limits};

use crate::store::{Traps, trapped, trapped_bucket};

fn local(root: &TempDir) -> Env {
    Env::local(root.path(), Access::Write, Limits::default()).unwrap()
}

async fn opened(env: &Env) -> (Database, Collection) {
    let database = Database::new(env.clone(), Access::Write, Options::default()).unwrap();
    let config = Config::new(2, Metric::L2);
    let docs = database.open_or_create("docs", config, None).await.unwrap();
    (database, docs)
}

async fn write(docs: &Collection, id: u64) -> Result<(), ErrorKind> {
    let written = docs.upsert(vec![Record::new(id, vec![1.0, 2.0])]).await;
    written.map(|ack| assert!(ack.durable)).map_err(|error| error.kind())
}

async fn is_there(docs: &Collection, id: u64) -> bool {
    docs.get(&[Id::from(id)]).await.unwrap()[0].is_some()
}

/// A writer that has stopped.
async fn stopped(env: &Env, traps: &Traps) -> (Database, Collection) {
    let (database, docs) = opened(env).await;
    write(&docs, 1).await.unwrap();
    let again = database.reopen(&docs).await.unwrap();
    write(&again, 2).await.unwrap();
    traps.mute.store(true, Ordering::SeqCst);
    assert_eq!(write(&docs, 3).await, Err(ErrorKind::OutcomeUnknown));
    assert_eq!(write(&docs, 4).await, Err(ErrorKind::Unavailable));
    (database, docs)
}

async fn comes_back(env: Env, traps: Arc<Traps>) {
    let (database, docs) = stopped(&env, &traps).await;
    // Nothing can be written yet: what can be read stays so.
    let error = database.reopen(&docs).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(is_there(&docs, 2).await);
    traps.mute.store(false, Ordering::SeqCst);
    let back = database.reopen(&docs).await.unwrap();
    assert!(is_there(&back, 1).await && is_there(&back, 2).await);
    write(&back, 5).await.unwrap();
    assert!(back.stats().failure.is_none());
    back.close().await.unwrap();
    // Nothing of the looking is left.
    assert!(env.store.list("probe/").await.unwrap().iter().all(|l| l.key == "probe/condition"));
    let (_, docs) = opened(&env).await;
    assert!(is_there(&docs, 2).await && is_there(&docs, 5).await);
}

#[test]
fn on_a_disk() {
    let root = tempfile::tempdir().unwrap();
    let (env, traps) = trapped(local(&root));
    block_on(comes_back(env, traps));
}

#[test]
fn on_a_bucket() {
    let root = tempfile::tempdir().unwrap();
    let (env, traps) = trapped_bucket(local(&root));
    block_on(comes_back(env, traps));
}

/// It does not take the collection from a writer that has come since, even if that one is gone again.
#[test]
fn not_where_another_has_taken_over() {
    let root = tempfile::tempdir().unwrap();
    let (env, traps) = trapped_bucket(local(&root));
    block_on(async {
        let (database, docs) = stopped(&env, &traps).await;
        traps.mute.store(false, Ordering::SeqCst);
        let (_, other) = opened(&env).await;
        write(&other, 6).await.unwrap();
        let error = database.reopen(&docs).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced);
        assert!(is_there(&docs, 2).await, "it can be read as it was");
        write(&other, 7).await.unwrap();
        other.close().await.unwrap();
        assert_eq!(database.reopen(&docs).await.unwrap_err().kind(), ErrorKind::Fenced);
    });
}
