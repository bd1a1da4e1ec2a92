//! Merging segments, off the write path: which ones (`plan.rs`), and the work itself (`job.rs`). The
//! writer starts it and names what it made (`write/merge.rs`).

mod job;
mod plan;

pub(crate) use job::{Merge, Output, memory_of, memory_of_rows};
pub(crate) use plan::{Policy, Summary, plan};
