use super::puts::{assert_taken, put};
use super::{assert_absent, get, keys, list, listed_keys, pattern};
use crate::{Listed, Object, ObjectWriter, Store, StoreErrorKind};

async fn create(store: &dyn Store, key: &str) -> Box<dyn ObjectWriter> {
    store.create(key).await.unwrap_or_else(|error| panic!("create: {error}"))
}

async fn open(store: &dyn Store, key: &str) -> Box<dyn Object> {
    store.open(key, None).await.unwrap_or_else(|error| panic!("open: {error}"))
}

async fn read(object: &dyn Object, offset: u64, length: usize) -> Vec<u8> {
    // Not zeros, so that bytes which were not filled in show.
    let mut out = vec![0xa5; length];
    let read = object.read_into(offset, &mut out).await;
    read.unwrap_or_else(|error| panic!("read of {length} bytes at {offset}: {error}"));
    out
}

pub(super) async fn object_appears_whole(store: &dyn Store) {
    for key in keys() {
        let folder = &key[..=key.rfind('/').expect("a folder")];
        let mut writer = create(store, &key).await;
        assert_absent(store, &key).await;
        for part in [&b"some "[..], b"", b"bytes"] {
            writer.write(part).await.expect("write");
            assert_absent(store, &key).await;
            assert_eq!(list(store, folder).await, [], "an unfinished object is listed");
        }
        writer.finish().await.expect("finish");
        assert_eq!(get(store, &key).await, b"some bytes");
        assert_eq!(list(store, folder).await, [Listed { key: key.clone(), length: 10 }]);
        assert_taken(store, &key).await;
        assert_eq!(get(store, &key).await, b"some bytes", "{key}: a later put changed it");
    }
}

pub(super) async fn dropped_writer_leaves_nothing(store: &dyn Store) {
    for (key, writes) in [("a/none", 0), ("a/one", 1), ("a/many", 100)] {
        let mut writer = create(store, key).await;
        for _ in 0..writes {
            writer.write(&[1; 10_000]).await.expect("write");
        }
        drop(writer);
        assert_absent(store, key).await;
        assert_eq!(list(store, "a/").await, []);
        // The key is as free as before.
        put(store, key, b"put").await;
        assert_eq!(get(store, key).await, b"put");
        store.delete(key).await.expect("delete");
    }
}

pub(super) async fn large_object(store: &dyn Store) {
    let body = pattern((17 << 20) + 12_345);
    let mut writer = create(store, "large/object").await;
    let mut rest = &body[..];
    for size in [1, 4_095, 4_097, 65_537, 1, 999_983, 17].into_iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        writer.write(piece).await.expect("write");
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    writer.finish().await.expect("finish");
    assert!(get(store, "large/object").await == body, "the bytes are those written");
    let object = open(store, "large/object").await;
    for (offset, length) in [(0, 1), (65_535, 2), (999_983, 1 << 20), (5 << 20, 70_001)] {
        let expected = &body[offset..offset + length];
        assert!(read(&*object, offset as u64, length).await == expected, "at {offset}");
    }
}

pub(super) async fn empty_object(store: &dyn Store) {
    create(store, "empty/object").await.finish().await.expect("finish");
    assert_eq!(get(store, "empty/object").await, b"");
    assert_eq!(list(store, "empty/").await, [Listed { key: "empty/object".to_owned(), length: 0 }]);
    let object = open(store, "empty/object").await;
    assert_eq!(object.length(), 0);
    assert!(object.read_into(0, &mut []).await.is_ok());
    assert!(object.read_into(0, &mut [0]).await.is_err());
}

pub(super) async fn writers_side_by_side(store: &dyn Store) {
    let mut writers = Vec::new();
    for number in 0..4u8 {
        writers.push((number, create(store, &format!("side/{number}")).await));
    }
    for _ in 0..10 {
        for (number, writer) in &mut writers {
            writer.write(&[*number; 100]).await.expect("write");
        }
    }
    // The second is given up while the others go on.
    drop(writers.remove(1));
    for (_, writer) in writers {
        writer.finish().await.expect("finish");
    }
    assert_eq!(listed_keys(store, "side/").await, ["side/0", "side/2", "side/3"]);
    for number in [0u8, 2, 3] {
        assert_eq!(get(store, &format!("side/{number}")).await, vec![number; 1000]);
    }
}

pub(super) async fn reads(store: &dyn Store) {
    let body = pattern(1000);
    put(store, "read/object", &body).await;
    let object = open(store, "read/object").await;
    assert_eq!(object.length(), 1000);
    for (offset, length) in
        [(0, 1000), (0, 1), (999, 1), (1, 998), (500, 500), (0, 0), (7, 0), (1000, 0)]
    {
        let read = read(&*object, offset as u64, length).await;
        assert_eq!(read, body[offset..offset + length], "{length} bytes at {offset}");
    }
    for (offset, length) in [(0, 1001), (999, 2), (1000, 1), (1001, 1), (5000, 10), (u64::MAX, 1)] {
        let read = object.read_into(offset, &mut vec![0; length]).await;
        assert!(read.is_err(), "{length} bytes at {offset} of 1000");
    }
    // A failed read is no end of the object.
    assert_eq!(read(&*object, 990, 10).await, body[990..]);
}

