//! A disk that is nearly full can still be emptied.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_lite::future::block_on;
use vecgo_engine::{Config, Database, ErrorKind, Id, Metric, Options, Record, Update};
use vecgo_io::{Access, Env, Limits};

use crate::store::trapped;

const RESERVE: u64 = 100 << 20;

fn records(ids: std::ops::Range<u64>) -> Vec<Record> {
    ids.map(|n| Record::new(n, vec![1.0, n as f32])).collect()
}

#[test]
fn while_little_is_free_records_can_be_deleted_and_merged_away_but_not_added() {
    let root = tempfile::tempdir().unwrap();
    block_on(async {
        let env = Env::local(root.path(), Access::Write, Limits::default()).unwrap();
        let (env, traps) = trapped(env);
        let clock = env.clock.clone();
        let options = Options { disk_reserve: RESERVE, auto_compact: false, ..Options::default() };
        let database = Database::new(env, Access::Write, options).unwrap();
        let docs = database.open_or_create("docs", Config::new(2, Metric::L2), None).await.unwrap();
        traps.free.store(RESERVE, Ordering::SeqCst);
        for part in 0..4 {
            docs.upsert(records(part * 100..part * 100 + 100)).await.unwrap();
            docs.flush().await.unwrap();
        }
        docs.upsert(records(400..410)).await.unwrap();

        traps.free.store(RESERVE - 1, Ordering::SeqCst);
        // It is not asked at every write.
        clock.sleep(Duration::from_millis(1100)).await;
        let update = Update::new(3u64).vector([2.0, 3.0]);
        for refused in [docs.upsert(records(500..501)).await, docs.update(vec![update]).await] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
            assert!(error.message().contains("104857599 bytes are free"), "{error}");
        }
        assert_eq!(docs.count(), 410);
        docs.delete((0..300u64).map(Id::from).collect()).await.unwrap();
        docs.flush().await.unwrap();
        docs.compact().await.unwrap();
        docs.vacuum().await.unwrap();
        assert_eq!((docs.count(), docs.stats().segments.len()), (110, 1));

        traps.free.store(RESERVE, Ordering::SeqCst);
        clock.sleep(Duration::from_millis(1100)).await;
        docs.upsert(records(500..501)).await.unwrap();
        assert_eq!(docs.count(), 111);
        docs.close().await.unwrap();
    });
}

#[test]
fn no_more_is_merged_than_there_is_room_for() {
    let root = tempfile::tempdir().unwrap();
    block_on(async {
        let env = Env::local(root.path(), Access::Write, Limits::default()).unwrap();
        let (env, traps) = trapped(env);
        let options = Options { disk_reserve: 0, auto_compact: false, ..Options::default() };
        let database = Database::new(env, Access::Write, options).unwrap();
        let docs = database.open_or_create("docs", Config::new(2, Metric::L2), None).await.unwrap();
        for part in 0..8 {
            docs.upsert(records(part * 100..part * 100 + 100)).await.unwrap();
            docs.flush().await.unwrap();
        }
        let one = docs.stats().segments[0].bytes;
        traps.free.store(one, Ordering::SeqCst);
        docs.settle().await.unwrap();
        assert_eq!(docs.stats().segments.len(), 8, "there is no room for two");
        traps.free.store(one * 100, Ordering::SeqCst);
        docs.settle().await.unwrap();
        assert!(docs.stats().segments.len() < 8);
        assert_eq!(docs.count(), 800);
        docs.close().await.unwrap();
    });
}
