use vecgo_index::{Hidden, Near, Neighbour, Reach, Scratch};
use vecgo_kernels::Kernels;
use vecgo_quant::{CodeQuery, Space};

use super::clusters::Clusters;
use super::coded::Coded;
use super::graph::Starts;
use super::probe::Asked;
use super::rerank::{Estimated, Rerank};
use super::scan::Scanned;
use super::walkers::Counts;
use super::{ByVectors, Graph, IndexPart};
use crate::filter::MatchedRows;
use crate::{Error, Result};

/// The nearest entries from which a walk starts.
const STARTS: usize = 4;
/// Where a filter matches less than one row in so many, a walk starts in clusters: to score their
/// centres takes as long as a third of a walk among half of the rows.
const MOST_ONE_IN: u32 = 4;
/// The nearest clusters in which it then starts, and how many starts there are.
const CLUSTERS: usize = 16;
/// Rows that are looked at for that in each.
const ROWS_OF_A_CLUSTER: usize = 32;

/// Where a walk begins, as far as it matters for how far it has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// As near to the query as entries are.
    Near,
    /// A few entries are nearer to the query than those that lead to what a filter matches: some of
    /// what is nearest may be on another side of it.
    Beside,
    /// Where some of what a filter matches is, which is not where the query is: what is nearest of that
    /// is about as near as much else of it, so that more has to be kept.
    Away,
}

/// A walk begins away from the query if so many entries are nearer than those that lead to what a
/// filter matches.
const NEARER_ENTRIES: usize = 8;

/// What a walk found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    /// Rows that live and are to be scored by their vectors, nearest first.
    pub(crate) rows: &'a [Estimated],
    /// How many live of all that it found.
    pub(crate) live: usize,
    /// How many live of the nearest so many that it was to find.
    pub(crate) near: usize,
}

/// Keeps what lives of what was found, and tells how many of the first `wanted` that is.
fn keep_live(
    found: impl Iterator<Item = Neighbour>,
    kept: &mut Vec<Neighbour>,
    wanted: usize,
    lives: impl Fn(u32) -> bool,
) -> usize {
    kept.clear();
    let mut near = 0;
    for (place, found) in found.enumerate() {
        if lives(found.row()) {
            kept.push(found);
            near += usize::from(place < wanted);
        }
    }
    near
}

/// Memory that searches use again.
#[derive(Debug, Default)]
pub(crate) struct Walker {
    scratch: Scratch,
    pub(super) scanned: Scanned,
    /// Queries of a probe, and clusters that are still to be gone through, with the queries' numbers.
    pub(super) asked: Vec<Asked>,
    pub(super) later: Vec<(u32, u32)>,
    pub(super) query: CodeQuery,
    point: Vec<f32>,
    /// All entries or clusters, and those of them where a search starts.
    pub(super) scored: Vec<Neighbour>,
    pub(super) chosen: Vec<Neighbour>,
    pub(super) packed: Vec<u64>,
    pub(super) numbers: Vec<u32>,
    pub(super) found: Vec<Neighbour>,
    /// Those of them to score by their vectors.
    pub(super) candidates: Vec<Estimated>,
    pub(super) rows: Vec<u32>,
    pub(super) upper: Vec<i32>,
    pub(super) lower: Vec<i32>,
    pub(crate) counts: Counts,
    /// A row that is not found, as if it were not there.
    pub(super) hidden: Option<u32>,
}

