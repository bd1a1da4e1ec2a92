//! Index and codes that are changed while a collection is searched, held against brute force.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use vecgo::filter::lt;
use vecgo::{Config, ErrorKind, Id, Index, Metric, Plan, Quantization, Record};

use crate::fixture::{Fixture, clustered, ids};

const DIM: usize = 24;

fn of(index: Index, quantization: Quantization) -> Config {
    Config::new(DIM, Metric::L2).with_index(index).with_quantization(quantization)
}

fn configs() -> [Config; 5] {
    [
        of(Index::Flat, Quantization::None),
        of(Index::graph(), Quantization::RaBitQ { bits: 8 }),
        of(Index::Graph { m: 8, ef_construction: 40 }, Quantization::None),
        of(Index::ivf(), Quantization::Sq8),
        of(Index::disk(), Quantization::Pq { parts: 6 }),
    ]
}

fn configure(docs: &mut Fixture, config: Config) -> u64 {
    let version = docs.docs.configure(config).wait().unwrap();
    assert_eq!(docs.docs.config(), config);
    docs.config = config;
    version
}

/// The index and codes of each segment.
fn indexes(docs: &Fixture) -> Vec<(Index, Quantization)> {
    let segments = docs.docs.stats().segments;
    segments.iter().map(|segment| (segment.index, segment.quantization)).collect()
}

fn has(config: Config) -> (Index, Quantization) {
    (config.index(), config.quantization())
}

#[track_caller]
fn most_is_found(docs: &Fixture, queries: &[Vec<f32>]) {
    let recall = docs.usual_recall(queries);
    let is_flat = docs.config.index() == Index::Flat;
    let least = if is_flat { 1.0 } else { 0.95 };
    assert!(recall >= least, "{}: recall {recall}, {:?}", docs.what(), indexes(docs));
    let explained = docs.docs.search(&queries[0]).explain().wait().unwrap();
    let scans = |plan| matches!(plan, Plan::Vectors | Plan::Nothing);
    assert!(!is_flat || explained.parts.iter().all(|part| scans(part.plan)), "{explained:?}");
}

#[test]
fn from_each_to_each() {
    let (rows, new, queries) =
        (clustered(1, 1000, DIM), clustered(2, 300, DIM), clustered(3, 10, DIM));
    for from in configs() {
        for to in configs().into_iter().filter(|to| *to != from) {
            let mut docs = Fixture::with(from, &rows);
            let version = docs.docs.version();
            assert_eq!(configure(&mut docs, to), version + 1);
            assert_eq!(indexes(&docs), [has(from)], "what is there stays");
            most_is_found(&docs, &queries);
            docs.put(900, &new);
            most_is_found(&docs, &queries);
            docs.docs.flush().wait().unwrap();
            most_is_found(&docs, &queries);
            docs.reopen();
            assert_eq!(docs.docs.config(), to);
            most_is_found(&docs, &queries);
            docs.merge();
            assert_eq!(indexes(&docs), [has(to)]);
            most_is_found(&docs, &queries);
            docs.is_exact(&queries[0], 20, &docs.full(&queries[0], 20));
            let before = docs.docs.at_version(version).wait().unwrap();
            assert_eq!((before.config(), before.count()), (from, 1000));
            before.search(&queries[0]).wait().unwrap();
        }
    }
}

/// A process that only reads goes on with what it has, then with what is new.
#[test]
fn a_reader_follows() {
    let (rows, queries) = (clustered(1, 1000, DIM), clustered(3, 10, DIM));
    for (from, to) in configs().into_iter().zip(configs().into_iter().cycle().skip(1)) {
        let mut docs = Fixture::with(from, &rows);
        let reader = docs.reader();
        let found = |docs: &Fixture| {
            docs.recall(&queries, 10, |query, k| reader.search(query).k(k).wait().unwrap())
        };
        assert!(found(&docs) >= 0.95, "{}", docs.what());
        configure(&mut docs, to);
        docs.put(1000, &rows[..100]);
        docs.delete(ids(0..100));
        docs.merge();
        reader.search(&queries[0]).wait().unwrap();
        reader.refresh().wait().unwrap();
        assert_eq!(reader.config(), to);
        let recall = found(&docs);
        assert!(recall >= 0.95, "{}: recall {recall}", docs.what());
    }
}

