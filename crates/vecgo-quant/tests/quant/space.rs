//! Distances between points against the metric, computed from the vectors in `f64`.

use crate::random::{Random, dot, length, squared_distance};
use vecgo_kernels::Kernels;
use vecgo_quant::{Kind, Space, UNIT};

const DIMS: [usize; 13] = [1, 2, 3, 100, 111, 112, 113, 127, 128, 129, 239, 240, 384];
const KINDS: [Kind; 3] = [Kind::L2, Kind::Angle, Kind::Dot];

/// What the squared distance of the points must be.
fn expected(kind: Kind, longest: f64, query: &[f32], row: &[f32]) -> f64 {
    match kind {
        Kind::L2 => squared_distance(query, row),
        Kind::Angle => 2.0 - 2.0 * dot(query, row) / (length(query) * length(row)),
        Kind::Dot => dot(query, query) + longest - 2.0 * dot(query, row),
    }
}

/// Lengths differ by a factor of a thousand.
fn rows(random: &mut Random, dim: usize, scale: f32) -> Vec<Vec<f32>> {
    (0..40)
        .map(|number| {
            let scale = scale * 10f32.powf((number % 4) as f32 - 2.0);
            random.vector(dim).into_iter().map(|value| value * scale).collect()
        })
        .collect()
}

fn longest(rows: &[Vec<f32>]) -> f32 {
    let kernels = Kernels::best();
    rows.iter().map(|row| kernels.norm_squared(row)).fold(0.0, f32::max)
}

#[test]
fn points_are_as_far_apart_as_the_metric_has_it() {
    let (kernels, mut random) = (Kernels::best(), Random(1));
    for (kind, dim) in KINDS.iter().flat_map(|kind| DIMS.map(|dim| (*kind, dim))) {
        for scale in [1.0, 1e-12, 1e15] {
            let rows = rows(&mut random, dim, scale);
            let longest = longest(&rows);
            let all = rows.iter().map(Vec::as_slice);
            let space = Space::train(kernels, kind, dim, 9, all, 1);
            let (mut of_row, mut of_query) = (vec![9.0; space.places()], vec![9.0; space.places()]);
            let query = rows[0].iter().map(|value| value + 0.1 * scale).collect::<Vec<f32>>();
            space.query(kernels, &query, &mut of_query);
            for row in &rows {
                space.row(kernels, row, &mut of_row);
                let got = squared_distance(&of_query, &of_row);
                let expected = expected(kind, f64::from(longest), &query, row);
                let size = match kind {
                    Kind::L2 => dot(&query, &query) + f64::from(longest),
                    Kind::Angle => 2.0,
                    Kind::Dot => dot(&query, &query) + f64::from(longest),
                };
                let error = (got - expected).abs();
                assert!(error <= 1e-5 * size, "{kind:?} {dim} {scale}: {got} is not {expected}");
            }
        }
    }
}

#[test]
fn points_keep_room_for_factors_where_there_is_any() {
    let (kernels, mut random) = (Kernels::best(), Random(2));
    for (kind, dim) in KINDS.iter().flat_map(|kind| DIMS.map(|dim| (*kind, dim))) {
        let rows = rows(&mut random, dim, 1.0);
        let all = rows.iter().map(Vec::as_slice);
        let space = Space::train(kernels, kind, dim, 9, all, 1);
        let dims = dim + usize::from(kind == Kind::Dot);
        assert!(space.places().is_multiple_of(UNIT) && space.places() >= dims);
        assert!(space.places() < dims + UNIT && space.width() >= dims);
        assert_eq!(space.has_room(), space.places() - 16 >= dims, "{kind:?} {dim}");
        if space.has_room() {
            let mut point = vec![9.0; space.places()];
            space.row(kernels, &rows[3], &mut point);
            let last = point.len() - UNIT;
            for half in [&point[last..last + 64], &point[last + 64..]] {
                assert_eq!(half[56..], [0.0; 8], "{kind:?} {dim}");
                assert!(half[..40].iter().any(|value| *value != 0.0));
            }
        }
    }
}

#[test]
fn a_space_is_what_it_is_made_of() {
    let (kernels, mut random) = (Kernels::best(), Random(3));
    let rows = rows(&mut random, 20, 1.0);
    let all = rows.iter().map(Vec::as_slice);
    let space = Space::train(kernels, Kind::Dot, 20, 5, all, 1);
    let again = Space::new(Kind::Dot, 20, 5, space.mean().to_vec(), space.longest());
    assert_eq!(space, again);
}

#[test]
fn the_mean_is_at_the_origin() {
    let (kernels, mut random) = (Kernels::best(), Random(4));
    let rows: Vec<Vec<f32>> =
        (0..50).map(|_| random.vector(30).iter().map(|value| value + 100.0).collect()).collect();
    let space = Space::train(kernels, Kind::L2, 30, 5, rows.iter().map(Vec::as_slice), 1);
    let mut sum = vec![0.0; space.places()];
    let mut point = sum.clone();
    for row in &rows {
        space.row(kernels, row, &mut point);
        sum.iter_mut().zip(&point).for_each(|(sum, value)| *sum += value / 50.0);
    }
    assert!(length(&sum) < 1e-3, "{}", length(&sum));
}

#[test]
fn no_rows_and_zero_rows() {
    let kernels = Kernels::best();
    for kind in KINDS {
        let space = Space::train(kernels, kind, 10, 1, std::iter::empty(), 1);
        let zeros = [[0.0; 10]; 3];
        let of_zeros =
            Space::train(kernels, kind, 10, 1, zeros.iter().map(<[f32; 10]>::as_slice), 1);
        for space in [space, of_zeros] {
            assert!(space.mean().iter().all(|value| *value == 0.0));
            let mut point = vec![9.0; space.places()];
            space.row(kernels, &[0.0; 10], &mut point);
            assert_eq!(point, vec![0.0; space.places()]);
        }
    }
}
