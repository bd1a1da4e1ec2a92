use std::sync::Arc;

use vecgo_engine::{Metric, WalSync};

use crate::check::Checker;
use crate::disk::Outcome;
use crate::random::Random;
use crate::workload::{Driver, End, Operation, Phase, Point};
use crate::{Settings, Tally, Violation};

/// Tries every sequence of `length` operations of the alphabet, with a crash at every step of the
/// last one and of the close that follows, in every outcome, and with `nested` more crashes, each
/// at every step of the recovery from the one before. `part`: the m-th of n parts of them.
///
/// # Errors
/// The first promise that was not kept, with the sequence.
pub fn exhaustive(length: u32, nested: u32, part: (usize, usize)) -> Result<Tally, Violation> {
    let letters = Operation::ALPHABET.len();
    let mut tally = Tally::default();
    for word in (0..letters.pow(length)).filter(|word| word % part.1 == part.0) {
        let operations = operations(word, length);
        let run = one(&operations, nested, word);
        tally.add(run.map_err(|violation| violation.context(format!("{operations:?}")))?);
    }
    Ok(tally)
}

/// The operations that a number spells.
fn operations(mut word: usize, length: u32) -> Vec<Operation> {
    let letters = Operation::ALPHABET.len();
    let spelled = (0..length).map(|_| {
        let letter = Operation::ALPHABET[word % letters];
        word /= letters;
        letter
    });
    spelled.collect()
}

fn one(operations: &[Operation], nested: u32, word: usize) -> Result<Tally, Violation> {
    let mut tally = Tally::default();
    let Some((last, before)) = operations.split_last() else { return Ok(tally) };
    let (settings, seed) = (&settings(word), word as u64);
    // The steps of what goes before are those of a shorter sequence.
    let mut two_lives = Driver::new(settings.clone(), Random::new(seed), Arc::default());
    two_lives.phase(&Phase::of(before, End::Kill), Vec::new())?;
    two_lives.watch();
    two_lives.phase(&Phase::of(&[*last], End::Close), Vec::new())?;
    let points = two_lives.take_points();
    tally.add(crash_at(settings, &two_lives, &points, nested, seed)?);
    if before.is_empty() {
        return Ok(tally);
    }
    let mut counted = Driver::new(settings.clone(), Random::new(seed), Arc::default());
    counted.watch();
    counted.phase(&Phase::of(before, End::Kill), Vec::new())?;
    let steps_before = counted.take_points().len() - 1;
    let mut one_life = Driver::new(settings.clone(), Random::new(seed), Arc::default());
    one_life.watch();
    one_life.phase(&Phase::of(operations, End::Close), Vec::new())?;
    let points = one_life.take_points();
    tally.add(crash_at(settings, &one_life, &points[steps_before..], nested, seed)?);
    Ok(tally)
}

/// Ways to set up the database take turns.
fn settings(word: usize) -> Settings {
    let settings = Settings::default();
    match word % 3 {
        0 => settings,
        1 => Settings { memtable_rows: 2, metric: Metric::Cosine, ..settings },
        _ => Settings { wal_sync: WalSync::OnCommit, memtable_rows: 3, ..settings },
    }
}

fn crash_at(
    settings: &Settings,
    driver: &Driver,
    points: &[Point],
    nested: u32,
    seed: u64,
) -> Result<Tally, Violation> {
    let mut random = Random::new(!seed);
    let mut checker = Checker::new(settings.clone(), random.fork(2));
    for (number, point) in points.iter().enumerate() {
        let expected = driver.expected_at(point);
        for outcome in Outcome::ALL {
            let image = point.image.crash(outcome, &mut random);
            checker
                .after_crash(&image, &expected, nested)
                .map_err(|v| v.context(format!("crash before call {number}, {outcome:?}")))?;
        }
    }
    Ok(Tally { crashes: checker.crashes, runs: 1, backups: checker.backups, ..Tally::default() })
}
