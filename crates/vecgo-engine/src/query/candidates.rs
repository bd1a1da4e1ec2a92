//! Scores what indexes led to by vectors: what is nearest by estimates first, so that of the rest no more is read
//! than may still be nearer than the last of that.

use vecgo_format::Metric;

use super::exact::Scored;
use super::nearest::Nearest;
use super::vector::ExactQuery;
use super::view::{Address, RowSource, Snapshot};
use crate::index::{Estimated, IndexPart, ROUNDING};
use crate::{Error, Result};

/// What the search for a query found so far, and what it has yet to score.
#[derive(Debug)]
pub(super) struct Candidates {
    pub(super) nearest: Nearest,
    k: usize,
    /// Those that are scored before the others.
    first: Vec<Rough>,
    waiting: Vec<Rough>,
}

/// A candidate among those of all segments, with distances as the metric has them.
#[derive(Debug, Clone, Copy)]
struct Rough {
    estimate: f32,
    least: f32,
    address: Address,
}

/// How squared distances of a query's point to those of a segment become distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointDistances {
    scale: f32,
    shift: f32,
}

impl PointDistances {
    pub(crate) fn new(metric: Metric, part: Option<&IndexPart>, exact: &ExactQuery<'_>) -> Self {
        match metric {
            Metric::L2 => Self { scale: 1.0, shift: 0.0 },
            Metric::Cosine => Self { scale: 0.5, shift: 0.0 },
            Metric::Dot => {
                let longest = part.map_or(0.0, IndexPart::longest_squared);
                Self { scale: 0.5, shift: exact.squared_length() + longest }
            }
        }
    }

    /// What the distance to a row is estimated to be, and the least that it may be.
    pub(crate) fn range(self, found: Estimated) -> (f32, f32) {
        let least = self.distance(found.least) - ROUNDING * self.shift;
        (self.distance(found.estimate), least)
    }

    fn distance(self, squared: f32) -> f32 {
        (squared - self.shift) * self.scale
    }
}

/// Whether what stands at a place in the order of estimates is read to be scored, given how far the last of the nearest
/// k is. Where so many may be nearer than that, each is the less likely to be found: beyond the first 2k half of what
/// estimates may be off by counts. Of what is nearest another one in a thousand is missed so, of real vectors.
pub(crate) fn may_be_found(
    (place, k): (usize, usize),
    (estimate, least): (f32, f32),
    bound: f32,
) -> bool {
    let is_among_many = place >= k.saturating_mul(2);
    let least = if is_among_many { estimate.midpoint(least) } else { least };
    least <= bound
}

impl Candidates {
    pub(super) fn new(k: usize) -> Self {
        Self { nearest: Nearest::new(k), k, first: Vec::new(), waiting: Vec::new() }
    }

    /// Adds what was found in a segment. Unless rows `are_read` from the disk all of it is scored: that takes no time
    /// in memory, and from afar to ask twice takes longer than to ask for more.
    pub(super) fn add(
        &mut self,
        source: u32,
        of: PointDistances,
        rows: &[Estimated],
        are_read: bool,
    ) {
        self.waiting.extend(rows.iter().map(|found| {
            let found = if are_read { *found } else { Estimated::certain(found.row) };
            let (estimate, least) = of.range(found);
            Rough { estimate, least, address: Address { source, row: found.row } }
        }));
    }

    /// Takes those that are scored first: what is scored in any case, and the nearest k of the rest.
    fn choose_first(&mut self) {
        let Self { nearest, k, first, waiting } = self;
        waiting.retain(|rough| rough.least <= nearest.bound());
        waiting.sort_unstable_by(|a, b| a.estimate.total_cmp(&b.estimate));
        let certain = waiting.partition_point(|rough| rough.estimate == f32::NEG_INFINITY);
        let rest = waiting.split_off(waiting.len().min(certain.saturating_add(*k)));
        *first = std::mem::replace(waiting, rest);
    }
}

impl Snapshot {
    /// Asks for the vectors of what is nearest by estimates.
    pub(super) fn bring_first(&self, candidates: &mut Candidates) {
        candidates.choose_first();
        self.bring(&candidates.first);
    }

    /// Scores that, and asks for what else may be as near as the last of it.
    pub(super) async fn score_first(
        &self,
        exact: &ExactQuery<'_>,
        candidates: &mut Candidates,
    ) -> Result<()> {
        let Candidates { nearest, k, first, waiting } = candidates;
        for rough in first.drain(..) {
            self.score(exact, nearest, rough).await?;
        }
        let bound = nearest.bound();
        let mut places = *k..;
        waiting.retain(|rough| {
            let place = places.next().unwrap_or(usize::MAX);
            may_be_found((place, *k), (rough.estimate, rough.least), bound)
        });
        self.bring(waiting);
        Ok(())
    }

    /// Scores the rest.
    pub(super) async fn score_rest(
        &self,
        exact: &ExactQuery<'_>,
        candidates: &mut Candidates,
    ) -> Result<()> {
        let Candidates { nearest, waiting, .. } = candidates;
        for rough in waiting.drain(..) {
            if rough.least <= nearest.bound() {
                self.score(exact, nearest, rough).await?;
            }
        }
        Ok(())
    }

    fn bring(&self, some: &[Rough]) {
        for (number, live) in (0u32..).zip(&self.view.segments) {
            let rows = some.iter().filter(|rough| rough.address.source == number);
            live.segment.prefetch(rows.map(|rough| rough.address.row));
        }
    }

    async fn score(
        &self,
        exact: &ExactQuery<'_>,
        nearest: &mut Nearest,
        Rough { address, .. }: Rough,
    ) -> Result<()> {
        let Some(RowSource::Segment(live)) = self.source(address.source) else {
            return Err(Error::internal("a candidate of no segment"));
        };
        let scored = live.segment.with_vector(address.row, |vector| exact.score(vector));
        let (distance, score) = scored.await?;
        self.note(address.source, |note| note.scored += 1);
        nearest.push(Scored { distance, score, address });
        Ok(())
    }
}
