//! Scans by short codes: every row is estimated, and those that may be among the nearest, given how
//! far estimates can be off, are scored by their vectors.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use vecgo_format::Metric;
use vecgo_index::Neighbour;
use vecgo_kernels::{Kernels, pack};
use vecgo_quant::{CodeQuery, Space};

use super::exact::Scored;
use super::explain::Plan;
use super::nearest::Nearest;
use super::params::SearchParams;
use super::vector::ExactQuery;
use super::view::{Address, RowSource, Snapshot};
use crate::short_codes::{CHUNK_ROWS, Chunk, ShortCodes};
use crate::{Error, Result};

/// An estimate is off by more than so many standard deviations once in 16,000 times.
const DEVIATIONS: f32 = 4.0;
/// What f32 rounds away of the sums that distances are made of.
const ROUNDING: f32 = 1e-6;
/// If more than one row in so many is wanted, all are scored by their vectors.
const ONE_IN: usize = 32;

/// The chunks of codes of one source that a search goes by.
#[derive(Debug)]
pub(super) struct Coded<'a> {
    pub(super) source: u32,
    rows: RowSource<'a>,
    space: &'a Space,
    made: Arc<Vec<Arc<Chunk>>>,
    /// How many of those hold rows that the snapshot sees: others may have encoded newer ones.
    count: usize,
}

/// A query as one source's codes are scored against it.
struct ShortQuery {
    code: CodeQuery,
    /// An estimate's possible error, by the row's deviation.
    margin: f32,
    /// An estimate is `scale` times the distance and `shift`, give or take `slack`.
    scale: f32,
    shift: f32,
    slack: f32,
    /// By how much points may be off, in length, because coordinates are f32.
    rounding: f32,
}

