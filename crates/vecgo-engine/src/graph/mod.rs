//! The graph of a segment: made of its vectors when it is written (`make.rs`, watched by
//! `progress.rs`), read into memory when it is first searched (`part.rs`), and walked (`walk.rs`).

mod by_vectors;
mod clusters;
mod make;
mod part;
mod progress;
mod walk;
mod walkers;

pub(crate) use by_vectors::ByVectors;
pub(crate) use make::{Old, make};
pub(crate) use part::GraphPart;
pub use progress::GraphBuild;
pub(crate) use progress::Progress;
pub(crate) use walk::{Rerank, Start, Walker};
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
