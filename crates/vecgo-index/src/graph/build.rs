use std::sync::Mutex;

use vecgo_kernels::Kernels;
use vecgo_quant::{CodeFactors, CodeQuery};

use super::prune::Pruner;
use super::pool::Neighbour;
use super::search::{Codes, Scratch};
use super::{Edges, NO_EDGE};
use crate::Parallel;
use crate::order::shuffled;

/// What a graph is built over: all eight bits.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    /// Codes of [`super::Width::Eight`].
    pub codes: Codes<'a>,
    /// Coordinates of a point.
    pub width: usize,
}

impl Points<'_> {
    pub(crate) fn factors(&self, row: u32) -> CodeFactors {
        let [squared, full] = self.codes.factors.of(row);
        CodeFactors { squared, upper: 0.0, full }
    }
}

/// How to build.
#[derive(Clone, Copy, Debug)]
pub struct BuildParams {
    /// Most edges of a row.
    pub degree: usize,
    /// Rows kept while looking for a row's neighbours.
    pub ef: usize,
    /// How much nearer a chosen row must be to leave out a candidate.
    pub alpha: f32,
    /// Passes over all rows.
    pub passes: usize,
    /// Which order the rows come in.
    pub seed: u64,
}

/// A graph.
#[derive(Debug)]
pub struct Built {
    /// `degree` places a row.
    pub edges: Vec<u32>,
}

/// The build was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Rows that one task of a batch inserts.
const TASK_ROWS: usize = 32;

struct Worker {
    scratch: Scratch,
    pruner: Pruner,
    query: CodeQuery,
    candidates: Vec<Neighbour>,
    packed: Vec<u64>,
}

