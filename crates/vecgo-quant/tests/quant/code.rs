//! Estimates from codes against distances in `f64`.

#![allow(clippy::cast_possible_truncation, reason = "few rows")]
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

use crate::random::{Random, dot, length, squared_distance};
use vecgo_kernels::{CodeRows, Estimate, Factors, Kernels, packed_distance};
use vecgo_quant::{CodeFactors, CodeQuery, Kind, Space, encode, split};

/// Codes of rows.
struct Codes {
    cells: Vec<u8>,
    upper: Vec<u8>,
    lower: Vec<u8>,
    factors: Vec<CodeFactors>,
    places: usize,
}

impl Codes {
    fn new<'a>(space: &Space, rows: impl Iterator<Item = &'a [f32]>) -> Codes {
        let places = space.places();
        let (mut cells, mut factors) = (Vec::new(), Vec::new());
        let (mut point, mut of_row) = (vec![0.0; places], vec![0; places]);
        for row in rows {
            space.row(Kernels::best(), row, &mut point);
            factors.push(encode(&point, space.width(), &mut of_row));
            cells.extend_from_slice(&of_row);
        }
        let (mut upper, mut lower) = (vec![0; cells.len() / 2], vec![0; cells.len() / 2]);
        split(&cells, &mut upper, &mut lower);
        Codes { cells, upper, lower, factors, places }
    }

    /// Estimated squared distances to all rows, by the upper four bits and by all eight.
    fn estimates(&self, query: &CodeQuery) -> (Vec<f64>, Vec<f64>) {
        let kernels = Kernels::best();
        let rows: Vec<u32> = (0..self.factors.len() as u32).collect();
        let column = |second: fn(&CodeFactors) -> f32| -> Vec<u8> {
            let pairs = self.factors.iter().flat_map(|of| [of.squared, second(of)]);
            pairs.flat_map(f32::to_ne_bytes).collect()
        };
        let (four, eight) = (column(|of| of.upper), column(|of| of.full));
        let estimate = |factors, middle| {
            let factors = Factors::apart(factors).expect("whole");
            Estimate { factors, scale: query.scale(), middle, bound: u64::MAX }
        };
        let mut out = vec![0; rows.len()];
        let distances = |out: &[u64]| {
            let distance = |packed: &u64| f64::from(packed_distance(*packed) + query.squared());
            out.iter().map(distance).collect::<Vec<f64>>()
        };
        let codes = CodeRows::new(&self.upper, self.places / 2).expect("whole rows");
        let by_four = estimate(&four, query.middle_upper());
        let kept = kernels.nibbles_within(query.values(), codes, &by_four, &rows, &mut out);
        assert_eq!(kept, rows.len(), "no estimate is NaN");
        let by_four = distances(&out);
        let codes = CodeRows::new(&self.cells, self.places).expect("whole rows");
        let by_eight = estimate(&eight, query.middle_full());
        let kept = kernels.bytes_within(query.values(), codes, &by_eight, &rows, &mut out);
        assert_eq!(kept, rows.len(), "no estimate is NaN");
        (by_four, distances(&out))
    }
}

fn query_of(space: &Space, vector: &[f32]) -> (CodeQuery, Vec<f32>) {
    let mut point = vec![0.0; space.places()];
    space.query(Kernels::best(), vector, &mut point);
    let mut query = CodeQuery::default();
    query.set(Kernels::best(), &point);
    (query, point)
}

/// Mean and root mean square.
fn moments(errors: &[f64]) -> (f64, f64) {
    let count = errors.len() as f64;
    let mean = errors.iter().sum::<f64>() / count;
    (mean, (errors.iter().map(|error| error * error).sum::<f64>() / count).sqrt())
}

/// Over random rotations of the same two vectors, an estimate of their dot product is right on
/// average, and off by as much as RaBitQ has it: what the code misses of the vector, which depends
/// on the bits alone, over the square root of the number of coordinates.
#[test]
fn errors_have_no_bias_and_shrink_with_the_width() {
    let mut random = Random(5);
    for dim in [16, 112, 128, 240, 500, 1000] {
        let (row, query) = (random.vector(dim), random.vector(dim));
        // Alike by half.
        let query: Vec<f32> = query.iter().zip(&row).map(|(a, b)| a + 0.6 * b).collect();
        let lengths = length(&row) * length(&query);
        let (mut four, mut eight) = (Vec::new(), Vec::new());
        let mut width = 0.0;
        for seed in 0..400 {
            let space = Space::new(Kind::L2, dim, seed, Vec::new(), 0.0);
            width = space.width() as f64;
            let codes = Codes::new(&space, [row.as_slice()].into_iter());
            let (by_four, by_eight) = codes.estimates(&query_of(&space, &query).0);
            let truth = squared_distance(&row, &query);
            let scaled = |got: f64| (got - truth) / (2.0 * lengths) * width.sqrt();
            four.push(scaled(by_four[0]));
            eight.push(scaled(by_eight[0]));
        }
        for (bits, errors, least, most) in [(4, four, 0.05, 0.16), (8, eight, 0.002, 0.05)] {
            let (bias, size) = moments(&errors);
            let what = format!("{bits} bits, {dim} of {width}: bias {bias}, size {size}");
            assert!((least..most).contains(&size), "{what}");
            // Five standard errors of the mean.
            assert!(bias.abs() <= 5.0 * size / 20.0, "{what}");
        }
    }
}

