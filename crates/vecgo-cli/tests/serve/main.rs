//! `vecgo serve` as its clients, its operator and those who mean it no good meet it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "users' files, other processes and their clocks")]

mod advisories;
mod api;
mod bucket;
mod collections;
mod configuration;
mod keys;
mod limits;
mod operation;
mod replica;
mod served;
mod stop;
mod streams;
mod tls;
mod traces;
