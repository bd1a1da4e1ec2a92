//! How much of what is nearest a search through an index finds: measured when a segment is written, by
//! searches for some of its rows as if they were not in it (`sample.rs`, `measure.rs`), and gone by where a
//! search says how much it wants found (`choose.rs`).
//!
//! The neighbours of a row are easier to find than those of a query that is none, since edges lead from it to
//! them. Were it only gone round, the nearest few would be harder to find, since their edges were chosen
//! with it in place: so others stand in for it ([`vecgo_index::Hidden`]). What is so found of ten of real
//! vectors is within a point of what is found for their queries, or up to three points less, and the less
//! the more is found.

mod choose;
mod measure;
mod sample;

pub(crate) use choose::effort_for;
pub(crate) use sample::{Given, Sample, sample_bytes};

/// How many neighbours are looked for: what is measured for these tells for others.
pub(crate) const NEIGHBOURS: [u32; 3] = [10, 32, 100];
