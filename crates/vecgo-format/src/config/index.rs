use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::ConfigError;

/// Most clusters that an index may have.
pub const MAX_CLUSTERS: u32 = 1 << 20;

/// How a collection finds neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Index {
    /// Exact scan of all vectors.
    Flat,
    /// A graph of near neighbours, walked from row to row; `hnsw` is its familiar name.
    Graph {
        /// Edges that a row may have, 4 to 128: more find more and take more memory.
        m: u16,
        /// Candidates kept while a row's edges are chosen, 8 to 4,096: more make a better graph
        /// and a slower build.
        ef_construction: u16,
    },
    /// The same graph and codes in memory, and the vectors left on the disk: read for the rows that are
    /// scored by them, and never held whole. For collections larger than memory.
    Disk {
        /// Edges that a row may have, 4 to 128.
        m: u16,
        /// Candidates kept while a row's edges are chosen, 8 to 4,096.
        ef_construction: u16,
    },
    /// Clusters, of which those nearest to the query are scanned: much sooner built than a graph, and
    /// slower to search.
    Ivf {
        /// Clusters of a segment at most, 1 to [`MAX_CLUSTERS`]; if absent, four times the root of its rows. There
        /// is one for each 16 rows at most.
        n_clusters: Option<NonZeroU32>,
    },
}

/// What stands in for the vectors while an index is searched. Hits are scored by their vectors in
/// any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantization {
    /// The vectors themselves.
    None,
    /// A byte a dimension, between the least and the greatest value.
    Sq8,
    /// A random rotation, then so many bits a dimension (RaBitQ); `int4` and `binary` are familiar names of
    /// it with four and one.
    RaBitQ {
        /// Bits a dimension, 1 to 8.
        bits: u8,
    },
    /// Product quantization: the dimensions are cut into parts, and each is a byte, the number of the
    /// nearest of 256 centroids.
    Pq {
        /// Bytes a row, 1 to 255, and no more than there are dimensions.
        parts: u16,
    },
}

impl Index {
    /// Edges of a row of a graph, unless others are asked for.
    pub const DEFAULT_M: u16 = 32;
    /// Candidates kept while a row's edges are chosen, unless others are asked for.
    pub const DEFAULT_EF_CONSTRUCTION: u16 = 200;

    const M: RangeInclusive<u32> = 4..=128;
    const EF_CONSTRUCTION: RangeInclusive<u32> = 8..=4096;

    /// A graph with the default settings.
    pub const fn graph() -> Self {
        Self::Graph { m: Self::DEFAULT_M, ef_construction: Self::DEFAULT_EF_CONSTRUCTION }
    }

    /// A graph whose vectors stay on the disk, with the default settings, but three quarters of the edges:
    /// they take as much memory as codes do.
    pub const fn disk() -> Self {
        Self::Disk { m: Self::DEFAULT_M / 4 * 3, ef_construction: Self::DEFAULT_EF_CONSTRUCTION }
    }

    /// `m` and `ef_construction`, if its segments are searched by a graph.
    pub const fn of_graph(self) -> Option<(u16, u16)> {
        match self {
            Index::Graph { m, ef_construction } | Index::Disk { m, ef_construction } => {
                Some((m, ef_construction))
            }
            Index::Flat | Index::Ivf { .. } => None,
        }
    }

    /// As many clusters in a segment as four times the root of its rows.
    pub const fn ivf() -> Self {
        Self::Ivf { n_clusters: None }
    }

    /// The quantization of a collection that asks for none by name.
    pub(super) fn default_quantization(self) -> Quantization {
        match self {
            Index::Flat => Quantization::None,
            Index::Graph { .. } | Index::Ivf { .. } => Quantization::RaBitQ { bits: 8 },
            // Half the memory; the rest is read of the few rows that are scored by their vectors.
            Index::Disk { .. } => Quantization::RaBitQ { bits: 4 },
        }
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        let within = |what, found: u32, range: RangeInclusive<u32>| {
            let (least, most) = (*range.start(), *range.end());
            match range.contains(&found) {
                true => Ok(()),
                false => Err(ConfigError::Range { what, found, least, most }),
            }
        };
        match self {
            Index::Flat | Index::Ivf { n_clusters: None } => Ok(()),
            Index::Graph { m, ef_construction } | Index::Disk { m, ef_construction } => {
                within("m", m.into(), Self::M)?;
                within("ef_construction", ef_construction.into(), Self::EF_CONSTRUCTION)
            }
            Index::Ivf { n_clusters: Some(clusters) } => {
                within("n_clusters", clusters.get(), 1..=MAX_CLUSTERS)
            }
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::graph()
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Index::Flat => "flat",
            Index::Graph { .. } => "graph",
            Index::Disk { .. } => "disk",
            Index::Ivf { .. } => "ivf",
        })
    }
}

impl FromStr for Index {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let (what, expected, found) = ("index", "flat, graph, disk or ivf", name.to_owned());
        match name {
            "flat" => Ok(Index::Flat),
            "graph" | "hnsw" => Ok(Index::graph()),
            "ivf" => Ok(Index::ivf()),
            "disk" => Ok(Index::disk()),
            _ => Err(ConfigError::Name { what, expected, found }),
        }
    }
}

const QUANTIZATION: &str = "quantization";
const QUANTIZATIONS: &str = "none, sq8, int4, binary, rabitq:1 to rabitq:8 or pq:1 to pq:255";

impl Quantization {
    /// Whether a search can ask how many candidates are scored again by their vectors.
    pub fn is_reranked(self) -> bool {
        self != Quantization::None
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        let (what, expected, found) = (QUANTIZATION, QUANTIZATIONS, self.to_string());
        match self {
            Quantization::None
            | Quantization::Sq8
            | Quantization::RaBitQ { bits: 1..=8 }
            | Quantization::Pq { parts: 1..=255 } => Ok(()),
            Quantization::RaBitQ { .. } | Quantization::Pq { .. } => {
                Err(ConfigError::Name { what, expected, found })
            }
        }
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantization::None => f.write_str("none"),
            Quantization::Sq8 => f.write_str("sq8"),
            Quantization::RaBitQ { bits } => write!(f, "rabitq:{bits}"),
            Quantization::Pq { parts } => write!(f, "pq:{parts}"),
        }
    }
}

impl FromStr for Quantization {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let (what, expected, found) = (QUANTIZATION, QUANTIZATIONS, name.to_owned());
        let named = match name.split_once(':') {
            None if name == "none" => Some(Quantization::None),
            None if name == "sq8" => Some(Quantization::Sq8),
            None if name == "int4" => Some(Quantization::RaBitQ { bits: 4 }),
            None if name == "binary" => Some(Quantization::RaBitQ { bits: 1 }),
            Some(("rabitq", bits)) => bits.parse().ok().map(|bits| Quantization::RaBitQ { bits }),
            Some(("pq", parts)) => parts.parse().ok().map(|parts| Quantization::Pq { parts }),
            _ => None,
        };
        let quantization = named.ok_or(ConfigError::Name { what, expected, found })?;
        quantization.check().map(|()| quantization)
    }
}
