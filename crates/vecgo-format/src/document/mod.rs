//! Metadata documents: JSON objects with 64-bit integers kept apart from floats.

mod encode;
mod raw;
mod timestamp;

pub use encode::{encode_document, encode_document_under};
pub use raw::{RawList, RawObject, RawValue};
pub use timestamp::{Timestamp, TimestampError};

use serde_json::{Map, Number, Value};
use thiserror::Error;

use crate::FormatError;
use crate::codec::Decoder;

/// A metadata document: a JSON object.
pub type Document = Map<String, Value>;

/// Largest encoded document.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Deepest nesting of lists and objects, the document itself counted.
pub const MAX_DOCUMENT_DEPTH: usize = 64;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const LIST: u8 = 6;
const OBJECT: u8 = 7;
const TIMESTAMP: u8 = 8;

/// Why a document cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// An integer that neither `i64` nor `f64` holds exactly.
    #[error(
        "metadata field `{field}` is {found}; integers range from {} to {}",
        i64::MIN,
        i64::MAX
    )]
    Integer {
        /// Dotted path of the field.
        field: String,
        /// The number.
        found: String,
    },
    /// Nesting beyond [`MAX_DOCUMENT_DEPTH`].
    #[error("metadata is nested more than {MAX_DOCUMENT_DEPTH} deep at field `{field}`")]
    Depth {
        /// Dotted path of the field.
        field: String,
    },
    /// An encoding beyond [`MAX_DOCUMENT_BYTES`].
    #[error("metadata takes more than {MAX_DOCUMENT_BYTES} bytes")]
    Size,
    /// A value of another type than the schema says.
    #[error("metadata field `{field}` is {found}; expected {expected}")]
    Type {
        /// Dotted path of the field.
        field: String,
        /// The type that the schema says.
        expected: String,
        /// The value, as far as it is short.
        found: String,
    },
    /// A field that the schema requires.
    #[error("metadata field `{field}` is missing; expected {expected}")]
    Missing {
        /// Dotted path of the field.
        field: String,
        /// The type that the schema says.
        expected: String,
    },
    /// A field that a strict schema does not have.
    #[error("metadata field `{field}` is not in the schema, which is strict; expected {declared}")]
    Undeclared {
        /// Dotted path of the field.
        field: String,
        /// What is declared beside it.
        declared: String,
    },
}

/// Decodes what [`encode_document`] made.
///
/// # Errors
/// [`FormatError`] if the bytes are anything else.
pub fn decode_document(bytes: &[u8]) -> Result<Document, FormatError> {
    if bytes.is_empty() {
        return Ok(Document::new());
    }
    let mut decoder = Decoder::new("metadata document", bytes);
    let document = decode_object(&mut decoder, 1)?;
    decoder.expect_end()?;
    if document.is_empty() {
        return Err(decoder.invalid("an empty document takes no bytes"));
    }
    Ok(document)
}

fn decode_object(bytes: &mut Decoder<'_>, depth: usize) -> Result<Document, FormatError> {
    let fields = bytes.length()?;
    let mut object = Document::new();
    let mut last: Option<&str> = None;
    for _ in 0..fields {
        let key = bytes.text()?;
        if last.is_some_and(|last| last >= key) {
            return Err(bytes.invalid(format!("key {key:?} out of order")));
        }
        last = Some(key);
        object.insert(key.to_owned(), decode_value(bytes, depth)?);
    }
    Ok(object)
}

fn decode_value(bytes: &mut Decoder<'_>, depth: usize) -> Result<Value, FormatError> {
    let tag = bytes.u8()?;
    if depth >= MAX_DOCUMENT_DEPTH && (tag == LIST || tag == OBJECT) {
        return Err(bytes.unknown(format!("nested more than {MAX_DOCUMENT_DEPTH} deep")));
    }
    Ok(match tag {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => Value::from(i64::from_le_bytes(bytes.u64()?.to_le_bytes())),
        FLOAT => {
            let float = f64::from_bits(bytes.u64()?);
            let number = Number::from_f64(float);
            Value::Number(number.ok_or_else(|| bytes.invalid(format!("float {float}")))?)
        }
        TEXT => Value::String(bytes.text()?.to_owned()),
        TIMESTAMP => {
            let text = bytes.text()?;
            Timestamp::parse(text).map_err(|error| bytes.invalid(error.to_string()))?;
            Value::String(text.to_owned())
        }
        LIST => {
            let items = bytes.length()?;
            let mut list = Vec::new();
            for _ in 0..items {
                list.push(decode_value(bytes, depth + 1)?);
            }
            Value::Array(list)
        }
        OBJECT => Value::Object(decode_object(bytes, depth + 1)?),
        tag => return Err(bytes.unknown(format!("value of kind {tag}"))),
    })
}
