use std::ops::Range;

use vecgo_kernels::{Bits, CodeRows, Estimate, Factors, Kernels, pack};
use vecgo_quant::{CodeQuery, Loss, error_of};

use super::Edges;
use super::pool::{Neighbour, Pool};
use super::through::{AllRows, Through, Wanted};
use super::visited::Visited;

/// Codes that distances are estimated from.
#[derive(Clone, Copy, Debug)]
pub struct Codes<'a> {
    /// The codes.
    pub rows: CodeRows<'a>,
    /// What they are.
    pub form: Form<'a>,
}

/// What a row of codes consists of.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// A code for each place of a point.
    Places {
        /// Of each.
        bits: Bits,
        /// Squared length and factor of each row.
        factors: Factors<'a>,
    },
    /// The codes of a codebook, for whose tables the query was made.
    Parts {
        /// What they leave out.
        loss: Loss,
        /// Dimensions of the vectors.
        dim: usize,
    },
}

impl<'a> Codes<'a> {
    /// A code for each place.
    #[must_use]
    pub fn of_places(rows: CodeRows<'a>, bits: Bits, factors: Factors<'a>) -> Codes<'a> {
        Codes { rows, form: Form::Places { bits, factors } }
    }

    /// Standard deviation of what they leave out of a coordinate, as a part of the coordinates' own.
    #[inline]
    #[must_use]
    pub fn error(&self) -> f32 {
        match self.form {
            Form::Places { bits, .. } => error_of(bits.count()),
            Form::Parts { loss, .. } => loss.error,
        }
    }

    /// An estimate is off by so much times [`error`](Codes::error), on average, and times two over the
    /// root of the number of coordinates: `distance` is the estimate, and `squared` the squared length of
    /// the row's point.
    #[must_use]
    pub fn lengths(&self, query: &CodeQuery, distance: f32, squared: f32) -> f32 {
        match self.form {
            // Not the root of the product, which may be beyond the range.
            Form::Places { .. } => query.squared().sqrt() * squared.sqrt(),
            Form::Parts { loss, .. } => query.reach(distance) * loss.length,
        }
    }

    /// The squared length of a row's point, as far as it matters to [`lengths`](Codes::lengths).
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[must_use]
    pub fn squared(&self, row: u32) -> f32 {
        match self.form {
            Form::Places { factors, .. } => factors.of(row)[0],
            Form::Parts { .. } => 0.0,
        }
    }

    /// Asks for a row, if it is there.
    #[inline(always)]
    pub fn prefetch(&self, row: u32) {
        self.rows.prefetch(row);
        if let Form::Places { factors, .. } = self.form {
            factors.prefetch(row);
        }
    }

    /// The rows whose estimated squared distance, less the query's own squared length, is below a
    /// bound, both packed as [`vecgo_kernels::pack`] does; as many as are returned, at the start
    /// of `out`.
    ///
    /// # Panics
    ///
    /// If one of `rows` is not there, if `out` is not as long as `rows`, or if the query was made
    /// for another number of codes.
    #[inline(always)]
    pub fn within(
        &self,
        kernels: Kernels,
        query: &CodeQuery,
        rows: &[u32],
        bound: u64,
        out: &mut [u64],
    ) -> usize {
        let Some((bits, estimate)) = self.estimate(query, bound) else {
            return query.within(self.rows, rows.iter().copied(), bound, out);
        };
        kernels.within(bits, query.values(), self.rows, &estimate, rows, out)
    }

    /// As [`within`](Codes::within), of rows that follow one another.
    ///
    /// # Panics
    ///
    /// As `within`.
    #[inline]
    pub fn scan(
        &self,
        kernels: Kernels,
        query: &CodeQuery,
        rows: Range<u32>,
        bound: u64,
        out: &mut [u64],
    ) -> usize {
        let Some((bits, estimate)) = self.estimate(query, bound) else {
            return query.within(self.rows, rows, bound, out);
        };
        kernels.scan(bits, query.values(), self.rows, &estimate, rows, out)
    }

    /// How distances are estimated by dot products, where codes are of places.
    #[inline(always)]
    fn estimate(&self, query: &CodeQuery, bound: u64) -> Option<(Bits, Estimate<'a>)> {
        let Form::Places { bits, factors } = self.form else { return None };
        let (scale, middle) = (query.scale(), query.middle(bits.count()));
        Some((bits, Estimate { factors, scale, middle, bound }))
    }

    /// Estimates for all of `rows`, in their order: of squared distances, less the query's own
    /// squared length. `packed` is memory to use again.
    ///
    /// # Panics
    ///
    /// As [`within`](Codes::within).
    pub fn distances(
        &self,
        kernels: Kernels,
        query: &CodeQuery,
        rows: &[u32],
        packed: &mut Vec<u64>,
        mut each: impl FnMut(u32, f32),
    ) {
        packed.resize(rows.len().max(packed.len()), 0);
        let kept = self.within(kernels, query, rows, u64::MAX, &mut packed[..rows.len()]);
        for packed in &packed[..kept] {
            let row = Neighbour(*packed);
            each(row.row(), row.distance());
        }
    }
}

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Rows that it keeps at most.
    pub ef: usize,
    /// Rows that are wanted of it.
    pub wanted: usize,
    /// It neither keeps nor follows a row that is farther than the last one wanted by more than
    /// this part of that one's distance, if given (distance adaptive beam search: Al-Jazzazi and
    /// others, NeurIPS 2025): where the nearest stand out, the walk is soon over.
    pub slack: Option<f32>,
}

