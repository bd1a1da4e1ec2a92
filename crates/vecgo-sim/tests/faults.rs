//! Calls to the simulated disk that fail where they were planned to, and what they leave then.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use parking_lot::Mutex;
use vecgo_io::{Access, Disk, DiskReader, LockAttempt};
use vecgo_sim::{Fault, FaultKind, Image, Machine, Outcome, Random, SimDisk};

fn new_disk() -> SimDisk {
    Machine::boot(Image::default(), Random::new(1), Arc::default()).disk
}

fn read(file: &dyn DiskReader, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut out = vec![0; length];
    file.read_exact_at(offset, &mut out).map(|()| out)
}

/// A call of every kind, in this order, none of which needs another.
const CALLS: [&str; 14] = [
    "create",
    "append",
    "sync",
    "sync_dir",
    "open",
    "length",
    "read",
    "list",
    "lock",
    "link",
    "rename",
    "remove",
    "create_dir",
    "remove_dir",
];

/// The calls that each kind of fault can strike.
fn struck_by(kind: FaultKind) -> &'static [&'static str] {
    match kind {
        FaultKind::Io => &CALLS,
        FaultKind::NoSpace => &[
            "create",
            "append",
            "sync",
            "sync_dir",
            "lock",
            "link",
            "rename",
            "remove",
            "create_dir",
            "remove_dir",
        ],
        FaultKind::Denied => &[
            "create",
            "open",
            "length",
            "list",
            "lock",
            "link",
            "rename",
            "remove",
            "create_dir",
            "remove_dir",
        ],
        FaultKind::TooManyFiles => &["create", "open", "length", "list", "lock"],
        FaultKind::ReadOnly => {
            &["create", "append", "lock", "link", "rename", "remove", "create_dir", "remove_dir"]
        }
        FaultKind::BitFlip => &["read"],
    }
}

