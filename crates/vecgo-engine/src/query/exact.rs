//! Exact search: every live row is scored by the kernels, those that may be among the nearest are
//! scored again in f64.

use vecgo_format::Metric;

use super::explain::Plan;
use super::nearest::Nearest;
use super::scoring::{Scoring, TILE_ROWS};
use super::top::{Candidate, Top};
use super::vector::{ExactQuery, norm};
use super::view::{Address, RowSource, Seen, Snapshot};
use crate::filter::RowSet;
use crate::segment::Stop;
use crate::{Error, Result};

/// A candidate with its final distance and score.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scored {
    pub(crate) distance: f32,
    pub(crate) score: f32,
    pub(crate) address: Address,
}

/// By distance, then by address. Addresses are in the order of writing, which a flush does not
/// change: nor does it change which of several equal rows takes the last place. A merge may.
impl Ord for Scored {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then_with(|| self.address.cmp(&other.address))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scored {}

/// Which rows a scan reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    All,
    /// Those of each source beyond its first so many.
    Beyond(&'a [usize]),
}

impl Which<'_> {
    fn first(self, source: u32) -> usize {
        match self {
            Which::All => 0,
            Which::Beyond(rows) => rows.get(source as usize).copied().unwrap_or_default(),
        }
    }
}

/// Some rows, and what is scored of them, end to end.
#[derive(Default)]
struct Tile {
    rows: Vec<u32>,
    vectors: Vec<f32>,
    norms: Vec<f32>,
}

impl Tile {
    fn clear(&mut self) {
        self.rows.clear();
        self.vectors.clear();
        self.norms.clear();
    }
}

/// Rows are picked out one by one if no more than one in so many is wanted.
const FEW_ONE_IN: usize = 8;

impl<'a> Seen<'a> {
    /// The rows that a filter matches, if they are few of so many.
    fn few(&self, rows: usize) -> Option<&'a RowSet> {
        let matched = self.matched()?;
        (matched.count as usize * FEW_ONE_IN <= rows).then_some(&matched.set)
    }
}

impl Snapshot {
    /// The k nearest live rows of each query, nearest first. `queries` are end to end. Segments whose
    /// vectors are not resident are read through.
    pub(super) async fn exact_search(
        &self,
        queries: &[f32],
        k: usize,
        which: Which<'_>,
    ) -> Result<Vec<Vec<Scored>>> {
        if self.scanned(which).next().is_none() {
            return Ok(vec![Vec::new(); queries.len() / self.shared.dim()]);
        }
        let config = &self.view.config;
        let dim = config.dim();
        let k = k.min(usize::try_from(self.rows()).unwrap_or(usize::MAX));
        let longest = self.longest(which).await?;
        let stop = Stop::default();
        let exact: Vec<_> = queries
            .chunks_exact(dim)
            .map(|query| ExactQuery::new(self.shared.kernels, config.metric(), query))
            .collect();
        let mut scan =
            Scoring::new(self.shared.kernels, config.metric(), (queries, dim), (k, longest));
        for (source, rows) in self.scanned(which) {
            let mut skipped = which.first(source);
            let seen = self.seen(source, rows);
            let is_seen = |row| seen.has(row);
            self.note(source, |note| {
                let rows = rows.count(self.sequence).saturating_sub(skipped);
                let scored = seen.matched().map_or(rows as u64, |matched| matched.count.into());
                note.scored += scored;
                if note.plan == Plan::Nothing && scored > 0 {
                    note.plan = Plan::Vectors;
                }
            });
            if let Some(few) = seen.few(rows.count(self.sequence)) {
                self.scan_few(&mut scan, (source, skipped), rows, few).await?;
                continue;
            }
            let mut first = Address { source, row: u32::try_from(skipped).unwrap_or(u32::MAX) };
            match rows {
                RowSource::Memtable(table) => {
                    for (block, rows) in table.blocks(self.sequence) {
                        let skip = skipped.min(rows);
                        skipped -= skip;
                        let (vectors, norms) = block.columns(rows, dim);
                        let (vectors, norms) = (&vectors[skip * dim..], &norms[skip..]);
                        scan.rows(first, vectors, norms, is_seen);
                        first.row += u32::try_from(rows - skip).unwrap_or(u32::MAX);
                    }
                }
                RowSource::Segment(live) => {
                    let Some((vectors, norms)) = live.segment.resident() else {
                        let mut rows = live.segment.read_through(skipped, &stop)?;
                        while let Some((vectors, norms)) = rows.next().await? {
                            scan.rows(first, vectors, norms, is_seen);
                            let read = vectors.len() / dim;
                            first.row += u32::try_from(read).unwrap_or(u32::MAX);
                        }
                        continue;
                    };
                    let vectors = vectors.get(skipped * dim..).unwrap_or_default();
                    let norms = norms.get(skipped..).unwrap_or_default();
                    scan.rows(first, vectors, norms, is_seen);
                }
            }
        }
        let tops = scan.into_tops();
        let mut answers = Vec::with_capacity(exact.len());
        for (query, top) in exact.iter().zip(tops) {
            answers.push(self.score_again(query, top, k).await?);
        }
        Ok(answers)
    }

