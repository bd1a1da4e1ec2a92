use vecgo_format::{Config, Index, MAX_CLUSTERS};

use super::fetch::Fetch;
use crate::index::{IndexPart, Through};
use crate::{Error, Result};

/// Most candidates that a search may be told to keep or to score again.
pub const MAX_CANDIDATES: usize = 65_536;

/// Candidates that a walk keeps unless told otherwise. Enough for a recall of 0.95 of ten on every
/// set of vectors that we have.
const EF: usize = 192;

/// What to search for beside the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchParams {
    /// How many neighbours; fewer come back only if fewer records are there.
    pub k: usize,
    /// What to return with each.
    pub fetch: Fetch,
    /// Candidates that the walk through a graph keeps at most, 1 to [`MAX_CANDIDATES`], or `k` if
    /// that is more; where the nearest stand out it is over before. 192 if absent, or half as much
    /// again as `k` if that is more.
    pub ef: Option<usize>,
    /// Clusters of each segment that are searched, 1 to [`MAX_CLUSTERS`](vecgo_format::MAX_CLUSTERS).
    pub nprobe: Option<usize>,
    /// Candidates that are scored again by their vectors, 1 to [`MAX_CANDIDATES`]; at least `k`
    /// are. If absent, all that may be among the nearest, given how far codes can be off.
    pub rerank: Option<usize>,
    /// Scores every record; `ef`, `nprobe` and `rerank` have no say then.
    pub exact: bool,
}

impl Default for SearchParams {
    fn default() -> Self {
        Self { k: 10, fetch: Fetch::default(), ef: None, nprobe: None, rerank: None, exact: false }
    }
}

impl SearchParams {
    /// Candidates that a walk keeps.
    pub(crate) fn kept(&self) -> usize {
        self.ef.unwrap_or_else(|| EF.max(self.k.saturating_add(self.k / 2))).max(self.k)
    }

    /// About how many bytes a search through an index reads, whose vectors are `vector` bytes each: a
    /// walk estimates some ten distances for each candidate, from an eighth of a vector each.
    pub(crate) fn read_bytes(&self, part: &IndexPart, vector: u64) -> u64 {
        match part.through() {
            Through::Graph(_) => (self.kept() as u64).saturating_mul(vector),
            Through::Clusters(clusters) => {
                let usual = || part.usual_clusters(clusters, self.k);
                part.cluster_bytes(clusters, self.nprobe.unwrap_or_else(usual), vector)
            }
        }
    }

    /// Refuses numbers out of range, and a knob that does nothing for the collection.
    pub(crate) fn check(&self, config: &Config) -> Result<()> {
        let (index, quantization) = (config.index(), config.quantization());
        let of_index = format!("index `{index}`");
        let is_graph = index.of_graph().is_some();
        let is_ivf = matches!(index, Index::Ivf { .. });
        let of_codes = match index {
            Index::Flat => of_index.clone(),
            _ => format!("quantization `{quantization}`"),
        };
        for (knob, given, has_use, what, most) in [
            ("ef", self.ef, is_graph, &of_index, MAX_CANDIDATES),
            ("nprobe", self.nprobe, is_ivf, &of_index, MAX_CLUSTERS as usize),
            ("rerank", self.rerank, quantization.is_reranked(), &of_codes, MAX_CANDIDATES),
        ] {
            let Some(found) = given else { continue };
            if !has_use {
                let message = format!("{knob} does nothing for the {what}; leave it out");
                return Err(Error::invalid(message));
            }
            if !(1..=most).contains(&found) {
                return Err(Error::invalid(format!("{knob} is {found}; expected 1 to {most}")));
            }
        }
        Ok(())
    }
}
