//! What a collection says of the fields of its documents.

mod difference;
mod json;
mod level;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

pub(crate) use level::{Level, Node};

use crate::codec::{Decoder, Encoder};
use crate::document::MAX_DOCUMENT_DEPTH;
use crate::{FormatError, field_name, field_path};

/// Most fields that a schema declares.
pub const MAX_SCHEMA_FIELDS: usize = 1024;

/// Most bytes of a schema: each version has it.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;

/// The type of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Whatever a document can hold.
    Any,
    /// `true` or `false`.
    Bool,
    /// An integer from -2^63 to 2^63 - 1.
    I64,
    /// A number, with a fraction or without.
    F64,
    /// A string.
    String,
    /// A string that is a timestamp of RFC 3339. It comes back as it was given, and is compared as
    /// the moment that it is.
    Timestamp,
    /// An object. What is in it need not be declared, strict or not.
    Object,
}

impl FieldType {
    const NAMES: [(FieldType, &'static str); 7] = [
        (FieldType::Any, "any"),
        (FieldType::Bool, "bool"),
        (FieldType::I64, "i64"),
        (FieldType::F64, "f64"),
        (FieldType::String, "string"),
        (FieldType::Timestamp, "timestamp"),
        (FieldType::Object, "object"),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(of, _)| *of == self).map_or("", |(_, name)| name)
    }
}

/// What a schema says of one field: at first only that a value that is neither missing nor null has a
/// type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldSchema {
    of: FieldType,
    list: bool,
    required: bool,
    indexed: bool,
}

impl FieldSchema {
    /// A field with values of a type.
    pub const fn new(of: FieldType) -> Self {
        Self { of, list: false, required: false, indexed: true }
    }

    /// A field with lists of values of a type, none of them null unless that is [`FieldType::Any`].
    pub const fn list_of(of: FieldType) -> Self {
        Self { list: true, ..Self::new(of) }
    }

    /// The field must be there, and not be null.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// New segments do not hold the field, nor those in it, in order: filters read documents instead.
    #[must_use]
    pub const fn unindexed(self) -> Self {
        Self { indexed: false, ..self }
    }

    /// The type of its values, or of those in its lists.
    pub const fn of(self) -> FieldType {
        self.of
    }

    /// Whether its values are lists.
    pub const fn is_list(self) -> bool {
        self.list
    }

    /// Whether it must be there.
    pub const fn is_required(self) -> bool {
        self.required
    }

    /// Whether segments hold it in order.
    pub const fn is_indexed(self) -> bool {
        self.indexed
    }

    /// All that is said of the field.
    pub fn in_full(self) -> String {
        let required = if self.required { ", required" } else { "" };
        let unindexed = if self.indexed { "" } else { ", not indexed" };
        format!("{self}{required}{unindexed}")
    }

    /// The name of the type of its values, or of those in its lists.
    pub(crate) fn element(self) -> &'static str {
        self.of.name()
    }

    /// Whether its values, or those in its lists, are timestamps.
    pub fn is_of_timestamps(self) -> bool {
        self.of == FieldType::Timestamp
    }
}

impl fmt::Display for FieldSchema {
    /// The type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list {
            true => write!(f, "list<{}>", self.of.name()),
            false => f.write_str(self.of.name()),
        }
    }
}

impl FromStr for FieldSchema {
    type Err = SchemaError;

    /// Reads a type.
    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let element = text.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>'));
        let name = element.unwrap_or(text);
        let found = FieldType::NAMES.iter().find(|(_, known)| *known == name);
        let of = found.map(|(of, _)| *of);
        let of = of.ok_or_else(|| SchemaError::Type { found: text.chars().take(64).collect() })?;
        Ok(if element.is_some() { Self::list_of(of) } else { Self::new(of) })
    }
}

/// What a collection says of the fields of its documents: writes that do not meet it are refused.
/// The empty one says nothing. Clones share one copy.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    declared: Arc<Declared>,
}

#[derive(Debug, Default)]
struct Declared {
    strict: bool,
    /// By their names.
    fields: BTreeMap<String, FieldSchema>,
    /// The same by the keys that lead to them.
    outermost: Level,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        let [one, other] = [&self.declared, &other.declared];
        (one.strict, &one.fields) == (other.strict, &other.fields)
    }
}

impl Eq for Schema {}

/// Why there can be no such schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// JSON that is no schema.
    #[error("{0}")]
    Form(String),
    /// No type has this name.
    #[error(
        "type `{found}`; expected any, bool, i64, f64, string, timestamp, object or a list of one, \
         as list<string>"
    )]
    Type {
        /// The name given.
        found: String,
    },
    /// Two names of one field.
    #[error("field `{field}` is declared twice")]
    Twice {
        /// The field.
        field: String,
    },
    /// A field within one that can have no fields.
    #[error(
        "field `{field}` is declared, and so is `{outer}`, of type {found}; expected an object"
    )]
    Within {
        /// The field.
        field: String,
        /// The one that it would be in.
        outer: String,
        /// What that is declared to be.
        found: String,
    },
    /// A path of too many keys.
    #[error("field `{field}` is nested too deep; expected at most {MAX_DOCUMENT_DEPTH} keys")]
    Depth {
        /// The field.
        field: String,
    },
    /// Too many fields.
    #[error("{found} fields are declared; expected {MAX_SCHEMA_FIELDS} or fewer")]
    Fields {
        /// How many.
        found: usize,
    },
    /// Too many bytes.
    #[error("the schema takes {found} bytes; expected {MAX_SCHEMA_BYTES} or fewer")]
    Size {
        /// How many.
        found: usize,
    },
}

