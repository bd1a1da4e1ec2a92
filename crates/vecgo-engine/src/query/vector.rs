use vecgo_format::{Config, Metric};
use vecgo_kernels::{Kernels, exact};

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
    let squared = exact::dot(vector, vector);
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
        Metric::Cosine => (1.0 / exact::dot(vector, vector).sqrt()) as f32,
        Metric::Dot => exact::dot(vector, vector).sqrt() as f32,
        Metric::L2 => 0.0,
    }
}

/// Independent sums of the kernels, at least.
const LANES: usize = 8;

/// A query, and how to score vectors against it for good: summed in f64 and rounded once, so that
/// the answer does not depend on which kernels the CPU has.
#[derive(Debug)]
pub(crate) struct ExactQuery<'a> {
    kernels: Kernels,
    metric: Metric,
    query: &'a [f32],
    squared_length: f64,
}

impl<'a> ExactQuery<'a> {
    pub(crate) fn new(kernels: Kernels, metric: Metric, query: &'a [f32]) -> Self {
        Self { kernels, metric, query, squared_length: kernels.exact_dot(query, query) }
    }

    /// Of the query.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
    pub(super) fn squared_length(&self) -> f32 {
        self.squared_length as f32
    }

    /// Distance and score of a checked vector.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
    pub(crate) fn score(&self, vector: &[f32]) -> (f32, f32) {
        match self.metric {
            Metric::L2 => {
                let distance = self.kernels.exact_l2(self.query, vector) as f32;
                (distance, 0.0 - distance)
            }
            Metric::Dot => {
                let dot = self.kernels.exact_dot(self.query, vector) as f32;
                (0.0 - dot, dot)
            }
            Metric::Cosine => {
                let (dot, squared) = self.kernels.exact_dot_and_length(self.query, vector);
                let cos = (dot / (self.squared_length * squared).sqrt()).clamp(-1.0, 1.0);
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
