//! The promises of [`Store`], [`ObjectWriter`](crate::ObjectWriter), [`Object`](crate::Object),
//! [`Logs`](crate::Logs) and [`Log`](crate::Log) as one suite that every implementation passes.
//!
//! Each function panics at the first promise that is not kept. The suite runs as it stands on a
//! store that is slow or remote: it depends on no executor, and asks of a store only what its
//! documentation says.

#![expect(clippy::expect_used, clippy::panic, reason = "a test suite fails by panicking")]

mod locks;
mod logs;
mod objects;
mod puts;

use std::sync::Arc;

pub use locks::lock_is_exclusive;
pub use logs::logs;
pub use objects::deleted_object_stays_readable;

use crate::{Listed, Store, StoreErrorKind};

/// What a collection's keys begin with.
const COLLECTION: &str = "collections/00112233445566778899aabbccddeeff/";

/// Keys of every shape that the formats use.
fn keys() -> [String; 5] {
    [
        "catalogue/18446744073709551614".to_owned(),
        format!("{COLLECTION}manifest/18446744073709551614"),
        format!("{COLLECTION}log/00000000000000000001"),
        format!("{COLLECTION}segment/0000000000000001-0123456789abcdef"),
        format!("{COLLECTION}deletes/0000000000000001-fedcba9876543210"),
    ]
}

/// Checks every promise of a store, with so many races for a name: some servers take seconds for each.
/// `make` gives an empty one each time.
pub async fn store(races: u32, make: impl Fn() -> Arc<dyn Store>) {
    puts::first_put_wins(&*make()).await;
    puts::one_of_many_wins(make(), races).await;
    objects::object_appears_whole(&*make()).await;
    objects::dropped_writer_leaves_nothing(&*make()).await;
    objects::large_object(&*make()).await;
    objects::empty_object(&*make()).await;
    objects::writers_side_by_side(&*make()).await;
    objects::reads(&*make()).await;
    objects::missing_object(&*make()).await;
    objects::list_is_sorted_and_exact(&*make()).await;
    objects::delete_is_idempotent(&*make()).await;
    objects::copies_stand_alone(&*make()).await;
    objects::cleared_prefix_is_free(&*make()).await;
    lock_is_exclusive(&*make()).await;
    objects::keys_are_no_folders(&*make()).await;
}

async fn get(store: &dyn Store, key: &str) -> Vec<u8> {
    store.get(key).await.unwrap_or_else(|error| panic!("get: {error}"))
}

async fn list(store: &dyn Store, prefix: &str) -> Vec<Listed> {
    store.list(prefix).await.unwrap_or_else(|error| panic!("list {prefix:?}: {error}"))
}

async fn listed_keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    list(store, prefix).await.into_iter().map(|listed| listed.key).collect()
}

/// Neither opened nor listed.
async fn assert_absent(store: &dyn Store, key: &str) {
    let error = store.open(key, None).await.expect_err(&format!("{key} can be opened"));
    assert_eq!(error.kind(), StoreErrorKind::NotFound, "{error}");
    let folder = &key[..=key.rfind('/').expect("a key in a folder")];
    let listed = listed_keys(store, folder).await;
    assert!(!listed.iter().any(|other| other == key), "{key} is listed");
}

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (0u32..).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes()).take(length).collect()
}
