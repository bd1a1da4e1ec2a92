//! Rows that lie near each other, put next to each other.

use std::sync::Mutex;

use vecgo_kernels::{CodeRows, FACTOR_BYTES, Factors, Kernels};
use vecgo_quant::{CodeQuery, encode};

use crate::graph::{Codes, Neighbour, Points, Width};
use crate::order::shuffled;
use crate::{Cancelled, Parallel};

/// Rows of a cluster, about.
const CLUSTER_ROWS: usize = 256;
/// Rows of a sample for each centroid made of it.
const SAMPLE: usize = 48;
/// Rounds of Lloyd's algorithm.
const ROUNDS: usize = 4;
/// Rows that one task looks at.
const TASK_ROWS: usize = 1024;

/// An order of rows in which each cluster is a range.
#[derive(Debug, Default)]
pub struct Clusters {
    /// The row, as it was, at each place.
    pub order: Vec<u32>,
    /// Where each cluster begins; they follow one another.
    pub starts: Vec<u32>,
    /// The place of the row nearest to each cluster's centre.
    pub centres: Vec<u32>,
}

/// Clusters rows by k-means on two levels: about the square root of their number of groups, each
/// divided again, with centres of samples. The same for the same seed, however many threads.
///
/// # Errors
/// [`Cancelled`] if `go_on` says so.
pub fn cluster(
    kernels: Kernels,
    points: Points<'_>,
    seed: u64,
    parallel: &dyn Parallel,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Clusters, Cancelled> {
    let count = points.codes.rows.count();
    let wanted = count.div_ceil(CLUSTER_ROWS).max(1);
    let groups = wanted.isqrt().max(1);
    let mut all: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    let assigned = divide(kernels, points, &mut all, groups, seed, parallel);
    let mut clusters = Clusters::default();
    // Each group is one task; what they find is put together in their order.
    let found: Vec<Mutex<Vec<Group>>> = assigned.iter().map(|_| Mutex::default()).collect();
    let inputs: Vec<Mutex<Vec<u32>>> =
        assigned.into_iter().map(|group| Mutex::new(group.rows)).collect();
    parallel.run(inputs.len(), &|task| {
        if !go_on() {
            return;
        }
        let (Ok(mut rows), Ok(mut out)) = (inputs[task].lock(), found[task].lock()) else { return };
        let parts = rows.len().div_ceil(CLUSTER_ROWS);
        *out = divide(kernels, points, &mut rows, parts, seed ^ task as u64, &crate::Serial);
    });
    if !go_on() {
        return Err(Cancelled);
    }
    for group in found {
        for cluster in group.into_inner().unwrap_or_default() {
            let start = u32::try_from(clusters.order.len()).unwrap_or(u32::MAX);
            clusters.starts.push(start);
            clusters.centres.push(start + cluster.centre);
            clusters.order.extend(cluster.rows);
        }
    }
    Ok(clusters)
}

#[derive(Debug, Default)]
struct Group {
    rows: Vec<u32>,
    /// Place within `rows` of the one nearest to the centre.
    centre: u32,
}

/// Centres as codes that rows can be compared with.
struct Centres {
    cells: Vec<u8>,
    factors: Vec<u8>,
    places: usize,
}

impl Centres {
    fn codes(&self) -> Option<Codes<'_>> {
        let rows = CodeRows::new(&self.cells, self.places)?;
        Some(Codes { rows, factors: Factors::apart(&self.factors)?, width: Width::Eight })
    }

    fn from_points(means: &[f32], points: Points<'_>) -> Self {
        let places = points.codes.rows.stride();
        let mut cells = vec![0; means.len()];
        let mut factors = Vec::with_capacity(means.len() / places * FACTOR_BYTES);
        for (mean, cells) in means.chunks_exact(places).zip(cells.chunks_exact_mut(places)) {
            let of_mean = encode(mean, points.width, cells);
            factors.extend(of_mean.squared.to_ne_bytes());
            factors.extend(of_mean.full.to_ne_bytes());
        }
        Self { cells, factors, places }
    }
}

