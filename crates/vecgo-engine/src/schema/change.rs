use std::collections::BTreeSet;

use vecgo_format::Schema;

use super::rewritten;
use crate::collection::Collection;
use crate::query::{Address, Fetch, RowSource, Snapshot};
use crate::write::Message;
use crate::{Error, ErrorKind, Result};
use vecgo_io::BoxFuture;

impl Collection {
    /// Changes what is said of the fields of documents: to anything that all records meet as they are.
    /// Gives a version that has it, and all earlier writes. Writes go on meanwhile.
    ///
    /// # Errors
    /// `Conflict` names a record that does not meet it; nothing is changed then.
    pub fn set_schema(&self, schema: Schema) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            self.writer()?;
            let mut known = self.open_snapshot()?;
            if schema != known.view.schema {
                known.check_documents(&schema, None).await?;
            }
            for round in 1..=ROUNDS {
                let change = NewSchema {
                    schema: schema.clone(),
                    known: known.clone(),
                    is_last_try: round == ROUNDS,
                };
                let change = Box::new(change);
                if let Some(version) = self.ask(|reply| Message::Schema { change, reply }).await? {
                    return Ok(version);
                }
                let now = self.open_snapshot()?;
                now.check_documents(&schema, Some(&known)).await?;
                known = now;
            }
            Err(Error::internal("a schema that was neither changed nor refused"))
        })
    }
}

/// How often the writer may ask for another look at what was flushed and merged meanwhile.
const ROUNDS: usize = 5;

/// Rows that the writer looks at itself rather than ask for that.
const FEW_ROWS: u64 = 1 << 14;

/// A change of the schema, as the writer is asked for it.
#[derive(Debug)]
pub(crate) struct NewSchema {
    pub(crate) schema: Schema,
    /// Records that are known to meet it.
    pub(crate) known: Snapshot,
    /// Whether all others are to be looked at, however many they are.
    is_last_try: bool,
}

impl NewSchema {
    /// Refuses the change if a record does not meet it; gives false if too many are unknown.
    pub(crate) async fn check(&self, now: &Snapshot) -> Result<bool> {
        let unknown = |(_, source): (u32, RowSource<'_>)| {
            let known = self.known.rows_known(source);
            u64::from(rows(source.count(now.sequence)).saturating_sub(known))
        };
        if !self.is_last_try && now.sources().map(unknown).sum::<u64>() > FEW_ROWS {
            return Ok(false);
        }
        now.check_documents(&self.schema, Some(&self.known)).await?;
        Ok(true)
    }
}

impl Snapshot {
    /// Refuses a schema that a record does not meet; those that are in `known` do.
    async fn check_documents(&self, schema: &Schema, known: Option<&Snapshot>) -> Result<()> {
        for (number, source) in self.sources() {
            let seen = self.seen(number, source);
            let first = known.map_or(0, |known| known.rows_known(source));
            for row in first..rows(source.count(self.sequence)) {
                if !seen.has(row) {
                    continue;
                }
                let checked = match source {
                    RowSource::Memtable(table) => match table.row(row) {
                        Some(row) => self.check_document(schema, &row.document),
                        None => Err(Error::internal("a memtable row is missing")),
                    },
                    RowSource::Segment(live) => {
                        self.check_document(schema, &live.segment.document(row).await?)
                    }
                };
                if let Err(error) = checked {
                    let address = Address { source: number, row };
                    let id = self.fetch(address, Fetch::default()).await?.id;
                    return Err(error.context(format!("record {id}")));
                }
            }
        }
        Ok(())
    }

    /// Rows of a source of another snapshot that this one has.
    fn rows_known(&self, source: RowSource<'_>) -> u32 {
        let is_same = |other: &RowSource<'_>| match (source, other) {
            (RowSource::Memtable(one), RowSource::Memtable(other)) => std::ptr::eq(one, *other),
            (RowSource::Segment(one), RowSource::Segment(other)) => {
                one.segment.number == other.segment.number
            }
            _ => false,
        };
        let found = self.sources().map(|(_, other)| other).find(is_same);
        found.map_or(0, |other| rows(other.count(self.sequence)))
    }

    /// What is stored must be what would be stored.
    fn check_document(&self, schema: &Schema, document: &[u8]) -> Result<()> {
        let conflict = |error: Error| match error.kind() {
            ErrorKind::InvalidArgument => error.with_kind(ErrorKind::Conflict),
            _ => error,
        };
        if *rewritten(document, schema, |_| ()).map_err(conflict)? == *document {
            return Ok(());
        }
        let before = &self.view.schema;
        let timed = |schema: &Schema, name: &str| {
            schema.field(name).is_some_and(|field| field.is_of_timestamps())
        };
        let names = schema.fields().chain(before.fields()).map(|(name, _)| name);
        let names = names.filter(|name| timed(schema, name) != timed(before, name));
        let names: BTreeSet<_> = names.map(|name| format!("`{name}`")).collect();
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "strings do not become timestamps, nor timestamps strings; take them out of the \
                 records, and write them again once the schema is changed: {}",
                names.into_iter().collect::<Vec<_>>().join(", ")
            ),
        ))
    }
}

fn rows(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
