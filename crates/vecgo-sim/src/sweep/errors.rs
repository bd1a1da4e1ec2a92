use std::sync::Arc;

use crate::check::Checker;
use crate::disk::{Fault, FaultKind, Outcome};
use crate::random::Random;
use crate::workload::{Driver, End, Operation, Part, Phase, Span};
use crate::{Settings, Tally, Violation};
use vecgo_engine::{Metric, WalSync};

/// A workload that is run on a disk that fails at its first call, at its second, and so on.
#[derive(Debug)]
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    settings: Settings,
    /// Lives of the engine before the disk begins to fail.
    before: Vec<Phase>,
    /// The life that fails.
    failing: Phase,
}

const fn span(first: usize, count: usize) -> Span {
    Span { first, count }
}

/// The workloads of the error sweep.
pub fn workloads() -> Vec<Workload> {
    use Operation::{
        Backup, Commit, Compact, Create, Delete, Drop, Flush, Insert, Prune, Read, Rename, Update,
        Upsert, Wait, WriteOther,
    };
    let settings = Settings::default();
    let small = Settings { memtable_rows: 4, ..settings.clone() };
    let first = Phase::of(
        &[Upsert(span(0, 4)), Flush, Upsert(span(2, 4)), Delete(span(0, 1)), Commit],
        End::Close,
    );
    let workload = |name, settings: &Settings, before: &[Phase], failing| Workload {
        name,
        settings: settings.clone(),
        before: before.to_vec(),
        failing,
    };
    vec![
        workload(
            "a new database",
            &settings,
            &[],
            Phase::of(
                &[Upsert(span(0, 3)), Delete(span(1, 1)), Read, Upsert(span(0, 2))],
                End::Close,
            ),
        ),
        workload(
            "flushes and deletes",
            &small,
            &[],
            Phase::of(
                &[Upsert(span(0, 5)), Upsert(span(3, 4)), Delete(span(1, 3)), Flush, Read, Commit],
                End::Close,
            ),
        ),
        workload(
            "an old database",
            &settings,
            std::slice::from_ref(&first),
            Phase::of(
                &[
                    Read,
                    Update(span(2, 1), Part::Metadata),
                    Insert(span(20, 2)),
                    Flush,
                    Upsert(span(3, 2)),
                    Commit,
                ],
                End::Close,
            ),
        ),
        workload(
            "merges",
            &Settings { memtable_rows: 2, ..settings.clone() },
            std::slice::from_ref(&first),
            Phase::of(
                &[
                    Upsert(span(0, 3)),
                    Delete(span(2, 1)),
                    Compact,
                    Upsert(span(1, 3)),
                    Compact,
                    Delete(span(0, 2)),
                    Read,
                ],
                End::Close,
            ),
        ),
        workload(
            "merges beside writes",
            &Settings { busy: true, memtable_rows: 2, ..settings.clone() },
            std::slice::from_ref(&first),
            Phase {
                lanes: vec![
                    vec![Upsert(span(0, 3)), Compact, Delete(span(1, 1)), Compact],
                    vec![Upsert(span(0, 3)), Delete(span(0, 2)), Flush, Upsert(span(1, 2))],
                ],
                end: End::Kill,
            },
        ),
        workload(
            "recovery after a kill",
            &settings,
            &[Phase::of(&[Upsert(span(0, 4)), Commit, Upsert(span(2, 4))], End::Kill)],
            Phase::of(&[Upsert(span(5, 2)), Commit, Delete(span(0, 2))], End::Kill),
        ),
        workload(
            "relaxed writes",
            &Settings { wal_sync: WalSync::OnCommit, metric: Metric::Cosine, ..small.clone() },
            std::slice::from_ref(&first),
            Phase::of(
                &[Upsert(span(0, 3)), Delete(span(3, 2)), Commit, Upsert(span(7, 3)), Wait, Read],
                End::Close,
            ),
        ),
        workload(
            "collections",
            &settings,
            std::slice::from_ref(&first),
            Phase::of(
                &[Create, WriteOther, Rename, Create, WriteOther, Drop, Upsert(span(0, 1))],
                End::Close,
            ),
        ),
        workload(
            "backups",
            &settings,
            std::slice::from_ref(&first),
            Phase::of(
                &[
                    Backup,
                    Upsert(span(1, 2)),
                    Flush,
                    Delete(span(2, 1)),
                    Commit,
                    Backup,
                    Prune,
                    Backup,
                ],
                End::Close,
            ),
        ),
        workload(
            "two clients",
            &Settings { busy: true, ..small },
            &[first],
            Phase {
                lanes: vec![
                    vec![Upsert(span(0, 3)), Flush, Delete(span(1, 1)), Commit, Read],
                    vec![Upsert(span(0, 3)), Upsert(span(1, 3)), Commit, Flush],
                ],
                end: End::Kill,
            },
        ),
    ]
}

/// Lets the n-th call fail, once and for good, in every way, for every n until a run is clean.
/// After each run the process is killed, and the machine loses power.
///
/// # Errors
/// The first promise that was not kept, with the fault.
pub fn errors(workload: &Workload) -> Result<Tally, Violation> {
    let mut tally = Tally::default();
    for kind in FaultKind::ALL {
        // A flipped bit in what no commit names yet looks like a torn write.
        if kind == FaultKind::BitFlip && workload.before.iter().any(|p| p.end != End::Close) {
            continue;
        }
        for lasting in [false, true] {
            for call in 0.. {
                let fault = Fault { call, kind, lasting };
                let (ran, struck) =
                    one(workload, fault).map_err(|v| v.context(format!("{fault:?}")))?;
                tally.add(ran);
                if !struck {
                    break;
                }
            }
        }
    }
    Ok(tally)
}

fn one(workload: &Workload, fault: Fault) -> Result<(Tally, bool), Violation> {
    let mut random = Random::new(fault.call);
    let mut driver = Driver::new(workload.settings.clone(), random.fork(1), Arc::default());
    for phase in &workload.before {
        driver.phase(phase, Vec::new())?;
    }
    driver.phase(&workload.failing, vec![fault])?;
    let faults = driver.disk().struck();
    let mut checker = Checker::new(workload.settings.clone(), random.fork(2));
    let image = driver.disk().image();
    let at_least = driver.at_least().clone();
    for outcome in [Outcome::Strict, Outcome::Lucky, Outcome::Random] {
        let crashed = image.crash(outcome, &mut random);
        checker
            .after_crash(&crashed, &at_least, 0)
            .map_err(|violation| violation.context(format!("power lost, {outcome:?}")))?;
    }
    // The same machine goes on, with what its cache says; then it loses power.
    driver.phase(
        &Phase::of(&[Operation::Read, Operation::Upsert(span(0, 2))], End::Kill),
        Vec::new(),
    )?;
    let crashed = driver.disk().image().crash(Outcome::Strict, &mut random);
    checker
        .after_crash(&crashed, &driver.at_least().clone(), 0)
        .map_err(|violation| violation.context("power lost after another life"))?;
    let backups = driver.backups() + checker.backups;
    Ok((Tally { runs: 1, crashes: checker.crashes, faults, backups }, faults > 0))
}
