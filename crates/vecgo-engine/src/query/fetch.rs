use serde_json::Value;
use vecgo_format::{Id, decode_document};

use super::account::Account;
use super::view::{Address, RowSource, Snapshot};
use crate::{Error, Record, Result};

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
    /// About what they take, beside vectors.
    pub(crate) bytes: u64,
}

/// A document in memory, of each byte that it has where it is stored.
const DOCUMENT_FACTOR: u64 = 4;

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

fn taken(document: usize, payload: usize) -> u64 {
    (document as u64).saturating_mul(DOCUMENT_FACTOR).saturating_add(payload as u64)
}

fn decode(document: &[u8]) -> Result<Value> {
    let document = decode_document(document).map(Value::Object);
    document.map_err(|error| Error::format("a record", error))
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
                let document = if fetch.metadata { entry.document.len() } else { 0 };
                Ok(Parts {
                    bytes: taken(document, payload.map_or(0, |payload| payload.len())),
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
                    bytes: 0,
                };
                if fetch.metadata {
                    let document = segment.document(row).await?;
                    parts.bytes = taken(document.len(), 0);
                    parts.metadata = Some(decode(&document)?);
                }
                if fetch.vector {
                    parts.vector = Some(segment.vector(row).await?);
                }
                if fetch.payload {
                    parts.payload = segment.payload(row).await?.map(Vec::from);
                    let payload = parts.payload.as_ref().map_or(0, Vec::len);
                    parts.bytes = parts.bytes.saturating_add(taken(0, payload));
                }
                Ok(parts)
            }
        }
    }

    /// The records of some ids, if they have any.
    pub(crate) async fn get(&self, ids: &[Id]) -> Result<Vec<Option<Record>>> {
        let mut account = Account::new(&self.shared.env.memory);
        let vector = self.shared.dim() as u64 * 4;
        let mut records = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(address) = self.find(id).await? else {
                records.push(None);
                continue;
            };
            let parts = self.fetch(address, Fetch::ALL).await?;
            account.add(parts.bytes.saturating_add(vector)).await?;
            records.push(Some(parts.into_record()));
        }
        Ok(records)
    }
}
