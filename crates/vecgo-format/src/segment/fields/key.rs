//! Values as byte strings in the order in which filters compare them.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::{RawValue, Timestamp};

const NULL: u8 = 1;
const BOOL: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const TIMESTAMP: u8 = 5;
const LIST: u8 = 6;
const OBJECT: u8 = 7;

/// Most bytes of a text that a segment's fields hold.
const MOST_TEXT: usize = 120;

/// A kind of value. Values of two kinds are neither equal nor one before the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    /// `null`.
    Null,
    /// `true` and `false`, which is less.
    Bool,
    /// Numbers, in the order of what they are exactly, integers or not.
    Number,
    /// Texts, in the order of their code points.
    Text,
    /// Timestamps, in the order of time.
    Timestamp,
    /// Lists.
    List,
    /// Objects.
    Object,
}

impl ValueKind {
    fn tag(self) -> u8 {
        match self {
            ValueKind::Null => NULL,
            ValueKind::Bool => BOOL,
            ValueKind::Number => NUMBER,
            ValueKind::Text => TEXT,
            ValueKind::Timestamp => TIMESTAMP,
            ValueKind::List => LIST,
            ValueKind::Object => OBJECT,
        }
    }
}

/// A value as bytes: keys of one kind are in the order of their values, and equal if those are. All
/// lists have one key, and all objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldKey(Vec<u8>);

impl FieldKey {
    /// The key of `null`.
    pub fn null() -> Self {
        Self(vec![NULL])
    }

    /// The key of a text.
    pub fn text(text: &[u8]) -> Self {
        let mut key = Self::default();
        key.set(&RawValue::Text(text));
        key
    }

    /// The key of a timestamp.
    pub fn timestamp(time: Timestamp) -> Self {
        let mut key = Self::default();
        key.set(&RawValue::Timestamp(time));
        key
    }

    /// The key of an integer, which may be one that no document holds.
    pub fn integer(integer: i128) -> Self {
        let mut key = Self::default();
        key.set_integer(integer);
        key
    }

    /// The key of a number; of those that are none nothing is promised.
    pub fn float(float: f64) -> Self {
        let mut key = Self::default();
        key.set(&RawValue::Float(float));
        key
    }

    /// The key of `true` or `false`.
    pub fn bool(value: bool) -> Self {
        Self(vec![BOOL, u8::from(value)])
    }

