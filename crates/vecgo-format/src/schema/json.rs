use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::{FieldSchema, Schema, SchemaError};

/// What a schema, and what it says of fields and of one, look like, for messages.
const SCHEMA: &str = r#"{"strict": false, "fields": {"year": {"type": "i64"}}}"#;
const FIELDS: &str = r#"{"year": {"type": "i64"}}"#;
const FIELD: &str = r#"{"type": "i64", "required": true, "indexed": false}"#;

impl Schema {
    /// Reads JSON: `{"strict": false, "fields": {"year": {"type": "i64"}}}`, where a field may have
    /// `"required": true` and `"indexed": false` as well.
    ///
    /// # Errors
    /// [`SchemaError`] says what is wrong with it.
    pub fn from_json(json: &Value) -> Result<Self, SchemaError> {
        let object = object("the schema", json, SCHEMA)?;
        known(object, "the schema", &["strict", "fields"])?;
        let fields = match object.get("fields") {
            None => &Map::new(),
            Some(fields) => self::object("`fields`", fields, FIELDS)?,
        };
        let field = |(name, json): (&String, &Value)| Ok((name.clone(), field(name, json)?));
        let fields: Vec<_> = fields.iter().map(field).collect::<Result<_, _>>()?;
        Self::new(flag(object, "strict", "the schema", false)?, fields)
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for (name, field) in self.fields() {
            let mut json = json!({"type": field.to_string()});
            if field.is_required() {
                json["required"] = true.into();
            }
            if !field.is_indexed() {
                json["indexed"] = false.into();
            }
            fields.insert(name.to_owned(), json);
        }
        json!({"strict": self.is_strict(), "fields": fields})
    }
}

fn field(name: &str, json: &Value) -> Result<FieldSchema, SchemaError> {
    let what = format!("field `{name}`");
    let object = object(&what, json, FIELD)?;
    known(object, &what, &["type", "required", "indexed"])?;
    let Some(Value::String(of)) = object.get("type") else {
        return Err(SchemaError::Form(format!("{what} has no `type` that is a string")));
    };
    let of = of.parse().map_err(|error| SchemaError::Form(format!("{what}: {error}")));
    let mut field: FieldSchema = of?;
    field.required = flag(object, "required", &what, false)?;
    field.indexed = flag(object, "indexed", &what, true)?;
    Ok(field)
}

fn object<'a>(
    what: &str,
    json: &'a Value,
    form: &str,
) -> Result<&'a Map<String, Value>, SchemaError> {
    let error = || SchemaError::Form(format!("{what} is no JSON object; expected one like {form}"));
    json.as_object().ok_or_else(error)
}

fn flag(
    object: &Map<String, Value>,
    key: &str,
    what: &str,
    otherwise: bool,
) -> Result<bool, SchemaError> {
    match object.get(key) {
        None => Ok(otherwise),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(found) => {
            Err(SchemaError::Form(format!("{what}: `{key}` is {found}; expected true or false")))
        }
    }
}

fn known(object: &Map<String, Value>, what: &str, keys: &[&str]) -> Result<(), SchemaError> {
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let expected = keys.join(", ");
            Err(SchemaError::Form(format!("{what} has the key `{key}`; expected {expected}")))
        }
    }
}

impl FromStr for Schema {
    type Err = SchemaError;

    /// Reads JSON.
    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let json = serde_json::from_str(text);
        Self::from_json(&json.map_err(|error| SchemaError::Form(error.to_string()))?)
    }
}

impl fmt::Display for Schema {
    /// JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}
