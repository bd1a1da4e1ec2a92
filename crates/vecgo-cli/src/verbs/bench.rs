#![expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vecgo::{Collection, Config, Id, Metric};
use vecgo_kernels::{Kernels, PageBuf};

use super::{check_knobs, reader};
use crate::Answer;
use crate::args::{Bench, Target};
use crate::failure::Failure;
use crate::output::Output;
use crate::vector_file::{VectorFile, read_truth};

const MIN_PASSES: usize = 3;
const MIN_TIME: Duration = Duration::from_secs(3);
/// More than any cache holds.
const LIMIT_FLOATS: usize = 64 << 20;
/// A row whose distance is so little beyond that of the k-th true row counts as found.
const TIE: f64 = 1e-6;

/// One pass over all queries.
struct Pass {
    seconds: f64,
    /// Of each query, in no order; empty if they went in one call.
    latencies: Vec<f64>,
}

pub(crate) fn run(target: &Target, args: Bench, out: &Output) -> Result<Answer, Failure> {
    let collection = reader(target)?;
    check_knobs(&args.knobs, &collection)?;
    if let Some(sweep) = &args.sweep {
        let index = collection.config().index();
        let message = format!("--sweep {sweep} does nothing for the index `{index}`; leave it out");
        return Err(Failure::invalid(message));
    }
    if args.threads == 0 || args.k == 0 {
        return Err(Failure::usage("--threads and -k must be 1 or more"));
    }
    let queries = read_queries(&args.queries, collection.config())?;
    let truth = read_truth(&args.truth, queries.len(), args.k)?;
    let queries = &queries[..queries.len().min(truth.len())];
    if queries.is_empty() {
        return Err(Failure::invalid("no queries, or no truth for them"));
    }
    let recall = recall(&collection, queries, &truth, args.k)?;
    let one_pass = || pass(&collection, queries, &args);
    one_pass()?;
    let mut passes = Vec::new();
    let start = Instant::now();
    while passes.len() < MIN_PASSES || start.elapsed() < MIN_TIME {
        passes.push(one_pass()?);
    }
    report(&collection, &args, queries.len(), recall, passes, out)
}

fn read_queries(path: &Path, config: &Config) -> Result<Vec<Vec<f32>>, Failure> {
    let mut file = VectorFile::open(path)?;
    if file.dim() != config.dim() {
        let (found, expected) = (file.dim(), config.dim());
        let path = path.display();
        return Err(Failure::invalid(format!("{path}: {found} dimensions; expected {expected}")));
    }
    let (mut queries, mut rows) = (Vec::new(), Vec::new());
    while file.read_rows(1024, &mut rows)? > 0 {
        queries.extend(rows.chunks_exact(config.dim()).map(<[f32]>::to_vec));
    }
    Ok(queries)
}

fn pass(collection: &Collection, queries: &[Vec<f32>], args: &Bench) -> Result<Pass, Failure> {
    let start = Instant::now();
    if args.batch {
        collection.search_batch(queries).k(args.k).wait()?;
        return Ok(Pass { seconds: start.elapsed().as_secs_f64(), latencies: Vec::new() });
    }
    let share = queries.len().div_ceil(args.threads);
    let one_share = |queries: &[Vec<f32>]| -> Result<Vec<f64>, Failure> {
        let mut latencies = Vec::with_capacity(queries.len());
        for query in queries {
            let start = Instant::now();
            collection.search(query).k(args.k).wait()?;
            latencies.push(start.elapsed().as_secs_f64());
        }
        Ok(latencies)
    };
    let latencies = if args.threads == 1 {
        one_share(queries)?
    } else {
        thread::scope(|scope| {
            let threads: Vec<_> =
                queries.chunks(share).map(|queries| scope.spawn(|| one_share(queries))).collect();
            let mut latencies = Vec::new();
            for thread in threads {
                let panicked = |_| Failure::new(vecgo::ErrorKind::Internal, "a thread panicked");
                latencies.extend(thread.join().map_err(panicked)??);
            }
            Ok::<_, Failure>(latencies)
        })?
    };
    Ok(Pass { seconds: start.elapsed().as_secs_f64(), latencies })
}

