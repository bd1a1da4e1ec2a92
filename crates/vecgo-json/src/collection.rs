use serde::Serialize;
use utoipa::ToSchema;
use vecgo::{CollectionInfo, Config, Index, RecallTarget, VersionInfo};

/// What a collection is, with null for what its index has not.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ConfigJson {
    /// Dimensions of a vector.
    pub dim: usize,
    /// `cosine`, `l2` or `dot`.
    pub metric: String,
    /// `graph`, `disk`, `ivf` or `flat`.
    pub index: String,
    /// Edges of a row of a graph.
    pub m: Option<u16>,
    /// Candidates kept while a graph is built.
    pub ef_construction: Option<u16>,
    /// Clusters, if they are not chosen by the number of rows.
    pub n_clusters: Option<u32>,
    /// What stands in for vectors: `none`, `sq8`, `rabitq:1` to `rabitq:8`, `pq:` and bytes.
    pub quantization: String,
    /// How much of what is nearest searches find unless they are told otherwise.
    pub recall_target: Option<f64>,
}

impl From<&Config> for ConfigJson {
    fn from(config: &Config) -> Self {
        let (m, ef_construction, n_clusters) = match config.index() {
            Index::Graph { m, ef_construction } | Index::Disk { m, ef_construction } => {
                (Some(m), Some(ef_construction), None)
            }
            Index::Ivf { n_clusters } => (None, None, n_clusters),
            Index::Flat => (None, None, None),
        };
        Self {
            dim: config.dim(),
            metric: config.metric().to_string(),
            index: config.index().to_string(),
            m,
            ef_construction,
            n_clusters: n_clusters.map(Into::into),
            quantization: config.quantization().to_string(),
            recall_target: config.recall_target().map(RecallTarget::get),
        }
    }
}

/// A collection of a database.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CollectionJson {
    /// Its name.
    pub name: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// What it is.
    #[serde(flatten)]
    pub config: ConfigJson,
}

impl From<&CollectionInfo> for CollectionJson {
    fn from(info: &CollectionInfo) -> Self {
        let (name, created_ms) = (info.name.clone(), info.created_ms);
        Self { name, created_ms, config: (&info.config).into() }
    }
}

/// A version that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct VersionJson {
    /// Its number.
    pub version: u64,
    /// When it was committed, in milliseconds since 1970.
    pub created_ms: u64,
    /// Sequence number of its last write.
    pub sequence: u64,
    /// How many segments it has.
    pub segments: usize,
    /// Its names.
    pub tags: Vec<String>,
    /// Who holds a pin of it, if somebody does.
    pub pinned_by: Option<String>,
}

impl From<VersionInfo> for VersionJson {
    fn from(info: VersionInfo) -> Self {
        let VersionInfo { version, created_ms, sequence, segments, tags, pinned_by, .. } = info;
        Self { version, created_ms, sequence, segments, tags, pinned_by }
    }
}
