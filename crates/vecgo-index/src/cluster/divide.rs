use vecgo_kernels::Kernels;
use vecgo_quant::CodeQuery;

use super::Centres;
use crate::graph::{Codes, Neighbour, Points};
use crate::order::shuffled;
use crate::parallel::Workers;
use crate::{Cancelled, Parallel};

/// Rows of a sample for each centre made of it.
const SAMPLE: usize = 48;
/// Rounds of Lloyd's algorithm over a sample.
const ROUNDS: usize = 4;
/// Rows that one task looks at.
const TASK_ROWS: usize = 1024;
/// Distances between two questions whether to go on.
const ASK_EACH: usize = 1 << 20;
/// Groups near a row in whose clusters its nearest centre is looked for.
const NEAR_GROUPS: usize = 8;

/// What rows are divided with.
#[derive(Clone, Copy)]
pub(super) struct Divider<'a> {
    pub(super) kernels: Kernels,
    pub(super) points: Points<'a>,
    pub(super) parallel: &'a dyn Parallel,
    pub(super) go_on: &'a (dyn Fn() -> bool + Sync),
}

/// Rows in groups, none empty, and the centre of each.
pub(super) struct Divided {
    pub(super) groups: Vec<Group>,
    pub(super) centres: Centres,
}

/// Rows that belong together.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) rows: Vec<u32>,
    /// Place within `rows` of the one nearest to the centre.
    pub(super) nearest: u32,
}