/// Among segments with one index, with the other, and with none yet.
#[test]
fn what_matches_is_found_by_either_index() {
    const ROWS: u64 = 3650;
    let (rows, queries) = (clustered(1, ROWS as usize, DIM), clustered(3, 20, DIM));
    for pair in configs()[1..].windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let mut docs = Fixture::with(from, &[]);
        let put = |docs: &Fixture, range: std::ops::Range<u64>| {
            let record =
                |n: u64| Record::new(n, rows[n as usize].clone()).metadata(json!({"n": n % 100}));
            docs.docs.upsert(range.map(record)).wait().unwrap();
            docs.docs.flush().wait().unwrap();
        };
        put(&docs, 0..3000);
        docs.merge();
        configure(&mut docs, to);
        docs.reopen_to_merge();
        for part in 0..6 {
            put(&docs, 3000 + part * 100..3100 + part * 100);
        }
        docs.docs.settle().wait().unwrap();
        put(&docs, 3600..ROWS);
        docs.docs.delete((0..ROWS).step_by(7).map(Id::from)).wait().unwrap();
        let there = indexes(&docs);
        let none = (Index::Flat, Quantization::None);
        assert!([has(from), has(to), none].iter().all(|of| there.contains(of)), "{there:?}");
        for most in [3, 30, 100] {
            let lives = (0..ROWS).filter(|n| n % 7 != 0 && n % 100 < most);
            docs.model = lives.map(|n| (Id::from(n), rows[n as usize].clone())).collect();
            let filtered = |query: &[f32], k: usize| {
                docs.docs.search(query).k(k).filter(lt("n", most)).wait().unwrap()
            };
            let recall = docs.recall(&queries, 10, filtered);
            assert!(recall >= 0.95, "{from}, {to}: {most} percent match, recall {recall}");
            let one: Vec<_> = queries.iter().map(|query| filtered(query, 10)).collect();
            let batch = docs.docs.search_batch(&queries).k(10).filter(lt("n", most));
            assert_eq!(batch.wait().unwrap(), one, "{from}, {to}: {most} percent match, a batch");
        }
    }
}

/// Also where nothing but a setting is another that no search sees.
#[test]
fn compact_writes_what_has_other_settings_once() {
    let config = |ef_construction| of(Index::Graph { m: 8, ef_construction }, Quantization::Sq8);
    let mut docs = Fixture::with(config(40), &clustered(1, 500, DIM));
    let number = |docs: &Fixture| docs.docs.stats().segments[0].number;
    let first = number(&docs);
    docs.merge();
    assert_eq!(number(&docs), first);
    configure(&mut docs, config(50));
    docs.merge();
    let second = number(&docs);
    assert!(second > first);
    docs.merge();
    let version = docs.docs.version();
    assert_eq!(configure(&mut docs, config(50)), version, "it has that already");
    docs.merge();
    assert_eq!(number(&docs), second);
}

/// One that went on from what is there would be as bad as that.
#[test]
fn a_better_graph_is_made_anew() {
    let config = |ef_construction| {
        of(Index::Graph { m: 4, ef_construction }, Quantization::RaBitQ { bits: 8 })
    };
    let (rows, queries) = (clustered(1, 3000, DIM), clustered(3, 100, DIM));
    let recall = |docs: &Fixture| {
        docs.recall(&queries, 10, |query, k| docs.docs.search(query).k(k).ef(10).wait().unwrap())
    };
    let mut docs = Fixture::with(config(8), &rows);
    let poor = recall(&docs);
    configure(&mut docs, config(200));
    docs.merge();
    let (better, fresh) = (recall(&docs), recall(&Fixture::with(config(200), &rows)));
    assert!(poor < fresh - 0.02, "{poor} and {fresh}: there is nothing to see");
    assert!(better > (poor + fresh) / 2.0, "{poor}, {better}, {fresh}");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let config = of(Index::graph(), Quantization::Sq8);
    let mut docs = Fixture::with(config, &clustered(1, 300, DIM));
    let version = docs.docs.version();
    for (other, words) in [
        (Config::new(DIM + 1, Metric::L2), ["dim 24", "dim 25"]),
        (Config::new(DIM, Metric::Dot), ["metric l2", "metric dot"]),
        (of(Index::Flat, Quantization::Sq8), ["`sq8`", "`flat`"]),
        (of(Index::disk(), Quantization::None), ["`disk`", "none"]),
        (of(Index::Graph { m: 3, ef_construction: 100 }, Quantization::Sq8), ["m is 3", "128"]),
    ] {
        let error = docs.docs.configure(other).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
    }
    let before = docs.docs.at_version(version).wait().unwrap();
    let error = before.configure(of(Index::ivf(), Quantization::Sq8)).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    docs.reopen();
    assert_eq!((docs.docs.config(), docs.docs.version()), (config, version));
}

#[test]
fn searches_go_on_meanwhile() {
    let (rows, queries) = (clustered(1, 2000, DIM), clustered(3, 5, DIM));
    let mut docs = Fixture::with(configs()[1], &rows);
    let (done, searched, searches) = (AtomicBool::new(false), AtomicU64::new(0), docs.docs.clone());
    let nearest: Vec<_> = queries.iter().map(|query| docs.nearest(query, 1)[0] as f32).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for (query, nearest) in queries.iter().zip(&nearest) {
                    let hits = searches.search(query).wait().unwrap();
                    assert_eq!((hits.len(), hits[0].distance), (10, *nearest));
                }
                searched.fetch_add(1, Ordering::Relaxed);
            }
        });
        for config in configs().into_iter().cycle().skip(2).take(6) {
            let before = searched.load(Ordering::Relaxed);
            configure(&mut docs, config);
            docs.merge();
            assert_eq!(indexes(&docs), [has(config)]);
            while searched.load(Ordering::Relaxed) < before + 2 {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}
