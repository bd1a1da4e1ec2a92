//! The code kernels of every level that this CPU has against sums in `i64`.

#![allow(
    clippy::disallowed_macros,
    reason = "a level that the CPU lacks is reported, lest its absence pass for success"
)]
#![allow(clippy::cast_possible_truncation, reason = "few rows")]
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use vecgo_kernels::{
    Bits, CodeRows, Estimate, FACTOR_BYTES, Factors, Kernels, LINE, Level, pack, packed_distance,
    prefetch,
};

static AVAILABLE: LazyLock<Vec<Kernels>> = LazyLock::new(|| {
    let kernels = |level| {
        let kernels = Kernels::new(level).ok();
        if kernels.is_none() {
            println!("skipped: {level} not available on this CPU");
        }
        kernels
    };
    Level::ALL.into_iter().filter_map(kernels).collect()
});

/// Query bytes that whole rows of codes are for.
fn unit(bits: Bits) -> usize {
    if bits == Bits::Eight { LINE } else { 2 * LINE }
}

/// The code at a place of a row, as the documentation of [`Bits`] has it.
fn code_at(bits: Bits, row: &[u8], place: usize) -> i64 {
    let (first, place) = (place / 128 * 128, place % 128);
    // Of codes of so many bits, 128 of which begin at a byte.
    let field = |count: usize, start: usize| {
        let (n, b) = (place / (16 * count), place % (16 * count));
        i64::from(row[start + b]) >> (count * n) & ((1 << count) - 1)
    };
    match bits {
        Bits::Eight => i64::from(row[first + place]),
        Bits::Three => {
            let start = first / 128 * 48;
            2 * field(2, start) + field(1, start + 32)
        }
        _ => field(bits.count().into(), first / 8 * usize::from(bits.count())),
    }
}

fn dot(bits: Bits, query: &[i8], row: &[u8]) -> i32 {
    let product = |(at, value): (usize, &i8)| code_at(bits, row, at) * i64::from(*value);
    let sum: i64 = query.iter().enumerate().map(product).sum();
    i32::try_from(sum).expect("the longest query's sums fit")
}

fn within(
    bits: Bits,
    kernels: Kernels,
    query: &[i8],
    codes: CodeRows<'_>,
    estimate: &Estimate<'_>,
    rows: &[u32],
) -> Vec<u64> {
    let mut out = vec![u64::MAX; rows.len()];
    let kept = kernels.within(bits, query, codes, estimate, rows, &mut out);
    out.truncate(kept);
    out
}

/// Every level must give the sums, and keep those rows, in their order, whose distance is below
/// the bound, with any bound; of rows that follow one another, too.
fn check(
    bits: Bits,
    query: &[i8],
    all: CodeRows<'_>,
    rows: &[u32],
    factors: Factors<'_>,
    scale: f32,
) {
    let sums: Vec<i32> = rows.iter().map(|row| dot(bits, query, all.row(*row))).collect();
    let middle = query.iter().map(|value| f32::from(*value)).sum::<f32>() * 7.5;
    let distance = |row: u32| {
        let [squared, factor] = factors.of(row);
        let sum = dot(bits, query, all.row(row)) as f32;
        pack(squared - scale * factor * (sum - middle), row)
    };
    let distances: Vec<u64> = rows.iter().map(|row| distance(*row)).collect();
    // From the first of them to the last.
    let range = match (rows.iter().min(), rows.iter().max()) {
        (Some(first), Some(last)) => *first..last + 1,
        _ => 0..0,
    };
    let following: Vec<u64> = range.clone().map(distance).collect();
    let mut bounds = vec![0, u64::MAX, pack(0.0, 0), pack(f32::INFINITY, 0)];
    bounds.extend(distances.iter().step_by(5).flat_map(|d| [*d, d.saturating_add(1)]));
    for kernels in AVAILABLE.iter().copied() {
        let what = format!("{kernels:?} {bits:?}, {} bytes, {rows:?}", query.len());
        let mut out = vec![i32::MIN; rows.len()];
        kernels.dots(bits, query, all, rows, &mut out);
        assert_eq!(out, sums, "{what}");
        for bound in &bounds {
            let estimate = Estimate { factors, scale, middle, bound: *bound };
            let near =
                |of: &[u64]| -> Vec<u64> { of.iter().copied().filter(|d| d < bound).collect() };
            assert_eq!(
                within(bits, kernels, query, all, &estimate, rows),
                near(&distances),
                "{what}"
            );
            let mut out = vec![u64::MAX; range.len()];
            let kept = kernels.scan(bits, query, all, &estimate, range.clone(), &mut out);
            assert_eq!(out[..kept], near(&following), "{what}, a scan");
        }
    }
}

