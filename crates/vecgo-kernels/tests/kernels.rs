//! Every level that this CPU has against sums in `f64`, and the kernels of a level against each
//! other.

#![allow(
    clippy::disallowed_macros,
    reason = "a level that the CPU lacks is reported, lest its absence pass for success"
)]

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use vecgo_kernels::{Kernels, Level};

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

fn every_level(check: impl FnMut(Kernels)) {
    AVAILABLE.iter().copied().for_each(check);
}

/// The sum of the terms, as good as exact, and the sum of their magnitudes, with which the
/// rounding errors of a kernel scale.
fn reference(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    a.iter()
        .zip(b)
        .map(|(a, b)| term(f64::from(*a), f64::from(*b)))
        .fold((0.0, 0.0), |(sum, magnitude), term| (sum + term, magnitude + term.abs()))
}

fn assert_close(got: f32, (expected, magnitude): (f64, f64), dim: usize, what: &str) {
    if magnitude > f64::from(f32::MAX) / 2.0 {
        // A partial sum may be out of range where the whole is not.
        return;
    }
    // The longest chain of additions that any level makes of `dim` terms, and the width of its
    // widest fold; besides, a product may vanish below the smallest subnormal number.
    let roundings = dim as f64 / 8.0 + 16.0;
    let tolerance = roundings * f64::from(f32::EPSILON) * magnitude + (dim as f64) * 1e-45;
    let error = (f64::from(got) - expected).abs();
    assert!(error <= tolerance, "{what}, dim {dim}: {got} is {error:e} off {expected}");
}

fn check_pair(kernels: Kernels, a: &[f32], b: &[f32]) {
    let (level, dim) = (kernels.level(), a.len());
    let dot = reference(a, b, |a, b| a * b);
    assert_close(kernels.dot(a, b), dot, dim, &format!("{level} dot"));
    let l2 = reference(a, b, |a, b| (a - b) * (a - b));
    assert_close(kernels.l2(a, b), l2, dim, &format!("{level} l2"));
    let sum = reference(a, a, |a, _| a);
    // A sum has one chain for every 32 floats at least, but a plain one for what is left over.
    assert_close(kernels.stream_sum(a), sum, dim + 512, &format!("{level} stream_sum"));
    assert_eq!(kernels.norm_squared(a).to_bits(), kernels.dot(a, a).to_bits());
}

/// Rows and tiles must give the very bits that pairs give.
fn check_many(kernels: Kernels, queries: &[f32], rows: &[f32], dim: usize) {
    let level = kernels.level();
    let (query_count, row_count) = (queries.len() / dim, rows.len() / dim);
    type Pair = fn(&Kernels, &[f32], &[f32]) -> f32;
    type Rows = fn(&Kernels, &[f32], &[f32], &mut [f32]);
    type Tile = fn(&Kernels, &[f32], &[f32], usize, &mut [f32]);
    let metrics: [(&str, Pair, Rows, Tile); 2] = [
        ("dot", Kernels::dot, Kernels::dot_rows, Kernels::dot_tile),
        ("l2", Kernels::l2, Kernels::l2_rows, Kernels::l2_tile),
    ];
    for (metric, pair, rows_of, tile) in metrics {
        let expected: Vec<u32> = queries
            .chunks_exact(dim)
            .flat_map(|query| rows.chunks_exact(dim).map(move |row| (query, row)))
            .map(|(query, row)| pair(&kernels, query, row).to_bits())
            .collect();
        let bits = |scores: &[f32]| scores.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let shape = format!("{level} {metric}, {query_count} x {row_count}, dim {dim}");

        let mut scores = vec![f32::NAN; query_count * row_count];
        tile(&kernels, queries, rows, dim, &mut scores);
        assert_eq!(bits(&scores), expected, "tile, {shape}");

        scores.fill(f32::NAN);
        if row_count > 0 {
            for (query, out) in queries.chunks_exact(dim).zip(scores.chunks_exact_mut(row_count)) {
                rows_of(&kernels, query, rows, out);
            }
        }
        assert_eq!(bits(&scores), expected, "rows, {shape}");
    }
}

/// Components as embeddings have them, with the odd one at an edge of the format.
fn component() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => -1.0_f32..1.0,
        2 => Just(0.0),
        1 => Just(-0.0),
        1 => -1e18_f32..1e18,
        1 => -1e-20_f32..1e-20,
        1 => (0_u32..0x0080_0000).prop_map(f32::from_bits),
        1 => (0_u32..0x0080_0000).prop_map(|bits| -f32::from_bits(bits)),
    ]
}

/// Two vectors of equal length that start at any offset from an aligned address.
fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>, usize, usize)> {
    (0..300_usize, 0..16_usize, 0..16_usize).prop_flat_map(|(dim, at_a, at_b)| {
        (vec(component(), at_a + dim), vec(component(), at_b + dim), Just(at_a), Just(at_b))
    })
}

/// Queries, rows and their dimension.
fn tile() -> impl Strategy<Value = (Vec<f32>, Vec<f32>, usize)> {
    (1..100_usize, 0..7_usize, 0..11_usize).prop_flat_map(|(dim, queries, rows)| {
        (vec(component(), queries * dim), vec(component(), rows * dim), Just(dim))
    })
}

proptest! {
    #[test]
    fn pairs_are_close_to_exact((a, b, at_a, at_b) in pair()) {
        every_level(|kernels| check_pair(kernels, &a[at_a..], &b[at_b..]));
    }

    #[test]
    fn rows_and_tiles_agree_with_pairs((queries, rows, dim) in tile()) {
        every_level(|kernels| check_many(kernels, &queries, &rows, dim));
    }
}