impl Walker {
    /// The rows nearest to a vector by their codes, in the order of all bits that there are; of those
    /// that a filter matches, if there is one.
    pub(crate) fn walk(
        &mut self,
        kernels: Kernels,
        (part, graph): (&IndexPart, &Graph),
        vector: &[f32],
        (reach, rerank): (impl Fn(Start) -> Option<Reach>, Rerank),
        only: Option<&MatchedRows>,
        lives: impl Fn(u32) -> bool,
    ) -> Result<Option<Found<'_>>> {
        let (Some(starts), Some(coded)) = (&graph.starts, &part.coded) else {
            return Err(Error::internal("a walk by codes that are not there"));
        };
        self.set_query(kernels, (&part.space, Some(coded)), vector);
        let start = self.start(kernels, (graph, starts), only)?;
        let Some(reach) = reach(start) else { return Ok(None) };
        if let Some(only) = only.filter(|only| only.count < only.set.rows() / MOST_ONE_IN) {
            self.start_in_clusters(kernels, (&starts.clusters, coded), only)?;
        }
        let codes = coded.walked.codes()?;
        let (edges, query, starts) = (graph.edges(), &self.query, &self.chosen);
        let wanted = only.map(|only| only.set.wanted());
        let found = self.scratch.walk(kernels, edges, (codes, query), (starts, wanted), reach);
        let near = keep_live(found, &mut self.found, reach.wanted, lives);
        let live = self.found.len();
        self.count(graph.entries().len());
        self.look_again(kernels, (coded, &part.space), rerank)?;
        Ok(Some(Found { rows: &self.candidates, live, near }))
    }

    /// The `k` rows nearest to a vector, nearest first: of those that a walk reaches, what lives.
    pub(crate) fn walk_vectors(
        &mut self,
        graph: &Graph,
        by: &ByVectors<'_>,
        (reach, k): (impl Fn(Start) -> Option<Reach>, usize),
        only: Option<&MatchedRows>,
        lives: impl Fn(u32) -> bool,
    ) -> Option<Found<'_>> {
        let entries = graph.entries();
        self.packed.resize(entries.len().max(self.packed.len()), 0);
        let kept = by.within(entries, u64::MAX, &mut self.packed[..entries.len()]);
        let scored = self.packed[..kept].iter().map(|packed| Neighbour::of(*packed));
        self.scored.clear();
        self.scored.extend(scored);
        let reach = reach(self.choose_starts(only.map(|only| graph.entries_to(only))))?;
        let wanted = only.map(|only| only.set.wanted());
        let from = (self.chosen.as_slice(), wanted);
        let found = self.scratch.walk_by(by.kernels, graph.edges(), by, from, reach);
        let near = keep_live(found, &mut self.found, reach.wanted, lives);
        let live = self.found.len();
        self.found.truncate(k);
        self.keep_found();
        self.count(entries.len());
        Some(Found { rows: &self.candidates, live, near })
    }

    /// Searches as if a row were not there from now on.
    pub(crate) fn hide(&mut self, hidden: Hidden) {
        self.hidden = Some(hidden.row);
        self.scratch.hide(hidden);
    }

    pub(super) fn set_query(
        &mut self,
        kernels: Kernels,
        (space, coded): (&Space, Option<&Coded>),
        vector: &[f32],
    ) {
        self.point.resize(space.places(), 0.0);
        space.query(kernels, vector, &mut self.point);
        self.query.set(kernels, &self.point);
        if let Some(Coded { codebook: Some(codebook), .. }) = coded {
            self.query.set_tables(kernels, codebook, vector);
        }
    }

    fn count(&mut self, entries: usize) {
        self.counts.estimates += (self.scratch.estimated() + entries) as u64;
        self.counts.hops += self.scratch.hops() as u64;
    }

    /// Chooses where to start.
    fn start(
        &mut self,
        kernels: Kernels,
        (graph, starts): (&Graph, &Starts),
        only: Option<&MatchedRows>,
    ) -> Result<Start> {
        let codes = starts.entry_codes.codes()?;
        let entries = graph.entries();
        let known = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.extend(known..u32::try_from(entries.len()).unwrap_or(u32::MAX));
        self.scored.clear();
        let scored = &mut self.scored;
        let numbers = &self.numbers[..entries.len()];
        codes.distances(kernels, &self.query, numbers, &mut self.packed, |number, distance| {
            scored.push(Neighbour::new(distance, entries[number as usize]));
        });
        Ok(self.choose_starts(only.map(|only| graph.entries_to(only))))
    }

    /// Starts at the nearest of the rows that a filter matches in the nearest clusters instead: what
    /// is nearest of those may be in many places between which nothing matches.
    fn start_in_clusters(
        &mut self,
        kernels: Kernels,
        (clusters, coded): (&Clusters, &Coded),
        only: &MatchedRows,
    ) -> Result<()> {
        let codes = coded.walked.codes()?;
        self.score_clusters(kernels, clusters, Some(only))?;
        Neighbour::keep_nearest(&mut self.scored, CLUSTERS);
        self.rows.clear();
        for cluster in &self.scored {
            let rows = only.set.iter_within(clusters.rows(cluster.row()));
            self.rows.extend(rows.take(ROWS_OF_A_CLUSTER));
        }
        for row in &self.rows {
            codes.prefetch(*row);
        }
        self.chosen.clear();
        let starts = &mut self.chosen;
        codes.distances(kernels, &self.query, &self.rows, &mut self.packed, |row, distance| {
            starts.push(Neighbour::new(distance, row));
        });
        Neighbour::keep_nearest(starts, CLUSTERS);
        self.counts.estimates += self.rows.len() as u64;
        Ok(())
    }

    /// Keeps the nearest of the entries that were scored, in their order, of those with these numbers,
    /// if they are given.
    fn choose_starts(&mut self, numbers: Option<&[u32]>) -> Start {
        self.chosen.clear();
        match numbers {
            None => self.chosen.extend_from_slice(&self.scored),
            Some(numbers) => {
                let scored = |number: &u32| self.scored.get(*number as usize);
                self.chosen.extend(numbers.iter().filter_map(scored));
            }
        }
        if let Some(hidden) = self.hidden {
            self.chosen.retain(|start| start.row() != hidden);
        }
        Neighbour::keep_nearest(&mut self.chosen, STARTS);
        let (Some(_), Some(nearest)) = (numbers, self.chosen.iter().min()) else {
            return Start::Near;
        };
        let nearer = self.scored.iter().filter(|scored| *scored < nearest).count();
        match nearer {
            0 => Start::Near,
            1..=NEARER_ENTRIES => Start::Beside,
            _ => Start::Away,
        }
    }
}