pub(super) async fn missing_object(store: &dyn Store) {
    for key in keys() {
        assert_absent(store, &key).await;
    }
    put(store, "some/object", b"").await;
    for key in ["some/objec", "some/object2", "some/other", "other/object"] {
        assert_absent(store, key).await;
    }
}

pub(super) async fn list_is_sorted_and_exact(store: &dyn Store) {
    assert_eq!(list(store, "a/").await, [], "an empty store");
    // In the order of keys `-` and `.` come before `/`, `0` after it.
    let mut keys =
        ["a/b/2", "a/b-/1", "a/b.x", "a/b0", "a/b/1", "ab/1", "a/c/d/e/f", "a0", "b/a/1"];
    for (length, key) in keys.iter().enumerate() {
        put(store, key, &vec![0; length]).await;
    }
    let lengths = keys.map(|key| (key, keys.iter().position(|other| *other == key)));
    keys.sort_unstable();
    for prefix in ["a/", "a/b/", "a/b-/", "ab/", "a/c/", "a/c/d/e/", "b/", "b/a/", "c/", "a/c/x/"] {
        let expected: Vec<_> = keys.iter().copied().filter(|key| key.starts_with(prefix)).collect();
        let listed = list(store, prefix).await;
        let found: Vec<_> = listed.iter().map(|listed| listed.key.as_str()).collect();
        assert_eq!(found, expected, "prefix {prefix}");
        for Listed { key, length } in &listed {
            let expected = lengths.iter().find(|(other, _)| other == key).and_then(|found| found.1);
            assert_eq!(Some(*length), expected.map(|length| length as u64), "length of {key}");
        }
    }
}

pub(super) async fn delete_is_idempotent(store: &dyn Store) {
    store.delete("never/there").await.expect("delete of what was never there");
    for key in keys() {
        put(store, &key, b"bytes").await;
        let sibling = format!("{key}0");
        put(store, &sibling, b"sibling").await;
        let object = open(store, &key).await;
        for _ in 0..2 {
            store.delete(&key).await.expect("delete");
            assert_absent(store, &key).await;
        }
        assert_eq!(get(store, &sibling).await, b"sibling", "only the key is deleted");
        // Readable where the store can, and never other bytes.
        let mut out = [0; 5];
        if object.read_into(0, &mut out).await.is_ok() {
            assert_eq!(&out, b"bytes");
        }
    }
}

/// An object that was opened stays readable when it is deleted: for stores that can, which is
/// not asked of all.
pub async fn deleted_object_stays_readable(store: &dyn Store) {
    let body = pattern(300_000);
    put(store, "kept/open", &body).await;
    let object = open(store, "kept/open").await;
    store.delete("kept/open").await.expect("delete");
    assert_absent(store, "kept/open").await;
    assert_eq!(object.length(), body.len() as u64);
    assert!(read(&*object, 0, body.len()).await == body);
}

/// Keys are flat: that other keys begin with it does not make a key an object, and an object's
/// key is no folder.
pub(super) async fn keys_are_no_folders(store: &dyn Store) {
    put(store, "top/folder/object", b"bytes").await;
    for key in ["top/folder", "top/folder/object/below"] {
        let error = store.open(key, None).await.expect_err(key);
        assert_eq!(error.kind(), StoreErrorKind::NotFound, "open: {error}");
        store.delete(key).await.unwrap_or_else(|error| panic!("delete: {error}"));
    }
    assert_eq!(list(store, "top/folder/object/").await, [], "no objects below an object's key");
    assert_eq!(get(store, "top/folder/object").await, b"bytes");
}

/// A copy is as durable and as whole as an object that was written, and stays when the first goes.
pub(super) async fn copies_stand_alone(store: &dyn Store) {
    let body = pattern(100_000);
    let mut writer = create(store, "a/first").await;
    writer.write(&body).await.expect("write");
    writer.finish().await.expect("finish");
    let length = body.len() as u64;
    let copied = store.copy_from(store, "a/first", length, "b/c/second").await;
    if !copied.expect("copy") {
        return assert_absent(store, "b/c/second").await;
    }
    store.delete("a/first").await.expect("delete");
    assert_eq!(get(store, "b/c/second").await, body);
    assert_eq!(list(store, "b/").await, [Listed { key: "b/c/second".to_owned(), length }]);
    let missing = store.copy_from(store, "a/first", length, "b/third").await;
    assert_eq!(missing.expect_err("no such object").kind(), StoreErrorKind::NotFound);
    assert_absent(store, "b/third").await;
}

/// What is beside objects goes; objects stay, and what was cleared can be written again.
pub(super) async fn cleared_prefix_is_free(store: &dyn Store) {
    put(store, "a/b/object", b"one").await;
    store.clear_prefix("a/").await.expect("clear");
    assert_eq!(get(store, "a/b/object").await, b"one");
    store.delete("a/b/object").await.expect("delete");
    store.clear_prefix("a/").await.expect("clear");
    store.clear_prefix("nothing/").await.expect("clear nothing");
    assert_eq!(list(store, "a/").await, []);
    put(store, "a/b/object", b"two").await;
    assert_eq!(get(store, "a/b/object").await, b"two");
}
