//! Searches with a filter, by how many records it matches and where those are:
//! `cargo run --release -p vecgo --example filtered -- --base FILE.npy --queries FILE.npy
//! [--metric l2|cosine|dot] [--seconds N] [--shares 0.01,0.5] [--database DIR]`. A database that is given is kept, and used
//! as it is if it is there.
//!
//! Three attributes are made: one independent of the vectors; one by which the records nearest to a
//! pivot match, and the queries are near it; and one by which they match, and the queries are not.
//! Of each filter it prints recall against `exact`, and searches a second: at defaults, with a filter
//! never seen before, by `exact`, and as parts of those without a filter.

#![allow(clippy::disallowed_macros, reason = "a command prints")]
#![allow(clippy::disallowed_methods, reason = "it keeps time of its own")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of rows"
)]

mod vectors;

use std::fs;
use std::time::{Duration, Instant};

use vecgo::filter::{gte, lt};
use vecgo::{Collection, Config, Filter, Id, Metric, Record};
use vectors::{Result, Vectors, mixed};

const SHARES: [f64; 6] = [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9];
const QUERIES: u64 = 200;
/// Numbers of the attribute that is independent.
const NUMBERS: u64 = 1_000_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name);
        place.and_then(|place| arguments.get(place + 1)).cloned()
    };
    let file = |name: &str| -> Result<Vectors> {
        Vectors::read(&value(name).ok_or(format!("{name} FILE.npy is missing"))?)
    };
    let (base, queries) = (file("--base")?, file("--queries")?);
    let metric: Metric = value("--metric").as_deref().unwrap_or("l2").parse()?;
    let seconds = value("--seconds").map_or(Ok(1.0), |seconds| seconds.parse())?;
    let time = Duration::try_from_secs_f64(seconds)?;
    let shares: Vec<f64> = match value("--shares") {
        Some(shares) => shares.split(',').map(str::parse).collect::<Result<_, _>>()?,
        None => SHARES.to_vec(),
    };
    let own = std::env::temp_dir().join(format!("vecgo-filtered-{}", std::process::id()));
    let kept = value("--database");
    let directory = kept.clone().map_or(own, Into::into);
    let db = vecgo::open(&directory).wait()?;
    let docs = db.open_or_create("docs", Config::new(base.dim, metric)).wait()?;
    let ranks = ranks(&base, queries.row(0), metric);
    let missing = if docs.count() == 0 { base.rows() } else { 0 };
    for first in (0..missing).step_by(1000) {
        let batch = first..base.rows().min(first + 1000);
        docs.upsert(batch.map(|id| {
            let document =
                vecgo::json!({"number": mixed(id) % NUMBERS, "rank": ranks[id as usize]});
            Record::new(id, base.row(id)).metadata(document)
        }))
        .wait()?;
    }
    docs.compact().wait()?;
    docs.settle().wait()?;
    let mut bench = Bench { docs: &docs, time, queries: Vec::new() };
    let all: Vec<Vec<f32>> = (0..QUERIES).map(|n| queries.row(n).to_vec()).collect();
    // Queries by how near they are to the pivot.
    let mut by_rank: Vec<(u64, Vec<f32>)> = Vec::new();
    for query in &all {
        let nearest = docs.search(query).k(1).wait()?;
        let Some(Id::Number(row)) = nearest.first().map(|hit| &hit.id) else { continue };
        by_rank.push((ranks[*row as usize], query.clone()));
    }
    by_rank.sort_by_key(|(rank, _)| *rank);
    let sorted: Vec<Vec<f32>> = by_rank.into_iter().map(|(_, query)| query).collect();
    let (near, far) = (&sorted[..QUERIES as usize / 4], &sorted[QUERIES as usize * 3 / 4..]);
    println!("share     matching     recall    plain   filtered  ratio      fresh      exact");
    for (name, queries) in [("independent", &*all), ("near", near), ("far", far)] {
        bench.queries = queries.to_vec();
        let plain = bench.rate(|query| docs.search(query))?;
        for share in &shares {
            let filter = |first: u64| match name {
                "independent" => {
                    gte("number", first) & lt("number", first + (share * NUMBERS as f64) as u64)
                }
                _ => lt("rank", (share * base.rows() as f64) as u64 + first),
            };
            bench.report(name, *share, plain, filter)?;
        }
    }
    docs.close().wait()?;
    drop((docs, db));
    if kept.is_none() {
        fs::remove_dir_all(directory)?;
    }
    Ok(())
}

/// Each row's place when all are in the order of their distance from a pivot.
fn ranks(base: &Vectors, pivot: &[f32], metric: Metric) -> Vec<u64> {
    let distance = |row: &[f32]| -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        match metric {
            Metric::L2 => row.iter().zip(pivot).map(|(a, b)| (a - b) * (a - b)).sum(),
            Metric::Cosine => -dot(row, pivot) / dot(row, row).sqrt(),
            Metric::Dot => -dot(row, pivot),
        }
    };
    let mut order: Vec<(f32, u64)> =
        (0..base.rows()).map(|row| (distance(base.row(row)), row)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = vec![0; order.len()];
    for (rank, (_, row)) in (0..).zip(order) {
        ranks[row as usize] = rank;
    }
    ranks
}

struct Bench<'a> {
    docs: &'a Collection,
    time: Duration,
    queries: Vec<Vec<f32>>,
}

impl Bench<'_> {
    /// Searches a second: those of the fastest pass over all queries.
    fn rate(&self, search: impl Fn(&[f32]) -> vecgo::Search) -> Result<f64> {
        let (start, mut best) = (Instant::now(), f64::INFINITY);
        let mut passes = 0;
        while passes < 3 || start.elapsed() < self.time {
            let pass = Instant::now();
            for query in &self.queries {
                search(query).wait()?;
            }
            // The first one warms up.
            if passes > 0 {
                best = best.min(pass.elapsed().as_secs_f64());
            }
            passes += 1;
        }
        Ok(self.queries.len() as f64 / best)
    }

    fn report(
        &self,
        name: &str,
        share: f64,
        plain: f64,
        filter: impl Fn(u64) -> Filter,
    ) -> Result<()> {
        let one = filter(0);
        let matching = self.docs.count_where(one.clone()).wait()?;
        let (mut found, mut wanted) = (0u32, 0usize);
        for query in &self.queries {
            let search = self.docs.search(query).filter(one.clone());
            let exact = search.clone().exact().wait()?;
            let hits = search.wait()?;
            assert_eq!(hits.len() as u64, matching.min(10), "fewer than match");
            let last = exact.last().map_or(0.0, |hit| hit.distance);
            found +=
                hits.iter().filter(|hit| hit.distance <= last + last.abs() * 1e-5).count() as u32;
            wanted += exact.len();
        }
        let filtered = self.rate(|query| self.docs.search(query).filter(one.clone()))?;
        let exact = self.rate(|query| self.docs.search(query).filter(one.clone()).exact())?;
        let mut first = 0;
        let start = Instant::now();
        for query in &self.queries {
            first += 1;
            self.docs.search(query).filter(filter(first)).wait()?;
        }
        let fresh = self.queries.len() as f64 / start.elapsed().as_secs_f64();
        let recall = f64::from(found) / wanted.max(1) as f64;
        let ratio = filtered / plain;
        println!(
            "{name:<11} {share:>6} {matching:>8} {recall:>8.4} {plain:>8.0} {filtered:>10.0} {ratio:>6.2} {fresh:>10.0} {exact:>10.0}"
        );
        Ok(())
    }
}
