//! Checking a batch, whole, before anything of it is kept.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use serde_json::Value;
use vecgo_format::{Config, Document, Id, Schema, encode_document, encode_document_under};

use crate::filter::Bound;
use crate::memtable::ROW_OVERHEAD;
use crate::query::{check_vector, norm};
use crate::record::{Patch, Record, Update, kind};
use crate::schema::rewritten;
use crate::{Error, ErrorKind, Result};

/// What a put supposes about its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing: an upsert.
    Any,
    /// That it names nothing: an insert.
    Absent,
}

/// A vector that passed the checks, and what the metric keeps beside it.
#[derive(Debug)]
pub(crate) struct CheckedVector {
    pub(crate) values: Vec<f32>,
    pub(crate) norm: f32,
}

/// One change of a batch.
#[derive(Debug)]
pub(crate) enum Change {
    Put {
        vector: CheckedVector,
        document: Box<[u8]>,
        payload: Option<Box<[u8]>>,
        condition: Condition,
    },
    Update {
        vector: Option<CheckedVector>,
        document: Option<Box<[u8]>>,
        /// Applied in their order.
        merges: Vec<Document>,
        payload: Option<Option<Box<[u8]>>>,
    },
    /// If there is a filter, only what it matches.
    Delete(Option<Arc<Bound>>),
}

/// A batch that passed every check that needs no look at the collection.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Row of the caller's batch, id, change; no id twice.
    pub(crate) changes: Vec<(usize, Id, Change)>,
    pub(crate) bytes: usize,
    /// What its documents meet, and its filter is bound under.
    pub(super) schema: Schema,
}

/// About what a row takes beside its vector, document and payload.
const ROW_BYTES: usize = 64;

impl Batch {
    pub(crate) fn of_records(
        config: &Config,
        schema: &Schema,
        limit: usize,
        records: Vec<Record>,
        condition: Condition,
    ) -> Result<Self> {
        Self::collect(
            schema,
            limit,
            records.len(),
            records.into_iter().map(|record| {
                let document = encode_metadata(&record.metadata, schema)?;
                let vector = checked(config, record.vector)?;
                let payload = record.payload.map(Vec::into_boxed_slice);
                Ok((record.id, Change::Put { vector, document, payload, condition }))
            }),
        )
    }

    pub(crate) fn of_updates(
        config: &Config,
        schema: &Schema,
        limit: usize,
        updates: Vec<Update>,
    ) -> Result<Self> {
        Self::collect(
            schema,
            limit,
            updates.len(),
            updates.into_iter().map(|update| {
                let document = match update.metadata {
                    Patch::Keep => None,
                    Patch::Set(metadata) => Some(encode_metadata(&metadata, schema)?),
                };
                let merges = match update.merge {
                    None => Vec::new(),
                    Some(Value::Object(patch)) => {
                        // Within a document's limits, so that applying it needs no look at its depth.
                        encode_document(&patch)?;
                        vec![patch]
                    }
                    Some(other) => return Err(not_an_object("a merge patch", &other)),
                };
                let vector = match update.vector {
                    Patch::Keep => None,
                    Patch::Set(vector) => Some(checked(config, vector)?),
                };
                let payload = match update.payload {
                    Patch::Keep => None,
                    Patch::Set(payload) => Some(payload.map(Vec::into_boxed_slice)),
                };
                Ok((update.id, Change::Update { vector, document, merges, payload }))
            }),
        )
    }

    /// Deletes records: if a filter is given, those that it matches.
    pub(crate) fn of_deletes(
        schema: &Schema,
        limit: usize,
        ids: Vec<Id>,
        only: Option<&Arc<Bound>>,
    ) -> Result<Self> {
        let delete = |id| Ok((id, Change::Delete(only.cloned())));
        Self::collect(schema, limit, ids.len(), ids.into_iter().map(delete))
    }

    pub(super) fn only_deletes(&self) -> bool {
        self.changes.iter().all(|(_, _, change)| matches!(change, Change::Delete(_)))
    }

    /// Bytes that it may take in a memtable, but for parts of documents that stay as they are.
    pub(crate) fn memory_bytes(&self, dim: usize) -> usize {
        let is_update = |change: &&(usize, Id, Change)| matches!(change.2, Change::Update { .. });
        let updates = self.changes.iter().filter(is_update).count();
        self.bytes + self.changes.len() * ROW_OVERHEAD + updates * dim * 4
    }

