//! Which records a search, a count, a scan or a deletion is about: by their metadata.
//!
//! A [`Filter`] is bound to tests of single fields ([`bind`]), each a set of keys where it can be.
//! The same tests are asked of a document where it stands ([`document`]) and of the fields that a
//! segment has in order ([`fields`]); where those leave doubt about a row its document decides.

mod bind;
mod document;
mod fields;
mod json;
mod kept;
mod matched;
mod operand;
mod rows;
mod tree;

pub(crate) use bind::{Bound, key};
pub(crate) use document::Judge;
pub(crate) use fields::row_of;
pub(crate) use kept::KeptMatches;
pub(crate) use matched::Matched;
pub use operand::Operand;
pub(crate) use rows::{MatchedRows, RowSet};
pub use tree::{Filter, MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_NODES, Op};
