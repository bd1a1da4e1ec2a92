//! Searches held against brute force: through graphs and clusters, and among rows that no graph leads to.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

mod any_index;
mod codes;
mod configure;
mod disk;
mod fixture;
mod graph;
mod ivf;
mod merged;
#[path = "../oracle/mod.rs"]
mod oracle;
mod recall_target;
mod short_codes;
