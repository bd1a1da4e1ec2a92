//! In which order a directory store makes things durable, and what it says when a step fails.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod recorder;

use std::sync::Arc;

use bytes::Bytes;
use futures_lite::future::block_on;
use recorder::{Counting, Recorder};
use tempfile::TempDir;
use vecgo_io::{Access, DirectoryStore, Disk, Logs, PutOutcome, Store, StoreError, StoreErrorKind};

/// A store over a recorder, and what it takes to look behind it.
struct Recorded {
    store: DirectoryStore,
    disk: Arc<Recorder>,
    _root: TempDir,
}

impl Recorded {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let disk = Arc::new(Recorder::new(root.path()));
        let shared = Arc::clone(&disk) as Arc<dyn Disk>;
        let store = DirectoryStore::new(shared, Arc::new(Counting::default()), Access::Write);
        Self { store, disk, _root: root }
    }

    fn put(&self, key: &str) -> Result<PutOutcome, StoreError> {
        block_on(self.store.put_if_absent(key, Bytes::from_static(b"bytes")))
    }

    fn write(&self, key: &str) -> Result<(), StoreError> {
        block_on(async {
            let mut writer = Store::create(&self.store, key).await?;
            writer.write(b"some ").await?;
            writer.write(b"bytes").await?;
            writer.finish().await
        })
    }

    fn log(&self, key: &str) -> Result<(), StoreError> {
        block_on(async {
            let mut log = Logs::create(&self.store, key).await?;
            log.append(b"some ").await?;
            log.append(b"bytes").await?;
            log.sync().await
        })
    }

    /// What has succeeded since the last call.
    fn trace(&self) -> Vec<String> {
        self.disk.take_trace()
    }

    /// The object's bytes once no call fails any more, if it is visible. Listed and opened agree.
    fn visible(&self, key: &str) -> Option<Vec<u8>> {
        self.disk.heal();
        let listed = block_on(self.store.list("a/")).expect("list");
        let listed = listed.iter().any(|listed| listed.key == key);
        match block_on(self.store.get(key)) {
            Ok(bytes) => {
                assert!(listed, "{key} is opened but not listed");
                Some(bytes)
            }
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::NotFound, "{error}");
                assert!(!listed, "{key} is listed but not opened");
                None
            }
        }
    }
}

#[test]
fn put_is_synced_before_it_has_its_name() {
    let recorded = Recorded::new();
    // The first put in a directory makes sure of the directory too.
    assert!(matches!(recorded.put("a/other"), Ok(PutOutcome::Committed)));
    recorded.trace();
    assert!(matches!(recorded.put("a/key"), Ok(PutOutcome::Committed)));
    assert_eq!(
        recorded.trace(),
        [
            "create_new a/.key.0000000000000002",
            "append a/.key.0000000000000002",
            "sync a/.key.0000000000000002",
            "link a/.key.0000000000000002 a/key",
            "remove a/.key.0000000000000002",
            "sync_dir a",
        ]
    );
    assert!(matches!(recorded.put("a/key"), Ok(PutOutcome::Conflict)));
    let trace = recorded.trace();
    assert!(trace.iter().all(|call| !call.starts_with("link")), "{trace:?}");
}

#[test]
fn object_is_synced_before_it_has_its_name() {
    let recorded = Recorded::new();
    recorded.write("a/other").expect("write");
    recorded.trace();
    recorded.write("a/key").expect("write");
    assert_eq!(
        recorded.trace(),
        [
            "create_new a/.key.0000000000000002",
            "append a/.key.0000000000000002",
            "append a/.key.0000000000000002",
            "sync a/.key.0000000000000002",
            "rename a/.key.0000000000000002 a/key",
            "sync_dir a",
        ]
    );
}

#[test]
fn log_has_a_durable_name_before_it_is_written() {
    let recorded = Recorded::new();
    recorded.log("log").expect("log");
    assert_eq!(
        recorded.trace(),
        ["create_new log", "sync_dir ", "append log", "append log", "sync log"]
    );
}

#[test]
fn delete_is_durable() {
    let recorded = Recorded::new();
    assert!(matches!(recorded.put("a/key"), Ok(PutOutcome::Committed)));
    recorded.trace();
    block_on(recorded.store.delete("a/key")).expect("delete");
    assert_eq!(recorded.trace(), ["remove a/key", "sync_dir a"]);
}

/// Whatever is put first: each directory's name is durable before anything is put inside it.
#[test]
fn new_directories_are_synced_one_by_one() {
    let made = [
        "create_dir a",
        "sync_dir ",
        "create_dir a/b",
        "sync_dir a",
        "create_dir a/b/c",
        "sync_dir a/b",
    ];
    let first = |run: &dyn Fn(&Recorded)| {
        let recorded = Recorded::new();
        run(&recorded);
        recorded.trace()
    };
    let traces = [
        first(&|recorded| assert!(recorded.put("a/b/c/key").is_ok())),
        first(&|recorded| assert!(recorded.write("a/b/c/key").is_ok())),
        first(&|recorded| assert!(recorded.log("a/b/c/key").is_ok())),
        first(&|recorded| {
            assert!(block_on(recorded.store.lock("a/b/c/key", "holder")).is_ok());
        }),
    ];
    for trace in traces {
        assert_eq!(trace[..made.len()], made);
        assert!(
            trace[made.len()..].iter().all(|call| !call.starts_with("create_dir")),
            "{trace:?}"
        );
    }
}