/// Makes every call on a disk of its own; gives what failed, and how. A read of other bytes than
/// were written is one that failed.
fn calls(fault: Fault) -> (Vec<(&'static str, Option<io::Error>)>, u64) {
    let disk = new_disk();
    for path in ["there", "other", "third"] {
        disk.create_new(path).unwrap().append(b"bytes").unwrap();
    }
    disk.create_dir("empty").unwrap();
    let (mut writer, reader) = (disk.create_new("log").unwrap(), disk.open("there").unwrap());
    disk.plan(vec![fault]);
    let read = || match read(&*reader, 0, 5)? {
        bytes if bytes == b"bytes" => Ok(()),
        _ => Err(io::Error::other("other bytes")),
    };
    let results = [
        disk.create_new("new").map(drop),
        writer.append(b"bytes"),
        writer.sync(),
        disk.sync_dir(""),
        disk.open("there").map(drop),
        reader.length().map(drop),
        read(),
        disk.list("").map(drop),
        disk.lock("lock", "holder").map(drop),
        disk.link("there", "linked"),
        disk.rename("other", "renamed"),
        disk.remove("third"),
        disk.create_dir("folder"),
        disk.remove_dir("empty"),
    ];
    (CALLS.into_iter().zip(results.map(Result::err)).collect(), disk.struck())
}

#[test]
fn a_fault_strikes_the_call_that_was_planned() {
    for kind in FaultKind::ALL {
        let can = struck_by(kind);
        for lasting in [false, true] {
            for call in 0..=can.len() {
                let expected = match lasting {
                    true => &can[call..],
                    false => &can[call..can.len().min(call + 1)],
                };
                let (results, struck) = calls(Fault { call: call as u64, kind, lasting });
                let failed = results.iter().filter(|(_, error)| error.is_some());
                let failed: Vec<&str> = failed.map(|(name, _)| *name).collect();
                assert_eq!(failed, expected, "{kind:?} from call {call} on, lasting {lasting}");
                assert_eq!(struck, expected.len() as u64);
            }
        }
    }
}

#[test]
fn a_fault_is_the_error_of_the_operating_system() {
    for (kind, expected) in [
        (FaultKind::NoSpace, ErrorKind::StorageFull),
        (FaultKind::Denied, ErrorKind::PermissionDenied),
        (FaultKind::ReadOnly, ErrorKind::ReadOnlyFilesystem),
        (FaultKind::Io, ErrorKind::Other),
    ] {
        let (results, _) = calls(Fault { call: 0, kind, lasting: true });
        let errors = results.into_iter().filter_map(|(_, error)| error);
        errors.for_each(|error| assert_eq!(error.kind(), expected));
    }
    // EMFILE, which has no kind of its own.
    let (results, _) = calls(Fault { call: 0, kind: FaultKind::TooManyFiles, lasting: true });
    assert!(results.iter().flat_map(|(_, error)| error).all(|e| e.raw_os_error() == Some(24)));
}

/// The next call that the kind applies to fails.
fn fail(disk: &SimDisk, kind: FaultKind) {
    disk.plan(vec![Fault { call: 0, kind, lasting: false }]);
}

#[test]
fn two_plans_count_apart() {
    let disk = new_disk();
    let fault = |kind, call| Fault { call, kind, lasting: false };
    disk.plan(vec![fault(FaultKind::Denied, 1), fault(FaultKind::ReadOnly, 2)]);
    let kinds = ["a", "b", "c", "d"].map(|path| disk.create_dir(path).err().map(|e| e.kind()));
    let expected =
        [None, Some(ErrorKind::PermissionDenied), Some(ErrorKind::ReadOnlyFilesystem), None];
    assert_eq!(kinds, expected);
    disk.plan(Vec::new());
    assert_eq!(disk.struck(), 0, "a plan begins anew");
}

#[test]
fn a_write_that_fails_gets_half_of_its_bytes_in() {
    for kind in [FaultKind::NoSpace, FaultKind::Io, FaultKind::ReadOnly] {
        let disk = new_disk();
        let mut file = disk.create_new("file").unwrap();
        file.append(b"before,").unwrap();
        fail(&disk, kind);
        file.append(b"12345678").unwrap_err();
        assert_eq!(disk.image().files()["file"], b"before,1234");
        file.append(b"after").unwrap();
        assert_eq!(disk.image().files()["file"], b"before,1234after");
    }
}

#[test]
fn a_sync_that_fails_drops_the_bytes_and_the_next_one_says_yes() {
    for kind in [FaultKind::Io, FaultKind::NoSpace] {
        let disk = new_disk();
        let mut file = disk.create_new("file").unwrap();
        file.append(b"one,").unwrap();
        file.sync().unwrap();
        disk.sync_dir("").unwrap();
        file.append(b"two,").unwrap();
        fail(&disk, kind);
        file.sync().unwrap_err();
        file.sync().unwrap();
        let open = disk.open("file").unwrap();
        assert_eq!(read(&*open, 0, 8).unwrap(), b"one,two,", "what is lost can still be read");
        let left = |outcome: Outcome| {
            let after = disk.image().crash(outcome, &mut Random::new(1));
            after.files().remove("file").unwrap()
        };
        assert_eq!(left(Outcome::Kill), b"one,two,");
        assert_eq!(left(Outcome::Strict), b"one,");
        assert_eq!(left(Outcome::Lucky), b"one,", "no luck brings it back");
        assert_eq!(left(Outcome::MetadataFirst), b"one,\0\0\0\0");

        file.append(b"three").unwrap();
        file.sync().unwrap();
        for outcome in [Outcome::Strict, Outcome::Lucky, Outcome::Random] {
            assert_eq!(left(outcome), b"one,\0\0\0\0three", "{outcome:?}");
        }
    }
}

#[test]
fn names_that_a_sync_failed_to_write_stay_due() {
    let disk = new_disk();
    disk.create_new("file").unwrap();
    fail(&disk, FaultKind::Io);
    disk.sync_dir("").unwrap_err();
    let strict = || disk.image().crash(Outcome::Strict, &mut Random::new(1)).files().len();
    assert_eq!(strict(), 0);
    disk.sync_dir("").unwrap();
    assert_eq!(strict(), 1);
}

#[test]
fn one_bit_of_one_read_flips() {
    for offset in 0..20 {
        let disk = new_disk();
        disk.create_new("file").unwrap().append(&[0xa5; 100]).unwrap();
        let file = disk.open("file").unwrap();
        fail(&disk, FaultKind::BitFlip);
        let flipped = read(&*file, offset, 70).unwrap();
        let ones: u32 = flipped.iter().map(|byte| (byte ^ 0xa5).count_ones()).sum();
        assert_eq!(ones, 1, "at {offset}");
        assert_eq!(read(&*file, offset, 70).unwrap(), [0xa5; 70], "the next read is right");
        assert_eq!(disk.image().files()["file"], [0xa5; 100], "so is what is stored");
    }
}

#[test]
fn a_disk_that_is_off_does_nothing() {
    let disk = new_disk();
    disk.create_new("file").unwrap();
    disk.turn(false);
    disk.remove("file").unwrap_err();
    disk.open("file").unwrap_err();
    disk.turn(true);
    assert_eq!(disk.list("").unwrap().len(), 1);
}

#[test]
fn the_watch_sees_the_disk_before_every_change() {
    let disk = new_disk();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let images = Arc::clone(&seen);
    disk.watch(Some(Box::new(move |image| images.lock().push(image.files()))));
    let mut file = disk.create_new("file").unwrap();
    file.append(b"bytes").unwrap();
    disk.open("file").unwrap();
    disk.list("").unwrap();
    file.sync().unwrap();
    disk.remove("file").unwrap();
    disk.watch(None);
    disk.create_dir("folder").unwrap();
    let at = |files: &[(&str, &[u8])]| -> BTreeMap<String, Vec<u8>> {
        files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect()
    };
    let whole = at(&[("file", b"bytes")]);
    assert_eq!(*seen.lock(), [at(&[]), at(&[("file", b"")]), whole.clone(), whole]);
}

#[test]
fn a_lock_is_free_when_its_process_is_killed() {
    let mut machine = Machine::boot(Image::default(), Random::new(1), Arc::default());
    let process = machine.start(Access::Write, false);
    let (store, taken) = (Arc::clone(&process.env.store), Arc::new(Mutex::new(false)));
    let told = Arc::clone(&taken);
    process.env.spawn.spawn(Box::pin(async move {
        let lock = store.lock("lock", "the first").await.unwrap();
        *told.lock() = true;
        pending::<()>().await;
        drop(lock);
    }));
    let clock = Arc::clone(&process.env.clock);
    process.run(clock.sleep(std::time::Duration::from_secs(1))).unwrap();
    assert!(*taken.lock());
    match machine.disk.lock("lock", "the second").unwrap() {
        LockAttempt::Held(holder) => assert_eq!(holder, "the first"),
        LockAttempt::Taken(lock) => panic!("{lock:?} is held twice"),
    }
    machine.disk.turn(false);
    drop(process);
    machine.disk.turn(true);
    assert!(matches!(machine.disk.lock("lock", "the second").unwrap(), LockAttempt::Taken(_)));
}
