use parking_lot::Mutex;
use vecgo_index::{Neighbour, Scratch};
use vecgo_kernels::Kernels;
use vecgo_quant::CodeQuery;

use super::GraphPart;
use crate::Result;

/// The nearest entries from which a walk starts.
const STARTS: usize = 4;
/// Candidates looked at again by all bits at a time.
const CHUNK: usize = 16;
/// An estimate by four bits is off by more than so many standard deviations once in a thousand
/// times.
const DEVIATIONS: f32 = 3.0;
/// Standard deviation of the error that four bits leave in a coordinate, as a part of the
/// coordinates' own: a cell of 6 / 16 deviations over the square root of 12.
const CELL_ERROR: f32 = 0.108;

/// Memory that searches use again.
#[derive(Debug, Default)]
pub(crate) struct Walker {
    scratch: Scratch,
    query: CodeQuery,
    point: Vec<f32>,
    starts: Vec<Neighbour>,
    packed: Vec<u64>,
    numbers: Vec<u32>,
    found: Vec<Neighbour>,
    rows: Vec<u32>,
    upper: Vec<i32>,
    lower: Vec<i32>,
}

/// Walkers that nobody is using.
#[derive(Debug, Default)]
pub(crate) struct Walkers(Mutex<Vec<Box<Walker>>>);

impl Walkers {
    pub(crate) fn take(&self) -> Box<Walker> {
        self.0.lock().pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, walker: Box<Walker>) {
        self.0.lock().push(walker);
    }
}

impl Walker {
    /// The rows nearest to a vector by their codes, nearest first: at most `ef`, of those that
    /// live. The best `wanted` of them are in the order of all bits that there are.
    pub(crate) fn walk(
        &mut self,
        kernels: Kernels,
        part: &GraphPart,
        vector: &[f32],
        (ef, wanted): (usize, usize),
        lives: impl Fn(u32) -> bool,
    ) -> Result<&[Neighbour]> {
        let space = &part.space;
        self.point.resize(space.places(), 0.0);
        space.query(kernels, vector, &mut self.point);
        self.query.set(kernels, &self.point);
        self.start(kernels, part)?;
        let codes = part.walked.codes()?;
        let found = self.scratch.walk(kernels, part.edges(), codes, &self.query, &self.starts, ef);
        self.found.clear();
        self.found.extend(found.filter(|found| lives(found.row())));
        self.look_again(kernels, part, wanted)?;
        Ok(&self.found)
    }

    /// Chooses where to start.
    fn start(&mut self, kernels: Kernels, part: &GraphPart) -> Result<()> {
        let entries = part.entries();
        let known = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.extend(known..u32::try_from(entries.len()).unwrap_or(u32::MAX));
        self.starts.clear();
        let starts = &mut self.starts;
        let numbers = &self.numbers[..entries.len()];
        let codes = part.entry_codes()?;
        codes.distances(kernels, &self.query, numbers, &mut self.packed, |number, distance| {
            starts.push(Neighbour::new(distance, entries[number as usize]));
        });
        if starts.len() > STARTS {
            starts.select_nth_unstable(STARTS - 1);
            starts.truncate(STARTS);
        }
        Ok(())
    }

    /// Puts the candidates in the order of all their bits, from the nearest by the upper four on,
    /// until what is left cannot be among the best `wanted`.
    fn look_again(&mut self, kernels: Kernels, part: &GraphPart, wanted: usize) -> Result<()> {
        let Some(lower) = &part.lower else { return Ok(()) };
        let (upper, lower) = (part.walked.codes()?, lower.codes()?);
        #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
        let dims = part.space.width() as f32;
        let spread = DEVIATIONS * 2.0 * CELL_ERROR * (self.query.squared() / dims).sqrt();
        let mut done = 0;
        let mut bound = f32::INFINITY;
        while done < self.found.len() {
            let next = self.found[done];
            let [squared, _] = lower.factors.of(next.row());
            if next.distance() - spread * squared.sqrt() > bound {
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
                let [squared, factor] = lower.factors.of(*row);
                let dot = 16 * self.upper[place - done] + self.lower[place - done];
                let distance = self.query.by_full(dot, squared, factor);
                self.found[place] = Neighbour::new(distance, *row);
            }
            done = end;
            if done >= wanted {
                let looked_at = &mut self.found[..done];
                let (_, last, _) = looked_at.select_nth_unstable(wanted - 1);
                bound = last.distance();
            }
        }
        self.found[..done].sort_unstable();
        Ok(())
    }
}
