use serde_json::{Number, Value};

use super::{
    Document, DocumentError, FALSE, FLOAT, INT, LIST, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, NULL,
    OBJECT, TEXT, TIMESTAMP, TRUE, Timestamp,
};
use crate::codec::put_length;
use crate::schema::{Level, Node};
use crate::{FieldSchema, FieldType, Schema, field_name};

/// Encodes a document; the empty one takes no bytes.
///
/// # Errors
/// [`DocumentError`] names the field that cannot be stored, or the limit that was passed.
pub fn encode_document(document: &Document) -> Result<Vec<u8>, DocumentError> {
    encode(document, FREE)
}

/// Encodes a document of a collection with a schema, whose timestamps are told from other strings.
///
/// # Errors
/// [`DocumentError`] names the field that cannot be stored or does not meet the schema, or the limit
/// that was passed.
pub fn encode_document_under(
    document: &Document,
    schema: &Schema,
) -> Result<Vec<u8>, DocumentError> {
    encode(document, Rules { level: schema.outermost(), strict: schema.is_strict() })
}

fn encode(document: &Document, rules: Rules<'_>) -> Result<Vec<u8>, DocumentError> {
    let mut encoding = Encoding { out: Vec::new(), path: Vec::new() };
    encoding.object(document, rules)?;
    Ok(if document.is_empty() { Vec::new() } else { encoding.out })
}

static NOTHING: Level = Level::nothing();

/// What is said of the fields of an object.
#[derive(Debug, Clone, Copy)]
struct Rules<'s> {
    level: &'s Level,
    strict: bool,
}

const FREE: Rules<'static> = Rules { level: &NOTHING, strict: false };

struct Encoding<'d> {
    out: Vec<u8>,
    /// The keys that lead to the value at hand: as many as it is deep.
    path: Vec<&'d str>,
}

impl<'d> Encoding<'d> {
    fn object(&mut self, object: &'d Document, rules: Rules<'_>) -> Result<(), DocumentError> {
        let mut fields: Vec<_> = object.iter().collect();
        fields.sort_unstable_by_key(|(key, _)| key.as_str());
        put_length(&mut self.out, fields.len());
        for (key, value) in fields {
            put_length(&mut self.out, key.len());
            self.out.extend_from_slice(key.as_bytes());
            self.path.push(key);
            match rules.level.find(key) {
                Some(node) => self.declared(value, node, rules.strict)?,
                None if rules.strict => return Err(self.undeclared(1, rules.level)),
                None => self.value(value, FREE)?,
            }
            self.path.pop();
        }
        for (key, node) in rules.level.nodes().filter(|(key, _)| !object.contains_key(*key)) {
            self.check_required([key], node.required())?;
        }
        Ok(())
    }

    /// A value of which something is declared, or of something in it.
    fn declared(
        &mut self,
        value: &'d Value,
        node: &Node,
        strict: bool,
    ) -> Result<(), DocumentError> {
        let Some(field) = node.field else {
            let rules = Rules { level: &node.level, strict };
            // Only what leads to declared fields is declared.
            if strict && !value.is_object() {
                return Err(self.undeclared(0, &node.level));
            }
            return self.outer(value, node, rules);
        };
        match value {
            Value::Null if !field.is_required() => self.outer(value, node, FREE),
            Value::Array(items) if field.is_list() => {
                self.list(items, |encoding, item| encoding.typed(item, field))
            }
            _ if field.is_list() => Err(self.mistyped(value, field)),
            Value::Object(_) if matches!(field.of(), FieldType::Object | FieldType::Any) => {
                self.outer(value, node, Rules { level: &node.level, strict: false })
            }
            _ => {
                self.typed(value, field)?;
                self.check_required([], node.required_within())
            }
        }
    }

    /// A value with declared fields in it.
    fn outer(
        &mut self,
        value: &'d Value,
        node: &Node,
        rules: Rules<'_>,
    ) -> Result<(), DocumentError> {
        if !value.is_object() {
            self.check_required([], node.required_within())?;
        }
        self.value(value, rules)
    }

