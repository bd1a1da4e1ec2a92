use std::mem::discriminant;
use std::num::NonZeroU32;

use crate::by_names;
use serde::Deserialize;
use utoipa::ToSchema;
use vecgo::{Config, Error, ErrorKind, Index, Quantization, RecallTarget, Result};

/// What of a collection can be chosen when it is created, and changed later. What is left out is the default,
/// or stays.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default, remote = "Self")]
#[schema(as = ConfigChange)]
pub struct ConfigChange {
    /// `graph` (or `hnsw`), `disk`, `ivf` or `flat`.
    pub index: Option<String>,
    /// Edges of a row of a graph, 4 to 128.
    pub m: Option<u16>,
    /// Candidates kept while a graph is built, 8 to 4096.
    pub ef_construction: Option<u16>,
    /// Clusters of an IVF index, 1 to 1048576.
    #[schema(value_type = Option<u32>)]
    pub n_clusters: Option<NonZeroU32>,
    /// `none`, `sq8`, `rabitq:1` (or `binary`) to `rabitq:8`, `int4`, `pq:1` to `pq:255`.
    pub quantization: Option<String>,
    /// How much of what is nearest searches find unless they are told otherwise, 0.5 to 0.9999; null to go
    /// as far as usual.
    #[serde(deserialize_with = "crate::nullable")]
    #[schema(value_type = Option<f64>)]
    pub recall_target: Option<Option<f64>>,
}

by_names!(ConfigChange);

impl ConfigChange {
    /// A configuration with this in place of what it has.
    ///
    /// # Errors
    /// `InvalidArgument` for what cannot be, or does nothing for the index.
    pub fn apply(&self, config: Config) -> Result<Config> {
        let named = self.index.as_deref().map(str::parse::<Index>).transpose()?;
        let is_there = |index: &Index| discriminant(index) == discriminant(&config.index());
        // Of the index that is there what is not given stays.
        let mut index = named.filter(|index| !is_there(index)).unwrap_or(config.index());
        let mut no_use = Vec::new();
        match &mut index {
            Index::Graph { m, ef_construction } | Index::Disk { m, ef_construction } => {
                *m = self.m.unwrap_or(*m);
                *ef_construction = self.ef_construction.unwrap_or(*ef_construction);
            }
            Index::Ivf { .. } | Index::Flat => {
                no_use.extend(self.m.map(|_| "m"));
                no_use.extend(self.ef_construction.map(|_| "ef_construction"));
            }
        }
        match &mut index {
            Index::Ivf { n_clusters } => *n_clusters = self.n_clusters.or(*n_clusters),
            _ => no_use.extend(self.n_clusters.map(|_| "n_clusters")),
        }
        if let Some(name) = no_use.first() {
            let message = format!("{name} does nothing for the index `{index}`; leave it out");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let config = config.with_index(index);
        let config = match &self.quantization {
            Some(name) => config.with_quantization(name.parse()?),
            None if index == Index::Flat => config.with_quantization(Quantization::None),
            None => config,
        };
        Ok(match self.recall_target {
            Some(target) => config.with_recall_target(target.map(RecallTarget::new).transpose()?),
            None => config,
        })
    }
}
