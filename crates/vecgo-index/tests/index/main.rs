//! The graph: what building promises, what walking finds.

mod cancel;
mod graph;
mod old;
mod points;
mod recall;
