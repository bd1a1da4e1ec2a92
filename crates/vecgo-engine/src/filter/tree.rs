use std::ops::{BitAnd, BitOr};

use serde_json::Value;

use super::Operand;
use crate::record::kind;
use crate::{Error, Result};

/// Deepest nesting of a filter.
pub const MAX_FILTER_DEPTH: usize = 64;
/// Most tests and connectives in a filter.
pub const MAX_FILTER_NODES: usize = 4096;
/// Most bytes of names and values in a filter.
pub const MAX_FILTER_BYTES: usize = 1 << 20;

/// Most bytes of the path of a field.
const MAX_FIELD_BYTES: usize = 4096;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Equal.
    Eq,
    /// Of the same type, and not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Equal to one of a list.
    In,
    /// Of the type of one of a list, and equal to none.
    NotIn,
    /// A string that has this one in it, or a list that holds this.
    Contains,
    /// A string that begins with this.
    StartsWith,
    /// A string that ends with this.
    EndsWith,
    /// There, if only as null.
    Exists,
    /// There, and null.
    IsNull,
    /// A list that holds one of these.
    Any,
    /// A list that holds all of these.
    All,
}

impl Op {
    const NAMES: [(Op, &'static str); 15] = [
        (Op::Eq, "eq"),
        (Op::Ne, "ne"),
        (Op::Gt, "gt"),
        (Op::Gte, "gte"),
        (Op::Lt, "lt"),
        (Op::Lte, "lte"),
        (Op::In, "in"),
        (Op::NotIn, "not_in"),
        (Op::Contains, "contains"),
        (Op::StartsWith, "starts_with"),
        (Op::EndsWith, "ends_with"),
        (Op::Exists, "exists"),
        (Op::IsNull, "is_null"),
        (Op::Any, "any"),
        (Op::All, "all"),
    ];

    /// As it is written in JSON.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(op, _)| *op == self).map_or("", |(_, name)| name)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(op, _)| *op)
    }

    pub(super) fn names() -> String {
        Self::NAMES.map(|(_, name)| name).join(", ")
    }

    pub(super) fn takes_value(self) -> bool {
        !matches!(self, Op::Exists | Op::IsNull)
    }

    fn takes_list(self) -> bool {
        matches!(self, Op::In | Op::NotIn | Op::Any | Op::All)
    }

    /// What a value would have to be, if it is anything else.
    fn expects(self, value: &Value) -> Option<&'static str> {
        let ordered = value.is_number() || value.is_string() || value.is_boolean();
        match self {
            Op::Gt | Op::Gte | Op::Lt | Op::Lte if !ordered => {
                Some("a number, a string or a boolean")
            }
            Op::StartsWith | Op::EndsWith if !value.is_string() => Some("a string"),
            op if op.takes_list() && !value.is_array() => Some("a list"),
            _ => None,
        }
    }
}

/// A part of a filter, after its own parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Test { field: String, op: Op, value: Option<Operand> },
    Not,
    And(usize),
    Or(usize),
}

impl Node {
    /// Tests that it comes to: each value of a list, all of which are to be held, is one, and so is
    /// each list and object in one.
    fn parts(&self) -> usize {
        match self {
            Node::Test {
                op: Op::All, value: Some(Operand(Some(Value::Array(values)))), ..
            } => values.len() + 1,
            Node::Test { value: Some(Operand(Some(Value::Array(values)))), .. } => {
                1 + values.iter().filter(|value| value.is_array() || value.is_object()).count()
            }
            _ => 1,
        }
    }
}

/// Which records: those whose metadata passes tests of single fields, connected by `&`, `|` and
/// [`Filter::not`].
///
/// What each test means, also where a field is missing or of another type, is a table in
/// `docs/filters.md`. A filter that is too deep or too large, or compares with something that can
/// not be compared, is refused when it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Each after its parts, so that nothing that is done with a filter recurses.
    pub(super) nodes: Vec<Node>,
}

impl Filter {
    /// A test of a field: a path of keys with dots between them; a dot within a key is written `\.`,
    /// and a backslash before one `\\`.
    #[doc(hidden)]
    pub fn test(field: impl Into<String>, op: Op, value: impl Into<Operand>) -> Self {
        Self { nodes: vec![Node::Test { field: field.into(), op, value: Some(value.into()) }] }
    }

    /// The field is there, if only as null.
    pub fn exists(field: impl Into<String>) -> Self {
        Self { nodes: vec![Node::Test { field: field.into(), op: Op::Exists, value: None }] }
    }

    /// The field is there, and null.
    pub fn is_null(field: impl Into<String>) -> Self {
        Self { nodes: vec![Node::Test { field: field.into(), op: Op::IsNull, value: None }] }
    }

    /// All records that the filter does not match.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "implemented as well")]
    pub fn not(mut self) -> Self {
        self.nodes.push(Node::Not);
        self
    }

    /// Records that all filters match: all records if there is none.
    pub fn and(filters: impl IntoIterator<Item = Filter>) -> Self {
        Self::connected(filters, Node::And)
    }