/// Divides rows into at most `parts` groups, none empty.
fn divide(
    kernels: Kernels,
    points: Points<'_>,
    rows: &mut [u32],
    parts: usize,
    seed: u64,
    parallel: &dyn Parallel,
) -> Vec<Group> {
    let places = points.codes.rows.stride();
    let picks = shuffled(rows.len(), seed);
    let sample: Vec<u32> =
        picks.iter().take(parts * SAMPLE).map(|place| rows[*place as usize]).collect();
    let mut sums = vec![0.0f32; parts * places];
    for (row, sum) in sample.iter().zip(sums.chunks_exact_mut(places)) {
        add(points, *row, sum);
    }
    let mut centres = Centres::from_points(&sums, points);
    for _ in 0..ROUNDS {
        let nearest = assign(kernels, points, &sample, &centres, parallel);
        let mut counts = vec![0.0f32; parts];
        let mut moved = vec![0.0f32; parts * places];
        for (row, (centre, _)) in sample.iter().zip(nearest) {
            counts[centre as usize] += 1.0;
            add(points, *row, &mut moved[centre as usize * places..][..places]);
        }
        for (centre, count) in counts.iter().enumerate() {
            let place = centre * places..(centre + 1) * places;
            if *count > 0.0 {
                let means = sums[place.clone()].iter_mut().zip(&moved[place]);
                means.for_each(|(to, from)| *to = from / count);
            }
        }
        centres = Centres::from_points(&sums, points);
    }
    let nearest = assign(kernels, points, rows, &centres, parallel);
    let mut groups: Vec<(Group, f32)> =
        (0..parts).map(|_| (Group::default(), f32::INFINITY)).collect();
    for (row, (centre, distance)) in rows.iter().zip(nearest) {
        let (group, best) = &mut groups[centre as usize];
        if distance < *best {
            *best = distance;
            group.centre = u32::try_from(group.rows.len()).unwrap_or(u32::MAX);
        }
        group.rows.push(*row);
    }
    groups.into_iter().map(|(group, _)| group).filter(|group| !group.rows.is_empty()).collect()
}

/// Adds a row's point to a sum.
fn add(points: Points<'_>, row: u32, sum: &mut [f32]) {
    let factor = points.factors(row).full;
    for (sum, cell) in sum.iter_mut().zip(points.codes.rows.row(row)) {
        *sum += factor * (f32::from(*cell) - 127.5);
    }
}

/// The nearest centre of each row, and the distance.
fn assign(
    kernels: Kernels,
    points: Points<'_>,
    rows: &[u32],
    centres: &Centres,
    parallel: &dyn Parallel,
) -> Vec<(u32, f32)> {
    let all: Vec<u32> = (0..u32::try_from(centres.factors.len() / FACTOR_BYTES).unwrap_or(u32::MAX)).collect();
    let mut out = vec![(0, 0.0); rows.len()];
    let tasks: Vec<_> =
        rows.chunks(TASK_ROWS).zip(out.chunks_mut(TASK_ROWS)).map(Mutex::new).collect();
    parallel.run(tasks.len(), &|task| {
        let (Ok(mut task), Some(codes)) = (tasks[task].lock(), centres.codes()) else { return };
        let (mut query, mut packed) = (CodeQuery::default(), Vec::new());
        let (rows, out) = &mut *task;
        for (row, out) in rows.iter().zip(out.iter_mut()) {
            let factors = points.factors(*row);
            query.set_cells(points.codes.rows.row(*row), factors);
            let mut nearest = Neighbour::new(f32::INFINITY, 0);
            codes.distances(kernels, &query, &all, &mut packed, |centre, distance| {
                nearest = nearest.min(Neighbour::new(distance, centre));
            });
            *out = (nearest.row(), nearest.distance() + factors.squared);
        }
    });
    drop(tasks);
    out
}
