//! Buckets to test Vecgo on: [`Fake`], which misbehaves as it is told to, and [`Server`]s that others
//! made.

#![forbid(unsafe_code)]

mod azure;
mod fake;
mod server;

pub use fake::{Asked, Fake, Fault, Trouble};
pub use server::{Server, Site};
