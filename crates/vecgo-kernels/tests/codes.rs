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
    CodeRows, Estimate, FACTOR_BYTES, Factors, Kernels, LINE, Level, pack, packed_distance,
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

#[derive(Clone, Copy, Debug, PartialEq)]
enum Codes {
    Nibbles,
    Bytes,
}

impl Codes {
    /// Bytes of a row for so many of a query.
    fn stride(self, query: usize) -> usize {
        if self == Codes::Nibbles { query / 2 } else { query }
    }

    /// The dot product, as the documentation of the kernels has it.
    fn dot(self, query: &[i8], row: &[u8]) -> i32 {
        let product = |code: u8, at: usize| i64::from(code) * i64::from(query[at]);
        let sum: i64 = match self {
            Codes::Bytes => row.iter().enumerate().map(|(at, code)| product(*code, at)).sum(),
            Codes::Nibbles => row
                .iter()
                .enumerate()
                .map(|(b, codes)| {
                    let at = 128 * (b / 64) + b % 64;
                    product(codes & 15, at) + product(codes >> 4, at + 64)
                })
                .sum(),
        };
        i32::try_from(sum).expect("the longest query's sums fit")
    }

    fn within(
        self,
        kernels: Kernels,
        query: &[i8],
        codes: CodeRows<'_>,
        estimate: &Estimate<'_>,
        rows: &[u32],
    ) -> Vec<u64> {
        let mut out = vec![u64::MAX; rows.len()];
        let kept = match self {
            Codes::Nibbles => kernels.nibbles_within(query, codes, estimate, rows, &mut out),
            Codes::Bytes => kernels.bytes_within(query, codes, estimate, rows, &mut out),
        };
        out.truncate(kept);
        out
    }
}