/// Share of the k nearest rows found, by true distance, so that equal neighbours count and
/// others do not.
#[expect(clippy::cast_precision_loss, reason = "a share of some thousand queries")]
fn recall(
    collection: &Collection,
    queries: &[Vec<f32>],
    truth: &[Vec<i64>],
    k: usize,
) -> Result<f64, Failure> {
    let metric = collection.config().metric();
    let mut found = 0.0;
    for (query, row) in queries.iter().zip(truth) {
        let nearest: Vec<Id> =
            row.iter().take_while(|n| **n >= 0).map(|n| Id::from(n.unsigned_abs())).collect();
        let Some(last) = nearest.last() else {
            found += 1.0;
            continue;
        };
        let last_record = collection.get(last).wait()?.ok_or_else(|| {
            Failure::invalid(format!("the truth names row {last}, which is no record's id"))
        })?;
        let limit = distance(metric, query, &last_record.vector);
        let limit = limit + TIE * limit.abs().max(1.0);
        let hits = collection.search(query).k(k).with_vector().wait()?;
        let near = hits.iter().filter(|hit| {
            hit.vector.as_ref().is_some_and(|vector| distance(metric, query, vector) <= limit)
        });
        found += near.count().min(nearest.len()) as f64 / nearest.len() as f64;
    }
    Ok(found / queries.len() as f64)
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot = pairs().map(|(a, b)| a * b).sum::<f64>();
    let length = |v: &[f32]| v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    match metric {
        Metric::L2 => pairs().map(|(a, b)| (a - b) * (a - b)).sum(),
        Metric::Dot => -dot,
        Metric::Cosine => 1.0 - dot / (length(a) * length(b)),
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

#[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
fn report(
    collection: &Collection,
    args: &Bench,
    queries: usize,
    recall: f64,
    mut passes: Vec<Pass>,
    out: &Output,
) -> Result<Answer, Failure> {
    passes.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let qps = |pass: &Pass| queries as f64 / pass.seconds;
    let (fastest, slowest) = (&passes[0], &passes[passes.len() - 1]);
    let median = &passes[passes.len() / 2];
    let mut latencies = fastest.latencies.clone();
    latencies.sort_by(f64::total_cmp);
    let percentile = |percent: usize| {
        let place = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(Value::Null, |seconds| Value::from(seconds * 1e6))
    };
    let param = if args.knobs.exact { "exact" } else { "default" };
    let bandwidth = read_bandwidth()?;
    let stats = collection.stats();
    let scanned = (stats.records + stats.dead_rows) as f64 * stats.config.dim() as f64 * 4.0;
    let scan = scanned * qps(fastest) / args.threads as f64;
    out.object(&json!({
        "points": [{
            "param": param,
            "recall": recall,
            "qps": qps(fastest),
            "qps_median": qps(median),
            "qps_slowest": qps(slowest),
            "passes": passes.len(),
            "p50_us": percentile(50),
            "p95_us": percentile(95),
            "p99_us": percentile(99),
        }],
        "queries": queries,
        "threads": args.threads,
        "simd": stats.simd,
        "limits": {
            "read_bytes_per_s": bandwidth,
            "scan_bytes_per_s": scan,
            "share": scan / bandwidth,
        },
    }));
    let us = |percent| percentile(percent).as_f64().map_or("-".to_owned(), |us| format!("{us:.0}"));
    out.line("param      recall      qps   median  slowest   p50 us   p95 us   p99 us");
    out.line(format!(
        "{param:<8} {recall:>8.4} {:>8.0} {:>8.0} {:>8.0} {:>8} {:>8} {:>8}",
        qps(fastest),
        qps(median),
        qps(slowest),
        us(50),
        us(95),
        us(99),
    ));
    out.line(format!(
        "limit: one core reads {:.1} GB/s; the vectors were read at {:.1} GB/s a thread, {:.0}%, \
         with {} kernels",
        bandwidth / 1e9,
        scan / 1e9,
        100.0 * scan / bandwidth,
        stats.simd,
    ));
    Ok(Answer::Yes)
}
