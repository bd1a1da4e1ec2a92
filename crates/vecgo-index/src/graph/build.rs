use vecgo_kernels::{Bits, CodeRows, Factors, Kernels};
use vecgo_quant::CodeFactors;

use super::adopt::{OldGraph, adopt};
use super::back::{Edge, add_back};
use super::insert::{TASK_ROWS, Worker, insert};
use super::repair::connect;
use super::search::Codes;
use super::trim::trim;
use super::twins::Twins;
use super::{Edges, NO_EDGE, fill, used};
use crate::Parallel;
use crate::order::shuffled;
use crate::parallel::Workers;

/// What a graph is built over: all eight bits.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    /// Codes of a byte for each place, at most `u32::MAX` rows.
    pub rows: CodeRows<'a>,
    /// Squared length and factor of each row.
    pub factors: Factors<'a>,
    /// Coordinates of a point, of which there are at most as many as a row has codes.
    pub width: usize,
}

impl<'a> Points<'a> {
    pub(crate) fn codes(&self) -> Codes<'a> {
        Codes::of_places(self.rows, Bits::Eight, self.factors)
    }

    pub(crate) fn factors(&self, row: u32) -> CodeFactors {
        let [squared, full] = self.factors.of(row);
        CodeFactors { squared, full, ..CodeFactors::default() }
    }
}

/// How to build.
#[derive(Clone, Copy, Debug)]
pub struct BuildParams {
    /// Most edges of a row; zero is taken for one.
    pub degree: usize,
    /// Rows kept while looking for a row's neighbours.
    pub ef: usize,
    /// How many times nearer, in squared distance, a chosen row must be to a candidate than the
    /// point is, for the candidate to be left out: 1 or more.
    pub alpha: f32,
    /// Passes over all rows; all but the last are quick ones. Zero is taken for one.
    pub passes: usize,
    /// Which order the rows come in.
    pub seed: u64,
}

/// A graph.
#[derive(Debug)]
pub struct Built {
    /// `degree` places a row, those not used at [`NO_EDGE`] and last. No row has an edge to itself
    /// or two to the same row.
    pub edges: Vec<u32>,
}

/// The build was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Most rows between two reports of progress, beside one for every thread.
const MOST_STEP: usize = 1 << 14;
/// Rows of an old graph that searches start from if none of the entries was in it.
const STARTS: usize = 16;

/// What all parts of a build work with.
pub(super) struct Job<'a> {
    pub(super) kernels: Kernels,
    pub(super) points: Points<'a>,
    pub(super) parallel: &'a dyn Parallel,
    pub(super) workers: Workers<Worker>,
}

impl Job<'_> {
    /// Rows between two reports of progress: one in a hundred, but work for every thread.
    pub(super) fn step(&self) -> usize {
        let one_percent = self.points.rows.count() / 100;
        one_percent.min(MOST_STEP).max(TASK_ROWS * self.parallel.threads().max(1))
    }
}

/// Builds a graph by inserting rows in batches: each row of a batch looks for its neighbours in the
/// graph as it was before the batch, and the edges back are added when all have (Manohar and
/// others, PPoPP 2024). So the graph depends on points, entries and parameters only: neither the
/// number of threads nor the level of the kernels makes a difference.
///
/// Searches will start from some of `entries`; every row can be reached from those. Entries that
/// are no rows are passed over, and the first row stands for an empty list. `progress` is told how
/// many rows are done, about every hundredth, and says whether to go on.
///
/// With an old graph, only rows that are not in it are inserted, in one pass.
///
/// Of rows with the same codes only one is inserted; the others hang on it (see `twins.rs`).
///
/// # Errors
/// [`Cancelled`] if `progress` says so.
pub fn build(
    kernels: Kernels,
    points: Points<'_>,
    entries: &[u32],
    params: BuildParams,
    old: Option<OldGraph<'_>>,
    parallel: &dyn Parallel,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Built, Cancelled> {
    let count = points.rows.count();
    let passes = if old.is_some() { 1 } else { params.passes.max(1) };
    let params = BuildParams { degree: params.degree.max(1), passes, ..params };
    let job = Job { kernels, points, parallel, workers: Workers::default() };
    let mut entries: Vec<u32> =
        entries.iter().copied().filter(|entry| (*entry as usize) < count).collect();
    if entries.is_empty() {
        entries.extend((count > 0).then_some(0));
    }
    let twins = Twins::find(&job, &entries);
    let mut growth = Growth::new(&job, &twins, &entries, params);
    if let Some(old) = old {
        growth.adopt(old, &twins, &mut progress)?;
    }
    for pass in 0..passes {
        growth.pass(pass, &mut |done| progress((pass * count + done) / passes))?;
    }
    let mut go_on = || progress(count);
    let mut edges = trim(&job, growth.graph(), params, &mut go_on)?;
    drop(growth);
    twins.attach(&mut edges, params.degree);
    connect(&job, &mut edges, &entries, params.degree, &mut go_on)?;
    Ok(Built { edges })
}

/// A graph that rows are being inserted into.
struct Growth<'a> {
    job: &'a Job<'a>,
    params: BuildParams,
    /// The rows to be inserted, behind those among the entries that have been: what searches start
    /// from is connected before anything else is.
    order: Vec<u32>,
    /// How many of them searches start from.
    starts: usize,
    /// How many of those an old graph had.
    starts_adopted: usize,
    /// How many others it had.
    adopted: usize,
    /// `slack` places a row: a few more than are kept, so that not every edge back prunes.
    edges: Vec<u32>,
    slack: usize,
    /// Edges of a batch: `params.degree` places a row.
    forward: Vec<u32>,
    back: Vec<Edge>,
}

