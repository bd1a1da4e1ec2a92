use std::ops::Range;

use vecgo_index::{ByCodes, Near, Neighbour};
use vecgo_kernels::{Kernels, pack};
use vecgo_quant::Space;

use super::clusters::Clusters;
use super::coded::Coded;
use super::rerank::Rerank;
use super::walk::Walker;
use super::{ByVectors, IndexPart};
use crate::filter::{MatchedRows, RowSet};
use crate::{Error, Result};

/// Rows that are scored together.
const SCANNED: usize = 64;

/// What to look for in the clusters nearest to a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe<'a> {
    /// How many clusters.
    pub(crate) clusters: usize,
    /// Rows that are kept, of those that lie in them.
    pub(crate) keep: usize,
    /// What of those is scored by vectors.
    pub(crate) rerank: Rerank,
    /// Nothing but these, if given.
    pub(crate) only: Option<&'a MatchedRows>,
}

/// Memory of a scan.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    packed: Vec<u64>,
    rows: Vec<u32>,
    next_rows: Vec<u32>,
    /// How many were scored.
    count: usize,
}

impl Scanned {
    /// The `keep` nearest of some rows, nearest first. `take` adds some of them, one round before they
    /// are scored, and none when there are no more.
    fn nearest<N: Near>(
        &mut self,
        by: &N,
        keep: usize,
        mut take: impl FnMut(&mut Vec<u32>),
        found: &mut Vec<Neighbour>,
    ) {
        let mut bound = u64::MAX;
        let mut next = |rows: &mut Vec<u32>| {
            rows.clear();
            take(rows);
        };
        found.clear();
        self.count = 0;
        next(&mut self.rows);
        while !self.rows.is_empty() {
            next(&mut self.next_rows);
            self.packed.resize(self.rows.len().max(self.packed.len()), 0);
            let near = by.within(&self.rows, bound, &mut self.packed[..self.rows.len()]);
            found.extend(self.packed[..near].iter().map(|packed| Neighbour::of(*packed)));
            if found.len() >= keep.saturating_mul(2) {
                let (_, last, _) = found.select_nth_unstable(keep - 1);
                bound = pack(last.distance(), last.row());
                found.truncate(keep);
            }
            self.count += self.rows.len();
            std::mem::swap(&mut self.rows, &mut self.next_rows);
        }
        found.sort_unstable();
        found.truncate(keep);
    }
}

/// Some rows, not too many at a time.
fn pieces(rows: Range<u32>) -> impl Iterator<Item = Range<u32>> {
    const MOST: u32 = 1024;
    let end = rows.end;
    rows.step_by(MOST as usize).map(move |first| first..end.min(first.saturating_add(MOST)))
}

impl Walker {
    /// The rows nearest to a vector by their codes, in the order of all bits that there are, of those
    /// that are given: all are looked at.
    pub(crate) fn scan(
        &mut self,
        kernels: Kernels,
        part: &IndexPart,
        vector: &[f32],
        how: (usize, Rerank),
        only: &RowSet,
        dead: Option<impl Fn(u32) -> bool>,
    ) -> Result<&[Neighbour]> {
        let Some(coded) = &part.coded else {
            return Err(Error::internal("a scan by codes that are not there"));
        };
        self.scan_codes(kernels, (coded, &part.space), vector, how, only, dead)
    }

    /// The same of codes that may be those of some rows alone.
    pub(super) fn scan_codes(
        &mut self,
        kernels: Kernels,
        (coded, space): (&Coded, &Space),
        vector: &[f32],
        (keep, rerank): (usize, Rerank),
        only: &RowSet,
        dead: Option<impl Fn(u32) -> bool>,
    ) -> Result<&[Neighbour]> {
        self.set_query(kernels, (space, Some(coded)), vector);
        let by = ByCodes { kernels, codes: coded.walked.codes()?, query: &self.query };
        let mut left = only.left();
        let take = |rows: &mut Vec<u32>| {
            while rows.is_empty() && !left.is_empty() {
                left.take(SCANNED, rows);
                if let Some(dead) = &dead {
                    rows.retain(|row| !dead(*row));
                }
            }
            // They are scored once those before them are, and on their way meanwhile.
            rows.iter().for_each(|row| by.prefetch(*row));
        };
        self.scanned.nearest(&by, keep, take, &mut self.found);
        self.counts.estimates += self.scanned.count as u64;
        self.look_again(kernels, (coded, space), rerank)?;
        Ok(&self.found)
    }