impl Reach {
    /// Of the nearest `ef` rows, however far.
    #[must_use]
    pub fn of(ef: usize) -> Reach {
        Reach { ef, wanted: ef, slack: None }
    }
}

/// What a walk goes by: how near rows are to its query.
pub trait Near {
    /// How many rows there are.
    fn count(&self) -> usize;

    /// Asks for what a row's distance will be made of.
    fn prefetch(&self, row: u32);

    /// `d + part * (d - d0)`, where `d` is a distance as [`within`](Near::within) has it and `d0` that
    /// of a row as near as can be; or farther by what distances that are told badly are off by.
    fn farther(&self, distance: f32, part: f32) -> f32;

    /// The rows whose packed distance is below a bound; as many as are returned, at the start of
    /// `out`, which has a place for each of `rows`.
    fn within(&self, rows: &[u32], bound: u64, out: &mut [u64]) -> usize;
}

/// A squared distance below this part of the query's squared length is within the error of
/// estimates by four bits.
const LEAST_TOLD: f32 = 0.125;

/// Where codes leave out more, what is near may be estimated to be as much farther as estimates are off by
/// on average.
pub const MUCH_LEFT_OUT: f32 = 0.3;

/// Nearness by codes.
#[derive(Clone, Copy, Debug)]
pub struct ByCodes<'a> {
    /// What estimates them.
    pub kernels: Kernels,
    /// The rows.
    pub codes: Codes<'a>,
    /// What they are to be near to.
    pub query: &'a CodeQuery,
}

impl Near for ByCodes<'_> {
    fn count(&self) -> usize {
        self.codes.rows.count()
    }

    #[inline(always)]
    fn prefetch(&self, row: u32) {
        self.codes.prefetch(row);
    }

    #[inline(always)]
    fn farther(&self, distance: f32, part: f32) -> f32 {
        // Estimates lack the query's own squared length, and tell nothing of distances that are
        // small beside it.
        let own = self.query.squared();
        let farther = distance + part * (distance + own).max(own * LEAST_TOLD);
        match self.codes.error() > MUCH_LEFT_OUT {
            true => farther + self.off_by(distance),
            false => farther,
        }
    }

    #[inline(always)]
    fn within(&self, rows: &[u32], bound: u64, out: &mut [u64]) -> usize {
        self.codes.within(self.kernels, self.query, rows, bound, out)
    }
}

impl ByCodes<'_> {
    /// What an estimate of about this distance is off by on average.
    #[cold]
    fn off_by(&self, distance: f32) -> f32 {
        let lengths = self.codes.lengths(self.query, distance, self.query.squared());
        let coordinates = match self.codes.form {
            Form::Places { .. } => self.query.values().len(),
            Form::Parts { dim, .. } => dim,
        };
        #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
        let coordinates = coordinates as f32;
        2.0 * self.codes.error() * lengths / coordinates.sqrt()
    }
}

/// A row that walks are to go round, as if it were not in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The row.
    pub row: u32,
    /// Whether others stand in for it: in a graph without it half of the edges that lead to it, or so,
    /// would lead to what it keeps them from, which are rows that it leads to itself.
    pub stood_for: bool,
}

impl Hidden {
    /// What a row leads to in its place.
    fn stand_in(self, edges: Edges<'_>, from: u32) -> &[u32] {
        let list = edges.list(from);
        if !self.stood_for || (from ^ self.row) % 2 == 1 || !list.contains(&self.row) {
            return &[];
        }
        let others = edges.list(self.row);
        let other = others.iter().position(|to| *to != from && !list.contains(to));
        other.and_then(|place| others.get(place..place + 1)).unwrap_or_default()
    }
}

