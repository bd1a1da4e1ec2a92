//! Measures how close scans come to the memory bandwidth of one core, and tiles to its
//! arithmetic.
//!
//! Run with `cargo run --release -p vecgo-kernels --example bandwidth`. With `-- --json` it prints
//! what the benchmarks put beside their figures instead: the limits of one core.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a measurement needs the clock and prints its results"
)]

mod limits;

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use vecgo_kernels::{Kernels, Level, PageBuf};

/// Floats in the data scanned: 256 MiB, well beyond any cache.
const FLOATS: usize = 64 << 20;
const DIMS: [usize; 5] = [100, 128, 384, 768, 1536];
/// Measurements of each kind. They are interleaved, so that a spell of noise on the machine
/// touches all kinds alike, and the median is reported.
const PASSES: usize = 9;

const TILE_QUERIES: usize = 8;
const TILE_ROWS: usize = 64;
/// Tiles computed in one measurement.
const TILE_REPEATS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().any(|argument| argument == "--json") {
        return limits::print();
    }
    let mut kernels = Vec::new();
    for level in Level::ALL {
        match Kernels::new(level) {
            Ok(available) => kernels.push(available),
            Err(error) => println!("skipped: {error}"),
        }
    }
    scans(&kernels)?;
    tiles(&kernels)
}

fn scans(kernels: &[Kernels]) -> Result<(), Box<dyn Error>> {
    let mut data = PageBuf::<f32>::zeroed(FLOATS)?;
    fill(&mut data);
    let bytes = size_of_val::<[f32]>(&data) as f64;
    let mut stream = vec![[0.0; PASSES]; kernels.len()];
    let mut scans = vec![[[[0.0; PASSES]; 2]; DIMS.len()]; kernels.len()];
    for pass in 0..PASSES {
        for (at, kernels) in kernels.iter().enumerate() {
            stream[at][pass] = bytes
                / seconds(|| {
                    black_box(kernels.stream_sum(&data));
                });
            for (dim, [dot, l2]) in DIMS.into_iter().zip(&mut scans[at]) {
                let query = &data[..dim];
                // Not zeros, which would leave the first kernel to fault the pages in.
                let mut out = vec![1.0; FLOATS / dim];
                let rows = &data[..out.len() * dim];
                dot[pass] = bytes / seconds(|| kernels.dot_rows(query, rows, black_box(&mut out)));
                l2[pass] = bytes / seconds(|| kernels.l2_rows(query, rows, black_box(&mut out)));
            }
        }
    }

    println!("{:<8}{:>6}{:>16}{:>16}", "level", "dim", "dot_rows GB/s", "l2_rows GB/s");
    let mut limit = 0.0_f64;
    for (kernels, stream) in kernels.iter().zip(&mut stream) {
        let rate = median(stream);
        limit = limit.max(rate);
        println!("{:<8}{:>6}{:>16.1}", kernels.level(), "sum", rate / 1e9);
    }
    for (kernels, scans) in kernels.iter().zip(&mut scans) {
        for (dim, [dot, l2]) in DIMS.into_iter().zip(scans) {
            let (dot, l2) = (median(dot), median(l2));
            println!(
                "{:<8}{dim:>6}{:>10.1} ={:>3.0}%{:>10.1} ={:>3.0}%",
                kernels.level(),
                dot / 1e9,
                100.0 * dot / limit,
                l2 / 1e9,
                100.0 * l2 / limit,
            );
        }
    }
    println!("(percentages are of the fastest sum, {:.1} GB/s)\n", limit / 1e9);
    Ok(())
}

fn tiles(kernels: &[Kernels]) -> Result<(), Box<dyn Error>> {
    let mut rates = vec![[[[0.0; PASSES]; 2]; DIMS.len()]; kernels.len()];
    for pass in 0..PASSES {
        for (kernels, rates) in kernels.iter().zip(&mut rates) {
            for (dim, [dot, l2]) in DIMS.into_iter().zip(rates) {
                let mut queries = PageBuf::<f32>::zeroed(TILE_QUERIES * dim)?;
                let mut rows = PageBuf::<f32>::zeroed(TILE_ROWS * dim)?;
                fill(&mut queries);
                fill(&mut rows);
                let mut out = vec![0.0; TILE_QUERIES * TILE_ROWS];
                let terms = (out.len() * dim * TILE_REPEATS) as f64;
                let mut time = |kernel: fn(&Kernels, &[f32], &[f32], usize, &mut [f32])| {
                    seconds(|| {
                        for _ in 0..TILE_REPEATS {
                            kernel(kernels, &queries, &rows, dim, black_box(&mut out));
                        }
                    })
                };
                // A fused multiplication and addition for each term; the subtraction of a
                // distance is not counted, so that both metrics have the same limit.
                dot[pass] = 2.0 * terms / time(Kernels::dot_tile);
                l2[pass] = 2.0 * terms / time(Kernels::l2_tile);
            }
        }
    }

    println!("tiles of {TILE_QUERIES} queries by {TILE_ROWS} rows, in cache");
    println!("{:<8}{:>6}{:>16}{:>16}", "level", "dim", "dot GFLOP/s", "l2 GFLOP/s");
    for (kernels, rates) in kernels.iter().zip(&mut rates) {
        for (dim, [dot, l2]) in DIMS.into_iter().zip(rates) {
            let (dot, l2) = (median(dot) / 1e9, median(l2) / 1e9);
            println!("{:<8}{dim:>6}{dot:>16.1}{l2:>16.1}", kernels.level());
        }
    }
    Ok(())
}

/// Writes ordinary numbers: the pages must have been touched, and subnormal or infinite values
/// could be slow.
fn fill(data: &mut [f32]) {
    for (i, x) in data.iter_mut().enumerate() {
        *x = (i % 251) as f32 / 251.0 - 0.5;
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
