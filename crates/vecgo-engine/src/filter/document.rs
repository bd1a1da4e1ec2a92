//! Filters asked of documents where they stand.

use serde_json::Value;
use vecgo_format::{FieldKey, FormatError, KeyRange, RawObject, RawValue};

use super::Bound;
use super::bind::{Check, Step, Values, key};

/// Asks a filter of one document after the other.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    bound: &'a Bound,
    answers: Vec<bool>,
    key: FieldKey,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(bound: &'a Bound) -> Self {
        Self { bound, answers: Vec::new(), key: FieldKey::default() }
    }

    /// Whether an encoded document matches.
    pub(crate) fn matches(&mut self, document: &[u8]) -> Result<bool, FormatError> {
        let document = RawObject::document(document)?;
        self.answers.clear();
        for step in self.bound.steps() {
            let answer = match step {
                Step::Test(test) => match document.clone().find(&test.path)? {
                    Some(value) => passes(&test.check, value, &mut self.key)?,
                    None => false,
                },
                Step::All => true,
                Step::None => false,
                Step::Not => !self.pop(),
                Step::And => self.pop() & self.pop(),
                Step::Or => self.pop() | self.pop(),
            };
            self.answers.push(answer);
        }
        Ok(self.pop())
    }

    fn pop(&mut self) -> bool {
        self.answers.pop().unwrap_or_default()
    }
}

fn passes(check: &Check, value: RawValue<'_>, key: &mut FieldKey) -> Result<bool, FormatError> {
    match check {
        Check::Keys(ranges) => {
            key.set(&value);
            Ok(among(ranges, key))
        }
        Check::Text { part, at_end } => match value {
            RawValue::Text(text) if *at_end => Ok(text.ends_with(part.needle())),
            RawValue::Text(text) => Ok(part.find(text).is_some()),
            _ => Ok(false),
        },
        Check::Holds(values) => match value {
            RawValue::List(mut list) => {
                while let Some(element) = list.next_value()? {
                    if is_one_of(&element, values, key)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Ok(false),
        },
        Check::Same(wanted) => same(&value, wanted, key),
    }
}

fn is_one_of(
    element: &RawValue<'_>,
    values: &Values,
    key: &mut FieldKey,
) -> Result<bool, FormatError> {
    if let RawValue::List(_) | RawValue::Object(_) = element {
        for other in &values.others {
            if same(element, other, key)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    key.set(element);
    Ok(among(&values.keys, key))
}

/// Whether a key is in one of some ranges that are in order.
fn among(ranges: &[KeyRange], key: &FieldKey) -> bool {
    let after = ranges.partition_point(|range| range.starts_by(key));
    after.checked_sub(1).and_then(|last| ranges.get(last)).is_some_and(|range| range.contains(key))
}

/// Equal all through. As deep as documents are nested.
fn same(value: &RawValue<'_>, wanted: &Value, scratch: &mut FieldKey) -> Result<bool, FormatError> {
    match (value, wanted) {
        (RawValue::List(list), Value::Array(wanted)) => {
            let mut list = list.clone();
            if list.left() != wanted.len() {
                return Ok(false);
            }
            let mut wanted = wanted.iter();
            while let (Some(value), Some(wanted)) = (list.next_value()?, wanted.next()) {
                if !same(&value, wanted, scratch)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (RawValue::Object(object), Value::Object(wanted)) => {
            let mut object = object.clone();
            if object.left() != wanted.len() {
                return Ok(false);
            }
            while let Some((name, value)) = object.next_field()? {
                let wanted = std::str::from_utf8(name).ok().and_then(|name| wanted.get(name));
                match wanted {
                    Some(wanted) if same(&value, wanted, scratch)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (RawValue::List(_) | RawValue::Object(_), _) => Ok(false),
        (scalar, wanted) => {
            scratch.set(scalar);
            let timed = matches!(scalar, RawValue::Timestamp(_));
            Ok(key(wanted, timed).is_some_and(|key| key == *scratch))
        }
    }
}
