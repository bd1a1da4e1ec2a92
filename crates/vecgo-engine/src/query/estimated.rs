//! Search by estimates: a walk in each segment that has a graph, a scan of the nearest clusters of one
//! that has those (`probe.rs`), a scan by short codes of what has no index, and by vectors of what has
//! no codes either yet. What comes near is scored by its vectors.

use vecgo_index::Reach;

use super::candidates::{Candidates, PointDistances};
use super::cold::Heads;
use super::effort::Effort;
use super::exact::{Scored, Which};
use super::explain::Plan;
use super::params::SearchParams;
use super::probe::RowsFound;
use super::short::Coded;
use super::vector::ExactQuery;
use super::view::{RowSource, Seen, Snapshot};
use crate::filter::MatchedRows;
use crate::index::{ByVectors, Clusters, Estimated, Graph, IndexPart, Start, Through, Walker};
use crate::segment::LiveSegment;
use crate::{Error, Result};

/// A walk that begins away from the query keeps so many times as many candidates: what is nearest of
/// what is far is about as near as much else.
const AWAY: usize = 3;

/// Queries that go through clusters together.
const TOGETHER: usize = 256;
/// Fewer gain nothing by it.
const LEAST_TOGETHER: usize = 4;
/// Queries that are searched for at a time where vectors are on the disk: it fetches those of one while the next is
/// under way.
const AT_A_TIME: usize = 16;
/// Candidates, of 16 bytes each, of all queries that are searched for together.
const MOST_WAITING: usize = 1 << 20;

impl Effort {
    /// Whether what a filter matches is estimated one by one in about the time that a walk to `times`
    /// as many candidates takes. The fewer edges lead from it to itself, the more lists of them the walk
    /// reads for each row. Measured on 100 to 384 dimensions; within a third of that on each.
    fn sooner_scanned(self, graph: &Graph, only: &MatchedRows, times: usize) -> bool {
        let rows = (only.count as usize).div_ceil(self.ef.saturating_mul(times).max(1));
        rows <= 24 || rows <= 24 + 2400 / graph.together(only).max(17) as usize
    }
}

/// How to go through a segment.
pub(super) enum Way<'a> {
    /// Nothing of it is wanted.
    Nothing,
    /// Scores vectors, or short codes first.
    Vectors,
    /// Estimates the distance of each row that a filter matches.
    Codes(&'a IndexPart),
    /// Walks the graph.
    Walk(&'a IndexPart, &'a Graph),
    /// Searches the nearest clusters.
    Probe(&'a IndexPart, &'a Clusters),
}

/// A query that is being searched for.
#[derive(Debug)]
struct Search<'a> {
    query: &'a [f32],
    exact: ExactQuery<'a>,
    coded: Vec<Coded<'a>>,
    candidates: Candidates,
}

impl Snapshot {
    /// About the k nearest live rows of each query, nearest first. Every index must be loaded.
    pub(super) async fn estimated_searches(
        &self,
        queries: &[f32],
        params: SearchParams,
    ) -> Result<Vec<Vec<Scored>>> {
        let dim = self.shared.dim();
        let k = params.k.min(usize::try_from(self.rows()).unwrap_or(usize::MAX));
        let params = SearchParams { k, ..params };
        let mut answers = Vec::with_capacity(queries.len() / dim);
        let together = self.searched_together(params);
        let reads_rows = self.view.segments.iter().any(|live| live.segment.reads_rows());
        let at_a_time = if reads_rows { together.min(AT_A_TIME) } else { 1 };
        for queries in queries.chunks(together * dim) {
            let mut found = match queries.len() / dim {
                0..LEAST_TOGETHER => Vec::new(),
                _ => {
                    let mut walker = self.shared.walkers.take();
                    let found = self.probe_together(&mut walker, queries, params);
                    self.shared.walkers.give_back(walker);
                    found?
                }
            }
            .into_iter();
            for queries in queries.chunks(at_a_time * dim) {
                let mut searches = Vec::with_capacity(queries.len() / dim);
                for query in queries.chunks_exact(dim) {
                    let found = found.next().unwrap_or_default();
                    searches.push(self.begin_search(query, params, found).await?);
                }
                for Search { exact, candidates, .. } in &mut searches {
                    self.score_first(exact, candidates).await?;
                }
                for search in searches {
                    answers.push(self.end_search(search).await?);
                }
            }
        }
        Ok(answers)
    }

