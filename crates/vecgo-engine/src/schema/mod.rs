//! What a collection says of the fields of its documents, and changing it.
//!
//! Documents are checked where they are encoded ([`vecgo_format::encode_document_under`]): by the
//! caller under the schema of its view, and again by the writer if that has changed meanwhile. So
//! at every version all documents meet its schema, and a filter may go by it.

mod change;

pub(crate) use change::NewSchema;

use vecgo_format::{Document, Schema, decode_document, encode_document_under};

use crate::{Error, Result};

/// An encoded document that is edited, as a schema has it.
pub(crate) fn rewritten(
    document: &[u8],
    schema: &Schema,
    edit: impl FnOnce(&mut Document),
) -> Result<Box<[u8]>> {
    let mut document =
        decode_document(document).map_err(|error| Error::format("a record", error))?;
    edit(&mut document);
    Ok(encode_document_under(&document, schema)?.into())
}
