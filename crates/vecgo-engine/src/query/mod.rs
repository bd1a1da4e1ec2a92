//! The read path: one view, read at one sequence number, whatever is written meanwhile.

mod estimated;
mod exact;
mod fetch;
mod nearest;
mod params;
mod scroll;
mod search;
mod short;
mod top;
mod vector;
mod view;

pub use fetch::Fetch;
pub use params::{MAX_CANDIDATES, SearchParams};
pub use scroll::Scan;
pub use search::Hit;

pub(crate) use vector::{check_vector, norm};
pub(crate) use view::{RowSource, Snapshot, View};
