//! A merge that the machine leaves no time is begun again where it gets some.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use futures_lite::future::block_on;
use parking_lot::Mutex;
use vecgo_engine::{Config, Database, Metric, Options, Record};
use vecgo_io::{Access, BoxFuture, Env, Spawn, SpawnExt, ThreadPool};

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

#[test]
fn whoever_waits_for_it_gets_what_was_asked_for() {
    let background = Background::default();
    let busy = Busy { threads: ThreadPool::new().unwrap(), background: Arc::clone(&background) };
    let busy: Arc<dyn Spawn> = Arc::new(busy);
    let env = Env { spawn: Arc::clone(&busy), ..Env::memory(1 << 20).unwrap() };
    let options = Options { auto_compact: false, ..Options::default() };
    block_on(async {
        let database = Database::new(env, Access::Write, options).unwrap();
        database.create("docs", Config::new(2, Metric::L2)).await.unwrap();
        let docs = database.collection("docs").await.unwrap();
        let flush = async |n: u8| {
            docs.upsert(vec![Record::new(u64::from(n), vec![f32::from(n), 1.0])]).await.unwrap();
            docs.flush().await.unwrap();
        };
        flush(0).await;
        flush(1).await;
        let compact = busy.start({
            let docs = docs.clone();
            async move { docs.compact().await }
        });
        while background.lock().0.is_empty() {
            futures_lite::future::yield_now().await;
        }
        for n in 2..10 {
            flush(n).await;
        }
        // By then the writer is done with what followed from the last flush.
        docs.commit().await.unwrap();
        assert_eq!(docs.stats().segments.len(), 10, "nothing was merged");
        // A moment at last: it finds that it was stopped.
        let task = std::mem::take(&mut background.lock().0);
        assert_eq!(task.len(), 1);
        for task in task {
            task.await;
        }
        compact.await.unwrap().unwrap();
        let stats = docs.stats();
        assert_eq!((stats.segments.len(), stats.records), (1, 10));
        assert_eq!(stats.last_merge.map(|merge| merge.rows), Some(10));
        assert!(background.lock().0.is_empty(), "the second time it gives way to nobody");
        docs.close().await.unwrap();
    });
}
