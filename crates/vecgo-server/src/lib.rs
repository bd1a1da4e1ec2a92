//! Vecgo over HTTP: one database, its collections, and what an operator needs beside.
//!
//! [`Settings`] say how a server is to be, [`Server::start`] opens the database and listens, and
//! [`Server::run`] serves until it is told to stop. Nothing here knows how data is kept: every request is a call
//! of the library.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "the engine is simulated, and not what serves it: clocks and threads are the machine's"
)]

mod api;
mod health;
mod held;
mod http;
mod keys;
mod listen;
mod logs;
mod metrics;
mod page;
mod serve;
mod settings;
mod stop;
#[cfg(feature = "otel")]
mod traces;
mod troubles;

pub use api::openapi;
pub use logs::{Logs, begin as begin_logs};
pub use serve::{Server, Stopped, serve};
pub use settings::{BYTES, Layers, Origin, Settings, SettingsError, Shown, bytes};
