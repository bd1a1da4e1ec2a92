//! Filters: the same answer wherever a record is, and that of a naive evaluator; as many hits as are
//! asked for, if so many match.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

mod naive;
mod random;
mod refused;
mod results;
mod timestamps;

use std::collections::BTreeSet;

use random::Random;
use vecgo::filter::{eq, gte, lt};
use vecgo::{Collection, Config, Filter, Id, Index, Metric, Plan, Record, json};

type Value = serde_json::Value;

const DIM: usize = 4;

fn vector(random: &mut Random) -> [f32; DIM] {
    std::array::from_fn(|_| random.below(1000) as f32)
}

/// The ids that a filter matches, in a scan and in a search for all.
fn found(docs: &Collection, filter: &Filter) -> BTreeSet<Id> {
    let mut scan = docs.scan().filter(filter.clone()).wait().unwrap();
    let mut scanned = BTreeSet::new();
    while let Some(page) = scan.next_page().wait().unwrap() {
        scanned.extend(page.into_iter().map(|record| record.id));
    }
    let search = docs.search([1.0; DIM]).k(10_000).filter(filter.clone());
    for hits in [search.clone().wait().unwrap(), search.exact().wait().unwrap()] {
        let ids: BTreeSet<_> = hits.iter().map(|hit| hit.id.clone()).collect();
        assert_eq!(ids.len(), hits.len());
        assert_eq!(ids, scanned, "search and scan of {filter}");
    }
    assert_eq!(docs.count_where(filter.clone()).wait().unwrap(), scanned.len() as u64);
    scanned
}

fn assert_as_naive(docs: &Collection, documents: &[Value], filters: &[Value], place: &str) {
    for json in filters {
        let filter = Filter::from_json(json).unwrap();
        assert_eq!(&filter.to_json(), json);
        let found = found(docs, &filter);
        for (id, document) in (0u64..).zip(documents) {
            let expected = naive::matches(json, document);
            assert_eq!(found.contains(&id.into()), expected, "{place}: {json} on {document}");
        }
    }
}

fn records(random: &mut Random, documents: &[Value], first: usize) -> Vec<Record> {
    let record =
        |(id, document): (u64, &Value)| Record::new(id, vector(random)).metadata(document.clone());
    (first as u64..).zip(&documents[first..]).map(record).collect()
}

/// A million pairs of a filter and a document.
#[test]
fn filters_are_those_of_the_naive_evaluator_wherever_a_record_is() {
    const DOCUMENTS: usize = 2600;
    let mut random = Random(7);
    let documents: Vec<_> = (0..DOCUMENTS).map(|_| random::document(&mut random)).collect();
    let mut filters = || -> Vec<_> { (0..100).map(|_| random::filter(&mut random, 0)).collect() };
    let sets = [filters(), filters(), filters(), filters()];
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).auto_compact(false).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    docs.upsert(records(&mut random, &documents[..1500], 0)).wait().unwrap();
    docs.upsert(records(&mut random, &documents, 1500)).wait().unwrap();
    assert_as_naive(&docs, &documents, &sets[0], "in memory");
    // Others in their place, in a segment each and half of them in memory.
    docs.flush().wait().unwrap();
    docs.upsert(records(&mut random, &documents, 2000)).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.upsert(records(&mut random, &documents, 2300)).wait().unwrap();
    assert_as_naive(&docs, &documents, &sets[1], "flushed");
    docs.compact().wait().unwrap();
    assert_as_naive(&docs, &documents, &sets[2], "merged");
    let elsewhere = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    let elsewhere = elsewhere.collection("docs").wait().unwrap();
    assert_as_naive(&elsewhere, &documents, &sets[3], "read elsewhere");
    let again = sets.concat();
    assert_as_naive(&docs, &documents, &again[..20], "kept");
}

/// Nearest first among those that match, as brute force has it.
fn brute_force(
    rows: &[([f32; DIM], Value)],
    query: &[f32],
    matches: impl Fn(&Value) -> bool,
) -> Vec<u64> {
    let distance = |row: &[f32]| row.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let mut near: Vec<_> = (0u64..)
        .zip(rows)
        .filter(|(_, (_, document))| matches(document))
        .map(|(id, (row, _))| (distance(row), id))
        .collect();
    near.sort_by(|a, b| a.partial_cmp(b).unwrap());
    near.into_iter().map(|(_, id)| id).collect()
}

