//! The write path: one task a collection gives sequence numbers, appends to the log, applies to
//! the memtable and acknowledges; flushes and merges run beside it.

mod auto_commit;
mod batch;
mod beside;
mod commit;
mod deletes;
mod flush;
mod inbox;
mod merge;
mod open;
mod own_log;
mod reserve;
mod resolve;
mod room;
mod tail;
mod vacuum;
mod writer;

pub(crate) use batch::{Batch, Condition};
pub(crate) use inbox::{Inbox, Message, TagChange};
pub(crate) use open::open;
pub(crate) use own_log::forget as forget_own_log;
pub(crate) use writer::Writer;

/// What a write call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ack {
    /// Sequence number of the batch's last write.
    pub sequence: u64,
    /// Whether the batch already survives a crash of this machine.
    pub durable: bool,
    /// Records written or deleted.
    pub records: usize,
}
