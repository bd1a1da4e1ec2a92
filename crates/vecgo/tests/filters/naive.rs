//! What filters mean, said once more: by the table of `docs/filters.md`, on documents and filters as
//! JSON, with nothing of the engine.

use std::cmp::Ordering;

use vecgo::json;

type Value = serde_json::Value;

/// Whether a document matches a filter.
pub(crate) fn matches(filter: &Value, document: &Value) -> bool {
    if let Some(parts) = filter.get("and") {
        return parts.as_array().unwrap().iter().all(|part| matches(part, document));
    }
    if let Some(parts) = filter.get("or") {
        return parts.as_array().unwrap().iter().any(|part| matches(part, document));
    }
    if let Some(part) = filter.get("not") {
        return !matches(part, document);
    }
    let field = filter["field"].as_str().unwrap();
    let Some(found) = at(document, field) else { return false };
    let value = &filter["value"];
    match filter["op"].as_str().unwrap() {
        "exists" => true,
        "is_null" => found.is_null(),
        "eq" => equal(found, value),
        "ne" => kind(found) == kind(value) && !equal(found, value),
        "gt" => order(found, value) == Some(Ordering::Greater),
        "gte" => matches!(order(found, value), Some(Ordering::Greater | Ordering::Equal)),
        "lt" => order(found, value) == Some(Ordering::Less),
        "lte" => matches!(order(found, value), Some(Ordering::Less | Ordering::Equal)),
        "in" => list(value).iter().any(|value| equal(found, value)),
        "not_in" => {
            let same_kind = list(value).iter().any(|value| kind(value) == kind(found));
            same_kind && !list(value).iter().any(|value| equal(found, value))
        }
        "contains" => match (found, value) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Array(list), value) => list.iter().any(|element| equal(element, value)),
            _ => false,
        },
        "starts_with" => text(found, |text| text.starts_with(value.as_str().unwrap())),
        "ends_with" => text(found, |text| text.ends_with(value.as_str().unwrap())),
        "any" => match found {
            Value::Array(held) => list(value).iter().any(|v| held.iter().any(|e| equal(e, v))),
            _ => false,
        },
        "all" => match found {
            Value::Array(held) => list(value).iter().all(|v| held.iter().any(|e| equal(e, v))),
            _ => false,
        },
        other => panic!("no such op: {other}"),
    }
}

fn text(value: &Value, holds: impl Fn(&str) -> bool) -> bool {
    value.as_str().is_some_and(holds)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// The value at a path: keys with dots between them, `\.` and `\\` for a dot and a backslash.
fn at<'a>(document: &'a Value, field: &str) -> Option<&'a Value> {
    let marked = field.replace(r"\\", "\u{1}").replace(r"\.", "\u{2}");
    let mut value = document;
    for key in marked.split('.') {
        let key = key.replace('\u{1}', r"\").replace('\u{2}', ".");
        value = value.as_object()?.get(&key)?;
    }
    Some(value)
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        (Value::Null, Value::Null) => true,
        _ => order(a, b) == Some(Ordering::Equal),
    }
}

/// The order of two values of one kind that has one.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.chars().cmp(b.chars())),
        (Value::Number(a), Value::Number(b)) => {
            let integer = |n: &serde_json::Number| {
                n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
            };
            Some(match (integer(a), integer(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?)?,
                (Some(a), None) => against(a, b.as_f64()?),
                (None, Some(b)) => against(b, a.as_f64()?).reverse(),
            })
        }
        _ => None,
    }
}

/// An integer against a float, exactly.
fn against(integer: i128, float: f64) -> Ordering {
    if float >= 1e30 {
        return Ordering::Less;
    }
    if float <= -1e30 {
        return Ordering::Greater;
    }
    let whole = float.floor();
    integer.cmp(&(whole as i128)).then(if float > whole { Ordering::Less } else { Ordering::Equal })
}

#[test]
fn the_naive_evaluator_is_right_about_some_cases() {
    let document =
        json!({"n": 1, "big": 9_007_199_254_740_993_i64, "a": {"b": [1, "x"]}, "a.b": true});
    let test = |field, op, value: Value| {
        matches(&json!({"field": field, "op": op, "value": value}), &document)
    };
    assert!(test("n", "eq", json!(1.0)));
    assert!(!test("n", "ne", json!("1")));
    assert!(test("big", "gt", json!(9_007_199_254_740_992.0)));
    assert!(test("a.b", "contains", json!("x")));
    assert!(test(r"a\.b", "eq", json!(true)));
    assert!(!test("missing", "not_in", json!([1])));
}
