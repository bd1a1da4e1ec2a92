use vecgo_index::{Codes, Near, Neighbour, Reach, Scratch, Width};
use vecgo_kernels::{Estimate, Kernels, pack};
use vecgo_quant::CodeQuery;

use super::part::Coded;
use super::walkers::Counts;
use super::{ByVectors, GraphPart};
use crate::filter::{MatchedRows, RowSet};
use crate::{Error, Result};

/// The nearest entries from which a walk starts.
const STARTS: usize = 4;
/// Where a filter matches less than one row in so many, a walk starts in clusters: to score their
/// centres takes as long as a third of a walk among half of the rows.
const MOST_ONE_IN: u32 = 4;
/// The nearest clusters in which it then starts, and how many starts there are.
const CLUSTERS: usize = 16;
/// Rows that are looked at for that in each.
const ROWS_OF_A_CLUSTER: usize = 32;
/// Candidates looked at again by all bits at a time.
const CHUNK: usize = 16;
/// Rows of a scan that are scored together.
const SCANNED: usize = 64;
/// An estimate by four bits is off by more than so many standard deviations once in a thousand
/// times.
const DEVIATIONS: f32 = 3.0;
/// Standard deviation of the error that four bits leave in a coordinate, as a part of the
/// coordinates' own: a cell of 6 / 16 deviations over the square root of 12.
const UPPER_ERROR: f32 = 0.108;
/// The same for eight bits: most of it is what lies beyond the grid.
const FULL_ERROR: f32 = 0.017;
/// A row may be among the best if it would be with its estimate, and that of the last of them,
/// better or worse by so many standard deviations.
const RERANK_DEVIATIONS: f32 = 1.5;

/// Which of what a walk finds is to be scored by vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rerank {
    /// The best so many.
    Best(usize),
    /// All that may be among the best so many, given how far estimates are off.
    MayBeAmong(usize),
}

/// Where a walk begins, as far as it matters for how far it has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// As near to the query as entries are.
    Near,
    /// A few entries are nearer to the query than those that lead to what a filter matches: some of
    /// what is nearest may be on another side of it.
    Beside,
    /// Where some of what a filter matches is, which is not where the query is: what is nearest of that
    /// is about as near as much else of it, so that more has to be kept.
    Away,
}

/// A walk begins away from the query if so many entries are nearer than those that lead to what a
/// filter matches.
const NEARER_ENTRIES: usize = 8;

/// What a walk found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    /// Rows that live and are to be scored by their vectors, nearest first.
    pub(crate) rows: &'a [Neighbour],
    /// How many live of all that it found.
    pub(crate) live: usize,
    /// How many live of the nearest so many that it was to find.
    pub(crate) near: usize,
}

/// Keeps what lives of what was found, and tells how many of the first `wanted` that is.
fn keep_live(
    found: impl Iterator<Item = Neighbour>,
    kept: &mut Vec<Neighbour>,
    wanted: usize,
    lives: impl Fn(u32) -> bool,
) -> usize {
    kept.clear();
    let mut near = 0;
    for (place, found) in found.enumerate() {
        if lives(found.row()) {
            kept.push(found);
            near += usize::from(place < wanted);
        }
    }
    near
}

/// Memory that searches use again.
#[derive(Debug, Default)]
pub(crate) struct Walker {
    scratch: Scratch,
    query: CodeQuery,
    point: Vec<f32>,
    /// All entries, and those of them where the walk starts.
    scored: Vec<Neighbour>,
    starts: Vec<Neighbour>,
    packed: Vec<u64>,
    numbers: Vec<u32>,
    found: Vec<Neighbour>,
    rows: Vec<u32>,
    next_rows: Vec<u32>,
    upper: Vec<i32>,
    lower: Vec<i32>,
    pub(crate) counts: Counts,
}

