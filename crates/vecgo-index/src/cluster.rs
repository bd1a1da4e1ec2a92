//! Rows that lie near each other, put next to each other.

use vecgo_kernels::{CodeRows, FACTOR_BYTES, Factors, Kernels};
use vecgo_quant::{CodeQuery, encode};

use crate::graph::{Codes, Neighbour, Points, Width};
use crate::order::shuffled;
use crate::parallel::Workers;
use crate::{Cancelled, Parallel, Serial};

/// Rows of a sample for each centroid made of it.
const SAMPLE: usize = 48;
/// Rounds of Lloyd's algorithm.
const ROUNDS: usize = 4;
/// Rows that one task looks at.
const TASK_ROWS: usize = 1024;

/// Groups near a row in whose clusters its nearest centre is looked for.
const NEAR_GROUPS: usize = 8;

/// An order of rows in which each cluster is a range.
#[derive(Debug, Default)]
pub struct Clusters {
    /// The row, as it was, at each place.
    pub order: Vec<u32>,
    /// Where each cluster begins; they follow one another, and none is empty.
    pub starts: Vec<u32>,
    /// The place of the row nearest to each cluster's centre.
    pub nearest: Vec<u32>,
    /// The centres.
    pub centres: Centres,
}

/// How rows are clustered.
#[derive(Debug, Clone, Copy)]
pub struct ClusterParams {
    /// How many clusters, about: none stays empty.
    pub clusters: usize,
    /// In how many rounds each row goes to the nearest centre, as far as a look at the nearest groups
    /// tells, and each centre then to the middle of its rows. Without any, centres are those of samples
    /// of a group, and rows go to one of their own group.
    pub rounds: usize,
    /// What is drawn at random follows from it.
    pub seed: u64,
}

