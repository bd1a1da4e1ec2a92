//! Going on from a graph that some of the rows were in, after rows have gone and others have come.
//!
//! A row that led to one that is gone may now lead to where that one led (Singh and others,
//! "FreshDiskANN", 2021): a walk that went through the row that is gone finds its way around it. But
//! edges that are left are not pruned for that: rows would lose most of those that others gave them,
//! and after a few rounds the same recall takes a sixth more distances.

use super::build::{BuildParams, Cancelled, Job};
use super::twins::Twins;
use super::{Edges, NO_EDGE, fill};

/// Rows that one task adopts.
const TASK_ROWS: usize = 256;

/// A graph that some of the rows were in.
#[derive(Clone, Copy, Debug)]
pub struct OldGraph<'a> {
    /// Its edges, between the rows that it had.
    pub edges: Edges<'a>,
    /// Which row each of its rows is now: no two are the same one. Those at [`NO_EDGE`] are gone.
    pub rows: &'a [u32],
}

impl OldGraph<'_> {
    /// The row of it that is now each of so many rows; [`NO_EDGE`] for those that are new.
    fn inverse(&self, count: usize) -> Vec<u32> {
        let mut inverse = vec![NO_EDGE; count];
        for (old, row) in (0..NO_EDGE).zip(self.rows) {
            if let Some(place) = inverse.get_mut(*row as usize) {
                *place = old;
            }
        }
        inverse
    }

    fn now(&self, old: u32) -> Option<u32> {
        self.rows.get(old as usize).copied().filter(|row| *row != NO_EDGE)
    }

    /// Puts where a row leads to now into `list`, each once, and behind those where rows led that
    /// it led to and that are gone; gives how many the first are.
    fn list(&self, old: u32, twins: &Twins, list: &mut Vec<u32>) -> usize {
        list.clear();
        let add = |list: &mut Vec<u32>, to: u32| {
            let to = twins.first_of(to);
            if self.now(old) != Some(to) && !list.contains(&to) {
                list.push(to);
            }
        };
        let led = self.edges.list(old);
        led.iter().filter_map(|to| self.now(*to)).for_each(|to| add(list, to));
        let kept = list.len();
        let gone = led.iter().filter(|to| self.now(**to).is_none());
        let beyond = gone.flat_map(|to| self.edges.list(*to)).filter_map(|to| self.now(*to));
        beyond.for_each(|to| add(list, to));
        kept
    }
}

/// Fills the lists, of `slack` places each, of rows that an old graph had; those of the others, and
/// of rows for which another stands, stay empty.
pub(super) fn adopt(
    job: &Job<'_>,
    old: OldGraph<'_>,
    twins: &Twins,
    (edges, slack): (&mut [u32], usize),
    params: BuildParams,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Result<(), Cancelled> {
    let olds = old.inverse(job.points.rows.count());
    let mut tasks = edges
        .chunks_mut(TASK_ROWS * slack)
        .zip(olds.chunks(TASK_ROWS))
        .zip((0u32..).step_by(TASK_ROWS));
    let mut done = 0;
    loop {
        let now: Vec<_> = tasks.by_ref().take(job.step().div_ceil(TASK_ROWS)).collect();
        if now.is_empty() {
            return Ok(());
        }
        let filled = job.workers.map(job.parallel, now, |worker, ((lists, olds), first)| {
            let mut filled = 0;
            for ((row, places), from) in (first..).zip(lists.chunks_exact_mut(slack)).zip(olds) {
                if *from == NO_EDGE || !twins.is_first(row) {
                    continue;
                }
                let kept = old.list(*from, twins, &mut worker.list);
                let list = worker.reprune(job, row, kept, params);
                filled += usize::from(!list.is_empty());
                fill(places, list);
            }
            filled
        });
        done += filled.into_iter().sum::<usize>();
        if !go_on(done) {
            return Err(Cancelled);
        }
    }
}
