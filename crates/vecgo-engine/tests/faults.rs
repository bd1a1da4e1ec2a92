//! Every call to the disk fails once, and from then on, at every place of a short workload. What
//! was acknowledged is there afterwards, the rest is wholly there or wholly absent, and a writer
//! whose log failed has stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the clock, starts threads and prints"
)]

mod faulty;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use faulty::{Fault, FaultyDisk};
use futures_lite::future::block_on;
use vecgo_engine::{
    Collection, Config, Database, ErrorKind, Fetch, Id, Metric, Options, Record, Result, WalSync,
};
use vecgo_io::{
    Access, BlockCache, DirectoryStore, Env, LocalDisk, SystemClock, SystemRand, ThreadPool,
};

const DIM: usize = 4;

/// What each id should hold: the mark of its record.
type Model = BTreeMap<u64, u64>;

fn env(disk: &Arc<FaultyDisk>) -> Env {
    let rand = Arc::new(SystemRand::new().unwrap());
    let store = Arc::new(DirectoryStore::new(Arc::clone(disk) as _, rand.clone(), Access::Write));
    Env {
        logs: store.clone(),
        store,
        clock: Arc::new(SystemClock::default()),
        rand,
        spawn: Arc::new(ThreadPool::new().unwrap()),
        cache: Arc::new(BlockCache::new(1 << 20)),
    }
}

async fn open(env: &Env, wal_sync: WalSync) -> Result<Collection> {
    let options = Options { wal_sync, memtable_bytes: 64 << 10, ..Options::default() };
    let db = Database::new(env.clone(), Access::Write, options)?;
    db.open_or_create("docs", Config::new(DIM, Metric::L2)).await
}

fn records(ids: std::ops::Range<u64>, mark: u64) -> Vec<Record> {
    ids.map(|id| Record::new(id, vec![id as f32, mark as f32, 0.0, 1.0])).collect()
}

async fn contents(docs: &Collection) -> Model {
    let mut scan = docs.scan(Fetch::ALL, 100).unwrap();
    let mut model = Model::new();
    while let Some(page) = scan.next_page().await.unwrap() {
        for record in page {
            let Id::Number(id) = record.id else { panic!("{}", record.id) };
            assert_eq!(record.vector[0], id as f32);
            assert!(model.insert(id, record.vector[1] as u64).is_none(), "{id} twice");
        }
    }
    model
}

/// What a run knows to be there: every state that the collection may be found in.
#[derive(Debug, Clone)]
struct Possible(Vec<Model>);

impl Possible {
    fn is(&mut self, model: Model) {
        self.0 = vec![model];
    }

    fn may_be(&mut self, model: Model) {
        self.0.push(model);
    }
}

/// Writes, commits and flushes until something fails; gives what may be there.
async fn workload(docs: &Collection, possible: &mut Possible) -> Result<()> {
    let mut model = possible.0[0].clone();
    for (mark, ids) in [(1, 0..20), (2, 10..30), (3, 5..15), (4, 0..8)] {
        model.extend(ids.clone().map(|id| (id, mark)));
        possible.may_be(model.clone());
        docs.upsert(records(ids, mark)).await?;
        possible.is(model.clone());
        match mark {
            1 | 3 => drop(docs.flush().await?),
            _ => drop(docs.commit().await?),
        }
        let gone: Vec<Id> = (mark * 3..mark * 3 + 4).map(Id::from).collect();
        model.retain(|id, _| !gone.contains(&Id::from(*id)));
        possible.may_be(model.clone());
        docs.delete(gone).await?;
        possible.is(model.clone());
    }
    Ok(())
}

