use std::ops::Range;

use vecgo_index::{ByCodes, Near, Neighbour};
use vecgo_kernels::Kernels;
use vecgo_quant::CodeQuery;

use super::best::Best;
use super::clusters::Clusters;
use super::rerank::{Estimated, Rerank};
use super::scan::Scanned;
use super::walk::Walker;
use super::{ByVectors, IndexPart};
use crate::filter::MatchedRows;
use crate::{Error, Result};

/// Rows of a cluster are picked out if fewer than one in so many match a filter: to score a row that comes by itself
/// takes longer.
const FEW: usize = 3;
/// Of the clusters that several queries look into, each first goes through its own nearest, one of so many:
/// most of what lies in the others is then known to be too far.
const ONE_NOW_OF: usize = 8;

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

/// Which rows of clusters are wanted.
struct Wanted<'a, L> {
    only: Option<&'a MatchedRows>,
    /// Which live, and match, if not all do.
    lives: Option<L>,
    hidden: Option<u32>,
}

impl<L: Fn(u32) -> bool> Wanted<'_, L> {
    fn has(&self, row: u32) -> bool {
        self.only.is_none_or(|only| only.set.contains(row))
            && self.lives.as_ref().is_none_or(|lives| lives(row))
            && self.hidden != Some(row)
    }

    /// Adds those of some rows that a filter matches, or else all.
    fn list(&self, rows: Range<u32>, out: &mut Vec<u32>) {
        match self.only {
            Some(only) => out.extend(only.set.iter_within(rows)),
            None => out.extend(rows),
        }
    }
}

/// A query, and what was found for it so far.
#[derive(Debug, Default)]
pub(super) struct Asked {
    query: CodeQuery,
    best: Best,
}

impl IndexPart {
    /// The rows of a cluster, not too many at a time.
    fn pieces(&self, clusters: &Clusters, number: u32) -> impl Iterator<Item = Range<u32>> {
        let rows = clusters.rows(number);
        let end = u32::try_from(self.row_count()).unwrap_or(u32::MAX).min(rows.end);
        pieces(rows.start..end)
    }
}

fn pieces(rows: Range<u32>) -> impl Iterator<Item = Range<u32>> {
    const MOST: u32 = 512;
    let end = rows.end;
    rows.step_by(MOST as usize).map(move |first| first..end.min(first.saturating_add(MOST)))
}

impl Scanned {
    /// Adds the nearest of some rows to the best.
    fn go_through(
        &mut self,
        by: ByCodes<'_>,
        rows: Range<u32>,
        wanted: &Wanted<'_, impl Fn(u32) -> bool>,
        best: &mut Best,
    ) {
        let all = rows.len();
        self.packed.resize(all.max(self.packed.len()), 0);
        if wanted.only.is_some() {
            self.rows.clear();
            wanted.list(rows.clone(), &mut self.rows);
            if self.rows.len().saturating_mul(FEW) < all {
                let out = &mut self.packed[..self.rows.len()];
                let near = by.within(&self.rows, best.bound(), out);
                best.add(&self.packed[..near], |row| wanted.has(row));
                self.count += self.rows.len();
                return;
            }
        }
        let out = &mut self.packed[..all];
        let near = by.codes.scan(by.kernels, by.query, rows, best.bound(), out);
        best.add(&self.packed[..near], |row| wanted.has(row));
        self.count += all;
    }
}

