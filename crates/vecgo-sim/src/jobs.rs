//! The work of each command, cut into jobs, and the threads that do them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use vecgo_sim::{
    AtRest, AtVault, RequestFault, Rest, Tally, Trace, Violation, contest, exhaustive,
    ignored_conditions, seed, vault, workloads,
};

/// A part of the work.
pub(crate) struct Job {
    what: &'static str,
    /// How to see it again.
    again: String,
    run: Box<dyn Fn() -> Result<Tally, String> + Send + Sync>,
}

impl Job {
    fn new(
        what: &'static str,
        again: impl Into<String>,
        run: impl Fn() -> Result<Tally, String> + Send + Sync + 'static,
    ) -> Self {
        Self { what, again: again.into(), run: Box::new(run) }
    }

    /// Runs it; a panic is a promise broken like any other.
    fn run(&self) -> Result<Tally, String> {
        let ran = catch_unwind(AssertUnwindSafe(&self.run));
        let ran = ran.unwrap_or_else(|_| Err("I14: the engine panicked, see above".to_owned()));
        ran.map_err(|found| {
            format!("{}: {found}\n  again: cargo xtask sim {}", self.what, self.again)
        })
    }
}

/// Does all jobs, on every core one at a time. Stops at the first broken promise.
pub(crate) fn run_all(jobs: Vec<Job>) -> Result<BTreeMap<&'static str, Tally>, String> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::<&'static str, Tally>::new());
    let found = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match job.run() {
                        Ok(tally) => done.lock().entry(job.what).or_default().add(tally),
                        Err(message) => {
                            found.lock().get_or_insert(message);
                            next.store(jobs.len(), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    match found.into_inner() {
        None => Ok(done.into_inner()),
        Some(found) => Err(found),
    }
}

/// Every so many seeds one is run twice, to see that nothing but the seed decides.
const TWICE_EVERY: u64 = 16;

/// Seeds and contests.
pub(crate) fn seeds(from: u64, count: u64) -> Vec<Job> {
    type Run = fn(u64, &Arc<Trace>) -> Result<Tally, Violation>;
    let run = |what: &'static str, run: Run| {
        (from..from.saturating_add(count)).map(move |number| {
            Job::new(what, format!("--seed {number}"), move || {
                let trace = Arc::<Trace>::default();
                let tally = run(number, &trace).map_err(told)?;
                if number.is_multiple_of(TWICE_EVERY) {
                    let again = Arc::<Trace>::default();
                    run(number, &again).map_err(told)?;
                    if trace.hash() != again.hash() {
                        return Err("I0: two runs of one seed differ".to_owned());
                    }
                }
                Ok(tally)
            })
        })
    };
    let pairs = run("contest", contest).zip(run("seed", seed));
    pairs.flat_map(|(contest, seed)| [contest, seed]).collect()
}

/// Parts that the sequences of a length are cut into.
const PARTS: usize = 50;

/// Every sequence of some operations.
pub(crate) fn crashes(length: u32, nested: u32) -> Vec<Job> {
    let again = format!("crashes --length {length} --nested {nested}");
    let part = |part| {
        Job::new("crashes", again.clone(), move || {
            exhaustive(length, nested, (part, PARTS)).map_err(told)
        })
    };
    (0..PARTS).map(part).collect()
}

/// The workloads on a failing disk.
pub(crate) fn errors() -> Vec<Job> {
    let jobs = workloads().into_iter().map(|workload| {
        Job::new("errors", "errors", move || {
            let name = workload.name;
            vecgo_sim::errors(&workload).map_err(|found| format!("{name}: {}", told(found)))
        })
    });
    jobs.collect()
}

/// The requests to a failing bucket.
pub(crate) fn requests() -> Vec<Job> {
    let faults = RequestFault::ALL.into_iter().flat_map(|f| [(f, false), (f, true)]);
    let jobs = faults.map(|(fault, lasting)| {
        Job::new("requests", "requests", move || {
            let found = |v: Violation| format!("{fault:?}, lasting {lasting}: {}", told(v));
            vecgo_sim::requests(fault, lasting).map_err(found)
        })
    });
    let soon_over = RequestFault::ALL.into_iter().filter(|f| *f != RequestFault::Hidden);
    let once = soon_over.map(|fault| {
        Job::new("requests", "requests", move || {
            vecgo_sim::unnoticed(fault).map_err(|v| format!("{fault:?} of a put: {}", told(v)))
        })
    });
    let ignored = Job::new("requests", "requests", || {
        ignored_conditions(&Arc::default()).map(|()| Tally::default()).map_err(told)
    });
    once.chain(jobs).chain([ignored]).collect()
}

/// Files at rest, damaged.
pub(crate) fn bytes(bits: bool) -> Vec<Job> {
    let again = if bits { "bytes --bits" } else { "bytes" };
    let mut jobs = Vec::new();
    let small = Rest::ALL.map(|rest| (format!("{rest:?}"), AtRest::new(rest)));
    let large = ("with blobs".to_owned(), AtRest::with_blobs());
    for (name, made) in small.into_iter().chain([large]) {
        let at_rest = match made.map(Arc::new) {
            Ok(at_rest) => at_rest,
            Err(violation) => {
                jobs.push(Job::new("bytes", again, move || Err(told(&violation))));
                continue;
            }
        };
        for path in at_rest.files().map(|(path, _)| path.to_owned()) {
            let (at_rest, name) = (Arc::clone(&at_rest), name.clone());
            jobs.push(Job::new("bytes", again, move || {
                let mut tally = Tally::default();
                for damage in at_rest.damages(&path, bits) {
                    let found = |v| format!("{path}, {damage:?}, at rest, {name}: {}", told(v));
                    tally.add(at_rest.damage(&path, damage).map_err(found)?);
                }
                Ok(tally)
            }));
        }
    }
    jobs
}

/// Makers and pruners in one place.
pub(crate) fn vaults(seeds: u64) -> Vec<Job> {
    let job = |seed: u64| {
        let again = format!("--seed {seed}");
        Job::new("vaults", again, move || {
            vault(seed, &Arc::default()).map_err(|found| format!("seed {seed}: {}", told(found)))
        })
    };
    (0..seeds).map(job).collect()
}

/// Restores, interrupted, on failing disks, and of damaged backups.
pub(crate) fn restores(seeds: u64) -> Vec<Job> {
    let again = |seed: u64| format!("restores --seeds {}", seed + 1);
    let mut jobs = Vec::new();
    for seed in 0..seeds {
        let made = move || AtVault::new(seed).map_err(told);
        jobs.push(Job::new("restores", again(seed), move || made()?.crashes().map_err(told)));
        if seed > 0 {
            continue;
        }
        jobs.push(Job::new("restores", again(seed), move || made()?.errors().map_err(told)));
        jobs.push(Job::new("restores", again(seed), move || {
            let (made, mut tally) = (made()?, Tally::default());
            for path in made.files() {
                tally.add(made.damage(&path).map_err(told)?);
            }
            Ok(tally)
        }));
    }
    jobs
}

/// A part of everything, so many seeds among it, in turns, so that what one kind finds soon is found soon.
pub(crate) fn hunt(seeds: u64) -> Vec<Job> {
    let kinds = [
        crashes(1, 1),
        requests(),
        bytes(false),
        errors(),
        restores(2),
        vaults(seeds.saturating_mul(10)),
        self::seeds(0, seeds),
        crashes(2, 0),
    ];
    let mut kinds = kinds.map(Vec::into_iter);
    let mut jobs = Vec::new();
    loop {
        let before = jobs.len();
        jobs.extend(kinds.iter_mut().filter_map(Iterator::next));
        if jobs.len() == before {
            return jobs;
        }
    }
}

fn told(found: impl Display) -> String {
    found.to_string()
}
