//! The index of a segment: made of its vectors when it is written (`make.rs`, watched by
//! `progress.rs`), read into memory when it is first searched (`part.rs`; `coded.rs`, `graph.rs` and
//! `clusters.rs` are what it consists of), and walked (`walk.rs`), scanned (`scan.rs`) or probed (`probe.rs`). What each
//! finds by codes is put in order by more of their bits (`rerank.rs`).

mod best;
mod by_vectors;
mod clusters;
mod codebook;
mod coded;
mod cold;
mod graph;
mod layout;
mod lengths;
mod make;
mod part;
mod probe;
mod progress;
mod rerank;
mod scan;
mod short;
mod walk;
mod walkers;

pub(crate) use by_vectors::ByVectors;
pub(crate) use clusters::Clusters;
pub(crate) use codebook::codebook_bytes;
pub(crate) use cold::{Head, NearRows, fetch_hits};
pub(crate) use graph::Graph;
pub(crate) use lengths::index_bytes;
pub(crate) use make::{Old, make};
pub(crate) use part::{IndexPart, Through};
pub(crate) use probe::Probe;
pub use progress::GraphBuild;
pub(crate) use progress::Progress;
pub(crate) use rerank::{Estimated, ROUNDING, Rerank};
pub(crate) use short::short_codes;
pub(crate) use walk::{Start, Walker};
pub(crate) use walkers::Walkers;

use vecgo_format::{Config, Metric};
use vecgo_quant::Kind;

/// Which distances points keep the order of.
fn kind(config: &Config) -> Kind {
    match config.metric() {
        Metric::Cosine => Kind::Angle,
        Metric::L2 => Kind::L2,
        Metric::Dot => Kind::Dot,
    }
}