impl Walker {
    /// The rows nearest to a vector by their codes, in the order of all bits that there are; of those
    /// that a filter matches, if there is one.
    pub(crate) fn walk(
        &mut self,
        kernels: Kernels,
        part: &GraphPart,
        vector: &[f32],
        (reach, rerank): (impl Fn(Start) -> Option<Reach>, Rerank),
        only: Option<&MatchedRows>,
        lives: impl Fn(u32) -> bool,
    ) -> Result<Option<Found<'_>>> {
        let Some(coded) = &part.coded else {
            return Err(Error::internal("a walk by codes that are not there"));
        };
        self.set_query(kernels, coded, vector);
        let Some(reach) = reach(self.start(kernels, part, only, coded)?) else { return Ok(None) };
        if let Some(only) = only.filter(|only| only.count < only.set.rows() / MOST_ONE_IN) {
            self.start_in_clusters(kernels, coded, only)?;
        }
        let codes = coded.walked.codes()?;
        let (edges, query, starts) = (part.edges(), &self.query, &self.starts);
        let wanted = only.map(|only| only.set.wanted());
        let found = self.scratch.walk(kernels, edges, (codes, query), (starts, wanted), reach);
        let near = keep_live(found, &mut self.found, reach.wanted, lives);
        let live = self.found.len();
        self.count(part.entries().len());
        self.look_again(kernels, coded, rerank)?;
        Ok(Some(Found { rows: &self.found, live, near }))
    }

    /// The `k` rows nearest to a vector, nearest first: of those that a walk reaches, what lives.
    pub(crate) fn walk_vectors(
        &mut self,
        part: &GraphPart,
        by: &ByVectors<'_>,
        (reach, k): (impl Fn(Start) -> Option<Reach>, usize),
        only: Option<&MatchedRows>,
        lives: impl Fn(u32) -> bool,
    ) -> Option<Found<'_>> {
        let entries = part.entries();
        self.packed.resize(entries.len().max(self.packed.len()), 0);
        let kept = by.within(entries, u64::MAX, &mut self.packed[..entries.len()]);
        let scored = self.packed[..kept].iter().map(|packed| Neighbour::of(*packed));
        self.scored.clear();
        self.scored.extend(scored);
        let reach = reach(self.choose_starts(only.map(|only| part.entries_to(only))))?;
        let wanted = only.map(|only| only.set.wanted());
        let from = (self.starts.as_slice(), wanted);
        let found = self.scratch.walk_by(by.kernels, part.edges(), by, from, reach);
        let near = keep_live(found, &mut self.found, reach.wanted, lives);
        let live = self.found.len();
        self.found.truncate(k);
        self.count(entries.len());
        Some(Found { rows: &self.found, live, near })
    }

    /// The same of some rows, all of which are looked at.
    pub(crate) fn scan(
        &mut self,
        kernels: Kernels,
        part: &GraphPart,
        vector: &[f32],
        (keep, rerank): (usize, Rerank),
        only: &RowSet,
        dead: Option<impl Fn(u32) -> bool>,
    ) -> Result<&[Neighbour]> {
        let Some(coded) = &part.coded else {
            return Err(Error::internal("a scan by codes that are not there"));
        };
        self.set_query(kernels, coded, vector);
        let codes = coded.walked.codes()?;
        let (mut bound, mut scanned) = (u64::MAX, 0);
        self.found.clear();
        self.rows.clear();
        let mut left = only.left();
        let mut take = |rows: &mut Vec<u32>| {
            rows.clear();
            while rows.is_empty() && !left.is_empty() {
                left.take(SCANNED, rows);
                if let Some(dead) = &dead {
                    rows.retain(|row| !dead(*row));
                }
            }
        };
        take(&mut self.rows);
        while !self.rows.is_empty() {
            // What is scored next is on its way meanwhile.
            take(&mut self.next_rows);
            for row in &self.next_rows {
                codes.rows.prefetch(*row);
                codes.factors.prefetch(*row);
            }
            self.packed.resize(self.rows.len().max(self.packed.len()), 0);
            let out = &mut self.packed[..self.rows.len()];
            let near = codes.within(kernels, &self.query, &self.rows, bound, out);
            self.found.extend(self.packed[..near].iter().map(|packed| Neighbour::of(*packed)));
            if self.found.len() >= keep.saturating_mul(2) {
                let (_, last, _) = self.found.select_nth_unstable(keep - 1);
                bound = pack(last.distance(), last.row());
                self.found.truncate(keep);
            }
            scanned += self.rows.len();
            std::mem::swap(&mut self.rows, &mut self.next_rows);
        }
        self.found.sort_unstable();
        self.found.truncate(keep);
        self.counts.estimates += scanned as u64;
        self.look_again(kernels, coded, rerank)?;
        Ok(&self.found)
    }

    fn set_query(&mut self, kernels: Kernels, coded: &Coded, vector: &[f32]) {
        let space = &coded.space;
        self.point.resize(space.places(), 0.0);
        space.query(kernels, vector, &mut self.point);
        self.query.set(kernels, &self.point);
    }

    fn count(&mut self, entries: usize) {
        self.counts.estimates += (self.scratch.estimated() + entries) as u64;
        self.counts.hops += self.scratch.hops() as u64;
    }

    /// Chooses where to start.
    fn start(
        &mut self,
        kernels: Kernels,
        part: &GraphPart,
        only: Option<&MatchedRows>,
        coded: &Coded,
    ) -> Result<Start> {
        let entries = part.entries();
        let known = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.extend(known..u32::try_from(entries.len()).unwrap_or(u32::MAX));
        self.scored.clear();
        let scored = &mut self.scored;
        let numbers = &self.numbers[..entries.len()];
        let codes = coded.entry_codes()?;
        codes.distances(kernels, &self.query, numbers, &mut self.packed, |number, distance| {
            scored.push(Neighbour::new(distance, entries[number as usize]));
        });
        Ok(self.choose_starts(only.map(|only| part.entries_to(only))))
    }

    /// Starts at the nearest of the rows that a filter matches in the nearest clusters instead: what
    /// is nearest of those may be in many places between which nothing matches.
    fn start_in_clusters(
        &mut self,
        kernels: Kernels,
        coded: &Coded,
        only: &MatchedRows,
    ) -> Result<()> {
        let centres = coded.clusters.centres(&coded.walked)?;
        let (numbers, codes) = (coded.clusters.with(only), coded.walked.codes()?);
        self.scored.clear();
        let scored = &mut self.scored;
        centres.distances(kernels, &self.query, numbers, &mut self.packed, |number, distance| {
            scored.push(Neighbour::new(distance, number));
        });
        if scored.len() > CLUSTERS {
            scored.select_nth_unstable(CLUSTERS - 1);
            scored.truncate(CLUSTERS);
        }
        self.rows.clear();
        for cluster in scored {
            let rows = only.set.iter_within(coded.clusters.rows(cluster.row()));
            self.rows.extend(rows.take(ROWS_OF_A_CLUSTER));
        }
        for row in &self.rows {
            codes.rows.prefetch(*row);
            codes.factors.prefetch(*row);
        }
        self.starts.clear();
        let starts = &mut self.starts;
        codes.distances(kernels, &self.query, &self.rows, &mut self.packed, |row, distance| {
            starts.push(Neighbour::new(distance, row));
        });
        if starts.len() > CLUSTERS {
            starts.select_nth_unstable(CLUSTERS - 1);
            starts.truncate(CLUSTERS);
        }
        self.counts.estimates += (numbers.len() + self.rows.len()) as u64;
        Ok(())
    }

    /// Keeps the nearest of the entries that were scored, in their order, of those with these numbers,
    /// if they are given.
    fn choose_starts(&mut self, numbers: Option<&[u32]>) -> Start {
        self.starts.clear();
        match numbers {
            None => self.starts.extend_from_slice(&self.scored),
            Some(numbers) => {
                let scored = |number: &u32| self.scored.get(*number as usize);
                self.starts.extend(numbers.iter().filter_map(scored));
            }
        }
        if self.starts.len() > STARTS {
            self.starts.select_nth_unstable(STARTS - 1);
            self.starts.truncate(STARTS);
        }
        let (Some(_), Some(nearest)) = (numbers, self.starts.iter().min()) else {
            return Start::Near;
        };
        let nearer = self.scored.iter().filter(|scored| *scored < nearest).count();
        match nearer {
            0 => Start::Near,
            1..=NEARER_ENTRIES => Start::Beside,
            _ => Start::Away,
        }
    }

    /// Keeps the candidates that are to be scored by vectors, in the order of all their bits.
    fn look_again(&mut self, kernels: Kernels, coded: &Coded, rerank: Rerank) -> Result<()> {
        let (best, deviations) = match rerank {
            Rerank::Best(rows) => (rows.max(1), 0.0),
            Rerank::MayBeAmong(rows) => (rows.max(1), RERANK_DEVIATIONS),
        };
        #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
        let dims = coded.space.width() as f32;
        // What a part of a row's coordinates is in an estimate, by the row's length.
        let spread = 2.0 * (self.query.squared() / dims).sqrt();
        let walked = coded.walked.codes()?;
        let margin = match &coded.lower {
            Some(lower) => {
                let margin = deviations * spread * FULL_ERROR;
                let upper_margin = DEVIATIONS * spread * UPPER_ERROR;
                self.by_all_bits(kernels, (walked, lower.codes()?), best, margin, upper_margin);
                margin
            }
            None if walked.width == Width::Four => deviations * spread * UPPER_ERROR,
            None => deviations * spread * FULL_ERROR,
        };
        match (rerank, self.found.get(best - 1)) {
            (Rerank::MayBeAmong(_), Some(last)) => {
                let margin = |row: u32| margin * walked.factors.of(row)[0].sqrt();
                let limit = last.distance() + margin(last.row());
                self.found.retain(|found| found.distance() - margin(found.row()) <= limit);
            }
            _ => self.found.truncate(best),
        }
        Ok(())
    }

    /// Puts the candidates in the order of all their bits and forgets those that are too far: by
    /// their upper bits, less `upper_margin * length`, beyond the last of the `best` by all bits,
    /// plus `2 * margin * length`.
    fn by_all_bits(
        &mut self,
        kernels: Kernels,
        (upper, lower): (Codes<'_>, Codes<'_>),
        best: usize,
        margin: f32,
        upper_margin: f32,
    ) {
        let estimate = Estimate {
            factors: lower.factors,
            scale: self.query.scale(),
            middle: self.query.middle_full(),
            bound: u64::MAX,
        };
        let mut done = 0;
        let mut bound = f32::INFINITY;
        while done < self.found.len() {
            let next = self.found[done];
            let [squared, _] = lower.factors.of(next.row());
            if next.distance() - upper_margin * squared.sqrt() > bound {
                break;
            }
            let end = self.found.len().min(done + CHUNK);
            self.rows.clear();
            self.rows.extend(self.found[done..end].iter().map(|found| found.row()));
            let values = self.query.values();
            self.upper.resize(self.rows.len(), 0);
            self.lower.resize(self.rows.len(), 0);
            kernels.nibble_dots(values, upper.rows, &self.rows, &mut self.upper);
            kernels.nibble_dots(values, lower.rows, &self.rows, &mut self.lower);
            for (place, row) in (done..end).zip(&self.rows) {
                let dot = 16 * self.upper[place - done] + self.lower[place - done];
                self.found[place] = Neighbour::new(estimate.distance(dot, *row), *row);
            }
            done = end;
            if done >= best {
                let looked_at = &mut self.found[..done];
                let (_, last, _) = looked_at.select_nth_unstable(best - 1);
                let [squared, _] = lower.factors.of(last.row());
                bound = last.distance() + 2.0 * margin * squared.sqrt();
            }
        }
        self.found.truncate(done);
        self.found.sort_unstable();
    }
}
