//! `.fvecs` and `.bvecs`: each row is its dimension, a little-endian `i32`, and then its values.

use std::io::{Read, Seek};

use super::{Element, Fault, Layout, checked_dim, take};

/// The bytes of a row's dimension.
const PREFIX: u64 = 4;

/// Learns the layout from the first row and the file's length, and goes back to the first row.
/// That the other rows are like the first is seen only as they are read.
pub(super) fn open(
    reader: &mut (impl Read + Seek),
    len: u64,
    element: Element,
) -> Result<Layout, Fault> {
    let first = i32::from_le_bytes(take(reader, "the dimension of a first row")?);
    let dim = u64::try_from(first)
        .map_err(|_| Fault::new("a positive dimension in the first row", first.to_string()))
        .and_then(checked_dim)?;
    reader.rewind()?;

    // No overflow: the dimension is bounded, and `usize` is at most 64 bits wide.
    let row_bytes = PREFIX + (dim * element.size()) as u64;
    if !len.is_multiple_of(row_bytes) {
        return Err(Fault::new(
            format!("whole rows of {row_bytes} bytes (the first has {dim} values)"),
            format!("{len} bytes, which end within a row"),
        ));
    }
    Ok(Layout { element, rows: len / row_bytes, dim, prefixed: true })
}

/// Reads the dimension in front of a row, which must be that of the first row.
pub(super) fn check_row_dim(reader: &mut impl Read, row: u64, dim: usize) -> Result<(), Fault> {
    let found = i32::from_le_bytes(take(reader, format_args!("the dimension of row {row}"))?);
    if usize::try_from(found) == Ok(dim) {
        return Ok(());
    }
    Err(Fault::new(
        format!("every row to have {dim} values, as the first has"),
        format!("{found} in row {row} (counting from 0)"),
    ))
}
