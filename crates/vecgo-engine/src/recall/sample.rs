use parking_lot::Mutex;
use vecgo_format::{Config, Metric};
use vecgo_index::{Parallel, Threads};
use vecgo_kernels::Kernels;
use vecgo_quant::split_mix;

use super::NEIGHBOURS;
use crate::Result;
use crate::query::{Address, Scoring, norm};
use crate::segment::Stop;

/// Rows that are searched for, at least and at most: fewer would tell little.
const LEAST: usize = 16;
const MOST: usize = 512;
/// One row in so many is searched for.
const ONE_IN: usize = 32;
/// Neighbours that are looked for of all rows that are searched for; of those with more, as many in all.
const ALL_NEIGHBOURS: usize = MOST * 20;
/// Rows as near as the last one that are known, at most.
const MOST_EQUAL: usize = 1024;
/// Rows that one task scores.
const TASK_ROWS: usize = 16_384;

/// How many of so many rows are searched for.
fn sampled(rows: usize) -> usize {
    let wanted = rows / ONE_IN;
    if wanted < LEAST { 0 } else { wanted.min(MOST) }
}

/// About how much memory the sample of so many rows takes: their vectors, and which are near to them.
pub(crate) fn sample_bytes(config: &Config, rows: u64) -> u64 {
    let row = (config.dim() * 4 + NEIGHBOURS.map(|k| k as usize * 8).iter().sum::<usize>()) as u64;
    (sampled(usize::try_from(rows).unwrap_or(usize::MAX)) as u64).saturating_mul(row)
}

/// Some rows of a segment to be, and which others are nearest to each.
#[derive(Debug)]
pub(crate) struct Sample {
    dim: usize,
    /// Their places among the vectors that were given.
    rows: Vec<u32>,
    vectors: Vec<f32>,
    /// The nearest others of each, nearest first, and those as near as the last.
    nearest: Vec<Vec<(f32, u32)>>,
}

/// Vectors, row after row, and how they are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) kernels: Kernels,
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    pub(crate) vectors: &'a [f32],
}

impl Sample {
    /// Draws rows, and finds the others that are nearest to each; `None` if there are too few rows for that.
    pub(crate) fn draw(
        given: Given<'_>,
        seed: u64,
        threads: Threads,
        stop: &Stop,
    ) -> Result<Option<Self>> {
        let Given { dim, vectors, .. } = given;
        let count = vectors.len() / dim;
        let rows = spread(count, sampled(count), seed);
        if rows.is_empty() {
            return Ok(None);
        }
        let mut queries = Vec::with_capacity(rows.len() * dim);
        for row in &rows {
            let start = *row as usize * dim;
            queries.extend_from_slice(vectors.get(start..start + dim).unwrap_or_default());
        }
        let mut sample =
            Self { dim, nearest: vec![Vec::new(); rows.len()], rows, vectors: queries };
        let [least, middle, most] = NEIGHBOURS.map(|k| k as usize);
        // Many neighbours of some, few of the others.
        let (some, others) = sample.vectors.split_at(sample.searched(middle) * dim);
        let mut nearest = given.nearest(some, most + 1, threads, stop)?;
        nearest.extend(given.nearest(others, least + 1, threads, stop)?);
        for ((found, row), nearest) in sample.nearest.iter_mut().zip(&sample.rows).zip(nearest) {
            found.extend(nearest.into_iter().filter(|(_, other)| other != row));
        }
        Ok(Some(sample))
    }

    /// How many rows are searched for with `k` neighbours.
    pub(super) fn searched(&self, k: usize) -> usize {
        self.rows.len().min((ALL_NEIGHBOURS / k).max(1))
    }

    /// Whether there are so many others.
    pub(super) fn has_neighbours(&self, k: usize) -> bool {
        self.nearest.first().is_some_and(|nearest| nearest.len() >= k)
    }

    /// A row and its vector.
    pub(super) fn query(&self, number: usize) -> (u32, &[f32]) {
        let vector = &self.vectors[number * self.dim..(number + 1) * self.dim];
        (self.rows[number], vector)
    }

    /// How far away the `k`-th nearest other is.
    pub(super) fn distance(&self, number: usize, k: usize) -> f32 {
        self.nearest[number].get(k - 1).map_or(f32::INFINITY, |last| last.0)
    }

    /// The others that may be among the `k` nearest to it: more than so many if some are as near as the last.
    pub(super) fn nearest(&self, number: usize, k: usize) -> impl Iterator<Item = u32> {
        let (nearest, last) = (&self.nearest[number], self.distance(number, k));
        nearest.iter().take_while(move |(distance, _)| *distance <= last).map(|(_, row)| *row)
    }
}

impl Given<'_> {
    /// The `k` rows nearest to each query, nearest first, and some of those that are as near as the last;
    /// queries are end to end.
    fn nearest(
        self,
        queries: &[f32],
        k: usize,
        threads: Threads,
        stop: &Stop,
    ) -> Result<Vec<Vec<(f32, u32)>>> {
        let Given { kernels, metric, dim, vectors } = self;
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        let longest = match metric {
            Metric::Dot => {
                vectors.chunks_exact(dim).map(|row| norm(metric, row)).fold(0.0, f32::max)
            }
            Metric::Cosine | Metric::L2 => 0.0,
        };
        let found = Mutex::new(vec![Vec::<(f32, u32)>::new(); queries.len() / dim]);
        let tasks = vectors.len().div_ceil(TASK_ROWS * dim);
        threads.run(tasks, &|task| {
            if stop.check().is_err() {
                return;
            }
            let first = task * TASK_ROWS;
            let rows = &vectors[first * dim..vectors.len().min((first + TASK_ROWS) * dim)];
            let norms: Vec<f32> = match metric {
                Metric::Cosine => rows.chunks_exact(dim).map(|row| norm(metric, row)).collect(),
                Metric::L2 | Metric::Dot => Vec::new(),
            };
            let mut scoring = Scoring::new(kernels, metric, (queries, dim), (k, longest));
            let first = Address { source: 0, row: u32::try_from(first).unwrap_or(u32::MAX) };
            scoring.rows(first, rows, &norms, |_| true);
            let tops = scoring.into_tops();
            for (found, top) in found.lock().iter_mut().zip(tops) {
                found.extend(
                    top.into_candidates().iter().map(|row| (row.distance, row.address.row)),
                );
                found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let last = found.get(k - 1).map_or(f32::INFINITY, |last| last.0);
                found.truncate(found.partition_point(|found| found.0 <= last).min(k + MOST_EQUAL));
            }
        });
        stop.check()?;
        Ok(found.into_inner())
    }
}

/// So many of `count` rows, spread over all of them.
fn spread(count: usize, wanted: usize, mut seed: u64) -> Vec<u32> {
    let rows = (0..wanted).map(|number| {
        let (start, end) = (number * count / wanted, (number + 1) * count / wanted);
        start as u64 + split_mix(&mut seed) % (end - start).max(1) as u64
    });
    rows.filter_map(|row| u32::try_from(row).ok()).collect()
}
