//! Searches of which the vectors stay on the disk, held against brute force.

use vecgo::{Config, Index, Metric, Quantization};

use crate::fixture::{Fixture, clustered, combinations};

/// Nor does a search of all rows keep what it reads.
#[test]
fn vectors_of_a_disk_index_stay_where_they_are() {
    let dim = 128;
    let (rows, query) = (clustered(1, 3000, dim), clustered(2, 1, dim).remove(0));
    let vectors = (rows.len() * dim * 4) as u64;
    let resident = |index: Index| {
        let config = Config::new(dim, Metric::Cosine).with_index(index);
        let docs = Fixture::with(config, &rows);
        for _ in 0..2 {
            docs.check(&query, 10, &docs.search(&query, 10));
            docs.is_exact(&query, 10, &docs.docs.search(&query).k(10).exact().wait().unwrap());
        }
        let explained = docs.docs.search(clustered(3, 1, dim).remove(0)).explain().wait().unwrap();
        (docs.docs.stats().resident_bytes, explained.parts[0].reads)
    };
    let (held, reads) = resident(Index::graph());
    assert!(held > vectors && reads == 0, "{held} of {vectors} bytes, {reads} reads");
    let (held, reads) = resident(Index::disk());
    assert!(held < vectors / 2 && reads > 0, "{held} of {vectors} bytes, {reads} reads");
}

/// What is nearest by its codes is read first, and then only what may be nearer than that.
#[test]
fn little_is_read_that_is_not_found_and_as_much_is_found() {
    let dim = 100;
    let (rows, queries) = (clustered(1, 4000, dim), clustered(2, 40, dim));
    let searched = |index, metric, quantization| {
        let config = Config::new(dim, metric).with_index(index).with_quantization(quantization);
        let docs = Fixture::with(config, &rows);
        let scored = |query| docs.docs.search(query).explain().wait().unwrap().parts[0].scored;
        let scored: u64 = queries.iter().map(scored).sum();
        (docs.usual_recall(&queries), scored as f64 / queries.len() as f64)
    };
    for (metric, quantization) in combinations().filter(|(_, q)| *q != Quantization::None) {
        let Index::Disk { m, ef_construction } = Index::disk() else { unreachable!() };
        let graph = Index::Graph { m, ef_construction };
        let (in_memory, all) = searched(graph, metric, quantization);
        let (on_disk, read) = searched(Index::disk(), metric, quantization);
        let figures = format!("{metric} {quantization}: {on_disk} of {in_memory}, {read} of {all}");
        assert!(on_disk >= in_memory - 0.005, "{figures}");
        assert!((10.0..=all).contains(&read) && (all < 15.0 || read < all * 0.9), "{figures}");
    }
}
