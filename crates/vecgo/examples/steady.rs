//! Searches at fixed times, first alone and then beside writes that replace records at random, and
//! tells what the writes do to the searches:
//! `cargo run --release -p vecgo --example steady -- --base FILE.npy [--records N] [--upserts N]
//! [--searches N] [--seconds N]`.
//!
//! The first rows of the file are the records, the last are the queries, the others are what
//! replaces records. Times count from
//! when a call was due, so one that waits for another is late. Without `--searches` a tenth of what
//! the idle collection can answer is offered.

#![allow(clippy::disallowed_macros, reason = "a command prints")]
#![allow(clippy::disallowed_methods, reason = "it keeps time and threads of its own")]

mod vectors;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vecgo::{Collection, Config, Id, Metric, Record};

use vectors::{Result, Vectors, mixed};

/// Records of one write.
const BATCH: u64 = 10;
const SEARCHERS: usize = 2;
const QUERIES: u64 = 1000;
const ALONE: Duration = Duration::from_secs(20);
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// A record is stored under its number, and marked in its metadata with the vector's.
const MARK: &str = "vector";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name);
        place.and_then(|place| arguments.get(place + 1)).cloned()
    };
    let number = |name: &str, default: u64| -> Result<u64> {
        Ok(value(name).map(|value| value.parse()).transpose()?.unwrap_or(default))
    };
    let vectors = Vectors::read(&value("--base").ok_or("--base FILE.npy is missing")?)?;
    let (rows, dim) = (vectors.rows(), vectors.dim);
    let vectors = Source(vectors);
    let records = number("--records", 200_000)?;
    if rows < 2 * records + QUERIES {
        return Err(format!("{rows} rows: too few for {records} records").into());
    }
    let directory = std::env::temp_dir().join(format!("vecgo-steady-{}", std::process::id()));
    let db = vecgo::open(&directory).wait()?;
    let docs = db.open_or_create("docs", Config::new(dim, Metric::L2)).wait()?;
    for first in (0..records).step_by(1000) {
        let batch = first..records.min(first + 1000);
        docs.upsert(batch.map(|id| vectors.record(id, id))).wait()?;
    }
    docs.settle().wait()?;
    let steady = Steady { docs: &docs, vectors: &vectors, records };
    println!("alone: recall {:.4}", steady.recall()?);
    let capacity = steady.capacity()?;
    let searches = number("--searches", capacity / 10)?;
    println!("{capacity} searches a second are answered, {searches} are offered");
    let alone = steady.run(searches, 0, ALONE)?;
    let seconds = Duration::from_secs(number("--seconds", 600)?);
    let beside = steady.run(searches, number("--upserts", 2000)?, seconds)?;
    println!("recall {:.4}", steady.recall()?);
    let (alone, beside) = (alone.at(990), beside.at(990));
    println!("p99 alone {alone:.3} ms, beside writes {beside:.3} ms: {:.2} times", beside / alone);
    docs.close().wait()?;
    drop((docs, db));
    fs::remove_dir_all(directory)?;
    Ok(())
}

/// What is searched for and written.
struct Source(Vectors);

impl Source {
    fn query(&self, number: u64) -> &[f32] {
        self.0.row(self.0.rows() - 1 - number % QUERIES)
    }

    fn record(&self, id: u64, row: u64) -> Record {
        Record::new(id, self.0.row(row)).metadata(vecgo::json!({MARK: row}))
    }
}

/// Milliseconds from when each call was due.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn add(&mut self, due: Instant) {
        self.0.push(due.elapsed().as_secs_f64() * 1000.0);
    }

    /// What so many of a thousand calls took at most.
    fn at(&self, per_mille: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let above = (1000 - per_mille) * sorted.len() / 1000;
        sorted.iter().rev().nth(above).or(sorted.first()).copied().unwrap_or_default()
    }

    fn said(&self) -> String {
        let [half, most, nearly, all] = [500, 990, 999, 1000].map(|part| self.at(part));
        format!("p50 {half:.3} p99 {most:.3} p99.9 {nearly:.3} most {all:.1} ms")
    }
}

/// When each of many calls is due.
struct Schedule {
    began: Instant,
    every: Duration,
    count: u64,
}

impl Schedule {
    fn new(began: Instant, a_second: u64, length: Duration) -> Self {
        let every = Duration::from_secs(1).div_f64(a_second.max(1) as f64);
        Self { began, every, count: a_second * length.as_secs() }
    }

    /// Sleeps until a call is due.
    fn wait(&self, number: u64) -> Instant {
        let due = self.began + self.every.mul_f64(number as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due
    }
}

#[derive(Clone, Copy)]
struct Steady<'a> {
    docs: &'a Collection,
    vectors: &'a Source,
    records: u64,
}