    /// Of two rows with one id the last wins; an insert is refused.
    fn collect(
        schema: &Schema,
        limit: usize,
        rows: usize,
        incoming: impl Iterator<Item = Result<(Id, Change)>>,
    ) -> Result<Self> {
        let (schema, changes) = (schema.clone(), Vec::with_capacity(rows));
        let mut batch = Self { changes, bytes: 0, schema };
        let mut places: HashMap<Id, usize, BuildHasherDefault<std::hash::DefaultHasher>> =
            HashMap::with_capacity_and_hasher(rows, BuildHasherDefault::default());
        for (row, change) in incoming.enumerate() {
            let checked = change.and_then(|(id, change)| {
                // What a filter finds is there, whichever build took it.
                if !matches!(change, Change::Delete(Some(_))) {
                    id.check()?;
                }
                Ok((id, change))
            });
            let (id, change) = checked.map_err(|error| error.at_row(row))?;
            batch.bytes += change.bytes() + id.bytes() + ROW_BYTES;
            if batch.bytes > limit {
                return Err(too_large(limit).at_row(row));
            }
            match places.entry(id.clone()) {
                Entry::Occupied(_) if change.is_insert() => {
                    let message = format!("id {id} is in the batch twice");
                    return Err(Error::new(ErrorKind::AlreadyExists, message).at_row(row));
                }
                Entry::Occupied(place) => {
                    let (at, _, earlier) = &mut batch.changes[*place.get()];
                    *at = row;
                    earlier.then(change);
                }
                Entry::Vacant(place) => {
                    place.insert(batch.changes.len());
                    batch.changes.push((row, id, change));
                }
            }
        }
        Ok(batch)
    }
}

/// The refusal of a batch beyond `limit` bytes.
pub(super) fn too_large(limit: usize) -> Error {
    Error::invalid(format!(
        "the batch takes more than {limit} bytes, half a memtable; \
         split it or raise memtable_bytes (data.memtable of a server)"
    ))
}

impl Change {
    fn is_insert(&self) -> bool {
        matches!(self, Change::Put { condition: Condition::Absent, .. })
    }

    /// What this change and then a later one of the same id come to: of two records the last
    /// wins, two updates add up.
    fn then(&mut self, later: Change) {
        match (self, later) {
            (
                Change::Update { vector, document, merges, payload },
                Change::Update {
                    vector: later_vector,
                    document: later_document,
                    merges: later_merges,
                    payload: later_payload,
                },
            ) => {
                if later_document.is_some() {
                    *document = later_document;
                    merges.clear();
                }
                merges.extend(later_merges);
                *vector = later_vector.or(vector.take());
                *payload = later_payload.or(payload.take());
            }
            (earlier, later) => *earlier = later,
        }
    }

    /// Becomes what it is under another schema.
    pub(super) fn adapt(&mut self, schema: &Schema) -> Result<()> {
        match self {
            Change::Put { document, .. } | Change::Update { document: Some(document), .. } => {
                *document = rewritten(document, schema, |_| ())?;
            }
            Change::Delete(Some(bound)) => *bound = Arc::new(bound.under(schema)?),
            Change::Update { document: None, .. } | Change::Delete(None) => {}
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        match self {
            Change::Put { vector, document, payload, .. } => {
                vector.values.len() * 4
                    + document.len()
                    + payload.as_ref().map_or(0, |payload| payload.len())
            }
            Change::Update { vector, document, payload, .. } => {
                vector.as_ref().map_or(0, |vector| vector.values.len() * 4)
                    + document.as_ref().map_or(0, |document| document.len())
                    + payload.iter().flatten().map(|payload| payload.len()).sum::<usize>()
            }
            Change::Delete(_) => 0,
        }
    }
}

fn checked(config: &Config, values: Vec<f32>) -> Result<CheckedVector> {
    check_vector(config, &values)?;
    Ok(CheckedVector { norm: norm(config.metric(), &values), values })
}

fn encode_metadata(metadata: &Value, schema: &Schema) -> Result<Box<[u8]>> {
    match metadata {
        Value::Object(document) => Ok(encode_document_under(document, schema)?.into()),
        other => Err(not_an_object("metadata", other)),
    }
}

fn not_an_object(what: &str, found: &Value) -> Error {
    let found = kind(found);
    Error::invalid(format!("{what} is {found}; expected a JSON object"))
}

/// RFC 7396.
pub(crate) fn merge(document: &mut Document, patch: Document) {
    for (key, value) in patch {
        match (value, document.get_mut(&key)) {
            (Value::Null, _) => {
                document.remove(&key);
            }
            (Value::Object(patch), Some(Value::Object(inner))) => merge(inner, patch),
            (Value::Object(patch), _) => {
                let mut inner = Document::new();
                merge(&mut inner, patch);
                document.insert(key, Value::Object(inner));
            }
            (value, _) => {
                document.insert(key, value);
            }
        }
    }
}
