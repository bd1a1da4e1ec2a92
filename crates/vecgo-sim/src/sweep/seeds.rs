use std::sync::Arc;

use super::bytes::{AtRest, Rest};
use crate::check::Checker;
use crate::disk::{Fault, FaultKind, Outcome};
use crate::machine::Trace;
use crate::random::Random;
use crate::workload::{Driver, End, Phase, Plan};
use crate::{Tally, Violation};

/// Crashes of a run that are checked, about.
const CRASHES_A_RUN: usize = 60;

/// Steps of a recovery that are crashed at, about.
const CRASHES_A_RECOVERY: usize = 16;

/// Damages at rest that are tried at the end of a run.
const DAMAGES_A_RUN: usize = 8;

/// Runs a plan made from a seed: any operations of several clients through several lives of the
/// engine, now and then on a failing disk, with crashes at many of its steps.
///
/// # Errors
/// The first promise that was not kept.
pub fn seed(seed: u64, trace: &Arc<Trace>) -> Result<Tally, Violation> {
    let mut random = Random::new(seed);
    run(&Plan::random(&mut random), &mut random, trace)
}

/// Runs a plan.
///
/// # Errors
/// The first promise that was not kept.
pub(super) fn run(
    plan: &Plan,
    random: &mut Random,
    trace: &Arc<Trace>,
) -> Result<Tally, Violation> {
    let settings = &plan.settings;
    let mut driver = Driver::new(settings.clone(), random.fork(1), Arc::clone(trace));
    let mut checker =
        Checker::new(settings.clone(), random.fork(2)).with_steps_of_a_recovery(CRASHES_A_RECOVERY);
    let mut tally = Tally { runs: 1, ..Tally::default() };
    for (number, phase) in plan.phases.iter().enumerate() {
        let sealed = number == 0 || plan.phases[number - 1].end == End::Close;
        let faults = faults(random, sealed);
        trace.comment(format_args!("phase {number} of {settings:?}: {phase:?}, {faults:?}"));
        driver.watch();
        driver.phase(phase, faults).map_err(|v| v.context(format!("phase {number}")))?;
        let points = driver.take_points();
        tally.faults += driver.struck();
        let every = (points.len() * Outcome::ALL.len()).div_ceil(CRASHES_A_RUN).max(1);
        for (call, point) in points.iter().enumerate() {
            for outcome in Outcome::ALL {
                if !random.one_in(every) {
                    continue;
                }
                let image = point.image.crash(outcome, random);
                let nested = u32::from(random.one_in(16)) + u32::from(random.one_in(64));
                checker.after_crash(&image, &driver.expected_at(point), nested).map_err(|v| {
                    v.context(format!("phase {number}, crash before call {call}, {outcome:?}"))
                })?;
            }
        }
    }
    tally.crashes = checker.crashes;
    tally.backups = driver.backups() + checker.backups;
    driver.phase(&Phase::of(&[], End::Close), Vec::new())?;
    let at_rest = AtRest::of(&driver, settings, Rest::Closed);
    let damages = if settings.own_logs { 0 } else { DAMAGES_A_RUN };
    for _ in 0..damages {
        tally.faults += at_rest.damage_any(random)?.faults;
    }
    Ok(tally)
}

/// What goes wrong in a life of the engine: mostly nothing. `sealed`: the one before ended with a
/// commit, so that no byte of it can be taken for the end of a write that was cut short.
pub(super) fn faults(random: &mut Random, sealed: bool) -> Vec<Fault> {
    let number = random.below(6).saturating_sub(3);
    let planned = (0..number).map(|_| Fault {
        call: random.next() % 150,
        kind: *random.pick(&FaultKind::ALL),
        lasting: random.one_in(2),
    });
    planned.filter(|fault| sealed || fault.kind != FaultKind::BitFlip).collect()
}
