use std::fmt;
use std::str::FromStr;

use thiserror::Error;

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

/// How a collection finds neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Index {
    /// Exact scan of all vectors.
    #[default]
    Flat,
}

/// What stands in for the vectors while searching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Quantization {
    /// The vectors themselves.
    #[default]
    None,
}

/// What a collection is; fixed when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    dim: u32,
    metric: Metric,
    index: Index,
    quantization: Quantization,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
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
    /// A name that a later version will honour.
    #[error("{what} `{found}` is not in this version; expected {expected}")]
    NotYet {
        /// What was named.
        what: &'static str,
        /// The names that work now.
        expected: &'static str,
        /// The name given.
        found: String,
    },
}

impl Config {
    /// A collection of vectors with `dim` dimensions under `metric`, with the default index and
    /// no quantization. The dimension is checked when the collection is created.
    pub fn new(dim: usize, metric: Metric) -> Self {
        Self {
            dim: u32::try_from(dim).unwrap_or(u32::MAX),
            metric,
            index: Index::default(),
            quantization: Quantization::default(),
        }
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

    /// Checks what [`Config::new`] took on trust.
    ///
    /// # Errors
    /// [`ConfigError::Dim`] if the dimension is 0 or above [`MAX_DIM`].
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.dim() {
            1..=MAX_DIM => Ok(()),
            found => Err(ConfigError::Dim { found }),
        }
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u32(self.dim);
        out.u8(match self.metric {
            Metric::Cosine => 0,
            Metric::L2 => 1,
            Metric::Dot => 2,
        });
        out.u8(match self.index {
            Index::Flat => 0,
        });
        out.u8(match self.quantization {
            Quantization::None => 0,
        });
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        let dim = bytes.u32()?;
        let metric = match bytes.u8()? {
            0 => Metric::Cosine,
            1 => Metric::L2,
            2 => Metric::Dot,
            tag => return Err(bytes.invalid(format!("metric {tag}, expected 0 to 2"))),
        };
        let index = match bytes.u8()? {
            0 => Index::Flat,
            tag => return Err(bytes.invalid(format!("index {tag}, expected 0"))),
        };
        let quantization = match bytes.u8()? {
            0 => Quantization::None,
            tag => return Err(bytes.invalid(format!("quantization {tag}, expected 0"))),
        };
        let config = Self { dim, metric, index, quantization };
        config.check().map_err(|error| bytes.invalid(error.to_string()))?;
        Ok(config)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "dim {}, metric {}, index {}, quantization {}",
            self.dim, self.metric, self.index, self.quantization
        )
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

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Index::Flat => "flat",
        })
    }
}

impl FromStr for Index {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let (what, expected, found) = ("index", "flat", name.to_owned());
        match name {
            "flat" => Ok(Index::Flat),
            "graph" | "hnsw" | "ivf" | "disk" => Err(ConfigError::NotYet { what, expected, found }),
            _ => Err(ConfigError::Name { what, expected, found }),
        }
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quantization::None => "none",
        })
    }
}

impl FromStr for Quantization {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let (what, expected, found) = ("quantization", "none", name.to_owned());
        match name.split(':').next().unwrap_or_default() {
            "none" => Ok(Quantization::None),
            "sq8" | "int4" | "pq" | "rabitq" | "binary" => {
                Err(ConfigError::NotYet { what, expected, found })
            }
            _ => Err(ConfigError::Name { what, expected, found }),
        }
    }
}
