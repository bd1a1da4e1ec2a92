//! Of all that open a bucket to write, one at a time can; all others see what it has committed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the clock, starts threads and prints"
)]

mod counting;
mod crashes;
mod handover;
mod processes;
mod replicas;
