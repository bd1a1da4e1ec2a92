//! Files that a user brings, and vectors to put into them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From -1 to 1, and few enough bits that the sums of a test are exact.
    pub(crate) fn float(&mut self) -> f32 {
        (self.next() % 2001) as f32 / 1000.0 - 1.0
    }

    pub(crate) fn rows(&mut self, rows: usize, dim: usize) -> Vec<Vec<f32>> {
        (0..rows).map(|_| (0..dim).map(|_| self.float()).collect()).collect()
    }
}

/// What stands in front of the values of an `.npy` file.
pub(crate) fn npy_header(descr: &str, rows: usize, dim: usize) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
}

/// An `.npy` file of rows whose values become `bytes`.
pub(crate) fn npy<T, const N: usize>(
    path: &Path,
    descr: &str,
    rows: &[Vec<T>],
    dim: usize,
    bytes: impl Fn(&T) -> [u8; N],
) {
    let mut file = npy_header(descr, rows.len(), dim);
    for row in rows {
        assert_eq!(row.len(), dim);
        row.iter().for_each(|value| file.extend(bytes(value)));
    }
    fs::write(path, file).unwrap();
}

pub(crate) fn npy_f32(path: &Path, rows: &[Vec<f32>]) {
    npy(path, "<f4", rows, rows[0].len(), |value| value.to_le_bytes());
}

pub(crate) fn npy_i32(path: &Path, rows: &[Vec<i32>]) {
    npy(path, "<i4", rows, rows[0].len(), |value| value.to_le_bytes());
}

/// Rows as `.fvecs` and `.bvecs` hold them.
pub(crate) fn vecs<T, const N: usize>(path: &Path, rows: &[Vec<T>], bytes: impl Fn(&T) -> [u8; N]) {
    let mut file = Vec::new();
    for row in rows {
        file.extend(i32::try_from(row.len()).unwrap().to_le_bytes());
        row.iter().for_each(|value| file.extend(bytes(value)));
    }
    fs::write(path, file).unwrap();
}

/// A vector as `--vector` takes it.
pub(crate) fn as_json(vector: &[f32]) -> String {
    let mut text = "[".to_owned();
    for (place, value) in vector.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(text, "{comma}{value}").unwrap();
    }
    text + "]"
}

/// Distance in f64, straight from the definitions.
pub(crate) fn distance(metric: &str, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    match metric {
        "l2" => a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum(),
        "dot" => -dot(a, b),
        "cosine" => 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
        other => panic!("{other}"),
    }
}

/// Row numbers and distances, nearest first.
pub(crate) fn nearest(
    metric: &str,
    base: &[Vec<f32>],
    query: &[f32],
    k: usize,
) -> Vec<(usize, f64)> {
    let mut all: Vec<_> = base
        .iter()
        .enumerate()
        .map(|(row, vector)| (row, distance(metric, query, vector)))
        .collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

/// Ground truth as an `.npy` of row numbers.
pub(crate) fn write_truth(
    path: &Path,
    metric: &str,
    base: &[Vec<f32>],
    queries: &[Vec<f32>],
    k: usize,
) {
    let row = |query: &Vec<f32>| -> Vec<i32> {
        let nearest = nearest(metric, base, query, k);
        nearest.iter().map(|(row, _)| i32::try_from(*row).unwrap()).collect()
    };
    npy_i32(path, &queries.iter().map(row).collect::<Vec<_>>());
}
