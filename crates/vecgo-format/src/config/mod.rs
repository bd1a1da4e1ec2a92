mod index;
mod recall;

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use thiserror::Error;

pub use index::{Index, MAX_CLUSTERS, Quantization};
pub use recall::RecallTarget;

use crate::FormatError;
use crate::codec::{Decoder, Encoder};

/// Most dimensions a collection can have.
pub const MAX_DIM: usize = 65_536;

/// How near two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// distance = 1 − cos, score = cos.
    Cosine,
    /// distance = squared Euclidean, score = −distance.
    L2,
    /// distance = −(q·v), score = q·v.
    Dot,
}

/// What a collection is. Dimensions and metric are fixed when it is created; the rest may be changed:
/// index and quantization say how segments are made from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    dim: u32,
    metric: Metric,
    index: Index,
    quantization: Quantization,
    recall_target: Option<RecallTarget>,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The dimension is 0 or above [`MAX_DIM`].
    #[error("dimension is {found}; expected 1 to {MAX_DIM}")]
    Dim {
        /// The dimension given.
        found: usize,
    },
    /// A name that nothing has.
    #[error("unknown {what} `{found}`; expected {expected}")]
    Name {
        /// What was named.
        what: &'static str,
        /// The names that exist.
        expected: &'static str,
        /// The name given.
        found: String,
    },
    /// A number that is too small or too large.
    #[error("{what} is {found}; expected {least} to {most}")]
    Range {
        /// What has the number.
        what: &'static str,
        /// The number given.
        found: u32,
        /// The least that can be.
        least: u32,
        /// The most that can be.
        most: u32,
    },
    /// No part of what is nearest that a search can be told to find.
    #[error("recall target is {found}; expected 0.5 to 0.9999; an exact search finds all")]
    Recall {
        /// What was given.
        found: String,
    },
    /// An index that leaves the vectors on the disk needs something to search by.
    #[error(
        "the index `{index}` needs codes to search by; expected a quantization other than none"
    )]
    NeedsCodes {
        /// The index.
        index: Index,
    },
    /// A quantization that the index would never look at.
    #[error("quantization `{found}` does nothing for the index `{index}`; leave it out")]
    NoEffect {
        /// The quantization given.
        found: Quantization,
        /// The index.
        index: Index,
    },
}

impl Config {
    /// A collection of vectors with `dim` dimensions, 1 to [`MAX_DIM`], under `metric`: a graph
    /// with the default settings and the quantization `rabitq:8`, until told otherwise. All of it
    /// is checked when the collection is created.
    pub fn new(dim: usize, metric: Metric) -> Self {
        let index = Index::default();
        Self {
            dim: u32::try_from(dim).unwrap_or(u32::MAX),
            metric,
            index,
            quantization: index.default_quantization(),
            recall_target: None,
        }
    }

    /// With another index. The quantization becomes that index's default, unless one was set that
    /// is not the default.
    #[must_use]
    pub fn with_index(self, index: Index) -> Self {
        let untouched = self.quantization == self.index.default_quantization();
        let quantization = if untouched { index.default_quantization() } else { self.quantization };
        Self { index, quantization, ..self }
    }

    /// With another quantization; under [`Index::Flat`] there is none.
    #[must_use]
    pub fn with_quantization(self, quantization: Quantization) -> Self {
        Self { quantization, ..self }
    }

    /// With another part of what is nearest for searches to find, unless they are told otherwise.
    #[must_use]
    pub fn with_recall_target(self, recall_target: Option<RecallTarget>) -> Self {
        Self { recall_target, ..self }
    }

    /// What of it a segment is made by.
    #[must_use]
    #[doc(hidden)]
    pub fn of_segments(self) -> Self {
        self.with_recall_target(None)
    }

    /// Whether both are of the same vectors, whatever they are searched by.
    #[doc(hidden)]
    pub fn has_vectors_of(&self, other: &Self) -> bool {
        (self.dim, self.metric) == (other.dim, other.metric)
    }

    /// Dimensions of a vector.
    pub fn dim(&self) -> usize {
        self.dim as usize
    }

    /// The metric.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The index.
    pub fn index(&self) -> Index {
        self.index
    }

    /// The quantization.
    pub fn quantization(&self) -> Quantization {
        self.quantization
    }

    /// How much of what is nearest searches are to find unless they are told otherwise, if that was said.
    pub fn recall_target(&self) -> Option<RecallTarget> {
        self.recall_target
    }

