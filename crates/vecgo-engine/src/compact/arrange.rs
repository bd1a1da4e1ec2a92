use vecgo_format::Index;

use crate::Result;
use crate::collection::Shared;
use crate::graph::{Old, make};
use crate::segment::{Arrangement, Stop};

/// Whether a merged segment of so many rows has a graph.
pub(super) fn has_graph(shared: &Shared, rows: usize) -> bool {
    shared.config.index() != Index::Flat && rows >= shared.options.graph_rows
}

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
    if !has_graph(shared, vectors.len() / shared.config.dim()) {
        return Ok(Arrangement::default());
    }
    make(shared, number, vectors, old, stop)
}
