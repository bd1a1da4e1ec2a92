//! The reference kernels: plain Rust, shaped so that the compiler vectorises them.
//!
//! The terms of a pair are spread over a fixed number of lanes. Floating-point addition is not
//! associative, so the compiler may not split one running sum by itself; with the lanes written
//! out, it needs no licence to.

use crate::Table;

/// Four 128-bit registers, the narrowest vector unit among the targets: enough independent sums
/// to cover the latency of an addition.
const LANES: usize = 16;

pub(crate) static TABLE: Table = Table {
    dot,
    l2,
    dot_rows: |query, rows, out| scan(dot, query, rows, out),
    l2_rows: |query, rows, out| scan(l2, query, rows, out),
    dot_tile: |queries, rows, dim, out| tile(dot, queries, rows, dim, out),
    l2_tile: |queries, rows, dim, out| tile(l2, queries, rows, dim, out),
    stream_sum,
};

#[inline]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    accumulate(a, b, |x, y| x * y)
}

#[inline]
fn l2(a: &[f32], b: &[f32]) -> f32 {
    accumulate(a, b, |x, y| (x - y) * (x - y))
}

/// The sum of `term` over the pairs of elements, where the term of two zeros is zero.
#[inline]
fn accumulate(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_chunks, a_tail) = a.as_chunks::<LANES>();
    let (b_chunks, b_tail) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        lanes = step(lanes, a, b, &term);
    }
    if !a_tail.is_empty() {
        lanes = step(lanes, &padded(a_tail), &padded(b_tail), &term);
    }
    fold(lanes)
}

/// Adds one term to each lane.
#[inline]
fn step(
    lanes: [f32; LANES],
    a: &[f32; LANES],
    b: &[f32; LANES],
    term: impl Fn(f32, f32) -> f32,
) -> [f32; LANES] {
    // Not `mul_add`: without the instruction it is a call into the C library.
    std::array::from_fn(|i| lanes[i] + term(a[i], b[i]))
}

/// A short chunk with zeros after it. A loop over the lanes that are there would index them by a
/// variable, and so keep the compiler from holding them in registers.
#[inline]
fn padded(tail: &[f32]) -> [f32; LANES] {
    let mut chunk = [0.0; LANES];
    chunk[..tail.len()].copy_from_slice(tail);
    chunk
}

/// The sum of the lanes, as a tree.
#[inline]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// One query against rows. An empty query makes empty rows, which `chunks_exact` cannot cut.
#[inline]
fn scan(pair: impl Fn(&[f32], &[f32]) -> f32, query: &[f32], rows: &[f32], out: &mut [f32]) {
    if query.is_empty() {
        out.fill(0.0);
        return;
    }
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = pair(query, row);
    }
}

/// Queries against rows, row by row so that a row is read from memory once.
#[inline]
fn tile(
    pair: impl Fn(&[f32], &[f32]) -> f32,
    queries: &[f32],
    rows: &[f32],
    dim: usize,
    out: &mut [f32],
) {
    let row_count = rows.len() / dim;
    for (j, row) in rows.chunks_exact(dim).enumerate() {
        for (i, query) in queries.chunks_exact(dim).enumerate() {
            out[i * row_count + j] = pair(query, row);
        }
    }
}

fn stream_sum(data: &[f32]) -> f32 {
    const WIDE: usize = 2 * LANES;
    let mut lanes = [0.0; WIDE];
    let (chunks, tail) = data.as_chunks::<WIDE>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    lanes.iter().chain(tail).sum()
}
