//! Looking for the neighbours of rows.

use vecgo_quant::CodeQuery;

use super::build::{BuildParams, Job, Points};
use super::pool::Neighbour;
use super::prune::Pruner;
use super::search::{Reach, Scratch};
use super::{Edges, fill};

/// Rows that one task of a batch inserts.
pub(super) const TASK_ROWS: usize = 16;
/// Rows that a walk starts from: the nearest of those that it may start from.
const STARTS: usize = 4;
/// Rows scored at a time.
const CHUNK: usize = 1024;

/// Memory of one thread that builds.
#[derive(Debug, Default)]
pub(super) struct Worker {
    scratch: Scratch,
    pruner: Pruner,
    query: CodeQuery,
    starts: Vec<Neighbour>,
    candidates: Vec<Neighbour>,
    packed: Vec<u64>,
    /// A row's edges before they are pruned.
    pub(super) list: Vec<u32>,
}

/// Finds edges for each of `rows` in the graph as it is: `params.degree` places a row of `out`.
pub(super) fn insert(
    job: &Job<'_>,
    graph: Edges<'_>,
    starts: &[u32],
    rows: &[u32],
    params: BuildParams,
    out: &mut [u32],
) {
    let tasks = rows.chunks(TASK_ROWS).zip(out.chunks_mut(TASK_ROWS * params.degree));
    job.workers.map(job.parallel, tasks, |worker, (rows, out)| {
        for (row, places) in rows.iter().zip(out.chunks_exact_mut(params.degree)) {
            fill(places, worker.neighbours(job, graph, starts, *row, params));
        }
    });
}

impl Worker {
    /// Begins work on a row, which becomes the query.
    fn begin(&mut self, points: &Points<'_>, row: u32) {
        self.query.set_cells(points.rows.row(row), points.factors(row));
        self.candidates.clear();
    }

    /// The `ef` rows of the graph that a walk finds nearest to a row's point.
    pub(super) fn walk(
        &mut self,
        job: &Job<'_>,
        graph: Edges<'_>,
        starts: &[u32],
        row: u32,
        ef: usize,
    ) -> impl ExactSizeIterator<Item = Neighbour> {
        self.begin(&job.points, row);
        self.starts.clear();
        let nearest = &mut self.starts;
        for starts in starts.chunks(CHUNK) {
            let packed = &mut self.packed;
            job.points.codes().distances(
                job.kernels,
                &self.query,
                starts,
                packed,
                |row, distance| {
                    nearest.push(Neighbour::new(distance, row));
                },
            );
        }
        nearest.sort_unstable();
        nearest.truncate(STARTS);
        self.scratch.walk(
            job.kernels,
            graph,
            (job.points.codes(), &self.query),
            (&self.starts, None),
            Reach::of(ef),
        )
    }

    /// The neighbours of a row among those whose edges a walk follows and those that it has.
    fn neighbours(
        &mut self,
        job: &Job<'_>,
        graph: Edges<'_>,
        starts: &[u32],
        row: u32,
        params: BuildParams,
    ) -> &[u32] {
        let _ = self.walk(job, graph, starts, row, params.ef);
        self.candidates.extend_from_slice(&self.scratch.path);
        self.score(job, graph.list(row));
        self.candidates.retain(|candidate| candidate.row() != row);
        self.prune(job, row, 0, params)
    }

    /// The neighbours of a row among those in `self.list`: the first `chosen` in any case.
    pub(super) fn reprune(
        &mut self,
        job: &Job<'_>,
        row: u32,
        chosen: usize,
        params: BuildParams,
    ) -> &[u32] {
        self.begin(&job.points, row);
        let list = std::mem::take(&mut self.list);
        self.score(job, list.get(chosen..).unwrap_or_default());
        self.list = list;
        self.prune(job, row, chosen, params)
    }

    /// Adds rows to the candidates.
    fn score(&mut self, job: &Job<'_>, list: &[u32]) {
        let candidates = &mut self.candidates;
        for list in list.chunks(CHUNK) {
            job.points.codes().distances(
                job.kernels,
                &self.query,
                list,
                &mut self.packed,
                |row, distance| {
                    candidates.push(Neighbour::new(distance, row));
                },
            );
        }
    }

    fn prune(&mut self, job: &Job<'_>, row: u32, chosen: usize, params: BuildParams) -> &[u32] {
        self.candidates.sort_unstable();
        // One row's distance is the same however it was found.
        self.candidates.dedup();
        let squared = job.points.factors(row).squared;
        let chosen = self.list.get(..chosen).unwrap_or_default();
        self.pruner.prune(job, chosen, &self.candidates, squared, params)
    }
}
