//! `compact`, and what `import` merges.

use crate::command::Place;

/// A collection of `count` segments with ten records each, and one that was replaced: few of a
/// segment's rows are dead, so that it is left alone.
fn with_segments(count: u64) -> Place {
    let place = Place::with_collection(2, "l2");
    for n in 0..count {
        let record = |n: u64| format!("{{\"id\":{n},\"vector\":[{n},1]}}\n");
        place.write("a.jsonl", (10 * n..10 * n + 10).map(record).collect::<String>());
        place.ok("import db a.jsonl --no-wait --wal-sync every");
        // What is left in the log becomes a segment.
        place.write("b.jsonl", "{\"id\":1000,\"vector\":[1,2]}\n");
        place.ok("import db b.jsonl");
    }
    place
}

#[test]
fn segments_become_one() {
    let place = with_segments(3);
    let before = place.json("stats db");
    assert!(before["segments"].as_array().unwrap().len() > 1);
    let done = place.json("compact db");
    let keys: Vec<&String> = done.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["rows", "seconds", "segments", "version"]);
    assert_eq!((&done["segments"], &done["rows"]), (&1.into(), &31.into()));
    let stats = place.json("stats db");
    assert_eq!(stats["segments"].as_array().unwrap().len(), 1);
    assert_eq!((&stats["dead_rows"], &stats["version"]), (&0.into(), &done["version"]));
    assert_eq!(place.json("count db")["count"], 31);
    let again = place.json("compact db");
    assert_eq!(again["version"], done["version"]);
    assert!(place.ok("compact db").contains("1 segment, 31 rows"));
    let old = before["version"].as_u64().unwrap();
    let hits = place.json(&format!("search db --vector [1,2] -k 99 --version {old}"));
    assert_eq!(hits["hits"].as_array().unwrap().len(), 31);
    place.ok("verify db");
}

#[test]
fn nothing_to_merge() {
    let place = Place::with_collection(2, "l2");
    let done = place.json("compact db");
    assert_eq!((&done["version"], &done["segments"]), (&0.into(), &0.into()));
}

#[test]
fn an_import_merges_what_is_due() {
    let place = with_segments(12);
    let stats = place.json("stats db");
    let segments = stats["segments"].as_array().unwrap();
    assert!(segments.len() <= 4, "{stats}");
    assert_eq!(stats["records"], 121);
}