/// Whatever the share that matches, and wherever that is seen from the query.
#[test]
fn k_of_those_that_match_are_found_whatever_share_that_is() {
    for index in [Index::default(), Index::ivf(), Index::Flat] {
        let db = vecgo::open("memory://").wait().unwrap();
        let config = Config::new(DIM, Metric::L2).with_index(index);
        let docs = db.open_or_create("docs", config).wait().unwrap();
        let mut random = Random(11);
        let rows: Vec<_> = (0..6000)
            .map(|row| {
                let vector = vector(&mut random);
                let far = vector.iter().all(|value| *value > 600.0);
                let even = random.below(1000);
                (vector, json!({"n": even, "far": far, "row": row}))
            })
            .collect();
        let record = |(id, (vector, document)): (u64, &([f32; DIM], Value))| {
            Record::new(id, *vector).metadata(document.clone())
        };
        docs.upsert((0u64..).zip(&rows).map(record)).wait().unwrap();
        docs.compact().wait().unwrap();
        // Some of the nearest are dead.
        docs.delete((0u64..6000).step_by(5)).wait().unwrap();
        let lives = |document: &Value| !document["row"].as_u64().unwrap().is_multiple_of(5);
        let (mut near, mut wanted, mut walked) = (0, 0, 0);
        for share in [1, 3, 10, 100, 200, 500, 900, 1000] {
            let below = |document: &Value| document["n"].as_u64().unwrap() < share;
            for filter in [lt("n", share), lt("n", share) & eq("far", true)] {
                let far = filter != lt("n", share);
                let query = vector(&mut random);
                let expected = brute_force(&rows, &query, |document| {
                    lives(document) && below(document) && (!far || document["far"] == json!(true))
                });
                let expected = &expected[..expected.len().min(10)];
                let search = docs.search(query).filter(filter);
                let ids = |hits: Vec<vecgo::Hit>| -> Vec<Id> {
                    hits.into_iter().map(|hit| hit.id).collect()
                };
                let exact = ids(search.clone().exact().wait().unwrap());
                assert_eq!(exact, expected.iter().map(|id| Id::from(*id)).collect::<Vec<_>>());
                // With few candidates more matches are walked to than looked at.
                let searches = match index {
                    Index::Flat => vec![search],
                    Index::Ivf { .. } => vec![search.clone().nprobe(5), search],
                    Index::Graph { .. } | Index::Disk { .. } => vec![search.clone().ef(16), search],
                };
                for search in searches {
                    let explained = search.clone().explain().wait().unwrap();
                    walked += explained.parts.iter().filter(|part| part.plan == Plan::Walk).count();
                    let hits = ids(search.wait().unwrap());
                    assert_eq!(hits.len(), expected.len(), "{share}, far: {far}");
                    near += hits.iter().filter(|id| exact.contains(id)).count();
                    wanted += expected.len();
                }
            }
        }
        let graph = matches!(index, Index::Graph { .. });
        assert_eq!(walked >= 5, graph, "{walked} walks");
        assert!(near * 100 >= wanted * 95, "{near} of {wanted}");
    }
}

/// Those are put together from what is known of larger ranges, and from what the two differ by.
#[test]
fn ranges_of_many_values_are_those_of_the_documents() {
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    let mut random = Random(13);
    // Some values have very many rows, most have one or two, some rows have none.
    let values: Vec<Option<u64>> = (0..9000)
        .map(|_| match random.below(10) {
            0 => None,
            1 | 2 => Some(1000 * random.below(3) as u64),
            _ => Some(random.below(4000) as u64),
        })
        .collect();
    let record = |(id, value): (u64, &Option<u64>)| {
        let document = value.map_or(json!({}), |value| json!({"value": value}));
        Record::new(id, [1.0; DIM]).metadata(document)
    };
    docs.upsert((0u64..).zip(&values).map(record)).wait().unwrap();
    docs.compact().wait().unwrap();
    for _ in 0..300 {
        let (from, length) = (random.below(4200) as u64, 1 << random.below(13));
        let range = from..from + length;
        let filter = gte("value", range.start) & lt("value", range.end);
        let expected = values.iter().flatten().filter(|value| range.contains(value)).count();
        let found = docs.count_where(filter).wait().unwrap();
        assert_eq!(found, expected as u64, "{range:?}");
    }
}

/// What matches is in pockets between which nothing does, and about as far from a query as others.
#[test]
fn what_matches_in_far_pockets_is_found() {
    const WIDE: usize = 24;
    const POCKETS: usize = 400;
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(WIDE, Metric::L2)).wait().unwrap();
    let mut random = Random(12);
    let mut somewhere = |around: &[f32], spread: f32| -> Vec<f32> {
        let unit = |random: &mut Random| random.below(2001) as f32 / 1000.0 - 1.0;
        around.iter().map(|value| value + spread * unit(&mut random)).collect()
    };
    let centres: Vec<_> = (0..POCKETS).map(|_| somewhere(&[0.0; WIDE], 1.0)).collect();
    let rows: Vec<_> = (0..24_000).map(|row| somewhere(&centres[row % POCKETS], 0.8)).collect();
    let record = |(id, vector): (u64, &Vec<f32>)| {
        Record::new(id, vector.clone()).metadata(json!({"pocket": id % POCKETS as u64 / 40}))
    };
    for (first, rows) in (0u64..).step_by(4000).zip(rows.chunks(4000)) {
        docs.upsert((first..).zip(rows).map(record)).wait().unwrap();
    }
    docs.compact().wait().unwrap();
    docs.settle().wait().unwrap();
    let (mut found, mut wanted) = (0, 0);
    for _ in 0..100 {
        // With so few candidates matches are walked to, not looked at one by one.
        let query = somewhere(&[0.0; WIDE], 1.0);
        let search = docs.search(query).filter(eq("pocket", 3)).ef(32);
        let exact = search.clone().exact().wait().unwrap();
        let walked = search.clone().explain().wait().unwrap();
        assert!(walked.parts.iter().any(|part| part.plan == Plan::Walk), "{walked:?}");
        let hits = search.wait().unwrap();
        found += hits.iter().filter(|hit| exact.contains(hit)).count();
        wanted += exact.len();
    }
    // Walks from the nearest entries that lead to matches find 0.90.
    assert!(found * 100 >= wanted * 92, "{found} of {wanted}");
}