/// What a code says of its own error is what it turns out to be, over many queries.
#[test]
fn deviations_are_as_told() {
    let mut random = Random(15);
    for dim in [50, 128, 300] {
        let rows: Vec<Vec<f32>> = (0..60).map(|_| random.vector(dim)).collect();
        let space = Space::new(Kind::L2, dim, 3, Vec::new(), 0.0);
        let codes = Codes::new(&space, rows.iter().map(Vec::as_slice));
        let mut errors = Vec::new();
        for _ in 0..200 {
            let query = random.vector(dim);
            let (by_four, _) = codes.estimates(&query_of(&space, &query).0);
            for ((row, got), factors) in rows.iter().zip(by_four).zip(&codes.factors) {
                let told = 2.0 * length(&query) * f64::from(factors.upper_deviation);
                errors.push((got - squared_distance(row, &query)) / told);
            }
        }
        let (bias, size) = moments(&errors);
        assert!(bias.abs() < 0.05 && (0.9..1.1).contains(&size), "{dim}: {bias}, {size}");
        let beyond = errors.iter().filter(|error| error.abs() > 4.0).count();
        assert!(beyond <= 3, "{dim}: {beyond} of {} beyond four deviations", errors.len());
    }
    let mut cells = [0; 128];
    assert_eq!(encode(&[0.0; 128], 112, &mut cells).upper_deviation, 0.0);
    assert_eq!(encode(&[1e20; 128], 112, &mut cells).upper_deviation, f32::INFINITY);
}

/// A row's own cells for a query: the builder's case.
#[test]
fn rows_as_queries() {
    let mut random = Random(6);
    for dim in [20, 128, 300] {
        let rows: Vec<Vec<f32>> = (0..60).map(|_| random.vector(dim)).collect();
        let all = || rows.iter().map(Vec::as_slice);
        let space = Space::train(Kernels::best(), Kind::L2, dim, 3, all(), 1);
        let codes = Codes::new(&space, all());
        let (mut query, mut errors) = (CodeQuery::default(), Vec::new());
        for (number, row) in rows.iter().enumerate() {
            let cells = &codes.cells[number * codes.places..][..codes.places];
            query.set_cells(cells, codes.factors[number]);
            let (_, by_eight) = codes.estimates(&query);
            for (at, (other, got)) in rows.iter().zip(by_eight).enumerate() {
                if at == number {
                    // No error of chance: what the code misses of the row counts twice, and the middle
                    // of a row for a query is half a cell off.
                    let of_squared = got / dot(row, row);
                    assert!((-0.1..0.02).contains(&of_squared), "{dim}: {of_squared} from itself");
                    continue;
                }
                let error = (got - squared_distance(row, other)).abs();
                let size = 2.0 * length(row) * length(other) / (space.width() as f64).sqrt();
                // Most where two rows reach beyond the grid in the same coordinate.
                assert!(error <= 0.6 * size, "{dim}: off by {error} of {size}");
                errors.push(error / size);
            }
        }
        let (_, size) = moments(&errors);
        assert!(size <= 0.08, "{dim}: {size}");
    }
}