/// Numbers without a pattern, the same on every run.
fn noise(len: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 - 0.5
    })
    .take(len)
    .collect()
}

#[test]
fn every_dimension_is_close_to_exact() {
    let data = noise(2 * 4100);
    every_level(|kernels| {
        for dim in (0..=320).chain([384, 768, 1000, 1024, 1536, 3072, 4097]) {
            check_pair(kernels, &data[1..][..dim], &data[4100..][..dim]);
        }
    });
}

#[test]
fn every_remainder_of_a_tile_agrees_with_pairs() {
    let data = noise(9 * 770);
    every_level(|kernels| {
        for dim in [1, 7, 8, 15, 16, 17, 31, 32, 33, 48, 63, 100, 768] {
            for queries in 0..=5 {
                for rows in 0..=9 {
                    check_many(kernels, &data[..queries * dim], &data[1..][..rows * dim], dim);
                }
            }
        }
    });
}

#[test]
fn uniform_magnitudes_keep_their_precision() {
    let data = noise(600);
    every_level(|kernels| {
        for scale in [1e18_f32, 1e-18, 1e-20, 1e-22, f32::MIN_POSITIVE, 1e-42] {
            let scaled: Vec<f32> = data.iter().map(|x| x * scale).collect();
            check_pair(kernels, &scaled[..40], &scaled[300..340]);
            check_pair(kernels, &scaled[..300], &scaled[300..]);
        }
    });
}

#[test]
fn sums_out_of_range_are_infinite() {
    every_level(|kernels| {
        let (high, low) = ([1e20_f32; 50], [-1e20_f32; 50]);
        assert_eq!(kernels.dot(&high, &high), f32::INFINITY);
        assert_eq!(kernels.dot(&high, &low), f32::NEG_INFINITY);
        assert_eq!(kernels.l2(&high, &low), f32::INFINITY);
        assert!(kernels.dot(&[f32::NAN; 3], &[1.0; 3]).is_nan());
    });
}

#[test]
fn a_vector_is_at_no_distance_from_itself() {
    let data = noise(777);
    every_level(|kernels| assert_eq!(kernels.l2(&data, &data), 0.0));
}

#[test]
fn empty_shapes() {
    every_level(|kernels| {
        assert_eq!(kernels.dot(&[], &[]).to_bits(), 0);
        assert_eq!(kernels.l2(&[], &[]).to_bits(), 0);
        assert_eq!(kernels.stream_sum(&[]), 0.0);
        kernels.dot_rows(&[1.0, 2.0], &[], &mut []);

        let mut out = [f32::NAN; 6];
        kernels.dot_rows(&[], &[], &mut out);
        assert_eq!(out, [0.0; 6]);
        out.fill(f32::NAN);
        kernels.l2_tile(&[], &[], 0, &mut out);
        assert_eq!(out, [0.0; 6]);
        kernels.l2_tile(&[], &[1.0; 8], 4, &mut []);
    });
}

#[test]
fn wrong_shapes_panic() {
    let kernels = Kernels::best();
    let panics = |call: &dyn Fn()| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).expect_err("must panic");
    };
    panics(&|| _ = kernels.dot(&[1.0], &[1.0, 2.0]));
    panics(&|| _ = kernels.l2(&[1.0, 2.0], &[1.0]));
    panics(&|| kernels.dot_rows(&[1.0; 3], &[1.0; 8], &mut [0.0; 3]));
    panics(&|| kernels.l2_rows(&[1.0; 3], &[1.0; 10], &mut [0.0; 3]));
    panics(&|| kernels.l2_rows(&[], &[1.0], &mut [0.0; 3]));
    panics(&|| kernels.dot_tile(&[1.0; 5], &[1.0; 8], 4, &mut [0.0; 2]));
    panics(&|| kernels.dot_tile(&[1.0; 4], &[1.0; 8], 4, &mut [0.0; 3]));
    panics(&|| kernels.l2_tile(&[1.0; 4], &[], 0, &mut []));
}

/// Eight lanes, then what is left over, as the documentation of exact sums has it.
fn in_eight_lanes(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let whole = a.len() / 8 * 8;
    let term = |at: usize| term(a[at].into(), b[at].into());
    let lanes = (0..8).map(|lane| (lane..whole).step_by(8).fold(0.0, |sum, at| sum + term(at)));
    let lanes: Vec<f64> = lanes.collect();
    lanes.iter().sum::<f64>() + (whole..a.len()).fold(0.0, |sum, at| sum + term(at))
}

proptest! {
    #[test]
    fn exact_sums_are_the_same_to_the_last_bit(
        pairs in vec((any::<f32>(), any::<f32>()), 0..200),
    ) {
        let finite = |value: f32| if value.is_finite() { value } else { 1.5 };
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().map(|(a, b)| (finite(*a), finite(*b))).unzip();
        every_level(|kernels| {
            let dot = in_eight_lanes(&a, &b, |a, b| a * b);
            let length = in_eight_lanes(&b, &b, |a, b| a * b);
            let l2 = in_eight_lanes(&a, &b, |a, b| (a - b) * (a - b));
            assert_eq!(kernels.exact_dot_and_length(&a, &b), (dot, length), "{kernels:?}");
            assert_eq!((kernels.exact_dot(&a, &b), kernels.exact_l2(&a, &b)), (dot, l2));
            assert_eq!(vecgo_kernels::exact::dot(&a, &b), dot);
        });
    }
}
