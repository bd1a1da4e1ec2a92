//! What a directory store promises beyond what every store does.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test looks at the directory from outside")]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_lite::future::block_on;
use rustix::fs::Mode;
use rustix::process::{getuid, umask};
use tempfile::TempDir;
use vecgo_io::{
    Access, DirectoryStore, Env, Limits, LocalDisk, Logs, OpenError, PutOutcome, Store, StoreError,
    StoreErrorKind, SystemRand,
};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A store of its own over the directory, as another process would have it.
fn open(root: &Path, access: Access) -> DirectoryStore {
    let disk = Arc::new(LocalDisk::open(root).expect("a directory"));
    DirectoryStore::new(disk, Arc::new(SystemRand::new().expect("randomness")), access)
}

fn put(store: &DirectoryStore, key: &str, body: &'static str) {
    let outcome = block_on(store.put_if_absent(key, Bytes::from_static(body.as_bytes())));
    assert!(matches!(outcome, Ok(PutOutcome::Committed)), "{outcome:?}");
}

/// Everything below a directory, with its permissions.
fn tree(root: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::metadata(&path).expect("metadata");
        if metadata.is_dir() {
            left.extend(
                fs::read_dir(&path).expect("list").map(|entry| entry.expect("entry").path()),
            );
        }
        found.insert(path, metadata.permissions().mode() & 0o7777);
    }
    found
}

#[test]
fn only_the_owner_may_look() {
    let parent = directory();
    let root = parent.path().join("some/new/root");
    // The most permissive mask; it is the process's, and no other test here minds.
    let mask = umask(Mode::empty());
    LocalDisk::create(&root).expect("a directory");
    let store = open(&root, Access::Write);
    put(&store, "catalogue/18446744073709551614", "bytes");
    let lock = block_on(store.lock("collections/x/lock", "holder")).expect("lock");
    let unfinished = block_on(async {
        let mut writer = Store::create(&store, "collections/x/segment/one").await?;
        writer.write(b"bytes").await?;
        writer.finish().await?;
        let mut log = Logs::create(&store, "collections/x/log/00000000000000000001").await?;
        log.append(b"bytes").await?;
        log.sync().await?;
        let mut unfinished = Store::create(&store, "collections/x/segment/two").await?;
        unfinished.write(b"bytes").await?;
        Ok::<_, StoreError>(unfinished)
    });
    umask(mask);
    let found = tree(&parent.path().join("some"));
    assert_eq!(found.len(), 3 + 5 + 5, "directories, objects, a lock, a temporary: {found:?}");
    for (path, mode) in found {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{} has mode {mode:o}", path.display());
    }
    drop((lock, unfinished));
}

#[test]
fn lock_holds_across_handles() {
    let root = directory();
    let (ours, theirs) = (open(root.path(), Access::Write), open(root.path(), Access::Write));
    let key = "collections/x/lock";
    let held = block_on(ours.lock(key, "process 1 on host")).expect("lock");
    let busy = block_on(theirs.lock(key, "process 2 on host")).expect_err("held");
    assert_eq!(busy.kind(), StoreErrorKind::Busy);
    assert!(busy.to_string().contains("process 1 on host"), "{busy}");
    drop(ours);
    assert!(block_on(theirs.lock(key, "process 2")).is_err(), "the lock outlives its store");
    drop(held);
    assert!(block_on(theirs.lock(key, "process 2")).is_ok(), "a dropped lock is free");
}

/// The text of a lock file only informs: whatever is in it, a held lock is `Busy`.
#[test]
fn held_lock_is_busy_whatever_its_text() {
    for holder in
        ["", "é", &"long ".repeat(1000), &"é".repeat(3000), &format!("x{}", "é".repeat(3000))]
    {
        let root = directory();
        let store = open(root.path(), Access::Write);
        let held = block_on(store.lock("lock", holder)).expect("lock");
        let busy = block_on(store.lock("lock", "another")).expect_err("held");
        assert_eq!(busy.kind(), StoreErrorKind::Busy, "a holder of {} bytes: {busy}", holder.len());
        drop(held);
    }
    let root = directory();
    let store = open(root.path(), Access::Write);
    let held = block_on(store.lock("lock", "holder")).expect("lock");
    fs::write(root.path().join("lock"), [0xff; 50]).expect("damage");
    let busy = block_on(store.lock("lock", "another")).expect_err("held");
    assert_eq!(busy.kind(), StoreErrorKind::Busy, "{busy}");
    drop(held);
}

/// Everything that writes, against a store that must not be written.
fn assert_refuses_writes(store: &DirectoryStore, existing: &str) {
    let new = "catalogue/18446744073709551613";
    let mut refused = Vec::new();
    for key in [existing, new, "new/folder/key"] {
        refused.push(block_on(store.put_if_absent(key, Bytes::new())).map(|_| ()));
        refused.push(block_on(Store::create(store, key)).map(|_| ()));
        refused.push(block_on(Logs::create(store, key)).map(|_| ()));
        refused.push(block_on(store.delete(key)));
        refused.push(block_on(store.lock(key, "holder")).map(|_| ()));
    }
    for (at, refused) in refused.into_iter().enumerate() {
        let error = refused.expect_err(&format!("write {at} of a read-only store"));
        assert_eq!(error.kind(), StoreErrorKind::Denied, "write {at}: {error}");
    }
}

