use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vecgo_format::{Config, Id, Schema};

use super::explain::Notes;
use crate::Result;
use crate::collection::Shared;
use crate::filter::{Matched, MatchedRows};
use crate::memtable::{DeadRows, Memtable};
use crate::segment::LiveSegment;
use crate::short_codes::ShortCodes;

/// What there is to read: replaced as a whole, never changed but for the sequence number.
#[derive(Debug)]
pub(crate) struct View {
    /// The last committed version when the view was made.
    pub(crate) version: u64,
    /// How segments are made from now on.
    pub(crate) config: Config,
    /// What every document meets.
    pub(crate) schema: Schema,
    /// Readers see the writes up to this one. Moves on with each acknowledged batch, until the
    /// writer publishes another view.
    pub(crate) sequence: Arc<AtomicU64>,
    /// Oldest first.
    pub(crate) memtables: Vec<Arc<Memtable>>,
    /// Oldest first.
    pub(crate) segments: Vec<LiveSegment>,
}

/// A view at one sequence number: what one read works on from begin to end.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) shared: Arc<Shared>,
    pub(crate) view: Arc<View>,
    pub(crate) sequence: u64,
    /// The rows that it has, if not all that live.
    pub(crate) matched: Option<Arc<Matched>>,
    /// Whether a search does without what of segments is not there, where it can.
    pub(super) cold: bool,
    /// Where a search that is explained writes down what it does.
    pub(super) notes: Option<Arc<Notes>>,
}

/// Which rows of a source a snapshot has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    dead: &'a DeadRows,
    sequence: u64,
    matched: Option<&'a MatchedRows>,
}

impl<'a> Seen<'a> {
    pub(crate) fn has(self, row: u32) -> bool {
        self.matched.is_none_or(|matched| matched.set.contains(row))
            && !self.dead.is_dead(row, self.sequence)
    }

    /// Those that a filter matches, dead ones included, if there is one.
    pub(crate) fn matched(&self) -> Option<&'a MatchedRows> {
        self.matched
    }
}

/// Where a row is within a snapshot: segments first, then memtables, each oldest first, so that
/// addresses are in the order of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) source: u32,
    pub(crate) row: u32,
}

/// What an address points into.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowSource<'a> {
    Memtable(&'a Memtable),
    Segment(&'a LiveSegment),
}

impl<'a> RowSource<'a> {
    /// Rows that whoever reads at `sequence` sees, dead ones included.
    pub(crate) fn count(self, sequence: u64) -> usize {
        match self {
            RowSource::Memtable(table) => table.rows_at(sequence),
            RowSource::Segment(live) => live.segment.rows() as usize,
        }
    }

    pub(super) fn dead(self) -> &'a DeadRows {
        match self {
            RowSource::Memtable(table) => &table.dead,
            RowSource::Segment(live) => &live.dead,
        }
    }

    pub(super) fn short_codes(self) -> &'a ShortCodes {
        match self {
            RowSource::Memtable(table) => &table.short_codes,
            RowSource::Segment(live) => &live.segment.short_codes,
        }
    }

    /// The vectors of `count` rows, if they are in memory and end to end.
    pub(super) fn resident_rows(self, first: u32, count: usize) -> Option<&'a [f32]> {
        match self {
            RowSource::Memtable(table) => table.vectors(first, count),
            RowSource::Segment(live) => live.segment.resident_rows(first, count),
        }
    }

    /// The length of the longest vector under dot, if it is known.
    pub(super) fn longest(self) -> Option<f32> {
        match self {
            RowSource::Memtable(table) => Some(table.largest_norm()),
            RowSource::Segment(live) => live.segment.longest(),
        }
    }
}

impl Snapshot {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self::of_view(shared, shared.view.load_full())
    }

    /// Of a view that nobody else sees.
    pub(crate) fn of_view(shared: &Arc<Shared>, view: Arc<View>) -> Self {
        let sequence = view.sequence.load(Ordering::Acquire);
        Self { shared: Arc::clone(shared), view, sequence, matched: None, cold: false, notes: None }
    }

    pub(crate) fn source(&self, source: u32) -> Option<RowSource<'_>> {
        let source = source as usize;
        let segments = &self.view.segments;
        match segments.get(source) {
            Some(live) => Some(RowSource::Segment(live)),
            None => {
                let table = self.view.memtables.get(source - segments.len());
                table.map(|table| RowSource::Memtable(table))
            }
        }
    }

    /// All sources by number.
    pub(crate) fn sources(&self) -> impl DoubleEndedIterator<Item = (u32, RowSource<'_>)> {
        let count = self.view.memtables.len() + self.view.segments.len();
        (0..u32::try_from(count).unwrap_or(u32::MAX))
            .filter_map(|number| self.source(number).map(|source| (number, source)))
    }

    /// Which rows of a source are in the snapshot.
    pub(crate) fn seen<'a>(&'a self, source: u32, rows: RowSource<'a>) -> Seen<'a> {
        let matched = self.matched.as_ref().and_then(|matched| matched.of(source));
        Seen { dead: rows.dead(), sequence: self.sequence, matched }
    }

    /// The live row of an id.
    pub(crate) async fn find(&self, id: &Id) -> Result<Option<Address>> {
        for (source, rows) in self.sources().rev() {
            let row = match rows {
                RowSource::Memtable(table) => table.find(id, self.sequence),
                RowSource::Segment(live) => live.find(id, self.sequence).await?,
            };
            if let Some(row) = row {
                return Ok(Some(Address { source, row }));
            }
        }
        Ok(None)
    }

    /// Number of live records, or of those that match.
    pub(crate) fn count(&self) -> u64 {
        if self.matched.is_some() {
            let count = |(source, rows): (u32, RowSource<'_>)| {
                let seen = self.seen(source, rows);
                let end = u32::try_from(rows.count(self.sequence)).unwrap_or(u32::MAX);
                let matched = seen.matched().map(|matched| matched.set.iter_within(0..end));
                matched.into_iter().flatten().filter(|row| seen.has(*row)).count() as u64
            };
            return self.sources().map(count).sum();
        }
        let in_tables = self.view.memtables.iter().map(|table| {
            (table.rows_at(self.sequence) as u64).saturating_sub(table.dead.count_at(self.sequence))
        });
        let in_segments = self.view.segments.iter().map(|live| {
            u64::from(live.segment.rows()).saturating_sub(live.dead.count_at(self.sequence))
        });
        in_tables.sum::<u64>() + in_segments.sum::<u64>()
    }

    /// Rows that an exact search reads, dead ones included.
    pub(crate) fn rows(&self) -> u64 {
        let in_tables = self.view.memtables.iter().map(|table| table.rows_at(self.sequence) as u64);
        let in_segments = self.view.segments.iter().map(|live| u64::from(live.segment.rows()));
        in_tables.sum::<u64>() + in_segments.sum::<u64>()
    }
}
