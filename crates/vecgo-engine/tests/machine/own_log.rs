//! A store that machines share, and writers that keep their logs on disks of their own.

use std::collections::BTreeSet;

use futures_lite::future::block_on;
use tempfile::TempDir;
use vecgo_engine::{
    AutoCommit, Collection, Config, Database, Error, ErrorKind, FieldSchema, FieldType, Id, Index,
    Metric, Options, Record, Result, Schema,
};
use vecgo_io::{Access, Env, Limits};

use crate::store::trapped_bucket;

/// A store, and what of its machines is on disks.
struct Shared {
    env: Env,
    _store: TempDir,
    disks: Vec<TempDir>,
}

impl Shared {
    fn new(machines: usize) -> Self {
        let (store, disk) = (tempfile::tempdir().unwrap(), || tempfile::tempdir().unwrap());
        let env = Env::local(store.path(), Access::Write, Limits::default()).unwrap();
        let (env, _) = trapped_bucket(env);
        Self { env, _store: store, disks: (0..machines).map(|_| disk()).collect() }
    }

    /// A process on a machine that has a disk for logs.
    fn process(&self, machine: usize) -> Database {
        let env = self.env.clone().with_logs_in(self.disks[machine].path()).unwrap();
        Database::new(env, Access::Write, options()).unwrap()
    }

    /// One whose logs are in the store.
    fn without(&self, access: Access) -> Database {
        Database::new(self.env.clone(), access, options()).unwrap()
    }

    /// Files for logs on a machine.
    fn logs(&self, machine: usize, folder: &str) -> usize {
        let mut files = 0;
        let mut folders = vec![self.disks[machine].path().join(folder)];
        while let Some(folder) = folders.pop() {
            #[expect(clippy::disallowed_methods, reason = "it counts files")]
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.path().is_dir() {
                    true => folders.push(entry.path()),
                    false => files += usize::from(entry.file_name() != ".lock"),
                }
            }
        }
        files
    }

    /// What readers elsewhere see.
    async fn seen(&self) -> BTreeSet<u64> {
        let docs = self.without(Access::Read).collection("docs").await.unwrap();
        ids(&docs).await
    }
}

fn options() -> Options {
    Options { memtable_rows: 40, ..Options::default() }
}

async fn opened(database: &Database) -> Result<Collection> {
    let config = Config::new(2, Metric::L2).with_index(Index::Flat);
    database.open_or_create("docs", config, None).await
}

async fn write(docs: &Collection, ids: std::ops::Range<u64>) {
    let records = ids.map(|id| Record::new(id, vec![1.0, 2.0])).collect();
    assert!(docs.upsert(records).await.unwrap().durable);
}

async fn ids(docs: &Collection) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for id in 0..1_000 {
        if docs.get(&[Id::from(id)]).await.unwrap()[0].is_some() {
            found.insert(id);
        }
    }
    found
}

fn upto(end: u64) -> BTreeSet<u64> {
    (0..end).collect()
}

fn kind(opened: Result<Collection>) -> Error {
    opened.map(drop).unwrap_err()
}

#[test]
fn what_was_acknowledged_outlives_the_process() {
    block_on(async {
        let shared = Shared::new(1);
        for life in 0..6u64 {
            let database = shared.process(0);
            let docs = opened(&database).await.unwrap();
            assert_eq!(ids(&docs).await, upto(life * 30), "life {life}");
            write(&docs, life * 30..life * 30 + 30).await;
            // Replaced and deleted rows have to be found by whoever replays the log.
            write(&docs, 0..life * 30 / 2).await;
            docs.delete(vec![Id::from(7u64)]).await.unwrap();
            write(&docs, 7..8).await;
            assert_eq!(docs.count(), life * 30 + 30);
            if life == 3 {
                docs.commit().await.unwrap();
                assert_eq!(shared.seen().await, upto(120));
            }
        }
        let database = shared.process(0);
        let docs = opened(&database).await.unwrap();
        assert_eq!((docs.count(), ids(&docs).await), (180, upto(180)));
        let logs = shared.env.store.list("collections/").await.unwrap();
        let logs = logs.iter().filter(|listed| listed.key.contains("/log/"));
        // Fences, and nothing else.
        assert!(logs.into_iter().all(|listed| listed.length == 88));
        docs.close().await.unwrap();
        assert_eq!(shared.seen().await, upto(180));
        assert_eq!(shared.logs(0, ""), 0);
        assert_eq!(database.verify().await.unwrap().damage, []);
    });
}

#[test]
fn a_version_holds_what_was_committed_and_no_more() {
    block_on(async {
        let shared = Shared::new(1);
        let database = shared.process(0);
        let docs = opened(&database).await.unwrap();
        write(&docs, 0..10).await;
        assert_eq!(shared.seen().await, upto(0));
        let version = docs.commit().await.unwrap();
        assert_eq!(docs.commit().await.unwrap(), version);
        write(&docs, 10..20).await;
        assert_eq!((ids(&docs).await, shared.seen().await), (upto(20), upto(10)));
        docs.tag("ten", Some(version)).await.unwrap();
        assert_eq!(shared.seen().await, upto(10));
        let field = [("year", FieldSchema::new(FieldType::I64))];
        docs.set_schema(Schema::new(false, field).unwrap()).await.unwrap();
        assert_eq!(shared.seen().await, upto(20));
        let then = docs.at_tag("ten").await.unwrap();
        assert_eq!(ids(&then).await, upto(10));
    });
}