    /// Records that one of the filters matches: none if there is none.
    pub fn or(filters: impl IntoIterator<Item = Filter>) -> Self {
        Self::connected(filters, Node::Or)
    }

    fn connected(filters: impl IntoIterator<Item = Filter>, node: fn(usize) -> Node) -> Self {
        let (mut nodes, mut parts) = (Vec::new(), 0);
        for filter in filters {
            nodes.extend(filter.nodes);
            parts += 1;
        }
        nodes.push(node(parts));
        Self { nodes }
    }

    /// Bytes of names and values, about.
    pub(super) fn bytes(&self) -> usize {
        let of = |node: &Node| match node {
            Node::Test { field, value, .. } => {
                let value = value.as_ref().and_then(Operand::value);
                field.len() + value.and_then(|value| size(value, 0)).unwrap_or(0)
            }
            Node::Not | Node::And(_) | Node::Or(_) => 0,
        };
        self.nodes.iter().map(|node| of(node) + size_of::<Node>()).sum()
    }

    /// Refuses what is too deep or too large, and what can not be compared.
    pub(super) fn check(&self) -> Result<()> {
        let found = self.nodes.iter().map(Node::parts).fold(0, usize::saturating_add);
        if found > MAX_FILTER_NODES {
            let message = format!("filter of {found} parts; expected {MAX_FILTER_NODES} or fewer");
            return Err(Error::invalid(message));
        }
        let mut depths: Vec<usize> = Vec::new();
        let mut bytes = 0usize;
        for node in &self.nodes {
            let parts = match node {
                Node::Test { field, op, value } => {
                    if field.len() > MAX_FIELD_BYTES {
                        let found = field.len();
                        return Err(Error::invalid(format!(
                            "filter: a field of {found} bytes; expected {MAX_FIELD_BYTES} or fewer"
                        )));
                    }
                    bytes = bytes.saturating_add(field.len());
                    if let Some(value) = value {
                        bytes = bytes.saturating_add(check_value(field, *op, value)?);
                    }
                    0
                }
                Node::Not => 1,
                Node::And(parts) | Node::Or(parts) => *parts,
            };
            let first = depths.len().saturating_sub(parts);
            let depth = depths.drain(first..).max().unwrap_or(0) + 1;
            if depth > MAX_FILTER_DEPTH {
                let message = format!("filter is nested more than {MAX_FILTER_DEPTH} deep");
                return Err(Error::invalid(message));
            }
            depths.push(depth);
        }
        if bytes > MAX_FILTER_BYTES {
            let message = format!("filter of {bytes} bytes; expected {MAX_FILTER_BYTES} or fewer");
            return Err(Error::invalid(message));
        }
        Ok(())
    }
}

/// Bytes of a value that a field may be compared with.
fn check_value(field: &str, op: Op, value: &Operand) -> Result<usize> {
    let at = || format!("filter: field `{field}`: {}", op.name());
    let Some(value) = &value.0 else {
        return Err(Error::invalid(format!("{} with NaN or an infinite number", at())));
    };
    if let Some(expected) = op.expects(value) {
        let found = kind(value);
        return Err(Error::invalid(format!("{} with {found}; expected {expected}", at())));
    }
    let too_deep = || Error::invalid(format!("{} with a value nested too deep", at()));
    size(value, 0).ok_or_else(too_deep)
}

/// Bytes of a value, about; `None` if it is nested too deep.
fn size(value: &Value, depth: usize) -> Option<usize> {
    if depth > MAX_FILTER_DEPTH {
        return None;
    }
    let parts = match value {
        Value::Array(values) => {
            values.iter().try_fold(0, |sum, value| Some(sum + size(value, depth + 1)?))?
        }
        Value::Object(object) => object
            .iter()
            .try_fold(0, |sum, (key, value)| Some(sum + key.len() + size(value, depth + 1)?))?,
        Value::String(text) => text.len(),
        _ => 0,
    };
    Some(parts + 8)
}

impl Filter {
    /// Connects two by `node`; what is connected so already gets one part more.
    fn joined(mut self, other: Filter, parts: Option<usize>, node: fn(usize) -> Node) -> Self {
        if parts.is_some() {
            self.nodes.pop();
        }
        self.nodes.extend(other.nodes);
        self.nodes.push(node(parts.unwrap_or(1) + 1));
        self
    }
}

impl BitAnd for Filter {
    type Output = Filter;

    fn bitand(self, other: Filter) -> Filter {
        let parts = match self.nodes.last() {
            Some(Node::And(parts)) => Some(*parts),
            _ => None,
        };
        self.joined(other, parts, Node::And)
    }
}

impl BitOr for Filter {
    type Output = Filter;

    fn bitor(self, other: Filter) -> Filter {
        let parts = match self.nodes.last() {
            Some(Node::Or(parts)) => Some(*parts),
            _ => None,
        };
        self.joined(other, parts, Node::Or)
    }
}

impl std::ops::Not for Filter {
    type Output = Filter;

    fn not(self) -> Filter {
        Filter::not(self)
    }
}
