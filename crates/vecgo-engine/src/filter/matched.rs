use std::sync::Arc;

use super::document::Judge;
use super::{Bound, MatchedRows, RowSet};
use crate::collection::Shared;
use crate::memtable::Memtable;
use crate::query::{RowSource, Snapshot};
use crate::segment::Segment;
use crate::{Error, Filter, Result};

/// The rows of each of a snapshot's sources that a filter matches, dead ones included.
#[derive(Debug)]
pub(crate) struct Matched {
    sources: Vec<Arc<MatchedRows>>,
}

impl Matched {
    pub(crate) fn of(&self, source: u32) -> Option<&MatchedRows> {
        self.sources.get(source as usize).map(|rows| &**rows)
    }
}

impl Snapshot {
    /// A filter of its records.
    ///
    /// # Errors
    /// `InvalidArgument` for one that is refused.
    pub(crate) fn bind(&self, filter: Filter) -> Result<Arc<Bound>> {
        Ok(Arc::new(Bound::new(filter, &self.view.schema)?))
    }

    /// The same with nothing in it but what a filter matches.
    pub(crate) async fn only(mut self, bound: &Arc<Bound>) -> Result<Self> {
        self.view.segments.iter().for_each(|live| live.segment.will_match());
        let mut sources = Vec::new();
        for (number, source) in self.sources() {
            let (rows, kept) = match source {
                RowSource::Segment(live) => in_segment(&self.shared, &live.segment, bound).await?,
                RowSource::Memtable(table) => {
                    let seen = u32::try_from(table.rows_at(self.sequence)).unwrap_or(u32::MAX);
                    in_memtable(&self.shared, table, seen, bound)?
                }
            };
            self.note(number, |part| {
                let seen = u32::try_from(source.count(self.sequence)).unwrap_or(u32::MAX);
                let matched = rows.set.iter_within(0..seen).count() as u64;
                (part.matched, part.kept) = (Some(matched), kept);
            });
            sources.push(rows);
        }
        self.matched = Some(Arc::new(Matched { sources }));
        Ok(self)
    }
}

/// The rows that match, and whether they were known.
async fn in_segment(
    shared: &Shared,
    segment: &Segment,
    bound: &Arc<Bound>,
) -> Result<(Arc<MatchedRows>, bool)> {
    if let Some(rows) = segment.kept_matches.find(bound) {
        return Ok((rows, true));
    }
    let rows = Arc::new(MatchedRows::from(bound.rows_of(segment).await?));
    segment.kept_matches.keep(bound, &rows, &shared.env.memory);
    Ok((rows, false))
}

/// The first `seen` rows that match, and perhaps later ones; and whether they were known.
fn in_memtable(
    shared: &Shared,
    table: &Memtable,
    seen: u32,
    bound: &Arc<Bound>,
) -> Result<(Arc<MatchedRows>, bool)> {
    let kept = table.kept_matches.find(bound);
    let (mut rows, first) = match kept {
        Some(kept) if kept.set.rows() >= seen => return Ok((kept, true)),
        Some(kept) => (kept.set.clone(), kept.set.rows()),
        None => (RowSet::none(0), 0),
    };
    rows.grow(seen);
    let mut judge = Judge::new(bound);
    for row in first..seen {
        let entry = table.row(row).ok_or_else(|| Error::internal("a memtable row is missing"))?;
        let matches = judge.matches(&entry.document);
        if matches.map_err(|error| Error::format("a document in memory", error))? {
            rows.insert(row);
        }
    }
    let rows = Arc::new(MatchedRows::from(rows));
    table.kept_matches.keep(bound, &rows, &shared.env.memory);
    Ok((rows, false))
}