fn value() -> impl Strategy<Value = i8> {
    prop_oneof![4 => any::<i8>(), 1 => Just(i8::MAX), 1 => Just(-127), 1 => Just(i8::MIN)]
}

fn code() -> impl Strategy<Value = u8> {
    prop_oneof![4 => any::<u8>(), 1 => Just(0), 1 => Just(255)]
}

fn factor() -> impl Strategy<Value = f32> {
    prop_oneof![8 => 0.0_f32..10.0, 1 => Just(0.0), 1 => -1e9_f32..1e9]
}

/// Codes, a query, and rows to score: some again and again, the last one among them.
#[derive(Clone, Debug)]
struct Case {
    bits: Bits,
    stride: usize,
    query: Vec<i8>,
    bytes: Vec<u8>,
    rows: Vec<u32>,
    factors: Vec<f32>,
    scale: f32,
}

fn case() -> impl Strategy<Value = Case> {
    // Rows may be longer than their codes, by factors or by any number of bytes.
    let more = prop_oneof![Just(0), Just(FACTOR_BYTES), 0..100_usize];
    let shape = (prop::sample::select(&Bits::ALL[..]), 1..6_usize, more, 1..40_usize);
    shape.prop_flat_map(|(bits, units, more, count)| {
        let query = units * unit(bits);
        let stride = bits.bytes_of(query) + more;
        let picks = vec(prop_oneof![5 => any::<Index>().prop_map(Some), 1 => Just(None)], 0..70);
        let rows = picks.prop_map(move |picks| {
            let row = |pick: Option<Index>| pick.map_or(count - 1, |pick| pick.index(count)) as u32;
            picks.into_iter().map(row).collect()
        });
        let (query, bytes) = (vec(value(), query), vec(code(), stride * count));
        (query, bytes, rows, vec(factor(), 2 * count), -2.0_f32..2.0).prop_map(
            move |(query, bytes, rows, factors, scale)| Case {
                bits,
                stride,
                query,
                bytes,
                rows,
                factors,
                scale,
            },
        )
    })
}

fn to_bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|float| float.to_ne_bytes()).collect()
}

