//! Searches of a bucket by those who have nothing of it in memory: part of the codes is fetched, the index behind them.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the clock and prints"
)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use vecgo::{
    Collection, Config, Filter, Id, Index, Metric, Plan, Quantization, Record, filter, json,
};
use vecgo_stores::Fake;

const DIM: usize = 96;
const ROWS: u64 = 20_000;
/// Vectors that the others lie around.
const CENTRES: u64 = 200;
const K: usize = 10;
const QUERIES: u64 = 12;
/// As in `requests.rs`.
const QUIET: Duration = Duration::from_millis(150);

fn open(fake: &Fake, read_only: bool) -> vecgo::Database {
    let open = vecgo::open("s3://test/cold").read_only(read_only).auto_compact(false);
    let options = fake.options().into_iter();
    options.fold(open, |open, (name, value)| open.store_option(name, value)).wait().unwrap()
}

/// About normal, from -3 to 3.
fn noise(seed: u64) -> f32 {
    let mixed = |n: u64| (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let parts = (0..4).map(|part| mixed(mixed(seed * 4 + part + 1)) >> 40);
    parts.map(|part| part as f32 / (1u32 << 24) as f32).sum::<f32>() * 1.7 - 3.4
}

fn vector(n: u64) -> Vec<f32> {
    let (centre, own) = ((n % CENTRES) * 1000, (n + 1) * 1_000_000);
    (0..DIM as u64).map(|d| noise(centre + d) + 1.5 * noise(own + d)).collect()
}

fn is_dead(n: u64) -> bool {
    n.is_multiple_of(9)
}

/// What live rows of those that are wanted are nearest, by every one of them.
fn nearest(query: &[f32], is_wanted: impl Fn(u64) -> bool) -> BTreeSet<u64> {
    let distance = |n: u64| {
        let squares = vector(n).into_iter().zip(query).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>()
    };
    let wanted = (0..ROWS).filter(|n| !is_dead(*n) && is_wanted(*n));
    let mut all: Vec<(f64, u64)> = wanted.map(|n| (distance(n), n)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().take(K).map(|(_, n)| n).collect()
}

fn number(id: &Id) -> u64 {
    match id {
        Id::Number(number) => *number,
        Id::Text(text) => text.parse().unwrap(),
    }
}

/// In one segment with an index, or in six that have none yet.
fn fill(fake: &Fake, config: Config, compact: bool) {
    let database = open(fake, false);
    let docs = database.open_or_create("docs", config).wait().unwrap();
    for first in (0..ROWS).step_by(5000) {
        let records = (first..first + 5000)
            .map(|n| Record::new(n, vector(n)).metadata(json!({"tenth": n % 10, "one": n % 500})));
        docs.upsert(records).wait().unwrap();
        docs.flush().wait().unwrap();
    }
    if compact {
        docs.compact().wait().unwrap();
    }
    docs.delete((0..ROWS).filter(|n| is_dead(*n))).wait().unwrap();
    docs.close().wait().unwrap();
}

fn reader(fake: &Fake) -> Collection {
    open(fake, true).collection("docs").wait().unwrap()
}

/// What a filter matches.
type Matches = fn(u64) -> bool;

/// How much of what is nearest cold readers find, one query each, and what their segments were gone through by.
fn recall(fake: &Fake, filtered: Option<(&Filter, Matches)>) -> (f64, String) {
    let (mut found, mut plans) = (0, BTreeSet::new());
    for n in 0..QUERIES {
        let query = vector(ROWS + 7 + n * 31);
        let docs = reader(fake);
        let mut search = docs.search(&query).k(K);
        if let Some((filter, _)) = filtered {
            search = search.filter(filter.clone());
        }
        let explained = search.explain().wait().unwrap();
        let is_wanted = |n| filtered.is_none_or(|(_, is_wanted)| is_wanted(n));
        let hits: Vec<u64> = explained.hits.iter().map(|hit| number(&hit.id)).collect();
        assert_eq!(hits.len(), K);
        assert!(hits.iter().all(|n| !is_dead(*n) && is_wanted(*n)), "{hits:?}");
        let nearest = nearest(&query, is_wanted);
        found += hits.iter().filter(|n| nearest.contains(n)).count();
        let segments = explained.parts.iter().filter(|part| part.segment.is_some());
        plans.extend(segments.map(|part| part.plan.name()));
    }
    (found as f64 / (QUERIES as f64 * K as f64), plans.into_iter().collect::<Vec<_>>().join(", "))
}

#[test]
fn much_is_found_by_a_part_of_the_codes() {
    for (index, quantization) in [
        (Config::new(DIM, Metric::L2).index(), Quantization::RaBitQ { bits: 8 }),
        (Config::new(DIM, Metric::L2).index(), Quantization::Sq8),
        (Index::Ivf { n_clusters: None }, Quantization::RaBitQ { bits: 4 }),
        (Index::disk(), Quantization::RaBitQ { bits: 2 }),
    ] {
        let fake = Fake::start().unwrap();
        let config = Config::new(DIM, Metric::L2).with_index(index).with_quantization(quantization);
        fill(&fake, config, true);
        let (all, plan) = recall(&fake, None);
        println!("{index}, {quantization}: {all}");
        assert!(all >= 0.95 && plan == "clusters", "{all} {plan}");
        let tenth = filter::eq("tenth", 3);
        let (of_many, plan) = recall(&fake, Some((&tenth, |n| n % 10 == 3)));
        assert!(of_many >= 0.95 && plan == "clusters", "{of_many} {plan}");
        // Few enough that each is looked at.
        let one = filter::eq("one", 77);
        let (of_few, plan) = recall(&fake, Some((&one, |n| n % 500 == 77)));
        assert!(of_few == 1.0 && plan == "vectors", "{of_few} {plan}");
    }
}

/// Three round trips, one more with a filter; then the index comes by itself.
#[test]
fn the_index_comes_behind_the_first_search() {
    let fake = Fake::start().unwrap();
    fill(&fake, Config::new(DIM, Metric::L2), true);
    let docs = reader(&fake);
    let query = vector(ROWS + 3);
    let (filtered, tenth) = (reader(&fake), filter::eq("tenth", 4));
    for (docs, filter, most) in [(&docs, None, 3), (&filtered, Some(tenth), 4)] {
        fake.forget();
        fake.count_rounds(QUIET);
        let search = docs.search(&query).k(K);
        let search = if let Some(filter) = filter { search.filter(filter) } else { search };
        let hits = search.wait().unwrap();
        let rounds = fake.rounds();
        fake.count_rounds(Duration::ZERO);
        assert_eq!(hits.len(), K);
        assert!(rounds <= most, "{rounds} round trips: {:#?}", fake.asked());
    }
    let begun = Instant::now();
    loop {
        let explained = docs.search(&query).k(K).explain().wait().unwrap();
        if explained.parts[0].plan == Plan::Walk {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", explained.parts[0]);
    }
    let hits = docs.search(&query).k(K).wait().unwrap();
    let hits: BTreeSet<u64> = hits.iter().map(|hit| number(&hit.id)).collect();
    assert!(hits.intersection(&nearest(&query, |_| true)).count() >= K - 1, "{hits:?}");
}

/// Many queries at a time, and those that are to find all, wait for what they need.
#[test]
fn batches_wait_for_the_index() {
    let fake = Fake::start().unwrap();
    fill(&fake, Config::new(DIM, Metric::L2), true);
    let queries: Vec<Vec<f32>> = (0..8).map(|n| vector(ROWS + n)).collect();
    let docs = reader(&fake);
    let answers = docs.search_batch(&queries).k(K).wait().unwrap();
    let found = |hits: &[vecgo::Hit], query: &[f32]| {
        let nearest = nearest(query, |_| true);
        hits.iter().filter(|hit| nearest.contains(&number(&hit.id))).count()
    };
    let all: usize = answers.iter().zip(&queries).map(|(hits, query)| found(hits, query)).sum();
    assert!(all >= 8 * K - 4, "{all}");
    let explained = docs.search(&queries[0]).k(K).explain().wait().unwrap();
    assert_eq!(explained.parts[0].plan, Plan::Walk);
    let exact = reader(&fake).search(&queries[1]).k(K).exact().wait().unwrap();
    assert_eq!(found(&exact, &queries[1]), K);
}

/// What a search through an index scores by vectors that stay where they are comes at once, from wherever in
/// the segment.
#[test]
fn vectors_that_stay_where_they_are_take_one_round_trip() {
    let fake = Fake::start().unwrap();
    fill(&fake, Config::new(DIM, Metric::L2).with_index(Index::disk()), true);
    let docs = reader(&fake);
    // As many as wait for the index.
    docs.search_batch((0..8).map(|n| vector(ROWS + n))).k(1).wait().unwrap();
    // Between rows of many clusters.
    let of: Vec<Vec<f32>> = (0..16).map(|n| vector(50 + n * 11)).collect();
    let query: Vec<f32> =
        (0..DIM).map(|d| of.iter().map(|row| row[d]).sum::<f32>() / of.len() as f32).collect();
    fake.forget();
    fake.count_rounds(QUIET);
    let explained = docs.search(&query).k(100).explain().wait().unwrap();
    let (rounds, asked) = (fake.rounds(), fake.asked().len());
    fake.count_rounds(Duration::ZERO);
    assert_eq!(explained.parts[0].plan, Plan::Walk);
    assert!(asked >= 5, "{asked} requests are too few to tell");
    assert_eq!(rounds, 1, "{:#?}", fake.asked());
}

/// Segments without an index have codes for those who come from afar: an eighth of what vectors are.
#[test]
fn what_has_no_index_is_found_by_codes() {
    for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
        let fake = Fake::start().unwrap();
        fill(&fake, Config::new(DIM, metric), false);
        if metric == Metric::L2 {
            let (all, plan) = recall(&fake, None);
            assert!(all >= 0.95 && plan == "short codes", "{all} {plan}");
            let tenth = filter::eq("tenth", 3);
            let (of_many, plan) = recall(&fake, Some((&tenth, |n| n % 10 == 3)));
            assert!(of_many >= 0.95 && plan == "short codes", "{of_many} {plan}");
        }
        let docs = reader(&fake);
        let query = vector(ROWS + 5);
        fake.count_rounds(QUIET);
        let explained = docs.search(&query).k(K).explain().wait().unwrap();
        let rounds = fake.rounds();
        fake.count_rounds(Duration::ZERO);
        assert!(rounds <= 3, "{rounds} round trips: {:#?}", fake.asked());
        let mut segments = explained.parts.iter().filter(|part| part.segment.is_some());
        assert!(segments.all(|part| part.plan == Plan::ShortCodes), "{metric}: {explained:#?}");
        let cold = explained.hits;
        // Whatever is nearest by the metric.
        let exact = docs.search(&query).k(K).exact().wait().unwrap();
        let ids = |hits: &[vecgo::Hit]| hits.iter().map(|hit| number(&hit.id)).collect();
        let (cold, exact): (BTreeSet<u64>, BTreeSet<u64>) = (ids(&cold), ids(&exact));
        assert!(cold.intersection(&exact).count() >= K - 1, "{metric}: {cold:?} {exact:?}");
    }
}

/// A collection that is to be flat is: all rows are scored, by whomever.
#[test]
fn what_is_flat_is_exact() {
    let fake = Fake::start().unwrap();
    fill(&fake, Config::new(DIM, Metric::L2), true);
    let database = open(&fake, false);
    let docs = database.collection("docs").wait().unwrap();
    let flat = Config::new(DIM, Metric::L2).with_index(Index::Flat);
    docs.configure(flat.with_quantization(Quantization::None)).wait().unwrap();
    docs.close().wait().unwrap();
    for n in 0..3 {
        let query = vector(ROWS + 11 + n);
        let explained = reader(&fake).search(&query).k(K).explain().wait().unwrap();
        assert_eq!(explained.parts[0].plan, Plan::Vectors);
        let hits: BTreeSet<u64> = explained.hits.iter().map(|hit| number(&hit.id)).collect();
        assert_eq!(hits, nearest(&query, |_| true));
    }
}

/// More of a filter's matches are dead, or farther away, than the nearest clusters hold.
#[test]
fn what_is_far_away_is_found_too() {
    let fake = Fake::start().unwrap();
    fill(&fake, Config::new(DIM, Metric::L2), true);
    let half = filter::gte("one", 250);
    for k in [500, 3000] {
        let hits = reader(&fake).search(vector(3)).k(k).filter(half.clone()).wait().unwrap();
        assert_eq!(hits.len(), k);
        let ids: BTreeSet<u64> = hits.iter().map(|hit| number(&hit.id)).collect();
        assert!(ids.len() == k && ids.iter().all(|n| n % 500 >= 250 && !is_dead(*n)));
    }
    let all = reader(&fake).search(vector(3)).k(100_000).wait().unwrap();
    assert_eq!(all.len() as u64, (0..ROWS).filter(|n| !is_dead(*n)).count() as u64);
}
