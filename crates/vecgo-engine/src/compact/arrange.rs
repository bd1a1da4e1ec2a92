use vecgo_format::Index;

use crate::Result;
use crate::collection::Shared;
use crate::graph::{Old, make};
use crate::segment::{Arrangement, Stop};

/// Decides in which order the rows of a merged segment stand and makes the sections that follow
/// from its vectors, which are given row after row in the order in which they were read.
///
/// The number of the segment is the seed of all that is drawn: the same vectors and old graph make
/// the same segment.
pub(super) fn arrange(
    shared: &Shared,
    number: u64,
    vectors: &[f32],
    old: Option<Old>,
    stop: &Stop,
) -> Result<Arrangement> {
    stop.check()?;
    let config = &shared.config;
    let rows = vectors.len() / config.dim();
    if config.index() == Index::Flat || rows < shared.options.graph_rows {
        return Ok(Arrangement::default());
    }
    make(shared, number, vectors, old, stop)
}
