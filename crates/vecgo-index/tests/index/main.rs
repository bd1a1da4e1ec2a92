//! The graph: what building promises, what walking finds.

mod cancel;
mod graph;
mod points;
mod recall;
