//! Copies of versions: in a place for backups (`snapshot.rs`), back from there (`restore.rs`), and as collections
//! of their own (`clone.rs`).
//!
//! A backup is an inventory that names copies of the objects that versions name, written once all of them
//! are there. Whatever has no inventory is no backup. A collection that is restored or cloned has an
//! identity of its own, and is in no catalogue before it is whole (`arrive.rs`).

mod arrive;
mod clone;
mod copy;
mod inventory;
mod leases;
mod place;
mod prove;
mod prune;
mod restore;
mod schedule;
mod snapshot;
mod taken;

pub use copy::{CopyProgress, CopyWatch, Copying};
pub use inventory::{BackupInfo, CollectionBackup, WhichBackup};
pub use place::{BackupPlace, CheckedBackups};
pub use prove::Proof;
pub use prune::{Keep, Pruned};
pub use restore::RestoreRequest;
pub(crate) use schedule::Backups;
pub use schedule::{BackupStats, Schedule};
pub use snapshot::Snapshotted;
pub use taken::WhichCollections;

/// What a restore or a clone came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The collections, by the names that they have now.
    pub collections: Vec<CollectionBackup>,
    /// Objects that they consist of.
    pub objects: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Bytes that passed through this process.
    pub copied_bytes: u64,
}
