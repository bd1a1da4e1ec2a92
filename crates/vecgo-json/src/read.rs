use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use vecgo::{Error, ErrorKind, Result};

/// Reads JSON that somebody sent.
///
/// # Errors
/// `InvalidArgument` says where in it something else was expected.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, message);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        invalid(if path == "." { error.to_string() } else { format!("{path}: {error}") })
    })?;
    reader.end().map_err(|error| invalid(error.to_string()))?;
    Ok(value)
}

/// Reads an object by the names of its fields alone: what is derived takes a list of the fields too.
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