    /// The same of the rows in the clusters whose centres are nearest to a vector; by vectors, if those
    /// are given, where there are no codes.
    pub(crate) fn probe(
        &mut self,
        kernels: Kernels,
        (part, clusters): (&IndexPart, &Clusters),
        vector: &[f32],
        (probe, by_vectors): (Probe<'_>, Option<&ByVectors<'_>>),
        lives: Option<impl Fn(u32) -> bool>,
    ) -> Result<&[Neighbour]> {
        self.set_query(kernels, (&part.space, part.coded.as_ref()), vector);
        self.choose_clusters(kernels, clusters, probe)?;
        let rows = self.chosen.iter().map(|cluster| clusters.rows(cluster.row()));
        let end = u32::try_from(part.row_count()).unwrap_or(u32::MAX);
        let mut left = rows.flat_map(|rows| pieces(rows.start..rows.end.min(end)));
        // They follow one another, so nothing has to be asked for.
        let take = |out: &mut Vec<u32>| {
            while out.is_empty()
                && let Some(rows) = left.next()
            {
                match probe.only {
                    Some(only) => out.extend(only.set.iter_within(rows)),
                    None => out.extend(rows),
                }
                if let Some(lives) = &lives {
                    out.retain(|row| lives(*row));
                }
                if let Some(hidden) = self.hidden {
                    out.retain(|row| *row != hidden);
                }
            }
        };
        match (by_vectors, &part.coded) {
            (Some(by), _) => self.scanned.nearest(by, probe.keep, take, &mut self.found),
            (None, Some(coded)) => {
                let by = ByCodes { kernels, codes: coded.walked.codes()?, query: &self.query };
                self.scanned.nearest(&by, probe.keep, take, &mut self.found);
            }
            (None, None) => return Err(Error::internal("a scan by codes that are not there")),
        }
        self.counts.estimates += self.scanned.count as u64;
        if let (None, Some(coded)) = (by_vectors, &part.coded) {
            self.look_again(kernels, (coded, &part.space), probe.rerank)?;
        }
        Ok(&self.found)
    }

    /// How many clusters the last probe looked into.
    pub(crate) fn probed(&self) -> usize {
        self.chosen.len()
    }

    /// Keeps the nearest clusters, nearest first, of those with rows that are wanted.
    fn choose_clusters(
        &mut self,
        kernels: Kernels,
        clusters: &Clusters,
        probe: Probe<'_>,
    ) -> Result<()> {
        self.score_clusters(kernels, clusters, probe.only)?;
        std::mem::swap(&mut self.chosen, &mut self.scored);
        Neighbour::keep_nearest(&mut self.chosen, probe.clusters);
        self.chosen.sort_unstable();
        Ok(())
    }

    /// Scores the centres of all clusters, or of those with rows that a filter matches.
    pub(super) fn score_clusters(
        &mut self,
        kernels: Kernels,
        clusters: &Clusters,
        only: Option<&MatchedRows>,
    ) -> Result<()> {
        let centres = clusters.centres()?;
        self.rows.clear();
        match only {
            Some(only) => self.rows.extend(clusters.with(only).iter()),
            None => self.rows.extend((0u32..).take(clusters.count())),
        }
        self.counts.estimates += self.rows.len() as u64;
        self.scored.clear();
        let (query, scored) = (&self.query, &mut self.scored);
        centres.distances(kernels, query, &self.rows, &mut self.packed, |cluster, distance| {
            scored.push(Neighbour::new(distance, cluster));
        });
        Ok(())
    }
}
