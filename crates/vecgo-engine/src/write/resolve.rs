//! What a batch does to the collection as it is: which rows it replaces, whether its conditions
//! hold, what an update makes of the record.

use std::sync::Arc;

use vecgo_format::{Document, Id, Kill};

use super::batch::{Batch, Change, CheckedVector, Condition, merge, too_large};
use super::writer::Writer;
use crate::filter::{Bound, Judge};
use crate::memtable::Memtable;
use crate::query::norm;
use crate::schema::rewritten;
use crate::segment::LiveSegment;
use crate::{Error, ErrorKind, Result};

/// Where a live row is.
#[derive(Debug, Clone)]
pub(super) enum Location {
    Memtable { table: Arc<Memtable>, row: u32 },
    Segment { live: LiveSegment, row: u32 },
}

impl Location {
    pub(super) fn hint(&self) -> Kill {
        match self {
            Location::Memtable { table, .. } => Kill::Log { number: table.first_log },
            Location::Segment { live, row } => {
                Kill::Segment { segment: live.segment.number, row: *row }
            }
        }
    }

    /// Whether a filter matches the row's document.
    async fn matches(&self, bound: &Bound) -> Result<bool> {
        match self {
            Location::Memtable { table, row } => {
                let missing = || Error::internal("a memtable row is missing");
                let document = &table.row(*row).ok_or_else(missing)?.document;
                let matches = Judge::new(bound).matches(document);
                matches.map_err(|error| Error::format("a document in memory", error))
            }
            Location::Segment { live, row } => {
                let document = live.segment.document(*row).await?;
                let matches = Judge::new(bound).matches(&document);
                matches.map_err(|error| live.segment.damaged(error))
            }
        }
    }

    async fn record(&self) -> Result<Old> {
        match self {
            Location::Memtable { table, row } => {
                let missing = || Error::internal("a memtable row is missing");
                let entry = table.row(*row).ok_or_else(missing)?;
                Ok(Old {
                    vector: table.vector(*row).ok_or_else(missing)?.to_vec(),
                    document: entry.document.clone(),
                    payload: entry.payload.clone(),
                })
            }
            Location::Segment { live, row } => Ok(Old {
                vector: live.segment.vector(*row).await?,
                document: live.segment.document(*row).await?.as_ref().into(),
                payload: live.segment.payload(*row).await?.map(|bytes| bytes.as_ref().into()),
            }),
        }
    }

    pub(super) fn kill(&self, sequence: u64) {
        match self {
            Location::Memtable { table, row } => table.dead.kill(*row, sequence),
            Location::Segment { live, row } => live.dead.kill(*row, sequence),
        }
    }
}

/// The parts of a record before an update.
struct Old {
    vector: Vec<f32>,
    document: Box<[u8]>,
    payload: Option<Box<[u8]>>,
}

/// A put or a delete that will happen.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) id: Id,
    pub(super) replaces: Option<Location>,
    /// `None` deletes.
    pub(super) put: Option<Put>,
}

#[derive(Debug)]
pub(super) struct Put {
    pub(super) vector: CheckedVector,
    pub(super) document: Box<[u8]>,
    pub(super) payload: Option<Box<[u8]>>,
}

impl Put {
    fn bytes(&self) -> usize {
        let payload = self.payload.as_ref().map_or(0, |payload| payload.len());
        self.vector.values.len() * 4 + self.document.len() + payload
    }
}

impl Writer {
    /// Decides every change of a batch, or refuses the batch and changes nothing.
    pub(super) async fn resolve(&self, batch: Batch) -> Result<Vec<Resolved>> {
        let limit = self.shared.options.batch_bytes();
        let schema = self.schema();
        let adapt = !batch.schema.is_same(schema);
        let mut bytes = 0usize;
        let mut resolved = Vec::with_capacity(batch.changes.len());
        for (row, id, mut change) in batch.changes {
            if adapt {
                change.adapt(schema).map_err(|error| error.at_row(row))?;
            }
            let replaces = self.locate(&id).await?;
            let put = match change {
                Change::Put { condition: Condition::Absent, .. } if replaces.is_some() => {
                    let message = format!("id {id} is there already");
                    return Err(Error::new(ErrorKind::AlreadyExists, message).at_row(row));
                }
                Change::Put { vector, document, payload, .. } => {
                    Some(Put { vector, document, payload })
                }
                update @ Change::Update { .. } => match &replaces {
                    Some(old) => Some(
                        self.updated(old, update)
                            .await
                            .map_err(|error| error.context(format!("id {id}")).at_row(row))?,
                    ),
                    None => {
                        let message = format!("id {id} is not in the collection");
                        return Err(Error::new(ErrorKind::NotFound, message).at_row(row));
                    }
                },
                Change::Delete(only) => match (&replaces, only) {
                    (Some(old), Some(bound)) if !old.matches(&bound).await? => continue,
                    (Some(_), _) => None,
                    (None, _) => continue,
                },
            };
            // An update brings back the parts of the record that it keeps.
            bytes = bytes.saturating_add(put.as_ref().map_or(0, Put::bytes));
            if bytes > limit {
                return Err(too_large(limit).at_row(row));
            }
            resolved.push(Resolved { id, replaces, put });
        }
        Ok(resolved)
    }

    /// The record that an update makes of the one at `old`.
    async fn updated(&self, old: &Location, update: Change) -> Result<Put> {
        let Change::Update { vector, document, merges, payload } = update else {
            return Err(Error::internal("not an update"));
        };
        let old = old.record().await?;
        let mut document = document.unwrap_or(old.document);
        if !merges.is_empty() {
            let merge_all = |document: &mut Document| {
                merges.into_iter().for_each(|patch| merge(document, patch));
            };
            document = rewritten(&document, self.schema(), merge_all)?;
        }
        Ok(Put {
            vector: vector.unwrap_or_else(|| CheckedVector {
                norm: norm(self.shared.metric(), &old.vector),
                values: old.vector,
            }),
            document,
            payload: payload.unwrap_or(old.payload),
        })
    }

    /// The live row of an id. Newest first, though only one can be live.
    async fn locate(&self, id: &Id) -> Result<Option<Location>> {
        let tables =
            std::iter::once(self.active.table()).chain(self.sealed.iter().map(|s| &s.table));
        for table in tables {
            if let Some(row) = table.find(id, u64::MAX) {
                return Ok(Some(Location::Memtable { table: Arc::clone(table), row }));
            }
        }
        for (live, _) in self.segments.iter().rev() {
            if let Some(row) = live.find(id, u64::MAX).await? {
                return Ok(Some(Location::Segment { live: live.clone(), row }));
            }
        }
        Ok(None)
    }
}
