//! Values of encoded documents, read where they stand.

use super::{
    FALSE, FLOAT, INT, LIST, MAX_DOCUMENT_DEPTH, NULL, OBJECT, TEXT, TIMESTAMP, TRUE, Timestamp,
};
use crate::FormatError;
use crate::codec::Decoder;

/// A value in an encoded document.
#[derive(Debug, Clone)]
pub enum RawValue<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that an `i64` holds.
    Int(i64),
    /// Any other; finite in what [`encode_document`](super::encode_document) made.
    Float(f64),
    /// UTF-8, if it is what [`encode_document`](super::encode_document) made.
    Text(&'a [u8]),
    /// A string that is a timestamp by a schema.
    Timestamp(Timestamp),
    /// A list.
    List(RawList<'a>),
    /// An object.
    Object(RawObject<'a>),
}

/// The values of a list that have not been read.
#[derive(Debug, Clone)]
pub struct RawList<'a> {
    bytes: Decoder<'a>,
    left: usize,
    depth: usize,
}

/// The fields of an object that have not been read, in the order of their keys' bytes.
#[derive(Debug, Clone)]
pub struct RawObject<'a> {
    bytes: Decoder<'a>,
    left: usize,
    depth: usize,
}

impl<'a> RawObject<'a> {
    /// An encoded document.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes cannot be one.
    pub fn document(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut bytes = Decoder::new("metadata document", bytes);
        let left = if bytes.left() == 0 { 0 } else { bytes.length()? };
        Ok(Self { bytes, left, depth: 1 })
    }

    /// How many fields have not been read.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next field's key and value.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes cannot be an object's.
    pub fn next_field(&mut self) -> Result<Option<(&'a [u8], RawValue<'a>)>, FormatError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        let key = self.bytes.bytes()?;
        let value = read(&mut self.bytes, self.depth)?;
        self.left = left;
        Ok(Some((key, value)))
    }

    /// The value at a path of keys, which is not empty.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes cannot be an object's.
    pub fn find(mut self, path: &[String]) -> Result<Option<RawValue<'a>>, FormatError> {
        let Some((wanted, rest)) = path.split_first() else { return Ok(None) };
        while let Some(left) = self.left.checked_sub(1) {
            let key = self.bytes.bytes()?;
            match key.cmp(wanted.as_bytes()) {
                std::cmp::Ordering::Less => skip(&mut self.bytes, self.depth)?,
                std::cmp::Ordering::Greater => return Ok(None),
                std::cmp::Ordering::Equal => {
                    let value = begin(&mut self.bytes, self.depth)?;
                    return match (value, rest) {
                        (value, []) => Ok(Some(value)),
                        // As deep as the path is long: a few dozen at most.
                        (RawValue::Object(object), rest) => object.find(rest),
                        _ => Ok(None),
                    };
                }
            }
            self.left = left;
        }
        Ok(None)
    }
}

impl<'a> RawList<'a> {
    /// How many values have not been read.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next value.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes cannot be a list's.
    pub fn next_value(&mut self) -> Result<Option<RawValue<'a>>, FormatError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        let value = read(&mut self.bytes, self.depth)?;
        self.left = left;
        Ok(Some(value))
    }
}

/// Reads a value up to where those in it begin.
fn begin<'a>(bytes: &mut Decoder<'a>, depth: usize) -> Result<RawValue<'a>, FormatError> {
    let tag = bytes.u8()?;
    if depth >= MAX_DOCUMENT_DEPTH && (tag == LIST || tag == OBJECT) {
        return Err(bytes.unknown(format!("nested more than {MAX_DOCUMENT_DEPTH} deep")));
    }
    Ok(match tag {
        NULL => RawValue::Null,
        FALSE => RawValue::Bool(false),
        TRUE => RawValue::Bool(true),
        INT => RawValue::Int(i64::from_le_bytes(bytes.u64()?.to_le_bytes())),
        FLOAT => RawValue::Float(f64::from_bits(bytes.u64()?)),
        TEXT => RawValue::Text(bytes.bytes()?),
        TIMESTAMP => {
            let time = Timestamp::parse(bytes.text()?);
            RawValue::Timestamp(time.map_err(|error| bytes.invalid(error.to_string()))?)
        }
        LIST => {
            let left = bytes.length()?;
            RawValue::List(RawList { bytes: bytes.clone(), left, depth: depth + 1 })
        }
        OBJECT => {
            let left = bytes.length()?;
            RawValue::Object(RawObject { bytes: bytes.clone(), left, depth: depth + 1 })
        }
        tag => return Err(bytes.unknown(format!("value of kind {tag}"))),
    })
}

/// Reads a value and goes on to what is after it.
fn read<'a>(bytes: &mut Decoder<'a>, depth: usize) -> Result<RawValue<'a>, FormatError> {
    let value = begin(bytes, depth)?;
    match &value {
        RawValue::List(list) => {
            let mut inner = list.clone();
            while inner.next_value()?.is_some() {}
            *bytes = inner.bytes;
        }
        RawValue::Object(object) => {
            let mut inner = object.clone();
            while inner.next_field()?.is_some() {}
            *bytes = inner.bytes;
        }
        _ => {}
    }
    Ok(value)
}

fn skip(bytes: &mut Decoder<'_>, depth: usize) -> Result<(), FormatError> {
    read(bytes, depth).map(|_| ())
}
