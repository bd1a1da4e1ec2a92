//! What clients do, and what is written down about it.

mod backing_up;
mod driver;
mod operation;
mod plan;
mod reading;
mod session;

pub use driver::Driver;
pub(crate) use driver::Point;
pub use operation::{Operation, Part, Span};
pub use plan::{End, Phase, Plan};
pub(crate) use session::{DOCS, DOCS_DIM, Excuse, Numbers, Session};
