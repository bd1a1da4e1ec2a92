use serde_json::{Value, json};

use crate::command::{Place, Ran};
use crate::files::{Rng, as_json, nearest, npy_f32};

const METRICS: [&str; 3] = ["cosine", "l2", "dot"];

/// Rows of `base` by their numbers, with metadata that repeats them.
fn import(place: &Place, base: &[Vec<f32>]) {
    npy_f32(&place.path("base.npy"), base);
    let lines: Vec<String> = (0..base.len()).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    place.write("side.jsonl", lines.concat());
    place.ok("import db base.npy --metadata side.jsonl");
}

/// The hits are those of brute force, to the rounding of an f32.
fn check(answer: &Value, metric: &str, base: &[Vec<f32>], query: &[f32], k: usize) {
    let expected = nearest(metric, base, query, k);
    let hits = answer["hits"].as_array().unwrap();
    assert_eq!(hits.len(), expected.len());
    for (hit, (row, distance)) in hits.iter().zip(expected) {
        assert_eq!(hit["id"], row, "{metric}: {hits:?}");
        assert_eq!(hit["metadata"], json!({"n": row}));
        let score = if metric == "cosine" { 1.0 - distance } else { -distance };
        let near = |name: &str, value: f64| {
            let found = hit[name].as_f64().unwrap();
            assert!(
                (found - value).abs() <= 1e-6 * value.abs().max(1.0),
                "{name}: {found} {value}"
            );
        };
        near("distance", distance);
        near("score", score);
        assert_eq!(hit.as_object().unwrap().len(), 4, "{hit}");
    }
}

#[test]
fn by_a_vector_and_by_a_file() {
    let mut rng = Rng(2);
    let (base, queries) = (rng.rows(500, 9), rng.rows(300, 9));
    for metric in METRICS {
        let place = Place::with_flat(9, metric);
        import(&place, &base);
        npy_f32(&place.path("queries.npy"), &queries);
        for k in [1, 10, 600] {
            let found = place.json(&format!("search db -k {k} --vector {}", as_json(&queries[0])));
            check(&found, metric, &base, &queries[0], k);
        }
        check(
            &place.json(&format!("search db --exact --vector {}", as_json(&queries[1]))),
            metric,
            &base,
            &queries[1],
            10,
        );
        let all = place.run("--json search db --query-file queries.npy -k 4");
        assert_eq!(all.code, Some(0), "{all:?}");
        let all = all.lines();
        assert_eq!(all.len(), queries.len());
        for (answer, query) in all.iter().zip(&queries) {
            check(answer, metric, &base, query, 4);
        }
    }
}

#[test]
fn few_hits_and_none() {
    let place = Place::with_collection(2, "l2");
    assert_eq!(place.json("search db --vector [1,2]"), json!({"hits": []}));
    assert_eq!(place.ok("search db --vector [1,2]"), "no hits\n");
    import(&place, &[vec![0.0, 0.0], vec![3.0, 4.0]]);
    let hits = json!({"hits": [
        {"id": 1, "score": -0.0, "distance": 0.0, "metadata": {"n": 1}},
        {"id": 0, "score": -25.0, "distance": 25.0, "metadata": {"n": 0}},
    ]});
    assert_eq!(place.json("search db --vector [3,4]"), hits);
    assert_eq!(place.json("search db --vector [3,4] -k 0"), json!({"hits": []}));
    let lines = place.ok("search db --vector [3,4]");
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().nth(1).unwrap().ends_with("-25.000000  0  {\"n\":0}"), "{lines}");
    assert_eq!(place.run("--json search db --query-file side.jsonl").code, Some(3));
}

