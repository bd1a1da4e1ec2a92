//! How a search goes about it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use vecgo_format::Index;
use vecgo_io::{RequestCounts, Requests};

use super::request::Request;
use super::search::Hit;
use super::view::{RowSource, Snapshot};
use crate::Result;
use crate::filter::Bound;

/// How a search went about it, and what it found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explained {
    /// What it found.
    pub hits: Vec<Hit>,
    /// Each segment, then each memtable, oldest first.
    pub parts: Vec<PartExplained>,
    /// How long it took to find what the filter matches.
    pub filter_time: Duration,
    /// How long the rest took.
    pub search_time: Duration,
    /// What was asked of the store meanwhile, by this and by what ran at the same time; `None` where that
    /// costs nothing.
    pub requests: Option<RequestCounts>,
}

/// How a search went through a segment or memtable.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct PartExplained {
    /// The number of the segment; a memtable has none.
    pub segment: Option<u64>,
    /// Its rows, dead ones included.
    pub rows: u64,
    /// Those of them that are dead.
    pub dead: u64,
    /// The rows that the filter matches, dead ones included, if there is one.
    pub matched: Option<u64>,
    /// Whether those were known from another search.
    pub kept: bool,
    /// What it did.
    pub plan: Plan,
    /// Why.
    pub why: String,
    /// The `ef` of a walk, or how many clusters were searched, if it was gone through by its
    /// index; a filter and dead rows change that.
    pub effort: Option<u64>,
    /// How much of what is nearest was found so far into it when it was written, if the search was told how
    /// much to find, and that was measured.
    pub expected_recall: Option<f64>,
    /// Clusters that were searched, if it was gone through by those.
    pub clusters: u64,
    /// Rows and centres whose distance was estimated from codes.
    pub estimated: u64,
    /// Rows that were scored by their vectors.
    pub scored: u64,
    /// Reads of the segment's object, by this and by what ran at the same time.
    pub reads: u64,
    /// Bytes that those read.
    pub read_bytes: u64,
}

/// How to go through a segment or memtable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Plan {
    /// Not at all.
    #[default]
    Nothing,
    /// Vectors of all rows, or of those that a filter matches.
    Vectors,
    /// Short codes of all rows, then vectors of the near ones.
    ShortCodes,
    /// Codes of the rows that a filter matches, then vectors of the near ones.
    Codes,
    /// Codes of the rows in the nearest clusters, then vectors of the near ones; without codes, vectors
    /// of all of them.
    Clusters,
    /// A walk through the graph, then vectors of the near ones.
    Walk,
    /// A walk that did not come by enough of what a filter matches, then codes of all that.
    WalkAndCodes,
}

impl Plan {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Plan::Nothing => "nothing",
            Plan::Vectors => "vectors",
            Plan::ShortCodes => "short codes",
            Plan::Codes => "codes",
            Plan::Clusters => "clusters",
            Plan::Walk => "walk",
            Plan::WalkAndCodes => "walk, codes",
        }
    }
}

/// What a search that is explained writes down as it goes.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Vec<PartExplained>>);

impl Snapshot {
    /// Writes down something of a source, if the search is explained.
    pub(crate) fn note(&self, source: u32, write: impl FnOnce(&mut PartExplained)) {
        let Some(notes) = &self.notes else { return };
        let mut parts = notes.0.lock();
        let place = source as usize;
        if parts.len() <= place {
            parts.resize_with(place + 1, PartExplained::default);
        }
        if let Some(part) = parts.get_mut(place) {
            write(part);
        }
    }

    pub(crate) async fn explain(
        mut self,
        query: Vec<f32>,
        request: &Request,
        bound: Option<Arc<Bound>>,
    ) -> Result<Explained> {
        let notes = Arc::new(Notes::default());
        self.notes = Some(Arc::clone(&notes));
        let clock = Arc::clone(&self.shared.env.clock);
        let read_before = self.read();
        let store = Arc::clone(&self.shared.env.store);
        let asked = || store.requests().map(Requests::counts);
        let asked_before = asked();
        let start = clock.monotonic();
        let snapshot = match bound {
            Some(bound) => self.only(&bound).await?,
            None => self,
        };
        let filtered = clock.monotonic();
        let hits = snapshot.search(query, request.params).await?.pop().unwrap_or_default();
        let hits = request.finish(hits);
        let end = clock.monotonic();
        for ((source, rows), before) in snapshot.sources().zip(read_before) {
            let (reads, bytes) = read_of(rows);
            let dead = rows.dead().count_at(snapshot.sequence);
            snapshot.note(source, |part| {
                part.segment = match rows {
                    RowSource::Segment(live) => Some(live.segment.number),
                    RowSource::Memtable(_) => None,
                };
                part.rows = rows.count(snapshot.sequence) as u64;
                part.dead = dead;
                part.why = snapshot.why(rows, part, request).to_owned();
                part.reads = reads.saturating_sub(before.0);
                part.read_bytes = bytes.saturating_sub(before.1);
            });
        }
        Ok(Explained {
            hits,
            parts: std::mem::take(&mut *notes.0.lock()),
            filter_time: filtered.saturating_sub(start),
            search_time: end.saturating_sub(filtered),
            requests: asked().zip(asked_before).map(|(now, before)| now.since(before)),
        })
    }

    /// Why a source was gone through as it was.
    fn why(&self, rows: RowSource<'_>, part: &PartExplained, request: &Request) -> &'static str {
        let index = self.view.config.index();
        let by_clusters = matches!(rows, RowSource::Segment(live)
            if matches!(live.segment.config().index(), Index::Ivf { .. }));
        let indexed = matches!(rows, RowSource::Segment(live) if live.segment.has_index());
        match part.plan {
            Plan::Nothing if part.matched == Some(0) => "nothing matches",
            Plan::Nothing => "nothing lives",
            Plan::Vectors if request.params.exact => "an exact search",
            Plan::Vectors if index == Index::Flat => "the index is flat",
            Plan::Vectors if indexed => "few match, and there are no codes in memory",
            Plan::Vectors => "in no index yet, and there is too little for codes",
            Plan::ShortCodes => "in no index yet",
            Plan::Codes if by_clusters => "all clusters would be searched for what matches",
            Plan::Codes => "what matches is sooner looked at than walked to",
            Plan::Clusters if part.matched.is_some() => {
                "what matches is in more clusters than have to be searched"
            }
            Plan::Clusters if !by_clusters => "its graph was not in memory",
            Plan::Clusters => "there are clusters",
            Plan::Walk if part.matched.is_some() => {
                "what matches is sooner walked to than looked at"
            }
            Plan::Walk => "there is a graph",
            Plan::WalkAndCodes => "too little of what matches was where the walk came by",
        }
    }

    fn read(&self) -> Vec<(u64, u64)> {
        self.sources().map(|(_, rows)| read_of(rows)).collect()
    }
}

/// Reads of a source, and their bytes.
fn read_of(rows: RowSource<'_>) -> (u64, u64) {
    match rows {
        RowSource::Segment(live) => live.segment.read_so_far(),
        RowSource::Memtable(_) => (0, 0),
    }
}