/// Builds a graph by inserting rows in batches: each row of a batch looks for its neighbours in the
/// graph as it was before the batch, and the edges back are added when all have (Manohar and
/// others, PPoPP 2024). So the graph depends on the seed only, not on the number of threads.
pub fn build(
    kernels: Kernels,
    points: Points<'_>,
    entries: &[u32],
    params: BuildParams,
    parallel: &dyn Parallel,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Built, Cancelled> {
    let count = points.codes.rows.count();
    let slack = params.degree + params.degree / 4;
    let mut edges = vec![NO_EDGE; count * slack];
    let order = shuffled(count, params.seed);
    let workers: Vec<Mutex<Worker>> = (0..parallel.threads())
        .map(|_| {
            Mutex::new(Worker {
                scratch: Scratch::default(),
                pruner: Pruner::default(),
                query: CodeQuery::default(),
                candidates: Vec::new(),
                packed: Vec::new(),
            })
        })
        .collect();
    let free = Mutex::new((0..workers.len()).collect::<Vec<_>>());
    let wanted = params;
    for pass in 0..params.passes {
        let last = pass + 1 == wanted.passes;
        let params = if last { wanted } else { BuildParams { ef: wanted.ef / 3, alpha: 1.0, ..wanted } };
        let mut done = 0;
        while done < count {
            let batch = if pass > 0 { count / 25 } else { done.clamp(1, count / 50 + 1) };
            let rows = &order[done..(done + batch.max(1)).min(count)];
            let tasks: Vec<&[u32]> = rows.chunks(TASK_ROWS).collect();
            let forward: Vec<Mutex<Vec<(u32, Vec<u32>)>>> =
                tasks.iter().map(|_| Mutex::new(Vec::new())).collect();
            let graph = Edges::new(&edges, slack);
            // Until every entry is in, the first row of all stands for them.
            let first = [order[0]];
            let starts: &[u32] = if pass == 0 && done < count / 10 { &first } else { entries };
            parallel.run(tasks.len(), &|task| {
                let place = free.lock().ok().and_then(|mut free| free.pop()).unwrap_or(0);
                if let (Ok(mut worker), Ok(mut out)) = (workers[place].lock(), forward[task].lock())
                {
                    for row in tasks[task] {
                        let kept = worker.insert(kernels, &points, graph, starts, *row, params);
                        out.push((*row, kept));
                    }
                }
                if let Ok(mut free) = free.lock() {
                    free.push(place);
                }
            });
            let mut back: Vec<(u32, u32)> = Vec::new();
            for list in forward {
                for (row, kept) in list.into_inner().unwrap_or_default() {
                    back.extend(kept.iter().map(|to| (*to, row)));
                    let places = &mut edges[row as usize * slack..][..slack];
                    places.fill(NO_EDGE);
                    places[..kept.len()].copy_from_slice(&kept);
                }
            }
            back.sort_unstable();
            add_back(kernels, &points, &mut edges, slack, &back, params, parallel, &workers, &free);
            done += rows.len();
            if !progress(pass * count + done) {
                return Err(Cancelled);
            }
        }
    }
    Ok(Built { edges: trim(kernels, &points, &edges, slack, params, parallel, &workers, &free) })
}

fn add_back(
    kernels: Kernels,
    points: &Points<'_>,
    edges: &mut [u32],
    slack: usize,
    back: &[(u32, u32)],
    params: BuildParams,
    parallel: &dyn Parallel,
    workers: &[Mutex<Worker>],
    free: &Mutex<Vec<usize>>,
) {
    let targets: Vec<&[(u32, u32)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
    let chunks: Vec<&[&[(u32, u32)]]> = targets.chunks(64).collect();
    let out: Vec<Mutex<Vec<(u32, Vec<u32>)>>> = chunks.iter().map(|_| Mutex::default()).collect();
    let graph = Edges::new(edges, slack);
    parallel.run(chunks.len(), &|task| {
        let place = free.lock().ok().and_then(|mut free| free.pop()).unwrap_or(0);
        if let (Ok(mut worker), Ok(mut out)) = (workers[place].lock(), out[task].lock()) {
            for sources in chunks[task] {
                let row = sources[0].0;
                let mut list: Vec<u32> =
                    graph.of(row).iter().copied().take_while(|to| *to != NO_EDGE).collect();
                let had = list.len();
                for (_, from) in sources.iter() {
                    if !list[..had].contains(from) {
                        list.push(*from);
                    }
                }
                if list.len() > slack {
                    list = worker.reprune(kernels, points, row, &list, params);
                }
                if list.len() != had || had > slack {
                    out.push((row, list));
                }
            }
        }
        if let Ok(mut free) = free.lock() {
            free.push(place);
        }
    });
    for list in out {
        for (row, list) in list.into_inner().unwrap_or_default() {
            let places = &mut edges[row as usize * slack..][..slack];
            places.fill(NO_EDGE);
            places[..list.len()].copy_from_slice(&list);
        }
    }
}

fn trim(
    kernels: Kernels,
    points: &Points<'_>,
    edges: &[u32],
    slack: usize,
    params: BuildParams,
    parallel: &dyn Parallel,
    workers: &[Mutex<Worker>],
    free: &Mutex<Vec<usize>>,
) -> Vec<u32> {
    let count = edges.len() / slack;
    let mut trimmed = vec![NO_EDGE; count * params.degree];
    let graph = Edges::new(edges, slack);
    let tasks: Vec<Mutex<(usize, &mut [u32])>> = trimmed
        .chunks_mut(params.degree * 256)
        .enumerate()
        .map(|(task, out)| Mutex::new((task * 256, out)))
        .collect();
    parallel.run(tasks.len(), &|task| {
        let place = free.lock().ok().and_then(|mut free| free.pop()).unwrap_or(0);
        if let (Ok(mut worker), Ok(mut out)) = (workers[place].lock(), tasks[task].lock()) {
            let first = out.0;
            for (i, places) in out.1.chunks_mut(params.degree).enumerate() {
                let row = u32::try_from(first + i).unwrap_or(u32::MAX);
                let list: Vec<u32> =
                    graph.of(row).iter().copied().take_while(|to| *to != NO_EDGE).collect();
                let list = if list.len() > params.degree {
                    worker.reprune(kernels, points, row, &list, params)
                } else {
                    list
                };
                places[..list.len()].copy_from_slice(&list);
            }
        }
        if let Ok(mut free) = free.lock() {
            free.push(place);
        }
    });
    drop(tasks);
    trimmed
}

impl Worker {
    fn insert(
        &mut self,
        kernels: Kernels,
        points: &Points<'_>,
        graph: Edges<'_>,
        starts: &[u32],
        row: u32,
        params: BuildParams,
    ) -> Vec<u32> {
        let factors = points.factors(row);
        self.query.set_cells(points.codes.rows.row(row), factors);
        let mut from: Vec<Neighbour> = Vec::new();
        points.codes.distances(kernels, &self.query, starts, &mut self.packed, |row, distance| {
            from.push(Neighbour::new(distance, row));
        });
        from.sort_unstable();
        from.truncate(4);
        let _ = self.scratch.walk(kernels, graph, points.codes, &self.query, &from, params.ef);
        self.candidates.clear();
        self.candidates.extend_from_slice(&self.scratch.path);
        // In later passes the row has edges already.
        let own: Vec<u32> = graph.of(row).iter().copied().take_while(|r| *r != NO_EDGE).collect();
        let candidates = &mut self.candidates;
        points.codes.distances(kernels, &self.query, &own, &mut self.packed, |row, distance| {
            candidates.push(Neighbour::new(distance, row));
        });
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|candidate| candidate.row() != row);
        self.pruner
            .prune(kernels, points, candidates, factors.squared, params.degree, params.alpha)
            .to_vec()
    }

    fn reprune(
        &mut self,
        kernels: Kernels,
        points: &Points<'_>,
        row: u32,
        list: &[u32],
        params: BuildParams,
    ) -> Vec<u32> {
        let factors = points.factors(row);
        self.query.set_cells(points.codes.rows.row(row), factors);
        self.candidates.clear();
        let candidates = &mut self.candidates;
        for list in list.chunks(1024) {
            points.codes.distances(kernels, &self.query, list, &mut self.packed, |row, distance| {
                candidates.push(Neighbour::new(distance, row));
            });
        }
        candidates.sort_unstable();
        candidates.dedup();
        self.pruner
            .prune(kernels, points, candidates, factors.squared, params.degree, params.alpha)
            .to_vec()
    }
}

