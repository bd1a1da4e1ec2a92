use vecgo_format::{Config, Index, MAX_CLUSTERS, RecallTarget};

use super::fetch::Fetch;
use crate::{Error, Result};

/// Most candidates that a search may be told to keep or to score again.
pub const MAX_CANDIDATES: usize = 65_536;

/// Candidates that a walk keeps unless told otherwise. Enough for a recall of 0.95 of ten on every
/// set of vectors that we have.
pub(super) const EF: usize = 192;

/// What to search for beside the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchParams {
    /// How many neighbours; fewer come back only if fewer records are there.
    pub k: usize,
    /// What to return with each.
    pub fetch: Fetch,
    /// Candidates that the walk through a graph keeps at most, 1 to [`MAX_CANDIDATES`], or `k` if
    /// that is more; where the nearest stand out it is over before. 192 if absent, or half as much
    /// again as `k` if that is more. By codes that tell rows less well apart twice or eight times as
    /// many are kept.
    pub ef: Option<usize>,
    /// Clusters of each segment that are searched, 1 to [`MAX_CLUSTERS`](vecgo_format::MAX_CLUSTERS).
    pub nprobe: Option<usize>,
    /// How much of what is nearest is to be found on average, 0.5 to 0.9999, in place of `ef` and `nprobe`:
    /// each segment is gone through as far as that took when it was measured. If absent, the collection's
    /// own, if it has one.
    pub recall_target: Option<f64>,
    /// Candidates that are scored again by their vectors, 1 to [`MAX_CANDIDATES`]; at least `k`
    /// are. If absent, all that may be among the nearest, given how far codes can be off; of vectors that
    /// are read from the disk, those that may be nearer than `k` which were scored first.
    pub rerank: Option<usize>,
    /// Scores every record; `ef`, `nprobe`, `recall_target` and `rerank` have no say then.
    pub exact: bool,
}

impl Default for SearchParams {
    fn default() -> Self {
        Self {
            k: 10,
            fetch: Fetch::default(),
            ef: None,
            nprobe: None,
            recall_target: None,
            rerank: None,
            exact: false,
        }
    }
}

impl SearchParams {
    /// Candidates that a walk keeps.
    pub(crate) fn kept(&self) -> usize {
        self.ef.unwrap_or_else(|| EF.max(self.k.saturating_add(self.k / 2))).max(self.k)
    }

    /// How much of what is nearest is to be found, unless it was said how far to go.
    pub(super) fn target(&self) -> Option<f64> {
        let target = self.recall_target.filter(|_| self.ef.is_none() && self.nprobe.is_none());
        target.and_then(|target| RecallTarget::new(target).ok()).map(RecallTarget::get)
    }

    /// With what a collection has in place of what was not said.
    pub(super) fn within(self, config: &Config) -> Self {
        let usual = || config.recall_target().map(RecallTarget::get);
        Self { recall_target: self.recall_target.or_else(usual), ..self }
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
        if let Some(target) = self.recall_target {
            RecallTarget::new(target)?;
            let other = self.ef.map(|_| "ef").or(self.nprobe.map(|_| "nprobe"));
            if let Some(other) = other {
                let message = format!("recall_target and {other} both say how far to go; give one");
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }
}