#[test]
fn ranks_are_those_of_the_metric() {
    let mut random = Random(7);
    for kind in [Kind::L2, Kind::Angle, Kind::Dot] {
        for dim in [112, 113, 127, 128, 129, 384] {
            // Rows around a few centres, of lengths that differ by a factor of fifty.
            let centres: Vec<Vec<f32>> = (0..10).map(|_| random.vector(dim)).collect();
            let mut near = |number: usize, scale: f32| -> Vec<f32> {
                let centre = &centres[number % 10];
                centre.iter().map(|value| scale * (value + 0.7 * random.normal())).collect()
            };
            let rows: Vec<Vec<f32>> =
                (0..1000).map(|number| near(number, 1.0 + (number % 50) as f32)).collect();
            let queries: Vec<Vec<f32>> = (0..30).map(|number| near(number, 3.0)).collect();
            let all = || rows.iter().map(Vec::as_slice);
            let space = Space::train(Kernels::best(), kind, dim, 3, all(), 1);
            let codes = Codes::new(&space, all());
            let best = |score: &dyn Fn(usize) -> f64, k: usize| {
                let mut numbers: Vec<usize> = (0..rows.len()).collect();
                numbers.sort_by(|a, b| score(*a).total_cmp(&score(*b)));
                numbers.truncate(k);
                numbers
            };
            let (mut of_four, mut of_eight) = (0, 0);
            for query in &queries {
                let truth = best(
                    &|number| match kind {
                        Kind::L2 => squared_distance(query, &rows[number]),
                        Kind::Angle => -dot(query, &rows[number]) / length(&rows[number]),
                        Kind::Dot => -dot(query, &rows[number]),
                    },
                    10,
                );
                let (four, eight) = codes.estimates(&query_of(&space, query).0);
                let hits = |found: Vec<usize>| found.iter().filter(|n| truth.contains(n)).count();
                of_four += hits(best(&|number| four[number], 30));
                of_eight += hits(best(&|number| eight[number], 15));
            }
            // For dot products all points are as long as the longest row, and so are errors.
            let (least, least_of_eight) = if kind == Kind::Dot { (240, 275) } else { (285, 294) };
            assert!(of_four >= least, "{kind:?} {dim}: {of_four} of 300 by four bits");
            assert!(of_eight >= least_of_eight, "{kind:?} {dim}: {of_eight} of 300 by eight bits");
        }
    }
}

#[test]
fn halves_of_a_code_add_up_to_it() {
    let mut random = Random(8);
    let kernels = Kernels::best();
    for places in [128, 256, 384, 1024] {
        let vector = random.vector(places - 16);
        let space = Space::new(Kind::L2, places - 16, 2, Vec::new(), 0.0);
        let codes = Codes::new(&space, [vector.as_slice()].into_iter());
        let query: Vec<i8> = (0..places).map(|_| random.next() as i8).collect();
        let (mut upper, mut lower) = ([0], [0]);
        let half = |bytes| CodeRows::new(bytes, places / 2).expect("a row");
        kernels.nibble_dots(&query, half(&codes.upper), &[0], &mut upper);
        kernels.nibble_dots(&query, half(&codes.lower), &[0], &mut lower);
        let pairs = codes.cells.iter().zip(&query);
        let full: i32 = pairs.map(|(cell, value)| i32::from(*cell) * i32::from(*value)).sum();
        assert_eq!(16 * upper[0] + lower[0], full);
    }
}

/// Errors in proportion to the lengths, whatever those are, down to one dimension; and where
/// squares leave the range of `f32`, at least no NaN.
#[test]
fn zero_huge_and_tiny_vectors() {
    let mut random = Random(9);
    for kind in [Kind::L2, Kind::Angle, Kind::Dot] {
        for dim in [1, 2, 112, 113, 127, 128, 129] {
            for scale in [0.0, 1e-30, 1e-17, 1e-6, 1.0, 1e6, 1e17, 1e20, 1e30, 3e37] {
                let vector = |random: &mut Random| -> Vec<f32> {
                    random.vector(dim).into_iter().map(|value| value * scale).collect()
                };
                let mut rows: Vec<Vec<f32>> = (0..20).map(|_| vector(&mut random)).collect();
                rows.push(vec![0.0; dim]);
                let all = || rows.iter().map(Vec::as_slice);
                let space = Space::train(Kernels::best(), kind, dim, 3, all(), 1);
                let codes = Codes::new(&space, all());
                let queries = [vector(&mut random), vec![0.0; dim], vec![1.0; dim]];
                for query in queries {
                    let (query, point) = query_of(&space, &query);
                    let (by_four, by_eight) = codes.estimates(&query);
                    assert!(by_four.iter().chain(&by_eight).all(|distance| !distance.is_nan()));
                    if !(1e-16..1e18).contains(&scale) {
                        continue;
                    }
                    let mut of_row = vec![0.0; space.places()];
                    for (row, (four, eight)) in rows.iter().zip(by_four.into_iter().zip(by_eight)) {
                        space.row(Kernels::best(), row, &mut of_row);
                        let truth = squared_distance(&point, &of_row);
                        let lengths = 2.0 * length(&point) * length(&of_row);
                        let size = lengths / (space.width() as f64).sqrt();
                        let rounding = 1e-6 * (dot(&point, &point) + dot(&of_row, &of_row));
                        let what = format!("{kind:?} {dim} {scale}");
                        assert!((four - truth).abs() <= 2.0 * size + rounding, "{what}: four bits");
                        assert!((eight - truth).abs() <= size + rounding, "{what}");
                    }
                }
            }
        }
    }
}
