use vecgo_format::{Config, Metric};

use crate::{Error, Result};

/// Largest squared length. The squared distance of two such vectors still fits an f32.
const MAX_SQUARED: f64 = f32::MAX as f64 / 4.0;
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

pub(crate) fn squared_length(vector: &[f32]) -> f64 {
    vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum()
}

/// One over the length of a vector that passed [`check_vector`].
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
pub(crate) fn inverse_norm(vector: &[f32]) -> f32 {
    (1.0 / squared_length(vector).sqrt()) as f32
}

/// Distance and score of two checked vectors, summed in f64 and rounded once, so that they do
/// not depend on which kernels the CPU has.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
pub(crate) fn exact_distance(metric: Metric, a: &[f32], b: &[f32]) -> (f32, f32) {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    match metric {
        Metric::L2 => {
            let distance = pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>() as f32;
            (distance, 0.0 - distance)
        }
        Metric::Dot => {
            let dot = pairs().map(|(a, b)| a * b).sum::<f64>() as f32;
            (0.0 - dot, dot)
        }
        Metric::Cosine => {
            let dot = pairs().map(|(a, b)| a * b).sum::<f64>();
            let cos = dot / (squared_length(a) * squared_length(b)).sqrt();
            let cos = cos.clamp(-1.0, 1.0);
            ((1.0 - cos) as f32, cos as f32)
        }
    }
}
