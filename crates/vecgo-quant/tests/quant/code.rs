//! Estimates from codes against distances in `f64`.

#![allow(clippy::cast_possible_truncation, reason = "few rows")]
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

use crate::oracle::{least, nearest};
use crate::random::{Random, dot, length, squared_distance};
use vecgo_kernels::{Bits, CodeRows, Estimate, Factors, Kernels, packed_distance};
use vecgo_quant::{
    CodeFactors, CodeQuery, Kind, Planes, Space, encode, error_of, lower_codes, upper_codes,
};

/// Codes of rows.
struct Codes {
    planes: Planes,
    cells: Vec<u8>,
    upper: Vec<u8>,
    lower: Vec<u8>,
    factors: Vec<CodeFactors>,
    places: usize,
}

impl Codes {
    /// Of eight bits.
    fn new<'a>(space: &Space, rows: impl Iterator<Item = &'a [f32]>) -> Codes {
        Codes::of(8, space, rows)
    }

    fn of<'a>(bits: u8, space: &Space, rows: impl Iterator<Item = &'a [f32]>) -> Codes {
        let planes = Planes::of(bits).expect("bits");
        let places = space.places();
        let length = |bits: Option<Bits>| bits.map_or(0, |bits| bits.bytes_of(places));
        let (mut point, mut of_row) = (vec![0.0; places], vec![0; places]);
        let mut codes = Codes {
            planes,
            cells: Vec::new(),
            upper: Vec::new(),
            lower: Vec::new(),
            factors: Vec::new(),
            places,
        };
        for row in rows {
            space.row(Kernels::best(), row, &mut point);
            codes.factors.push(encode(&point, space.width(), planes, &mut of_row));
            codes.cells.extend_from_slice(&of_row);
            let mut upper = vec![0; length(Some(planes.upper()))];
            upper_codes(planes, &of_row, &mut upper);
            codes.upper.extend(upper);
            let mut lower = vec![0; length(planes.lower())];
            lower_codes(planes, &of_row, &mut lower);
            codes.lower.extend(lower);
        }
        codes
    }

    /// Estimated squared distances to all rows, by the bits that are read first and by whole cells.
    fn estimates(&self, query: &CodeQuery) -> (Vec<f64>, Vec<f64>) {
        let kernels = Kernels::best();
        let rows: Vec<u32> = (0..self.factors.len() as u32).collect();
        let estimate = |bits: Bits, bytes: &[u8], second: fn(&CodeFactors) -> f32| {
            let factors = self.column(second);
            let factors = Factors::apart(&factors).expect("whole");
            let middle = query.middle(bits.count());
            let how = Estimate { factors, scale: query.scale(), middle, bound: u64::MAX };
            let codes = CodeRows::new(bytes, bits.bytes_of(self.places)).expect("whole rows");
            let mut out = vec![0; rows.len()];
            let kept = kernels.within(bits, query.values(), codes, &how, &rows, &mut out);
            assert_eq!(kept, rows.len(), "no estimate is NaN");
            let distance = |packed: &u64| f64::from(packed_distance(*packed) + query.squared());
            out.iter().map(distance).collect::<Vec<f64>>()
        };
        let first = estimate(self.planes.upper(), &self.upper, |of| of.upper);
        (first, estimate(Bits::Eight, &self.cells, |of| of.full))
    }

    /// Estimated by the bits of both planes.
    fn by_both(&self, query: &CodeQuery) -> Vec<f64> {
        let kernels = Kernels::best();
        let rows: Vec<u32> = (0..self.factors.len() as u32).collect();
        let dots = |bits: Bits, bytes: &[u8]| {
            let codes = CodeRows::new(bytes, bits.bytes_of(self.places)).expect("whole rows");
            let mut out = vec![0; rows.len()];
            kernels.dots(bits, query.values(), codes, &rows, &mut out);
            out
        };
        let mut sums = dots(self.planes.upper(), &self.upper);
        if let Some(bits) = self.planes.lower() {
            let lower = dots(bits, &self.lower);
            sums.iter_mut().zip(lower).for_each(|(sum, dot)| *sum = (*sum << bits.count()) + dot);
        }
        let factors = self.column(|of| of.both);
        let factors = Factors::apart(&factors).expect("whole");
        let (scale, middle) = (query.scale(), query.middle(self.planes.bits()));
        let how = Estimate { factors, scale, middle, bound: u64::MAX };
        let estimates = rows.iter().zip(sums).map(|(row, sum)| how.distance(sum, *row));
        estimates.map(|distance| f64::from(distance + query.squared())).collect()
    }

    fn column(&self, second: fn(&CodeFactors) -> f32) -> Vec<u8> {
        let pairs = self.factors.iter().flat_map(|of| [of.squared, second(of)]);
        pairs.flat_map(f32::to_ne_bytes).collect()
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

/// As far off as is told of so many bits, and as told of each row of those that are read first; over
/// the same pairs each bit makes it less.
#[test]
fn each_bit_makes_errors_less() {
    let mut random = Random(25);
    for dim in [112, 300] {
        let rows: Vec<Vec<f32>> = (0..60).map(|_| random.vector(dim)).collect();
        let queries: Vec<Vec<f32>> = (0..60).map(|_| random.vector(dim)).collect();
        let space = Space::new(Kind::L2, dim, 3, Vec::new(), 0.0);
        let mut last = f64::INFINITY;
        for bits in 1..=8 {
            let codes = Codes::of(bits, &space, rows.iter().map(Vec::as_slice));
            let (mut errors, mut by_first) = (Vec::new(), Vec::new());
            for query in &queries {
                let of = query_of(&space, query).0;
                let (first, _) = codes.estimates(&of);
                let both = codes.by_both(&of);
                for (number, row) in rows.iter().enumerate() {
                    let truth = squared_distance(row, query);
                    let size = 2.0 * length(query) * length(row) / (space.width() as f64).sqrt();
                    errors.push((both[number] - truth) / size);
                    let told = f64::from(codes.factors[number].upper_deviation);
                    by_first.push((first[number] - truth) / (2.0 * length(query) * told));
                }
            }
            let (bias, size) = moments(&errors);
            let told = f64::from(error_of(bits));
            // What the query is rounded to adds to the error of many bits, and with these vectors more
            // lies beyond the grid than with those that codes are made for.
            let most = if bits < 7 { 1.25 } else { 1.6 };
            assert!((0.85..most).contains(&(size / told)), "{bits} of {dim}: {size} for {told}");
            assert!(bias.abs() < 0.1 * size && size < last, "{bits} of {dim}: {bias}, {size}");
            let (_, of_told) = moments(&by_first);
            assert!((0.8..1.1).contains(&of_told), "{bits} of {dim}: {of_told}");
            last = size;
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
    assert_eq!(encode(&[0.0; 128], 112, Planes::SHORT, &mut cells).upper_deviation, 0.0);
    assert_eq!(encode(&[1e20; 128], 112, Planes::SHORT, &mut cells).upper_deviation, f32::INFINITY);
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
            let (mut of_four, mut of_eight) = (0, 0);
            for query in &queries {
                let truth = nearest(kind, query, &rows, 10);
                let (four, eight) = codes.estimates(&query_of(&space, query).0);
                let hits = |found: Vec<usize>| found.iter().filter(|n| truth.contains(n)).count();
                of_four += hits(least(&four, 30));
                of_eight += hits(least(&eight, 15));
            }
            // For dot products all points are as long as the longest row, and so are errors.
            let (of_300, least_of_eight) = if kind == Kind::Dot { (240, 275) } else { (285, 294) };
            assert!(of_four >= of_300, "{kind:?} {dim}: {of_four} of 300 by four bits");
            assert!(of_eight >= least_of_eight, "{kind:?} {dim}: {of_eight} of 300 by eight bits");
        }
    }
}

#[test]
fn planes_of_a_code_add_up_to_it() {
    let mut random = Random(8);
    let kernels = Kernels::best();
    for (places, bits) in
        [128, 256, 384, 1024].into_iter().flat_map(|p| (5..=8).map(move |b| (p, b)))
    {
        let vector = random.vector(places - 16);
        let space = Space::new(Kind::L2, places - 16, 2, Vec::new(), 0.0);
        let codes = Codes::of(bits, &space, [vector.as_slice()].into_iter());
        let query: Vec<i8> = (0..places).map(|_| random.next() as i8).collect();
        let dot = |bits: Bits, bytes: &[u8]| {
            let mut out = [0];
            let row = CodeRows::new(bytes, bits.bytes_of(places)).expect("a row");
            kernels.dots(bits, &query, row, &[0], &mut out);
            out[0]
        };
        let lower = codes.planes.lower().expect("more than four bits");
        let pairs = codes.cells.iter().zip(&query);
        let code = |cell: u8| i32::from(cell >> (8 - bits));
        let both: i32 = pairs.map(|(cell, value)| code(*cell) * i32::from(*value)).sum();
        let upper = dot(Bits::Four, &codes.upper);
        assert_eq!((upper << lower.count()) + dot(lower, &codes.lower), both, "{bits}");
    }
}

/// In the middle of its cell, or as near as can be, each code is nearest to what it stands for.
#[test]
fn short_codes_divide_the_cells_evenly() {
    let cells: Vec<u8> = (0..=255).cycle().take(128 * 2).collect();
    for (bits, width) in [(1, 128), (2, 43), (3, 25), (4, 16)] {
        let planes = Planes::of(bits).expect("bits");
        let mut row = vec![0; planes.upper().bytes_of(cells.len())];
        upper_codes(planes, &cells, &mut row);
        for (place, cell) in cells.iter().enumerate() {
            let mut query = vec![0; cells.len()];
            query[place] = 1;
            let mut out = [0];
            let codes = CodeRows::new(&row, row.len()).expect("a row");
            Kernels::best().dots(planes.upper(), &query, codes, &[0], &mut out);
            let half = 1 << (bits - 1);
            let expected = (i32::from(*cell) - 128).div_euclid(width) + half;
            assert_eq!(out[0], expected.clamp(0, 2 * half - 1), "{bits} bits of {cell}");
        }
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
