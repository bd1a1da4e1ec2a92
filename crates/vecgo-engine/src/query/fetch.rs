use serde_json::Value;
use vecgo_format::{Id, decode_document};

use super::view::{Address, RowSource, Snapshot};
use crate::{Error, ErrorKind, Record, Result};

/// Which parts of a record to return beside its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fetch {
    /// The vector.
    pub vector: bool,
    /// The metadata document.
    pub metadata: bool,
    /// The payload.
    pub payload: bool,
}

impl Fetch {
    /// Everything.
    pub const ALL: Fetch = Fetch { vector: true, metadata: true, payload: true };
}

/// Parts of a record.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) id: Id,
    pub(crate) metadata: Option<Value>,
    pub(crate) vector: Option<Vec<f32>>,
    pub(crate) payload: Option<Vec<u8>>,
}

impl Parts {
    pub(crate) fn into_record(self) -> Record {
        Record {
            id: self.id,
            vector: self.vector.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_else(|| Value::Object(Default::default())),
            payload: self.payload,
        }
    }
}

fn decode(document: &[u8]) -> Result<Value> {
    let document = decode_document(document);
    let broken =
        |error: vecgo_format::FormatError| Error::new(ErrorKind::Corruption, error.to_string());
    document.map(Value::Object).map_err(broken)
}

impl Snapshot {
    /// Reads the parts of a row that are asked for.
    pub(crate) async fn fetch(&self, address: Address, fetch: Fetch) -> Result<Parts> {
        let row = address.row;
        let missing = || Error::internal(format!("no row at {address:?}"));
        match self.source(address.source).ok_or_else(missing)? {
            RowSource::Memtable(table) => {
                let entry = table.row(row).ok_or_else(missing)?;
                let payload = entry.payload.as_ref().filter(|_| fetch.payload);
                Ok(Parts {
                    id: entry.id.clone(),
                    metadata: fetch.metadata.then(|| decode(&entry.document)).transpose()?,
                    vector: table.vector(row).filter(|_| fetch.vector).map(<[f32]>::to_vec),
                    payload: payload.map(|payload| payload.to_vec()),
                })
            }
            RowSource::Segment(live) => {
                let segment = &live.segment;
                let mut parts = Parts {
                    id: segment.id(row).await?,
                    metadata: None,
                    vector: None,
                    payload: None,
                };
                if fetch.metadata {
                    parts.metadata = Some(decode(&segment.document(row).await?)?);
                }
                if fetch.vector {
                    parts.vector = Some(segment.vector(row).await?);
                }
                if fetch.payload {
                    parts.payload = segment.payload(row).await?.map(Vec::from);
                }
                Ok(parts)
            }
        }
    }

    /// The record of an id, if it has one.
    pub(crate) async fn get(&self, id: &Id) -> Result<Option<Record>> {
        match self.find(id).await? {
            None => Ok(None),
            Some(address) => Ok(Some(self.fetch(address, Fetch::ALL).await?.into_record())),
        }
    }
}