    /// Queries whose candidates are held at the same time.
    fn searched_together(&self, params: SearchParams) -> usize {
        let candidates = |live: &LiveSegment| {
            let effort = Effort::of(params, &live.segment, self.matched.is_some());
            let times = live.segment.index().map_or(1, IndexPart::times_kept);
            effort.keep(times).min(live.segment.rows() as usize)
        };
        let each = self.view.segments.iter().map(candidates).fold(1, usize::saturating_add);
        (MOST_WAITING / each).clamp(1, TOGETHER)
    }

    /// Finds what is to be scored for a query, but for the rows that were found before, and asks for the vectors of the
    /// first of it.
    async fn begin_search<'a>(
        &'a self,
        query: &'a [f32],
        params: SearchParams,
        mut found: RowsFound,
    ) -> Result<Search<'a>> {
        let k = params.k;
        let exact = ExactQuery::new(self.shared.kernels, self.shared.metric(), query);
        let mut candidates = Candidates::new(k);
        // Decided once: what is loaded meanwhile is for others.
        let cold = self.heads();
        let mut coded = self.short_codes(params)?;
        coded.retain(|coded| !cold.contains_key(&coded.source));
        let not_scanned = self.rows_not_scanned(&coded, &cold, params)?;
        let scanned = self.exact_search(query, k, Which::Beyond(&not_scanned)).await?;
        scanned.into_iter().flatten().for_each(|scored| candidates.nearest.push(scored));
        let mut walker = self.shared.walkers.take();
        let from_afar = self.cold_rows(&mut walker, &cold, query, params).await?;
        found.extend(from_afar.into_iter().map(|(source, rows)| {
            (source, rows.into_iter().map(Estimated::certain).collect::<Vec<_>>())
        }));
        let mut rows = Vec::new();
        for (source, row_source) in self.sources() {
            let RowSource::Segment(live) = row_source else { continue };
            let (of, effort) =
                ((source, live), Effort::of(params, &live.segment, self.matched.is_some()));
            match found.remove(&source) {
                Some(found) => rows = found,
                None if self.rows_by_index(&mut walker, of, (query, effort), &mut rows)? => {}
                None => continue,
            }
            let of = PointDistances::new(self.shared.metric(), live.segment.index(), &exact);
            candidates.add(source, of, &rows, live.segment.reads_rows());
        }
        self.shared.walkers.give_back(walker);
        self.bring_first(&mut candidates);
        Ok(Search { query, exact, coded, candidates })
    }

    async fn end_search(&self, search: Search<'_>) -> Result<Vec<Scored>> {
        let Search { query, exact, coded, mut candidates } = search;
        self.score_rest(&exact, &mut candidates).await?;
        // Last: the nearer the k-th is by then, the fewer rows have to be looked at.
        self.scan_codes(&coded, query, &exact, &mut candidates.nearest)?;
        Ok(candidates.nearest.into_sorted())
    }

    /// Finds the rows of a segment to score by their vectors, if it is gone through by its index.
    pub(crate) fn rows_by_index(
        &self,
        walker: &mut Walker,
        (source, live): (u32, &LiveSegment),
        (query, effort): (&[f32], Effort),
        rows: &mut Vec<Estimated>,
    ) -> Result<bool> {
        let seen = self.seen(source, RowSource::Segment(live));
        let estimated_before = walker.counts.estimates;
        let plan = match self.plan(live, seen, effort)? {
            Way::Nothing | Way::Vectors => return Ok(false),
            Way::Codes(part) => {
                self.scan_matches(walker, (live, part), seen, (query, effort), rows)?;
                Plan::Codes
            }
            Way::Walk(part, graph) => {
                self.walk(walker, (live, part, graph), seen, (query, effort), rows)?
            }
            Way::Probe(part, clusters) => {
                let through = (part, clusters);
                self.probe(walker, (source, live), through, (query, effort), rows)?;
                Plan::Clusters
            }
        };
        let estimated = walker.counts.estimates - estimated_before;
        self.note(source, |note| {
            (note.plan, note.estimated) = (plan, estimated);
            (note.effort, note.expected_recall) = effort.of_plan(plan);
        });
        Ok(true)
    }

    /// How many rows of each source, from the first on, an index or codes lead to.
    fn rows_not_scanned(
        &self,
        coded: &[Coded<'_>],
        cold: &Heads<'_>,
        params: SearchParams,
    ) -> Result<Vec<usize>> {
        let mut rows = Vec::new();
        for (source, row_source) in self.sources() {
            rows.push(match row_source {
                RowSource::Memtable(_) => 0,
                RowSource::Segment(_) if cold.contains_key(&source) => usize::MAX,
                RowSource::Segment(live) => {
                    let effort = Effort::of(params, &live.segment, self.matched.is_some());
                    match self.plan(live, self.seen(source, row_source), effort)? {
                        Way::Vectors => 0,
                        Way::Nothing | Way::Codes(_) | Way::Walk(..) | Way::Probe(..) => usize::MAX,
                    }
                }
            });
        }
        for coded in coded {
            if let Some(rows) = rows.get_mut(coded.source as usize) {
                *rows = coded.rows();
            }
        }
        Ok(rows)
    }

    /// How to go through a segment: what a filter matches is looked at one by one where a walk to
    /// so many would take longer, or all clusters would be searched.
    pub(super) fn plan<'a>(
        &self,
        live: &'a LiveSegment,
        seen: Seen<'_>,
        effort: Effort,
    ) -> Result<Way<'a>> {
        if seen.matched().is_some_and(|matched| matched.count == 0) {
            return Ok(Way::Nothing);
        }
        if !live.segment.has_index() {
            return Ok(Way::Vectors);
        }
        let part = live.segment.index();
        let part = part.ok_or_else(|| Error::internal("a segment's index is not loaded"))?;
        let (few, otherwise) = match part.through() {
            Through::Graph(graph) => {
                let times = part.times_kept();
                let few = seen.matched().map(|only| effort.sooner_scanned(graph, only, times));
                (few, Way::Walk(part, graph))
            }
            Through::Clusters(clusters) => {
                let of = (part, clusters);
                let few = seen.matched().map(|only| effort.probes_all(of, only));
                (few, Way::Probe(part, clusters))
            }
        };
        Ok(match (few, part.needs_vectors()) {
            (Some(true), true) => Way::Vectors,
            (Some(true), false) => Way::Codes(part),
            _ => otherwise,
        })
    }

    /// The rows of a segment that a filter matches to score by their vectors, of all of them.
    fn scan_matches(
        &self,
        walker: &mut Walker,
        (live, part): (&LiveSegment, &IndexPart),
        seen: Seen<'_>,
        (query, effort): (&[f32], Effort),
        rows: &mut Vec<Estimated>,
    ) -> Result<()> {
        let Some(matched) = seen.matched() else { return Ok(()) };
        if part.needs_vectors() {
            rows.clear();
            let seen = matched.set.iter().filter(|row| seen.has(*row));
            rows.extend(seen.map(Estimated::certain));
            return Ok(());
        }
        let how = (effort.keep(part.times_kept()), effort.rerank);
        let dead = (live.dead.count_at(self.sequence) > 0).then_some(|row| !seen.has(row));
        let found = walker.scan(self.shared.kernels, part, query, how, &matched.set, dead)?;
        rows.clear();
        rows.extend_from_slice(found);
        Ok(())
    }

    pub(super) fn by_vectors<'a>(
        &self,
        live: &'a LiveSegment,
        query: &'a [f32],
    ) -> Result<ByVectors<'a>> {
        let not_loaded = || Error::internal("a segment's vectors are not loaded");
        let (vectors, norms) = live.segment.resident().ok_or_else(not_loaded)?;
        let (kernels, metric) = (self.shared.kernels, self.shared.metric());
        let length = kernels.norm_squared(query).sqrt();
        Ok(ByVectors { kernels, metric, query, length, vectors, norms })
    }

    /// The rows of a segment to score by their vectors.
    fn walk(
        &self,
        walker: &mut Walker,
        (live, part, graph): (&LiveSegment, &IndexPart, &Graph),
        seen: Seen<'_>,
        (query, effort): (&[f32], Effort),
        rows: &mut Vec<Estimated>,
    ) -> Result<Plan> {
        let all = live.segment.rows() as usize;
        let dead = usize::try_from(live.dead.count_at(self.sequence)).unwrap_or(all);
        let live_rows = all.saturating_sub(dead);
        // Dead rows take places that are to be made up for.
        let with_dead = |rows: usize| match live_rows {
            0 => all,
            _ => rows.saturating_mul(all) / live_rows,
        };
        let times = part.times_kept();
        let mut ef = with_dead(effort.ef.saturating_mul(times));
        let mut wanted = with_dead(effort.wanted());
        let lives = |row| (dead == 0 && seen.matched().is_none()) || seen.has(row);
        loop {
            let reach = |start| {
                let away = start == Start::Away;
                let few =
                    |only: &MatchedRows| effort.sooner_scanned(graph, only, times * (AWAY + 1));
                if away && seen.matched().is_some_and(few) {
                    return None;
                }
                let ef = if away { ef.saturating_mul(AWAY) } else { ef };
                let by_vectors = part.needs_vectors();
                let farther =
                    seen.matched().map_or(1.0, |only| farther(start, by_vectors, only.count, all));
                let slack = (ef < all).then(|| slack(ef / times) * farther);
                Some(Reach { ef: ef.min(all), wanted, slack })
            };
            let found = match part.needs_vectors() {
                true => {
                    let (by, how) = (self.by_vectors(live, query)?, (reach, effort.k));
                    walker.walk_vectors(graph, &by, how, seen.matched(), lives)
                }
                false => {
                    let (kernels, how) = (self.shared.kernels, (reach, effort.rerank));
                    walker.walk(kernels, (part, graph), query, how, seen.matched(), lives)?
                }
            };
            let Some(found) = found else {
                self.scan_matches(walker, (live, part), seen, (query, effort), rows)?;
                return Ok(if part.needs_vectors() { Plan::Vectors } else { Plan::Codes });
            };
            // Where most of the nearest are dead, the walk was over before it came to others.
            let enough = effort.k.min(live_rows);
            let found_enough = found.live >= enough && found.near >= enough.div_ceil(2);
            if found_enough || (ef >= all && seen.matched().is_none()) {
                rows.clear();
                rows.extend_from_slice(found.rows);
                return Ok(Plan::Walk);
            }
            // What matches is not where the walk came by.
            if seen.matched().is_some() {
                self.scan_matches(walker, (live, part), seen, (query, effort), rows)?;
                return Ok(Plan::WalkAndCodes);
            }
            (ef, wanted) = (ef.saturating_mul(4), wanted.saturating_mul(4));
        }
    }
}

/// By how much more than among all rows a walk goes on among those of so many that a filter matches:
/// the fewer those are the less is what it walks the graph that it would be by itself, and where it
/// does not begin at the query what is nearest may be in several places. Of all sets of vectors that
/// we have, 0.95 of ten and more are so found, whatever matches.
fn farther(start: Start, by_vectors: bool, matched: u32, all: usize) -> f32 {
    let for_each_half = match start {
        // Walks by vectors do not start in clusters.
        Start::Near if by_vectors => 0.09,
        Start::Near => 0.03,
        Start::Beside => 0.2,
        Start::Away => 0.1,
    };
    #[expect(clippy::cast_precision_loss, reason = "a rule of thumb")]
    let one_in = all as f32 / matched.max(1) as f32;
    1.0 + for_each_half * one_in.max(1.0).log2()
}

/// By what part of the k-th nearest's distance a row may be farther and still be followed. With more
/// candidates kept both bounds grow together: on all sets of vectors that we have this takes less
/// time to the same recall than the number alone. From 65 to 100 for 80 makes a tenth at most, up
/// on one set and down on another.
fn slack(ef: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a rule of thumb")]
    let ef = ef as f32;
    ef.sqrt() / 80.0
}
