//! Nothing but searches happens while the clock runs: at 20 µs a query a microsecond counts.

use std::thread;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use vecgo::Collection;

use super::Setting;
use crate::failure::Failure;

const MIN_PASSES: usize = 3;

/// How long the passes over all queries took.
pub(super) struct Timing {
    /// Of each pass, ascending.
    pub(super) seconds: Vec<f64>,
    /// Of each query in the fastest pass, ascending; empty if they went in one call.
    pub(super) latencies: Vec<Duration>,
}

/// One pass over all queries, or one thread's part of it.
struct Pass {
    start: Instant,
    end: Instant,
    latencies: Vec<Duration>,
}

/// How queries are handed over.
#[derive(Clone, Copy)]
pub(super) enum Calls {
    /// One a call, one after the other on each of so many threads.
    Single {
        /// Threads that search at the same time.
        threads: usize,
    },
    /// All in one call.
    Batch,
}

/// A pass to warm up, then at least three passes and as long as `least`.
pub(super) fn time(
    collection: &Collection,
    queries: &[Vec<f32>],
    calls: Calls,
    setting: &Setting,
    least: Duration,
) -> Result<Timing, Failure> {
    let pass = || match calls {
        Calls::Batch => batch(collection, queries, setting),
        Calls::Single { threads: 1 } => singly(collection, queries, setting),
        Calls::Single { threads } => on_threads(collection, queries, threads, setting),
    };
    pass()?;
    let (mut seconds, mut fastest): (Vec<f64>, Option<Pass>) = (Vec::new(), None);
    let start = Instant::now();
    while seconds.len() < MIN_PASSES || start.elapsed() < least {
        let pass = pass()?;
        seconds.push(pass.time().as_secs_f64());
        if fastest.as_ref().is_none_or(|fastest| pass.time() < fastest.time()) {
            fastest = Some(pass);
        }
    }
    let mut latencies = fastest.map_or(Vec::new(), |fastest| fastest.latencies);
    latencies.sort_unstable();
    seconds.sort_unstable_by(f64::total_cmp);
    Ok(Timing { seconds, latencies })
}

impl Pass {
    fn time(&self) -> Duration {
        self.end.duration_since(self.start)
    }
}

fn batch(
    collection: &Collection,
    queries: &[Vec<f32>],
    setting: &Setting,
) -> Result<Pass, Failure> {
    let start = Instant::now();
    setting.search_batch(collection, queries).wait()?;
    Ok(Pass { start, end: Instant::now(), latencies: Vec::new() })
}

/// The clock is read once a query: where one ends the next begins.
fn singly(
    collection: &Collection,
    queries: &[Vec<f32>],
    setting: &Setting,
) -> Result<Pass, Failure> {
    let mut latencies = Vec::with_capacity(queries.len());
    let start = Instant::now();
    let mut end = start;
    for query in queries {
        setting.search(collection, query).wait()?;
        let now = Instant::now();
        latencies.push(now.duration_since(end));
        end = now;
    }
    Ok(Pass { start, end, latencies })
}

/// From the first search of any thread to the end of the last: starting threads does not count.
fn on_threads(
    collection: &Collection,
    queries: &[Vec<f32>],
    threads: usize,
    setting: &Setting,
) -> Result<Pass, Failure> {
    let gate = RwLock::new(());
    let one_share = |queries| {
        drop(gate.read());
        singly(collection, queries, setting)
    };
    thread::scope(|scope| {
        // Dropped when all threads are there, and also if one cannot be had.
        let closed = gate.write();
        let started: Vec<_> = queries
            .chunks(queries.len().div_ceil(threads))
            .map(|share| scope.spawn(move || one_share(share)))
            .collect();
        drop(closed);
        let mut all: Option<Pass> = None;
        for thread in started {
            let panicked = |_| Failure::new(vecgo::ErrorKind::Internal, "a thread panicked");
            let share = thread.join().map_err(panicked)??;
            all = Some(match all {
                None => share,
                Some(mut all) => {
                    all.start = all.start.min(share.start);
                    all.end = all.end.max(share.end);
                    all.latencies.extend(share.latencies);
                    all
                }
            });
        }
        all.ok_or_else(|| Failure::invalid("no queries"))
    })
}
