//! A search of segments that are far away and of which no index is in memory yet: the codes of the clusters nearest to
//! the query are fetched, and then the vectors of what is near by those. The index is loaded behind whoever searches.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vecgo_format::Index;
use vecgo_io::Use;

use super::effort::Effort;
use super::explain::Plan;
use super::params::{EF, SearchParams};
use super::view::{RowSource, Snapshot};
use crate::filter::MatchedRows;
use crate::index::{Head, NearRows, Rerank, Walker, fetch_hits};
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
/// After an index could not be loaded.
const PAUSE: Duration = Duration::from_secs(10);
/// Where more would be fetched the index is waited for.
const MOST_BYTES: u64 = 64 << 20;

/// What tells where in segments to search, by their numbers.
pub(super) type Heads<'a> = BTreeMap<u32, &'a Head>;

/// A part of a segment that is searched.
struct Chosen<'a> {
    source: u32,
    live: &'a LiveSegment,
    head: &'a Head,
    effort: Effort,
    near: NearRows,
}

impl Snapshot {
    /// Whether there is something that would have to be fetched first, and so many queries do without it.
    pub(super) fn may_search_cold(&self, queries: usize, params: SearchParams) -> bool {
        let is_flat = self.view.config.index() == Index::Flat;
        queries <= MOST_QUERIES
            && !params.exact
            && !is_flat
            && self.view.segments.iter().any(|live| live.segment.may_be_searched_cold())
    }

