//! Every store of this crate passes the conformance suite.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::sync::Arc;

use futures_lite::future::block_on;
use tempfile::TempDir;
use vecgo_io::{Access, DirectoryStore, LocalDisk, MemoryStore, Store, SystemRand, conformance};

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

/// Empty directories of this machine, one after the other.
struct Directories {
    root: TempDir,
    made: Cell<u32>,
}

impl Directories {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a directory"), made: Cell::new(0) }
    }

    fn make(&self) -> Arc<DirectoryStore> {
        let number = self.made.replace(self.made.get() + 1);
        let root = self.root.path().join(number.to_string());
        let disk = Arc::new(LocalDisk::create(&root).expect("a directory"));
        let rand = Arc::new(SystemRand::new().expect("randomness"));
        Arc::new(DirectoryStore::new(disk, rand, Access::Write))
    }
}

#[test]
fn memory_store() {
    block_on(conformance::store(16, memory));
    block_on(conformance::deleted_object_stays_readable(&*memory()));
}

#[test]
fn directory_store() {
    let directories = Directories::new();
    block_on(conformance::deleted_object_stays_readable(&*directories.make()));
    block_on(conformance::store(16, || directories.make()));
}

#[test]
fn directory_logs() {
    let directories = Directories::new();
    block_on(conformance::logs(|| {
        let store = directories.make();
        (Arc::clone(&store) as Arc<dyn Store>, store)
    }));
}