impl Schema {
    /// A schema of fields by their names: paths of keys with dots between them, where a dot within a
    /// key is written `\.` and a backslash before one `\\`. A strict one refuses fields that are not
    /// declared.
    ///
    /// # Errors
    /// [`SchemaError`] for fields that cannot be declared beside each other, and for too many.
    pub fn new<N: AsRef<str>>(
        strict: bool,
        fields: impl IntoIterator<Item = (N, FieldSchema)>,
    ) -> Result<Self, SchemaError> {
        let mut declared = Declared { strict, ..Declared::default() };
        for (name, field) in fields {
            let path = field_path(name.as_ref());
            let name = field_name(&path);
            if path.len() > MAX_DOCUMENT_DEPTH {
                return Err(SchemaError::Depth { field: name });
            }
            declared.outermost.declare(&path, field)?;
            declared.fields.insert(name, field);
        }
        if declared.fields.len() > MAX_SCHEMA_FIELDS {
            return Err(SchemaError::Fields { found: declared.fields.len() });
        }
        let schema = Self { declared: Arc::new(declared) };
        let mut out = Encoder::new();
        schema.encode(&mut out);
        match out.finish().len() {
            found if found > MAX_SCHEMA_BYTES => Err(SchemaError::Size { found }),
            _ => Ok(schema),
        }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        !self.is_strict() && self.declared.fields.is_empty()
    }

    /// Whether fields that are not declared are refused.
    pub fn is_strict(&self) -> bool {
        self.declared.strict
    }

    /// The fields that are declared, by name.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, FieldSchema)> {
        self.declared.fields.iter().map(|(name, field)| (name.as_str(), *field))
    }

    /// What is said of a field.
    pub fn field(&self, name: &str) -> Option<FieldSchema> {
        self.declared.fields.get(&field_name(field_path(name))).copied()
    }

    /// Whether it is the very same: of two that are equal this is not said.
    #[doc(hidden)]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.declared, &other.declared)
    }

    pub(crate) fn outermost(&self) -> &Level {
        &self.declared.outermost
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u8(u8::from(self.declared.strict));
        out.length(self.declared.fields.len());
        for (name, FieldSchema { of, list, required, indexed }) in &self.declared.fields {
            out.bytes(name.as_bytes());
            let of = match of {
                FieldType::Any => 0,
                FieldType::Bool => 1,
                FieldType::I64 => 2,
                FieldType::F64 => 3,
                FieldType::String => 4,
                FieldType::Timestamp => 5,
                FieldType::Object => 6,
            };
            out.u8(of);
            out.u8(u8::from(*list) | u8::from(*required) << 1 | u8::from(!*indexed) << 2);
        }
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        let strict = match bytes.u8()? {
            0 => false,
            1 => true,
            tag => return Err(bytes.invalid(format!("strict {tag}, expected 0 or 1"))),
        };
        let mut fields: Vec<(&str, FieldSchema)> = Vec::new();
        for _ in 0..bytes.length()? {
            let name = bytes.text()?;
            let of = match bytes.u8()? {
                0 => FieldType::Any,
                1 => FieldType::Bool,
                2 => FieldType::I64,
                3 => FieldType::F64,
                4 => FieldType::String,
                5 => FieldType::Timestamp,
                6 => FieldType::Object,
                tag => return Err(bytes.unknown(format!("field of type {tag}"))),
            };
            let flags = bytes.u8()?;
            if flags > 7 {
                return Err(bytes.unknown(format!("field {name:?} with flags {flags}")));
            }
            if fields.last().is_some_and(|(last, _)| *last >= name) {
                return Err(bytes.invalid(format!("field {name:?} out of order")));
            }
            let has = |bit: u8| flags & (1 << bit) != 0;
            let (list, required, indexed) = (has(0), has(1), !has(2));
            fields.push((name, FieldSchema { of, list, required, indexed }));
        }
        let written = fields.clone();
        // What is too much for this build is not for every other.
        let schema = Self::new(strict, fields).map_err(|error| match error {
            SchemaError::Depth { .. } | SchemaError::Fields { .. } | SchemaError::Size { .. } => {
                bytes.unknown(error.to_string())
            }
            error => bytes.invalid(error.to_string()),
        })?;
        if !schema.fields().eq(written) {
            return Err(bytes.invalid("fields with other names than theirs"));
        }
        Ok(schema)
    }
}
