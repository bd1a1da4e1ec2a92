//! What happens to a request to the simulated bucket in each kind of trouble.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vecgo_io::{Access, Clock, PutOutcome, Store, StoreErrorKind};
use vecgo_sim::{Image, Machine, Process, Random, RequestFault, SimBucket, SimClock};

/// Longer than any request is under way.
const LONG: Duration = Duration::from_secs(3600);

struct World {
    process: Process,
    clock: SimClock,
    bucket: SimBucket,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut machine = Machine::boot(Image::default(), Random::new(seed), Arc::default());
        let process = machine.start(Access::Write, false);
        let clock = machine.clock;
        let bucket = SimBucket::new(clock.clone(), Random::new(seed), Arc::default());
        Self { process, clock, bucket }
    }

    fn run<T>(&self, main: impl Future<Output = T>) -> T {
        self.process.run(main).unwrap()
    }

    /// What came of a put, in a word.
    fn put(&self, key: &str, body: &'static [u8]) -> &'static str {
        match self.run(self.bucket.put_if_absent(key, Bytes::from_static(body))) {
            Ok(PutOutcome::Committed) => "committed",
            Ok(PutOutcome::Conflict) => "conflict",
            Ok(PutOutcome::Unknown(_)) => "unknown",
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable);
                "refused"
            }
        }
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self.run(self.bucket.get(key)) {
            Ok(bytes) => Some(bytes.to_vec()),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::NotFound);
                None
            }
        }
    }

    fn wait(&self) {
        self.run(self.clock.sleep(LONG));
    }

    /// The next request goes wrong.
    fn next(&self, fault: RequestFault) {
        self.bucket.plan(fault, 0, false);
    }
}

#[test]
fn each_fault_of_a_put_does_what_it_says() {
    // The answer, whether it is done when the answer comes, whether it ever is.
    for (fault, answer, at_once, ever) in [
        (RequestFault::Lost, "unknown", false, false),
        (RequestFault::AnswerLost, "unknown", true, true),
        (RequestFault::Duplicated, "conflict", true, true),
        (RequestFault::Late, "unknown", false, true),
        (RequestFault::FalseConflict, "conflict", false, false),
        (RequestFault::Refused, "refused", false, false),
        (RequestFault::Reset, "unknown", true, true),
        (RequestFault::Slow, "committed", true, true),
    ] {
        for seed in 0..20 {
            let world = World::new(seed);
            world.next(fault);
            assert_eq!(world.put("key", b"body"), answer, "{fault:?}");
            assert_eq!(world.bucket.struck(), 1);
            assert_eq!(world.bucket.keys().len(), usize::from(at_once), "{fault:?}");
            world.wait();
            let expected = ever.then(|| b"body".to_vec());
            assert_eq!(world.get("key"), expected, "{fault:?} after an hour");
        }
    }
}

#[test]
fn only_a_slow_request_takes_long() {
    for seed in 0..50 {
        for (fault, slow) in [(RequestFault::Slow, true), (RequestFault::AnswerLost, false)] {
            let world = World::new(seed);
            world.next(fault);
            let before = world.clock.monotonic();
            world.put("key", b"body");
            let took = world.clock.monotonic() - before;
            assert_eq!(took >= Duration::from_millis(500), slow, "{fault:?} took {took:?}");
            assert!(took < LONG);
        }
    }
}

#[test]
fn a_late_put_loses_against_a_name_taken_meanwhile() {
    let mut answers = BTreeSet::new();
    for seed in 0..50 {
        let world = World::new(seed);
        world.next(RequestFault::Late);
        assert_eq!(world.put("key", b"late"), "unknown");
        // Unless the late one has arrived by then.
        let answer = world.put("key", b"in time");
        answers.insert(answer);
        let winner: &[u8] = if answer == "committed" { b"in time" } else { b"late" };
        assert_eq!(world.get("key").as_deref(), Some(winner));
        world.wait();
        assert_eq!(world.get("key").as_deref(), Some(winner), "it is so for ever");
    }
    assert!(answers.contains("committed"), "{answers:?}");
}

