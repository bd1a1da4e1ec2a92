//! What every request goes through: who may, how much, how long, and how failures are told.

mod body;
mod error;
mod guard;
mod lines;

pub(crate) use body::{Bodies, Json, Reply};
pub(crate) use error::{ApiError, ErrorJson};
pub(crate) use guard::{Pace, guarded, open};
pub(crate) use lines::Lines;
