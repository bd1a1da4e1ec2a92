//! Search through clusters: those nearest to the query are scanned by codes, and what comes near is
//! scored by its vectors.

use super::estimated::Effort;
use super::view::{Seen, Snapshot};
use crate::Result;
use crate::filter::MatchedRows;
use crate::index::{IndexPart, Probe, Rerank, Walker};
use crate::segment::LiveSegment;

impl Effort {
    /// How many clusters are searched of which so many rows of a segment are wanted: the fewer, the
    /// more, so that as many rows are looked at. With a filter there are twice as many, unless a number
    /// is asked for: what matches is farther away and in more places.
    fn clusters_of(self, part: &IndexPart, wanted: usize, filtered: bool) -> usize {
        let all = part.row_count();
        let usual = || part.usual_clusters(self.k).saturating_mul(1 + usize::from(filtered));
        let asked = self.clusters.unwrap_or_else(usual);
        asked.saturating_mul(all).div_ceil(wanted.max(1)).min(part.cluster_count())
    }

    /// Whether all of what a filter matches is looked at anyhow.
    pub(super) fn probes_all(self, part: &IndexPart, only: &MatchedRows) -> bool {
        self.clusters_of(part, only.count as usize, true) >= part.cluster_count()
    }
}

impl Snapshot {
    /// The rows of a segment to score by their vectors.
    pub(super) fn probe(
        &self,
        walker: &mut Walker,
        (source, live, part): (u32, &LiveSegment, &IndexPart),
        seen: Seen<'_>,
        (query, effort): (&[f32], Effort),
        rows: &mut Vec<u32>,
    ) -> Result<()> {
        let only = seen.matched();
        let all = part.row_count();
        let dead = usize::try_from(live.dead.count_at(self.sequence)).unwrap_or(all);
        let lives = (dead > 0).then_some(|row| seen.has(row));
        let wanted = only.map_or(all, |only| only.count as usize);
        let by_vectors = match part.needs_vectors() {
            true => Some(self.by_vectors(live, query)?),
            false => None,
        };
        let keep = match effort.rerank {
            Rerank::Best(rows) => rows.max(effort.ef),
            Rerank::MayBeAmong(_) => effort.ef,
        };
        let live = wanted as u128 * all.saturating_sub(dead) as u128 / all.max(1) as u128;
        let live = usize::try_from(live).unwrap_or(wanted);
        let mut clusters = effort.clusters_of(part, live, only.is_some());
        loop {
            let probe = Probe { clusters, keep, rerank: effort.rerank, only };
            let how = (probe, by_vectors.as_ref());
            let found = walker.probe(self.shared.kernels, part, query, how, lives)?;
            if found.len() >= effort.k || clusters >= part.cluster_count() {
                rows.clear();
                rows.extend(found.iter().map(|row| row.row()));
                self.note(source, |note| note.clusters = walker.probed() as u64);
                return Ok(());
            }
            clusters = clusters.saturating_mul(4);
        }
    }
}