/// Clusters rows by k-means on two levels: about the square root of as many groups as clusters, each
/// divided again, with centres of samples. The same for the same points and seed, however many
/// threads and at whatever level of the kernels. `go_on` is asked every thousand rows or so.
///
/// # Errors
/// [`Cancelled`] if `go_on` says so.
pub fn cluster(
    kernels: Kernels,
    points: Points<'_>,
    params: ClusterParams,
    parallel: &dyn Parallel,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Clusters, Cancelled> {
    let ClusterParams { clusters, rounds, seed } = params;
    let count = points.codes.rows.count();
    let clusters = clusters.clamp(1, count.max(1));
    let all: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    let divider = Divider { kernels, points, parallel, go_on };
    let groups = divider.divide(&all, clusters.isqrt(), seed)?;
    let mut coarse = Centres::default();
    groups.iter().for_each(|group| coarse.push(&group.centre));
    // Each group is one task; what they find is put together in their order.
    let within = Divider { parallel: &Serial, ..divider };
    let workers = Workers::<()>::default();
    let tasks = (0..).zip(groups.iter().zip(shares(&groups, clusters)));
    let found = workers.map(parallel, tasks, |(), (number, (group, parts))| {
        within.divide(&group.rows, parts, seed ^ number)
    });
    let (mut parts, mut of_group) = (Vec::new(), vec![0]);
    for group in found {
        parts.extend(group?);
        of_group.push(u32::try_from(parts.len()).unwrap_or(u32::MAX));
    }
    let mut fine = Centres::default();
    parts.iter().for_each(|part| fine.push(&part.centre));
    for round in 0..rounds {
        let nearest = divider.nearest_centres(&all, &coarse, (&fine, &of_group))?;
        if round + 1 == rounds {
            parts = divider.grouped(&all, &fine, &nearest);
        } else {
            fine = divider.means(&all, &nearest, &fine);
        }
    }
    Ok(Clusters::of(parts))
}

/// How many of so many clusters each group is divided into: one, and of the others its share by rows.
fn shares(groups: &[Group], clusters: usize) -> Vec<usize> {
    let all = groups.iter().map(|group| group.rows.len()).sum::<usize>().max(1) as u128;
    let others = clusters.saturating_sub(groups.len()) as u128;
    let (mut rows, mut given) = (0u128, 0);
    let share = |group: &Group| {
        rows += group.rows.len() as u128;
        let so_far = rows * others / all;
        let share = usize::try_from(so_far - given).unwrap_or_default();
        given = so_far;
        1 + share
    };
    groups.iter().map(share).collect()
}

impl Clusters {
    fn of(groups: Vec<Group>) -> Self {
        let mut clusters = Self::default();
        for group in groups {
            let start = u32::try_from(clusters.order.len()).unwrap_or(u32::MAX);
            clusters.starts.push(start);
            clusters.nearest.push(start + group.nearest);
            clusters.centres.push(&group.centre);
            clusters.order.extend(group.rows);
        }
        clusters
    }
}

/// Rows that belong together.
#[derive(Debug, Default)]
struct Group {
    rows: Vec<u32>,
    /// Place within `rows` of the one nearest to the centre.
    nearest: u32,
    centre: Centre,
}

/// A centre's code and factors.
#[derive(Debug, Default, Clone)]
struct Centre {
    cells: Vec<u8>,
    factors: Vec<u8>,
}

/// Centres as codes that rows can be compared with, and queries.
#[derive(Debug, Default)]
pub struct Centres {
    /// Eight bits a place, one centre after the other.
    pub cells: Vec<u8>,
    /// Squared length and factor of each.
    pub factors: Vec<u8>,
    places: usize,
}

impl Centres {
    fn codes(&self) -> Option<Codes<'_>> {
        let rows = CodeRows::new(&self.cells, self.places)?;
        Some(Codes { rows, factors: Factors::apart(&self.factors)?, width: Width::Eight })
    }

    fn push(&mut self, centre: &Centre) {
        self.places = centre.cells.len();
        self.cells.extend_from_slice(&centre.cells);
        self.factors.extend_from_slice(&centre.factors);
    }

    fn get(&self, number: usize) -> Centre {
        let part = |bytes: &[u8], length: usize| {
            let start = number * length;
            bytes.get(start..start + length).unwrap_or_default().to_vec()
        };
        Centre { cells: part(&self.cells, self.places), factors: part(&self.factors, FACTOR_BYTES) }
    }

    /// Centres at some means, end to end.
    fn at(means: &[f32], points: Points<'_>) -> Self {
        let places = points.codes.rows.stride();
        let mut cells = vec![0; means.len()];
        let mut factors = Vec::with_capacity(means.len() / places * FACTOR_BYTES);
        for (mean, cells) in means.chunks_exact(places).zip(cells.chunks_exact_mut(places)) {
            let of_mean = encode(mean, points.width, cells);
            factors.extend(of_mean.squared.to_le_bytes());
            factors.extend(of_mean.full.to_le_bytes());
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
        Ok(self.grouped(rows, &centres, &nearest))
    }

    /// Rows by their centres, as many groups as centres have rows.
    fn grouped(&self, rows: &[u32], centres: &Centres, nearest: &[(u32, f32)]) -> Vec<Group> {
        let count = centres.factors.len() / FACTOR_BYTES;
        let mut groups: Vec<(Group, f32)> =
            (0..count).map(|_| (Group::default(), f32::INFINITY)).collect();
        for (row, (centre, distance)) in rows.iter().zip(nearest) {
            let Some((group, best)) = groups.get_mut(*centre as usize) else { continue };
            if *distance < *best {
                *best = *distance;
                group.nearest = u32::try_from(group.rows.len()).unwrap_or(u32::MAX);
            }
            group.rows.push(*row);
        }
        let groups = groups
            .into_iter()
            .enumerate()
            .map(|(number, (group, _))| Group { centre: centres.get(number), ..group });
        groups.filter(|group| !group.rows.is_empty()).collect()
    }

    /// The middle of the rows of each centre, or itself if it has none.
    fn means(&self, rows: &[u32], nearest: &[(u32, f32)], centres: &Centres) -> Centres {
        let places = self.points.codes.rows.stride();
        let count = centres.factors.len() / FACTOR_BYTES;
        let mut sums = vec![(0.0f32, vec![0.0f32; places]); count];
        for (row, (centre, _)) in rows.iter().zip(nearest) {
            if let Some((count, sum)) = sums.get_mut(*centre as usize) {
                *count += 1.0;
                self.add(*row, sum);
            }
        }
        let mut moved = Centres::default();
        for (number, (count, sum)) in sums.into_iter().enumerate() {
            if count == 0.0 {
                moved.push(&centres.get(number));
                continue;
            }
            let mean: Vec<f32> = sum.into_iter().map(|value| value / count).collect();
            moved.push(&Centres::at(&mean, self.points).get(0));
        }
        moved
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
            centres = self.means(&sample, &nearest, &centres);
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
        let Some(centres) = centres.codes() else { return Ok(Vec::new()) };
        let all: Vec<u32> = (0..u32::try_from(centres.rows.count()).unwrap_or(u32::MAX)).collect();
        self.for_each(rows, |looking| looking.nearest(self.kernels, centres, &all))
    }

    /// The nearest centre of each row, of those that belong to the nearest groups: those of group n
    /// begin at the n-th of `starts`.
    fn nearest_centres(
        &self,
        rows: &[u32],
        coarse: &Centres,
        (fine, starts): (&Centres, &[u32]),
    ) -> Result<Vec<(u32, f32)>, Cancelled> {
        let (Some(coarse), Some(fine)) = (coarse.codes(), fine.codes()) else {
            return Ok(Vec::new());
        };
        let all: Vec<u32> = (0..u32::try_from(coarse.rows.count()).unwrap_or(u32::MAX)).collect();
        self.for_each(rows, |looking| {
            let mut groups = Vec::with_capacity(all.len());
            let Looking { query, packed, .. } = looking;
            coarse.distances(self.kernels, query, &all, packed, |group, distance| {
                groups.push(Neighbour::new(distance, group));
            });
            if groups.len() > NEAR_GROUPS {
                groups.select_nth_unstable(NEAR_GROUPS - 1);
                groups.truncate(NEAR_GROUPS);
            }
            let start = |group: u32| starts.get(group as usize).copied().unwrap_or(u32::MAX);
            let centres =
                groups.iter().flat_map(|group| start(group.row())..start(group.row() + 1));
            let centres: Vec<u32> = centres.collect();
            looking.nearest(self.kernels, fine, &centres)
        })
    }

    /// Looks for something near each row, and adds its own squared length to the distance.
    fn for_each(
        &self,
        rows: &[u32],
        look: impl Fn(&mut Looking) -> Neighbour + Sync,
    ) -> Result<Vec<(u32, f32)>, Cancelled> {
        let mut out = vec![(0, 0.0); rows.len()];
        let tasks = rows.chunks(TASK_ROWS).zip(out.chunks_mut(TASK_ROWS));
        let workers = Workers::<Looking>::default();
        let done = workers.map(self.parallel, tasks, |looking, (rows, out)| {
            if !(self.go_on)() {
                return false;
            }
            for (row, out) in rows.iter().zip(out) {
                let factors = self.points.factors(*row);
                looking.query.set_cells(self.points.codes.rows.row(*row), factors);
                let nearest = look(looking);
                *out = (nearest.row(), nearest.distance() + factors.squared);
            }
            true
        });
        if done.contains(&false) { Err(Cancelled) } else { Ok(out) }
    }
}

/// A row that is compared with centres.
#[derive(Debug, Default)]
struct Looking {
    query: CodeQuery,
    packed: Vec<u64>,
}

impl Looking {
    fn nearest(&mut self, kernels: Kernels, centres: Codes<'_>, numbers: &[u32]) -> Neighbour {
        let mut nearest = Neighbour::new(f32::INFINITY, 0);
        let Self { query, packed } = self;
        centres.distances(kernels, query, numbers, packed, |centre, distance| {
            nearest = nearest.min(Neighbour::new(distance, centre));
        });
        nearest
    }
}
