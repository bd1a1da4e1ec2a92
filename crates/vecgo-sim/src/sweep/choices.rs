use std::sync::Arc;

use super::seeds::faults;
use crate::check::Checker;
use crate::disk::Outcome;
use crate::random::Random;
use crate::workload::{Driver, End, Plan};
use crate::{Tally, Violation};

/// Crashes after each life of the engine, at most.
const MOST_CRASHES: usize = 3;

/// Runs what bytes that a fuzzer chose decide: a short plan, the faults of the disk, where the
/// machine loses power. Bytes that are missing count as zeros, with which nothing more happens.
///
/// # Errors
/// The first promise that was not kept.
pub fn from_bytes(bytes: &[u8]) -> Result<Tally, Violation> {
    let mut random = Random::from_bytes(bytes);
    let plan = Plan::short(&mut random);
    let mut driver = Driver::new(plan.settings.clone(), random.fork(1), Arc::default());
    let mut checker = Checker::new(plan.settings.clone(), random.fork(2));
    let mut tally = Tally { runs: 1, ..Tally::default() };
    let mut sealed = true;
    for (number, phase) in plan.phases.iter().enumerate() {
        let faults = faults(&mut random, sealed);
        sealed = phase.end == End::Close;
        driver.watch();
        driver
            .phase(phase, faults)
            .map_err(|v| v.context(format!("phase {number} of {plan:?}")))?;
        tally.faults += driver.struck();
        let points = driver.take_points();
        for _ in 0..random.below(MOST_CRASHES + 1) {
            // Two bytes: there may be more calls than one has values.
            let call = (random.below(256) * 256 + random.below(256)) % points.len();
            let outcome = *random.pick(&Outcome::ALL);
            // One for all that the crash decides, so that the bytes that follow keep their meaning.
            let image = points[call].image.crash(outcome, &mut random.fork(3));
            let expected = driver.expected_at(&points[call]);
            checker.after_crash(&image, &expected, 0).map_err(|v| {
                v.context(format!(
                    "crash before call {call}, {outcome:?}, phase {number}, {plan:?}"
                ))
            })?;
        }
    }
    tally.crashes = checker.crashes;
    tally.backups = checker.backups;
    Ok(tally)
}
