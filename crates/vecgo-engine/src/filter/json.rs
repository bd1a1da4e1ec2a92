//! Filters as JSON: `{"field", "op", "value"}`, `{"and": [..]}`, `{"or": [..]}`, `{"not": ..}`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::tree::Node;
use super::{Filter, MAX_FILTER_DEPTH, MAX_FILTER_NODES, Op, Operand};
use crate::record::kind;
use crate::{Error, Result};

const FORMS: &str =
    "`{\"field\", \"op\", \"value\"}`, `{\"and\": [..]}`, `{\"or\": [..]}` or `{\"not\": ..}`";

impl Filter {
    /// Reads a filter from JSON.
    ///
    /// # Errors
    /// `InvalidArgument` says what was expected and where.
    pub fn from_json(json: &Value) -> Result<Self> {
        let mut nodes = Vec::new();
        read(json, &mut nodes, 1)?;
        let filter = Self { nodes };
        filter.check()?;
        Ok(filter)
    }

    /// The filter as JSON; a number that JSON does not have is null.
    pub fn to_json(&self) -> Value {
        let mut parts: Vec<Value> = Vec::new();
        for node in &self.nodes {
            let part = match node {
                Node::Test { field, op, value } => {
                    let mut test = json!({"field": field, "op": op.name()});
                    if let Some(value) = value {
                        test["value"] = value.value().cloned().unwrap_or_default();
                    }
                    test
                }
                Node::Not => json!({"not": parts.pop()}),
                Node::And(count) => {
                    json!({"and": parts.split_off(parts.len().saturating_sub(*count))})
                }
                Node::Or(count) => {
                    json!({"or": parts.split_off(parts.len().saturating_sub(*count))})
                }
            };
            parts.push(part);
        }
        parts.pop().unwrap_or_default()
    }
}

/// Depths that a check would refuse are not gone down to.
fn read(json: &Value, nodes: &mut Vec<Node>, depth: usize) -> Result<()> {
    if depth > MAX_FILTER_DEPTH || nodes.len() > MAX_FILTER_NODES {
        let most = format!("nested at most {MAX_FILTER_DEPTH} deep, of {MAX_FILTER_NODES} parts");
        return Err(Error::invalid(format!("filter is too large; expected one {most}")));
    }
    let Value::Object(object) = json else {
        return Err(Error::invalid(format!("filter is {}; expected {FORMS}", kind(json))));
    };
    if object.contains_key("field") || object.contains_key("op") {
        nodes.push(test(object)?);
        return Ok(());
    }
    let mut entries = object.iter();
    let (Some((key, inner)), None) = (entries.next(), entries.next()) else {
        let found: Vec<_> = object.keys().map(String::as_str).collect();
        let found = found.join(", ");
        return Err(Error::invalid(format!("filter has the keys [{found}]; expected {FORMS}")));
    };
    match key.as_str() {
        "not" => {
            read(inner, nodes, depth + 1)?;
            nodes.push(Node::Not);
        }
        "and" | "or" => {
            let Value::Array(parts) = inner else {
                let found = kind(inner);
                return Err(Error::invalid(format!("filter: `{key}` is {found}; expected a list")));
            };
            for part in parts {
                read(part, nodes, depth + 1)?;
            }
            nodes.push(match key.as_str() {
                "and" => Node::And(parts.len()),
                _ => Node::Or(parts.len()),
            });
        }
        _ => return Err(Error::invalid(format!("filter has the key `{key}`; expected {FORMS}"))),
    }
    Ok(())
}

fn test(object: &Map<String, Value>) -> Result<Node> {
    let text = |key: &str| match object.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => {
            Err(Error::invalid(format!("filter: `{key}` is {}; expected a string", kind(other))))
        }
        None => Err(Error::invalid(format!("filter: a test without `{key}`"))),
    };
    let (field, name) = (text("field")?, text("op")?);
    let Some(op) = Op::named(&name) else {
        let known = Op::names();
        let message = format!("filter: field `{field}`: op `{name}`; expected one of {known}");
        return Err(Error::invalid(message));
    };
    let known = |key: &&String| matches!(key.as_str(), "field" | "op" | "value");
    if let Some(key) = object.keys().find(|key| !known(key)) {
        return Err(Error::invalid(format!("filter: field `{field}`: unknown key `{key}`")));
    }
    match (object.get("value"), op.takes_value()) {
        (Some(value), true) => {
            Ok(Node::Test { field, op, value: Some(Operand::from(value.clone())) })
        }
        (None, false) => Ok(Node::Test { field, op, value: None }),
        (None, true) => {
            Err(Error::invalid(format!("filter: field `{field}`: {name} without a `value`")))
        }
        (Some(_), false) => {
            Err(Error::invalid(format!("filter: field `{field}`: {name} takes no `value`")))
        }
    }
}

impl FromStr for Filter {
    type Err = Error;

    /// Reads JSON.
    fn from_str(text: &str) -> Result<Self> {
        let json = serde_json::from_str(text);
        let json: Value = json.map_err(|error| Error::invalid(format!("filter: {error}")))?;
        Self::from_json(&json)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}