#[test]
fn an_old_version() {
    let place = Place::with_collection(1, "l2");
    import(&place, &[vec![1.0], vec![2.0]]);
    let old = place.json("stats db")["version"].as_u64().unwrap();
    place.ok("delete db 0");
    let ids = |args: &str| -> Vec<Value> {
        let found = place.json(&format!("search db --vector [1] {args}"));
        found["hits"].as_array().unwrap().iter().map(|hit| hit["id"].clone()).collect()
    };
    assert_eq!(ids(""), [1]);
    assert_eq!(ids(&format!("--version {old}")), [0, 1]);
    assert_eq!(ids(&format!("--version {}", old + 1)), [1]);
    for gone in [0, old + 2, u64::MAX] {
        let args = format!("search db --vector [1] --version {gone}");
        place.refuses(&args, "VersionGone", &[&gone.to_string()]);
    }
}

#[test]
fn knobs() {
    let place = Place::with_collection(2, "l2");
    import(&place, &[vec![0.0, 0.0], vec![3.0, 4.0], vec![6.0, 8.0]]);
    npy_f32(&place.path("queries.npy"), &[vec![3.0, 4.0]]);
    let plain = place.json("search db --vector [3,4]");
    for knobs in ["--ef 32", "--ef=32", "--rerank=1", "--ef 1 --rerank 65536", "--exact"] {
        assert_eq!(place.json(&format!("search db --vector [3,4] {knobs}")), plain, "{knobs}");
        let file = format!("search db --query-file queries.npy {knobs}");
        assert_eq!(place.json(&file), plain, "{knobs}");
        let refused = format!("{file} --nprobe 8");
        place.refuses(&refused, "InvalidArgument", &["nprobe", "graph"]);
    }
    for (knob, words) in [
        ("--ef 0", ["ef is 0", "1 to 65536"]),
        ("--ef 65537", ["ef is 65537", "1 to 65536"]),
        ("--rerank=0", ["rerank is 0", "1 to 65536"]),
    ] {
        for queries in ["--vector [3,4]", "--query-file queries.npy"] {
            place.refuses(&format!("search db {queries} {knob}"), "InvalidArgument", &words);
        }
    }
    for word in ["-1", "many", ""] {
        let ran = place.run(&format!("search db --vector [3,4] --ef={word}"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
}

#[test]
fn knobs_that_do_nothing_are_refused() {
    let place = Place::with_flat(2, "l2");
    for knob in ["ef", "nprobe", "rerank"] {
        let args = format!("search db --vector [1,2] --{knob} 10");
        place.refuses(&args, "InvalidArgument", &[knob, "flat"]);
    }
    place.ok("create db --dim 2 --metric l2 --quantization none --collection plain");
    let plain = "search db --collection plain --vector [1,2]";
    place.refuses(&format!("{plain} --rerank 10"), "InvalidArgument", &["rerank", "none"]);
    place.ok(&format!("{plain} --ef 10"));
}

#[test]
fn queries_that_cannot_be() {
    let place = Place::with_collection(3, "cosine");
    import(&place, &[vec![1.0, 2.0, 3.0]]);
    for (vector, words) in [
        ("[1,2]", ["2 dimensions", "expected 3"]),
        ("[]", ["0 dimensions", "expected 3"]),
        ("[1,2,3,4]", ["4 dimensions", "expected 3"]),
        ("[1,2,null]", ["--vector", "expected a number"]),
        ("[1,2,\"3\"]", ["--vector", "expected a number"]),
        ("7", ["--vector", "a list of numbers"]),
        ("[1,2,1e39]", ["--vector", "out of range"]),
        ("[0,0,0]", ["squared length 0", "cosine"]),
        ("[1,2", ["--vector", "EOF"]),
        ("", ["--vector", "EOF"]),
    ] {
        place.refuses_of(&["search", "db", "--vector", vector], "InvalidArgument", &words);
    }
    npy_f32(&place.path("two.npy"), &[vec![1.0, 2.0]]);
    place.refuses("search db --query-file two.npy", "InvalidArgument", &["2 dimensions"]);
    place.refuses("search db --query-file nope.npy", "NotFound", &["nope.npy"]);
    for args in ["search db", "search db --vector [1,2,3] --query-file two.npy"] {
        let ran: Ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
}