impl Walker {
    /// The rows nearest to each of some vectors by their codes, in the order of all bits that there are, of
    /// those in the clusters whose centres are nearest to it. Of several vectors, a cluster is gone through
    /// for all that it is near to while it is in the cache. `each` is given what was found, in their order.
    pub(crate) fn probe<'v>(
        &mut self,
        kernels: Kernels,
        (part, clusters): (&IndexPart, &Clusters),
        vectors: impl ExactSizeIterator<Item = &'v [f32]>,
        probe: Probe<'_>,
        lives: Option<impl Fn(u32) -> bool>,
        mut each: impl FnMut(&[Estimated]),
    ) -> Result<()> {
        let Some(coded) = &part.coded else {
            return Err(Error::internal("a scan by codes that are not there"));
        };
        let codes = coded.walked.codes()?;
        let wanted = Wanted { only: probe.only, lives, hidden: self.hidden };
        let count = vectors.len();
        let one_now_of = if count == 1 { 1 } else { ONE_NOW_OF };
        let mut all = std::mem::take(&mut self.asked);
        all.resize_with(count.max(all.len()), Asked::default);
        self.scanned.count = 0;
        self.later.clear();
        for (number, (vector, asked)) in (0u32..).zip(vectors.zip(&mut all)) {
            self.set_query(kernels, (&part.space, Some(coded)), vector);
            self.choose_clusters(kernels, clusters, probe)?;
            asked.best.begin(probe.keep);
            std::mem::swap(&mut asked.query, &mut self.query);
            let (now, then) = self.chosen.split_at(self.chosen.len().div_ceil(one_now_of));
            for rows in now.iter().flat_map(|cluster| part.pieces(clusters, cluster.row())) {
                let by = ByCodes { kernels, codes, query: &asked.query };
                self.scanned.go_through(by, rows, &wanted, &mut asked.best);
            }
            self.later.extend(then.iter().map(|cluster| (cluster.row(), number)));
        }
        self.later.sort_unstable();
        for of_one in self.later.chunk_by(|a, b| a.0 == b.0) {
            let cluster = of_one.first().map(|(cluster, _)| part.pieces(clusters, *cluster));
            for rows in cluster.into_iter().flatten() {
                for (_, number) in of_one {
                    let Some(asked) = all.get_mut(*number as usize) else { continue };
                    let by = ByCodes { kernels, codes, query: &asked.query };
                    self.scanned.go_through(by, rows.clone(), &wanted, &mut asked.best);
                }
            }
        }
        for asked in all.iter_mut().take(count) {
            std::mem::swap(&mut asked.query, &mut self.query);
            asked.best.end(&mut self.found);
            self.look_again(kernels, (coded, &part.space), probe.rerank)?;
            each(&self.candidates);
        }
        self.asked = all;
        self.counts.estimates += self.scanned.count as u64;
        Ok(())
    }

    /// The rows nearest to a vector, nearest first, of those in the clusters whose centres are nearest to it.
    pub(crate) fn probe_vectors(
        &mut self,
        (part, clusters): (&IndexPart, &Clusters),
        by: &ByVectors<'_>,
        probe: Probe<'_>,
        lives: Option<impl Fn(u32) -> bool>,
    ) -> Result<&[Estimated]> {
        self.set_query(by.kernels, (&part.space, None), by.query);
        self.choose_clusters(by.kernels, clusters, probe)?;
        let wanted = Wanted { only: probe.only, lives, hidden: self.hidden };
        let mut pieces =
            self.chosen.iter().flat_map(|cluster| part.pieces(clusters, cluster.row()));
        // They follow one another, so nothing has to be asked for.
        let take = |out: &mut Vec<u32>| {
            while out.is_empty()
                && let Some(rows) = pieces.next()
            {
                wanted.list(rows, out);
                out.retain(|row| wanted.has(*row));
            }
        };
        self.scanned.nearest(by, probe.keep, take, &mut self.found);
        self.counts.estimates += self.scanned.count as u64;
        self.keep_found();
        Ok(&self.candidates)
    }

    /// How many clusters the last probe looked into.
    pub(crate) fn probed(&self) -> usize {
        self.chosen.len()
    }

    /// Keeps the nearest clusters, nearest first, of those with rows that a filter matches.
    fn choose_clusters(
        &mut self,
        kernels: Kernels,
        clusters: &Clusters,
        probe: Probe<'_>,
    ) -> Result<()> {
        let centres = clusters.centres()?;
        let with = probe.only.map(|only| clusters.with(only));
        let Scanned { packed, best, .. } = &mut self.scanned;
        best.begin(probe.clusters);
        for numbers in pieces(0..clusters.number_end()) {
            packed.resize(numbers.len().max(packed.len()), 0);
            let out = &mut packed[..numbers.len()];
            let near = centres.scan(kernels, &self.query, numbers, best.bound(), out);
            best.add(&packed[..near], |cluster| with.is_none_or(|with| with.contains(cluster)));
        }
        best.end(&mut self.chosen);
        self.counts.estimates += clusters.count() as u64;
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
            None => self.rows.extend(0..clusters.number_end()),
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
