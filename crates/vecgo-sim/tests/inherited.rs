//! Crashes and failing calls that took other databases' data, each made to happen at every step where
//! it can. RELIABILITY.md lists them with the tests of the other crates.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use vecgo_engine::WalSync;
use vecgo_sim::{
    Checker, Driver, End, Fault, FaultKind, Operation, Outcome, Phase, Random, Settings, Span,
};

const fn span(first: usize, count: usize) -> Span {
    Span { first, count }
}

/// Runs lives of the engine, and crashes at every call of the last one to the disk, in every outcome,
/// and `nested` times more at every step of the recovery from that. Gives how many crashes there were.
fn crashes(settings: &Settings, lives: &[Phase], nested: u32) -> u64 {
    let mut driver = Driver::new(settings.clone(), Random::new(1), Arc::default());
    for (place, life) in lives.iter().enumerate() {
        if place + 1 == lives.len() {
            driver.watch();
        }
        driver.phase(life, Vec::new()).unwrap();
    }
    let (mut random, points) = (Random::new(2), driver.take_points());
    let mut checker = Checker::new(settings.clone(), random.fork(1));
    for point in &points {
        for outcome in Outcome::ALL {
            let image = point.image.crash(outcome, &mut random);
            checker.after_crash(&image, &driver.expected_at(point), nested).unwrap();
        }
    }
    checker.crashes
}

/// A power cut left the newest manifest with a name and no bytes, and the database did not open.
#[test]
fn a_manifest_is_whole_or_not_there() {
    let life = Phase::of(&[Operation::Upsert(span(0, 3)), Operation::Commit], End::Close);
    assert!(crashes(&Settings::default(), &[life], 0) > 50);
}

/// A manifest named a segment of which not all was on the disk.
#[test]
fn a_segment_is_durable_before_it_is_named() {
    let life = Phase::of(&[Operation::Upsert(span(0, 5)), Operation::Flush], End::Close);
    assert!(crashes(&Settings::default(), &[life], 0) > 50);
}

/// Power was lost before there was a first version: the writes that had been acknowledged were gone.
#[test]
fn writes_before_the_first_version_survive() {
    let life =
        Phase::of(&[Operation::Upsert(span(0, 3)), Operation::Upsert(span(2, 3))], End::Kill);
    assert!(crashes(&Settings::default(), &[life], 0) > 20);
}

/// A version said that the log was durable further than it was.
#[test]
fn no_version_is_ahead_of_the_log() {
    let settings =
        Settings { wal_sync: WalSync::OnCommit, memtable_rows: 3, ..Settings::default() };
    let operations = [
        Operation::Upsert(span(0, 2)),
        Operation::Upsert(span(1, 3)),
        Operation::Flush,
        Operation::Upsert(span(4, 2)),
    ];
    assert!(crashes(&settings, &[Phase::of(&operations, End::Close)], 0) > 100);
}

/// A crash while a crash was being recovered from lost what the first had not.
#[test]
fn recovery_can_be_cut_short_and_repeated() {
    let settings = Settings { memtable_rows: 3, ..Settings::default() };
    let first = [Operation::Upsert(span(0, 2)), Operation::Upsert(span(1, 3))];
    let lives =
        [Phase::of(&first, End::Kill), Phase::of(&[Operation::Delete(span(1, 1))], End::Kill)];
    assert!(crashes(&settings, &lives, 1) > 1000);
}

/// A write was acknowledged as durable while it was in a cache only, and a strict disk dropped it.
#[test]
fn what_is_acknowledged_as_durable_is() {
    let strict = Phase::of(
        &[Operation::Upsert(span(0, 3)), Operation::Delete(span(1, 1))],
        End::Crash(Outcome::Strict),
    );
    let look = Phase::of(&[Operation::Read], End::Close);
    // The driver holds what the second life finds against what the first was told.
    assert!(crashes(&Settings::default(), &[strict, look], 0) > 0);
}

/// A commit failed, the next one said yes, and what the first should have held was in no version.
#[test]
fn a_commit_after_one_that_failed_holds_both() {
    let operations = [
        Operation::Upsert(span(0, 3)),
        Operation::Commit,
        Operation::Upsert(span(2, 3)),
        Operation::Commit,
        Operation::Read,
    ];
    let settings = Settings { wal_sync: WalSync::OnCommit, ..Settings::default() };
    let mut struck = 0;
    for call in 0..120 {
        for kind in [FaultKind::NoSpace, FaultKind::Denied] {
            let mut driver = Driver::new(settings.clone(), Random::new(3), Arc::default());
            let fault = Fault { call, kind, lasting: false };
            driver.phase(&Phase::of(&operations, End::Kill), vec![fault]).unwrap();
            struck += driver.struck();
            driver.phase(&Phase::of(&[Operation::Read], End::Close), Vec::new()).unwrap();
        }
    }
    assert!(struck > 20, "{struck}");
}