    /// A value of the type of a field, or of its elements.
    fn typed(&mut self, value: &'d Value, field: FieldSchema) -> Result<(), DocumentError> {
        let fits = match (field.of(), value) {
            (FieldType::Any, value) => field.is_list() || !field.is_required() || !value.is_null(),
            (FieldType::Bool, Value::Bool(_))
            | (FieldType::F64, Value::Number(_))
            | (FieldType::String, Value::String(_))
            | (FieldType::Object, Value::Object(_)) => true,
            // What no document can hold is refused as such.
            (FieldType::I64, Value::Number(number)) => !number.is_f64(),
            (FieldType::Timestamp, Value::String(text)) if Timestamp::parse(text).is_ok() => {
                self.text(TIMESTAMP, text);
                return self.check_size();
            }
            _ => false,
        };
        if fits { self.value(value, FREE) } else { Err(self.mistyped(value, field)) }
    }

    fn value(&mut self, value: &'d Value, rules: Rules<'_>) -> Result<(), DocumentError> {
        match value {
            Value::Null => self.out.push(NULL),
            Value::Bool(value) => self.out.push(if *value { TRUE } else { FALSE }),
            Value::Number(number) => self.number(number)?,
            Value::String(text) => self.text(TEXT, text),
            Value::Array(items) => {
                self.list(items, |encoding, item| encoding.value(item, FREE))?;
            }
            Value::Object(object) => {
                self.check_depth()?;
                self.out.push(OBJECT);
                self.object(object, rules)?;
            }
        }
        self.check_size()
    }

    fn list(
        &mut self,
        items: &'d [Value],
        mut each: impl FnMut(&mut Self, &'d Value) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        self.check_depth()?;
        self.out.push(LIST);
        put_length(&mut self.out, items.len());
        self.path.push("[]");
        for item in items {
            each(self, item)?;
        }
        self.path.pop();
        self.check_size()
    }

    fn text(&mut self, tag: u8, text: &str) {
        self.out.push(tag);
        put_length(&mut self.out, text.len());
        self.out.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: &Number) -> Result<(), DocumentError> {
        if let Some(int) = number.as_i64() {
            self.out.push(INT);
            self.out.extend_from_slice(&int.to_le_bytes());
            return Ok(());
        }
        match number.as_f64() {
            Some(float) if number.is_f64() => {
                self.out.push(FLOAT);
                self.out.extend_from_slice(&float.to_le_bytes());
                Ok(())
            }
            _ => Err(DocumentError::Integer { field: self.field(), found: number.to_string() }),
        }
    }

    fn check_depth(&self) -> Result<(), DocumentError> {
        match self.path.len() >= MAX_DOCUMENT_DEPTH {
            true => Err(DocumentError::Depth { field: self.field() }),
            false => Ok(()),
        }
    }

    fn check_size(&self) -> Result<(), DocumentError> {
        match self.out.len() > MAX_DOCUMENT_BYTES {
            true => Err(DocumentError::Size),
            false => Ok(()),
        }
    }

    /// Refuses what lacks something that is required behind `missing`.
    fn check_required<const N: usize>(
        &self,
        missing: [&str; N],
        required: Option<(Vec<&str>, FieldSchema)>,
    ) -> Result<(), DocumentError> {
        let Some((inner, field)) = required else { return Ok(()) };
        let path = self.path.iter().copied().chain(missing).chain(inner);
        Err(DocumentError::Missing { field: field_name(path), expected: field.to_string() })
    }

    fn field(&self) -> String {
        field_name(self.path.iter().copied())
    }

    fn mistyped(&self, value: &Value, field: FieldSchema) -> DocumentError {
        let expected = match (field.is_of_timestamps(), self.path.last()) {
            (true, _) if value.is_string() => {
                format!("{field}, in RFC 3339 like 2024-05-01T12:00:00Z")
            }
            (_, Some(&"[]")) => format!("{field}, each element of which is {}", field.element()),
            _ => field.to_string(),
        };
        DocumentError::Type { field: self.field(), expected, found: shown(value) }
    }

    /// What is declared stands beside the field, `up` keys above the value at hand.
    fn undeclared(&self, up: usize, level: &Level) -> DocumentError {
        let keys = self.path.len().saturating_sub(up);
        let name = |key| field_name(self.path.iter().take(keys).copied().chain([key]));
        let declared: Vec<_> = level.nodes().map(|(key, _)| name(key)).take(MOST_SHOWN).collect();
        let declared = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
        DocumentError::Undeclared { field: self.field(), declared }
    }
}

/// Names in a message.
const MOST_SHOWN: usize = 20;

/// A value in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().nth(40).is_none() => format!("the string {text:?}"),
        Value::String(text) => {
            let begin: String = text.chars().take(40).collect();
            format!("a string that begins with {begin:?}")
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
