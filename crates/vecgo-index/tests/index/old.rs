//! Going on from a graph that some of the rows were in.

#![allow(clippy::cast_possible_truncation, reason = "few rows")]

use crate::graph::{Backwards, adversarial};
use crate::points::{Random, Set, check_graph, params};
use crate::recall::recall;
use proptest::prelude::*;
use vecgo_index::{BuildParams, Edges, NO_EDGE, OldGraph, Parallel, Serial, Threads, build};
use vecgo_kernels::{Kernels, Level};

/// A set before and after: where each of the rows before is after.
struct Change {
    before: Set,
    after: Set,
    rows: Vec<u32>,
}

impl Change {
    /// Of the rows of a set some are in both, some before or after only; after in another order.
    fn of(set: &Set, is_before: impl Fn(u32) -> bool, is_after: impl Fn(u32) -> bool) -> Self {
        let all = 0..set.rows() as u32;
        let before: Vec<u32> = all.clone().filter(|row| is_before(*row)).collect();
        let mut after: Vec<u32> = all.filter(|row| is_after(*row)).collect();
        after.sort_by_key(|row| u64::from(*row).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let place = |row: &u32| after.iter().position(|other| other == row);
        let rows = before.iter().map(|row| place(row).map_or(NO_EDGE, |place| place as u32));
        let rows = rows.collect();
        let of = |rows: &[u32]| {
            let vectors = rows.iter().flat_map(|row| set.row(*row)).copied();
            Set::new(vectors.collect(), set.dim)
        };
        Self { before: of(&before), after: of(&after), rows }
    }

    fn build(&self, edges: &[u32], entries: &[u32], params: BuildParams) -> Vec<u32> {
        let edges = Edges::new(edges, params.degree);
        self.after.build_on(entries, params, Some(OldGraph { edges, rows: &self.rows }))
    }
}

#[test]
fn every_row_is_reached_whatever_came_and_went() {
    for (name, set) in adversarial() {
        type Is = fn(u32) -> bool;
        let changes: [(Is, Is, &str); 5] = [
            (|row| row % 4 != 1, |row| row % 3 != 0, "some of each"),
            (|_| true, |row| row % 2 == 0, "half is gone"),
            (|row| row % 2 == 0, |_| true, "half is new"),
            (|row| row % 2 == 0, |row| row % 2 == 1, "all are gone"),
            (|row| row < 2, |row| row != 0, "one was there"),
        ];
        for (is_before, is_after, what) in changes {
            let change = Change::of(&set, is_before, is_after);
            let entries = change.after.entries();
            for degree in [1, 2, 16] {
                for entries in [&entries[..1], &entries] {
                    let params = BuildParams { ef: 32, ..params(degree) };
                    let old = change.before.build(&change.before.entries(), params);
                    let edges = change.build(&old, entries, params);
                    let what = format!("{name}, {what}");
                    check_graph(&edges, degree, change.after.rows(), entries, &what);
                }
            }
        }
    }
}

#[test]
fn where_nothing_came_or_went_the_edges_stay() {
    let set = Set::new(Random(6).clustered(2000, 24, 20), 24);
    let change = Change::of(&set, |_| true, |_| true);
    let before = change.before.entries();
    let old = change.before.build(&before, params(16));
    let entries: Vec<u32> = before.iter().map(|row| change.rows[*row as usize]).collect();
    let expected = reordered(&old, 16, &change.before, &change.after);
    assert!(change.build(&old, &entries, params(16)) == expected);
}

#[test]
fn as_much_is_found_after_many_rounds() {
    let (dim, rows, degree) = (24, 3000, 24);
    let mut random = Random(31);
    // Each round a sixth goes and as many come.
    let rounds = 12;
    let mut vectors = random.clustered(rows + rounds * rows / 6 + 200, dim, 60);
    let queries = vectors.split_off(vectors.len() - 200 * dim);
    let set = Set::new(vectors, dim);
    let first = |round: usize| (round * rows / 6) as u32;
    let is_there =
        |round: usize| move |row| (first(round)..first(round) + rows as u32).contains(&row);
    let params = BuildParams { ef: 100, ..params(degree) };
    let mut edges = Vec::new();
    for round in 0..rounds {
        let change = Change::of(&set, is_there(round), is_there(round + 1));
        if round == 0 {
            edges = change.before.build(&change.before.entries(), params);
        } else {
            // What is after one round is before the next, in another order.
            let last = Change::of(&set, is_there(round - 1), is_there(round));
            edges = reordered(&edges, degree, &last.after, &change.before);
        }
        edges = change.build(&edges, &change.after.entries(), params);
        if round + 1 == rounds {
            let (after, entries) = (&change.after, change.after.entries());
            let fresh = after.build(&entries, params);
            let of = |edges: &[u32]| recall(after, edges, degree, &entries, &queries);
            let (found, expected) = (of(&edges), of(&fresh));
            assert!(
                found >= expected - 0.01,
                "recall {found}, in a graph of these rows {expected}"
            );
            let count = |edges: &[u32]| edges.iter().filter(|to| **to != NO_EDGE).count();
            let (left, expected) = (count(&edges), count(&fresh));
            assert!(
                left * 20 >= expected * 19,
                "{left} edges, in a graph of these rows {expected}"
            );
        }
    }
}

/// The edges of one set's rows as those of another with the same rows.
fn reordered(edges: &[u32], degree: usize, from: &Set, to: &Set) -> Vec<u32> {
    let bits = |set: &Set, row: u32| set.row(row).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let places: std::collections::HashMap<_, _> =
        (0..to.rows() as u32).map(|row| (bits(to, row), row)).collect();
    let now: Vec<u32> = (0..from.rows() as u32).map(|row| places[&bits(from, row)]).collect();
    let mut moved = vec![NO_EDGE; edges.len()];
    for (list, row) in edges.chunks_exact(degree).zip(&now) {
        let to = &mut moved[*row as usize * degree..][..degree];
        let edge = |to: &u32| if *to == NO_EDGE { NO_EDGE } else { now[*to as usize] };
        to.iter_mut().zip(list).for_each(|(place, to)| *place = edge(to));
    }
    moved
}

#[test]
fn threads_and_levels_make_no_difference() {
    let set = Set::new(Random(5).clustered(3000, 24, 20), 24);
    let change = Change::of(&set, |row| row % 5 != 0, |row| row % 7 != 0);
    let entries = change.after.entries();
    let old = change.before.build(&change.before.entries(), params(16));
    let expected = change.build(&old, &entries, params(16));
    let old = OldGraph { edges: Edges::new(&old, 16), rows: &change.rows };
    let users: [&dyn Parallel; 4] = [&Serial, &Threads(2), &Threads(5), &Backwards(3)];
    for kernels in Level::ALL.into_iter().filter_map(|level| Kernels::new(level).ok()) {
        for parallel in users {
            let points = change.after.points();
            let built = build(kernels, points, &entries, params(16), Some(old), parallel, |_| true);
            assert!(built.unwrap().edges == expected, "edges differ: {kernels:?}");
        }
    }
}

proptest! {
    /// Old edges are of some form, but may lead anywhere.
    #[test]
    fn any_old_graph_gives_one_of_the_right_form(
        (dim, values) in (1..4_usize).prop_flat_map(|dim| {
            let rows = proptest::collection::vec(proptest::collection::vec(0..4_u8, dim), 0..60);
            (Just(dim), rows)
        }),
        degree in 1..6_usize,
        lists in proptest::collection::vec(proptest::collection::vec(any::<u32>(), 0..6), 0..60),
        shift in 0..60_u32,
        seed: u64,
    ) {
        let vectors = values.concat().into_iter().map(f32::from).collect();
        let set = Set::new(vectors, dim);
        let (rows, olds) = (set.rows(), lists.len() as u32);
        let edges: Vec<u32> = lists.iter().flat_map(|list| {
            let list = list.iter().take(degree).map(|to| to % olds).collect::<Vec<_>>();
            let free = degree - list.len();
            list.into_iter().chain(std::iter::repeat_n(NO_EDGE, free)).collect::<Vec<_>>()
        }).collect();
        let now = |old: u32| Some(old + shift).filter(|row| (*row as usize) < rows);
        let now: Vec<u32> = (0..olds).map(|old| now(old).unwrap_or(NO_EDGE)).collect();
        let old = OldGraph { edges: Edges::new(&edges, degree), rows: &now };
        let params = BuildParams { degree, seed, ..params(degree) };
        let built = set.build_on(&[0], params, Some(old));
        let entries: &[u32] = if rows > 0 { &[0] } else { &[] };
        check_graph(&built, degree, rows, entries, "");
    }
}
