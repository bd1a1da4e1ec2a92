//! What a collection and a search can be told, and what does nothing and is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use vecgo::{
    Collection, Config, Error, ErrorKind, Id, Index, MAX_CANDIDATES, MAX_CLUSTERS, Metric,
    Quantization, RecallTarget, Record,
};

const DIM: usize = 4;

fn collection(config: Config) -> Collection {
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", config).wait().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "any value does")]
    let record = |n: u64| Record::new(n, [n as f32, 1.0, 0.5, -1.0]);
    docs.upsert((0..100).map(record)).wait().unwrap();
    docs
}

fn graph(quantization: Quantization) -> Config {
    Config::new(DIM, Metric::L2).with_quantization(quantization)
}

fn ivf() -> Config {
    Config::new(DIM, Metric::L2).with_index(Index::ivf())
}

fn flat() -> Config {
    Config::new(DIM, Metric::L2).with_index(Index::Flat)
}

fn quantizations() -> [Quantization; 4] {
    let rabitq = |bits| Quantization::RaBitQ { bits };
    [Quantization::None, Quantization::Sq8, rabitq(4), rabitq(8)]
}

#[track_caller]
fn is_refused<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{error}` does not say `{word}`");
    }
}

/// By itself, and as one of several.
#[track_caller]
fn both_are_refused(
    docs: &Collection,
    set: fn(vecgo::Search) -> vecgo::Search,
    set_batch: fn(vecgo::SearchBatch) -> vecgo::SearchBatch,
    words: &[&str],
) {
    is_refused(set(docs.search([1.0; DIM])).wait(), words);
    is_refused(set(docs.search([1.0; DIM]).k(0)).wait(), words);
    is_refused(set_batch(docs.search_batch([[1.0; DIM]; 3])).wait(), words);
    is_refused(set_batch(docs.search_batch(Vec::<Vec<f32>>::new())).wait(), words);
}

#[test]
fn a_collection_keeps_what_it_was_created_with() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let small = Index::Graph { m: 4, ef_construction: 8 };
    let configs = [
        flat(),
        Config::new(DIM, Metric::L2),
        graph(Quantization::RaBitQ { bits: 4 }).with_index(small),
        graph(Quantization::Sq8),
        graph(Quantization::None),
        flat().with_index(Index::disk()),
        ivf(),
        flat().with_index(Index::Ivf { n_clusters: std::num::NonZeroU32::new(7) }),
        ivf().with_recall_target(RecallTarget::new(0.9).ok()),
    ];
    for (n, config) in configs.iter().enumerate() {
        db.create(format!("c{n}"), *config).wait().unwrap();
    }
    let reader = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    for (info, config) in reader.collections().wait().unwrap().iter().zip(configs) {
        assert_eq!(info.config, config);
        let docs = db.open_or_create(&info.name, config).wait().unwrap();
        docs.upsert([Record::new(1u64, [1.0; DIM])]).wait().unwrap();
        docs.close().wait().unwrap();
        assert_eq!(reader.collection(&info.name).wait().unwrap().config(), config);
    }
    // Another setting of the same index is another configuration.
    let error = db.open_or_create("c2", configs[2].with_index(Index::graph())).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    for words in ["m 4, ef_construction 8", "m 32, ef_construction 200", "rabitq:4"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn configurations_that_cannot_be() {
    let db = vecgo::open("memory://").wait().unwrap();
    let index = |m, ef_construction| Index::Graph { m, ef_construction };
    for (config, words) in [
        (
            flat().with_index(Index::Ivf { n_clusters: std::num::NonZeroU32::new(2_000_000) }),
            ["n_clusters is 2000000", "1 to 1048576"],
        ),
        (flat().with_index(index(3, 200)), ["m is 3", "4 to 128"]),
        (flat().with_index(index(129, 200)), ["m is 129", "4 to 128"]),
        (flat().with_index(index(32, 7)), ["ef_construction is 7", "8 to 4096"]),
        (flat().with_index(index(32, 5000)), ["ef_construction is 5000", "8 to 4096"]),
        (flat().with_quantization(Quantization::Sq8), ["`sq8`", "index `flat`"]),
        (graph(Quantization::None).with_index(Index::disk()), ["`disk`", "other than none"]),
        (graph(Quantization::RaBitQ { bits: 0 }), ["rabitq:0", "rabitq:8"]),
        (graph(Quantization::Pq { parts: 0 }), ["pq:0", "pq:255"]),
        (graph(Quantization::Pq { parts: 200 }), ["m of pq is 200", "expected 1 to"]),
    ] {
        is_refused(db.create("docs", config).wait(), &words);
        is_refused(db.open_or_create("docs", config).wait(), &words);
    }
    assert!(db.collections().wait().unwrap().is_empty());
}

#[test]
fn a_knob_that_does_nothing_is_refused() {
    let docs = collection(flat());
    both_are_refused(&docs, |s| s.ef(10), |s| s.ef(10), &["ef", "index `flat`"]);
    both_are_refused(&docs, |s| s.rerank(10), |s| s.rerank(10), &["rerank", "index `flat`"]);
    both_are_refused(&docs, |s| s.nprobe(1), |s| s.nprobe(1), &["nprobe", "index `flat`"]);
    let docs = collection(ivf());
    both_are_refused(&docs, |s| s.ef(10), |s| s.ef(10), &["ef", "index `ivf`"]);
    docs.search([1.0; DIM]).nprobe(10).rerank(10).wait().unwrap();
    let docs = collection(graph(Quantization::None));
    both_are_refused(&docs, |s| s.nprobe(1), |s| s.nprobe(1), &["nprobe", "index `graph`"]);
    both_are_refused(&docs, |s| s.rerank(10), |s| s.rerank(10), &["rerank", "quantization `none`"]);
    docs.search([1.0; DIM]).ef(10).wait().unwrap();
}

#[test]
fn numbers_out_of_range_are_refused() {
    let docs = collection(Config::new(DIM, Metric::L2));
    let too_many = |s: vecgo::Search| s.ef(MAX_CANDIDATES + 1);
    both_are_refused(&docs, |s| s.ef(0), |s| s.ef(0), &["ef is 0", "1 to 65536"]);
    both_are_refused(&docs, |s| s.rerank(0), |s| s.rerank(0), &["rerank is 0", "1 to 65536"]);
    both_are_refused(&docs, too_many, |s| s.ef(usize::MAX), &["ef is", "1 to 65536"]);
    let clusters = collection(ivf());
    let too_many = |s: vecgo::Search| s.nprobe(MAX_CLUSTERS as usize + 1);
    let words = ["nprobe is", "1 to 1048576"];
    both_are_refused(&clusters, |s| s.nprobe(0), |s| s.nprobe(0), &words);
    both_are_refused(&clusters, too_many, |s| s.nprobe(usize::MAX), &words);
    let words = ["recall target is 1", "0.5 to 0.9999", "exact"];
    both_are_refused(&docs, |s| s.recall_target(1.0), |s| s.recall_target(1.0), &words);
    both_are_refused(&docs, |s| s.recall_target(95.0), |s| s.recall_target(0.4), &["0.5 to"]);
    both_are_refused(&docs, |s| s.recall_target(f64::NAN), |s| s.recall_target(-0.9), &["0.5 to"]);
    for knob in [1, MAX_CANDIDATES] {
        let hits = docs.search([1.0; DIM]).k(7).ef(knob).rerank(knob).wait().unwrap();
        assert_eq!(hits.len(), 7);
    }
}

#[test]
fn a_recall_target_stands_alone() {
    let docs = collection(Config::new(DIM, Metric::L2));
    let both = |s: vecgo::Search| s.recall_target(0.9).ef(10);
    both_are_refused(&docs, both, |s| s.ef(10).recall_target(0.9), &["recall_target and ef"]);
    let clusters = collection(ivf());
    let both = |s: vecgo::Search| s.recall_target(0.9).nprobe(10);
    let words = ["recall_target and nprobe", "give one"];
    both_are_refused(&clusters, both, |s| s.nprobe(10).recall_target(0.9), &words);
    docs.search([1.0; DIM]).recall_target(0.9).rerank(50).wait().unwrap();
    docs.search([1.0; DIM]).recall_target(0.9).exact().wait().unwrap();
    collection(flat()).search([1.0; DIM]).recall_target(0.9).wait().unwrap();
}

/// A few rows are scored one by one, whatever the index; `exact` is taken by all.
#[test]
fn few_rows_are_found_whatever_the_settings() {
    let configs = quantizations().map(graph).into_iter().chain([ivf(), flat()]);
    for config in configs {
        let docs = collection(config);
        for flushed in [false, true] {
            let exact = docs.search([40.2, 1.0, 0.5, -1.0]).k(3).exact().wait().unwrap();
            let ids: Vec<Id> = exact.iter().map(|hit| hit.id.clone()).collect();
            assert_eq!(ids, [40u64, 41, 39].map(Id::from), "{config} {flushed}");
            let hits = docs.search([40.2, 1.0, 0.5, -1.0]).k(3).wait().unwrap();
            assert_eq!(hits, exact, "{config} {flushed}");
            let queries = [[40.2, 1.0, 0.5, -1.0]; 2];
            let batch = docs.search_batch(queries).k(3).exact().wait().unwrap();
            assert_eq!(batch, [exact.clone(), exact], "{config} {flushed}");
            docs.flush().wait().unwrap();
        }
    }
}

/// Brute force does not look at the other knobs, but they have to be ones that are there.
#[test]
fn exact_beside_other_knobs() {
    let docs = collection(Config::new(DIM, Metric::L2));
    let exact = docs.search([7.0; DIM]).k(5).exact().wait().unwrap();
    assert_eq!(docs.search([7.0; DIM]).k(5).ef(1).rerank(1).exact().wait().unwrap(), exact);
    let docs = collection(flat());
    both_are_refused(&docs, |s| s.ef(10).exact(), |s| s.ef(10).exact(), &["ef", "flat"]);
}
