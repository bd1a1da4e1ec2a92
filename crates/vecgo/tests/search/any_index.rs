//! What is true of searches through whatever index, held against brute force.

use serde_json::json;
use vecgo::filter::{Filter, lt};
use vecgo::{Config, Id, Index, Metric, Quantization, Record};

use crate::fixture::{Fixture, clustered, combinations, ids};

fn configs(dim: usize) -> impl Iterator<Item = Config> {
    let indexes = [Index::graph(), Index::ivf(), Index::disk()];
    let of = move |(metric, quantization): (Metric, Quantization)| {
        let config =
            |index| Config::new(dim, metric).with_index(index).with_quantization(quantization);
        indexes.map(config).into_iter().filter(|config| config.check().is_ok())
    };
    combinations().flat_map(of)
}

#[test]
fn most_is_found_at_once_and_all_at_full_effort() {
    for (place, config) in
        configs(100).chain(configs(24)).enumerate().filter(|(n, _)| n % 3 != 1 || *n > 20)
    {
        let (rows, dim) = (if place % 2 == 0 { 2000 } else { 3000 }, config.dim());
        let mut docs = Fixture::with(config, &clustered(1, rows, dim));
        let queries = clustered(2, 30, dim);
        let recall = docs.usual_recall(&queries);
        assert!(recall >= 0.95, "{}: recall {recall}", docs.what());
        for query in &queries[..6] {
            for k in [1, 10, 300] {
                docs.is_exact(query, k, &docs.full(query, k));
                docs.is_exact(query, k, &docs.docs.search(query).k(k).exact().wait().unwrap());
            }
        }
        for k in [rows, rows + 2000] {
            docs.is_exact(&queries[0], k, &docs.search(&queries[0], k));
        }
        let one: Vec<_> = queries.iter().map(|query| docs.search(query, 10)).collect();
        assert_eq!(docs.docs.search_batch(&queries).k(10).wait().unwrap(), one, "a batch");
        docs.reopen();
        assert_eq!(docs.docs.search_batch(&queries).k(10).wait().unwrap(), one, "opened again");
    }
}

/// Dead rows at no distance from the query: nothing is as near by any factor.
#[test]
fn rows_are_found_behind_dead_ones_like_the_query() {
    for config in configs(100) {
        let mut rows = clustered(1, 1500, 100);
        let like = rows[5].clone();
        let mut docs = Fixture::with(config, &rows);
        docs.delete(ids(5..6));
        for k in [1, 10] {
            docs.check(&like, k, &docs.search(&like, k));
            docs.is_exact(&like, k, &docs.full(&like, k));
        }
        rows.truncate(50);
        rows.resize(750, like.clone());
        let mut docs = Fixture::with(config, &rows);
        docs.delete(ids(50..740));
        for k in [1, 10, 11, 60, 70] {
            docs.check(&like, k, &docs.search(&like, k));
            docs.is_exact(&like, k, &docs.full(&like, k));
        }
    }
}

/// With a number by which filters choose, and rows that are dead.
#[test]
fn what_matches_is_found() {
    const ROWS: u64 = 3000;
    for config in configs(24) {
        let mut docs = Fixture::with(config, &[]);
        let rows = clustered(1, ROWS as usize, 24);
        let record =
            |(n, row): (u64, &Vec<f32>)| Record::new(n, row.clone()).metadata(json!({"n": n}));
        docs.docs.upsert((0..).zip(&rows).map(record)).wait().unwrap();
        docs.merge();
        // Some of each share, and of what is chosen the first ones.
        let dead = |n: &u64| n.is_multiple_of(7) || *n < 20;
        docs.docs.delete((0..ROWS).filter(dead).map(Id::from)).wait().unwrap();
        for most in [40, 300, 1500, ROWS] {
            // The fixture's model is what the filter leaves.
            let lives = (0..most).filter(|n| !dead(n));
            docs.model = lives.map(|n| (Id::from(n), rows[n as usize].clone())).collect();
            let (queries, filter) = (clustered(2, 20, 24), || -> Filter { lt("n", most) });
            let filtered = |query: &[f32], k: usize| {
                docs.docs.search(query).k(k).filter(filter()).wait().unwrap()
            };
            let recall = docs.recall(&queries, 10, filtered);
            assert!(recall >= 0.95, "{}: {most} match, recall {recall}", docs.what());
            let one: Vec<_> = queries.iter().map(|query| filtered(query, 10)).collect();
            let batch = docs.docs.search_batch(&queries).k(10).filter(filter()).wait().unwrap();
            assert_eq!(batch, one, "{}: {most} match, a batch", docs.what());
            for k in [1, 10, 300] {
                let search = docs.all_effort(docs.docs.search(&queries[0]).k(k));
                let hits = search.filter(filter()).wait().unwrap();
                docs.is_exact(&queries[0], k, &hits);
            }
        }
    }
}
