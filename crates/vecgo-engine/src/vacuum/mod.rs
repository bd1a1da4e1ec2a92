//! Which versions are kept (`retention.rs`, `pins.rs`), and deleting what only the others name
//! (`sweep.rs`). The writer's part of it is in `write/vacuum.rs`.

pub(crate) mod pins;
mod retention;
mod sweep;

pub(crate) use pins::pinned;
pub use pins::{Pin, PinStats};
pub use retention::Retention;
pub(crate) use retention::{Named, Past, freed, objects};
pub use sweep::Vacuumed;
pub(crate) use sweep::{Sweep, Swept, delete_all};
