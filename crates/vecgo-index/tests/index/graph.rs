//! What a graph promises whatever the points are.

#![allow(clippy::cast_possible_truncation, reason = "few rows")]

use crate::points::{Random, Set, check_graph, params};
use proptest::prelude::*;
use vecgo_index::{BuildParams, ClusterParams, Parallel, Serial, Threads, build, cluster};
use vecgo_kernels::{Kernels, Level};

/// Sets that mislead a builder.
pub(crate) fn adversarial() -> Vec<(&'static str, Set)> {
    let mut random = Random(7);
    let dim = 8;
    let all_same = vec![0.5; 3000 * dim];
    let mut half_same = random.clustered(1500, dim, 10);
    half_same.extend((0..1500).flat_map(|_| [1.0, -1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0]));
    // Forty points, fifty times each, one after the other.
    let few = random.clustered(40, dim, 4).repeat(50);
    let mut far = random.clustered(1000, dim, 1);
    far.extend(random.clustered(1000, dim, 1).iter().map(|x| x + 1e6));
    let line = (0..2000).flat_map(|at| (0..dim).map(move |i| (at * (i + 1)) as f32)).collect();
    let steps = (0..60).flat_map(|at| (0..dim).map(move |_| 2f32.powi(at))).collect();
    // All but the same: codes differ by noise.
    let crowd = (0..2000 * dim).map(|_| 1.0 + 1e-6 * random.normal()).collect();
    let sphere = random.clustered(1500, dim, 1500);
    [
        ("all the same", all_same),
        ("half the same", half_same),
        ("few", few),
        ("two far clusters", far),
        ("line", line),
        ("doubling", steps),
        ("crowd", crowd),
        ("apart", sphere),
        ("zeros", vec![0.0; 200 * dim]),
    ]
    .map(|(name, vectors)| (name, Set::new(vectors, dim)))
    .into()
}

#[test]
fn every_row_is_reached_whatever_the_points() {
    for (name, set) in adversarial() {
        let entries = set.entries();
        for degree in [1, 2, 4, 16] {
            for alpha in [1.0, 1.2] {
                for entries in [&entries[..1], &entries] {
                    let params = BuildParams { ef: 32, alpha, ..params(degree) };
                    let edges = set.build(entries, params);
                    let what = format!("{name}, alpha {alpha}");
                    check_graph(&edges, degree, set.rows(), entries, &what);
                }
            }
        }
    }
}

#[test]
fn every_row_finds_itself_at_full_effort() {
    for (name, set) in adversarial() {
        let (entries, rows) = (set.entries(), set.rows());
        let edges = set.build(&entries, params(16));
        for row in (0..rows as u32).step_by(rows / 40) {
            let found = set.search(&edges, 16, &entries, set.row(row), rows);
            assert_eq!(found.len(), rows, "{name}: all rows are found");
            assert!(found.contains(&row), "{name}: row {row}");
        }
    }
}

#[test]
fn few_rows() {
    for rows in 0..12 {
        let set = Set::new(Random(3).clustered(rows, 4, 2), 4);
        for degree in [1, 2, 4, 32] {
            let entries: Vec<u32> = (0..rows.min(1) as u32).collect();
            check_graph(&set.build(&entries, params(degree)), degree, rows, &entries, "few");
            check_graph(&set.build(&[], params(degree)), degree, rows, &[], "no entries");
            // Entries that are no rows are passed over.
            check_graph(
                &set.build(&[77, u32::MAX], params(degree)),
                degree,
                rows,
                &[],
                "no entries",
            );
        }
        let clusters = set.cluster(rows / 3, 2, 1);
        assert_eq!(clusters.order.len(), rows);
    }
}

#[test]
fn parameters_at_their_ends() {
    let set = Set::new(Random(4).clustered(300, 16, 5), 16);
    let entries = set.entries();
    let usual = params(8);
    for params in [
        BuildParams { degree: 0, ..usual },
        BuildParams { ef: 0, ..usual },
        BuildParams { ef: 1, ..usual },
        BuildParams { ef: 1000, degree: 400, ..usual },
        BuildParams { passes: 0, ..usual },
        BuildParams { passes: 4, ..usual },
        BuildParams { alpha: f32::INFINITY, ..usual },
    ] {
        let edges = set.build(&entries, params);
        check_graph(&edges, params.degree.max(1), set.rows(), &entries, "");
    }
}

/// Work in another order than it comes, on as many threads.
pub(crate) struct Backwards(pub(crate) usize);

impl Parallel for Backwards {
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        Threads(self.0).run(tasks, &|number| task(tasks - 1 - number));
    }

    fn threads(&self) -> usize {
        self.0
    }
}

#[test]
fn threads_and_levels_make_no_difference() {
    let set = Set::new(Random(5).clustered(3000, 24, 20), 24);
    let entries = set.entries();
    let expected = set.build(&entries, params(16));
    let first = set.cluster(40, 2, 5);
    let users: [&dyn Parallel; 5] = [&Serial, &Threads(0), &Threads(2), &Threads(5), &Backwards(3)];
    for kernels in Level::ALL.into_iter().filter_map(|level| Kernels::new(level).ok()) {
        for (number, parallel) in users.into_iter().enumerate() {
            let built =
                build(kernels, set.points(), &entries, params(16), None, parallel, |_| true);
            let what = format!("{kernels:?}, {number}");
            assert!(built.unwrap().edges == expected, "edges differ: {what}");
            let how = ClusterParams { clusters: 40, rounds: 2, seed: 5 };
            let clusters = cluster(kernels, set.points(), how, parallel, &|| true).unwrap();
            assert_eq!(clusters.order, first.order, "{what}");
            assert_eq!(clusters.starts, first.starts, "{what}");
            assert_eq!(clusters.nearest, first.nearest, "{what}");
            assert_eq!(clusters.centres.cells, first.centres.cells, "{what}");
            assert_eq!(clusters.centres.factors, first.centres.factors, "{what}");
        }
    }
    let other = set.build(&entries, BuildParams { seed: 10, ..params(16) });
    assert!(other != expected, "the seed makes a difference");
}

proptest! {
    /// Points on a coarse grid: many are equal, many are equally far.
    #[test]
    fn any_graph_keeps_its_form(
        (dim, values) in (1..6_usize).prop_flat_map(|dim| {
            let rows = proptest::collection::vec(proptest::collection::vec(0..4_u8, dim), 0..120);
            (Just(dim), rows)
        }),
        degree in 1..9_usize,
        ef in 1..40_usize,
        alpha in 1.0..1.5_f32,
        passes in 1..4_usize,
        seed: u64,
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
    ) {
        let vectors = values.concat().into_iter().map(f32::from).collect();
        let set = Set::new(vectors, dim);
        let rows = set.rows();
        let entries: Vec<u32> =
            picks.iter().filter(|_| rows > 0).map(|pick| pick.index(rows) as u32).collect();
        let edges = set.build(&entries, BuildParams { degree, ef, alpha, passes, seed });
        check_graph(&edges, degree, rows, &entries, "");
    }
}
