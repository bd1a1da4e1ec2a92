//! The graph of a segment: made of its vectors when it is written (`make.rs`), read into memory
//! when it is first searched (`part.rs`), and walked (`walk.rs`).

mod make;
mod part;
mod walk;

pub(crate) use make::make;
pub(crate) use part::GraphPart;
pub(crate) use walk::{ByVectors, Rerank, Walker, Walkers};

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
