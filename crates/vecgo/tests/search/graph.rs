//! Searches through graphs, held against brute force: how much they find, that distances are true,
//! that k live rows come back, and that what is deleted does not.

use std::collections::BTreeSet;

use crate::fixture::{Fixture, clustered, combinations, ids, noise, quantizations, round};
use vecgo::{Config, Id, MAX_CANDIDATES, Metric, Quantization, Record};

#[test]
fn more_effort_is_more_distances() {
    for (metric, quantization) in combinations() {
        let docs = Fixture::of(metric, quantization, &clustered(1, 3000, 100));
        let query = clustered(2, 1, 100).remove(0);
        let effort = |ef: usize| {
            let before = docs.docs.stats();
            docs.docs.search(&query).ef(ef).wait().unwrap();
            let after = docs.docs.stats();
            (after.estimates - before.estimates, after.hops - before.hops)
        };
        let (few, some, all) = (effort(10), effort(100), effort(MAX_CANDIDATES));
        assert!(few.0 < some.0 && some.0 < all.0, "{}: {few:?} {some:?} {all:?}", docs.what());
        assert!(0 < few.1 && few.1 < some.1 && some.1 < all.1, "{}: {few:?} {some:?}", docs.what());
        assert!(all.1 == 3000 && docs.docs.stats().graph_build.is_none(), "{all:?}");
    }
}

#[test]
fn the_same_rows_make_the_same_graph() {
    let rows = clustered(1, 1500, 100);
    let queries = clustered(2, 20, 100);
    for quantization in quantizations() {
        let answers = || {
            let docs = Fixture::of(Metric::Cosine, quantization, &rows);
            docs.docs.search_batch(&queries).k(10).ef(12).wait().unwrap()
        };
        assert_eq!(answers(), answers(), "{quantization}");
    }
}

/// Whole neighbourhoods among them: the nearest of every query.
#[test]
fn k_rows_are_found_among_many_dead_ones() {
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 2000, 100);
        let mut docs = Fixture::of(metric, quantization, &rows);
        let queries = clustered(2, 5, 100);
        docs.delete(ids(0..2000).filter(|id| {
            let Id::Number(n) = id else { return false };
            // One row of each of four clusters of the forty is left.
            !(n % 40 < 4 && n % 80 < 40 || *n == 1999)
        }));
        let left = docs.model.len();
        assert_eq!(left, 101);
        for state in ["before a flush", "flushed", "merged", "opened again"] {
            match state {
                "flushed" => drop(docs.docs.flush().wait().unwrap()),
                "merged" => docs.merge(),
                "opened again" => docs.reopen(),
                _ => {}
            }
            for query in &queries {
                for k in [1, 10, left - 1, left, left + 1] {
                    docs.check(query, k, &docs.search(query, k));
                    docs.is_exact(query, k, &docs.full(query, k));
                }
            }
        }
        docs.delete(docs.model.clone().into_keys());
        assert_eq!(docs.search(&queries[0], 10), [], "{}", docs.what());
    }
}

#[test]
fn deleted_and_replaced_rows_are_not_found() {
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 1500, 100);
        let mut docs = Fixture::of(metric, quantization, &rows);
        docs.delete(ids(0..100));
        let elsewhere = clustered(9, 100, 100);
        docs.put(100, &elsewhere);
        for state in ["at once", "flushed", "opened again", "merged", "opened once more"] {
            match state {
                "flushed" => drop(docs.docs.flush().wait().unwrap()),
                "merged" => docs.merge(),
                "at once" => {}
                _ => docs.reopen(),
            }
            // Each is the nearest of its own vector, where it was.
            for row in rows[..200].iter().step_by(7) {
                docs.check(row, 10, &docs.search(row, 10));
                docs.is_exact(row, 10, &docs.full(row, 10));
            }
            for (n, row) in elsewhere.iter().enumerate().step_by(7) {
                if metric != Metric::Dot {
                    let found = &docs.search(row, 1)[0].id;
                    assert_eq!(found, &Id::from(100 + n as u64), "{} {state}", docs.what());
                }
            }
        }
    }
}

