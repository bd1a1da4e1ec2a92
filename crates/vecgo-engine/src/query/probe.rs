//! Search through clusters: those nearest to the query are scanned by codes, and what comes near is
//! scored by its vectors.

use super::effort::Effort;
use super::view::{RowSource, Snapshot};
use crate::Result;
use crate::filter::MatchedRows;
use crate::index::{Clusters, IndexPart, Probe, Walker};
use crate::segment::LiveSegment;

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

impl Snapshot {
    /// The rows of a segment to score by their vectors.
    pub(super) fn probe(
        &self,
        walker: &mut Walker,
        (source, live): (u32, &LiveSegment),
        (part, clusters): (&IndexPart, &Clusters),
        (query, effort): (&[f32], Effort),
        rows: &mut Vec<u32>,
    ) -> Result<()> {
        let seen = self.seen(source, RowSource::Segment(live));
        let only = seen.matched();
        let all = part.row_count();
        let dead = usize::try_from(live.dead.count_at(self.sequence)).unwrap_or(all);
        let lives = (dead > 0).then_some(|row| seen.has(row));
        let wanted = only.map_or(all, |only| only.count as usize);
        let (by_vectors, keep) = match part.needs_vectors() {
            true => (Some(self.by_vectors(live, query)?), effort.k),
            false => (None, effort.keep(part.times_kept())),
        };
        let live = wanted as u128 * all.saturating_sub(dead) as u128 / all.max(1) as u128;
        let live = usize::try_from(live).unwrap_or(wanted);
        let mut searched = effort.clusters_of((part, clusters), live, only.is_some());
        loop {
            let probe = Probe { clusters: searched, keep, rerank: effort.rerank, only };
            let (of, how) = ((part, clusters), (probe, by_vectors.as_ref()));
            let found = walker.probe(self.shared.kernels, of, query, how, lives)?;
            if found.len() >= effort.k || searched >= clusters.count() {
                rows.clear();
                rows.extend(found.iter().map(|row| row.row()));
                self.note(source, |note| note.clusters = walker.probed() as u64);
                return Ok(());
            }
            searched = searched.saturating_mul(4);
        }
    }
}
