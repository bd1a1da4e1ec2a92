//! The graph index: building and searching, over codes in memory. No files, no metrics: squared
//! distances between points, as `vecgo-quant` makes them.
//!
//! [`cluster`] puts rows in an order in which near ones are close by, and names the centres that
//! searches start from. [`build`] links each row to near ones in many directions, by all eight bits
//! of the codes, and goes on from an [`OldGraph`] if it is given one. [`Scratch::walk`] searches, by
//! as many bits as the codes have that it is given. Building is cut into tasks for
//! [`Parallel`], and gives the same graph however many cores run them and whatever
//! [`Level`](vecgo_kernels::Level) the kernels have: integer sums are exact, and what is made of
//! them is computed by the same operations everywhere.

#![forbid(unsafe_code)]

mod cluster;
mod graph;
mod order;
mod parallel;

pub use cluster::{Centres, ClusterParams, Clusters, cluster};

pub use graph::{
    BuildParams, Built, ByCodes, Cancelled, Codes, Edges, Form, Hidden, MUCH_LEFT_OUT, NO_EDGE,
    Near, Neighbour, OldGraph, Points, Reach, Scratch, Wanted, build,
};
pub use parallel::{Parallel, Serial, Threads};
