//! Rows scored against several queries by the kernels, tile after tile.

use vecgo_format::Metric;
use vecgo_kernels::Kernels;

use super::top::{Candidate, Top};
use super::vector::{ExactQuery, norm};
use super::view::Address;

/// Rows scored before any is looked at: their distances stay in the first-level cache.
pub(super) const TILE_ROWS: usize = 128;
/// Queries that share one pass over a tile.
const TILE_QUERIES: usize = 8;

/// Some queries, and the nearest rows found for each.
pub(crate) struct Scoring<'a> {
    kernels: Kernels,
    metric: Metric,
    dim: usize,
    queries: &'a [f32],
    norms: Vec<f32>,
    tops: Vec<Top>,
    distances: Vec<f32>,
}

impl<'a> Scoring<'a> {
    /// For the `k` nearest rows of each query; they are end to end, and `longest` is the length of the
    /// longest row under dot.
    pub(crate) fn new(
        kernels: Kernels,
        metric: Metric,
        (queries, dim): (&'a [f32], usize),
        (k, longest): (usize, f32),
    ) -> Self {
        let top =
            |query| Top::new(k, ExactQuery::new(kernels, metric, query).kernel_error(longest));
        Self {
            kernels,
            metric,
            dim,
            queries,
            norms: queries.chunks_exact(dim).map(|query| norm(metric, query)).collect(),
            tops: queries.chunks_exact(dim).map(top).collect(),
            distances: vec![0.0; TILE_ROWS * TILE_QUERIES],
        }
    }

    /// What was found for each query.
    pub(crate) fn into_tops(self) -> Vec<Top> {
        self.tops
    }

    /// Scores those that are wanted of the rows of one block or segment, the first of which is `first`.
    pub(crate) fn rows(
        &mut self,
        first: Address,
        vectors: &[f32],
        norms: &[f32],
        is_wanted: impl Fn(u32) -> bool + Copy,
    ) {
        let mut row = first.row;
        for (tile, vectors) in vectors.chunks(TILE_ROWS * self.dim).enumerate() {
            let rows = vectors.len() / self.dim;
            let norms = norms.get(tile * TILE_ROWS..).unwrap_or_default();
            self.tile(vectors, norms, |place| {
                let row = row + place;
                is_wanted(row).then_some(Address { row, ..first })
            });
            row = row.saturating_add(u32::try_from(rows).unwrap_or(u32::MAX));
        }
    }

    /// Scores a tile; `address` says which row is at a place of it, if one is wanted.
    pub(super) fn tile(
        &mut self,
        vectors: &[f32],
        norms: &[f32],
        address: impl Fn(u32) -> Option<Address> + Copy,
    ) {
        let rows = vectors.len() / self.dim;
        for group in (0..self.tops.len()).step_by(TILE_QUERIES) {
            let queries = TILE_QUERIES.min(self.tops.len() - group);
            self.score(group, queries, vectors, rows);
            for query in 0..queries {
                self.collect(group + query, query * rows, rows, norms, address);
            }
        }
    }

    fn score(&mut self, group: usize, queries: usize, vectors: &[f32], rows: usize) {
        let out = &mut self.distances[..queries * rows];
        let these = &self.queries[group * self.dim..(group + queries) * self.dim];
        match (self.metric, queries) {
            (Metric::L2, 1) => self.kernels.l2_rows(these, vectors, out),
            (Metric::L2, _) => self.kernels.l2_tile(these, vectors, self.dim, out),
            (_, 1) => self.kernels.dot_rows(these, vectors, out),
            (_, _) => self.kernels.dot_tile(these, vectors, self.dim, out),
        }
    }

    /// Turns a tile's scores into distances and keeps the rows that come near enough.
    fn collect(
        &mut self,
        query: usize,
        start: usize,
        rows: usize,
        norms: &[f32],
        alive: impl Fn(u32) -> Option<Address>,
    ) {
        let distances = &mut self.distances[start..start + rows];
        match self.metric {
            Metric::L2 => {}
            Metric::Dot => distances.iter_mut().for_each(|dot| *dot = -*dot),
            Metric::Cosine => {
                let query_norm = self.norms[query];
                for (dot, norm) in distances.iter_mut().zip(norms) {
                    *dot = 1.0 - *dot * query_norm * norm;
                }
            }
        }
        let top = &mut self.tops[query];
        let mut bound = top.bound();
        for (row, distance) in (0u32..).zip(distances.iter().copied()) {
            if distance <= bound
                && let Some(address) = alive(row)
            {
                top.push(Candidate { distance, address });
                bound = top.bound();
            }
        }
    }
}