/// Rows of which some have short codes and others do not are gone through once.
#[test]
fn rows_in_memory_are_found_once() {
    const WIDE: usize = 64;
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(WIDE, Metric::L2)).wait().unwrap();
    let mut random = Random(17);
    let rows: Vec<[f32; WIDE]> =
        (0..3000).map(|_| std::array::from_fn(|_| random.below(1000) as f32)).collect();
    let record =
        |(n, row): (u64, &[f32; WIDE])| Record::new(n, *row).metadata(json!({"n": n % 20}));
    docs.upsert((0u64..).zip(&rows).map(record)).wait().unwrap();
    for _ in 0..4 {
        let query: [f32; WIDE] = std::array::from_fn(|_| random.below(1000) as f32);
        for least in [0, 1, 5, 19] {
            let search = docs.search(query).filter(gte("n", 19 - least));
            let ids = |search: vecgo::Search| -> Vec<Id> {
                search.wait().unwrap().into_iter().map(|hit| hit.id).collect()
            };
            assert_eq!(ids(search.clone()), ids(search.exact()), "{least}");
        }
    }
}

/// Nearly all is dead, and what lives is where no walk comes by.
#[test]
fn the_few_that_live_are_found() {
    let db = vecgo::open("memory://").auto_compact(false).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
    let record = |n: u64| {
        let island = n / 100;
        let at = [(island * 1000 + n % 10) as f32, (n % 100 / 10) as f32];
        Record::new(n, at).metadata(json!({"even": island.is_multiple_of(2)}))
    };
    docs.upsert((0..12_000).map(record)).wait().unwrap();
    docs.compact().wait().unwrap();
    docs.delete((0..12_000u64).filter(|n| n % 600 != 7)).wait().unwrap();
    let hits = docs.search([0.0, 0.0]).filter(eq("even", true)).k(10).wait().unwrap();
    let ids: Vec<_> = hits.into_iter().map(|hit| hit.id).collect();
    assert_eq!(ids, (0..10u64).map(|n| Id::from(n * 600 + 7)).collect::<Vec<_>>());
}

/// What is kept of a filter is of the rows that there were.
#[test]
fn a_filter_that_was_asked_before_finds_what_came_since() {
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    let filter = eq("kind", "even");
    for n in 0..200u64 {
        let kind = if n.is_multiple_of(2) { "even" } else { "odd" };
        let record = Record::new(n, [n as f32; DIM]).metadata(json!({"kind": kind}));
        docs.upsert([record]).wait().unwrap();
        if n == 150 {
            docs.flush().wait().unwrap();
        }
        let search = docs.search([n as f32; DIM]).filter(filter.clone()).k(1);
        assert_eq!(search.wait().unwrap()[0].id, Id::from(n / 2 * 2));
        assert_eq!(docs.count_where(filter.clone()).wait().unwrap(), n / 2 + 1);
    }
}

#[test]
fn what_a_filter_matches_is_deleted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap();
    let mut random = Random(3);
    let rows = |first: u64, random: &mut Random| -> Vec<Record> {
        let record = |n| Record::new(format!("id {n}"), vector(random)).metadata(json!({"n": n}));
        (first..first + 500).map(record).collect()
    };
    docs.upsert(rows(0, &mut random)).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.upsert(rows(500, &mut random)).wait().unwrap();
    let old = docs.commit().wait().unwrap();
    assert_eq!(docs.count_where(gte("n", 300)).wait().unwrap(), 700);
    assert_eq!(docs.delete_where(gte("n", 300)).wait().unwrap().records, 700);
    assert_eq!(docs.delete_where(gte("n", 300)).wait().unwrap().records, 0);
    assert_eq!(docs.count(), 300);
    assert!(docs.get("id 299").wait().unwrap().is_some());
    assert!(docs.get("id 300").wait().unwrap().is_none());
    docs.close().wait().unwrap();
    let docs = db.collection("docs").wait().unwrap();
    assert_eq!(docs.count_where(lt("n", 1000)).wait().unwrap(), 300);
    let then = docs.at_version(old).wait().unwrap();
    assert_eq!(then.count_where(gte("n", 300)).wait().unwrap(), 700);
}
