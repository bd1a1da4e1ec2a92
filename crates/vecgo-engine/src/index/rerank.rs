use vecgo_index::{Form, Neighbour};
use vecgo_kernels::{Estimate, Kernels};
use vecgo_quant::{Space, error_of};

use super::coded::{Coded, Places};
use super::walk::Walker;
use crate::Result;

/// Candidates looked at again by all bits at a time.
const CHUNK: usize = 16;
/// An estimate by the bits that are read first is off by more than so many standard deviations once in a thousand
/// times.
const DEVIATIONS: f32 = 3.0;
/// A row may be among the best if it would be with its estimate, and that of the last of them,
/// better or worse by so many standard deviations.
const RERANK_DEVIATIONS: f32 = 1.5;
/// It may be no farther than a row that was scored if it would be with its estimate better by so many: of what is so
/// missed, one part in a thousand of what is nearest is the most that was seen of real vectors.
const MISS_DEVIATIONS: f32 = 2.0;
/// What f32 rounds away of the sums that distances are made of.
pub(crate) const ROUNDING: f32 = 4e-6;

/// Which of what a walk finds is to be scored by vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rerank {
    /// The best so many.
    Best(usize),
    /// All that may be among the best so many, given how far estimates are off.
    MayBeAmong(usize),
}

/// A row to score by its vector, and how far away its point is by its code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimated {
    pub(crate) row: u32,
    /// Squared distance, as it is estimated.
    pub(crate) estimate: f32,
    /// The least that it may be, given how far estimates are off.
    pub(crate) least: f32,
}

impl Estimated {
    /// One that is scored whatever else is found.
    pub(crate) fn certain(row: u32) -> Self {
        Self { row, estimate: f32::NEG_INFINITY, least: f32::NEG_INFINITY }
    }
}

impl Walker {
    /// What was found is scored, whatever else is.
    pub(super) fn keep_found(&mut self) {
        self.candidates.clear();
        self.candidates.extend(self.found.iter().map(|found| Estimated::certain(found.row())));
    }

    /// Keeps the candidates that are to be scored by vectors, in the order of all their bits.
    pub(super) fn look_again(
        &mut self,
        kernels: Kernels,
        (coded, space): (&Coded, &Space),
        rerank: Rerank,
    ) -> Result<()> {
        let (best, deviations) = match rerank {
            Rerank::Best(rows) => (rows.max(1), 0.0),
            Rerank::MayBeAmong(rows) => (rows.max(1), RERANK_DEVIATIONS),
        };
        #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
        let coordinates = coded.coordinates(space) as f32;
        let spread = 2.0 / coordinates.sqrt();
        let walked = coded.walked.codes()?;
        let mut error = walked.error();
        if let Some(lower) = &coded.lower {
            let (upper, lower) = (coded.walked.places()?, lower.places()?);
            let spread = spread * self.query.squared().sqrt();
            let upper_margin = DEVIATIONS * spread * error;
            error = error_of(upper.bits.count() + lower.bits.count());
            let margin = deviations * spread * error;
            self.by_all_bits(kernels, (upper, lower), best, margin, upper_margin);
        }
        let (query, squared) = (&self.query, self.query.squared());
        let deviation = |found: &Neighbour| {
            let squared = walked.squared(found.row());
            spread * error * walked.lengths(query, found.distance(), squared)
        };
        match (rerank, self.found.get(best - 1)) {
            (Rerank::MayBeAmong(_), Some(last)) => {
                self.candidates.clear();
                // By product quantization what is near a row is estimated farther, by what its code leaves out.
                let is_unbiased = matches!(walked.form, Form::Places { .. });
                let lengths = 2.0 * space.mean_length() + squared.sqrt();
                let limit = last.distance() + RERANK_DEVIATIONS * deviation(last);
                self.candidates.extend(self.found.iter().filter_map(|found| {
                    let deviation = deviation(found);
                    if found.distance() - RERANK_DEVIATIONS * deviation > limit {
                        return None;
                    }
                    let estimate = found.distance() + squared;
                    // Turning a vector rounds by its own length, however near the mean it is.
                    let lengths = lengths + walked.squared(found.row()).sqrt();
                    let rounding = ROUNDING * lengths * (2.0 * estimate.abs().sqrt() + lengths);
                    let off = MISS_DEVIATIONS * deviation + rounding;
                    let tells = is_unbiased && off.is_finite();
                    let least = if tells { estimate - off } else { f32::NEG_INFINITY };
                    Some(Estimated { row: found.row(), estimate, least })
                }));
            }
            _ => {
                self.found.truncate(best);
                self.keep_found();
            }
        }
        Ok(())
    }

    /// Puts the candidates in the order of all their bits and forgets those that are too far: by
    /// their upper bits, less `upper_margin * length`, beyond the last of the `best` by all bits,
    /// plus `2 * margin * length`.
    fn by_all_bits(
        &mut self,
        kernels: Kernels,
        (upper, lower): (Places<'_>, Places<'_>),
        best: usize,
        margin: f32,
        upper_margin: f32,
    ) {
        let estimate = Estimate {
            factors: lower.factors,
            scale: self.query.scale(),
            middle: self.query.middle(upper.bits.count() + lower.bits.count()),
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
            kernels.dots(upper.bits, values, upper.rows, &self.rows, &mut self.upper);
            kernels.dots(lower.bits, values, lower.rows, &self.rows, &mut self.lower);
            for (place, row) in (done..end).zip(&self.rows) {
                let upper = self.upper[place - done] << lower.bits.count();
                let dot = upper + self.lower[place - done];
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