#[test]
fn requests_that_read_fail_or_come_right() {
    for fault in RequestFault::ALL {
        let comes_right =
            matches!(fault, RequestFault::Slow | RequestFault::Duplicated | RequestFault::Hidden);
        let world = World::new(1);
        world.put("folder/key", b"body");
        let object = world.run(world.bucket.open("folder/key", None)).unwrap();
        let mut out = [0; 2];
        world.next(fault);
        let read = world.run(object.read_into(1, &mut out));
        assert_eq!(read.is_ok(), comes_right, "{fault:?}");
        assert_eq!(&out, if comes_right { b"od" } else { b"\0\0" });
        world.next(fault);
        assert_eq!(
            world.run(world.bucket.open("folder/key", None)).is_ok(),
            comes_right,
            "{fault:?}"
        );
        world.next(fault);
        assert_eq!(world.run(world.bucket.list("folder/")).is_ok(), comes_right, "{fault:?}");
        assert_eq!(world.bucket.keys(), ["folder/key"]);
    }
}

/// Faults of a request that no other can make fail: whether it is answered, and whether it is done.
const UNCONDITIONAL: [(RequestFault, bool, bool); 5] = [
    (RequestFault::Lost, false, false),
    (RequestFault::AnswerLost, false, true),
    (RequestFault::Duplicated, true, true),
    (RequestFault::Refused, false, false),
    (RequestFault::Slow, true, true),
];

#[test]
fn each_fault_of_a_delete_does_what_it_says() {
    for (fault, answered, done) in UNCONDITIONAL {
        let world = World::new(1);
        world.put("key", b"body");
        world.next(fault);
        let deleted = world.run(world.bucket.delete("key"));
        assert_eq!(deleted.is_ok(), answered, "{fault:?}");
        assert_eq!(world.get("key").is_none(), done, "{fault:?}");
    }
}

#[test]
fn each_fault_of_an_upload_does_what_it_says() {
    for (fault, answered, done) in UNCONDITIONAL {
        let world = World::new(1);
        let mut upload = world.run(world.bucket.create("key")).unwrap();
        world.run(upload.write(b"some ")).unwrap();
        world.run(upload.write(b"bytes")).unwrap();
        world.next(fault);
        assert_eq!(world.run(upload.finish()).is_ok(), answered, "{fault:?}");
        assert_eq!(world.get("key"), done.then(|| b"some bytes".to_vec()), "{fault:?}");
    }
    // A part that fails is no part of the object.
    let world = World::new(1);
    let mut upload = world.run(world.bucket.create("key")).unwrap();
    world.next(RequestFault::Reset);
    world.run(upload.write(b"some ")).unwrap_err();
    drop(upload);
    world.wait();
    assert_eq!(world.get("key"), None);
}

#[test]
fn trouble_strikes_the_request_that_was_planned() {
    for lasting in [false, true] {
        let world = World::new(1);
        world.bucket.plan(RequestFault::Refused, 2, lasting);
        let answers = ["a", "b", "c", "d", "e"].map(|key| world.put(key, b"body"));
        let after = if lasting { "refused" } else { "committed" };
        assert_eq!(answers, ["committed", "committed", "refused", after, after]);
        assert_eq!(world.bucket.struck(), if lasting { 3 } else { 1 });
    }
}

#[test]
fn conditions_that_are_ignored() {
    let world = World::new(1);
    assert_eq!(world.put("key", b"first"), "committed");
    assert_eq!(world.put("key", b"second"), "conflict");
    assert_eq!(world.get("key").unwrap(), b"first");
    world.bucket.ignore_conditions();
    assert_eq!(world.put("key", b"third"), "committed");
    assert_eq!(world.get("key").unwrap(), b"third");
    world.bucket.remove("key");
    assert_eq!(world.get("key"), None);
}