impl Snapshot {
    /// Whether a search goes by codes of a source, where there are some.
    fn scans_codes(&self, (source, rows): (u32, RowSource<'_>), params: SearchParams) -> bool {
        let walked = matches!(rows, RowSource::Segment(live) if self.by_index(live, params));
        let few = self.seen(source, rows).matched().is_some_and(|matched| {
            (matched.count as usize).saturating_mul(ONE_IN) < rows.count(self.sequence)
        });
        !params.exact
            && !walked
            && !few
            && ShortCodes::are_for(&self.view.config)
            && rows.count(self.sequence) >= CHUNK_ROWS.max(params.k.saturating_mul(ONE_IN))
    }

    /// Whether a search goes by indexes or codes, and not by the vectors of all rows alone.
    pub(super) fn is_estimated(&self, params: SearchParams) -> bool {
        self.view.segments.iter().any(|live| self.by_index(live, params))
            || !self.heads().is_empty()
            || self.sources().any(|source| self.scans_codes(source, params))
    }

    /// As many rows in full as a scan of a source has to read.
    pub(super) fn scanned_rows(
        &self,
        (source, rows): (u32, RowSource<'_>),
        params: SearchParams,
    ) -> u64 {
        let seen = rows.count(self.sequence);
        let coded = match self.scans_codes((source, rows), params) {
            true => rows.short_codes().rows().min(seen),
            false => 0,
        };
        let read = ShortCodes::row_bytes(self.shared.dim()).saturating_mul(coded);
        (seen - coded + read / (4 * self.shared.dim())) as u64
    }

    /// The codes that a search goes by. Each source without an index gets another chunk of them, if
    /// it has rows for it.
    pub(super) fn short_codes(&self, params: SearchParams) -> Result<Vec<Coded<'_>>> {
        let mut all = Vec::new();
        for (source, rows) in self.sources() {
            if !self.scans_codes((source, rows), params) {
                continue;
            }
            let (codes, seen) = (rows.short_codes(), rows.count(self.sequence));
            // A search that waits for the store anyway leaves them to those that do not.
            if !self.cold {
                codes.grow(&self.shared, |first| {
                    let row = u32::try_from(first).ok()?;
                    (first + CHUNK_ROWS <= seen).then(|| rows.resident_rows(row, CHUNK_ROWS))?
                })?;
            }
            let Some((space, made)) = codes.made() else { continue };
            let count = made.len().min(seen / CHUNK_ROWS);
            all.push(Coded { source, rows, space, made, count });
        }
        Ok(all)
    }

    /// Adds the nearest of the rows that have codes.
    pub(super) fn scan_codes(
        &self,
        coded: &[Coded<'_>],
        query: &[f32],
        exact: &ExactQuery<'_>,
        nearest: &mut Nearest,
    ) -> Result<()> {
        if coded.is_empty() {
            return Ok(());
        }
        let kernels = self.shared.kernels;
        let mut near = BinaryHeap::new();
        let mut packed = vec![0; CHUNK_ROWS];
        let rows = 0..u32::try_from(CHUNK_ROWS).unwrap_or(u32::MAX);
        for source in coded {
            let metric = self.shared.metric();
            let query = source.query(kernels, metric, query);
            let seen = self.seen(source.source, source.rows);
            let mut scored = 0;
            for (first, chunk) in (0u32..).step_by(CHUNK_ROWS).zip(source.chunks()) {
                let limit = query.limit(nearest.bound());
                let mut nearer = near.into_vec();
                nearer.clear();
                let most = pack(limit + query.margin * chunk.most_deviation, u32::MAX);
                let codes = chunk.codes()?;
                let kept = codes.scan(kernels, &query.code, rows.clone(), most, &mut packed);
                for found in packed[..kept].iter().map(|packed| Neighbour::of(*packed)) {
                    let deviation = chunk.deviations[found.row() as usize];
                    let least = found.distance() - query.margin * deviation;
                    if least <= limit {
                        nearer.push(Reverse(Neighbour::new(least, found.row())));
                    }
                }
                near = BinaryHeap::from(nearer);
                while let Some(Reverse(found)) = near.pop() {
                    if found.distance() > query.limit(nearest.bound()) {
                        break;
                    }
                    let row = first + found.row();
                    if !seen.has(row) {
                        continue;
                    }
                    let vector = source.rows.resident_rows(row, 1);
                    let vector = vector.ok_or_else(|| Error::internal("a coded row is gone"))?;
                    let (distance, score) = exact.score(vector);
                    scored += 1;
                    let address = Address { source: source.source, row };
                    nearest.push(Scored { distance, score, address });
                }
            }
            self.note(source.source, |note| {
                note.plan = Plan::ShortCodes;
                note.estimated += source.rows() as u64;
                note.scored += scored;
            });
        }
        Ok(())
    }
}

impl Coded<'_> {
    pub(super) fn rows(&self) -> usize {
        self.count * CHUNK_ROWS
    }

    fn chunks(&self) -> &[Arc<Chunk>] {
        self.made.get(..self.count).unwrap_or_default()
    }

    fn query(&self, kernels: Kernels, metric: Metric, query: &[f32]) -> ShortQuery {
        let mut point = vec![0.0; self.space.places()];
        self.space.query(kernels, query, &mut point);
        let mut code = CodeQuery::default();
        code.set(kernels, &point);
        let squared = code.squared();
        // Not zero: of some rows, beyond the range of f32, nothing is known.
        let margin = (2.0 * DEVIATIONS * squared.sqrt()).max(f32::MIN_POSITIVE);
        let (scale, own, longest) = match metric {
            Metric::L2 => (1.0, 0.0, 0.0),
            Metric::Cosine => (2.0, 0.0, 0.0),
            #[expect(clippy::cast_possible_truncation, reason = "an estimate")]
            Metric::Dot => {
                let longest = self.rows.longest().unwrap_or_default();
                (2.0, kernels.exact_dot(query, query) as f32, longest)
            }
        };
        let slack = ROUNDING * (squared + own + longest * longest);
        // Turning a vector rounds by its own length, however near the mean it is.
        let rounding = match metric {
            Metric::L2 => {
                let length = kernels.norm_squared(query).sqrt();
                let rows = self.chunks().iter().map(|chunk| chunk.longest).fold(0.0, f32::max);
                ROUNDING * (length + self.space.mean_length() + rows)
            }
            Metric::Cosine | Metric::Dot => ROUNDING,
        };
        ShortQuery { code, margin, scale, shift: own - squared, slack, rounding }
    }
}

impl ShortQuery {
    /// What an estimate, less its possible error, must not exceed if the row is to be no farther
    /// than a distance.
    fn limit(&self, distance: f32) -> f32 {
        let scaled = self.scale * distance;
        let off = self.rounding * (2.0 * scaled.max(0.0).sqrt() + self.rounding);
        scaled + self.shift + self.slack + ROUNDING * scaled.abs() + off
    }
}