    /// Becomes the key of a value.
    pub fn set(&mut self, value: &RawValue<'_>) {
        self.0.clear();
        match value {
            RawValue::Null => self.0.push(NULL),
            RawValue::Bool(value) => self.0.extend([BOOL, u8::from(*value)]),
            RawValue::Int(int) => self.set_integer(i128::from(*int)),
            RawValue::Float(float) => self.set_number(*float, 0),
            RawValue::Text(text) => {
                self.0.push(TEXT);
                self.0.extend_from_slice(text);
            }
            RawValue::Timestamp(time) => self.set_timestamp(*time),
            RawValue::List(_) => self.0.push(LIST),
            RawValue::Object(_) => self.0.push(OBJECT),
        }
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Whether it is of a value with a key of its own: of no list and of no object.
    pub fn is_of_scalar(&self) -> bool {
        !matches!(self.0.first(), Some(&LIST | &OBJECT) | None)
    }

    /// The value with this key, a number as an integer if it is one; `None` for lists and objects, and
    /// for bytes that are no key.
    pub fn value(&self) -> Option<Value> {
        let (tag, rest) = self.0.split_first()?;
        Some(match *tag {
            NULL => Value::Null,
            BOOL => Value::Bool(*rest.first()? == 1),
            NUMBER => number(rest)?,
            TEXT => Value::String(String::from_utf8(rest.to_vec()).ok()?),
            TIMESTAMP => Value::String(timestamp(rest)?.to_string()),
            _ => return None,
        })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes that a segment's fields hold, and whether that is not all.
    pub(super) fn kept(&self) -> (&[u8], bool) {
        match self.0.get(..=MOST_TEXT) {
            Some(kept) if self.0[0] == TEXT && self.0.len() > kept.len() => (kept, true),
            _ => (&self.0, false),
        }
    }

    fn set_integer(&mut self, integer: i128) {
        #[expect(clippy::cast_precision_loss, reason = "what is lost is told apart")]
        let near = integer as f64;
        #[expect(clippy::cast_possible_truncation, reason = "exact: both are below 2^65")]
        let exact = |float: f64| float as i128;
        let below = if exact(near) > integer { near.next_down() } else { near };
        let rest = u16::try_from(integer.saturating_sub(exact(below))).unwrap_or(u16::MAX);
        self.set_number(below, rest);
    }

    /// The greatest f64 that is not above the number, and what is left of that.
    fn set_number(&mut self, float: f64, rest: u16) {
        // No negative zero.
        let bits = (float + 0.0).to_bits();
        let negative = bits >> 63 == 1;
        let ordered = if negative { !bits } else { bits | (1 << 63) };
        self.0.clear();
        self.0.push(NUMBER);
        // The bytes that weigh most first, so that keys are in the order of numbers.
        self.0.extend(ordered.to_le_bytes().into_iter().rev());
        self.0.extend(rest.to_le_bytes().into_iter().rev());
    }

    fn set_timestamp(&mut self, time: Timestamp) {
        self.0.push(TIMESTAMP);
        // Those before 1970 before all others.
        let seconds = time.seconds.cast_unsigned() ^ (1 << 63);
        self.0.extend(seconds.to_le_bytes().into_iter().rev());
        self.0.extend(time.nanoseconds.to_le_bytes().into_iter().rev());
    }

    /// The least key above this one that a longer value could have.
    fn above(mut self) -> Self {
        self.0.push(0);
        self
    }
}

/// The integer whose bytes these are, those that weigh most first.
fn digits(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The timestamp whose key goes on with these bytes.
fn timestamp(bytes: &[u8]) -> Option<Timestamp> {
    let (seconds, nanoseconds) = bytes.split_first_chunk::<8>()?;
    let nanoseconds: &[u8; 4] = nanoseconds.try_into().ok()?;
    let seconds = (digits(seconds) ^ (1 << 63)).cast_signed();
    Timestamp::new(seconds, u32::try_from(digits(nanoseconds)).ok()?)
}

/// The number whose key goes on with these bytes.
fn number(bytes: &[u8]) -> Option<Value> {
    let (high, rest) = bytes.split_first_chunk::<8>()?;
    let rest: &[u8; 2] = rest.try_into().ok()?;
    let ordered = digits(high);
    let bits = if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered };
    let float = f64::from_bits(bits);
    #[expect(clippy::cast_possible_truncation, reason = "of larger ones no integer is made")]
    let whole = (float.trunc() == float).then_some(float as i128);
    let integer = whole.map(|whole| whole.saturating_add(i128::from(digits(rest))));
    match integer.and_then(|integer| i64::try_from(integer).ok()) {
        Some(integer) => Some(Value::from(integer)),
        None => Number::from_f64(float).map(Value::Number),
    }
}

/// Keys from one on and before another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    from: FieldKey,
    to: FieldKey,
}

impl KeyRange {
    /// Keys of any kind.
    pub fn all() -> Self {
        Self { from: FieldKey(vec![0]), to: FieldKey(vec![u8::MAX]) }
    }

    /// Keys of a kind.
    pub fn kind(kind: ValueKind) -> Self {
        let tag = kind.tag();
        Self { from: FieldKey(vec![tag]), to: FieldKey(vec![tag + 1]) }
    }

    /// One key.
    pub fn only(key: FieldKey) -> Self {
        Self { to: key.clone().above(), from: key }
    }

    /// Those of a kind that are less than a key, or no more.
    pub fn below(kind: ValueKind, key: FieldKey, inclusive: bool) -> Self {
        let to = if inclusive { key.above() } else { key };
        Self { to, ..Self::kind(kind) }
    }

    /// Those of a kind that are more than a key, or no less.
    pub fn above(kind: ValueKind, key: FieldKey, inclusive: bool) -> Self {
        let from = if inclusive { key } else { key.above() };
        Self { from, ..Self::kind(kind) }
    }

    /// Texts that begin with one.
    pub fn prefix(text: &[u8]) -> Self {
        let from = FieldKey::text(text);
        let mut to = from.clone();
        // The last byte of a text, or the mark of one, is never the last byte there is.
        if let Some(last) = to.0.last_mut() {
            *last = last.saturating_add(1);
        }
        Self { from, to }
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let from = (&self.from).max(&other.from).clone();
        let to = (&self.to).min(&other.to).max(&from).clone();
        Self { from, to }
    }

