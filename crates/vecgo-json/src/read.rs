use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use vecgo::{Error, ErrorKind, Result};

/// What the reader calls things, and what they are to whoever sent them.
const NAMES: [(&str, &str); 12] = [
    ("usize", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("u32", "a whole number, 0 or more"),
    ("u16", "a whole number, 0 to 65535"),
    ("a nonzero u32", "a whole number, 1 or more"),
    ("f32", "a number"),
    ("f64", "a number"),
    ("a sequence", "a list"),
    ("a map", "an object"),
    ("map", "an object"),
    ("any valid JSON value", "a value"),
    ("option", "a value"),
];

/// Reads JSON that somebody sent.
///
/// # Errors
/// `InvalidArgument` says where in it something else was expected.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, message);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let message = in_words(&error.into_inner().to_string());
        invalid(if path == "." { message } else { format!("{path}: {message}") })
    })?;
    reader.end().map_err(|error| invalid(error.to_string()))?;
    Ok(value)
}

/// A message without the names of types.
fn in_words(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once("expected ") else {
        return message.to_owned();
    };
    let (expected, place) = expected.split_at(expected.find(" at line").unwrap_or(expected.len()));
    let name = NAMES.iter().find(|(name, _)| *name == expected).map(|(_, words)| *words);
    let is_type = expected.starts_with("struct ") || expected.starts_with("enum ");
    let words = name.unwrap_or(if is_type { "an object" } else { expected });
    format!("{found}expected {words}{place}")
}

/// Reads an object by the names of its fields alone: what is derived takes a list of the fields too.
///
/// # Errors
/// What is no object, or has other fields.
pub fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(Object(PhantomData))
}

/// Reads a type with `#[serde(remote = "Self")]` by the names of its fields alone, as [`object`] does.
#[macro_export]
macro_rules! by_names {
    ($of:ident) => {
        impl<'de> serde::Deserialize<'de> for $of {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> std::result::Result<Self, D::Error> {
                struct Fields($of);
                impl<'de> serde::Deserialize<'de> for Fields {
                    fn deserialize<D: serde::Deserializer<'de>>(
                        deserializer: D,
                    ) -> std::result::Result<Self, D::Error> {
                        $of::deserialize(deserializer).map(Self)
                    }
                }
                $crate::object(deserializer).map(|Fields(read)| read)
            }
        }
    };
}

/// Reads what may be missing; null is something else than what is not there.
///
/// # Errors
/// What is neither null nor a `T`.
pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A list that is not read beyond so many elements: each may take much more memory than it has bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Few<T>(pub Vec<T>);

impl<T> Few<T> {
    /// Elements that are read at most.
    pub const MOST: usize = 100_000;
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<Few<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element()? {
                    if elements.len() == Few::<T>::MOST {
                        let message = format!("more than {} in a request", Few::<T>::MOST);
                        return Err(de::Error::custom(message));
                    }
                    elements.push(element);
                }
                Ok(Few(elements))
            }
        }
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// A value whose length is known before it is taken apart, which takes many times the memory.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Unread(Box<RawValue>);

impl Unread {
    /// The value.
    ///
    /// # Errors
    /// `InvalidArgument` if it has more than so many bytes, or is nested too deep.
    pub fn read(&self, most: usize) -> Result<Value> {
        let text = self.0.get();
        if text.len() > most {
            let message = format!("{} bytes; expected {most} at most", text.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        read(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(default)]
        k: usize,
        filter: Option<Unread>,
        #[serde(default = "none")]
        ids: Few<u64>,
    }

    fn none() -> Few<u64> {
        Few(Vec::new())
    }

    fn refusal(text: &str) -> String {
        read::<Asked>(text.as_bytes()).unwrap_err().message().to_owned()
    }

    #[test]
    fn refusals_name_no_types() {
        for (text, said) in [
            ("{\"k\": -1}", "k: invalid value: integer `-1`, expected a whole number, 0 or more"),
            ("{\"k\": 1.5}", "expected a whole number, 0 or more"),
            ("{\"k\": null}", "expected a whole number"),
            ("{\"ids\": 1}", "ids: invalid type: integer `1`, expected a list"),
            ("{\"ids\": [\"x\"]}", "ids[0]: invalid type: string \"x\", expected a whole number"),
            ("3", "expected an object"),
            ("{\"l\": 1}", "unknown field `l`, expected one of `k`, `filter`, `ids`"),
        ] {
            assert!(refusal(text).contains(said), "{text}: {}", refusal(text));
        }
    }

    #[test]
    fn what_is_too_much_is_not_taken_apart() {
        let asked: Asked = read(b"{\"filter\": {\"a\": [1, 2]}, \"ids\": [1, 2]}").unwrap();
        assert_eq!((asked.k, &asked.ids.0[..]), (0, &[1, 2][..]));
        let filter = asked.filter.unwrap();
        assert_eq!(filter.read(100).unwrap(), json!({"a": [1, 2]}));
        assert!(filter.read(3).unwrap_err().message().contains("expected 3 at most"));
        let zeros = |count: usize| format!("{{\"ids\": [0{}]}}", ",0".repeat(count - 1));
        assert_eq!(read::<Asked>(zeros(100_000).as_bytes()).unwrap().ids.0.len(), 100_000);
        assert!(refusal(&zeros(100_001)).contains("ids: more than 100000 in a request"));
    }
}
