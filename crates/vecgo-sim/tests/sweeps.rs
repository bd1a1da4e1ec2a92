//! A little of each sweep: what `cargo xtask sim` does for hours runs, and has something to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use vecgo_sim::{
    AtRest, Operation, RequestFault, Rest, Tally, contest, errors, exhaustive, from_bytes,
    ignored_conditions, requests, seed, workloads,
};

#[test]
fn seeds() {
    let mut tally = Tally::default();
    (100..110).for_each(|number| tally.add(seed(number, &Arc::default()).unwrap()));
    assert_eq!(tally.runs, 10);
    assert!(tally.crashes > 100 && tally.faults > 0, "{tally}");
}

#[test]
fn contests() {
    for number in 100..120 {
        contest(number, &Arc::default()).unwrap();
    }
}

#[test]
fn crashes_at_every_step_of_every_operation() {
    let tally = exhaustive(1, 0, (0, 1)).unwrap();
    // One for each letter, and no step of any was left out.
    assert_eq!(tally.runs, Operation::ALPHABET.len() as u64);
    assert!(tally.crashes > 1000, "{tally}");
    let parts = (0..3).map(|part| exhaustive(1, 0, (part, 3)).unwrap());
    let mut whole = Tally::default();
    parts.for_each(|part| whole.add(part));
    assert_eq!(whole.to_string(), tally.to_string(), "the parts are the whole");
}

#[test]
fn every_call_to_the_disk_fails() {
    let tally = errors(&workloads()[0]).unwrap();
    assert!(tally.runs > 100 && tally.faults > 100, "{tally}");
}

#[test]
fn every_request_to_the_bucket_goes_wrong() {
    let tally = requests(RequestFault::AnswerLost, false).unwrap();
    assert!(tally.runs > 20 && tally.faults > 20, "{tally}");
    ignored_conditions(&Arc::default()).unwrap();
}

#[test]
fn files_at_rest_are_damaged() {
    let at_rest = AtRest::new(Rest::Closed).unwrap();
    let mut tally = Tally::default();
    let files: Vec<String> = at_rest.files().map(|(path, _)| path.to_owned()).collect();
    for path in &files {
        for damage in at_rest.damages(path, false).into_iter().step_by(97) {
            tally.add(at_rest.damage(path, damage).unwrap());
        }
    }
    assert!(tally.runs > files.len() as u64, "{tally}");
    assert!(tally.faults > tally.runs / 2, "{tally}: damage is noticed");
}

/// Bytes that are used up end a run, whatever they were.
#[test]
fn any_bytes_are_a_plan() {
    let crashes = |bytes: &[u8]| from_bytes(bytes).unwrap().crashes;
    assert_eq!(crashes(&[]), 0);
    for byte in 0..=255 {
        crashes(&[byte; 1]);
        crashes(&[byte; 60]);
    }
}
