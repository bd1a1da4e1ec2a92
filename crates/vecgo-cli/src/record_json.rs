//! A record as JSON, the same everywhere: `{"id", "vector", "metadata", "payload"}`, payload in
//! base64; a number is a u64 id, a string a text id.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use vecgo::{Id, Record};

use crate::failure::Failure;
use crate::output::short;

pub(crate) fn id_to_json(id: &Id) -> Value {
    match id {
        Id::Number(number) => Value::from(*number),
        Id::Text(text) => Value::from(&**text),
    }
}

/// An id from the command line.
pub(crate) fn id_from_argument(argument: &str, string_ids: bool) -> Id {
    let digits = !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit());
    match argument.parse::<u64>() {
        Ok(number) if digits && !string_ids => Id::from(number),
        _ => Id::from(argument),
    }
}

pub(crate) fn id_from_json(value: &Value) -> Result<Id, Failure> {
    match value {
        Value::Number(number) => number.as_u64().map(Id::from).ok_or_else(|| {
            Failure::invalid(format!("id {number}; expected 0 to {} or a string", u64::MAX))
        }),
        Value::String(text) => Ok(Id::from(text.as_str())),
        other => Err(Failure::invalid(format!("id {other}; expected a number or a string"))),
    }
}

pub(crate) fn to_json(record: &Record) -> Value {
    let vector: Vec<Value> = record.vector.iter().map(|value| short(*value)).collect();
    json!({
        "id": id_to_json(&record.id),
        "vector": vector,
        "metadata": record.metadata,
        "payload": record.payload.as_ref().map(|payload| STANDARD.encode(payload)),
    })
}

/// The vector that a JSON list of numbers is.
pub(crate) fn vector_from_json(value: &Value) -> Result<Vec<f32>, Failure> {
    let invalid = |found: &Value| {
        Failure::invalid(format!("vector: found {found}; expected a list of numbers"))
    };
    let list = value.as_array().ok_or_else(|| invalid(value))?;
    list.iter()
        .map(|item| match item {
            // By way of its text, which rounds once.
            Value::Number(number) => number.to_string().parse::<f32>().map_err(|_| invalid(item)),
            _ => Err(invalid(item)),
        })
        .collect()
}

/// The record that a line is, `None` in place of an id that it does not have.
pub(crate) fn from_json(value: Value) -> Result<(Option<Id>, Record), Failure> {
    let Value::Object(mut fields) = value else {
        return Err(Failure::invalid("expected an object with id, vector, metadata, payload"));
    };
    let id = fields.remove("id").map(|id| id_from_json(&id)).transpose()?;
    let vector = fields.remove("vector").ok_or_else(|| Failure::invalid("no `vector`"))?;
    let mut record = Record::new(0u64, vector_from_json(&vector)?);
    match fields.remove("metadata") {
        None | Some(Value::Null) => record.metadata = Value::Object(Map::new()),
        Some(metadata) => record.metadata = metadata,
    }
    match fields.remove("payload") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => {
            let payload = STANDARD.decode(text);
            let broken = |error| Failure::invalid(format!("payload: not base64: {error}"));
            record.payload = Some(payload.map_err(broken)?);
        }
        Some(other) => {
            return Err(Failure::invalid(format!("payload {other}; expected base64 text")));
        }
    }
    if let Some(unknown) = fields.keys().next() {
        return Err(Failure::invalid(format!(
            "unknown field `{unknown}`; expected id, vector, metadata, payload"
        )));
    }
    Ok((id, record))
}
