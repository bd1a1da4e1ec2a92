//! The engine on machines that are not as they should be: threads that get no time, calls that panic,
//! a disk that is nearly full.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod full_disk;
mod not_measured;
mod own_log;
mod panics;
mod reopened;
mod starved_merge;
mod store;
