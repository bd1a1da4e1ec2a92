//! A merge that the machine leaves no time is begun again where it gets some.

use std::sync::Arc;

use futures_lite::future::block_on;
use parking_lot::Mutex;
use vecgo_engine::{Config, Database, Metric, Options, Record};
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

#[test]
fn it_is_begun_again_in_front() {
    let background = Background::default();
    let busy = Busy { threads: ThreadPool::new().unwrap(), background: Arc::clone(&background) };
    let busy: Arc<dyn Spawn> = Arc::new(busy);
    let env = Env { spawn: Arc::clone(&busy), ..Env::memory(Limits::default()).unwrap() };
    let options = Options::default();
    block_on(async {
        let database = Database::new(env, Access::Write, options).unwrap();
        database.create("docs", Config::new(2, Metric::L2)).await.unwrap();
        let docs = database.collection("docs").await.unwrap();
        let flush = async |n: u8| {
            docs.upsert(vec![Record::new(u64::from(n), vec![f32::from(n), 1.0])]).await.unwrap();
            docs.flush().await.unwrap();
        };
        // Five small ones are too many.
        for n in 0..5 {
            flush(n).await;
        }
        docs.commit().await.unwrap();
        assert_eq!(background.lock().0.len(), 1, "nobody waits for the merge of those");
        for n in 5..13 {
            flush(n).await;
        }
        // By then the writer is done with what followed from the last flush.
        docs.commit().await.unwrap();
        assert_eq!(docs.stats().segments.len(), 13, "nothing was merged");
        // A moment at last: it finds that it was stopped.
        let task = std::mem::take(&mut background.lock().0);
        assert_eq!(task.len(), 1);
        for task in task {
            task.await;
        }
        docs.settle().await.unwrap();
        let stats = docs.stats();
        assert_eq!((stats.segments.len(), stats.records), (1, 13));
        assert_eq!(stats.last_merge.map(|merge| merge.rows), Some(13));
        assert!(background.lock().0.is_empty(), "the second time it gives way to nobody");
        docs.close().await.unwrap();
    });
}
