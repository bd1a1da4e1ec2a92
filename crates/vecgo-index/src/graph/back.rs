//! Edges back to the rows that a batch inserted.

use super::build::{BuildParams, Job};
use super::{fill, used};

/// Rows whose lists one task changes.
const TASK_ROWS: usize = 64;

/// An edge to be added, packed so that numbers compare by the row that it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge(u64);

impl Edge {
    pub(super) fn new(from: u32, to: u32) -> Edge {
        Edge(u64::from(from) << 32 | u64::from(to))
    }

    fn from(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn to(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let to = self.0 as u32;
        to
    }
}

/// Adds edges to lists of `slack` places each; a list that would run over is pruned to
/// `params.degree`.
pub(super) fn add_back(
    job: &Job<'_>,
    edges: &mut [u32],
    slack: usize,
    new: &mut [Edge],
    params: BuildParams,
) {
    new.sort_unstable();
    job.workers.map(job.parallel, tasks(edges, slack, new), |worker, (first, places, new)| {
        for new in new.chunk_by(|a, b| a.from() == b.from()) {
            let Some(row) = new.first().map(|edge| edge.from()) else { continue };
            let start = (row - first) as usize * slack;
            let Some(places) = places.get_mut(start..start + slack) else { continue };
            let old = used(places);
            worker.list.clear();
            worker.list.extend_from_slice(old);
            let added = new.iter().map(|edge| edge.to()).filter(|to| !old.contains(to));
            worker.list.extend(added);
            if worker.list.len() > slack {
                fill(places, worker.reprune(job, row, 0, params));
            } else {
                fill(places, &worker.list);
            }
        }
    });
}

/// Cuts sorted edges into tasks, each with the first row it changes and the places from there on.
fn tasks<'a>(
    edges: &'a mut [u32],
    slack: usize,
    new: &'a [Edge],
) -> Vec<(u32, &'a mut [u32], &'a [Edge])> {
    let mut tasks = Vec::new();
    let (mut rest, mut rest_row) = (edges, 0);
    let mut new = new;
    while let Some(first) = new.first().map(|edge| edge.from()) {
        let lists = new.chunk_by(|a, b| a.from() == b.from()).take(TASK_ROWS);
        let (task, later) = new.split_at(lists.map(<[Edge]>::len).sum());
        let last = task.last().map_or(first, |edge| edge.from());
        let (_, from_first) = rest.split_at_mut((first - rest_row) as usize * slack);
        let (places, behind) = from_first.split_at_mut((last - first + 1) as usize * slack);
        tasks.push((first, places, task));
        (rest, rest_row, new) = (behind, last + 1, later);
    }
    tasks
}