/// A process that was killed between making a directory and syncing its parent leaves this. What
/// is then put inside and reported durable must not vanish with the directory's name.
#[test]
fn directory_left_unsynced_is_synced_before_it_is_relied_on() {
    for run in [
        &(|recorded: &Recorded| assert!(matches!(recorded.put("a/key"), Ok(PutOutcome::Committed))))
            as &dyn Fn(&Recorded),
        &|recorded| recorded.write("a/key").expect("write"),
        &|recorded| recorded.log("a/key").expect("log"),
    ] {
        let recorded = Recorded::new();
        recorded.disk.create_dir("a").expect("a directory");
        recorded.trace();
        run(&recorded);
        let trace = recorded.trace();
        assert!(trace.iter().any(|call| call == "sync_dir "), "the root is not synced: {trace:?}");
    }
}

/// The same within one process: the first attempt failed where the directory's name was synced.
#[test]
fn directory_whose_sync_failed_is_not_relied_on() {
    let recorded = Recorded::new();
    recorded.disk.fail("sync_dir ");
    assert!(recorded.put("a/key").is_err());
    recorded.disk.heal();
    recorded.trace();
    if let Ok(PutOutcome::Committed) = recorded.put("a/key") {
        let trace = recorded.trace();
        assert!(trace.iter().any(|call| call == "sync_dir "), "the root is not synced: {trace:?}");
    }
}

#[test]
fn failed_put_says_what_is_known() {
    for step in ["create_new ", "append ", "sync ", "link "] {
        let recorded = Recorded::new();
        recorded.disk.fail(step);
        assert!(recorded.put("a/key").is_err(), "{step}");
        assert_eq!(recorded.visible("a/key"), None, "{step}");
    }
    let recorded = Recorded::new();
    assert!(recorded.put("a/before").is_ok());
    recorded.disk.fail("sync_dir a");
    let outcome = recorded.put("a/key");
    assert!(matches!(outcome, Ok(PutOutcome::Unknown(_))), "{outcome:?}");
    // A temporary name that cannot be removed is nobody's trouble.
    let recorded = Recorded::new();
    recorded.disk.fail("remove ");
    assert!(matches!(recorded.put("a/key"), Ok(PutOutcome::Committed)));
    let listed = block_on(recorded.store.list("a/")).expect("list");
    assert_eq!(listed.len(), 1, "{listed:?}");
}

#[test]
fn failed_write_leaves_nothing() {
    for step in ["create_new ", "append ", "sync ", "rename "] {
        let recorded = Recorded::new();
        recorded.disk.fail(step);
        assert!(recorded.write("a/key").is_err(), "{step}");
        assert_eq!(recorded.visible("a/key"), None, "{step}");
    }
    let recorded = Recorded::new();
    assert!(recorded.put("a/before").is_ok());
    recorded.disk.fail("sync_dir a");
    assert!(recorded.write("a/key").is_err());
}

#[test]
fn failed_log_says_so() {
    for step in ["create_new ", "append ", "sync ", "sync_dir "] {
        let recorded = Recorded::new();
        recorded.disk.fail(step);
        assert!(recorded.log("log").is_err(), "{step}");
    }
}

/// The n-th call fails, once or from then on, for every n until nothing fails any more.
#[test]
fn every_call_may_fail() {
    for lasting in [false, true] {
        sweep(lasting, |recorded| match recorded.put("a/b/key") {
            Ok(PutOutcome::Committed) => Said::Done,
            Ok(PutOutcome::Unknown(_)) => Said::Unknown,
            Ok(PutOutcome::Conflict) => panic!("a conflict with nobody"),
            Err(_) => Said::Failed,
        });
        // `finish` leaves open what an error means.
        sweep(lasting, |recorded| match recorded.write("a/b/key") {
            Ok(()) => Said::Done,
            Err(_) => Said::Unknown,
        });
    }
}

enum Said {
    Done,
    Unknown,
    Failed,
}

fn sweep(lasting: bool, run: impl Fn(&Recorded) -> Said) {
    for call in 0.. {
        let recorded = Recorded::new();
        recorded.disk.fail_at(call, lasting);
        let said = run(&recorded);
        let failed = recorded.disk.failed();
        let visible = recorded.visible("a/b/key");
        match said {
            Said::Done => assert!(visible.is_some(), "call {call}: done but not there"),
            Said::Failed => assert!(visible.is_none(), "call {call}: failed but there"),
            Said::Unknown => {}
        }
        if let Some(bytes) = visible {
            assert!(bytes.ends_with(b"bytes"), "call {call}: a part is visible: {bytes:?}");
        }
        if !failed {
            assert!(matches!(said, Said::Done), "nothing failed");
            assert!(call > 6, "all steps were reached");
            return;
        }
    }
}
