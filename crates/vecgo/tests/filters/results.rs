//! What comes back besides the nearest: facets, groups, scores, parts of metadata, explanations.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use vecgo::filter::{eq, exists, gte, lt};
use vecgo::{Collection, Config, ErrorKind, Facet, Metric, Plan, Record, json};

use crate::random::{self, Random};

type Value = serde_json::Value;

const ROWS: u64 = 3000;

fn filled(compacted: bool) -> (vecgo::Database, Collection) {
    let db = vecgo::open("memory://").auto_compact(false).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
    let record = |n: u64| {
        let tags = [json!(n % 2), json!("x".repeat(130) + &(n % 3).to_string()), json!([n])];
        let document = json!({
            "n": n, "kind": n % 7, "tags": tags, "a": {"b": n % 4, "c": true}, "even": n.is_multiple_of(2),
        });
        Record::new(n, [n as f32, 0.0]).metadata(document)
    };
    docs.upsert((0..ROWS / 2).map(record)).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.upsert((ROWS / 2..ROWS).map(record)).wait().unwrap();
    if compacted {
        docs.compact().wait().unwrap();
    }
    docs.delete((0..ROWS).step_by(10)).wait().unwrap();
    (db, docs)
}

#[test]
fn facets_count_the_records_of_each_value() {
    for compacted in [false, true] {
        let (_db, docs) = filled(compacted);
        let facet = |value: Value, count| Facet { value, count };
        let live = |n: &u64| !n.is_multiple_of(10);
        let count =
            |of: &dyn Fn(u64) -> bool| (0..ROWS).filter(live).filter(|n| of(*n)).count() as u64;
        let mut expected: Vec<_> =
            (0..7).map(|k| facet(json!(k), count(&|n| n % 7 == k))).collect();
        expected.sort_by_key(|facet| Reverse(facet.count));
        assert_eq!(docs.facet("kind", 10, None).wait().unwrap(), expected);
        assert_eq!(docs.facet("kind", 2, None).wait().unwrap(), expected[..2]);
        let odd = docs.facet("a.b", 9, Some(eq("even", false))).wait().unwrap();
        let of = |b| facet(json!(b), count(&|n| n % 4 == b));
        assert_eq!(odd, [of(1), of(3)]);
        let tags = docs.facet("tags", 9, Some(lt("n", 300))).wait().unwrap();
        let long = |m: u64| {
            let text = "x".repeat(130) + &m.to_string();
            facet(json!(text), count(&|n| n < 300 && n % 3 == m))
        };
        let mut expected = vec![
            facet(json!(1), count(&|n| n < 300 && n % 2 == 1)),
            facet(json!(0), count(&|n| n < 300 && n % 2 == 0)),
            long(0),
            long(1),
            long(2),
        ];
        expected.sort_by_key(|facet| Reverse(facet.count));
        assert_eq!(tags, expected);
        assert_eq!(docs.facet("nowhere", 9, None).wait().unwrap(), []);
        assert_eq!(docs.facet("a", 9, None).wait().unwrap(), []);
    }
}

/// Against counts of the documents, of any kind.
#[test]
fn facets_of_random_documents_are_those_of_the_documents() {
    let mut random = Random(5);
    let documents: Vec<_> = (0..800).map(|_| random::document(&mut random)).collect();
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(1, Metric::L2)).wait().unwrap();
    let record = |(n, document): (u64, &Value)| Record::new(n, [1.0]).metadata(document.clone());
    docs.upsert((0u64..).zip(&documents).map(record)).wait().unwrap();
    for flushed in [false, true] {
        if flushed {
            docs.flush().wait().unwrap();
        }
        for (field, path) in [("a", "/a"), (r"a\.b", "/a.b"), ("deep.a", "/deep/a")] {
            let mut expected: BTreeMap<String, u64> = BTreeMap::new();
            for document in &documents {
                let mut values = match document.pointer(path) {
                    Some(Value::Array(list)) => list.clone(),
                    Some(value) => vec![value.clone()],
                    None => continue,
                };
                values.retain(|value| !value.is_array() && !value.is_object());
                let mut names: Vec<String> = values.iter().map(name).collect();
                names.sort();
                names.dedup();
                names.into_iter().for_each(|name| *expected.entry(name).or_default() += 1);
            }
            let facets = docs.facet(field, 10_000, None).wait().unwrap();
            let found: BTreeMap<_, _> = facets.iter().map(|f| (name(&f.value), f.count)).collect();
            assert_eq!(found.len(), facets.len());
            assert_eq!(found, expected, "{field}");
        }
    }
}

/// Equal numbers have one name.
fn name(value: &Value) -> String {
    match value.as_f64() {
        Some(float) if value.is_f64() && float.abs() < 1e19 && float.fract() == 0.0 => {
            (float as i128).to_string()
        }
        _ => value.to_string(),
    }
}

