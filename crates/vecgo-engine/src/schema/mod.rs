//! What a collection says of the fields of its documents, and changing it.
//!
//! Documents are checked where they are encoded ([`vecgo_format::encode_document_under`]): by the
//! caller under the schema of its view, and again by the writer if that has changed meanwhile. So
//! at every version all documents meet its schema, and a filter may go by it.

mod change;

use vecgo_format::{Document, Schema, decode_document, encode_document_under};

use crate::{Error, ErrorKind, Result};

/// An encoded document that is edited, as a schema has it.
pub(crate) fn rewritten(
    document: &[u8],
    schema: &Schema,
    edit: impl FnOnce(&mut Document),
) -> Result<Box<[u8]>> {
    let mut document = decode_document(document)
        .map_err(|error| Error::new(ErrorKind::Corruption, error.to_string()))?;
    edit(&mut document);
    Ok(encode_document_under(&document, schema)?.into())
}

/// Where a schema is not the one that is expected.
pub(crate) fn difference(found: &Schema, expected: &Schema) -> String {
    let said = |schema: &Schema, name: &str| match schema.field(name) {
        None => "not declared".to_owned(),
        Some(field) => {
            let required = if field.is_required() { ", required" } else { "" };
            let unindexed = if field.is_indexed() { "" } else { ", not indexed" };
            format!("{field}{required}{unindexed}")
        }
    };
    let names = found.fields().chain(expected.fields()).map(|(name, _)| name);
    let mut differing = names.filter(|name| found.field(name) != expected.field(name));
    match differing.next() {
        Some(name) => {
            let (found, expected) = (said(found, name), said(expected, name));
            format!("field `{name}` is {found}; asked for {expected}")
        }
        None => {
            let strict = |schema: &Schema| if schema.is_strict() { "strict" } else { "not strict" };
            format!("the schema is {}; asked for one that is {}", strict(found), strict(expected))
        }
    }
}
