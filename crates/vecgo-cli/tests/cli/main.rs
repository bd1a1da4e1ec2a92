//! The `vecgo` command as scripts use it: arguments in, JSON and exit codes out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "users' files, other processes and their clocks")]
#![expect(clippy::disallowed_macros, reason = "a skipped test says so")]

mod backups;
mod bench;
mod collections;
mod command;
mod compact;
mod datasets;
mod demo;
mod files;
mod filters;
mod import;
mod import_failures;
mod inspect;
mod memory;
mod numbering;
mod output;
mod processes;
mod read_only;
mod records;
mod search;
mod verify;
