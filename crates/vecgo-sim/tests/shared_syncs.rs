//! Writes that wait together share one sync of the log.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::sync::Arc;

use vecgo_engine::{Collection, Config, Metric, Options, Record};
use vecgo_io::{Access, SpawnExt, Task};
use vecgo_sim::{Image, Machine, Process, Random, SimDisk};

const DIM: usize = 4;

fn records(ids: Range<u64>) -> Vec<Record> {
    ids.map(|id| Record::new(id, vec![1.0; DIM])).collect()
}

/// A collection whose log is there.
fn open(seed: u64) -> (SimDisk, Process, Collection) {
    let mut machine = Machine::boot(Image::default(), Random::new(seed), Arc::default());
    let process = machine.start(Access::Write, false);
    let database = process.database(Options::default()).unwrap();
    let config = Config::new(DIM, Metric::L2);
    let docs = process.run(database.open_or_create("docs", config, None)).unwrap().unwrap();
    process.run(docs.upsert(records(0..1))).unwrap().unwrap();
    (machine.disk, process, docs)
}

#[test]
fn a_batch_has_one_sync() {
    let (disk, process, docs) = open(1);
    let before = disk.syncs();
    let ack = process.run(docs.upsert(records(0..300))).unwrap().unwrap();
    assert!(ack.durable);
    assert_eq!(disk.syncs() - before, 1);
}

#[test]
fn writes_that_wait_together_share_a_sync() {
    const WRITES: u64 = 64;
    for seed in 0..20 {
        let (disk, process, docs) = open(seed);
        let before = disk.syncs();
        let acks = process.run(async {
            let writes = (0..WRITES).map(|id| {
                let docs = docs.clone();
                process.env.spawn.start(async move { docs.upsert(records(id..id + 1)).await })
            });
            let mut acks = Vec::new();
            for write in writes.collect::<Vec<Task<_>>>() {
                acks.push(write.await.unwrap().unwrap());
            }
            acks
        });
        assert!(acks.unwrap().iter().all(|ack| ack.durable));
        let syncs = disk.syncs() - before;
        assert!(syncs > 0);
        assert!(syncs < WRITES / 2, "{syncs} syncs for {WRITES} writes");
    }
}

#[test]
fn writes_one_after_the_other_have_a_sync_each() {
    let (disk, process, docs) = open(1);
    let before = disk.syncs();
    for id in 0..10 {
        process.run(docs.upsert(records(id..id + 1))).unwrap().unwrap();
    }
    assert_eq!(disk.syncs() - before, 10);
}
