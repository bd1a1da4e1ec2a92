use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use memchr::memmem::Finder;
use serde_json::Value;
use vecgo_format::{
    FieldKey, FieldSchema, KeyRange, Schema, Timestamp, ValueKind, field_name, field_path,
};

use super::tree::Node;
use super::{Filter, Op, Operand};
use crate::{Error, Result};

/// A filter as tests that know nothing of operators any more: what each operator means is said here
/// and nowhere else.
#[derive(Debug)]
pub(crate) struct Bound {
    filter: Filter,
    /// Which of its nodes test fields of timestamps.
    timed: Box<[bool]>,
    /// Each after its parts. Made for the first to ask: where rows are known nobody does.
    steps: OnceLock<Vec<Step>>,
}

#[derive(Debug)]
pub(super) enum Step {
    Test(Test),
    All,
    None,
    Not,
    /// Of two.
    And,
    Or,
}

/// A test of one field. A field that is missing passes none.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) path: Arc<[String]>,
    /// The path, as segments name it.
    pub(super) name: Arc<str>,
    pub(super) check: Check,
}

#[derive(Debug, Clone)]
pub(super) enum Check {
    /// The value's key is in one of these, which are in order.
    Keys(Vec<KeyRange>),
    /// A text that has this one in it, or at its end.
    Text { part: Box<Finder<'static>>, at_end: bool },
    /// A list that holds one of these.
    Holds(Values),
    /// A list or object that is this one.
    Same(Value),
}

/// Values to be equal to.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// Those that have keys of their own, in order.
    pub(super) keys: Vec<KeyRange>,
    /// Lists and objects.
    pub(super) others: Vec<Value>,
}

/// A list is narrowed down by so many of its elements before it is compared.
const NARROWED_BY: usize = 4;

impl Bound {
    /// Refuses what [`Filter`] says is refused, and what is compared with timestamps and is none.
    pub(crate) fn new(filter: Filter, schema: &Schema) -> Result<Self> {
        filter.check()?;
        let timed = filter.nodes.iter().map(|node| is_timed(node, schema));
        let timed = timed.collect::<Result<_>>()?;
        Ok(Self { filter, timed, steps: OnceLock::new() })
    }

    /// The same filter under another schema.
    pub(crate) fn under(&self, schema: &Schema) -> Result<Self> {
        Self::new(self.filter.clone(), schema)
    }

    pub(super) fn steps(&self) -> &[Step] {
        self.steps.get_or_init(|| steps(&self.filter, &self.timed))
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether the other one means the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.filter == other.filter && self.timed == other.timed
    }
}

/// Whether a node tests a field of timestamps. A string that is compared with those must be one.
fn is_timed(node: &Node, schema: &Schema) -> Result<bool> {
    let Node::Test { field, op, value } = node else { return Ok(false) };
    let Some(declared) = schema.field(field).filter(|field| field.is_of_timestamps()) else {
        return Ok(false);
    };
    let value = value.as_ref().and_then(Operand::value);
    let compared = match value {
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) if compares(*op, declared) => std::slice::from_ref(value),
        _ => &[],
    };
    let texts = compared.iter().filter_map(Value::as_str);
    for text in texts {
        Timestamp::parse(text).map_err(|error| {
            let shown: String = text.chars().take(40).collect();
            let op = op.name();
            Error::invalid(format!("filter: field `{field}`: {op} with {shown:?}; {error}"))
        })?;
    }
    Ok(true)
}

/// Whether an operator compares whole values, and not parts of texts.
fn compares(op: Op, declared: FieldSchema) -> bool {
    match op {
        Op::StartsWith | Op::EndsWith => false,
        Op::Contains => declared.is_list(),
        _ => true,
    }
}

fn steps(filter: &Filter, timed: &[bool]) -> Vec<Step> {
    let mut parts: Vec<Vec<Step>> = Vec::new();
    for (node, timed) in filter.nodes.iter().zip(timed) {
        let steps = match node {
            Node::Test { field, op, value } => {
                let value = value.as_ref().and_then(|value| value.value());
                tests(&field_path(field), *op, value.unwrap_or(&Value::Null), *timed)
            }
            Node::Not => not(parts.pop().unwrap_or_default()),
            Node::And(count) => and(parts.split_off(parts.len().saturating_sub(*count))),
            Node::Or(count) => or(parts.split_off(parts.len().saturating_sub(*count))),
        };
        parts.push(steps);
    }
    parts.pop().unwrap_or_default()
}

fn not(mut steps: Vec<Step>) -> Vec<Step> {
    steps.push(Step::Not);
    steps
}

/// Two at a time, so that no more than two sets of rows are there for each level.
fn joined(parts: Vec<Vec<Step>>, of_none: Step, step: fn() -> Step) -> Vec<Step> {
    let mut parts = parts.into_iter();
    let Some(mut steps) = parts.next() else { return vec![of_none] };
    for part in parts {
        steps.extend(part);
        steps.push(step());
    }
    steps
}

/// Tests of one field for a range each are one test: what is between two ends is far less than what is
/// above the one or below the other.
fn and(parts: Vec<Vec<Step>>) -> Vec<Step> {
    let mut apart: Vec<Vec<Step>> = Vec::with_capacity(parts.len());
    let mut ranges: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for mut part in parts {
        if let Some((name, range)) = range_of(&mut part) {
            let before = ranges.get(&name).and_then(|place| range_of(apart.get_mut(*place)?));
            if let Some((_, before)) = before {
                *before = before.and(range);
                continue;
            }
            ranges.insert(name, apart.len());
        }
        apart.push(part);
    }
    joined(apart, Step::All, || Step::And)
}