#[test]
fn reading_only_creates_nothing() {
    let root = directory();
    let key = "catalogue/18446744073709551614";
    put(&open(root.path(), Access::Write), key, "bytes");
    let before = tree(root.path());

    let store = open(root.path(), Access::Read);
    assert_refuses_writes(&store, key);
    assert_eq!(block_on(store.get(key)).expect("get"), b"bytes");
    assert_eq!(block_on(store.list("catalogue/")).expect("list").len(), 1);
    assert!(block_on(store.list("collections/x/")).expect("list").is_empty());
    assert_eq!(tree(root.path()), before);
}

/// Permissions do not bind root, for whom this shows only that reading writes nothing.
#[test]
fn reads_a_directory_that_cannot_be_written() {
    let root = directory();
    let key = "catalogue/18446744073709551614";
    put(&open(root.path(), Access::Write), key, "bytes");
    let directories = [root.path().join("catalogue"), root.path().to_owned()];
    let set_mode = |mode| {
        for directory in &directories {
            fs::set_permissions(directory, Permissions::from_mode(mode)).expect("permissions");
        }
    };
    set_mode(0o500);
    let env = Env::local(root.path(), Access::Read, Limits::default()).expect("open");
    assert_eq!(block_on(env.store.get(key)).expect("get"), b"bytes");
    assert_eq!(block_on(env.store.list("catalogue/")).expect("list").len(), 1);
    if !getuid().is_root() {
        // Opened to be written, which the medium does not allow.
        assert_refuses_writes_of_the_medium(&open(root.path(), Access::Write), key);
    }
    set_mode(0o700);
}

fn assert_refuses_writes_of_the_medium(store: &DirectoryStore, existing: &str) {
    let new = "catalogue/18446744073709551613";
    for key in [existing, new, "new/folder/key"] {
        let put = block_on(store.put_if_absent(key, Bytes::new()));
        assert_eq!(put.expect_err("put").kind(), StoreErrorKind::Denied, "{key}");
        let created = block_on(Store::create(store, key));
        assert_eq!(created.expect_err("create").kind(), StoreErrorKind::Denied, "{key}");
    }
    let deleted = block_on(store.delete(existing));
    assert_eq!(deleted.expect_err("delete").kind(), StoreErrorKind::Denied);
    assert_eq!(block_on(store.get(existing)).expect("get"), b"bytes");
}

fn kind_of(opened: Result<Env, OpenError>) -> StoreErrorKind {
    match opened {
        Err(OpenError::Store(error)) => error.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn root_that_is_no_directory() {
    let parent = directory();
    let file = parent.path().join("file");
    fs::write(&file, "precious").expect("a file");
    let dangling = parent.path().join("dangling");
    std::os::unix::fs::symlink(parent.path().join("nothing"), &dangling).expect("a link");
    for access in [Access::Read, Access::Write] {
        assert!(Env::local(&file, access, Limits::default()).is_err(), "{access:?}");
        assert!(Env::local(&file.join("below"), access, Limits::default()).is_err(), "{access:?}");
        assert!(Env::local(&dangling, access, Limits::default()).is_err(), "{access:?}");
    }
    let error = LocalDisk::open(&file).expect_err("a file");
    assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "precious");
    assert!(!parent.path().join("nothing").exists());

    let missing = parent.path().join("missing/root");
    assert_eq!(
        kind_of(Env::local(&missing, Access::Read, Limits::default())),
        StoreErrorKind::NotFound
    );
    assert!(!parent.path().join("missing").exists(), "a reader makes no directory");
    for _ in 0..2 {
        assert!(
            Env::local(&missing, Access::Write, Limits::default()).is_ok(),
            "a writer makes it once"
        );
    }
}

#[test]
fn leftover_temporary_files_are_ignored() {
    let root = directory();
    let store = open(root.path(), Access::Write);
    put(&store, "a/b/one", "bytes");
    for leftover in ["a/b/.one.0123456789abcdef", "a/b/.two.fedcba9876543210", "a/.x", ".y"] {
        fs::write(root.path().join(leftover), "torn").expect("a leftover");
    }
    fs::create_dir(root.path().join("a/.folder")).expect("a leftover");
    fs::write(root.path().join("a/.folder/key"), "torn").expect("a leftover");
    for prefix in ["a/", "a/b/"] {
        let listed = block_on(store.list(prefix)).expect("list");
        let keys: Vec<_> = listed.iter().map(|listed| listed.key.as_str()).collect();
        assert_eq!(keys, ["a/b/one"], "{prefix}");
    }
    put(&store, "a/b/two", "bytes");
    assert_eq!(block_on(store.get("a/b/two")).expect("get"), b"bytes");
}

#[test]
fn writes_leave_no_temporary_files() {
    let root = directory();
    let store = open(root.path(), Access::Write);
    put(&store, "a/one", "bytes");
    let conflict = block_on(store.put_if_absent("a/one", Bytes::from_static(b"other")));
    assert!(matches!(conflict, Ok(PutOutcome::Conflict)), "{conflict:?}");
    block_on(async {
        Store::create(&store, "a/two").await?.finish().await?;
        Store::create(&store, "a/three").await?.write(b"dropped").await
    })
    .expect("writes");
    let names: Vec<_> = tree(&root.path().join("a")).into_keys().skip(1).collect();
    assert_eq!(names, ["one", "two"].map(|name| root.path().join("a").join(name)));
}
