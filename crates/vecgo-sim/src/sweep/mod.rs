//! Ways to go through what can happen.

mod bytes;
mod choices;
mod contest;
mod crashes;
mod errors;
mod requests;
mod restores;
mod seeds;
mod vault;

pub use bytes::{AtRest, Damage, Rest};
pub use choices::from_bytes;
pub use contest::{contest, ignored_conditions};
pub use crashes::exhaustive;
pub use errors::{Workload, errors, workloads};
pub use requests::{requests, unnoticed};
pub use restores::AtVault;
pub use seeds::seed;
pub use vault::vault;