/// The field and the range, if that is all that is tested.
fn range_of(steps: &mut [Step]) -> Option<(Arc<str>, &mut KeyRange)> {
    match steps {
        [Step::Test(Test { name, check: Check::Keys(ranges), .. })] => match &mut **ranges {
            [range] => Some((Arc::clone(name), range)),
            _ => None,
        },
        _ => None,
    }
}

fn or(parts: Vec<Vec<Step>>) -> Vec<Step> {
    joined(parts, Step::None, || Step::Or)
}

/// `timed` values of a field of timestamps are none of other strings.
fn kind(value: &Value, timed: bool) -> ValueKind {
    match value {
        Value::Null => ValueKind::Null,
        Value::Bool(_) => ValueKind::Bool,
        Value::Number(_) => ValueKind::Number,
        Value::String(_) if timed => ValueKind::Timestamp,
        Value::String(_) => ValueKind::Text,
        Value::Array(_) => ValueKind::List,
        Value::Object(_) => ValueKind::Object,
    }
}

/// The key of a value that has one of its own; `timed` in a field of timestamps.
pub(crate) fn key(value: &Value, timed: bool) -> Option<FieldKey> {
    Some(match value {
        Value::Null => FieldKey::null(),
        Value::Bool(value) => FieldKey::bool(*value),
        Value::Number(number) => {
            let integer =
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            match integer {
                Some(integer) => FieldKey::integer(integer),
                None => FieldKey::float(number.as_f64()?),
            }
        }
        Value::String(text) if timed => FieldKey::timestamp(Timestamp::parse(text).ok()?),
        Value::String(text) => FieldKey::text(text.as_bytes()),
        Value::Array(_) | Value::Object(_) => return None,
    })
}

impl Values {
    fn of(values: &[Value], timed: bool) -> Self {
        let mut all = Self::default();
        let mut keys = Vec::new();
        for value in values {
            match key(value, timed) {
                Some(key) => keys.push(key),
                None => all.others.push(value.clone()),
            }
        }
        keys.sort_unstable();
        keys.dedup();
        all.keys = keys.into_iter().map(KeyRange::only).collect();
        all
    }
}

/// What an operator means.
fn tests(path: &[String], op: Op, value: &Value, timed: bool) -> Vec<Step> {
    let (path, name): (Arc<[String]>, Arc<str>) = (path.into(), field_name(path).into());
    let test =
        |check| vec![Step::Test(Test { path: Arc::clone(&path), name: Arc::clone(&name), check })];
    let kinds = |values: &[Value]| {
        let mut kinds: Vec<_> = values.iter().map(|value| kind(value, timed)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        test(Check::Keys(kinds.into_iter().map(KeyRange::kind).collect()))
    };
    let holds = |values: &[Value]| test(Check::Holds(Values::of(values, timed)));
    let same = |value: &Value| {
        let mut parts = vec![test(Check::Same(value.clone()))];
        if let Value::Array(values) = value {
            let narrowed = values.iter().take(NARROWED_BY);
            parts.extend(narrowed.map(|value| holds(std::slice::from_ref(value))));
        }
        and(parts)
    };
    let one_of = |values: &[Value]| {
        let Values { keys, others } = Values::of(values, timed);
        let mut parts = vec![test(Check::Keys(keys))];
        parts.extend(others.iter().map(same));
        or(parts)
    };
    // Equal to none, and of the type of one.
    let none_of = |values: &[Value]| and(vec![kinds(values), not(one_of(values))]);
    let values = match value {
        Value::Array(values) => values.as_slice(),
        _ => &[],
    };
    let this = std::slice::from_ref(value);
    let ordered = |range: fn(ValueKind, FieldKey, bool) -> KeyRange, inclusive| {
        let range = key(value, timed).map(|key| range(kind(value, timed), key, inclusive));
        test(Check::Keys(range.into_iter().collect()))
    };
    let text = value.as_str().unwrap_or_default().as_bytes();
    let part = || Box::new(Finder::new(text).into_owned());
    match op {
        Op::Eq => one_of(this),
        Op::Ne => none_of(this),
        Op::Gt => ordered(KeyRange::above, false),
        Op::Gte => ordered(KeyRange::above, true),
        Op::Lt => ordered(KeyRange::below, false),
        Op::Lte => ordered(KeyRange::below, true),
        Op::In => one_of(values),
        Op::NotIn => none_of(values),
        Op::Contains if value.is_string() => {
            let within = test(Check::Text { part: part(), at_end: false });
            or(vec![within, holds(this)])
        }
        Op::Contains => holds(this),
        Op::StartsWith => test(Check::Keys(vec![KeyRange::prefix(text)])),
        Op::EndsWith => test(Check::Text { part: part(), at_end: true }),
        Op::Exists => test(Check::Keys(vec![KeyRange::all()])),
        Op::IsNull => kinds(&[Value::Null]),
        Op::Any => holds(values),
        Op::All => {
            let mut parts = vec![kinds(&[Value::Array(Vec::new())])];
            parts.extend(values.iter().map(|value| holds(std::slice::from_ref(value))));
            and(parts)
        }
    }
}