/// After a failure: later writes fail or work, but a failed log is never written again, and
/// reads go on.
async fn after_failure(docs: &Collection, possible: &mut Possible) {
    let before = contents(docs).await;
    assert!(possible.0.contains(&before), "{before:?} is none of {possible:?}");
    for attempt in 0..2 {
        let mut with = before.clone();
        with.extend((100..103).map(|id| (id, attempt)));
        match docs.upsert(records(100..103, attempt)).await {
            Ok(_) => return possible.is(with),
            Err(error) => {
                assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::Unavailable
                            | ErrorKind::OutcomeUnknown
                            | ErrorKind::ResourceExhausted
                    ),
                    "{error}"
                );
                if error.kind() != ErrorKind::Unavailable {
                    possible.may_be(with);
                }
            }
        }
        assert_eq!(contents(docs).await, before, "a write that failed is seen");
    }
}

fn run(path: &Path, wal_sync: WalSync, fault: Option<Fault>) -> (Possible, bool) {
    let disk = Arc::new(FaultyDisk::new(LocalDisk::create(path).unwrap(), fault));
    let env = env(&disk);
    let mut possible = Possible(vec![Model::new()]);
    block_on(async {
        let Ok(docs) = open(&env, wal_sync).await else { return };
        if let Err(error) = workload(&docs, &mut possible).await {
            assert!(disk.has_failed(), "{error}");
            after_failure(&docs, &mut possible).await;
        }
        let closed = docs.close().await;
        assert!(closed.is_ok() || disk.has_failed(), "{closed:?}");
    });
    (possible, disk.has_failed())
}

fn check(path: &Path, possible: &Possible, what: &Fault) {
    let disk = Arc::new(FaultyDisk::new(LocalDisk::create(path).unwrap(), None));
    let env = env(&disk);
    block_on(async {
        let options = Options::default();
        let db = Database::new(env.clone(), Access::Write, options).unwrap();
        let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).await;
        let docs = docs.unwrap_or_else(|error| panic!("{what:?}: {error}"));
        let there = contents(&docs).await;
        assert!(possible.0.contains(&there), "{what:?}: {there:?} is none of {possible:?}");
        docs.upsert(records(200..201, 9)).await.unwrap();
        docs.close().await.unwrap();
        let report = db.verify().await.unwrap();
        assert_eq!(report.damage, [], "{what:?}");
    });
}

#[test]
fn every_call_fails_once_and_for_good() {
    for wal_sync in [WalSync::EveryWrite, WalSync::OnCommit] {
        for for_good in [false, true] {
            for place in 0.. {
                let dir = tempfile::tempdir().unwrap();
                let fault = Fault { place, for_good };
                let (possible, failed) = run(dir.path(), wal_sync, Some(fault));
                check(dir.path(), &possible, &fault);
                if !failed {
                    // The fault lies beyond the end: all places have been tried.
                    assert!(place > 40, "only {place} calls");
                    break;
                }
            }
        }
    }
}

#[test]
fn writes_that_wait_together_share_a_sync() {
    const WRITES: usize = 64;
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::new(LocalDisk::create(dir.path()).unwrap(), None));
    let env = env(&disk);
    block_on(async {
        let docs = open(&env, WalSync::EveryWrite).await.unwrap();
        docs.upsert(records(0..1, 0)).await.unwrap();
        let before = disk.syncs();
        docs.upsert(records(0..300, 1)).await.unwrap();
        assert_eq!(disk.syncs() - before, 1, "one sync for a batch of 300 rows");
        let before = disk.syncs();
        let mut writes: Vec<_> =
            (0..WRITES as u64).map(|id| Box::pin(docs.upsert(records(id..id + 1, 2)))).collect();
        // Polled once, a write is handed over: while the first is synced the others gather.
        let mut acks = Vec::new();
        for write in &mut writes {
            acks.push(futures_lite::future::poll_once(write).await);
        }
        for (write, ack) in writes.into_iter().zip(acks) {
            let ack = match ack {
                Some(ack) => ack,
                None => write.await,
            };
            assert!(ack.unwrap().durable);
        }
        let syncs = disk.syncs() - before;
        assert!(syncs < WRITES as u64 / 2, "{syncs} syncs for {WRITES} writes");
    });
}
