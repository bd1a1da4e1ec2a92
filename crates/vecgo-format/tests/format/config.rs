//! What a collection can be: the names, the ranges, and the bytes that hold it.

use crate::common;
use std::num::NonZeroU32;

use crate::common::reseal;
use proptest::prelude::*;
use vecgo_format::{
    Catalogue, Config, ConfigError, Entry, Extensions, Identity, Index, MAX_DIM, Metric,
    Quantization, RecallTarget, Schema,
};

fn ivf(clusters: u32) -> Config {
    let n_clusters = NonZeroU32::new(clusters);
    Config::new(3, Metric::L2).with_index(Index::Ivf { n_clusters })
}

fn graph(m: u16, ef_construction: u16) -> Config {
    Config::new(3, Metric::L2).with_index(Index::Graph { m, ef_construction })
}

#[test]
fn the_defaults() {
    let new = Config::new(3, Metric::L2);
    assert_eq!(new.index(), Index::Graph { m: 32, ef_construction: 200 });
    assert_eq!(new.quantization(), Quantization::RaBitQ { bits: 8 });
    let flat = new.with_index(Index::Flat);
    assert_eq!(flat.quantization(), Quantization::None);
    assert_eq!(flat.with_index(Index::graph()), new);
    assert_eq!(
        new.to_string(),
        "dim 3, metric l2, index graph (m 32, ef_construction 200), quantization rabitq:8"
    );
    assert_eq!(ivf(0).quantization(), new.quantization());
    assert_eq!(ivf(0).to_string(), "dim 3, metric l2, index ivf, quantization rabitq:8");
    let own = "dim 3, metric l2, index ivf (n_clusters 9), quantization rabitq:8";
    assert_eq!(ivf(9).to_string(), own);
    assert_eq!(flat.to_string(), "dim 3, metric l2, index flat, quantization none");
}

/// What was asked for by name stays, whatever the order.
#[test]
fn a_quantization_that_was_set_outlives_the_index() {
    let (new, m16) = (Config::new(3, Metric::L2), Index::Graph { m: 16, ef_construction: 100 });
    let four_bits = Quantization::RaBitQ { bits: 4 };
    assert_eq!(new.with_index(Index::disk()).quantization(), four_bits);
    for quantization in [Quantization::None, Quantization::Sq8, four_bits] {
        let config = new.with_quantization(quantization).with_index(m16);
        assert_eq!(config, new.with_index(m16).with_quantization(quantization));
        assert_eq!(config.check(), Ok(()));
    }
}

#[test]
fn names_are_read_as_they_are_printed() {
    for name in ["flat", "graph", "disk", "ivf"] {
        assert_eq!(name.parse::<Index>().unwrap().to_string(), name);
    }
    assert_eq!("hnsw".parse(), Ok(Index::graph()));
    assert_eq!("int4".parse(), Ok(Quantization::RaBitQ { bits: 4 }));
    assert_eq!("binary".parse(), Ok(Quantization::RaBitQ { bits: 1 }));
    let bits = (1..=8).map(|bits| format!("rabitq:{bits}"));
    let parts = (1..=255).map(|parts| format!("pq:{parts}"));
    for name in ["none", "sq8"].map(str::to_owned).into_iter().chain(bits).chain(parts) {
        assert_eq!(name.parse::<Quantization>().unwrap().to_string(), name);
    }
}

#[test]
fn names_of_nothing() {
    for never in ["", "Flat", "graph:32", "hnsw ", "tree"] {
        let found = never.parse::<Index>();
        assert!(matches!(found, Err(ConfigError::Name { .. })), "{never}: {found:?}");
    }
    for never in [
        "",
        "None",
        "sq8:4",
        "none:0",
        "int4:1",
        "pq",
        "pq:",
        "pq:0",
        "pq:x",
        "rabitq",
        "rabitq:",
        "rabitq:0",
        "rabitq:9",
        "rabitq:256",
        "rabitq:-4",
        "rabitq:4:8",
    ] {
        let found = never.parse::<Quantization>();
        assert!(matches!(found, Err(ConfigError::Name { .. })), "{never}: {found:?}");
    }
}

#[test]
fn what_is_refused() {
    for config in
        [ivf(1), ivf(0x10_0000), graph(4, 8), graph(128, 4096), Config::new(MAX_DIM, Metric::Dot)]
    {
        assert_eq!(config.check(), Ok(()), "{config}");
    }
    for (config, told) in [
        (Config::new(0, Metric::L2), "dimension is 0; expected 1 to 65536"),
        (ivf(0x10_0001), "n_clusters is 1048577; expected 1 to 1048576"),
        (graph(3, 200), "m is 3; expected 4 to 128"),
        (graph(129, 200), "m is 129; expected 4 to 128"),
        (graph(32, 7), "ef_construction is 7; expected 8 to 4096"),
        (graph(32, 4097), "ef_construction is 4097; expected 8 to 4096"),
        (
            graph(32, 200).with_quantization(Quantization::RaBitQ { bits: 9 }),
            "unknown quantization `rabitq:9`; \
             expected none, sq8, int4, binary, rabitq:1 to rabitq:8 or pq:1 to pq:255",
        ),
        (
            graph(32, 200).with_quantization(Quantization::Pq { parts: 4 }),
            "m of pq is 4; expected 1 to 3",
        ),
        (
            Config::new(3, Metric::L2).with_index(Index::Flat).with_quantization(Quantization::Sq8),
            "quantization `sq8` does nothing for the index `flat`; leave it out",
        ),
    ] {
        assert_eq!(config.check().unwrap_err().to_string(), told);
    }
}

