use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;
use vecgo::{Explained, PartExplained};

use crate::RequestsJson;

/// How a search went about it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ExplainJson {
    /// How many records it found.
    pub hits: usize,
    /// How long it took to find what the filter matches, in microseconds.
    pub filter_us: u64,
    /// How long the rest took, in microseconds.
    pub search_us: u64,
    /// Each segment, then each memtable, oldest first.
    pub parts: Vec<PartJson>,
    /// What was asked of the store meanwhile; null where that costs nothing.
    pub requests: Option<RequestsJson>,
}

impl From<&Explained> for ExplainJson {
    fn from(explained: &Explained) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            hits: explained.hits.len(),
            filter_us: micros(explained.filter_time),
            search_us: micros(explained.search_time),
            parts: explained.parts.iter().map(PartJson::from).collect(),
            requests: explained.requests.map(RequestsJson::from),
        }
    }
}

/// How a search went through a segment or memtable.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PartJson {
    /// `segment` and its number, or `memory`.
    pub part: String,
    /// Its rows.
    pub rows: u64,
    /// Those of them that are dead.
    pub dead: u64,
    /// Rows that the filter matches, if there is one.
    pub matched: Option<u64>,
    /// Whether those were known from another search.
    pub kept: bool,
    /// What was done.
    pub plan: &'static str,
    /// Why.
    pub why: String,
    /// Candidates of a walk, or clusters that were to be searched.
    pub effort: Option<u64>,
    /// How much of what is nearest was found so far into it when it was written.
    pub expected_recall: Option<f64>,
    /// Clusters that were searched.
    pub clusters: u64,
    /// Rows whose distance was estimated from codes.
    pub estimated: u64,
    /// Rows that were scored by their vectors.
    pub scored: u64,
    /// Reads of the segment's object.
    pub reads: u64,
    /// Bytes that those read.
    pub read_bytes: u64,
}

impl From<&PartExplained> for PartJson {
    fn from(part: &PartExplained) -> Self {
        Self {
            part: part.segment.map_or("memory".to_owned(), |number| format!("segment {number}")),
            rows: part.rows,
            dead: part.dead,
            matched: part.matched,
            kept: part.kept,
            plan: part.plan.name(),
            why: part.why.clone(),
            effort: part.effort,
            expected_recall: part.expected_recall,
            clusters: part.clusters,
            estimated: part.estimated,
            scored: part.scored,
            reads: part.reads,
            read_bytes: part.read_bytes,
        }
    }
}
