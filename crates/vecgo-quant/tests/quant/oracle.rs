//! What is nearest, by distances in `f64`.

use crate::random::{dot, length, squared_distance};
use vecgo_quant::Kind;

/// The places of the `k` least of some distances.
pub(crate) fn least(distances: &[f64], k: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..distances.len()).collect();
    places.sort_by(|a, b| distances[*a].total_cmp(&distances[*b]));
    places.truncate(k);
    places
}

/// The `k` rows nearest to a query.
pub(crate) fn nearest(kind: Kind, query: &[f32], rows: &[Vec<f32>], k: usize) -> Vec<usize> {
    let distance = |row: &Vec<f32>| match kind {
        Kind::L2 => squared_distance(query, row),
        Kind::Angle => -dot(query, row) / length(row),
        Kind::Dot => -dot(query, row),
    };
    least(&rows.iter().map(distance).collect::<Vec<f64>>(), k)
}