/// Every level must give the sums, and keep those rows, in their order, whose distance is below
/// the bound, with any bound.
fn check(codes: Codes, query: &[i8], bytes: &[u8], rows: &[u32], factors: Factors<'_>, scale: f32) {
    let all = CodeRows::new(bytes, codes.stride(query.len())).expect("whole rows");
    let sums: Vec<i32> = rows.iter().map(|row| codes.dot(query, all.row(*row))).collect();
    let middle = query.iter().map(|value| f32::from(*value)).sum::<f32>() * 7.5;
    let distances: Vec<u64> = rows
        .iter()
        .zip(&sums)
        .map(|(row, sum)| {
            let [squared, factor] = factors.of(*row);
            pack(squared - scale * factor * (*sum as f32 - middle), *row)
        })
        .collect();
    let mut bounds = vec![0, u64::MAX, pack(0.0, 0), pack(f32::INFINITY, 0)];
    bounds.extend(distances.iter().step_by(5).flat_map(|d| [*d, d.saturating_add(1)]));
    for kernels in AVAILABLE.iter().copied() {
        let what = format!("{kernels:?} {codes:?}, {} bytes, {rows:?}", query.len());
        if codes == Codes::Nibbles {
            let mut out = vec![i32::MIN; rows.len()];
            kernels.nibble_dots(query, all, rows, &mut out);
            assert_eq!(out, sums, "{what}");
        }
        for bound in &bounds {
            let estimate = Estimate { factors, scale, middle, bound: *bound };
            let expected: Vec<u64> = distances.iter().copied().filter(|d| d < bound).collect();
            assert_eq!(codes.within(kernels, query, all, &estimate, rows), expected, "{what}");
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
    codes: Codes,
    query: Vec<i8>,
    bytes: Vec<u8>,
    rows: Vec<u32>,
    factors: Vec<f32>,
    scale: f32,
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (prop_oneof![Just(Codes::Nibbles), Just(Codes::Bytes)], 1..6_usize, 1..40_usize);
    shape.prop_flat_map(|(codes, lines, count)| {
        let stride = lines * LINE;
        let query = if codes == Codes::Nibbles { 2 * stride } else { stride };
        let picks = vec(prop_oneof![5 => any::<Index>().prop_map(Some), 1 => Just(None)], 0..70);
        let rows = picks.prop_map(move |picks| {
            let row = |pick: Option<Index>| pick.map_or(count - 1, |pick| pick.index(count)) as u32;
            picks.into_iter().map(row).collect()
        });
        let (query, bytes) = (vec(value(), query), vec(code(), stride * count));
        (query, bytes, rows, vec(factor(), 2 * count), -2.0_f32..2.0).prop_map(
            move |(query, bytes, rows, factors, scale)| Case {
                codes,
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
        check(case.codes, &case.query, &case.bytes, &case.rows, factors, case.scale);
    }

    #[test]
    fn factors_in_rows(mut case in case()) {
        let stride = case.codes.stride(case.query.len());
        let factors = to_bytes(&case.factors);
        for (row, of_row) in case.bytes.chunks_exact_mut(stride).zip(factors.chunks(FACTOR_BYTES)) {
            row[stride - FACTOR_BYTES..].copy_from_slice(of_row);
        }
        let codes = CodeRows::new(&case.bytes, stride).expect("whole rows");
        for (row, of_row) in (0..).zip(case.factors.chunks_exact(2)) {
            prop_assert_eq!(Factors::in_rows(codes).of(row), of_row);
        }
        let factors = Factors::in_rows(codes);
        check(case.codes, &case.query, &case.bytes, &case.rows, factors, case.scale);
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
    for (codes, longest) in [(Codes::Nibbles, 1 << 16), (Codes::Bytes, 1 << 16)] {
        for length in [128, 256, 4096, longest] {
            for value in [i8::MIN, -127, -1, 0, i8::MAX] {
                for code in [0, 0x0f, 0xf0, 255] {
                    let bytes = vec![code; 5 * codes.stride(length)];
                    let factors = to_bytes(&[1.0; 10]);
                    let factors = Factors::apart(&factors).expect("whole");
                    check(codes, &vec![value; length], &bytes, &[4, 0, 4, 3, 1], factors, 0.5);
                }
            }
        }
    }
}

#[test]
fn every_number_of_rows() {
    let count = 70;
    let bytes: Vec<u8> = (0..count * LINE).map(|at| (at * at / 7) as u8).collect();
    let floats: Vec<f32> = (0..2 * count).map(|at| at as f32).collect();
    let factors = to_bytes(&floats);
    let rows: Vec<u32> = (0..count as u32).rev().collect();
    for codes in [Codes::Nibbles, Codes::Bytes] {
        let length = if codes == Codes::Nibbles { 2 * LINE } else { LINE };
        let query: Vec<i8> =
            (0..length).map(|at| (at as u8).wrapping_mul(83).cast_signed()).collect();
        for number in 0..=count {
            let factors = Factors::apart(&factors).expect("whole");
            check(codes, &query, &bytes, &rows[..number], factors, 0.01);
        }
    }
}

#[test]
fn every_bit_of_a_code_belongs_to_one_value() {
    for codes in [Codes::Nibbles, Codes::Bytes] {
        let length = 2 * 2 * LINE;
        let stride = codes.stride(length);
        for bit in 0..8 * stride {
            let mut row = vec![0; stride];
            row[bit / 8] = 1 << (bit % 8);
            let query: Vec<i8> = (0..length).map(|at| ((at % 251) as u8).cast_signed()).collect();
            let all = CodeRows::new(&row, stride).expect("a row");
            let expected = codes.dot(&query, &row);
            // So that the distance is the dot product.
            let factors = to_bytes(&[0.0, 1.0]);
            let factors = Factors::apart(&factors).expect("whole");
            let estimate = Estimate { factors, scale: -1.0, middle: 0.0, bound: u64::MAX };
            for kernels in AVAILABLE.iter().copied() {
                let found = codes.within(kernels, &query, all, &estimate, &[0]);
                assert_eq!(found, [pack(expected as f32, 0)], "{kernels:?} {bit}");
            }
        }
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
    assert!(CodeRows::new(&[0; 96], 96).is_none());
    assert!(CodeRows::new(&[0; 100], 64).is_none());
    let none = CodeRows::new(&[], 64).expect("no rows");
    assert_eq!((none.count(), none.stride()), (0, 64));
    none.prefetch(7);
    assert!(Factors::apart(&[0; 12]).is_none());
    Factors::in_rows(none).prefetch(u32::MAX);
    prefetch::<u32>(&[], usize::MAX);
    for kernels in AVAILABLE.iter() {
        kernels.nibble_dots(&[1; 128], none, &[], &mut []);
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
        panics(&|| kernels.nibble_dots(&[0; 64], codes, &[0], &mut [0]));
        panics(&|| kernels.nibble_dots(&[0; 128], codes, &[0, 4], &mut [0; 2]));
        panics(&|| kernels.nibble_dots(&[0; 128], codes, &[u32::MAX], &mut [0]));
        panics(&|| kernels.nibble_dots(&[0; 128], codes, &[0], &mut [0; 2]));
        panics(&|| kernels.nibble_dots(&[0; 128], codes, &[0, 1], &mut [0]));
        panics(&|| kernels.nibble_dots(&vec![0; 1 << 18], long, &[0], &mut [0]));
        let estimate = |factors| Estimate { factors, scale: 1.0, middle: 0.0, bound: 0 };
        let (good, few) = (estimate(factors), Factors::apart(&bytes[..24]).expect("three"));
        let few = estimate(few);
        panics(&|| _ = kernels.bytes_within(&[0; 64], codes, &few, &[0], &mut [0]));
        panics(&|| _ = kernels.nibbles_within(&[0; 128], codes, &few, &[0], &mut [0]));
        panics(&|| _ = kernels.bytes_within(&[0; 128], codes, &good, &[0], &mut [0]));
        let two = estimate(Factors::apart(&bytes[..16]).expect("two"));
        panics(&|| _ = kernels.bytes_within(&vec![0; 1 << 17], long, &two, &[0], &mut [0]));
        panics(&|| _ = kernels.nibbles_within(&[0; 64], codes, &good, &[0], &mut [0]));
        panics(&|| _ = kernels.bytes_within(&[0; 64], codes, &good, &[4], &mut [0]));
        panics(&|| _ = kernels.nibbles_within(&[0; 128], codes, &good, &[0], &mut []));
        panics(&|| _ = kernels.insert_sorted(&mut [], 1));
        panics(&|| _ = kernels.round_to_bytes(&[1.0; 3], 1.0, &mut [0; 2]));
        panics(&|| kernels.hadamard(&mut []));
        panics(&|| kernels.hadamard(&mut [0.0; 12]));
    }
    panics(&|| _ = codes.row(4));
    panics(&|| _ = factors.of(4));
}
