//! A search of segments that are far away and of which no index is in memory yet: the codes of the clusters nearest to
//! the query are fetched, and then the vectors of what is near by those. The index is loaded behind whoever searches.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use vecgo_io::{Charge, Use};

use super::effort::Effort;
use super::explain::Plan;
use super::params::{EF, SearchParams};
use super::view::{RowSource, Snapshot};
use crate::filter::MatchedRows;
use crate::index::{Fetching, Head, Walker, fetch_hits};
use crate::segment::LiveSegment;
use crate::{Error, Result};

/// More queries at a time wait for the index.
const MOST_QUERIES: usize = 4;
/// Of n rows the clusters are searched that hold so many times the root of n, three times as many as `ivf` searches,
/// whose clusters are better. On every set of vectors that we have 0.97 of ten and more are so found.
const TIMES_ROOT: u64 = 96;
/// Rows that are looked at for each that is to be found, at least.
const ROWS_FOR_ONE: u64 = 32;
/// If so many match a filter, their vectors are fetched.
const FEW: u32 = 256;
/// Where more would be fetched the index is waited for.
const MOST_BYTES: u64 = 64 << 20;

/// What tells where in segments to search, by their numbers.
pub(super) type Heads<'a> = BTreeMap<u32, &'a Head>;

/// Codes on their way.
struct Fetched<'a> {
    source: u32,
    live: &'a LiveSegment,
    head: &'a Head,
    effort: Effort,
    /// How many rows, of how many clusters.
    looked_at: (u64, u64),
    codes: Fetching,
    _charge: Charge,
}

impl Snapshot {
    /// Whether so many queries search a segment without its index, if that would have to be fetched.
    pub(super) fn searches_cold(
        &self,
        live: &LiveSegment,
        queries: usize,
        params: SearchParams,
    ) -> bool {
        queries <= MOST_QUERIES && !params.exact && live.segment.may_be_searched_cold()
    }

