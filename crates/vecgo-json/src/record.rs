use std::borrow::Cow;
use std::fmt;

use crate::by_names;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaFormat};
use utoipa::openapi::{KnownFormat, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use vecgo::{Facet, Hit, Id, Record};

/// An id: a number is a u64, a string a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdJson(pub Id);

impl Serialize for IdJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Id::Number(number) => serializer.serialize_u64(*number),
            Id::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for IdJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = IdJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an id: 0 to {} or a string", u64::MAX)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<IdJson, E> {
                Ok(IdJson(Id::from(number)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<IdJson, E> {
                Ok(IdJson(Id::from(text)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl PartialSchema for IdJson {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::Custom("uint64".to_owned())))
            .minimum(Some(0));
        let text = ObjectBuilder::new().schema_type(Type::String);
        OneOfBuilder::new().item(number).item(text).into()
    }
}

impl ToSchema for IdJson {
    fn name() -> Cow<'static, str> {
        "Id".into()
    }
}

/// A vector: a list of numbers, or the base64 of its values as little-endian f32, which is short and quick to
/// read.
#[derive(Debug, Clone, PartialEq)]
pub enum VectorJson {
    /// As a list.
    List(Vec<f32>),
    /// As base64.
    Base64(Vec<f32>),
}

impl VectorJson {
    /// Its values.
    pub fn values(&self) -> &[f32] {
        match self {
            VectorJson::List(values) | VectorJson::Base64(values) => values,
        }
    }

    /// Its values.
    pub fn into_values(self) -> Vec<f32> {
        match self {
            VectorJson::List(values) | VectorJson::Base64(values) => values,
        }
    }
}

impl Serialize for VectorJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            VectorJson::List(values) => values.serialize(serializer),
            VectorJson::Base64(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                serializer.serialize_str(&STANDARD.encode(bytes))
            }
        }
    }
}

impl<'de> Deserialize<'de> for VectorJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = VectorJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vector: a list of numbers, or base64 of little-endian f32")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<VectorJson, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element::<f32>()? {
                    values.push(value);
                }
                Ok(VectorJson::List(values))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<VectorJson, E> {
                let bytes = STANDARD.decode(text);
                let bytes =
                    bytes.map_err(|error| E::custom(format!("vector: no base64: {error}")))?;
                let (values, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    let message = format!("vector: {} bytes are no row of f32", bytes.len());
                    return Err(E::custom(message));
                }
                Ok(VectorJson::Base64(
                    values.iter().map(|value| f32::from_le_bytes(*value)).collect(),
                ))
            }
        }
        deserializer.deserialize_any(Values)
    }
}

impl PartialSchema for VectorJson {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Number)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Float)));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Byte)))
            .description(Some("Base64 of the values as little-endian f32."));
        OneOfBuilder::new().item(ArrayBuilder::new().items(number)).item(text).into()
    }
}

impl ToSchema for VectorJson {
    fn name() -> Cow<'static, str> {
        "Vector".into()
    }
}

/// Bytes, in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)
            .map_err(|error| de::Error::custom(format!("{error} of base64")))?;
        let bytes = STANDARD.decode(text.as_bytes());
        bytes.map(Self).map_err(|error| de::Error::custom(format!("payload: not base64: {error}")))
    }
}

/// A record. Without an id it gets one where it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schema(as = Record)]
pub struct RecordJson {
    /// Its id; where records are written, one is made if it is missing.
    #[serde(default, deserialize_with = "there")]
    #[schema(nullable = false)]
    pub id: Option<IdJson>,
    /// As many values as the collection has dimensions.
    pub vector: VectorJson,
    /// A document: an object.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// Bytes, in base64.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Byte)]
    pub payload: Option<Base64>,
}

/// Reads an id that may be missing, and may not be null.
///
/// # Errors
/// What is no id.
pub fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IdJson>, D::Error> {
    IdJson::deserialize(deserializer).map(Some)
}

impl Serialize for RecordJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

by_names!(RecordJson);

impl RecordJson {
    /// The record, and its id if it has one; that of the record is 0 meanwhile.
    pub fn into_record(self) -> (Option<Id>, Record) {
        let mut record = Record::new(0u64, self.vector.into_values());
        record.metadata = self.metadata.unwrap_or_else(|| Value::Object(Map::new()));
        record.payload = self.payload.map(|payload| payload.0);
        (self.id.map(|id| id.0), record)
    }

    /// With the vector as base64, not as a list.
    #[must_use]
    pub fn in_base64(mut self) -> Self {
        self.vector = VectorJson::Base64(self.vector.into_values());
        self
    }
}

impl From<Record> for RecordJson {
    fn from(record: Record) -> Self {
        Self {
            id: Some(IdJson(record.id)),
            vector: VectorJson::List(record.vector),
            metadata: Some(record.metadata),
            payload: record.payload.map(Base64),
        }
    }
}

/// A record that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HitJson {
    /// Its id.
    pub id: IdJson,
    /// How near it is; more is nearer.
    pub score: f32,
    /// How far it is; less is nearer.
    pub distance: f32,
    /// Its document, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// Its vector, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorJson>,
    /// Its payload, if it was asked for and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Byte)]
    pub payload: Option<Base64>,
}

impl From<Hit> for HitJson {
    fn from(hit: Hit) -> Self {
        Self {
            id: IdJson(hit.id),
            score: hit.score,
            distance: hit.distance,
            metadata: hit.metadata,
            vector: hit.vector.map(VectorJson::List),
            payload: hit.payload.map(Base64),
        }
    }
}

impl HitJson {
    /// With the vector, if there is one, as base64, not as a list.
    #[must_use]
    pub fn in_base64(mut self) -> Self {
        self.vector = self.vector.map(|vector| VectorJson::Base64(vector.into_values()));
        self
    }
}

/// A value of a field, and how many records have it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FacetJson {
    /// The value.
    pub value: Value,
    /// How many records have it.
    pub count: u64,
}

impl From<Facet> for FacetJson {
    fn from(facet: Facet) -> Self {
        Self { value: facet.value, count: facet.count }
    }
}
