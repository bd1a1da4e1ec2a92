//! Search through clusters: those nearest to the query are scanned by codes, and what comes near is
//! scored by its vectors.

use std::collections::BTreeMap;

use super::effort::Effort;
use super::estimated::Way;
use super::params::SearchParams;
use super::view::{RowSource, Snapshot};
use crate::Result;
use crate::filter::MatchedRows;
use crate::index::{Clusters, Estimated, IndexPart, Probe, Walker};
use crate::segment::LiveSegment;

/// Clusters and candidates, of eight bytes each, of all queries that go through a segment together.
const MOST_KEPT: usize = 1 << 20;

/// What of segments is to be scored by its vectors, by the segments' numbers.
pub(super) type RowsFound = BTreeMap<u32, Vec<Estimated>>;

impl Effort {
    /// How many clusters are searched of which so many rows of a segment are wanted: the fewer, the
    /// more, so that as many rows are looked at. With a filter there are twice as many, unless a number
    /// is asked for: what matches is farther away and in more places.
    fn clusters_of(
        self,
        (part, clusters): (&IndexPart, &Clusters),
        wanted: usize,
        filtered: bool,
    ) -> usize {
        let all = part.row_count();
        let twice = 1 + usize::from(filtered);
        let usual = || part.usual_clusters(clusters, self.k).saturating_mul(twice);
        let asked = self.clusters.unwrap_or_else(usual);
        let rounded = asked.saturating_mul(all).saturating_add(wanted / 2) / wanted.max(1);
        rounded.max(asked).min(clusters.count())
    }

    /// Whether all of what a filter matches is looked at anyhow.
    pub(super) fn probes_all(self, of: (&IndexPart, &Clusters), only: &MatchedRows) -> bool {
        self.clusters_of(of, only.count as usize, true) >= of.1.count()
    }
}

/// What to look for in a segment with clusters.
#[derive(Clone, Copy)]
struct Sought<'a> {
    probe: Probe<'a>,
    /// Whether rows that do not live lie among the others.
    some_are_dead: bool,
    /// Fewer are not enough, if there are more clusters.
    least: usize,
}

impl Sought<'_> {
    /// How many queries go through a segment together: what is kept of each meanwhile is bounded.
    fn together(&self) -> usize {
        let of_one = self.probe.clusters.saturating_add(self.probe.keep.saturating_mul(2));
        (MOST_KEPT / of_one.max(1)).max(1)
    }
}

impl Snapshot {
    /// The rows of a segment to score by their vectors.
    pub(super) fn probe(
        &self,
        walker: &mut Walker,
        (source, live): (u32, &LiveSegment),
        (part, clusters): (&IndexPart, &Clusters),
        (query, effort): (&[f32], Effort),
        rows: &mut Vec<Estimated>,
    ) -> Result<()> {
        let seen = self.seen(source, RowSource::Segment(live));
        let (of, kernels) = ((part, clusters), self.shared.kernels);
        let mut sought = self.sought((source, live), of, effort);
        let lives = sought.some_are_dead.then_some(|row| seen.has(row));
        loop {
            let mut keep = |found: &[Estimated]| {
                rows.clear();
                rows.extend_from_slice(found);
            };
            if part.needs_vectors() {
                let by = self.by_vectors(live, query)?;
                keep(walker.probe_vectors(of, &by, sought.probe, lives)?);
            } else {
                walker.probe(kernels, of, std::iter::once(query), sought.probe, lives, keep)?;
            }
            let searched = &mut sought.probe.clusters;
            if rows.len() >= sought.least || *searched >= clusters.count() {
                self.note(source, |note| note.clusters = walker.probed() as u64);
                return Ok(());
            }
            *searched = searched.saturating_mul(4);
        }
    }

    /// The same for several queries, of all segments that are searched through clusters by codes. What was
    /// not enough is left out.
    pub(super) fn probe_together(
        &self,
        walker: &mut Walker,
        queries: &[f32],
        params: SearchParams,
    ) -> Result<Vec<RowsFound>> {
        let dim = self.shared.dim();
        let mut all = vec![RowsFound::new(); queries.len() / dim];
        for (source, row_source) in self.sources() {
            let RowSource::Segment(live) = row_source else { continue };
            if !self.by_index(live, params) || live.segment.head_alone().is_some() && self.cold {
                continue;
            }
            let effort = Effort::of(params, &live.segment, self.matched.is_some());
            let seen = self.seen(source, row_source);
            let Way::Probe(part, clusters) = self.plan(live, seen, effort)? else { continue };
            if !part.scans_in_cache() {
                continue;
            }
            let sought = self.sought((source, live), (part, clusters), effort);
            let lives = sought.some_are_dead.then_some(|row| seen.has(row));
            let mut all = all.iter_mut();
            let mut each = |found: &[Estimated]| {
                let are_enough = found.len() >= sought.least;
                if let (Some(all), true) = (all.next(), are_enough) {
                    all.insert(source, found.to_vec());
                }
            };
            for queries in queries.chunks(dim * sought.together()) {
                let (of, vectors) = ((part, clusters), queries.chunks_exact(dim));
                walker.probe(self.shared.kernels, of, vectors, sought.probe, lives, &mut each)?;
            }
        }
        Ok(all)
    }

    fn sought<'a>(
        &'a self,
        (source, live): (u32, &'a LiveSegment),
        (part, clusters): (&IndexPart, &Clusters),
        effort: Effort,
    ) -> Sought<'a> {
        let only = self.seen(source, RowSource::Segment(live)).matched();
        let all = part.row_count();
        let dead = usize::try_from(live.dead.count_at(self.sequence)).unwrap_or(all);
        let matched = only.map_or(all, |only| only.count as usize);
        let keep = match part.needs_vectors() {
            true => effort.k,
            false => effort.keep(part.times_kept()),
        };
        let live = matched as u128 * all.saturating_sub(dead) as u128 / all.max(1) as u128;
        let live = usize::try_from(live).unwrap_or(matched);
        let searched = effort.clusters_of((part, clusters), live, only.is_some());
        let probe = Probe { clusters: searched, keep, rerank: effort.rerank, only };
        Sought { probe, some_are_dead: dead > 0, least: effort.k }
    }
}
