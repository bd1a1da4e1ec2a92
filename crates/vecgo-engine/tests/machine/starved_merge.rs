//! A merge that the machine leaves no time is begun again where it gets some.

use std::sync::Arc;

use futures_lite::future::block_on;
use parking_lot::Mutex;
use vecgo_engine::{
    Collection, Config, Database, Index, Metric, Options, Quantization, Record, Request,
};
use vecgo_io::{Access, BoxFuture, Env, Limits, Spawn, ThreadPool};

/// Threads that leave nothing to the background.
#[derive(Debug)]
struct Busy {
    threads: ThreadPool,
    background: Background,
}

type Background = Arc<Mutex<Tasks>>;

#[derive(Default)]
struct Tasks(Vec<BoxFuture<'static, ()>>);

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tasks", self.0.len())
    }
}

impl Spawn for Busy {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.threads.spawn(task);
    }

    fn spawn_background(&self, task: BoxFuture<'static, ()>) {
        self.background.lock().0.push(task);
    }

    fn parallelism(&self) -> usize {
        self.threads.parallelism()
    }
}

/// Waits for a task in the background.
async fn comes(background: &Background) {
    while background.lock().0.is_empty() {
        futures_lite::future::yield_now().await;
    }
}

#[test]
fn it_is_begun_again_in_front() {
    let background = Background::default();
    let busy = Busy { threads: ThreadPool::new().unwrap(), background: Arc::clone(&background) };
    let busy: Arc<dyn Spawn> = Arc::new(busy);
    let env = Env { spawn: Arc::clone(&busy), ..Env::memory(Limits::default()).unwrap() };
    let options = Options::default();
    block_on(async {
        let database = Database::new(env, Access::Write, options).unwrap();
        database.create("docs", Config::new(2, Metric::L2), Default::default()).await.unwrap();
        let docs = database.collection("docs").await.unwrap();
        let flush = async |n: u8| {
            docs.upsert(vec![Record::new(u64::from(n), vec![f32::from(n), 1.0])]).await.unwrap();
            docs.flush().await.unwrap();
        };
        // Five small ones are too many.
        for n in 0..5 {
            flush(n).await;
        }
        // Nobody waits for the merge of those.
        comes(&background).await;
        for n in 5..13 {
            flush(n).await;
        }
        docs.settle().await.unwrap();
        let stats = docs.stats();
        assert_eq!((stats.segments.len(), stats.records), (1, 13));
        assert_eq!(stats.last_merge.map(|merge| merge.rows), Some(13));
        // What came too late to run does nothing.
        let tasks = std::mem::take(&mut background.lock().0);
        assert_eq!(tasks.len(), 1, "the second time it gave way to nobody");
        for task in tasks {
            task.await;
        }
        assert_eq!(docs.stats().segments.len(), 1);
        docs.close().await.unwrap();
    });
}

#[test]
fn who_closes_or_compacts_does_not_wait_for_it() {
    let background = Background::default();
    let busy = Busy { threads: ThreadPool::new().unwrap(), background: Arc::clone(&background) };
    let busy: Arc<dyn Spawn> = Arc::new(busy);
    let env = Env { spawn: Arc::clone(&busy), ..Env::memory(Limits::default()).unwrap() };
    block_on(async {
        let database = Database::new(env, Access::Write, Options::default()).unwrap();
        for (name, compacts) in [("compacted", true), ("closed", false)] {
            database.create(name, Config::new(2, Metric::L2), Default::default()).await.unwrap();
            let docs = database.collection(name).await.unwrap();
            for n in 0..5u64 {
                docs.upsert(vec![Record::new(n, vec![1.0, 1.0])]).await.unwrap();
                docs.flush().await.unwrap();
            }
            comes(&background).await;
            if compacts {
                docs.compact().await.unwrap();
                assert_eq!(docs.stats().segments.len(), 1);
            }
            docs.close().await.unwrap();
            background.lock().0.clear();
        }
    });
}

/// The nearest of a hundred points on a line and their numbers, from the tenth on.
async fn finds_the_nearest(docs: &Collection) {
    let hits = docs.search(vec![10.2, 1.0], Request::default()).await.unwrap();
    let numbers: Vec<_> = hits[..4].iter().map(|hit| hit.id.clone()).collect();
    assert_eq!(numbers, [10u64, 11, 9, 12].map(Into::into));
}

#[test]
fn the_collection_is_configured_while_it_waits() {
    let background = Background::default();
    let busy = Busy { threads: ThreadPool::new().unwrap(), background: Arc::clone(&background) };
    let env = Env { spawn: Arc::new(busy), ..Env::memory(Limits::default()).unwrap() };
    let options = Options { index_rows: 50, ..Options::default() };
    block_on(async {
        let database = Database::new(env, Access::Write, options).unwrap();
        let before = Config::new(2, Metric::L2).with_quantization(Quantization::Sq8);
        let docs = database.open_or_create("docs", before, None).await.unwrap();
        for part in 0..5u8 {
            let ids = part * 20..part * 20 + 20;
            let record = |n: u8| Record::new(u64::from(n), vec![f32::from(n), 1.0]);
            docs.upsert(ids.map(record).collect()).await.unwrap();
            docs.flush().await.unwrap();
        }
        comes(&background).await;
        let after = before.with_index(Index::ivf()).with_quantization(Quantization::None);
        docs.configure(after).await.unwrap();
        finds_the_nearest(&docs).await;
        let tasks = std::mem::take(&mut background.lock().0);
        for task in tasks {
            task.await;
        }
        docs.settle().await.unwrap();
        // What was under way is as it was planned.
        let indexes = || {
            let segments = docs.stats().segments;
            segments.iter().map(|of| (of.index, of.quantization)).collect::<Vec<_>>()
        };
        assert_eq!(indexes()[0], (before.index(), before.quantization()));
        assert_eq!((docs.config(), docs.count()), (after, 100));
        finds_the_nearest(&docs).await;
        docs.compact().await.unwrap();
        assert_eq!(indexes(), [(after.index(), after.quantization())]);
        finds_the_nearest(&docs).await;
        docs.close().await.unwrap();
    });
}