    /// Scans the rows of a source that a filter matches, each by itself, but for the first so many.
    async fn scan_few(
        &self,
        scan: &mut Scoring<'_>,
        (source, skipped): (u32, usize),
        rows: RowSource<'_>,
        few: &RowSet,
    ) -> Result<()> {
        let seen = self.seen(source, rows);
        let end = u32::try_from(rows.count(self.sequence)).unwrap_or(u32::MAX);
        let first = u32::try_from(skipped).unwrap_or(u32::MAX);
        let mut wanted = few.iter_within(first..end).filter(|row| seen.has(*row)).peekable();
        let mut tile = Tile::default();
        while wanted.peek().is_some() {
            tile.clear();
            for row in wanted.by_ref().take(TILE_ROWS) {
                tile.rows.push(row);
                match rows {
                    RowSource::Memtable(table) => {
                        let gone = || Error::internal("a memtable row is missing");
                        tile.vectors.extend_from_slice(table.vector(row).ok_or_else(gone)?);
                        tile.norms.extend(table.norm(row));
                    }
                    RowSource::Segment(live) => {
                        let Tile { vectors, norms, .. } = &mut tile;
                        let add = |vector: &[f32]| {
                            vectors.extend_from_slice(vector);
                            let known = live
                                .segment
                                .resident()
                                .and_then(|(_, norms)| norms.get(row as usize));
                            norms.push(
                                known
                                    .copied()
                                    .unwrap_or_else(|| norm(self.shared.metric(), vector)),
                            );
                        };
                        live.segment.with_vector(row, add).await?;
                    }
                }
            }
            let address =
                |place: u32| tile.rows.get(place as usize).map(|row| Address { source, row: *row });
            scan.tile(&tile.vectors, &tile.norms, address);
        }
        Ok(())
    }

    fn scanned(&self, which: Which<'_>) -> impl Iterator<Item = (u32, RowSource<'_>)> {
        self.sources()
            .filter(move |(source, rows)| which.first(*source) < rows.count(self.sequence))
    }

    /// The length of the longest vector, where the kernels' error depends on it.
    async fn longest(&self, which: Which<'_>) -> Result<f32> {
        let mut longest = 0.0f32;
        if self.shared.metric() == Metric::Dot {
            for (_, rows) in self.scanned(which) {
                longest = longest.max(match rows {
                    RowSource::Memtable(table) => table.largest_norm(),
                    RowSource::Segment(live) => {
                        live.segment.find_longest(&self.shared.kernels).await?
                    }
                });
            }
        }
        Ok(longest)
    }

    async fn score_again(&self, query: &ExactQuery<'_>, top: Top, k: usize) -> Result<Vec<Scored>> {
        let mut nearest = Nearest::new(k);
        for Candidate { address, .. } in top.into_candidates() {
            let Address { source, row } = address;
            let gone = || Error::internal("a scored row has no vector");
            let (distance, score) = match self.source(source).ok_or_else(gone)? {
                RowSource::Memtable(table) => query.score(table.vector(row).ok_or_else(gone)?),
                RowSource::Segment(live) => {
                    live.segment.with_vector(row, |vector| query.score(vector)).await?
                }
            };
            nearest.push(Scored { distance, score, address });
        }
        Ok(nearest.into_sorted())
    }
}