impl<'a> Growth<'a> {
    fn new(job: &'a Job<'a>, twins: &Twins, entries: &[u32], params: BuildParams) -> Self {
        let count = job.points.rows.count();
        let mut order = shuffled(count, params.seed);
        order.retain(|row| twins.is_first(*row));
        let mut is_entry = vec![false; count];
        for entry in entries {
            if let Some(is_entry) = is_entry.get_mut(*entry as usize) {
                *is_entry = true;
            }
        }
        let is_entry = |row: &u32| is_entry.get(*row as usize).is_some_and(|is| *is);
        order.sort_by_key(|row| !is_entry(row));
        let starts = order.partition_point(is_entry);
        let slack = params.degree + params.degree / 4;
        let edges = vec![NO_EDGE; count * slack];
        let (forward, back) = (Vec::new(), Vec::new());
        Growth {
            job,
            params,
            order,
            starts,
            starts_adopted: 0,
            adopted: 0,
            edges,
            slack,
            forward,
            back,
        }
    }

    /// Takes over what an old graph knows of the rows.
    fn adopt(
        &mut self,
        old: OldGraph<'_>,
        twins: &Twins,
        progress: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), Cancelled> {
        adopt(self.job, old, twins, (&mut self.edges, self.slack), self.params, progress)?;
        let graph = Edges::new(&self.edges, self.slack);
        let is_in = |row: &u32| !graph.list(*row).is_empty();
        let (entries, others) = self.order.split_at(self.starts);
        let (mut order, new): (Vec<u32>, Vec<u32>) = entries.iter().partition(|row| is_in(row));
        if order.is_empty() {
            order.extend(others.iter().filter(|row| is_in(row)).take(STARTS));
        }
        self.starts_adopted = order.len();
        order.extend(new);
        self.starts = order.len();
        order.extend(others.iter().filter(|row| !is_in(row)));
        self.adopted = self.order.len().saturating_sub(order.len());
        self.order = order;
        Ok(())
    }

    fn graph(&self) -> Edges<'_> {
        Edges::new(&self.edges, self.slack)
    }

    /// Inserts all rows, or inserts them again.
    fn pass(
        &mut self,
        number: usize,
        progress: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), Cancelled> {
        let last = number + 1 == self.params.passes;
        let quick = BuildParams { ef: self.params.ef / 3, alpha: 1.0, ..self.params };
        let params = if last { self.params } else { quick };
        let count = self.order.len();
        let all = self.adopted + count;
        // Rows that are inserted once only must miss fewer of each other.
        let batches = if self.params.passes > 1 { 50 } else { 200 };
        let mut done = if number == 0 { self.starts_adopted } else { 0 };
        while done < count {
            // As many rows as are there already, but never so many that they miss each other.
            let present = self.adopted + done;
            let most = if number > 0 { count / 25 } else { present.min(all / batches) };
            let batch = done..count.min(done + most.max(1));
            let starts = if number == 0 { done.min(self.starts) } else { self.starts };
            self.insert(batch.clone(), starts.max(1), params, progress)?;
            self.link(batch.clone(), params);
            done = batch.end;
        }
        Ok(())
    }

    /// Finds the edges of a batch, given as places of `order`, starting from its first `starts`.
    fn insert(
        &mut self,
        batch: std::ops::Range<usize>,
        starts: usize,
        params: BuildParams,
        progress: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), Cancelled> {
        let (rows, starts) = (&self.order[batch.clone()], &self.order[..starts]);
        self.forward.clear();
        self.forward.resize(rows.len() * params.degree, NO_EDGE);
        let graph = Edges::new(&self.edges, self.slack);
        let step = self.job.step();
        let mut done = batch.start;
        for (rows, out) in rows.chunks(step).zip(self.forward.chunks_mut(step * params.degree)) {
            insert(self.job, graph, starts, rows, params, out);
            done += rows.len();
            if !progress(self.adopted + done) {
                return Err(Cancelled);
            }
        }
        Ok(())
    }

    /// Puts the edges of a batch into the graph, both ways.
    fn link(&mut self, batch: std::ops::Range<usize>, params: BuildParams) {
        self.back.clear();
        let forward = self.forward.chunks_exact(params.degree);
        for (row, list) in self.order[batch].iter().zip(forward) {
            let list = used(list);
            self.back.extend(list.iter().map(|to| Edge::new(*to, *row)));
            let start = *row as usize * self.slack;
            if let Some(places) = self.edges.get_mut(start..start + self.slack) {
                fill(places, list);
            }
        }
        add_back(self.job, &mut self.edges, self.slack, &mut self.back, params);
    }
}
