use serde_json::Value;
use vecgo_format::{Document, Id};

/// What a collection holds under an id.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The id, as it was given.
    pub id: Id,
    /// As many values as the collection has dimensions.
    pub vector: Vec<f32>,
    /// A JSON object; empty if none was given. Anything else is refused when it is written.
    pub metadata: Value,
    /// Bytes kept with the record.
    pub payload: Option<Vec<u8>>,
}

impl Record {
    /// A record without metadata and payload.
    pub fn new(id: impl Into<Id>, vector: impl Into<Vec<f32>>) -> Self {
        Self {
            id: id.into(),
            vector: vector.into(),
            metadata: Value::Object(Document::new()),
            payload: None,
        }
    }

    /// With a metadata document, a JSON object.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Value>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// With payload bytes.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = Some(payload.into());
        self
    }
}

/// A change to one part of a record.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Patch<T> {
    /// As it is.
    #[default]
    Keep,
    /// This instead.
    Set(T),
}

/// A change to a record that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub(crate) id: Id,
    pub(crate) vector: Patch<Vec<f32>>,
    pub(crate) metadata: Patch<Value>,
    pub(crate) merge: Option<Value>,
    pub(crate) payload: Patch<Option<Vec<u8>>>,
}

impl Update {
    /// A change of nothing yet.
    pub fn new(id: impl Into<Id>) -> Self {
        Self {
            id: id.into(),
            vector: Patch::Keep,
            metadata: Patch::Keep,
            merge: None,
            payload: Patch::Keep,
        }
    }

    /// Another vector.
    #[must_use]
    pub fn vector(mut self, vector: impl Into<Vec<f32>>) -> Self {
        self.vector = Patch::Set(vector.into());
        self
    }

    /// Another document in place of the old one.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Value>) -> Self {
        self.metadata = Patch::Set(metadata.into());
        self
    }

    /// A JSON merge patch (RFC 7396) of the document: fields are set, `null` removes one.
    #[must_use]
    pub fn merge_metadata(mut self, patch: impl Into<Value>) -> Self {
        self.merge = Some(patch.into());
        self
    }

    /// Another payload.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = Patch::Set(Some(payload.into()));
        self
    }

    /// No payload any more.
    #[must_use]
    pub fn remove_payload(mut self) -> Self {
        self.payload = Patch::Set(None);
        self
    }
}

/// What a JSON value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