#[test]
fn dead_rows_cost_no_recall() {
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 2500, 100);
        let queries = clustered(2, 60, 100);
        let mut docs = Fixture::of(metric, quantization, &rows);
        docs.delete(ids(0..2500).step_by(5));
        let with_dead = docs.usual_recall(&queries);
        docs.merge();
        let without = docs.usual_recall(&queries);
        assert!(with_dead >= without - 0.005, "{}: {with_dead}, {without}", docs.what());
    }
}

/// Next to the lengths of the vectors the rows of a cluster are near each other, so that codes hardly
/// tell them apart.
#[test]
fn rows_in_tight_clusters_are_found() {
    for (metric, quantization) in combinations().filter(|(metric, _)| *metric != Metric::Dot) {
        let centres = clustered(6, 40, 100);
        let mut random = noise(7);
        let mut near = |rows: usize| -> Vec<Vec<f32>> {
            let centres = centres.iter().cycle().take(rows);
            centres.map(|row| row.iter().map(|x| round(x + 0.15 * random())).collect()).collect()
        };
        let docs = Fixture::of(metric, quantization, &near(4000));
        let recall = docs.usual_recall(&near(60));
        assert!(recall >= 0.97, "{}: recall {recall}", docs.what());
    }
}

/// Few rows that are in no graph are scanned by their vectors, many by codes.
#[test]
fn rows_are_found_wherever_they_are() {
    let few_and_many = [(800, 900, 1000), (1500, 3000, 5000)];
    for (at, (metric, quantization)) in few_and_many
        .into_iter()
        .flat_map(|at| combinations().map(move |combination| (at, combination)))
    {
        let (graph, flat, all) = at;
        let rows = clustered(1, all, 100);
        let mut docs = Fixture::of(metric, quantization, &rows[..graph]);
        docs.put(graph as u64, &rows[graph..flat]);
        docs.docs.flush().wait().unwrap();
        docs.put(flat as u64, &rows[flat..]);
        let queries = clustered(2, 30, 100);
        let segments = docs.docs.stats().segments;
        assert_eq!(segments.len(), 2, "a graph, a flat one, and a memtable");
        let recall = docs.usual_recall(&queries);
        assert!(recall >= 0.95, "{}: recall {recall}", docs.what());
        for query in &queries {
            docs.is_exact(query, 20, &docs.full(query, 20));
            docs.is_exact(query, 20, &docs.docs.search(query).k(20).exact().wait().unwrap());
        }
        if metric != Metric::Dot {
            for (n, row) in rows.iter().enumerate().skip(graph).step_by(9) {
                assert_eq!(docs.search(row, 1)[0].id, Id::from(n as u64), "{}", docs.what());
            }
        }
    }
}

#[test]
fn queries_unlike_the_rows_find_theirs_with_more_effort() {
    for (metric, quantization) in combinations() {
        let docs = Fixture::of(metric, quantization, &clustered(1, 3000, 100));
        let mut random = noise(77);
        let queries: Vec<Vec<f32>> =
            (0..30).map(|_| (0..100).map(|_| round(3.0 * random())).collect()).collect();
        let recall = docs.recall(&queries, 10, |query, k| {
            let search = docs.docs.search(query).k(k).ef(1000);
            let search = match quantization {
                Quantization::None => search,
                _ => search.rerank(200),
            };
            search.wait().unwrap()
        });
        assert!(recall >= 0.99, "{}: recall {recall}", docs.what());
    }
}

#[test]
fn equal_rows_are_all_found() {
    for (metric, quantization) in combinations() {
        let mut rows = clustered(1, 2500, 100);
        let same = rows[3].clone();
        rows[300..2300].fill(same.clone());
        let docs = Fixture::of(metric, quantization, &rows);
        let hits = docs.full(&same, 2001);
        docs.is_exact(&same, 2001, &hits);
        docs.is_exact(&same, 2500, &docs.full(&same, 2500));
        if metric != Metric::Dot {
            let found: BTreeSet<Id> = hits.into_iter().map(|hit| hit.id).collect();
            assert_eq!(found, ids(300..2300).chain(ids(3..4)).collect(), "{}", docs.what());
        }
        for query in clustered(2, 5, 100) {
            docs.is_exact(&query, 400, &docs.full(&query, 400));
        }
    }
}