impl Steady<'_> {
    fn search(&self, number: u64) -> Result<()> {
        let hits = self.docs.search(self.vectors.query(number)).k(10).wait()?;
        if hits.len() == 10 { Ok(()) } else { Err(format!("{} hits", hits.len()).into()) }
    }

    /// Searches a second that all cores can answer.
    fn capacity(&self) -> Result<u64> {
        let cores = thread::available_parallelism()?.get() as u64;
        let (length, count) = (Duration::from_secs(4), AtomicU64::new(0));
        let began = Instant::now();
        thread::scope(|scope| {
            let searchers = (0..cores).map(|_| {
                scope.spawn(|| -> Result<()> {
                    while began.elapsed() < length {
                        self.search(count.fetch_add(1, Ordering::Relaxed))?;
                    }
                    Ok(())
                })
            });
            let searchers: Vec<_> = searchers.collect();
            searchers
                .into_iter()
                .try_for_each(|one| one.join().map_err(|_| "a searcher panicked")?)
        })?;
        Ok(count.into_inner() / length.as_secs())
    }

    /// Offers searches and upserts for a time; gives the times of the searches.
    fn run(&self, searches: u64, upserts: u64, length: Duration) -> Result<Times> {
        let began = Instant::now();
        let ended = AtomicBool::new(false);
        let (found, written) = thread::scope(|scope| -> Result<_> {
            let searchers: Vec<_> = (0..SEARCHERS as u64)
                .map(|lane| scope.spawn(move || self.searcher(lane, began, searches, length)))
                .collect();
            let schedule = Schedule::new(began, upserts / BATCH, length);
            let writer = scope.spawn(move || self.writer(&schedule));
            scope.spawn(|| self.tell(began, &ended));
            let mut found = Times::default();
            let found_all = searchers.into_iter().try_for_each(|lane| -> Result<()> {
                found.0.extend(lane.join().map_err(|_| "a searcher panicked")??.0);
                Ok(())
            });
            let written = writer.join().map_err(|_| "the writer panicked");
            ended.store(true, Ordering::Relaxed);
            found_all?;
            Ok((found, written??))
        })?;
        println!("{} searches: {}", found.0.len(), found.said());
        if upserts > 0 {
            println!("{} writes of {BATCH} records: {}", written.0.len(), written.said());
        }
        Ok(found)
    }

    fn searcher(
        &self,
        lane: u64,
        began: Instant,
        a_second: u64,
        length: Duration,
    ) -> Result<Times> {
        precise();
        let schedule = Schedule::new(began, a_second, length);
        let mut times = Times::default();
        for number in (lane..schedule.count).step_by(SEARCHERS) {
            let due = schedule.wait(number);
            self.search(number)?;
            times.add(due);
        }
        Ok(times)
    }

    fn writer(&self, schedule: &Schedule) -> Result<Times> {
        precise();
        let mut times = Times::default();
        for number in 0..schedule.count {
            let due = schedule.wait(number);
            let ids = (number * BATCH..(number + 1) * BATCH).map(|n| mixed(n) % self.records);
            let others = self.vectors.0.rows() - QUERIES - self.records;
            let row = |place: u64| self.records + (number * BATCH + place) % others;
            let batch = ids.zip(0..).map(|(id, place)| self.vectors.record(id, row(place)));
            self.docs.upsert(batch.collect::<Vec<_>>()).wait()?;
            times.add(due);
        }
        Ok(times)
    }

    fn tell(&self, began: Instant, ended: &AtomicBool) {
        let mut told = began;
        while !ended.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(100));
            if told.elapsed() < REPORT_EVERY {
                continue;
            }
            told = Instant::now();
            let stats = self.docs.stats();
            let segments = stats.segments.iter().map(|s| format!("{}-{}", s.rows, s.dead_rows));
            println!(
                "  {:>4} s: {} rows in memory, segments {:?}, graph {:?}, failures {:?} {:?} {:?}",
                began.elapsed().as_secs(),
                stats.memtable_rows,
                segments.collect::<Vec<_>>(),
                stats.graph_build.map(|build| build.done),
                stats.flush_failure,
                stats.merge_failure,
                stats.vacuum_failure,
            );
        }
    }

    /// How many of the ten nearest are found, of those that an exact search finds.
    fn recall(&self) -> Result<f64> {
        let (mut found, mut all) = (0, 0);
        for number in 0..QUERIES {
            let query = self.vectors.query(number);
            let exact = self.docs.search(query).k(10).exact().wait()?;
            let exact: Vec<Id> = exact.into_iter().map(|hit| hit.id).collect();
            let hits = self.docs.search(query).k(10).wait()?;
            found += hits.iter().filter(|hit| exact.contains(&hit.id)).count();
            all += exact.len();
        }
        Ok(found as f64 / all as f64)
    }
}

/// Lets this thread sleep to the microsecond.
fn precise() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}