    /// The segments of which no more is there.
    pub(super) fn heads(&self) -> Heads<'_> {
        let segments = self.sources().filter(|_| self.cold);
        segments
            .filter_map(|(source, row_source)| match row_source {
                RowSource::Segment(live) => Some((source, live.segment.head_alone()?)),
                RowSource::Memtable(_) => None,
            })
            .collect()
    }

    /// Has fetched what a search had to do without. Of an old version that may be opened for one search, nothing.
    pub(super) fn load_behind(&self) {
        if !self.cold || !self.shared.loads_behind.load(Ordering::Relaxed) {
            return;
        }
        for live in self.view.segments.iter().filter(|live| live.segment.begins_to_load()) {
            let segment = Arc::downgrade(&live.segment);
            let (metric, kernels) = (self.shared.metric(), self.shared.kernels);
            let clock = Arc::clone(&self.shared.env.clock);
            let load = async move {
                let Some(of) = segment.upgrade() else { return };
                // Whoever needs what cannot be loaded meets the error.
                if of.load_for(of.has_index(), metric, &kernels).await.is_ok()
                    && of.begins_to_hold()
                {
                    let _ = of.hold_vectors(0).await;
                }
                if of.head_alone().is_none() {
                    return;
                }
                drop(of);
                clock.sleep(PAUSE).await;
                // The next search tries again.
                segment.upgrade().iter().for_each(|of| of.may_begin_to_load());
            };
            self.shared.env.spawn.spawn(Box::pin(load));
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
        if heads.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut found = BTreeMap::new();
        let chosen = self.choose(walker, heads, (query, params), &mut found).await?;
        // Once, so that nobody waits for more who has some.
        let bytes = chosen.iter().map(|chosen| chosen.head.bytes_to_fetch(&chosen.near.rows));
        let charge = self.shared.env.memory.take(Use::Queries, bytes.sum()).await?;
        let too_few = self.look_into(walker, chosen, query, &mut found).await?;
        drop(charge);
        for live in too_few {
            self.load_index_of(live).await?;
        }
        let spawn = &*self.shared.env.spawn;
        let mut hits = Vec::new();
        for (source, rows) in &found {
            if let Some(RowSource::Segment(live)) = self.source(*source) {
                hits.extend(fetch_hits(&live.segment, spawn, rows));
            }
        }
        for hit in hits {
            hit.await.ok_or_else(Error::panicked)??;
        }
        Ok(found)
    }

    /// Which part of each segment to search. Where a filter matches few rows, those are `found`; where too much would be
    /// fetched, the index is loaded.
    async fn choose<'a>(
        &'a self,
        walker: &mut Walker,
        heads: &Heads<'a>,
        (query, params): (&[f32], SearchParams),
        found: &mut BTreeMap<u32, Vec<u32>>,
    ) -> Result<Vec<Chosen<'a>>> {
        let mut chosen = Vec::new();
        for (source, row_source) in self.sources() {
            let RowSource::Segment(live) = row_source else { continue };
            let Some(head) = heads.get(&source).copied() else { continue };
            let seen = self.seen(source, row_source);
            if let Some(matched) = seen.matched().filter(|matched| matched.count <= FEW) {
                let rows: Vec<u32> = matched.set.iter().filter(|row| seen.has(*row)).collect();
                self.note(source, |note| {
                    note.plan = if rows.is_empty() { Plan::Nothing } else { Plan::Vectors };
                });
                found.insert(source, rows);
                continue;
            }
            let effort = Effort::of(params, &live.segment, self.matched.is_some());
            let near = self.near((&mut *walker, head), live, (query, effort), seen.matched())?;
            if head.bytes_of(rows_in(&near.rows)) > MOST_BYTES && live.segment.has_index() {
                self.load_index_of(live).await?;
                continue;
            }
            chosen.push(Chosen { source, live, head, effort, near });
        }
        Ok(chosen)
    }

    /// Fetches the codes of what was chosen, of all segments at once, and finds the rows that are near; says in which
    /// segments there were too few.
    async fn look_into<'a>(
        &self,
        walker: &mut Walker,
        chosen: Vec<Chosen<'a>>,
        query: &[f32],
        found: &mut BTreeMap<u32, Vec<u32>>,
    ) -> Result<Vec<&'a LiveSegment>> {
        let (kernels, spawn) = (self.shared.kernels, &*self.shared.env.spawn);
        let fetched = chosen.into_iter().map(|chosen| {
            let rows = chosen.near.rows.clone();
            (chosen.head.fetch(&chosen.live.segment, spawn, rows), chosen)
        });
        let mut too_few = Vec::new();
        for (codes, chosen) in fetched.collect::<Vec<_>>() {
            let Chosen { source, live, head, effort, near } = chosen;
            let seen = self.seen(source, RowSource::Segment(live));
            let codes = codes.end().await?;
            // What is best by so few bits need not be.
            let (Rerank::Best(best) | Rerank::MayBeAmong(best)) = effort.rerank;
            let how = (effort.keep(codes.times_kept()), Rerank::MayBeAmong(best));
            let lives = |row| seen.has(row);
            let rows = codes.nearest((&mut *walker, kernels), head, query, how, lives)?;
            if rows.len() < effort.k && !near.are_all {
                too_few.push(live);
                continue;
            }
            self.note(source, |note| {
                note.plan = Plan::ShortCodes;
                if live.segment.has_index() {
                    (note.plan, note.clusters) = (Plan::Clusters, near.rows.len() as u64);
                }
                note.estimated = rows_in(&near.rows);
            });
            found.insert(source, rows);
        }
        Ok(too_few)
    }

    /// The rows of the clusters to search.
    fn near(
        &self,
        (walker, head): (&mut Walker, &Head),
        live: &LiveSegment,
        (query, effort): (&[f32], Effort),
        matched: Option<&MatchedRows>,
    ) -> Result<NearRows> {
        let all = u64::from(live.segment.rows());
        let dead = live.dead.count_at(self.sequence).min(all);
        // The fewer are wanted, the more clusters: so as many are looked at.
        let wanted = matched.map_or(all, |matched| u64::from(matched.count));
        let wanted = wanted.saturating_mul(all - dead) / all.max(1);
        let rows = all
            .isqrt()
            .saturating_mul(TIMES_ROOT)
            .max((effort.k as u64).saturating_mul(ROWS_FOR_ONE));
        let farther = (effort.ef as u64).max(EF as u64);
        let rows = rows.saturating_mul(farther) / EF as u64;
        let twice = 1 + u64::from(matched.is_some());
        let count = head.cluster_count().unwrap_or_default() as u64;
        let usual = rows.saturating_mul(twice).saturating_mul(count) / all.max(1);
        let asked = effort.clusters.map_or(usual, |asked| asked as u64);
        let most = asked.max(1).saturating_mul(all) / wanted.max(1);
        let most = most.clamp(1, count.max(1));
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
