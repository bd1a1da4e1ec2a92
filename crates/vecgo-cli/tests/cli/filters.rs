//! `--filter` of every verb that has one, `explain` and `facet`.

use serde_json::{Value, json};

use crate::command::Place;

const FEW: &str = r#"{"field":"n","op":"lt","value":3}"#;

fn place() -> Place {
    let place = Place::with_collection(1, "l2");
    let line = |n: u32| json!({"id": n, "vector": [n], "metadata": {"n": n, "kind": n % 2}, "payload": null});
    let lines: Vec<String> = (0..20).map(|n| line(n).to_string()).collect();
    place.write("records.jsonl", lines.join("\n") + "\n");
    place.ok("import db records.jsonl");
    place
}

fn ids(answer: &Value) -> Vec<u64> {
    let hits = answer["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["id"].as_u64().unwrap()).collect()
}

#[test]
fn only_what_matches_is_found_counted_and_deleted() {
    let place = place();
    let search = format!("--json search db --vector [9] --filter {FEW}");
    assert_eq!(ids(&place.run(&search).object()), [2, 1, 0]);
    let near = place.run(&format!("{search} --min-score -50")).object();
    assert_eq!(ids(&near), [2]);
    let count = |filter: &str| place.run(&format!("--json count db --filter {filter}")).object();
    assert_eq!(count(FEW)["count"], 3);
    let delete = format!("--json delete db --filter {FEW}");
    let dry = place.run(&format!("{delete} --dry-run")).object();
    assert_eq!((&dry["deleted"], &dry["would_delete"]), (&json!(0), &json!(3)));
    assert_eq!(place.run("--json count db").object()["count"], 20);
    assert_eq!(place.run(&delete).object()["deleted"], 3);
    assert_eq!(place.run("--json count db").object()["count"], 17);
    assert_eq!(place.run(&search).object()["hits"], json!([]));
    assert_eq!(place.run("delete db").code, Some(2));
    assert_eq!(place.run(&format!("delete db 4 --filter {FEW}")).code, Some(2));
}

#[test]
fn values_are_counted_and_searches_explained() {
    let place = place();
    let facets = place.run(&format!("--json facet db kind --filter {FEW}")).object();
    let expected = json!([{"value": 0, "count": 2}, {"value": 1, "count": 1}]);
    assert_eq!(facets["facets"], expected);
    let explain = format!("explain db --vector [9] --filter {FEW}");
    let explained = place.run(&format!("--json {explain}")).object();
    assert_eq!(explained["hits"], 3);
    let parts = explained["parts"].as_array().unwrap();
    let matched: u64 = parts.iter().filter_map(|part| part["matched"].as_u64()).sum();
    assert_eq!(matched, 3, "{explained}");
    let table = place.ok(&explain);
    assert!(table.contains("3 hits") && table.contains("why"), "{table}");
}

#[test]
fn a_filter_that_is_none_is_refused_with_what_was_expected() {
    let place = place();
    for verb in ["search db --vector [1]", "count db", "delete db", "facet db kind"] {
        let told = ["--filter", "expected one of eq, ne"];
        let filter = r#"{"field":"n","op":"=","value":1}"#;
        place.refuses(&format!("{verb} --filter {filter}"), "InvalidArgument", &told);
        place.refuses(&format!("{verb} --filter {{n:1}}"), "InvalidArgument", &["--filter"]);
    }
}
