//! The graph index: building and searching, over codes in memory. No files, no metrics: squared
//! distances between points, as `vecgo-quant` makes them.

#![forbid(unsafe_code)]

mod cluster;
mod graph;
mod order;
mod parallel;

pub use cluster::{Clusters, cluster};

pub use graph::{
    BuildParams, Built, Cancelled, Codes, Edges, NO_EDGE, Near, Neighbour, Points, Scratch, Width,
    build,
};
pub use parallel::{Parallel, Serial, Threads};
