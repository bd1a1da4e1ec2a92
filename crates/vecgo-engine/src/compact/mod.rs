//! Merging segments, off the write path: which ones (`plan.rs`), how the rows of the new one are
//! arranged (`arrange.rs`), and the work itself (`job.rs`). The writer starts it and names what it
//! made (`write/merge.rs`).

mod arrange;
mod job;
mod plan;

pub(crate) use job::{Merge, Output};
pub(crate) use plan::{Summary, plan};
