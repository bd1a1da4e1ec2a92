//! The fields of a segment's documents: which values each has, in order, and in which rows.
//!
//! A field is what one path of keys leads to, or, kept apart, the values in the lists to which it
//! leads. Its values are keys in pages, each with its number of rows; the rows of a value follow
//! those of the value before it, so that a range of values is a range of rows. A value that very
//! many rows have has a set of bits instead. Every so many rows there is a step: a set of all that
//! have a smaller value, so that what two steps differ by is a range of any size.

mod build;
mod directory;
mod key;

pub use build::{FieldSections, FieldsBuilder};
use directory::Page;
pub use directory::{Field, Fields, PageReader, Place, Value, Within};
pub use key::{FieldKey, KeyRange, ValueKind};

use crate::FormatError;

const WHAT: &str = "fields of a segment";

/// Fields of a segment beyond so many are not held.
pub const MAX_FIELDS: usize = 1024;

/// Fields of longer names, in bytes, are not held either.
const MAX_NAME: usize = 1024;

/// Bytes of a page of keys, about.
const PAGE_BYTES: usize = 4096;

/// A value of more than one row in so many has a set of bits: it takes no more than a list.
const DENSE_ONE_IN: u32 = 32;

/// There is a step once the values since the last one have more than one row in so many, and
/// [`STEP_ROWS`]: so steps take no more than lists, and few rows none.
const STEP_ONE_IN: u32 = 32;

const STEP_ROWS: u64 = 1024;

fn invalid(detail: String) -> FormatError {
    FormatError::Invalid { what: WHAT, offset: 0, detail }
}
