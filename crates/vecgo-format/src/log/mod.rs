//! The log: a row of numbered files or objects, each a header and then one frame a batch.
//!
//! A frame is whole or it is not there: its checksum covers its header and its writes. Each frame
//! says how far the log was known durable when it was written (`synced_through`), so that a torn
//! tail and damage in the middle are told apart.

mod frame;
mod header;
mod moved;
mod reader;

pub use frame::{Frame, FrameBuilder, Kill, Op, vector_of};
pub use header::{LogHeader, Previous};
pub use moved::MovedLog;
pub use reader::{LogEnd, LogReader};

/// A place in one log, always between two frames.
///
/// `checksum` stands for every byte before `length`, so that two logs that agree on a position
/// agree on their contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogPosition {
    /// Bytes before this place.
    pub length: u64,
    /// Running checksum over the header and all frames before it.
    pub checksum: u64,
}