proptest! {
    #[test]
    fn factors_apart(case in case()) {
        let factors = to_bytes(&case.factors);
        let factors = Factors::apart(&factors).expect("whole");
        let codes = CodeRows::new(&case.bytes, case.stride).expect("whole rows");
        check(case.bits, &case.query, codes, &case.rows, factors, case.scale);
    }

    #[test]
    fn factors_in_rows(mut case in case()) {
        let stride = case.stride;
        let factors = to_bytes(&case.factors);
        for (row, of_row) in case.bytes.chunks_exact_mut(stride).zip(factors.chunks(FACTOR_BYTES)) {
            row[stride - FACTOR_BYTES..].copy_from_slice(of_row);
        }
        let codes = CodeRows::new(&case.bytes, stride).expect("whole rows");
        for (row, of_row) in (0..).zip(case.factors.chunks_exact(2)) {
            prop_assert_eq!(Factors::in_rows(codes).of(row), of_row);
        }
        let factors = Factors::in_rows(codes);
        check(case.bits, &case.query, codes, &case.rows, factors, case.scale);
    }

    #[test]
    fn packed_numbers_order_as_distances_do(
        a in prop::num::f32::ANY.prop_filter("no NaN", |x| !x.is_nan()),
        b in prop::num::f32::ANY.prop_filter("no NaN", |x| !x.is_nan()),
        row_a: u32,
        row_b: u32,
    ) {
        prop_assert_eq!(packed_distance(pack(a, row_a)).to_bits(), a.to_bits());
        prop_assert_eq!(pack(a, row_a) as u32, row_a);
        let expected = a.total_cmp(&b).then(row_a.cmp(&row_b));
        prop_assert_eq!(pack(a, row_a).cmp(&pack(b, row_b)), expected);
    }

    #[test]
    fn a_key_goes_behind_its_equals(
        mut keys in vec(prop_oneof![any::<u64>(), 0..20_u64, Just(u64::MAX)], 1..100),
        new in prop_oneof![any::<u64>(), 0..20_u64, Just(u64::MAX)],
        last: u64,
    ) {
        keys.sort_unstable();
        *keys.last_mut().expect("one") = last;
        let mut expected = keys[..keys.len() - 1].to_vec();
        let place = expected.iter().filter(|key| **key <= new).count();
        expected.insert(place, new);
        for kernels in AVAILABLE.iter() {
            let mut keys = keys.clone();
            prop_assert_eq!(kernels.insert_sorted(&mut keys, new), place, "{:?}", kernels);
            prop_assert_eq!(&keys, &expected, "{:?}", kernels);
        }
    }

    /// Halves go up; what is too large is cut off. The sum is that of the bytes.
    #[test]
    fn values_are_rounded_to_bytes(
        values in vec(prop_oneof![
            4 => -150.0_f32..150.0,
            2 => (-300..300_i32).prop_map(|half| half as f32 / 2.0),
            1 => prop::num::f32::NORMAL,
        ], 0..200),
        scale in prop_oneof![Just(1.0_f32), 0.0_f32..2.0],
    ) {
        let expected: Vec<i8> = values
            .iter()
            .map(|value| {
                // The sum is rounded to f32 before it is cut off.
                let shifted = (value * scale).clamp(-127.0, 127.0) + 128.5;
                (f64::from(shifted).floor() - 128.0) as i8
            })
            .collect();
        let sum: i64 = expected.iter().map(|byte| i64::from(*byte)).sum();
        for kernels in AVAILABLE.iter() {
            let mut bytes = vec![77; values.len()];
            let got = kernels.round_to_bytes(&values, scale, &mut bytes);
            prop_assert_eq!(&bytes, &expected, "{:?}", kernels);
            prop_assert_eq!(i64::from(got), sum, "{:?}", kernels);
        }
    }

    #[test]
    fn the_first_of_the_nearest_points(
        (point, columns) in (0..20_usize).prop_flat_map(|dim| {
            // Few values, so that some are as near as others.
            let value = || {
                let some = [1e30, f32::NAN, f32::INFINITY];
                let some = prop::sample::select(some.to_vec());
                prop_oneof![9 => (0..3_i8).prop_map(f32::from), 9 => -9.0_f32..9.0, 1 => some]
            };
            (vec(value(), dim), vec(value(), dim * 256))
        }),
    ) {
        let distance = |number: usize| {
            let others = columns.iter().skip(number).step_by(256);
            point.iter().zip(others).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))
        };
        let least = (0..256).map(distance).fold(f32::INFINITY, f32::min);
        let first = (0..256).position(|number| distance(number) == least).unwrap_or(0);
        for kernels in AVAILABLE.iter() {
            let (number, found) = kernels.nearest_of_256(&point, &columns);
            prop_assert_eq!(usize::from(number), first, "{:?}", kernels);
            prop_assert_eq!(found.to_bits(), least.to_bits(), "{:?}", kernels);
        }
    }

    #[test]
    fn transform_is_the_sum_that_defines_it(
        values in (0..9_u32).prop_flat_map(|log| vec(-10.0_f32..10.0, 1 << log)),
    ) {
        let length = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let expected: Vec<f64> = (0..values.len())
            .map(|i| {
                let sign = |j: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
                let terms = values.iter().enumerate().map(|(j, x)| sign(j) * f64::from(*x));
                terms.sum::<f64>() / (values.len() as f64).sqrt()
            })
            .collect();
        let mut first: Option<Vec<u32>> = None;
        for kernels in AVAILABLE.iter() {
            let mut got = values.clone();
            kernels.hadamard(&mut got);
            for (got, expected) in got.iter().zip(&expected) {
                let error = (f64::from(*got) - expected).abs();
                prop_assert!(error <= 1e-6 * length, "{:?}: {} is not {}", kernels, got, expected);
            }
            // Only sums and differences of pairs, in an order that the definition leaves no
            // choice in: all levels round alike.
            let bits: Vec<u32> = got.iter().map(|x| x.to_bits()).collect();
            prop_assert_eq!(&bits, first.get_or_insert(bits.clone()), "{:?}", kernels);
        }
    }
}