impl Divider<'_> {
    /// Divides rows into at most `parts` groups, with centres of a sample.
    pub(super) fn divide(
        &self,
        rows: &[u32],
        parts: usize,
        seed: u64,
    ) -> Result<Divided, Cancelled> {
        let centres = self.centres(rows, parts, seed)?;
        let nearest = self.assign(rows, &centres)?;
        Ok(self.grouped(rows, &centres, &nearest))
    }

    /// Rows by their centres.
    pub(super) fn grouped(
        &self,
        rows: &[u32],
        centres: &Centres,
        nearest: &[(u32, f32)],
    ) -> Divided {
        let mut groups: Vec<(Group, f32)> =
            (0..centres.count()).map(|_| (Group::default(), f32::INFINITY)).collect();
        for (row, (centre, distance)) in rows.iter().zip(nearest) {
            let Some((group, best)) = groups.get_mut(*centre as usize) else { continue };
            if *distance < *best {
                *best = *distance;
                group.nearest = u32::try_from(group.rows.len()).unwrap_or(u32::MAX);
            }
            group.rows.push(*row);
        }
        let used = |(number, (group, _)): (usize, &(Group, f32))| {
            (!group.rows.is_empty()).then_some(number)
        };
        let mut own = Centres::among(self.points);
        own.extend(centres, groups.iter().enumerate().filter_map(used));
        let groups = groups.into_iter().map(|(group, _)| group);
        Divided { groups: groups.filter(|group| !group.rows.is_empty()).collect(), centres: own }
    }

    /// The middle of the rows of each centre, or itself if it has none.
    pub(super) fn means(
        &self,
        rows: &[u32],
        nearest: &[(u32, f32)],
        centres: &Centres,
    ) -> Result<Centres, Cancelled> {
        let places = self.points.rows.stride();
        let mut counts = vec![0u32; centres.count()];
        let mut sums = vec![0.0f32; centres.count().saturating_mul(places)];
        for (rows, nearest) in rows.chunks(TASK_ROWS).zip(nearest.chunks(TASK_ROWS)) {
            if !(self.go_on)() {
                return Err(Cancelled);
            }
            for (row, (centre, _)) in rows.iter().zip(nearest) {
                let centre = *centre as usize;
                let Some(count) = counts.get_mut(centre) else { continue };
                *count += 1;
                self.add(*row, &mut sums[centre * places..(centre + 1) * places]);
            }
        }
        let mut moved = Centres::among(self.points);
        for (number, (count, sum)) in counts.iter().zip(sums.chunks_exact_mut(places)).enumerate() {
            if *count == 0 {
                moved.extend(centres, [number].into_iter());
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "a mean")]
            let count = *count as f32;
            sum.iter_mut().for_each(|value| *value /= count);
            moved.push(sum);
        }
        Ok(moved)
    }

    /// Lloyd's algorithm over a sample.
    fn centres(&self, rows: &[u32], parts: usize, seed: u64) -> Result<Centres, Cancelled> {
        let places = self.points.rows.stride();
        let picks = shuffled(rows.len(), seed);
        let sample = picks.iter().take(parts.saturating_mul(SAMPLE));
        let sample: Vec<u32> = sample.map(|place| rows[*place as usize]).collect();
        let mut centres = Centres::among(self.points);
        let mut point = vec![0.0f32; places];
        for row in sample.iter().take(parts) {
            point.fill(0.0);
            self.add(*row, &mut point);
            centres.push(&point);
        }
        for _ in 0..ROUNDS {
            let nearest = self.assign(&sample, &centres)?;
            centres = self.means(&sample, &nearest, &centres)?;
        }
        Ok(centres)
    }

    /// Adds a row's point to a sum.
    fn add(&self, row: u32, sum: &mut [f32]) {
        let factor = self.points.factors(row).full;
        for (sum, cell) in sum.iter_mut().zip(self.points.rows.row(row)) {
            *sum += factor * (f32::from(*cell) - 127.5);
        }
    }

    /// The nearest centre of each row, and the squared distance.
    fn assign(&self, rows: &[u32], centres: &Centres) -> Result<Vec<(u32, f32)>, Cancelled> {
        let Some(centres) = centres.codes() else { return Ok(Vec::new()) };
        let all: Vec<u32> = (0..u32::try_from(centres.rows.count()).unwrap_or(u32::MAX)).collect();
        self.for_each(rows, all.len(), |looking| looking.nearest(self.kernels, centres, &all))
    }

    /// The nearest centre of each row, of those that belong to the nearest groups: those of group n
    /// begin at the n-th of `starts`.
    pub(super) fn nearest_centres(
        &self,
        rows: &[u32],
        coarse: &Centres,
        (fine, starts): (&Centres, &[u32]),
    ) -> Result<Vec<(u32, f32)>, Cancelled> {
        let (Some(coarse), Some(fine)) = (coarse.codes(), fine.codes()) else {
            return Ok(Vec::new());
        };
        let all: Vec<u32> = (0..u32::try_from(coarse.rows.count()).unwrap_or(u32::MAX)).collect();
        let a_few = fine.rows.count() / all.len().max(1) * NEAR_GROUPS + all.len();
        self.for_each(rows, a_few, |looking| {
            let mut groups = Vec::with_capacity(all.len());
            let Looking { query, packed } = looking;
            coarse.distances(self.kernels, query, &all, packed, |group, distance| {
                groups.push(Neighbour::new(distance, group));
            });
            Neighbour::keep_nearest(&mut groups, NEAR_GROUPS);
            let start = |group: u32| starts.get(group as usize).copied().unwrap_or(u32::MAX);
            let centres =
                groups.iter().flat_map(|group| start(group.row())..start(group.row() + 1));
            let centres: Vec<u32> = centres.collect();
            looking.nearest(self.kernels, fine, &centres)
        })
    }

    /// Looks for something near each row, among about `others`, and adds its own squared length to the
    /// distance.
    fn for_each(
        &self,
        rows: &[u32],
        others: usize,
        look: impl Fn(&mut Looking) -> Neighbour + Sync,
    ) -> Result<Vec<(u32, f32)>, Cancelled> {
        let mut out = vec![(0, 0.0); rows.len()];
        let tasks = rows.chunks(TASK_ROWS).zip(out.chunks_mut(TASK_ROWS));
        let at_once = (ASK_EACH / others.max(1)).clamp(1, TASK_ROWS);
        let workers = Workers::<Looking>::default();
        let done = workers.map(self.parallel, tasks, |looking, (rows, out)| {
            for (rows, out) in rows.chunks(at_once).zip(out.chunks_mut(at_once)) {
                if !(self.go_on)() {
                    return false;
                }
                for (row, out) in rows.iter().zip(out) {
                    let factors = self.points.factors(*row);
                    looking.query.set_cells(self.points.rows.row(*row), factors);
                    let nearest = look(looking);
                    *out = (nearest.row(), nearest.distance() + factors.squared);
                }
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
