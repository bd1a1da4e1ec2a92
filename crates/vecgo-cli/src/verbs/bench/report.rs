use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vecgo::{Collection, Index, Stats};
use vecgo_kernels::{Kernels, PageBuf};

use super::timing::Timing;
use crate::args::Bench;
use crate::failure::Failure;
use crate::output::Output;

/// More than any cache holds.
const LIMIT_FLOATS: usize = 64 << 20;

/// What was measured with one setting.
pub(super) struct Point {
    pub(super) param: String,
    pub(super) recall: f64,
    pub(super) timing: Timing,
    pub(super) effort: Effort,
}

/// What a query took of searches through graphs and clusters, on average.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    estimates: f64,
    hops: f64,
}

impl Effort {
    #[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
    pub(super) fn between(before: &Stats, after: &Stats, queries: usize) -> Self {
        let of = |before: u64, after: u64| after.saturating_sub(before) as f64 / queries as f64;
        Self { estimates: of(before.estimates, after.estimates), hops: of(before.hops, after.hops) }
    }
}

impl Point {
    /// Queries a second in the fastest pass, the median and the slowest.
    #[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
    fn qps(&self, queries: usize) -> [f64; 3] {
        let seconds = &self.timing.seconds;
        let last = seconds.len().saturating_sub(1);
        [0, seconds.len() / 2, last]
            .map(|place| seconds.get(place).map_or(0.0, |seconds| queries as f64 / seconds))
    }

    /// In microseconds, of the fastest pass.
    fn percentile(&self, percent: usize) -> Option<f64> {
        let latencies = &self.timing.latencies;
        let place = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(place).map(|latency: &Duration| latency.as_secs_f64() * 1e6)
    }

    fn to_json(&self, queries: usize) -> Value {
        let [fastest, median, slowest] = self.qps(queries);
        json!({
            "param": self.param,
            "recall": self.recall,
            "qps": fastest,
            "qps_median": median,
            "qps_slowest": slowest,
            "passes": self.timing.seconds.len(),
            "p50_us": self.percentile(50),
            "p95_us": self.percentile(95),
            "p99_us": self.percentile(99),
            "estimates": self.effort.estimates,
            "hops": self.effort.hops,
        })
    }

    fn line(&self, queries: usize) -> String {
        let [fastest, median, slowest] = self.qps(queries);
        let us = |percent| self.percentile(percent).map_or("-".to_owned(), |us| format!("{us:.0}"));
        format!(
            "{:<20} {:>8.4} {fastest:>8.0} {median:>8.0} {slowest:>8.0} {:>8} {:>8} {:>8} {:>9.0}",
            self.param,
            self.recall,
            us(50),
            us(95),
            us(99),
            self.effort.estimates,
        )
    }
}

pub(super) fn report(
    collection: &Collection,
    args: &Bench,
    queries: usize,
    points: &[Point],
    out: &Output,
) -> Result<(), Failure> {
    let scans_all = args.knobs.exact || collection.config().index() == Index::Flat;
    let limit = match points.first().filter(|_| scans_all) {
        Some(point) => Some(Limit::of(collection, point.qps(queries)[0] / threads(args))?),
        None => None,
    };
    let simd = collection.stats().simd;
    out.object(&json!({
        "points": points.iter().map(|point| point.to_json(queries)).collect::<Vec<_>>(),
        "queries": queries,
        "threads": args.threads,
        "simd": simd,
        "limits": limit.as_ref().map(Limit::to_json),
    }));
    out.line(
        "param                  recall      qps   median  slowest   p50 us   p95 us   p99 us estimates",
    );
    for point in points {
        out.line(point.line(queries));
    }
    if let Some(Limit { read, scan }) = limit {
        out.line(format!(
            "limit: one core reads {:.1} GB/s; the vectors were read at {:.1} GB/s a thread, \
             {:.0}%, with {simd} kernels",
            read / 1e9,
            scan / 1e9,
            100.0 * scan / read,
        ));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a few threads")]
fn threads(args: &Bench) -> f64 {
    args.threads as f64
}

/// What bounds a search that reads all vectors.
struct Limit {
    /// Bytes a second that one core reads from memory.
    read: f64,
    /// Bytes of vectors a second that each thread went through.
    scan: f64,
}

impl Limit {
    #[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
    fn of(collection: &Collection, qps: f64) -> Result<Self, Failure> {
        let stats = collection.stats();
        let rows = (stats.records + stats.dead_rows) as f64;
        Ok(Self { read: read_bandwidth()?, scan: rows * stats.config.dim() as f64 * 4.0 * qps })
    }

    fn to_json(&self) -> Value {
        json!({
            "read_bytes_per_s": self.read,
            "scan_bytes_per_s": self.scan,
            "share": self.scan / self.read,
        })
    }
}

/// Bytes a second that one core reads from memory, the best of some passes.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn read_bandwidth() -> Result<f64, Failure> {
    let no_memory = |error: vecgo_kernels::AllocError| {
        Failure::new(vecgo::ErrorKind::ResourceExhausted, error.to_string())
    };
    let mut floats = PageBuf::<f32>::zeroed(LIMIT_FLOATS).map_err(no_memory)?;
    floats.fill(1.0);
    let kernels = Kernels::best();
    let mut best = 0f64;
    for _ in 0..7 {
        let start = Instant::now();
        std::hint::black_box(kernels.stream_sum(std::hint::black_box(&floats)));
        best = best.max((LIMIT_FLOATS * 4) as f64 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}