    /// Checks what the constructors took on trust.
    ///
    /// # Errors
    /// [`ConfigError`] if the dimension or a setting of the index is out of range, or the index
    /// has no use for the quantization.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(1..=MAX_DIM).contains(&self.dim()) {
            return Err(ConfigError::Dim { found: self.dim() });
        }
        self.index.check()?;
        self.quantization.check()?;
        if let Quantization::Pq { parts } = self.quantization
            && usize::from(parts) > self.dim()
        {
            let most = self.dim;
            return Err(ConfigError::Range {
                what: "m of pq",
                found: parts.into(),
                least: 1,
                most,
            });
        }
        match (self.index, self.quantization) {
            (index @ Index::Disk { .. }, Quantization::None) => {
                Err(ConfigError::NeedsCodes { index })
            }
            (Index::Graph { .. } | Index::Disk { .. } | Index::Ivf { .. }, _)
            | (Index::Flat, Quantization::None) => Ok(()),
            (index, found) => Err(ConfigError::NoEffect { found, index }),
        }
    }

    /// As long whatever the index is: what one does not have is 0.
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u32(self.dim);
        out.u8(match self.metric {
            Metric::Cosine => 0,
            Metric::L2 => 1,
            Metric::Dot => 2,
        });
        let (index, m, ef_construction, clusters) = match self.index {
            Index::Flat => (0, 0, 0, 0),
            Index::Graph { m, ef_construction } => (1, m, ef_construction, 0),
            Index::Ivf { n_clusters } => (2, 0, 0, n_clusters.map_or(0, NonZeroU32::get)),
            Index::Disk { m, ef_construction } => (3, m, ef_construction, 0),
        };
        out.u8(index);
        out.u16(m);
        out.u16(ef_construction);
        out.u32(clusters);
        let (quantization, bits) = match self.quantization {
            Quantization::None => (0, 0),
            Quantization::Sq8 => (1, 0),
            Quantization::RaBitQ { bits } => (2, bits.into()),
            Quantization::Pq { parts } => (3, parts),
        };
        out.u8(quantization);
        out.u16(bits);
        out.u16(RecallTarget::stored(self.recall_target));
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        let dim = bytes.u32()?;
        let metric = match bytes.u8()? {
            0 => Metric::Cosine,
            1 => Metric::L2,
            2 => Metric::Dot,
            tag => return Err(bytes.unknown(format!("metric {tag}"))),
        };
        let index = match (bytes.u8()?, bytes.u16()?, bytes.u16()?, bytes.u32()?) {
            (0, 0, 0, 0) => Index::Flat,
            (1, m, ef_construction, 0) => Index::Graph { m, ef_construction },
            (2, 0, 0, clusters) => Index::Ivf { n_clusters: NonZeroU32::new(clusters) },
            (3, m, ef_construction, 0) => Index::Disk { m, ef_construction },
            (tag, m, ef, clusters) => {
                let found =
                    format!("index {tag}, m {m}, ef_construction {ef}, clusters {clusters}");
                return Err(bytes.unknown(found));
            }
        };
        let quantization = match (bytes.u8()?, bytes.u16()?) {
            (0, 0) => Quantization::None,
            (1, 0) => Quantization::Sq8,
            (2, bits @ 1..=8) => Quantization::RaBitQ { bits: bits.to_le_bytes()[0] },
            (3, parts) => Quantization::Pq { parts },
            (tag, bits) => {
                return Err(bytes.unknown(format!("quantization {tag}, bits {bits}")));
            }
        };
        let stored = bytes.u16()?;
        let recall_target = RecallTarget::of_stored(stored);
        let recall_target =
            recall_target.ok_or_else(|| bytes.unknown(format!("recall target {stored}")))?;
        let config = Self { dim, metric, index, quantization, recall_target };
        // Whoever wrote it had other limits.
        config.check().map_err(|error| bytes.unknown(error.to_string()))?;
        Ok(config)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dim {}, metric {}, index {}", self.dim, self.metric, self.index)?;
        match self.index {
            Index::Graph { m, ef_construction } | Index::Disk { m, ef_construction } => {
                write!(f, " (m {m}, ef_construction {ef_construction})")?;
            }
            Index::Ivf { n_clusters: Some(clusters) } => write!(f, " (n_clusters {clusters})")?,
            Index::Flat | Index::Ivf { n_clusters: None } => {}
        }
        write!(f, ", quantization {}", self.quantization)?;
        match self.recall_target {
            Some(target) => write!(f, ", recall target {target}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Metric::Cosine => "cosine",
            Metric::L2 => "l2",
            Metric::Dot => "dot",
        })
    }
}

impl FromStr for Metric {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        match name {
            "cosine" => Ok(Metric::Cosine),
            "l2" => Ok(Metric::L2),
            "dot" => Ok(Metric::Dot),
            _ => Err(ConfigError::Name {
                what: "metric",
                expected: "cosine, l2 or dot",
                found: name.to_owned(),
            }),
        }
    }
}
