use std::sync::Arc;

use bytes::Bytes;

use super::{assert_absent, get, keys, list};
use crate::{Listed, PutOutcome, SpawnExt, Store, StoreErrorKind, ThreadPool};

pub(super) async fn put(store: &dyn Store, key: &str, body: &[u8]) {
    let outcome = store.put_if_absent(key, Bytes::copy_from_slice(body)).await;
    assert!(matches!(outcome, Ok(PutOutcome::Committed)), "put {key}: {outcome:?}");
}

pub(super) async fn assert_taken(store: &dyn Store, key: &str) {
    let outcome = store.put_if_absent(key, Bytes::from_static(b"another")).await;
    assert!(matches!(outcome, Ok(PutOutcome::Conflict)), "put {key} again: {outcome:?}");
}

pub(super) async fn first_put_wins(store: &dyn Store) {
    for key in keys() {
        assert_absent(store, &key).await;
        put(store, &key, b"first").await;
        assert_taken(store, &key).await;
        assert_eq!(get(store, &key).await, b"first", "{key}: the first put's bytes are kept");
        let folder = &key[..=key.rfind('/').unwrap_or(0)];
        assert_eq!(list(store, folder).await, [Listed { key: key.clone(), length: 5 }]);
    }
    put(store, "empty/object", b"").await;
    assert_taken(store, "empty/object").await;
    assert_eq!(get(store, "empty/object").await, b"");
}

/// In a folder that is not there yet, so that a directory store's writers race for that too.
pub(super) async fn one_of_many_wins(store: Arc<dyn Store>, races: u32) {
    const WRITERS: u8 = 16;
    const LENGTH: usize = 10_000;
    // SeaweedFS has one of many look once a second whether it is its turn, so one may be without an answer when its
    // time is up. What became of its put it is told when it asks again.
    const TRIES: usize = 5;
    let threads = ThreadPool::new().expect("threads");
    for round in 0..races {
        let key = format!("race/{round}/folder/00000000000000000001");
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, key) = (Arc::clone(&store), key.clone());
                let body = Bytes::from(vec![writer; LENGTH]);
                threads.start(async move {
                    let mut doubt = false;
                    for _ in 0..TRIES {
                        match store.put_if_absent(&key, body.clone()).await {
                            Ok(PutOutcome::Committed) => return Some(writer),
                            Ok(PutOutcome::Conflict) => {
                                let is_ours = doubt && get(&*store, &key).await == body;
                                return is_ours.then_some(writer);
                            }
                            Ok(PutOutcome::Unknown(error))
                                if error.kind() == StoreErrorKind::Unavailable =>
                            {
                                doubt = true;
                            }
                            other => panic!("put {key}: {other:?}"),
                        }
                    }
                    panic!("put {key}: no answer");
                })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            winners.extend(writer.await.expect("no writer panics"));
        }
        assert_eq!(winners.len(), 1, "{key}: exactly one put is committed, not {winners:?}");
        assert_eq!(get(&*store, &key).await, vec![winners[0]; LENGTH], "{key}: the winner's bytes");
        let folder = format!("race/{round}/");
        assert_eq!(list(&*store, &folder).await, [Listed { key, length: LENGTH as u64 }]);
    }
}
