use std::sync::Arc;

use vecgo_kernels::PageBuf;

use crate::Result;
use crate::collection::Shared;
use crate::segment::{Arrangement, Stop};

/// Decides in which order the rows of a merged segment stand and makes the sections that follow
/// from its vectors, which are given row after row in the order in which they were read.
///
/// **This is the one place for it.** An order by cluster is [`crate::segment::Order::Permuted`];
/// codes and graphs are [`crate::segment::ExtraSection`]s. What computes for long belongs on the
/// threads of `shared.env.spawn`, in parts that ask `stop` between them.
pub(super) async fn arrange(
    _shared: &Shared,
    _vectors: &Arc<PageBuf<f32>>,
    stop: &Stop,
) -> Result<Arrangement> {
    stop.check()?;
    Ok(Arrangement::default())
}
