//! Segments: immutable objects that hold rows.

mod ahead;
mod build;
mod check;
mod pieces;
mod reader;
mod resident;
mod rows;
mod through;
mod warm;

use std::sync::Arc;

pub(crate) use build::{Arrangement, ExtraSection, NewSegment, Order, build};
pub(crate) use check::SegmentCheck;
pub(crate) use pieces::{Runs, Stop};
pub(crate) use reader::{Segment, SegmentSource};
pub(crate) use rows::{Rows, SegmentRows};

use vecgo_format::Id;

use crate::Result;
use crate::memtable::DeadRows;

/// A segment as a view sees it: the rows, and which of them are dead.
#[derive(Debug, Clone)]
pub(crate) struct LiveSegment {
    pub(crate) segment: Arc<Segment>,
    pub(crate) dead: Arc<DeadRows>,
}

impl LiveSegment {
    /// The row that `id` named at `sequence`.
    pub(crate) async fn find(&self, id: &Id, sequence: u64) -> Result<Option<u32>> {
        let rows = self.segment.find(id).await?;
        Ok(rows.into_iter().find(|row| !self.dead.is_dead(*row, sequence)))
    }
}
