//! A seed decides everything, and the trace by which that is checked misses nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use vecgo_io::{Access, Disk, Store};
use vecgo_sim::{
    Driver, End, Image, Machine, Phase, Plan, Random, Settings, SimBucket, Tally, Trace, Violation,
    contest, seed,
};

/// The first word of a line for a call that changes something.
const CHANGES: [&str; 10] = [
    "create",
    "append",
    "sync",
    "sync_dir",
    "create_dir",
    "link",
    "rename",
    "remove",
    "remove_dir",
    "lock",
];

fn what(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

#[test]
fn a_seed_decides_everything() {
    type Run = fn(u64, &Arc<Trace>) -> Result<Tally, Violation>;
    for run in [seed as Run, contest] {
        let mut hashes = BTreeSet::new();
        for number in 0..6 {
            let traces: [Arc<Trace>; 2] = Default::default();
            let told = traces.each_ref().map(|trace| run(number, trace).unwrap().to_string());
            assert!(traces[0].calls() > 0);
            assert_eq!(traces[0].hash(), traces[1].hash(), "seed {number}");
            assert_eq!(traces[0].calls(), traces[1].calls(), "seed {number}");
            assert_eq!(told[0], told[1], "seed {number}");
            hashes.insert(traces[0].hash());
        }
        assert_eq!(hashes.len(), 6, "every seed is another run");
    }
}

#[test]
fn a_trace_holds_every_call_to_the_disk_in_its_order() {
    let trace = Arc::new(Trace::with_lines());
    let disk = Machine::boot(Image::default(), Random::new(1), Arc::clone(&trace)).disk;
    disk.create_dir("folder").unwrap();
    disk.sync_dir("").unwrap();
    let mut file = disk.create_new("folder/a").unwrap();
    file.append(b"bytes").unwrap();
    file.sync().unwrap();
    disk.link("folder/a", "folder/b").unwrap();
    disk.rename("folder/a", "folder/c").unwrap();
    let open = disk.open("folder/c").unwrap();
    open.length().unwrap();
    open.read_exact_at(0, &mut [0; 5]).unwrap();
    disk.list("folder").unwrap();
    disk.remove("folder/b").unwrap();
    disk.lock("lock", "holder").unwrap();
    disk.remove_dir("folder").unwrap_err();
    let lines = trace.take_lines();
    let calls: Vec<&str> = lines.iter().map(|line| what(line)).collect();
    let expected = "create_dir sync_dir create append sync link rename open length read list remove \
                    lock remove_dir";
    assert_eq!(calls.join(" "), expected);
    assert_eq!(trace.calls(), 14);
}

#[test]
fn a_trace_holds_every_request_to_the_bucket() {
    let trace = Arc::new(Trace::with_lines());
    let mut machine = Machine::boot(Image::default(), Random::new(1), Arc::default());
    let process = machine.start(Access::Write, false);
    let bucket = SimBucket::new(machine.clock.clone(), Random::new(1), Arc::clone(&trace));
    let made = process.run(async {
        bucket.put_if_absent("a/put", Bytes::from_static(b"bytes")).await?;
        let mut upload = bucket.create("a/upload").await?;
        upload.write(b"bytes").await?;
        upload.finish().await?;
        bucket.list("a/").await?;
        bucket.open("a/put", None).await?.read_into(0, &mut [0; 5]).await?;
        bucket.delete("a/put").await
    });
    made.unwrap().unwrap();
    let lines = trace.take_lines();
    let requests: Vec<&str> = lines.iter().map(|line| what(line)).collect();
    assert_eq!(requests, ["put", "create", "part", "finish", "list", "open", "read", "delete"]);
}

#[test]
fn the_hash_is_of_the_calls_their_outcomes_and_their_bytes() {
    let hash = |bytes: &[u8], path: &str, off: bool, again: bool| {
        let trace = Arc::<Trace>::default();
        let disk = Machine::boot(Image::default(), Random::new(1), Arc::clone(&trace)).disk;
        disk.create_new(path).unwrap().append(bytes).unwrap();
        if again {
            disk.create_new(path).unwrap_err();
        }
        if off {
            disk.turn(false);
            disk.create_new("more").unwrap_err();
        }
        trace.hash()
    };
    let first = hash(b"bytes", "file", false, false);
    assert_eq!(first, hash(b"bytes", "file", false, false));
    assert_ne!(first, hash(b"bytez", "file", false, false));
    assert_ne!(first, hash(b"bytes", "fila", false, false));
    assert_ne!(first, hash(b"bytes", "file", false, true));
    assert_eq!(first, hash(b"bytes", "file", true, false), "a process that is gone calls nothing");
}

/// Counts the changes from outside, and the lines about them.
#[test]
fn a_trace_of_the_engine_holds_every_change_of_the_disk() {
    for number in 0..20 {
        let plan = Plan::random(&mut Random::new(number));
        let trace = Arc::new(Trace::with_lines());
        let mut driver = Driver::new(Settings::default(), Random::new(1), Arc::clone(&trace));
        for phase in plan.phases {
            let changes = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&changes);
            driver.disk().watch(Some(Box::new(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            })));
            driver.phase(&Phase { end: End::Kill, ..phase }, Vec::new()).unwrap();
            let lines = trace.take_lines();
            let told = lines.iter().filter(|line| CHANGES.contains(&what(line))).count();
            assert_eq!(told, changes.load(Ordering::Relaxed), "seed {number}");
            assert!(told > 0);
        }
    }
}
