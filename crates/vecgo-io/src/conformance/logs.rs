use std::sync::Arc;

use super::{COLLECTION, get, list};
use crate::{Listed, Log, Logs, Store, StoreError, StoreErrorKind};

fn key(number: u64) -> String {
    format!("{COLLECTION}log/{number:020}")
}

async fn create(logs: &dyn Logs, number: u64) -> Box<dyn Log> {
    let log = logs.create(&key(number)).await;
    log.unwrap_or_else(|error| panic!("create: {error}"))
}

/// Checks every promise of logs and of the store in which they are read. `make` gives an empty
/// pair each time.
pub async fn logs(make: impl Fn() -> (Arc<dyn Store>, Arc<dyn Logs>)) {
    let (store, logs) = make();
    synced_is_read_back(&*store, &*logs).await;
    let (store, logs) = make();
    key_is_used_once(&*store, &*logs).await;
    let (store, logs) = make();
    grows_after_a_sync(&*store, &*logs).await;
    unsynced_survives_a_drop(&*store, &*logs).await;
}

async fn synced_is_read_back(store: &dyn Store, logs: &dyn Logs) {
    let mut log = create(logs, 1).await;
    log.append(b"header, ").await.expect("append");
    log.append(b"").await.expect("append nothing");
    log.append(&[7; 200_000]).await.expect("append");
    log.sync().await.expect("sync");
    let expected = [&b"header, "[..], &[7; 200_000]].concat();
    assert!(get(store, &key(1)).await == expected, "what was synced is read");
    let folder = format!("{COLLECTION}log/");
    let listed = Listed { key: key(1), length: expected.len() as u64 };
    assert_eq!(list(store, &folder).await, [listed]);
    drop(log);
    assert!(get(store, &key(1)).await == expected, "dropping a log changes nothing");
}

async fn append_and_sync(logs: &dyn Logs, number: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let mut log = logs.create(&key(number)).await?;
    log.append(bytes).await?;
    log.sync().await
}

async fn key_is_used_once(store: &dyn Store, logs: &dyn Logs) {
    append_and_sync(logs, 1, b"first").await.expect("first");
    for _ in 0..2 {
        let again = append_and_sync(logs, 1, b"second").await.expect_err("a log's key again");
        assert_eq!(again.kind(), StoreErrorKind::AlreadyExists, "{again}");
        assert_eq!(get(store, &key(1)).await, b"first", "the first log's bytes are kept");
    }
    // The same while neither is synced: one of the two at most.
    let mut first = create(logs, 2).await;
    first.append(b"first").await.expect("append");
    let second = append_and_sync(logs, 2, b"second").await;
    let first = first.sync().await;
    let (winner, loser) = match (&first, &second) {
        (Ok(()), Err(error)) => ("first", error),
        (Err(error), Ok(())) => ("second", error),
        both => panic!("one of two logs at one key wins: {both:?}"),
    };
    assert_eq!(loser.kind(), StoreErrorKind::AlreadyExists, "{loser}");
    assert_eq!(get(store, &key(2)).await, winner.as_bytes());
}

async fn grows_after_a_sync(store: &dyn Store, logs: &dyn Logs) {
    let mut log = create(logs, 1).await;
    let mut expected = Vec::new();
    let mut opened = Vec::new();
    for round in 0..20u8 {
        let bytes = vec![round; usize::from(round) * 1000 + 1];
        log.append(&bytes).await.expect("append");
        expected.extend_from_slice(&bytes);
        log.sync().await.expect("sync");
        assert!(get(store, &key(1)).await == expected, "after sync {round}");
        opened.push((store.open(&key(1), None).await.expect("open"), expected.len()));
    }
    for (object, length) in opened {
        let mut out = vec![0; length];
        object.read_into(0, &mut out).await.expect("an object that has grown since");
        assert!(out == expected[..length]);
    }
}

async fn unsynced_survives_a_drop(store: &dyn Store, logs: &dyn Logs) {
    let mut log = create(logs, 2).await;
    log.append(b"synced,").await.expect("append");
    log.sync().await.expect("sync");
    log.append(b"not synced").await.expect("append");
    drop(log);
    assert_eq!(get(store, &key(2)).await, b"synced,not synced");
}