#[test]
fn groups_are_the_nearest_of_each_value() {
    for compacted in [false, true] {
        let (_db, docs) = filled(compacted);
        let search = docs.search([2999.0, 0.0]).filter(lt("n", 2000)).k(3);
        let groups = search.clone().with_fields(["n"]).grouped_by("kind", 2).wait().unwrap();
        let found: Vec<_> = groups
            .iter()
            .map(|group| {
                let n = |hit: &vecgo::Hit| hit.metadata.clone().unwrap();
                (group.value.clone(), group.hits.iter().map(n).collect::<Vec<_>>())
            })
            .collect();
        let of = |n: u64, m: u64| (json!(n % 7), vec![json!({"n": n}), json!({"n": m})]);
        assert_eq!(found, [of(1999, 1992), of(1998, 1991), of(1997, 1983)]);
        // Of the kind 1990 % 7 the nearest is dead.
        assert_eq!(1990 % 7, 1997 % 7);
        let all = search.clone().k(100).exact().grouped_by("kind", 1000).wait().unwrap();
        assert_eq!(all.iter().map(|group| group.hits.len()).sum::<usize>(), 1800);
        assert!(all.iter().all(|group| group.hits.iter().all(|hit| hit.metadata.is_none())));
        assert_eq!(search.clone().grouped_by("nowhere", 2).wait().unwrap(), []);
        let refused = search.k(0).grouped_by("kind", 2).wait().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn hits_have_the_score_and_the_fields_that_are_asked_for() {
    let (_db, docs) = filled(true);
    let search = docs.search([2000.0, 0.0]).k(100);
    let near = search.clone().min_score(-9.0).wait().unwrap();
    // Three away at most, and 2000 is dead.
    assert_eq!(near.len(), 6);
    let refused = search.clone().min_score(f32::NAN).wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert_eq!(search.clone().min_score(0.5).wait().unwrap(), []);
    let batch = docs.search_batch([[1.0, 0.0], [9999.0, 0.0]]).min_score(-1.0).wait().unwrap();
    assert_eq!(batch.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0]);
    let one = search.k(1).filter(eq("n", 1999));
    let metadata = |search: vecgo::Search| search.wait().unwrap()[0].metadata.clone().unwrap();
    assert_eq!(
        metadata(one.clone().with_fields(["a.b", "n", "no.where"])),
        json!({"a": {"b": 3}, "n": 1999})
    );
    let without = metadata(one.clone().without_fields(["a.b", "tags", "kind", "x.y"]));
    assert_eq!(without, json!({"a": {"c": true}, "n": 1999, "even": false}));
    assert_eq!(metadata(one.with_fields(["a", "a.b"])), json!({"a": {"b": 3, "c": true}}));
}

#[test]
fn an_explanation_says_which_way_was_taken() {
    let db = vecgo::open("memory://").auto_compact(false).wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
    let record = |n: u64| Record::new(n, [n as f32, 1.0]).metadata(json!({"n": n}));
    for first in [0, 6_000, 12_000, 18_000] {
        docs.upsert((first..first + 6_000).map(record)).wait().unwrap();
    }
    docs.compact().wait().unwrap();
    docs.upsert((24_000..24_010).map(record)).wait().unwrap();
    let search = docs.search([5.0, 1.0]);
    let explain = |search: vecgo::Search| search.explain().wait().unwrap();
    let plans = |explained: &vecgo::Explained| -> Vec<_> {
        explained.parts.iter().map(|part| (part.segment.is_some(), part.plan)).collect()
    };
    let plain = explain(search.clone());
    assert_eq!(plans(&plain), [(true, Plan::Walk), (false, Plan::Vectors)]);
    assert_eq!(plain.hits, search.clone().wait().unwrap());
    assert!(plain.parts[0].estimated > 100 && plain.parts[0].scored >= 10);
    assert_eq!((plain.parts[1].rows, plain.parts[1].scored), (10, 10));
    let few = explain(search.clone().filter(lt("n", 50)));
    assert_eq!(plans(&few), [(true, Plan::Codes), (false, Plan::Nothing)]);
    assert_eq!((few.parts[0].matched, few.parts[0].estimated), (Some(50), 50));
    assert_eq!(few.parts[1].matched, Some(0));
    assert!(!few.parts[0].kept && few.parts[0].reads > 0, "{few:?}");
    let again = explain(search.clone().filter(lt("n", 50)));
    assert!(again.parts[0].kept);
    assert_eq!((again.parts[0].reads, again.parts[0].read_bytes), (0, 0));
    let many = explain(search.clone().filter(exists("n")));
    assert_eq!(plans(&many), [(true, Plan::Walk), (false, Plan::Vectors)]);
    let none = explain(search.clone().filter(gte("n", 1_000_000)));
    assert_eq!((none.hits.len(), none.parts[0].plan), (0, Plan::Nothing));
    assert_eq!(none.parts[0].why, "nothing matches");
    let exact = explain(search.exact());
    assert_eq!(plans(&exact), [(true, Plan::Vectors), (false, Plan::Vectors)]);
    assert_eq!(exact.parts[0].scored, 24_000);
}