#[test]
fn recall_targets() {
    for (text, recall) in [("0.5", 0.5), ("0.95", 0.95), ("0.9999", 0.9999)] {
        let target: RecallTarget = text.parse().unwrap();
        assert_eq!((target.to_string().as_str(), target.get()), (text, recall));
        assert_eq!(RecallTarget::new(recall), Ok(target));
    }
    for text in ["0", "0.4999", "1", "0.99996", "-0.9", "95", "NaN", "inf", "", "most"] {
        let told = text.parse::<RecallTarget>().unwrap_err().to_string();
        let expected = "expected 0.5 to 0.9999; an exact search finds all";
        assert_eq!(told, format!("recall target is {text}; {expected}"));
    }
    let config = ivf(0).with_recall_target(RecallTarget::new(0.99).ok());
    let told = "dim 3, metric l2, index ivf, quantization rabitq:8, recall target 0.99";
    assert_eq!(config.to_string(), told);
    assert_eq!(config.of_segments(), ivf(0));
}

/// A catalogue of one collection, and where its configuration stands.
fn with_config(config: Config) -> (Vec<u8>, usize) {
    let schema = Schema::default();
    let extensions = Extensions::default();
    let entry = Entry { identity: Identity(7), config, schema, created_ms: 1, extensions };
    let collections = [("a".to_owned(), entry)].into();
    let (bytes, _) = Catalogue { number: 1, collections, ..Catalogue::default() }.encode();
    // Prefix, five numbers, a count, a name, a length, an identity.
    (bytes, 8 + 40 + 1 + 2 + 1 + 16)
}

/// Where something is changed, and what is put there.
type Change = (usize, &'static [u8]);

#[test]
fn configurations_of_newer_builds() {
    let flat = Config::new(3, Metric::L2).with_index(Index::Flat);
    let graph = graph(32, 200);
    let changes: [(Config, &[Change]); 4] = [
        (
            flat,
            &[
                (0, &[0, 0, 0, 0]),
                (0, &[1, 0, 1, 0]),
                (4, &[3]),
                (5, &[1]),
                (5, &[3]),
                (6, &[1]),
                (9, &[1]),
                (10, &[1]),
                (14, &[1]),
                (14, &[2, 8]),
                (15, &[8]),
                (16, &[1]),
                (17, &[1]),
                (17, &[0x87, 0x13]),
                (17, &[0x10, 0x27]),
            ],
        ),
        (
            graph,
            &[
                (5, &[0]),
                (5, &[2]),
                (6, &[3]),
                (6, &[129]),
                (6, &[32, 1]),
                (8, &[7]),
                (8, &[1, 16]),
                (10, &[1]),
                (14, &[0]),
                (14, &[1]),
                (14, &[3]),
                (14, &[4]),
                (15, &[0]),
                (15, &[9]),
                (15, &[8, 1]),
            ],
        ),
        (graph.with_quantization(Quantization::Sq8), &[(14, &[2]), (15, &[1]), (15, &[8])]),
        (ivf(7), &[(5, &[0]), (5, &[1]), (6, &[1]), (8, &[1]), (10, &[1, 0, 16])]),
    ];
    for (config, changes) in changes {
        let (bytes, start) = with_config(config);
        assert!(Catalogue::decode(&bytes).is_ok());
        for (at, put) in changes {
            let mut changed = bytes.clone();
            changed[start + at..start + at + put.len()].copy_from_slice(put);
            reseal(&mut changed);
            let (found, _) = Catalogue::decode(&changed).unwrap();
            assert!(found.newer.contains_key("a"), "{config}: {put:?} at {at}: {found:?}");
            // It stays what it is.
            assert_eq!(found.encode().0, changed);
        }
    }
}

proptest! {
    /// Every configuration has bytes of its own, and no others.
    #[test]
    fn what_reads_is_what_was_written(config in common::config(), bytes: [u8; 18]) {
        let (written, start) = with_config(config);
        prop_assert_eq!(Catalogue::decode(&written).unwrap().0.collections["a"].config, config);
        let mut other = written;
        // Small values, so that some of them are configurations.
        for (at, byte) in bytes.into_iter().enumerate() {
            other[start + at] = if byte < 200 { byte % 3 } else { other[start + at] };
        }
        reseal(&mut other);
        if let Ok((catalogue, _)) = Catalogue::decode(&other) {
            prop_assert_eq!(catalogue.encode().0, other);
        }
    }
}
