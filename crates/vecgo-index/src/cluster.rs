//! Rows that lie near each other, put next to each other.

use vecgo_kernels::{CodeRows, FACTOR_BYTES, Factors, Kernels};
use vecgo_quant::{CodeQuery, encode};

use crate::graph::{Codes, Neighbour, Points, Width};
use crate::order::shuffled;
use crate::parallel::Workers;
use crate::{Cancelled, Parallel, Serial};

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
/// divided again, with centres of samples. The same for the same points and seed, however many
/// threads and at whatever level of the kernels. `go_on` is asked every thousand rows or so.
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
    let groups = count.div_ceil(CLUSTER_ROWS).isqrt().max(1);
    let all: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    let divider = Divider { kernels, points, parallel, go_on };
    let groups = divider.divide(&all, groups, seed)?;
    // Each group is one task; what they find is put together in their order.
    let within = Divider { parallel: &Serial, ..divider };
    let workers = Workers::<()>::default();
    let found = workers.map(parallel, (0..).zip(groups), |(), (number, group): (u64, Group)| {
        let parts = group.rows.len().div_ceil(CLUSTER_ROWS);
        within.divide(&group.rows, parts, seed ^ number)
    });
    let mut clusters = Clusters::default();
    for group in found {
        for cluster in group? {
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

    /// Centres at some means, end to end.
    fn at(means: &[f32], points: Points<'_>) -> Self {
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

/// What rows are divided with.
#[derive(Clone, Copy)]
struct Divider<'a> {
    kernels: Kernels,
    points: Points<'a>,
    parallel: &'a dyn Parallel,
    go_on: &'a (dyn Fn() -> bool + Sync),
}

impl Divider<'_> {
    /// Divides rows into at most `parts` groups, none empty.
    fn divide(&self, rows: &[u32], parts: usize, seed: u64) -> Result<Vec<Group>, Cancelled> {
        let centres = self.centres(rows, parts, seed)?;
        let nearest = self.assign(rows, &centres)?;
        let mut groups: Vec<(Group, f32)> =
            (0..parts).map(|_| (Group::default(), f32::INFINITY)).collect();
        for (row, (centre, distance)) in rows.iter().zip(nearest) {
            let Some((group, best)) = groups.get_mut(centre as usize) else { continue };
            if distance < *best {
                *best = distance;
                group.centre = u32::try_from(group.rows.len()).unwrap_or(u32::MAX);
            }
            group.rows.push(*row);
        }
        let groups = groups.into_iter().map(|(group, _)| group);
        Ok(groups.filter(|group| !group.rows.is_empty()).collect())
    }

    /// Lloyd's algorithm over a sample.
    fn centres(&self, rows: &[u32], parts: usize, seed: u64) -> Result<Centres, Cancelled> {
        let places = self.points.codes.rows.stride();
        let picks = shuffled(rows.len(), seed);
        let sample: Vec<u32> =
            picks.iter().take(parts * SAMPLE).map(|place| rows[*place as usize]).collect();
        let mut means = vec![0.0f32; parts * places];
        for (row, mean) in sample.iter().zip(means.chunks_exact_mut(places)) {
            self.add(*row, mean);
        }
        let mut centres = Centres::at(&means, self.points);
        for _ in 0..ROUNDS {
            let nearest = self.assign(&sample, &centres)?;
            let mut sums = vec![(0.0f32, vec![0.0f32; places]); parts];
            for (row, (centre, _)) in sample.iter().zip(nearest) {
                if let Some((count, sum)) = sums.get_mut(centre as usize) {
                    *count += 1.0;
                    self.add(*row, sum);
                }
            }
            let sums = sums.iter().zip(means.chunks_exact_mut(places));
            for ((count, sum), mean) in sums.filter(|((count, _), _)| *count > 0.0) {
                mean.iter_mut().zip(sum).for_each(|(to, from)| *to = from / count);
            }
            centres = Centres::at(&means, self.points);
        }
        Ok(centres)
    }

    /// Adds a row's point to a sum.
    fn add(&self, row: u32, sum: &mut [f32]) {
        let factor = self.points.factors(row).full;
        for (sum, cell) in sum.iter_mut().zip(self.points.codes.rows.row(row)) {
            *sum += factor * (f32::from(*cell) - 127.5);
        }
    }

    /// The nearest centre of each row, and the squared distance.
    fn assign(&self, rows: &[u32], centres: &Centres) -> Result<Vec<(u32, f32)>, Cancelled> {
        let codes = self.points.codes;
        let Some(centres) = centres.codes() else { return Ok(Vec::new()) };
        let all: Vec<u32> = (0..u32::try_from(centres.rows.count()).unwrap_or(u32::MAX)).collect();
        let mut out = vec![(0, 0.0); rows.len()];
        let tasks = rows.chunks(TASK_ROWS).zip(out.chunks_mut(TASK_ROWS));
        let workers = Workers::<(CodeQuery, Vec<u64>)>::default();
        let done = workers.map(self.parallel, tasks, |(query, packed), (rows, out)| {
            if !(self.go_on)() {
                return false;
            }
            for (row, out) in rows.iter().zip(out) {
                let factors = self.points.factors(*row);
                query.set_cells(codes.rows.row(*row), factors);
                let mut nearest = Neighbour::new(f32::INFINITY, 0);
                centres.distances(self.kernels, query, &all, packed, |centre, distance| {
                    nearest = nearest.min(Neighbour::new(distance, centre));
                });
                *out = (nearest.row(), nearest.distance() + factors.squared);
            }
            true
        });
        if done.contains(&false) { Err(Cancelled) } else { Ok(out) }
    }
}
