//! The engine on a simulated machine: crashes at every step, disks that fail, networks that lose,
//! repeat and delay, all from one seed and on one thread.
//!
//! It is the engine itself that runs here. It reaches the world only through the seams of
//! `vecgo-io`, and this crate has one of each. The driver writes down what it asks and what it is
//! told; from that alone the oracle knows what must be there. `ARCHITECTURE.md` says where an
//! operation, a fault, an outcome of a crash or a promise is added, `RELIABILITY.md` what is
//! promised and shown.
//!
//! ```
//! use std::sync::Arc;
//!
//! use vecgo_sim::{Trace, seed};
//!
//! let (first, second) = (Arc::new(Trace::default()), Arc::new(Trace::default()));
//! let tally = seed(7, &first).expect("no promise is broken");
//! assert!(tally.crashes > 0);
//! seed(7, &second).expect("nor the second time");
//! assert_eq!(first.hash(), second.hash());
//! ```

#![forbid(unsafe_code)]

mod bucket;
mod check;
mod disk;
mod golden;
mod machine;
mod oracle;
mod random;
mod settings;
mod sweep;
mod tally;
mod violation;
mod workload;

pub use bucket::{RequestFault, SimBucket};
pub use check::Checker;
pub use disk::{Fault, FaultKind, Image, Outcome, SimDisk};
pub use golden::golden;
pub use machine::{Machine, Process, SimClock, Trace};
pub use oracle::{Expected, History, Mark, Names, Oracle, Row, Rows, Version};
pub use random::Random;
pub use settings::{Indexed, Settings};
pub use sweep::{
    AtRest, AtVault, Damage, Rest, Workload, contest, errors, exhaustive, from_bytes,
    ignored_conditions, requests, seed, unnoticed, vault, workloads,
};
pub use tally::Tally;
pub use violation::Violation;
pub use workload::{Driver, End, Operation, Part, Phase, Plan, Span};
