//! Vecgo is an embedded vector database: it runs inside an application, keeps its data in a local
//! directory, and needs no other service.
//!
//! ```
//! use vecgo::{Config, Metric, Record, json};
//!
//! # fn main() -> vecgo::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("data");
//! let db = vecgo::open(&path).wait()?;
//! let docs = db.open_or_create("docs", Config::new(3, Metric::Cosine)).wait()?;
//! docs.upsert([
//!     Record::new("cat", [0.9, 0.1, 0.0]).metadata(json!({"title": "Cat"})),
//!     Record::new("dog", [0.8, 0.3, 0.1]).metadata(json!({"title": "Dog"})),
//!     Record::new("car", [0.0, 0.2, 0.9]).metadata(json!({"title": "Car"})),
//! ])
//! .wait()?;
//! docs.commit().wait()?;
//!
//! let hits = docs.search([1.0, 0.2, 0.0]).k(2).with_metadata().wait()?;
//! assert_eq!(hits[0].id, "cat".into());
//! assert_eq!(hits[1].metadata, Some(json!({"title": "Dog"})));
//! docs.close().wait()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Waiting and awaiting
//!
//! Every call that may wait returns a [`Call`] or a builder: `.await` it under any executor, or
//! finish it in place with `.wait()`. An awaited call runs on the database's own threads, but for
//! searches too short to be worth the way there.
//!
//! # What is promised
//!
//! * A batch is wholly applied or wholly absent, in this process, in others, and after a crash.
//! * A write acknowledged as durable ([`Ack::durable`]) survives any crash of the process or the
//!   machine. [`WalSync`] says when that is; by default always.
//! * `commit` returns when every earlier write is durable and visible to other processes.
//! * One writer a collection; any number of readers, which need no lock and see one version.
//! * Whatever bytes are in the files, reading them ends in an error or the right answer.

#![forbid(unsafe_code)]

mod backup;
mod call;
mod collection;
mod create;
mod database;
pub mod filter;
mod scan;
mod search;

pub use backup::{Backups, CloneTo, Restore, Restored, Snapshot, backups, restore};
pub use call::Call;
pub use collection::{Collection, Pin};
pub use create::{Create, OpenOrCreate};
pub use database::{Database, Open, open};
pub use scan::{Scan, ScanBuilder};
pub use search::{Search, SearchBatch};

pub use serde_json::json;
pub use vecgo_engine::{
    Ack, AutoCommit, BackupInfo, BackupStats, CheckedBackups, CollectionBackup, CollectionInfo,
    Config, ConfigError, Copied, CopyProgress, Damage, Document, Error, ErrorKind, Explained,
    Facet, FieldSchema, FieldType, Filter, GraphBuild, Group, Hit, Id, IdError, Index, Keep, Lag,
    MAX_CANDIDATES, MAX_CLUSTERS, MAX_DIM, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_ID_BYTES,
    MAX_SCHEMA_BYTES, MAX_SCHEMA_FIELDS, MemoryStats, Metric, PartExplained, PinStats, Plan, Proof,
    Pruned, Quantization, RecallTarget, Record, Records, RequestCounts, Result, Retention, Schema,
    SchemaError, SegmentStats, SegmentWritten, Sizing, Snapshotted, Stats, Update, Vacuumed,
    VerifyReport, VersionInfo, WalSync, WhichBackup,
};

/// The programs of README.md and of the guides of the library are compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/library.md")]
    struct Library;
    #[doc = include_str!("../../../docs/deployment.md")]
    struct Deployment;
    #[doc = include_str!("../../../docs/filters.md")]
    struct Filters;
    #[doc = include_str!("../../../docs/schemas.md")]
    struct Schemas;
    #[doc = include_str!("../../../docs/backup-and-recovery.md")]
    struct BackupAndRecovery;
    #[doc = include_str!("../../../docs/shared-storage.md")]
    struct SharedStorage;
}
