//! What every request goes through: who may, how much, how long, and how failures are told.

mod answer;
mod body;
mod error;
mod guard;
mod lines;

pub(crate) use answer::{Keeping, Reply};
pub(crate) use body::{Bodies, Json};
pub(crate) use error::{ApiError, ErrorJson};
pub(crate) use guard::{Pace, guarded, guarded_host, open};
pub(crate) use lines::Lines;