/// Memory that searches use again.
#[derive(Debug, Default)]
pub struct Scratch {
    visited: Visited,
    pool: Pool,
    /// Rows whose edges were followed, in that order.
    pub(super) path: Vec<Neighbour>,
    near: Vec<u64>,
    /// Walks go round it.
    hidden: Option<Hidden>,
}

impl Scratch {
    /// Walks the graph from `starts`, rows with their estimates, by codes, and returns the nearest
    /// rows seen, nearest first: as many as `reach` has it, or fewer if no more can be reached. If
    /// `wanted` is given, those alone, and `starts`.
    ///
    /// # Panics
    ///
    /// If a start or an edge leads to a row that has no codes; see [`Edges::lie_within`].
    pub fn walk<'s>(
        &'s mut self,
        kernels: Kernels,
        edges: Edges<'_>,
        (codes, query): (Codes<'_>, &CodeQuery),
        (starts, wanted): (&[Neighbour], Option<Wanted<'_>>),
        reach: Reach,
    ) -> impl ExactSizeIterator<Item = Neighbour> + use<'s> {
        let by = ByCodes { kernels, codes, query };
        self.follow_wanted(kernels, edges, &by, (starts, wanted), reach);
        self.pool.found()
    }

    /// The same by whatever tells how near rows are.
    pub fn walk_by<'s, N: Near>(
        &'s mut self,
        kernels: Kernels,
        edges: Edges<'_>,
        by: &N,
        (starts, wanted): (&[Neighbour], Option<Wanted<'_>>),
        reach: Reach,
    ) -> impl ExactSizeIterator<Item = Neighbour> + use<'s, N> {
        self.follow_wanted(kernels, edges, by, (starts, wanted), reach);
        self.pool.found()
    }

    fn follow_wanted<N: Near>(
        &mut self,
        kernels: Kernels,
        edges: Edges<'_>,
        by: &N,
        (starts, wanted): (&[Neighbour], Option<Wanted<'_>>),
        reach: Reach,
    ) {
        match wanted {
            None => self.follow(kernels, (edges, AllRows), by, starts, reach),
            Some(wanted) => self.follow(kernels, (edges, wanted), by, starts, reach),
        }
    }

    /// Each step chooses the next row and asks for the codes of its neighbours before it scores
    /// those of the row before: by the time they are wanted they have arrived. A row is so chosen
    /// one step before all is known that could be, which costs a few distances more, and saves
    /// waiting for memory at every step.
    fn follow<N: Near, T: Through>(
        &mut self,
        kernels: Kernels,
        (edges, through): (Edges<'_>, T),
        by: &N,
        starts: &[Neighbour],
        reach: Reach,
    ) {
        self.visited.begin(by.count());
        self.path.clear();
        if let Some(hidden) = self.hidden {
            self.visited.pass(hidden.row);
        }
        for start in starts {
            self.visited.see(&[start.row()]);
        }
        self.pool.begin(reach.ef, starts);
        let mut waiting = self.visited.count();
        loop {
            let end = self.visited.count();
            let limit = match (reach.slack, self.pool.nth(reach.wanted)) {
                (Some(slack), Some(last)) => pack(by.farther(last.distance(), slack), u32::MAX),
                _ => u64::MAX,
            };
            let next = self.pool.peek().filter(|(_, row)| row.0 <= limit);
            if let Some((place, row)) = next {
                self.pool.close(place);
                self.path.push(row);
                through.see(&mut self.visited, edges, row.row());
                if let Some(hidden) = self.hidden {
                    self.visited.see(hidden.stand_in(edges, row.row()));
                }
                for row in self.visited.since(end) {
                    by.prefetch(*row);
                }
            } else if waiting == end {
                break;
            }
            let rows = &self.visited.since(waiting)[..end - waiting];
            if self.near.len() < rows.len() {
                self.near.resize(rows.len(), 0);
            }
            let near = &mut self.near[..rows.len()];
            let kept = by.within(rows, self.pool.bound().min(limit), near);
            for packed in &near[..kept] {
                edges.prefetch(Neighbour(*packed).row());
            }
            for packed in &near[..kept] {
                self.pool.push(kernels, Neighbour(*packed));
            }
            waiting = end;
        }
    }

    /// Has walks go round a row from now on; none may start there.
    pub fn hide(&mut self, hidden: Hidden) {
        self.hidden = Some(hidden);
    }

    /// Rows whose edges the last search followed.
    #[must_use]
    pub fn hops(&self) -> usize {
        self.path.len()
    }

    /// Rows whose distance the last search estimated.
    #[must_use]
    pub fn estimated(&self) -> usize {
        self.visited.count()
    }
}