#[test]
fn extremes() {
    for bits in Bits::ALL {
        for length in [128, 256, 4096, 1 << 16] {
            for value in [i8::MIN, -127, -1, 0, i8::MAX] {
                for code in [0, 0x0f, 0xf0, 255] {
                    let stride = bits.bytes_of(length);
                    let bytes = vec![code; 5 * stride];
                    let codes = CodeRows::new(&bytes, stride).expect("whole rows");
                    let factors = to_bytes(&[1.0; 10]);
                    let factors = Factors::apart(&factors).expect("whole");
                    check(bits, &vec![value; length], codes, &[4, 0, 4, 3, 1], factors, 0.5);
                }
            }
        }
    }
}

#[test]
fn every_number_of_rows() {
    let count = 70;
    let floats: Vec<f32> = (0..2 * count).map(|at| at as f32).collect();
    let factors = to_bytes(&floats);
    let rows: Vec<u32> = (0..count as u32).rev().collect();
    for bits in Bits::ALL {
        let stride = bits.bytes_of(unit(bits));
        let bytes: Vec<u8> = (0..count * stride).map(|at| (at * at / 7) as u8).collect();
        let codes = CodeRows::new(&bytes, stride).expect("whole rows");
        let value = |at| (at as u8).wrapping_mul(83).cast_signed();
        let query: Vec<i8> = (0..unit(bits)).map(value).collect();
        for number in 0..=count {
            let factors = Factors::apart(&factors).expect("whole");
            check(bits, &query, codes, &rows[..number], factors, 0.01);
        }
    }
}

#[test]
fn every_bit_of_a_code_belongs_to_one_value() {
    for bits in Bits::ALL {
        let length = 2 * 2 * LINE;
        let stride = bits.bytes_of(length);
        let mut seen = vec![0; length];
        for bit in 0..8 * stride {
            let mut row = vec![0; stride];
            row[bit / 8] = 1 << (bit % 8);
            (0..length).for_each(|at| seen[at] += code_at(bits, &row, at));
            let query: Vec<i8> = (0..length).map(|at| ((at % 251) as u8).cast_signed()).collect();
            let all = CodeRows::new(&row, stride).expect("a row");
            let expected = dot(bits, &query, &row);
            // So that the distance is the dot product.
            let factors = to_bytes(&[0.0, 1.0]);
            let factors = Factors::apart(&factors).expect("whole");
            let estimate = Estimate { factors, scale: -1.0, middle: 0.0, bound: u64::MAX };
            for kernels in AVAILABLE.iter().copied() {
                let found = within(bits, kernels, &query, all, &estimate, &[0]);
                assert_eq!(found, [pack(expected as f32, 0)], "{kernels:?} {bit}");
            }
        }
        assert_eq!(seen, vec![(1 << bits.count()) - 1; length], "{bits:?}");
    }
}

