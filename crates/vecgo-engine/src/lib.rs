//! The stateful heart of Vecgo.
//!
//! A version is a manifest that names immutable objects; everything here makes such versions,
//! reads them, or brings one back. `ARCHITECTURE.md` at the root of the repository says which
//! folder answers which question.
//!
//! What a public function does that reads or opens is a `BoxFuture`: an `async fn` would be compiled once more in
//! every crate that awaits it, with all that it calls. Those that only ask the writer may be `async`.

#![forbid(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!(
    "Vecgo reads its little-endian files in place and has not been built for big-endian machines"
);

mod backup;
mod catalogue;
mod collection;
mod compact;
mod error;
mod filter;
mod index;
mod manifest;
mod memtable;
mod options;
mod query;
mod recall;
mod record;
mod recover;
mod schema;
mod segment;
mod short_codes;
mod sizing;
mod vacuum;
mod verify;
mod write;

pub use backup::{
    BackupInfo, BackupPlace, BackupStats, CheckedBackups, CollectionBackup, Copied, CopyProgress,
    CopyWatch, Copying, Keep, Proof, Pruned, RestoreRequest, Schedule, Snapshotted, WhichBackup,
    WhichCollections,
};
pub use catalogue::{CollectionInfo, Database};
pub use vecgo_io::RequestCounts;

pub use collection::{Collection, Lag, SegmentStats, SegmentWritten, Stats};
pub use error::{Error, ErrorKind, Result};
pub use filter::{Filter, MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_NODES, Op, Operand};
pub use index::GraphBuild;
pub use manifest::VersionInfo;
pub use options::{AutoCommit, Options, WalSync};
pub use query::{
    Explained, Facet, Fetch, Group, Grouping, Hit, MAX_CANDIDATES, PartExplained, Plan, Request,
    Scan, SearchParams, Selection,
};
pub use record::{Patch, Record, Update};
pub use sizing::{Records, Sizing};
pub use vacuum::{Pin, PinStats, Retention, Vacuumed};
pub use verify::{Damage, VerifyReport};
pub use write::Ack;

pub use vecgo_io::MemoryStats;

pub use vecgo_format::{
    Config, ConfigError, Document, FieldSchema, FieldType, Id, IdError, Index, MAX_CLUSTERS,
    MAX_DIM, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_ID_BYTES, MAX_SCHEMA_BYTES,
    MAX_SCHEMA_FIELDS, Metric, Quantization, RecallTarget, Schema, SchemaError, Timestamp,
    TimestampError,
};
