//! How far a search goes through a segment's index: as far as it was told, as far as it takes to find what
//! it is to find, or else as far as usual.

use vecgo_format::Index;

use super::explain::Plan;
use super::params::{MAX_CANDIDATES, SearchParams};
use crate::index::{IndexPart, Rerank, Through};
use crate::recall::{NEIGHBOURS, effort_for};
use crate::segment::Segment;

/// How far a search through an index goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(super) k: usize,
    /// Candidates that are kept.
    pub(super) ef: usize,
    /// Clusters to search, if a number was asked for.
    pub(super) clusters: Option<usize>,
    pub(super) rerank: Rerank,
    /// How much of what is nearest is so found, if that was asked for and measured.
    expected: Option<f64>,
}

impl Effort {
    /// Of a search through a segment, among what a filter matches or not.
    pub(super) fn of(params: SearchParams, segment: &Segment, filtered: bool) -> Self {
        let usual = Self::usual(params);
        let target = params.target();
        let measured =
            target.and_then(|target| effort_for(segment.calibration(), params.k, target));
        let Some((effort, recall)) = measured else { return usual };
        let asked = usual.with(segment.config().index(), effort);
        // It was measured without a filter: how far searches with one go is known of the usual effort.
        match filtered {
            true => asked.or_farther(usual, segment.index()),
            false => Self { expected: Some(recall), ..asked },
        }
    }

    /// The one that goes farther.
    fn or_farther(self, usual: Self, part: Option<&IndexPart>) -> Self {
        let clusters = part.and_then(|part| match part.through() {
            Through::Clusters(clusters) => Some(part.usual_clusters(clusters, self.k)),
            Through::Graph(_) => None,
        });
        let is_farther = match (self.clusters, clusters) {
            (Some(asked), Some(usual)) => asked > usual.saturating_mul(2),
            _ => self.ef > usual.ef,
        };
        if is_farther { self } else { usual }
    }

    /// Whatever is found.
    pub(crate) fn usual(params: SearchParams) -> Self {
        let k = params.k;
        let rerank = match params.rerank {
            Some(rows) => Rerank::Best(rows.max(k)),
            None => Rerank::MayBeAmong(k),
        };
        Self { k, ef: params.kept(), clusters: params.nprobe, rerank, expected: None }
    }

    /// With so many candidates or clusters, as the index has it.
    pub(crate) fn with(self, index: Index, effort: usize) -> Self {
        match index {
            Index::Ivf { .. } => Self { clusters: Some(effort), ..self },
            _ => Self { ef: effort.min(MAX_CANDIDATES).max(self.k), ..self },
        }
    }

    /// Candidates that a scan keeps by codes of which so many times as many are kept.
    pub(super) fn keep(self, times: usize) -> usize {
        let kept = self.ef.saturating_mul(times);
        match self.rerank {
            Rerank::Best(rows) => rows.max(kept),
            Rerank::MayBeAmong(_) => kept,
        }
    }

    /// Rows by whose distance a walk knows that it has gone far enough: where it goes as far as was measured,
    /// as many as were looked for then.
    pub(super) fn wanted(self) -> usize {
        match self.expected {
            Some(_) => self.k.max(NEIGHBOURS[0] as usize),
            None => self.k,
        }
    }

    /// What is told of a search that went so.
    pub(super) fn of_plan(self, plan: Plan) -> (Option<u64>, Option<f64>) {
        match plan {
            Plan::Walk | Plan::WalkAndCodes => (Some(self.ef as u64), self.expected),
            Plan::Clusters => (self.clusters.map(|clusters| clusters as u64), self.expected),
            _ => (None, None),
        }
    }

    /// About how many bytes a search through an index reads, whose vectors are `vector` bytes each: a
    /// walk estimates some ten distances for each candidate, from an eighth of a vector each.
    pub(super) fn read_bytes(self, part: &IndexPart, vector: u64) -> u64 {
        let searched = match part.through() {
            Through::Graph(_) => {
                (self.ef.saturating_mul(part.times_kept()) as u64).saturating_mul(vector)
            }
            Through::Clusters(clusters) => {
                let usual = || part.usual_clusters(clusters, self.k);
                part.cluster_bytes(clusters, self.clusters.unwrap_or_else(usual), vector)
            }
        };
        searched.saturating_add(part.table_bytes())
    }
}
