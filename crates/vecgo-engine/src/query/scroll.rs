use super::fetch::Fetch;
use super::view::{Address, RowSource, Snapshot};
use crate::{Error, Record, Result};
use vecgo_io::BoxFuture;

/// A page that has as many bytes of documents and payloads has no more records.
const PAGE_BYTES: u64 = 4 << 20;

/// All records of one state of a collection, a page at a time.
///
/// However long it takes and whatever is written meanwhile, every record of that state comes
/// once and nothing else does.
#[derive(Debug)]
pub struct Scan {
    snapshot: Snapshot,
    fetch: Fetch,
    page: usize,
    next: Address,
    /// Rows of the source that `next` is in, once they have been counted.
    rows: Option<usize>,
}

impl Scan {
    pub(crate) fn new(snapshot: Snapshot, fetch: Fetch, page: usize) -> Result<Self> {
        if page == 0 {
            return Err(Error::invalid("a page of 0 records; expected 1 or more"));
        }
        Ok(Self { snapshot, fetch, page, next: Address { source: 0, row: 0 }, rows: None })
    }

    /// The version that was newest when the scan began.
    pub fn version(&self) -> u64 {
        self.snapshot.view.version
    }

    /// Sequence number of the last write that the scan sees.
    pub fn sequence(&self) -> u64 {
        self.snapshot.sequence
    }

    /// The next records, `None` after the last. A part that was not asked for is empty.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Vec<Record>>>> {
        Box::pin(async move {
            let (mut records, mut bytes) = (Vec::new(), 0u64);
            while records.len() < self.page && bytes < PAGE_BYTES {
                let Some(address) = self.next_live() else { break };
                let parts = self.snapshot.fetch(address, self.fetch).await?;
                bytes = bytes.saturating_add(parts.bytes);
                records.push(parts.into_record());
            }
            Ok((!records.is_empty()).then_some(records))
        })
    }

    fn next_live(&mut self) -> Option<Address> {
        let sequence = self.snapshot.sequence;
        loop {
            let source = self.snapshot.source(self.next.source)?;
            let seen = self.snapshot.seen(self.next.source, source);
            let rows = *self.rows.get_or_insert_with(|| match source {
                RowSource::Memtable(table) => table.rows_at(sequence),
                RowSource::Segment(live) => live.segment.rows() as usize,
            });
            while (self.next.row as usize) < rows {
                let address = self.next;
                self.next.row += 1;
                if seen.has(address.row) {
                    return Some(address);
                }
            }
            self.next = Address { source: self.next.source + 1, row: 0 };
            self.rows = None;
        }
    }
}
