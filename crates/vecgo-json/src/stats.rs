use serde::Serialize;
use utoipa::ToSchema;
use vecgo::{RequestCounts, SegmentStats, Stats};

use crate::ConfigJson;

/// A collection in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StatsJson {
    /// Its name.
    pub collection: String,
    /// What it is.
    #[serde(flatten)]
    pub config: ConfigJson,
    /// Live records.
    pub records: u64,
    /// Rows that were replaced or deleted and are still there.
    pub dead_rows: u64,
    /// The version that is read; of the writer the last committed one.
    pub version: u64,
    /// Sequence number of the last write that is seen.
    pub sequence: u64,
    /// Of a replica, versions between the one that is read and the newest that was seen.
    pub lag_versions: Option<u64>,
    /// Of a replica, how long ago its version was last known to be the newest.
    pub lag_seconds: Option<f64>,
    /// Rows in memtables.
    pub memtable_rows: u64,
    /// Bytes of those.
    pub memtable_bytes: u64,
    /// The most memory that the database takes.
    pub memory_limit: u64,
    /// Bytes of the segments in the store.
    pub segment_bytes: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentJson>,
    /// What goes on beside requests and failed at the last try; it is tried again.
    pub failures: Vec<FailureJson>,
    /// Kernels in use.
    pub simd: &'static str,
    /// What was asked of the store since the database was opened; null where that costs nothing.
    pub requests: Option<RequestsJson>,
    /// Bytes of the store's objects that are kept on a disk of this machine.
    pub disk_cache_bytes: u64,
}

impl StatsJson {
    /// Those of a collection of this name.
    pub fn of(collection: &str, stats: &Stats) -> Self {
        let lag = stats.lag.as_ref();
        Self {
            collection: collection.to_owned(),
            config: (&stats.config).into(),
            records: stats.records,
            dead_rows: stats.dead_rows,
            version: stats.version,
            sequence: stats.sequence,
            lag_versions: lag.map(|lag| lag.versions),
            lag_seconds: lag.map(|lag| lag.age.as_secs_f64()),
            memtable_rows: stats.memtable_rows,
            memtable_bytes: stats.memtable_bytes,
            memory_limit: stats.memory.limit,
            segment_bytes: stats.segments.iter().map(|segment| segment.bytes).sum(),
            segments: stats.segments.iter().map(SegmentJson::from).collect(),
            failures: FailureJson::of(stats),
            simd: stats.simd,
            requests: stats.requests.map(RequestsJson::from),
            disk_cache_bytes: stats.disk_cache_bytes,
        }
    }
}

/// A segment in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SegmentJson {
    /// Its number.
    pub number: u64,
    /// Its rows.
    pub rows: u64,
    /// Rows of it that were replaced or deleted.
    pub dead_rows: u64,
    /// Its bytes in the store.
    pub bytes: u64,
    /// What it is searched by: `flat` if it has no index.
    pub index: String,
    /// What stands in for its vectors then.
    pub quantization: String,
}

impl From<&SegmentStats> for SegmentJson {
    fn from(segment: &SegmentStats) -> Self {
        Self {
            number: segment.number,
            rows: segment.rows,
            dead_rows: segment.dead_rows,
            bytes: segment.bytes,
            index: segment.index.to_string(),
            quantization: segment.quantization.to_string(),
        }
    }
}

/// What failed beside requests.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FailureJson {
    /// `writer`, which has stopped, `commit`, `flush`, `merge`, `vacuum`, `refresh`, `backup`, `prune`.
    pub what: &'static str,
    /// A kind as errors have it.
    pub kind: String,
    /// Why.
    pub message: String,
}

impl FailureJson {
    fn of(stats: &Stats) -> Vec<Self> {
        let failed = stats.failures();
        failed
            .filter_map(|(what, error)| {
                let error = error?;
                let (kind, message) = (error.kind().to_string(), error.message().to_owned());
                Some(Self { what, kind, message })
            })
            .collect()
    }
}

/// What was asked of a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RequestsJson {
    /// Objects, or parts of them, asked for.
    pub gets: u64,
    /// Objects, or parts of them, put.
    pub puts: u64,
    /// Listings.
    pub lists: u64,
    /// Deletions.
    pub deletes: u64,
    /// Bytes of bodies received.
    pub received_bytes: u64,
    /// Bytes of bodies sent.
    pub sent_bytes: u64,
    /// How many of them had to wait for each other.
    pub round_trips: u64,
    /// What they cost at the list prices of S3.
    pub dollars: f64,
}

impl From<RequestCounts> for RequestsJson {
    fn from(requests: RequestCounts) -> Self {
        Self {
            gets: requests.gets,
            puts: requests.puts,
            lists: requests.lists,
            deletes: requests.deletes,
            received_bytes: requests.received,
            sent_bytes: requests.sent,
            round_trips: requests.round_trips,
            dollars: requests.dollars(),
        }
    }
}
