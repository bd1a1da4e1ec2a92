//! Searches through clusters, held against brute force.

use std::num::NonZeroU32;

use crate::fixture::{Fixture, clustered, combinations, ids};
use vecgo::{Config, Index, MAX_CLUSTERS, Metric, Plan, Quantization};

const DIM: usize = 24;

fn config(metric: Metric, quantization: Quantization) -> Config {
    Config::new(DIM, metric).with_index(Index::ivf()).with_quantization(quantization)
}

#[test]
fn as_many_clusters_as_are_asked_for() {
    for (asked, most) in [(1, 1), (20, 20), (MAX_CLUSTERS, 3000 / 16 + 1)] {
        let index = Index::Ivf { n_clusters: NonZeroU32::new(asked) };
        let mut docs =
            Fixture::with(Config::new(DIM, Metric::L2).with_index(index), &clustered(1, 3000, DIM));
        let collection = docs.docs.clone();
        let searched = |clusters: usize| {
            let search = collection.search(clustered(2, 1, DIM).remove(0)).nprobe(clusters);
            let explained = search.explain().wait().unwrap();
            assert_eq!(explained.parts[0].plan, Plan::Clusters);
            (explained.parts[0].clusters, explained.parts[0].estimated)
        };
        let all = searched(MAX_CLUSTERS as usize);
        assert!((most / 2..=most).contains(&all.0), "{} of {asked} clusters", all.0);
        assert_eq!(all.1, 3000 + all.0, "each row and each centre");
        let one = searched(1);
        assert_eq!(one.0, 1);
        assert!(asked == 1 || one.1 < all.1 / 2, "{one:?} of {all:?}");
        docs.delete(ids(7..8));
        assert_eq!(searched(1).0, 1, "a dead row is no reason for more");
    }
}

/// Whole neighbourhoods among them.
#[test]
fn k_rows_are_found_where_clusters_are_dead() {
    for (metric, quantization) in combinations() {
        let rows = clustered(1, 4000, DIM);
        let mut docs = Fixture::with(config(metric, quantization), &rows);
        docs.delete(ids(0..3900));
        for state in ["deleted", "opened again", "merged"] {
            match state {
                "opened again" => docs.reopen(),
                "merged" => docs.merge(),
                _ => {}
            }
            for query in clustered(2, 5, DIM) {
                for k in [10, 99, 100, 200] {
                    docs.check(&query, k, &docs.search(&query, k));
                    let least = docs.docs.search(&query).k(k).nprobe(1).wait().unwrap();
                    docs.check(&query, k, &least);
                }
                docs.is_exact(&query, 10, &docs.full(&query, 10));
            }
        }
    }
}

/// Queries that go through clusters together find what each finds by itself, whichever of them is near
/// to which cluster, and where some do not find enough.
#[test]
fn a_batch_finds_what_each_query_finds() {
    let pq = (Metric::L2, Quantization::Pq { parts: 6 });
    for (metric, quantization) in combinations().step_by(3).chain([pq]) {
        let mut docs = Fixture::with(config(metric, quantization), &clustered(1, 4000, DIM));
        let queries = clustered(2, 600, DIM);
        for state in ["all live", "some are dead", "most are dead"] {
            match state {
                "some are dead" => docs.delete(ids(0..400)),
                "most are dead" => docs.delete(ids(400..3900)),
                _ => {}
            }
            for (nprobe, k) in [(1, 10), (9, 30), (40, 10)] {
                let one =
                    |query: &Vec<f32>| docs.docs.search(query).k(k).nprobe(nprobe).wait().unwrap();
                let one: Vec<_> = queries.iter().map(one).collect();
                let batch = docs.docs.search_batch(&queries).k(k).nprobe(nprobe).wait().unwrap();
                assert_eq!(batch, one, "{}: {state}, {nprobe} clusters", docs.what());
            }
        }
    }
}

/// Level after level, with rows that come, go and are replaced.
#[test]
fn rows_are_found_merge_after_merge() {
    let quantization = Quantization::RaBitQ { bits: 8 };
    let mut docs = Fixture::with(config(Metric::Cosine, quantization), &clustered(1, 2000, DIM));
    for round in 0..4u64 {
        let new = clustered(10 + round, 700, DIM);
        docs.put(500 * round, &new);
        docs.delete(ids(300 * round..300 * round + 100));
        let queries = clustered(20 + round, 20, DIM);
        for merged in [false, true] {
            if merged {
                docs.merge();
            }
            let recall = docs.usual_recall(&queries);
            assert!(recall >= 0.95, "round {round}, merged {merged}: recall {recall}");
            docs.is_exact(&queries[0], 20, &docs.full(&queries[0], 20));
        }
    }
}
