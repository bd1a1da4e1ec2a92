use serde_json::{Map, Value};

/// What a filter compares a field with: a JSON value. Made of numbers, texts, booleans, lists of
/// those, and of [`Value`] itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand(pub(super) Option<Value>);

impl Operand {
    /// The value; `None` for a number that JSON does not have, which every call refuses.
    pub fn value(&self) -> Option<&Value> {
        self.0.as_ref()
    }
}

macro_rules! from {
    ($($type:ty),*) => {
        $(impl From<$type> for Operand {
            fn from(value: $type) -> Self {
                Self(Some(Value::from(value)))
            }
        })*
    };
}

from!(Value, Map<String, Value>, bool, String, &str);
from!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl From<f64> for Operand {
    fn from(value: f64) -> Self {
        Self(serde_json::Number::from_f64(value).map(Value::Number))
    }
}

impl From<f32> for Operand {
    fn from(value: f32) -> Self {
        Self::from(f64::from(value))
    }
}

impl<T: Into<Operand>> From<Vec<T>> for Operand {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Into<Operand>, const N: usize> From<[T; N]> for Operand {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Clone + Into<Operand>> From<&[T]> for Operand {
    fn from(values: &[T]) -> Self {
        values.iter().cloned().collect()
    }
}

impl<T: Into<Operand>> FromIterator<T> for Operand {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let values: Option<Vec<Value>> = values.into_iter().map(|value| value.into().0).collect();
        Self(values.map(Value::Array))
    }
}