#[test]
fn a_take_over_loses_what_no_version_holds_and_says_so() {
    block_on(async {
        let shared = Shared::new(2);
        for other in [Some(1), None] {
            let database = shared.process(0);
            let docs = opened(&database).await.unwrap();
            let before = docs.count();
            write(&docs, before..before + 5).await;
            docs.commit().await.unwrap();
            write(&docs, before + 5..before + 9).await;

            let taker = other.map_or_else(|| shared.without(Access::Write), |n| shared.process(n));
            let taken = opened(&taker).await.unwrap();
            assert_eq!(ids(&taken).await, upto(before + 5));
            // The first does not know yet. Nothing that it does can be seen.
            write(&docs, before + 9..before + 10).await;
            assert_eq!(docs.commit().await.unwrap_err().kind(), ErrorKind::Fenced);
            let again = database.reopen(&docs).await.unwrap_err();
            assert_eq!(again.kind(), ErrorKind::Fenced);
            drop((docs, database));

            let error = kind(opened(&shared.process(0)).await);
            assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
            assert!(error.message().contains("set aside"), "{error}");
            assert!(shared.logs(0, "set-aside") > 0);
            assert_eq!(shared.logs(0, "collections"), 0);
            // It has taken nothing over.
            write(&taken, before + 5..before + 6).await;
            taken.commit().await.unwrap();
            let database = shared.process(0);
            let docs = opened(&database).await.unwrap();
            assert_eq!(ids(&docs).await, upto(before + 6));
            docs.close().await.unwrap();
        }
    });
}

#[test]
fn a_log_in_the_store_is_gone_on_from() {
    block_on(async {
        let shared = Shared::new(1);
        let docs = opened(&shared.without(Access::Write)).await.unwrap();
        write(&docs, 0..10).await;
        drop(docs);
        // Killed before it has flushed what was in the store's logs, and after.
        for (life, commits) in [(1u64, false), (2, true), (3, false)] {
            let docs = opened(&shared.process(0)).await.unwrap();
            assert_eq!(ids(&docs).await, upto(life * 10));
            write(&docs, life * 10..life * 10 + 10).await;
            write(&docs, 0..4).await;
            assert_eq!(docs.count(), life * 10 + 10);
            if commits {
                docs.commit().await.unwrap();
            }
        }
        let database = shared.process(0);
        let docs = opened(&database).await.unwrap();
        assert_eq!((docs.count(), ids(&docs).await), (40, upto(40)));
        docs.close().await.unwrap();
        let docs = opened(&shared.without(Access::Write)).await.unwrap();
        write(&docs, 40..50).await;
        docs.commit().await.unwrap();
        assert_eq!(shared.seen().await, upto(50));
        drop(docs);
        let docs = opened(&shared.process(0)).await.unwrap();
        assert_eq!(ids(&docs).await, upto(50));
    });
}

/// A planned hand-over: nothing is lost, and nobody is told so.
#[test]
fn a_log_that_is_closed_is_not_missed() {
    block_on(async {
        let shared = Shared::new(2);
        for (machine, life) in [(0, 0), (1, 1), (0, 2), (1, 3)] {
            let database = shared.process(machine);
            let docs = opened(&database).await.unwrap();
            assert_eq!(ids(&docs).await, upto(life * 10));
            write(&docs, life * 10..life * 10 + 10).await;
            docs.commit().await.unwrap();
            // So long that a log is sealed in which there is something.
            shared.env.clock.sleep(std::time::Duration::from_millis(1_300)).await;
            docs.close().await.unwrap();
            assert_eq!(shared.logs(machine, ""), 0);
        }
    });
}

/// Commits that nobody asks for are made beside writes.
#[test]
fn commits_by_themselves() {
    block_on(async {
        let shared = Shared::new(1);
        let interval = Some(std::time::Duration::from_millis(5));
        let auto_commit = AutoCommit { interval, bytes: None };
        let env = shared.env.clone().with_logs_in(shared.disks[0].path()).unwrap();
        let options = Options { auto_commit, ..options() };
        let database = Database::new(env, Access::Write, options).unwrap();
        let docs = opened(&database).await.unwrap();
        for id in 0..100 {
            write(&docs, id..id + 1).await;
        }
        while shared.seen().await != upto(100) {
            shared.env.clock.sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(docs.stats().commit_failure.is_none() && docs.stats().flush_failure.is_none());
    });
}

#[test]
fn a_disk_has_one_writer_at_a_time() {
    block_on(async {
        let shared = Shared::new(1);
        let first = shared.process(0);
        let docs = opened(&first).await.unwrap();
        write(&docs, 0..3).await;
        let second = shared.process(0);
        assert_eq!(kind(opened(&second).await).kind(), ErrorKind::Busy);
        assert_eq!(second.drop_collection("docs").await.unwrap_err().kind(), ErrorKind::Busy);
        write(&docs, 3..6).await;
        drop(docs);
        first.drop_collection("docs").await.unwrap();
        assert_eq!(shared.logs(0, ""), 0);
        assert!(second.collections().await.unwrap().is_empty());
    });
}

#[test]
fn a_directory_has_its_logs_in_itself() {
    let (root, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let env = Env::local(root.path(), Access::Write, Limits::default()).unwrap();
    let error = env.with_logs_in(logs.path()).unwrap_err();
    assert!(error.to_string().contains("log_dir is for buckets"), "{error}");
}
