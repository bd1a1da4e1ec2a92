//! Product quantization against distances in `f64`.

#![allow(clippy::cast_possible_truncation, reason = "few rows")]
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

use crate::oracle::{least, nearest};
use crate::random::{Random, dot, length};
use vecgo_kernels::{CodeRows, Kernels, packed_distance};
use vecgo_quant::{
    CENTROIDS, CodeQuery, Codebook, Kind, Loss, Space, TrainedPart, TrainingRows, coordinates_of,
};

fn train(kind: Kind, dim: usize, parts: usize, rows: &[Vec<f32>], longest: f32) -> Codebook {
    let kernels = Kernels::best();
    let rows = TrainingRows::new(kernels, kind, rows.iter().map(Vec::as_slice));
    let part = |part| {
        let range = coordinates_of(part, parts, dim);
        TrainedPart::train(kernels, &rows, &range, 7 + part as u64, &|| true)
    };
    Codebook::of_parts(kind, dim, (0..parts).map(part).collect(), longest)
}

/// What the tables add up to for every row, with the query's own squared length.
fn estimates(space: &Space, book: &Codebook, codes: &[u8], query: &[f32]) -> Vec<f64> {
    let kernels = Kernels::best();
    let mut point = vec![0.0; space.places()];
    space.query(kernels, query, &mut point);
    let mut of = CodeQuery::default();
    of.set(kernels, &point);
    of.set_tables(kernels, book, query);
    let rows = CodeRows::new(codes, book.parts()).expect("whole rows");
    let numbers: Vec<u32> = (0..rows.count() as u32).collect();
    let mut out = vec![0; numbers.len()];
    assert_eq!(
        of.within(rows, numbers.iter().copied(), u64::MAX, &mut out),
        numbers.len(),
        "none is NaN"
    );
    out.iter().map(|packed| f64::from(packed_distance(*packed)) + f64::from(of.squared())).collect()
}

fn encode(book: &Codebook, rows: &[Vec<f32>]) -> Vec<u8> {
    let (mut codes, mut scaled) = (vec![0; rows.len() * book.parts()], Vec::new());
    for (row, code) in rows.iter().zip(codes.chunks_exact_mut(book.parts())) {
        book.encode(Kernels::best(), row, &mut scaled, code);
    }
    codes
}

