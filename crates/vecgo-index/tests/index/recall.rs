//! What a walk finds, against brute force.

#![allow(clippy::cast_possible_truncation, reason = "few rows")]

use crate::points::{Random, Set, params};
use vecgo_index::{BuildParams, NO_EDGE};

/// Mean share of the true ten nearest among those a walk finds and exact distances choose from.
pub(crate) fn recall(
    set: &Set,
    edges: &[u32],
    degree: usize,
    entries: &[u32],
    queries: &[f32],
) -> f64 {
    let mut hits = 0;
    for query in queries.chunks_exact(set.dim) {
        let truth = set.nearest(query, 0..set.rows() as u32, 10);
        let found = set.search(edges, degree, entries, query, 64);
        let found = set.nearest(query, found, 10);
        hits += found.iter().filter(|row| truth.contains(row)).count();
    }
    hits as f64 / (queries.len() / set.dim * 10) as f64
}

#[test]
fn nearest_rows_are_found() {
    for (dim, rows) in [(2, 4000), (16, 8000), (48, 8000), (112, 6000), (200, 4000)] {
        let mut random = Random(dim as u64);
        let mut vectors = random.clustered(rows + 200, dim, 50);
        let queries = vectors.split_off(rows * dim);
        let set = Set::new(vectors, dim);
        let entries = set.entries();
        let params = BuildParams { ef: 100, ..params(24) };
        let edges = set.build(&entries, params);
        let recall = recall(&set, &edges, 24, &entries, &queries);
        assert!(recall >= 0.95, "recall {recall} at {dim} dimensions");
    }
}

/// A crowd of equal rows hides nothing: neither the rows around it nor those far away, not even
/// from a search that starts among them.
#[test]
fn rows_beside_many_equal_ones_are_found() {
    let dim = 16;
    let mut random = Random(11);
    let mut vectors = random.clustered(4200, dim, 30);
    let queries = vectors.split_off(4000 * dim);
    let crowd = vectors[..dim].to_vec();
    vectors.extend(crowd.repeat(2000));
    let set = Set::new(vectors, dim);
    for (alpha, entries) in [(1.0, set.entries()), (1.05, set.entries()), (1.0, vec![5000])] {
        let edges = set.build(&entries, BuildParams { alpha, ..params(24) });
        let mut hits = 0;
        for query in queries.chunks_exact(dim) {
            // Equal rows are as good as each other.
            let of = |rows: Vec<u32>| rows.into_iter().map(|row| set.distance(query, row));
            let truth: Vec<f64> = of(set.nearest(query, 0..set.rows() as u32, 10)).collect();
            let found = set.search(&edges, 24, &entries, query, 64);
            let found = of(set.nearest(query, found, 10));
            hits += found.filter(|distance| *distance <= truth[9]).count();
        }
        assert!(hits >= 1900, "{hits} of 2000, alpha {alpha}, {} entries", entries.len());
    }
}

#[test]
fn clusters_hold_rows_that_are_near_each_other() {
    let [usual, nearest] = [0, 3].map(spread_within);
    assert!(nearest < usual && usual < 0.5, "{nearest} and {usual} of what it is across all");
}

/// How far rows of a cluster are from the one nearest to its centre, as a part of how far others are.
fn spread_within(rounds: usize) -> f64 {
    let (dim, rows) = (16, 6000);
    let set = Set::new(Random(13).clustered(rows, dim, 20), dim);
    let clusters = set.cluster(24, rounds, 3);
    let mut order = clusters.order.clone();
    order.sort_unstable();
    assert!(order.into_iter().eq(0..rows as u32), "each row once");
    assert_eq!(clusters.starts.first(), Some(&0));
    assert!(clusters.starts.is_sorted_by(|a, b| a < b), "none is empty");
    assert_eq!(clusters.nearest.len(), clusters.starts.len());
    let ends = clusters.starts.iter().skip(1).copied().chain([rows as u32]);
    let (mut within, mut across) = (0.0, 0.0);
    let mut random = Random(17);
    for ((start, end), centre) in clusters.starts.iter().zip(ends).zip(&clusters.nearest) {
        assert!((*start..end).contains(centre), "centre {centre} in {start}..{end}");
        let centre = set.row(clusters.order[*centre as usize]);
        for place in *start..end {
            within += set.distance(centre, clusters.order[place as usize]);
            across += set.distance(centre, random.below(rows) as u32);
        }
    }
    within / across
}

/// No row has more than its places, and on average a row uses a good part of them.
#[test]
fn degrees() {
    let set = Set::new(Random(19).clustered(3000, 32, 30), 32);
    let edges = set.build(&set.entries(), params(24));
    let used = edges.iter().filter(|to| **to != NO_EDGE).count();
    assert!(used > 3000 * 6, "{used} edges");
}
