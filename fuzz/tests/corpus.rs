//! Every target takes every file of its corpus, and the seeds are what the encoders make today.

#![allow(clippy::disallowed_methods, reason = "a test reads its files")]

use std::fs;

use vecgo_fuzz::{TARGETS, corpus, seeds};

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
