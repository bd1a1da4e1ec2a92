//! Every target takes every file of its corpus, and the seeds are what the encoders make today.

#![allow(clippy::disallowed_methods, reason = "a test reads its files")]

use std::collections::BTreeSet;
use std::fs;

use vecgo_fuzz::{TARGETS, corpus, seeds};
use vecgo_sim::{Plan, Random, Tally, from_bytes};

#[test]
fn every_target_takes_its_corpus() {
    for (name, target) in TARGETS {
        let files = fs::read_dir(corpus(name)).expect("every target has a corpus");
        let mut count = 0;
        for file in files {
            target(&fs::read(file.expect("a file").path()).expect("a readable file"));
            count += 1;
        }
        assert!(count > 0, "the corpus of `{name}` is empty");
    }
}

#[test]
fn seeds_are_accepted() {
    for seed in seeds() {
        let target = TARGETS.iter().find(|(name, _)| *name == seed.target);
        let (_, target) = target.expect("a seed of a target");
        assert!(target(&seed.bytes), "{} of {} is refused", seed.name, seed.target);
    }
}

#[test]
fn seeds_are_what_the_encoders_make() {
    for seed in seeds() {
        let path = corpus(seed.target).join(seed.name);
        let found = fs::read(&path).unwrap_or_default();
        assert!(found == seed.bytes, "{} is out of date: run `cargo xtask corpus`", path.display());
    }
}

/// The plans are written byte by byte. Whoever changes what is drawn changes what they mean, and
/// has to see that they still go everywhere.
#[test]
fn plans_go_everywhere() {
    let (mut met, mut tally, mut lanes) = (BTreeSet::new(), Tally::default(), 0);
    for seed in seeds().into_iter().filter(|seed| seed.target == "operations") {
        let plan = Plan::short(&mut Random::from_bytes(&seed.bytes));
        let ran = from_bytes(&seed.bytes).unwrap_or_else(|found| panic!("{}: {found}", seed.name));
        tally.add(ran);
        met.insert(format!("{:?}", plan.settings.wal_sync));
        for (place, phase) in plan.phases.iter().enumerate() {
            lanes = lanes.max(phase.lanes.len());
            met.insert(format!("{:?}, life {place}", phase.end));
            met.extend(phase.lanes.iter().flatten().map(|operation| format!("{operation:?}")));
        }
        let last = plan.phases.last().expect("one at least");
        let ends = seed.bytes.is_empty() || last.lanes.iter().any(|lane| lane.len() > 2);
        assert!(ends, "{}: its bytes are not those of {plan:?}", seed.name);
    }
    let parts = ["EveryWrite", "OnCommit", "Interval", "Upsert", "Insert", "Update", "Delete"];
    let more = ["Commit", "Flush", "Read", "Wait", "Create", "WriteOther", "Rename", "Drop"];
    let beside = ["SlowRead", "Follow", "Intrude", "Idle", "Blob", "Reopen", "Compact"];
    let ends = ["Close, life 1", "Kill, life 0", "Crash(Strict), life 0", "Crash(Random), life 2"];
    for part in parts.iter().chain(&more).chain(&beside).chain(&ends) {
        assert!(met.iter().any(|name| name.starts_with(part)), "no {part} among {met:?}");
    }
    assert_eq!(lanes, 3);
    assert!(tally.crashes >= 60 && tally.faults >= 6, "{tally}");
}
