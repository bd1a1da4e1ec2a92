use vecgo::{Collection, Id, Metric};

use super::Setting;
use crate::failure::Failure;

/// A row whose distance is so little beyond that of the k-th true row counts as found.
const TIE: f64 = 1e-6;

/// Share of the k nearest rows found, by true distance, so that equal neighbours count and
/// others do not.
#[expect(clippy::cast_precision_loss, reason = "a share of some thousand queries")]
pub(super) fn recall(
    collection: &Collection,
    queries: &[Vec<f32>],
    truth: &[Vec<i64>],
    setting: &Setting,
) -> Result<f64, Failure> {
    let metric = collection.config().metric();
    let mut found = 0.0;
    for (query, row) in queries.iter().zip(truth) {
        let nearest: Vec<Id> =
            row.iter().take_while(|n| **n >= 0).map(|n| Id::from(n.unsigned_abs())).collect();
        let Some(last) = nearest.last() else {
            found += 1.0;
            continue;
        };
        let last_record = collection.get(last).wait()?.ok_or_else(|| {
            Failure::invalid(format!("the truth names row {last}, which is no record's id"))
        })?;
        let limit = distance(metric, query, &last_record.vector);
        let limit = limit + TIE * limit.abs().max(1.0);
        let hits = setting.search(collection, query).with_vector().wait()?;
        let near = hits.iter().filter(|hit| {
            hit.vector.as_ref().is_some_and(|vector| distance(metric, query, vector) <= limit)
        });
        found += near.count().min(nearest.len()) as f64 / nearest.len() as f64;
    }
    Ok(found / queries.len() as f64)
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot = pairs().map(|(a, b)| a * b).sum::<f64>();
    let length = |v: &[f32]| v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    match metric {
        Metric::L2 => pairs().map(|(a, b)| (a - b) * (a - b)).sum(),
        Metric::Dot => -dot,
        Metric::Cosine => 1.0 - dot / (length(a) * length(b)),
    }
}
