//! Every code under every index and metric, through all that happens to a collection.

use vecgo::{Config, Index, Metric, Quantization};

use crate::fixture::{Fixture, clustered, ids};

fn quantizations(dim: usize) -> Vec<Quantization> {
    let bits = (1..=8).map(|bits| Quantization::RaBitQ { bits });
    let parts = [1, dim / 5, dim].map(|parts| Quantization::Pq { parts: parts as u16 });
    [Quantization::None, Quantization::Sq8].into_iter().chain(bits).chain(parts).collect()
}

/// Written, opened again, deleted from, added to and merged.
#[test]
fn every_code_with_every_index_and_metric() {
    const ROWS: usize = 700;
    let (m, ef_construction) = (16, 60);
    let graph = Index::Graph { m, ef_construction };
    let disk = Index::Disk { m, ef_construction };
    for index in [graph, disk, Index::ivf()] {
        // With room for factors in rows of codes, and without.
        for (dim, metric) in [(40, Metric::L2), (30, Metric::Dot), (128, Metric::Cosine)] {
            for quantization in quantizations(dim) {
                let config = Config::new(dim, metric).with_index(index);
                let config = config.with_quantization(quantization);
                if config.check().is_err() {
                    assert_eq!((index, quantization), (disk, Quantization::None));
                    continue;
                }
                goes_through_all(config, ROWS);
            }
        }
    }
}

fn goes_through_all(config: Config, rows: usize) {
    let (dim, queries) = (config.dim(), clustered(2, 12, config.dim()));
    // One byte of all tells apart at most as many rows as it has values.
    let one_byte = Quantization::Pq { parts: 1 };
    let least = if config.quantization() == one_byte { 0.7 } else { 0.95 };
    let mut docs = Fixture::with(config, &clustered(1, rows, dim));
    let finds = |docs: &Fixture, when: &str| {
        let recall = docs.usual_recall(&queries);
        assert!(recall >= least, "{}: recall {recall} {when}", docs.what());
        for query in &queries[..2] {
            docs.is_exact(query, 10, &docs.full(query, 10));
        }
    };
    finds(&docs, "at first");
    let before: Vec<_> = queries.iter().map(|query| docs.search(query, 10)).collect();
    docs.reopen();
    let after: Vec<_> = queries.iter().map(|query| docs.search(query, 10)).collect();
    assert_eq!(after, before, "{}: opened again", docs.what());
    docs.delete(ids(100..300));
    finds(&docs, "with dead rows");
    docs.put(5000, &clustered(3, 100, dim));
    docs.merge();
    finds(&docs, "merged");
    docs.delete(ids(0..5100));
    assert!(docs.search(&queries[0], 10).is_empty(), "{}", docs.what());
}

/// How far off estimates are goes with the lengths, however short or long those are: the products of two
/// squared lengths may leave the range of `f32`.
#[test]
fn as_much_is_found_at_any_scale() {
    let rows = clustered(1, 2500, 60);
    let queries = clustered(2, 30, 60);
    for quantization in [8, 1].map(|bits| Quantization::RaBitQ { bits }) {
        for scale in [-45, 0, 45].map(|power| 2.0f32.powi(power)) {
            let scaled = |of: &[Vec<f32>]| -> Vec<Vec<f32>> {
                of.iter().map(|row| row.iter().map(|value| value * scale).collect()).collect()
            };
            let docs = Fixture::of(Metric::L2, quantization, &scaled(&rows));
            let recall = docs.usual_recall(&scaled(&queries));
            assert!(recall >= 0.95, "{}: recall {recall} at {scale}", docs.what());
        }
    }
}
