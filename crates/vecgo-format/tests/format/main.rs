//! What is written is read again as it was, and nothing else is read.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
mod config;
mod document;
mod hostile;
mod ids;
mod log;
mod objects;
mod schema;
mod segment;
mod versions;