    /// The segments of which no more is there.
    pub(super) fn heads(&self, params: SearchParams) -> Heads<'_> {
        let segments = self.sources().filter(|_| !params.exact);
        segments
            .filter_map(|(source, row_source)| match row_source {
                RowSource::Segment(live) => Some((source, live.segment.head_alone()?)),
                RowSource::Memtable(_) => None,
            })
            .collect()
    }

    /// Has the indexes fetched that a search had to do without.
    pub(super) fn load_behind(&self) {
        let (metric, kernels) = (self.shared.metric(), self.shared.kernels);
        for live in self.view.segments.iter().filter(|live| live.segment.begins_to_load()) {
            let segment = Arc::clone(&live.segment);
            let load = async move {
                // Whoever needs what cannot be loaded meets the error.
                let by_index = segment.has_index();
                if segment.load_for(by_index, metric, &kernels).await.is_ok()
                    && segment.begins_to_hold()
                {
                    let _ = segment.hold_vectors(0).await;
                }
            };
            self.shared.env.spawn.spawn_background(Box::pin(load));
        }
    }

    /// The rows to score by their vectors, of segments of which the index is not there.
    pub(super) async fn cold_rows(
        &self,
        walker: &mut Walker,
        heads: &Heads<'_>,
        query: &[f32],
        params: SearchParams,
    ) -> Result<BTreeMap<u32, Vec<u32>>> {
        let (mut found, mut fetched, mut hits) = (BTreeMap::new(), Vec::new(), Vec::new());
        let spawn = &*self.shared.env.spawn;
        for (source, row_source) in self.sources() {
            let RowSource::Segment(live) = row_source else { continue };
            let Some(head) = heads.get(&source).copied() else { continue };
            let seen = self.seen(source, row_source);
            if let Some(matched) = seen.matched().filter(|matched| matched.count <= FEW) {
                let rows: Vec<u32> = matched.set.iter().filter(|row| seen.has(*row)).collect();
                hits.extend(fetch_hits(&live.segment, spawn, &rows));
                self.note(source, |note| {
                    (note.plan, note.scored) = (Plan::Vectors, rows.len() as u64);
                });
                found.insert(source, rows);
                continue;
            }
            let effort = Effort::of(params, &live.segment, self.matched.is_some());
            let matched = seen.matched();
            let ranges = self.near((&mut *walker, head), live, (query, effort), matched)?;
            let bytes = head.bytes_of(rows_in(&ranges));
            if bytes > MOST_BYTES && live.segment.has_index() {
                self.load_index_of(live).await?;
                continue;
            }
            let charge = self.shared.env.memory.take(Use::Queries, bytes).await?;
            let looked_at = (rows_in(&ranges), ranges.len() as u64);
            let codes = head.fetch(&live.segment, spawn, ranges);
            fetched.push(Fetched { source, live, head, effort, looked_at, codes, _charge: charge });
        }
        for Fetched { source, live, head, effort, looked_at, codes, _charge } in fetched {
            let seen = self.seen(source, RowSource::Segment(live));
            let (looked_at, clusters) = looked_at;
            let codes = codes.end().await?;
            let (kernels, how) =
                (self.shared.kernels, (effort.keep(codes.times_kept()), effort.rerank));
            let lives = |row| seen.has(row);
            let rows = codes.nearest((&mut *walker, kernels), head, query, how, lives)?;
            if rows.len() < effort.k && looked_at < u64::from(live.segment.rows()) {
                self.load_index_of(live).await?;
                continue;
            }
            hits.extend(fetch_hits(&live.segment, spawn, &rows));
            self.note(source, |note| {
                note.plan = Plan::ShortCodes;
                if live.segment.has_index() {
                    (note.plan, note.clusters) = (Plan::Clusters, clusters);
                }
                note.estimated = looked_at;
                note.scored = rows.len() as u64;
            });
            found.insert(source, rows);
        }
        for hit in hits {
            hit.await.ok_or_else(Error::panicked)??;
        }
        Ok(found)
    }

    /// The rows of the clusters to search.
    fn near(
        &self,
        (walker, head): (&mut Walker, &Head),
        live: &LiveSegment,
        (query, effort): (&[f32], Effort),
        matched: Option<&MatchedRows>,
    ) -> Result<Vec<Range<u32>>> {
        let all = u64::from(live.segment.rows());
        let dead = live.dead.count_at(self.sequence).min(all);
        // The fewer are wanted, the more clusters: so as many are looked at.
        let wanted = matched.map_or(all, |matched| u64::from(matched.count));
        let wanted = wanted.saturating_mul(all - dead) / all.max(1);
        let rows = all.isqrt().saturating_mul(TIMES_ROOT).max(effort.k as u64 * ROWS_FOR_ONE);
        let farther = (effort.ef as u64).max(EF as u64);
        let rows = rows.saturating_mul(farther) / EF as u64;
        let twice = 1 + u64::from(matched.is_some());
        let count = head.cluster_count().unwrap_or_default() as u64;
        let usual = rows.saturating_mul(twice).saturating_mul(count) / wanted.max(1);
        let most = effort.clusters.map_or(usual, |asked| asked as u64).clamp(1, count.max(1));
        let is_wanted = |rows: Range<u32>| {
            matched.is_none_or(|matched| matched.set.iter_within(rows).next().is_some())
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        walker.near_clusters(
            self.shared.kernels,
            head,
            (query, most),
            is_wanted,
            live.segment.rows(),
        )
    }

    async fn load_index_of(&self, live: &LiveSegment) -> Result<()> {
        live.segment.load_for(true, self.shared.metric(), &self.shared.kernels).await
    }
}

fn rows_in(ranges: &[Range<u32>]) -> u64 {
    ranges.iter().map(|rows| u64::from(rows.end.saturating_sub(rows.start))).sum()
}
