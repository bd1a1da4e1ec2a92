//! The read path: one view, read at one sequence number, whatever is written meanwhile.

mod account;
mod candidates;
mod cold;
mod effort;
mod estimated;
mod exact;
mod explain;
mod facet;
mod fetch;
mod groups;
mod nearest;
mod params;
mod probe;
mod request;
mod scoring;
mod scroll;
mod search;
mod short;
mod top;
mod vector;
mod view;

pub use explain::{Explained, PartExplained, Plan};
pub use facet::Facet;
pub use fetch::Fetch;
pub use groups::{Group, Grouping};
pub use params::{MAX_CANDIDATES, SearchParams};
pub use request::{Request, Selection};
pub use scroll::Scan;
pub use search::Hit;

pub(crate) use candidates::{PointDistances, may_be_found};
pub(crate) use effort::Effort;
pub(crate) use scoring::Scoring;
pub(crate) use vector::{ExactQuery, check_vector, norm};
pub(crate) use view::{Address, RowSource, Snapshot, View};
