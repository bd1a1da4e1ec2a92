#![expect(
    clippy::disallowed_methods,
    reason = "what takes time is measured by the machine's clock"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use vecgo::{Config, Index, Quantization, Record, Records};
use vecgo_json::ConfigJson;

use super::configure::indexed;
use crate::Answer;
use crate::args::Sizing;
use crate::failure::Failure;
use crate::output::{Output, bytes};

/// Rows of which an index is made to see how long that takes.
const MEASURED_ROWS: u64 = 20_000;
/// And bytes of their vectors at most.
const MEASURED_BYTES: u64 = 256 << 20;
/// Rows of which the centroids of product quantization are found, at most.
const TRAINING_ROWS: u64 = 65_536;
/// How much of the time that product quantization takes goes into that, if all are.
const TRAINING: f64 = 0.95;
/// How much longer a row takes each time that there are twice as many.
const GROWTH: f64 = 0.09;
/// What an import takes by what its last index does: smaller ones are made on the way. With this four sets
/// of real vectors, of 67,000 to 848,000 rows, take within a tenth of what is said.
const IMPORT: f64 = 1.25;

/// What `sizing` says.
#[derive(Serialize)]
struct Reckoned {
    #[serde(flatten)]
    config: ConfigJson,
    rows: u64,
    #[serde(flatten)]
    parts: BTreeMap<&'static str, u64>,
    import_seconds: Option<f64>,
}

pub(crate) fn run(args: &Sizing, out: &Output) -> Result<Answer, Failure> {
    let config = indexed(Config::new(args.dim, args.metric), &args.index)?;
    let records = Records {
        rows: args.rows,
        id_bytes: args.id_bytes,
        metadata_bytes: args.metadata_bytes,
        payload_bytes: args.payload_bytes,
    };
    let sizing = vecgo::Sizing::of(&config, records)?;
    let import = match args.no_time || config.index() == Index::Flat {
        true => None,
        false => Some(import_time(&config, args.rows)?),
    };
    let parts = [
        ("searched", sizing.searched, "memory that searches need"),
        ("vectors", sizing.vectors, "vectors beside, held where all fit the cache: faster"),
        ("lookup", sizing.lookup, "ids, where records are written or got by id"),
        ("memtables", sizing.memtables, "of a writer, at most"),
        ("merge", sizing.merge, "while all is merged into one segment, at most"),
        ("disk", sizing.disk, "disk, once all is merged"),
        ("disk_peak", sizing.disk_peak, "disk, while all is merged"),
    ];
    out.object(&Reckoned {
        config: (&config).into(),
        rows: args.rows,
        parts: parts.iter().map(|(name, size, _)| (*name, *size)).collect(),
        import_seconds: import.map(|time| time.as_secs_f64()),
    });
    out.line(format!("{} records, {config}", args.rows));
    for (_, size, what) in parts.iter().filter(|(_, size, _)| *size > 0) {
        out.line(format!("  {:>10}  {what}", bytes(*size)));
    }
    if let Some(time) = import {
        out.line(format!("  {:>8.0} s  to import them, on this machine", time.as_secs_f64()));
    }
    Ok(Answer::Yes)
}

/// About how long it takes to import so many rows.
fn import_time(config: &Config, rows: u64) -> Result<Duration, Failure> {
    let row = config.dim() as u64 * 4;
    let measured = rows.min(MEASURED_BYTES / row).clamp(1, MEASURED_ROWS);
    let times = |rows: u64| rows.max(1) as f64 / measured as f64;
    let of_all = |took: Duration| {
        let times = times(rows);
        took.mul_f64(IMPORT * times * (1.0 + GROWTH * times.log2()))
    };
    let took = compact_time(config, measured)?;
    if !matches!(config.quantization(), Quantization::Pq { .. }) {
        return Ok(of_all(took));
    }
    // Centroids are found of some rows, however many there are.
    let others = config.with_quantization(Quantization::RaBitQ { bits: 8 });
    let others = compact_time(&others, measured)?;
    let codes = took.saturating_sub(others);
    let trained = codes.mul_f64(TRAINING * times(rows.min(TRAINING_ROWS)));
    Ok(of_all(others) + trained + codes.mul_f64((1.0 - TRAINING) * times(rows)))
}

/// How long it takes to make the index of so many rows.
fn compact_time(config: &Config, rows: u64) -> Result<Duration, Failure> {
    let db = vecgo::open("memory://").auto_compact(false).index_rows(1).wait()?;
    let docs = db.open_or_create("sizing", *config).wait()?;
    let mut random = Clustered::new(config.dim());
    let batch = (docs.largest_batch() / 2 / config.dim() / 4).clamp(1, 1000);
    for first in (0..rows).step_by(batch) {
        let ids = first..rows.min(first + batch as u64);
        let records = ids.map(|id| Record::new(id, random.vector()));
        docs.upsert(records).wait()?;
    }
    docs.flush().wait()?;
    let start = Instant::now();
    docs.compact().wait()?;
    let took = start.elapsed();
    docs.close().wait()?;
    Ok(took)
}

/// Vectors in clusters, as those of texts and pictures are.
struct Clustered {
    state: u64,
    centres: Vec<Vec<f32>>,
}

impl Clustered {
    const CENTRES: usize = 200;

    fn new(dim: usize) -> Self {
        let mut made = Self { state: 1, centres: Vec::new() };
        made.centres =
            (0..Self::CENTRES).map(|_| (0..dim).map(|_| made.number()).collect()).collect();
        made
    }

    /// From -1 to 1.
    fn number(&mut self) -> f32 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn vector(&mut self) -> Vec<f32> {
        let centre = (self.state >> 33) as usize % Self::CENTRES;
        let dim = self.centres[centre].len();
        (0..dim).map(|place| self.centres[centre][place] + self.number()).collect()
    }
}
