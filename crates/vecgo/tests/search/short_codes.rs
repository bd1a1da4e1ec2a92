//! Searches among rows that no graph leads to, which go by short codes once there are a thousand
//! of them: they find what brute force finds.

use std::collections::BTreeSet;

use crate::fixture::{Fixture, clustered, combinations, ids, noise, round};
use vecgo::{Id, Metric, Quantization};

/// Each search encodes a thousand rows more, so that the same one is answered by vectors, by both,
/// and by codes.
fn all_is_found(docs: &Fixture, queries: &[Vec<f32>]) {
    for query in queries {
        for k in [1, 10, 30] {
            docs.is_exact(query, k, &docs.search(query, k));
        }
    }
    let batch = docs.docs.search_batch(queries).k(10).wait().unwrap();
    for (query, hits) in queries.iter().zip(batch) {
        docs.is_exact(query, 10, &hits);
    }
    docs.is_exact(&queries[0], docs.model.len(), &docs.search(&queries[0], 10_000));
}

#[test]
fn all_is_found_in_memory_and_in_a_segment_without_a_graph() {
    for (place, (metric, quantization)) in combinations().enumerate() {
        let dim = [64, 100, 128][place % 3];
        let rows = clustered(1, 7000, dim);
        let queries = clustered(2, 6, dim);
        let mut docs = Fixture::new(dim, metric, quantization);
        docs.put(0, &rows[..5000]);
        all_is_found(&docs, &queries);
        docs.put(5000, &rows[5000..]);
        docs.delete(ids(0..7000).step_by(9));
        docs.put(3000, &clustered(3, 500, dim));
        all_is_found(&docs, &queries);
        docs.reopen();
        all_is_found(&docs, &queries);
        docs.docs.flush().wait().unwrap();
        docs.put(6000, &clustered(4, 1500, dim));
        docs.delete(ids(0..7000).step_by(7));
        all_is_found(&docs, &queries);
    }
}

/// Codes tell nothing of some of these rows, and little of others.
#[test]
fn rows_far_from_all_others_are_found() {
    for metric in [Metric::L2, Metric::Dot, Metric::Cosine] {
        for dim in [64, 130] {
            let mut rows = clustered(1, 3000, dim);
            let mut random = noise(8);
            for (row, far) in
                (0..40).zip([1024.0, 4_194_304.0, 1.4e17, 1.0 / 1024.0].into_iter().cycle())
            {
                rows[row * 70].iter_mut().for_each(|value| *value = far * round(random()) + far);
            }
            rows[1].fill(0.0);
            if metric == Metric::Cosine {
                rows.retain(|row| row.iter().any(|value| *value != 0.0));
            }
            let queries = [rows[0].clone(), rows[70].clone(), rows[140].clone(), rows[2].clone()];
            let mut docs = Fixture::new(dim, metric, Quantization::RaBitQ { bits: 8 });
            docs.put(0, &rows);
            for query in &queries {
                for round in 0..4 {
                    let hits = docs.search(query, 5);
                    docs.is_exact(query, 5, &hits);
                    if metric == Metric::L2 {
                        assert_eq!(hits[0].distance, 0.0, "{dim}, search {round}");
                    }
                }
            }
        }
    }
}

/// One coordinate is so large that to turn a vector rounds by more than rows are apart.
#[test]
fn rows_far_from_the_origin_are_found() {
    for metric in [Metric::L2, Metric::Dot, Metric::Cosine] {
        for far in [1e6, 2e7, 1e8] {
            let mut rows = clustered(1, 3000, 128);
            let mut queries = clustered(2, 10, 128);
            rows.iter_mut().chain(&mut queries).for_each(|row| row[5] = far);
            let mut docs = Fixture::new(128, metric, Quantization::RaBitQ { bits: 8 });
            docs.put(0, &rows);
            for query in queries.iter().cycle().take(20) {
                docs.is_exact(query, 10, &docs.search(query, 10));
            }
        }
    }
}

/// A row and the one that it replaced are near the query, and no search sees both, whoever encoded them.
#[test]
fn searches_while_rows_are_replaced() {
    let query = clustered(2, 1, 64).remove(0);
    let mut random = noise(3);
    let mut near = |rows: usize| -> Vec<Vec<f32>> {
        let row = |_| query.iter().map(|value| round(value + 0.1 * random())).collect();
        (0..rows).map(row).collect()
    };
    let mut docs = Fixture::new(64, Metric::L2, Quantization::RaBitQ { bits: 8 });
    docs.put(0, &near(1000));
    let replacements: Vec<_> = (0..40).map(|_| near(250)).collect();
    std::thread::scope(|threads| {
        for _ in 0..3 {
            let (collection, query) = (docs.docs.clone(), &query);
            threads.spawn(move || {
                for _ in 0..300 {
                    let hits = collection.search(query).k(30).wait().unwrap();
                    let ids: BTreeSet<&Id> = hits.iter().map(|hit| &hit.id).collect();
                    assert_eq!(ids.len(), 30, "{hits:?}");
                }
            });
        }
        for rows in &replacements {
            docs.put(0, rows);
        }
    });
    docs.is_exact(&query, 30, &docs.search(&query, 30));
}
