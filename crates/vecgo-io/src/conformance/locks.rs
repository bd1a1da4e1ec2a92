use super::{COLLECTION, get, puts};
use crate::{Store, StoreErrorKind};

/// A lock has one holder, whom the others are told, until it is dropped. Passes a store that has
/// no locks and says so.
pub async fn lock_is_exclusive(store: &dyn Store) {
    if !store.has_locks() {
        store.lock("collections/any/lock", "holder").await.expect_err("a lock where are none");
        return;
    }
    let key = format!("{COLLECTION}lock");
    let first = "process 1234 on some-host, a name longer than the next";
    let held = store.lock(&key, first).await.expect("lock");
    for attempt in ["process 5678", "process 1234 on some-host"] {
        let error = store.lock(&key, attempt).await.expect_err("a lock that is held");
        assert_eq!(error.kind(), StoreErrorKind::Busy, "{error}");
        assert_eq!(error.key(), key);
        assert!(error.to_string().contains(first), "{error}: does not name the holder");
    }
    let _other = store.lock("collections/other/lock", "another").await.expect("another lock");
    // A lock stands in nobody's way but other lockers'.
    let object = format!("{COLLECTION}manifest/18446744073709551614");
    puts::put(store, &object, b"bytes").await;
    assert_eq!(get(store, &object).await, b"bytes");

    drop(held);
    let held = store.lock(&key, "next").await.expect("a lock that was dropped is free");
    let error = store.lock(&key, "third").await.expect_err("a lock that is held");
    let text = error.to_string();
    assert!(text.contains("next"), "{text}: does not name the holder");
    assert!(!text.contains("some-host"), "{text}: names a former holder");
    drop(held);
}
