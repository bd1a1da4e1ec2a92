//! Searches of which the vectors stay on the disk, held against brute force.

use vecgo::{Config, Index, Metric, Quantization};

use crate::fixture::{Fixture, METRICS, clustered, combinations, noise, round};

/// A search of all rows does not keep what it reads, either.
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
    // More in one call than are searched for at a time by each of two cores.
    let (rows, queries) = (clustered(1, 4000, dim), clustered(2, 70, dim));
    let searched = |index, metric, quantization| {
        let config = Config::new(dim, metric).with_index(index).with_quantization(quantization);
        let docs = Fixture::with(config, &rows);
        let scored = |query| docs.docs.search(query).explain().wait().unwrap().parts[0].scored;
        let scored: u64 = queries.iter().map(scored).sum();
        let one: Vec<_> = queries.iter().map(|query| docs.search(query, 10)).collect();
        let batch = docs.docs.search_batch(&queries).k(10).wait().unwrap();
        assert_eq!(batch, one, "{}", docs.what());
        (docs.usual_recall(&queries), scored as f64 / queries.len() as f64)
    };
    let few_bits = METRICS.map(|metric| (metric, Quantization::RaBitQ { bits: 2 }));
    for (metric, quantization) in combinations().chain(few_bits) {
        if quantization == Quantization::None {
            continue;
        }
        let Index::Disk { m, ef_construction } = Index::disk() else { unreachable!() };
        let graph = Index::Graph { m, ef_construction };
        let (in_memory, all) = searched(graph, metric, quantization);
        let (on_disk, read) = searched(Index::disk(), metric, quantization);
        let figures = format!("{metric} {quantization}: {on_disk} of {in_memory}, {read} of {all}");
        assert!(on_disk >= in_memory - 0.005, "{figures}");
        // By eight bits hardly any is looked at in any case, by two hardly any is known to be farther.
        let is_of_four = quantization == Quantization::RaBitQ { bits: 4 };
        let few = if is_of_four { all * 0.8 } else { all };
        assert!((10.0..=few).contains(&read), "{figures}");
    }
}

/// Rows like one another are as near as those that were scored, whatever their codes say.
#[test]
fn all_that_is_like_the_query_is_found() {
    let dim = 256;
    let parts = Quantization::Pq { parts: 16 };
    for quantization in [parts, Quantization::RaBitQ { bits: 2 }, Quantization::RaBitQ { bits: 4 }]
    {
        // So few that no centroid is for them alone.
        let mut rows = clustered(1, 4000, dim);
        let mut random = noise(5);
        for n in 0..8 {
            rows[n * 500] = rows[0].iter().map(|value| round(value + 0.04 * random())).collect();
        }
        let query = rows[0].clone();
        let config = Config::new(dim, Metric::L2).with_index(Index::disk());
        let docs = Fixture::with(config.with_quantization(quantization), &rows);
        docs.is_exact(&query, 3, &docs.search(&query, 3));
    }
}

/// A disk reads whole pages: a row that lies in one takes one.
#[test]
fn many_vectors_begin_on_a_page() {
    let dim = 128;
    let aligned = |rows: usize| {
        let config = Config::new(dim, Metric::L2).with_index(Index::Flat);
        let rows = clustered(1, rows, dim);
        let docs = Fixture::with(config, &rows);
        let segment = docs.files("segment").remove(0);
        let first: Vec<u8> = rows[0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let at = segment.windows(first.len()).position(|bytes| bytes == first).unwrap();
        assert_eq!(at % 64, 0);
        at % 4096 == 0
    };
    // A MiB, and a row less, which does not come to lie there by itself.
    assert_eq!([aligned(2048), aligned(2047)], [true, false]);
}

/// Where many rows may be as near less of the rest is read, and what is not told apart by codes is all read.
#[test]
fn rows_that_codes_hardly_tell_apart_are_found() {
    let dim = 64;
    for spread in [0.45, 0.25, 0.03] {
        let mut random = noise(9);
        let centres = clustered(1, 20, dim);
        let mut near = |count: usize| -> Vec<Vec<f32>> {
            let mut moved = |value: &f32| round(value + spread * random());
            (0..count).map(|n| centres[n % 20].iter().map(&mut moved).collect()).collect()
        };
        let (rows, queries) = (near(4000), near(60));
        let searched = |index| {
            let config = Config::new(dim, Metric::L2).with_index(index);
            let four = config.with_quantization(Quantization::RaBitQ { bits: 4 });
            let docs = Fixture::with(four, &rows);
            let scored = |query| docs.docs.search(query).explain().wait().unwrap().parts[0].scored;
            (docs.usual_recall(&queries), queries.iter().map(scored).sum::<u64>())
        };
        let Index::Disk { m, ef_construction } = Index::disk() else { unreachable!() };
        let (in_memory, all) = searched(Index::Graph { m, ef_construction });
        let (on_disk, read) = searched(Index::disk());
        let figures = format!("{spread}: {on_disk} of {in_memory}, {read} of {all}");
        assert!(on_disk >= in_memory - 0.005, "{figures}");
        assert!(if spread > 0.1 { read < all } else { read == all }, "{figures}");
    }
}