/// The point that a code stands for: the nearest centroid of each part, looked for here again.
fn decoded(book: &Codebook, dim: usize, code: &[u8], row: &[f64]) -> Vec<f64> {
    let mut point = Vec::new();
    for (part, code) in code.iter().enumerate() {
        let range = coordinates_of(part, book.parts(), dim);
        let centroid = |number: usize| -> Vec<f64> {
            let value = |at: usize| f64::from(book.centroids()[at * CENTROIDS + number]);
            range.clone().map(value).collect()
        };
        let squared = |number: usize| -> f64 {
            let pairs = centroid(number).into_iter().zip(&row[range.clone()]);
            pairs.map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let least = (0..CENTROIDS).map(squared).fold(f64::INFINITY, f64::min);
        let own = squared(usize::from(*code));
        assert!(own <= least * 1.0001 + 1e-9, "part {part}: {own} for {least}");
        point.extend(centroid(usize::from(*code)));
    }
    point
}

#[test]
fn estimates_are_distances_to_what_codes_stand_for() {
    let mut random = Random(31);
    for kind in [Kind::L2, Kind::Angle, Kind::Dot] {
        // Parts of different lengths, of one coordinate, and all in one.
        for (dim, parts) in [(50, 7), (20, 20), (9, 1), (1, 1)] {
            let mut scale = 0.0;
            let rows: Vec<Vec<f32>> = (0..400)
                .map(|_| {
                    scale += 0.01;
                    random.vector(dim).iter().map(|value| 0.3 + scale * value).collect()
                })
                .collect();
            let all = || rows.iter().map(Vec::as_slice);
            let space = Space::train(Kernels::best(), kind, dim, 3, all(), 1);
            let book = train(kind, dim, parts, &rows, space.longest());
            let codes = encode(&book, &rows);
            let longest = rows.iter().map(|row| dot(row, row)).fold(0.0, f64::max);
            let largest = if kind == Kind::Angle { 1.0 } else { longest };
            let mut left = 0.0;
            for query in rows.iter().step_by(67) {
                let found = estimates(&space, &book, &codes, query);
                for ((row, code), got) in rows.iter().zip(codes.chunks_exact(parts)).zip(found) {
                    let scale = if kind == Kind::Angle { 1.0 / length(row) } else { 1.0 };
                    let scaled: Vec<f64> = row.iter().map(|x| f64::from(*x) * scale).collect();
                    let point = decoded(&book, dim, code, &scaled);
                    let query: Vec<f64> = query.iter().map(|x| f64::from(*x)).collect();
                    let norm = query.iter().map(|x| x * x).sum::<f64>();
                    let by = if kind == Kind::Angle { 1.0 / norm.sqrt() } else { 1.0 };
                    let pairs = || query.iter().map(|x| x * by).zip(&point);
                    let expected = match kind {
                        Kind::Dot => {
                            let dot = pairs().map(|(a, b)| a * b).sum::<f64>();
                            norm + f64::from(space.longest()) - 2.0 * dot
                        }
                        _ => pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>(),
                    };
                    // What is near is the difference of what is far from the mean.
                    let size = norm * by * by + largest + expected.abs();
                    assert!((got - expected).abs() <= 1e-6 * size, "{got} for {expected}");
                    let off = scaled.iter().zip(&point).map(|(a, b)| (a - b) * (a - b));
                    left += off.sum::<f64>();
                }
            }
            let told = f64::from(book.loss().length * book.loss().error).powi(2);
            let left = left / (rows.len() * rows.len().div_ceil(67)) as f64;
            assert!((left / told.max(1e-12) - 1.0).abs() < 0.02 || left < 1e-9, "{left}, {told}");
        }
    }
}

/// Most of what is nearest is near by codes, too: of rows around centres, with a few bytes.
#[test]
fn ranks_are_those_of_the_metric() {
    let mut random = Random(37);
    for kind in [Kind::L2, Kind::Angle, Kind::Dot] {
        let dim = 60;
        let centres: Vec<Vec<f32>> = (0..20).map(|_| random.vector(dim)).collect();
        let mut near = |number: usize| -> Vec<f32> {
            centres[number % 20].iter().map(|value| value + 0.7 * random.normal()).collect()
        };
        let rows: Vec<Vec<f32>> = (0..1500).map(&mut near).collect();
        let queries: Vec<Vec<f32>> = (0..20).map(&mut near).collect();
        let all = || rows.iter().map(Vec::as_slice);
        let space = Space::train(Kernels::best(), kind, dim, 3, all(), 1);
        let book = train(kind, dim, 15, &rows, space.longest());
        let codes = encode(&book, &rows);
        let mut hits = 0;
        for query in &queries {
            let truth = nearest(kind, query, &rows, 10);
            let found = estimates(&space, &book, &codes, query);
            hits += least(&found, 30).iter().filter(|n| truth.contains(n)).count();
        }
        assert!(hits >= 180, "{kind:?}: {hits} of 200");
    }
}

#[test]
fn the_same_for_the_same_seed_on_every_cpu() {
    let mut random = Random(41);
    let rows: Vec<f32> = (0..300).flat_map(|_| random.vector(5)).collect();
    let levels = vecgo_kernels::Level::ALL.into_iter().filter_map(|l| Kernels::new(l).ok());
    let books = |seed| {
        let of = |kernels| {
            let rows = TrainingRows::new(kernels, Kind::Angle, rows.chunks_exact(5));
            let part = TrainedPart::train(kernels, &rows, &(0..5), seed, &|| true);
            let book = Codebook::of_parts(Kind::Angle, 5, vec![part], 0.0);
            let mut code = [0];
            book.encode(kernels, &[0.3, 0.1, -7.0, 2.0, 0.4], &mut Vec::new(), &mut code);
            (book.centroids().to_vec(), code)
        };
        levels.clone().map(of).collect::<Vec<_>>()
    };
    let (first, other) = (books(1), books(2));
    assert!(first.iter().all(|book| *book == first[0]) && first[0] != other[0]);
}

#[test]
fn training_ends_when_it_is_told_to() {
    let mut random = Random(43);
    let rows: Vec<f32> = (0..5000).flat_map(|_| random.vector(8)).collect();
    let kernels = Kernels::best();
    let rows = TrainingRows::new(kernels, Kind::L2, rows.chunks_exact(8));
    let asked = std::cell::Cell::new(0);
    let go_on = || {
        asked.set(asked.get() + 1);
        asked.get() < 3
    };
    let _of_no_use = TrainedPart::train(kernels, &rows, &(0..8), 1, &go_on);
    assert!((3..8).contains(&asked.get()), "asked {} times", asked.get());
}

#[test]
fn none_equal_huge_and_few() {
    for rows in [
        vec![],
        vec![vec![1.0; 3]; 5],
        vec![vec![0.0; 3], vec![1e38; 3], vec![-3e38, 0.0, 1e-40]],
        vec![vec![f32::INFINITY, 0.0, 0.0], vec![1.0; 3]],
    ] {
        for kind in [Kind::L2, Kind::Angle, Kind::Dot] {
            let all = || rows.iter().map(Vec::as_slice);
            let space = Space::train(Kernels::best(), kind, 3, 3, all(), 1);
            let book = train(kind, 3, 2, &rows, space.longest());
            let loss = book.loss();
            assert!((0.0..=1.0).contains(&loss.error), "{loss:?}");
            let codes = encode(&book, &rows);
            for query in [vec![0.0; 3], vec![1.0; 3], vec![3e38; 3]] {
                let found = estimates(&space, &book, &codes, &query);
                assert!(found.iter().all(|distance| !distance.is_nan()), "{found:?}");
            }
        }
    }
    let loss = Loss { length: 1.0, error: 0.5 };
    let of = |parts, numbers: Vec<f32>, loss| {
        Codebook::new((Kind::L2, 3, parts), numbers, 0.0, loss).is_some()
    };
    let numbers = || vec![0.0; 3 * CENTROIDS];
    assert!(of(3, numbers(), loss) && of(1, numbers(), loss));
    assert!(!of(0, numbers(), loss) && !of(4, numbers(), loss));
    assert!(!of(3, numbers()[1..].to_vec(), loss) && !of(3, vec![f32::NAN; 3 * CENTROIDS], loss));
    for (length, error) in [(1.0, f32::INFINITY), (1.0, -0.1), (1.0, 1.1), (-1.0, 0.5), (2e18, 0.5)]
    {
        assert!(!of(3, numbers(), Loss { length, error }), "{length} {error}");
    }
    assert!(!of(3, numbers(), Loss { length: f32::NAN, ..loss }));
}