    /// Whether a key is among them or after all of them.
    pub fn starts_by(&self, key: &FieldKey) -> bool {
        self.from <= *key
    }

    /// Whether a key is among them.
    pub fn contains(&self, key: &FieldKey) -> bool {
        (&self.from..&self.to).contains(&key)
    }

    /// The first of them, and the first beyond.
    pub(super) fn ends(&self) -> [&[u8]; 2] {
        [&self.from.0, &self.to.0]
    }
}

/// The text of a key of one.
/// Whether a key may begin so.
pub(super) fn is_known(tag: u8) -> bool {
    (NULL..=OBJECT).contains(&tag)
}

pub(super) fn text_of(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&[TEXT])
}

/// A key as a segment holds it, against a bound: `None` if what is cut off decides.
pub(super) fn compare(kept: &[u8], cut: bool, bound: &[u8]) -> Option<Ordering> {
    if !cut {
        return Some(kept.cmp(bound));
    }
    match bound.strip_prefix(kept) {
        // Something follows in the key, and be it a zero.
        Some([] | [0]) => Some(Ordering::Greater),
        Some(_) => None,
        None => Some(kept.cmp(bound)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: f64) -> FieldKey {
        FieldKey::float(number)
    }

    #[test]
    fn numbers_are_in_the_order_of_what_they_are() {
        let numbers = [
            key(f64::MIN),
            key(-1e19),
            FieldKey::integer(i128::from(i64::MIN)),
            FieldKey::integer(i128::from(i64::MIN) + 1),
            key(-9_007_199_254_740_994.0),
            FieldKey::integer(-9_007_199_254_740_993),
            key(-9_007_199_254_740_992.0),
            key(-0.5),
            key(0.0),
            key(f64::MIN_POSITIVE),
            key(9_007_199_254_740_992.0),
            FieldKey::integer(9_007_199_254_740_993),
            key(9_007_199_254_740_994.0),
            FieldKey::integer(i128::from(i64::MAX)),
            key(9_223_372_036_854_775_808.0),
            FieldKey::integer(i128::from(u64::MAX)),
            key(18_446_744_073_709_551_616.0),
            key(f64::MAX),
        ];
        assert!(numbers.is_sorted_by(|a, b| a < b));
        let values = numbers.iter().map(|key| key.value().unwrap());
        let again = values.map(|value| match value.as_i64() {
            Some(integer) => FieldKey::integer(integer.into()),
            None => key(value.as_f64().unwrap()),
        });
        // But for the two that no document holds.
        let lost = again.zip(&numbers).filter(|(again, number)| again != *number).count();
        assert_eq!(lost, 1);
        assert_eq!(key(-0.0), FieldKey::integer(0));
        assert_eq!(key(3.0), FieldKey::integer(3));
        assert_eq!(key(9_223_372_036_854_775_808.0), FieldKey::integer(1 << 63));
    }

    #[test]
    fn timestamps_are_in_the_order_of_time() {
        let texts = [
            "0000-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999999Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.000000001Z",
            "2024-05-01T12:00:00Z",
            "9999-12-31T23:59:59Z",
        ];
        let keys = texts.map(|text| FieldKey::timestamp(Timestamp::parse(text).unwrap()));
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert!(keys.iter().zip(texts).all(|(key, text)| key.value().unwrap() == *text));
        assert!(keys.iter().all(|key| KeyRange::kind(ValueKind::Timestamp).contains(key)));
    }

    #[test]
    fn what_is_cut_off_decides_only_behind_the_cut() {
        let kept = b"\x04abc";
        assert_eq!(compare(kept, true, b"\x04abc"), Some(Ordering::Greater));
        assert_eq!(compare(kept, true, b"\x04abc\0"), Some(Ordering::Greater));
        assert_eq!(compare(kept, true, b"\x04abcd"), None);
        assert_eq!(compare(kept, true, b"\x04abd"), Some(Ordering::Less));
        assert_eq!(compare(kept, true, b"\x04ab"), Some(Ordering::Greater));
        assert_eq!(compare(kept, false, b"\x04abcd"), Some(Ordering::Less));
    }
}