#[test]
fn zeros_infinities_and_signs_in_order() {
    let distances = [
        f32::NEG_INFINITY,
        f32::MIN,
        -1.0,
        -f32::MIN_POSITIVE,
        -f32::from_bits(1),
        -0.0,
        0.0,
        f32::from_bits(1),
        f32::MIN_POSITIVE,
        1.0,
        f32::MAX,
        f32::INFINITY,
    ];
    for pair in distances.windows(2) {
        assert!(pack(pair[0], u32::MAX) < pack(pair[1], 0), "{pair:?}");
    }
}

#[test]
fn whole_rows_or_none() {
    assert!(CodeRows::new(&[0; 128], 0).is_none());
    assert!(CodeRows::new(&[0; 100], 64).is_none());
    let none = CodeRows::new(&[], 64).expect("no rows");
    assert_eq!((none.count(), none.stride()), (0, 64));
    none.prefetch(7);
    assert!(Factors::apart(&[0; 12]).is_none());
    Factors::in_rows(none).prefetch(u32::MAX);
    prefetch::<u32>(&[], usize::MAX);
    for kernels in AVAILABLE.iter() {
        kernels.dots(Bits::Four, &[1; 128], none, &[], &mut []);
    }
}

#[test]
fn what_does_not_fit_panics() {
    let panics = |call: &dyn Fn()| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).expect_err("must panic");
    };
    let bytes = vec![0; 1 << 18];
    let (codes, factors) = (CodeRows::new(&bytes[..256], 64), Factors::apart(&bytes[..32]));
    let (codes, factors) = (codes.expect("four rows"), factors.expect("four factors"));
    let long = CodeRows::new(&bytes, 1 << 17).expect("two rows");
    for kernels in AVAILABLE.iter() {
        let dots = |bits, query: usize, codes, rows: &[u32], places| {
            panics(&|| kernels.dots(bits, &vec![0; query], codes, rows, &mut vec![0; places]));
        };
        dots(Bits::Four, 64, codes, &[0], 1);
        dots(Bits::Four, 256, codes, &[0], 1);
        dots(Bits::Three, 192, codes, &[0], 1);
        dots(Bits::Two, 384, codes, &[0], 1);
        dots(Bits::One, 640, codes, &[0], 1);
        dots(Bits::Eight, 32, codes, &[0], 1);
        dots(Bits::Eight, 128, codes, &[0], 1);
        dots(Bits::Four, 128, codes, &[0, 4], 2);
        dots(Bits::Four, 128, codes, &[u32::MAX], 1);
        dots(Bits::Four, 128, codes, &[0], 2);
        dots(Bits::Four, 128, codes, &[0, 1], 1);
        dots(Bits::Four, 1 << 17, long, &[0], 1);
        let within = |bits, query: usize, factors: &[u8], rows: &[u32], places| {
            let factors = Factors::apart(factors).expect("whole");
            let estimate = Estimate { factors, scale: 1.0, middle: 0.0, bound: 0 };
            let (query, mut out) = (vec![0; query], vec![0; places]);
            let call = std::panic::AssertUnwindSafe(|| {
                kernels.within(bits, &query, codes, &estimate, rows, &mut out)
            });
            std::panic::catch_unwind(call).expect_err("must panic");
        };
        for (bits, query) in [(Bits::One, 128), (Bits::Four, 128), (Bits::Eight, 64)] {
            within(bits, query, &bytes[..24], &[0], 1);
            within(bits, query, &bytes[..32], &[4], 1);
            within(bits, query, &bytes[..32], &[0], 0);
            within(bits, 8 * query, &bytes[..32], &[0], 1);
        }
        panics(&|| _ = kernels.insert_sorted(&mut [], 1));
        panics(&|| _ = kernels.round_to_bytes(&[1.0; 3], 1.0, &mut [0; 2]));
        panics(&|| _ = kernels.nearest_of_256(&[1.0; 2], &[0.0; 511]));
        panics(&|| kernels.hadamard(&mut []));
        panics(&|| kernels.hadamard(&mut [0.0; 12]));
    }
    panics(&|| _ = codes.row(4));
    panics(&|| _ = Factors::in_rows(CodeRows::new(&[0; 8], 4).expect("two rows")));
    panics(&|| _ = factors.of(4));
}
