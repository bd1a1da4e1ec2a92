use vecgo_format::{Config, Metric};

use crate::{Error, Result};

/// Largest squared length. The squared distance of two such vectors still fits an f32, however
/// it is rounded on the way.
const MAX_SQUARED: f64 = f32::MAX as f64 / 16.0;
/// Least squared length under cosine: below it f32 has no direction left to speak of.
const MIN_SQUARED: f64 = f32::MIN_POSITIVE as f64;

/// Checks a stored or query vector.
pub(crate) fn check_vector(config: &Config, vector: &[f32]) -> Result<()> {
    if vector.len() != config.dim() {
        let (found, expected) = (vector.len(), config.dim());
        return Err(Error::invalid(format!("vector has {found} dimensions; expected {expected}")));
    }
    if let Some(place) = vector.iter().position(|value| !value.is_finite()) {
        let found = vector[place];
        return Err(Error::invalid(format!(
            "vector[{place}] is {found}; expected a finite number"
        )));
    }
    let squared = squared_length(vector);
    if squared > MAX_SQUARED {
        return Err(Error::invalid(format!(
            "vector has squared length {squared:e}; expected {MAX_SQUARED:e} or less"
        )));
    }
    if config.metric() == Metric::Cosine && squared < MIN_SQUARED {
        return Err(Error::invalid(format!(
            "vector has squared length {squared:e}, too near zero to have a direction; \
             the cosine metric needs {MIN_SQUARED:e} or more"
        )));
    }
    Ok(())
}

/// What is kept beside a vector that passed [`check_vector`]: one over its length under cosine,
/// its length under dot, nothing under l2.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
pub(crate) fn norm(metric: Metric, vector: &[f32]) -> f32 {
    match metric {
        Metric::Cosine => (1.0 / squared_length(vector).sqrt()) as f32,
        Metric::Dot => squared_length(vector).sqrt() as f32,
        Metric::L2 => 0.0,
    }
}

const LANES: usize = 8;

/// Sums a term of each pair of values in f64, always in the same order.
fn sum_pairs(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += term(f64::from(a[lane]), f64::from(b[lane]));
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| term((*a).into(), (*b).into())).sum();
    lanes.iter().sum::<f64>() + rest
}

/// A query, and how to score vectors against it for good: summed in f64 and rounded once, so that
/// the answer does not depend on which kernels the CPU has.
#[derive(Debug)]
pub(crate) struct ExactQuery<'a> {
    metric: Metric,
    query: &'a [f32],
    squared_length: f64,
}

impl<'a> ExactQuery<'a> {
    pub(crate) fn new(metric: Metric, query: &'a [f32]) -> Self {
        Self { metric, query, squared_length: squared_length(query) }
    }

    /// Distance and score of a checked vector.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
    pub(crate) fn score(&self, vector: &[f32]) -> (f32, f32) {
        let dot = || sum_pairs(self.query, vector, |a, b| a * b);
        match self.metric {
            Metric::L2 => {
                let distance = sum_pairs(self.query, vector, |a, b| (a - b) * (a - b)) as f32;
                (distance, 0.0 - distance)
            }
            Metric::Dot => {
                let dot = dot() as f32;
                (0.0 - dot, dot)
            }
            Metric::Cosine => {
                let cos = dot() / (self.squared_length * squared_length(vector)).sqrt();
                let cos = cos.clamp(-1.0, 1.0);
                ((1.0 - cos) as f32, cos as f32)
            }
        }
    }

    /// How far the kernels' distances may be from the true ones: a part of one, and a part of
    /// the distance. `longest` is the length of the longest vector scored.
    ///
    /// A sum of n products in f32 over eight lanes or more is off by at most about n / 8 roundings
    /// of the sum of their sizes (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
    pub(crate) fn kernel_error(&self, longest: f32) -> (f32, f32) {
        #[expect(clippy::cast_precision_loss, reason = "at most 65,536")]
        let roundings = (self.query.len() / LANES + 48) as f32;
        let error = roundings * (f32::EPSILON / 2.0);
        match self.metric {
            Metric::L2 => (0.0, error),
            Metric::Cosine => (error, 0.0),
            #[expect(clippy::cast_possible_truncation, reason = "a bound with room to spare")]
            Metric::Dot => (error * self.squared_length.sqrt() as f32 * longest, 0.0),
        }
    }
}

pub(crate) fn squared_length(vector: &[f32]) -> f64 {
    sum_pairs(vector, vector, |a, b| a * b)
}