#[test]
fn nothing_but_equal_rows() {
    for (metric, quantization) in combinations() {
        let row = clustered(1, 1, 100).remove(0);
        let docs = Fixture::of(metric, quantization, &vec![row.clone(); 700]);
        for query in [row, clustered(2, 1, 100).remove(0)] {
            for k in [1, 10, 699, 700, 701] {
                docs.is_exact(&query, k, &docs.search(&query, k));
                docs.is_exact(&query, k, &docs.full(&query, k));
            }
        }
    }
}

#[test]
fn about_as_many_rows_as_are_worth_a_graph() {
    for rows in [1, 199, 200, 201] {
        for (metric, quantization) in combinations() {
            let mut docs = Fixture::of(metric, quantization, &clustered(1, rows, 20));
            for query in clustered(2, 5, 20) {
                docs.check(&query, 10, &docs.search(&query, 10));
                docs.is_exact(&query, 10, &docs.full(&query, 10));
                docs.is_exact(&query, rows, &docs.full(&query, rows));
            }
            docs.reopen();
            let query = clustered(2, 1, 20).remove(0);
            docs.is_exact(&query, rows + 1, &docs.full(&query, rows + 1));
        }
    }
}

#[test]
fn a_graph_of_one_row() {
    for (metric, quantization) in combinations() {
        let dir = tempfile::tempdir().unwrap();
        let db = vecgo::open(dir.path()).auto_compact(false).index_rows(1).wait().unwrap();
        let config = Config::new(3, metric).with_quantization(quantization);
        let docs = db.open_or_create("docs", config).wait().unwrap();
        for rows in 1..6u64 {
            docs.upsert([Record::new(rows, [1.0, rows as f32, 3.0])]).wait().unwrap();
            docs.flush().wait().unwrap();
            docs.compact().wait().unwrap();
            let hits = docs.search([1.0, 1.0, 3.0]).wait().unwrap();
            let found: BTreeSet<Id> = hits.into_iter().map(|hit| hit.id).collect();
            assert_eq!(found, ids(1..rows + 1).collect(), "{metric} {quantization}");
        }
    }
}

#[test]
fn text_ids() {
    for quantization in quantizations() {
        let rows = clustered(1, 900, 100);
        let mut docs = Fixture::new(100, Metric::Cosine, quantization);
        let id = |n: usize| match n % 3 {
            0 => Id::from(n as u64),
            _ => Id::from(format!("{}-{n}", "text".repeat(n % 5))),
        };
        docs.put_as(rows.iter().enumerate().map(|(n, row)| (id(n), row)));
        docs.merge();
        for (n, row) in rows.iter().enumerate().step_by(11) {
            assert_eq!(docs.search(row, 1)[0].id, id(n), "{quantization}");
            docs.check(row, 10, &docs.search(row, 10));
            let record = docs.docs.get(id(n)).wait().unwrap().unwrap();
            assert_eq!(record.vector, *row, "{quantization}");
        }
    }
}

/// Codes hold the coordinates of a long vector and of a short one to the same part of its length,
/// so between lengths that are far apart more has to be scored again.
#[test]
fn vectors_of_very_different_lengths() {
    for metric in [Metric::Dot, Metric::L2] {
        for (quantization, lengths) in quantizations().into_iter().flat_map(|q| [(q, 7), (q, 11)]) {
            let mut rows = clustered(1, 2000, 100);
            for (n, row) in rows.iter_mut().enumerate() {
                let scale = f32::from(1u16 << (n % lengths));
                row.iter_mut().for_each(|value| *value *= scale / 32.0);
            }
            let docs = Fixture::of(metric, quantization, &rows);
            let queries = clustered(2, 30, 100);
            let recall = match (lengths, quantization) {
                (11, Quantization::RaBitQ { .. }) => docs.recall(&queries, 10, |query, k| {
                    docs.docs.search(query).k(k).ef(1000).rerank(200).wait().unwrap()
                }),
                _ => docs.usual_recall(&queries),
            };
            assert!(recall >= 0.95, "{} {lengths}: recall {recall}", docs.what());
            for query in &queries[..5] {
                docs.is_exact(query, 50, &docs.full(query, 50));
            }
        }
    }
}
