use std::process::{Child, Stdio};

use serde_json::Value;

use crate::command::{Place, Ran};
use crate::files::{Rng, npy_f32, npy_i32, write_truth};

const ARGS: &str = "--json bench db --queries queries.npy --truth truth.npy";

/// A bench takes seconds whatever it measures, so those of a test run side by side.
fn start(place: &Place, args: &str) -> Child {
    place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The answer, after a look at what scripts rely on.
fn finish(bench: Child) -> Value {
    let ran = Ran::from("bench".to_owned(), bench.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer = ran.object();
    for point in answer["points"].as_array().unwrap() {
        assert!(point["passes"].as_u64().unwrap() >= 3);
        let number = |key: &str| point[key].as_f64().unwrap_or_else(|| panic!("{key}: {answer}"));
        assert!(number("qps") >= number("qps_median"));
        assert!(number("qps_median") >= number("qps_slowest"));
        assert!(number("p50_us") > 0.0);
        assert!(number("p50_us") <= number("p95_us") && number("p95_us") <= number("p99_us"));
    }
    answer
}

#[test]
fn recall_of_an_exact_search_is_one() {
    let mut rng = Rng(3);
    let mut base = rng.rows(400, 8);
    // Equal rows: whichever comes is as good as the other.
    base.extend_from_within(..100);
    let queries = rng.rows(20, 8);
    let benches: Vec<_> = ["cosine", "l2", "dot"]
        .map(|metric| {
            let place = Place::with_flat(8, metric);
            npy_f32(&place.path("base.npy"), &base);
            npy_f32(&place.path("queries.npy"), &queries);
            write_truth(&place.path("truth.npy"), metric, &base, &queries, 10);
            place.ok("import db base.npy");
            let exact = if metric == "l2" { " --exact --threads 2" } else { "" };
            let bench = start(&place, &format!("{ARGS} -k 10{exact}"));
            (metric, place, bench)
        })
        .into_iter()
        .collect();
    for (metric, _place, bench) in benches {
        let answer = finish(bench);
        let point = &answer["points"][0];
        assert_eq!(point["recall"], 1.0, "{metric}");
        assert_eq!(point["param"], if metric == "l2" { "exact" } else { "default" });
        assert_eq!(answer["queries"], 20);
        assert_eq!(answer["threads"], if metric == "l2" { 2 } else { 1 });
        assert!(answer["limits"]["read_bytes_per_s"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn what_is_compared_with_what() {
    let place = Place::with_flat(1, "l2");
    let base: Vec<Vec<f32>> = (0..10u8).map(|n| vec![n.into()]).collect();
    npy_f32(&place.path("base.npy"), &base);
    place.ok("import db base.npy");
    let queries = |name: &str, rows: &[Vec<f32>]| npy_f32(&place.path(name), rows);
    let truth = |name: &str, rows: &[Vec<i32>]| npy_i32(&place.path(name), rows);
    let run = |queries: &str, truth: &str, k: usize| {
        start(&place, &format!("--json bench db --queries {queries} --truth {truth} -k {k}"))
    };

    // -1 ends a row: two of two found; then a row without any neighbour, of which all are found.
    queries("two.npy", &[vec![0.0], vec![5.0]]);
    truth("ends.npy", &[vec![0, 1, -1], vec![-1, 77, 78]]);
    let ends = run("two.npy", "ends.npy", 3);
    // Only the first row has a truth, and only its first k count.
    truth("one.npy", &[vec![0, 1, 9]]);
    let fewer_truths = run("two.npy", "one.npy", 2);
    // More truths than queries: the row that is wrong is not looked at.
    queries("one_query.npy", &[vec![0.0]]);
    truth("more.npy", &[vec![0], vec![12345]]);
    let fewer_queries = run("one_query.npy", "more.npy", 1);
    assert_eq!(finish(ends)["points"][0]["recall"], 1.0);
    let answer = finish(fewer_truths);
    assert_eq!((&answer["points"][0]["recall"], &answer["queries"]), (&1.0.into(), &1.into()));
    let answer = finish(fewer_queries);
    assert_eq!((&answer["points"][0]["recall"], &answer["queries"]), (&1.0.into(), &1.into()));

    // A truth that claims nearer rows than are there is not reached.
    queries("far.npy", &[vec![0.0]]);
    truth("nearer.npy", &[vec![0, 1]]);
    place.ok("delete db 0");
    place.ok("--json import db base.npy --first-id 100");
    let twice = run("far.npy", "nearer_absent.npy", 2);
    let ran = Ran::from("bench".to_owned(), twice.wait_with_output().unwrap());
    ran.is_refused("NotFound", &["nearer_absent.npy"]);
    let absent = run("far.npy", "nearer.npy", 1);
    let ran = Ran::from("bench".to_owned(), absent.wait_with_output().unwrap());
    ran.is_refused("InvalidArgument", &["row 0"]);
}

#[test]
fn a_table_for_people() {
    let place = Place::with_flat(2, "cosine");
    npy_f32(&place.path("queries.npy"), &[vec![1.0, 2.0]]);
    npy_i32(&place.path("truth.npy"), &[vec![0]]);
    place.ok("import db queries.npy");
    let table = place.ok("bench db --queries queries.npy --truth truth.npy -k 1 --batch");
    for word in ["recall", "qps", "p99 us", "default", "1.0000", "limit"] {
        assert!(table.contains(word), "{table}");
    }
}

/// Recall is that of each setting; a graph of few rows is searched like a flat one.
#[test]
fn a_sweep_has_a_point_for_each_number() {
    let place = Place::with_collection(8, "l2");
    let mut rng = Rng(4);
    let (base, queries) = (rng.rows(300, 8), rng.rows(15, 8));
    npy_f32(&place.path("base.npy"), &base);
    npy_f32(&place.path("queries.npy"), &queries);
    write_truth(&place.path("truth.npy"), "l2", &base, &queries, 10);
    place.ok("import db base.npy");
    let benches = [
        ("--sweep ef=16,64", vec!["ef=16", "ef=64"]),
        ("--sweep rerank=20 --ef 100 --threads 3", vec!["rerank=20"]),
        ("--ef=32", vec!["ef=32"]),
        ("", vec!["default"]),
        ("--exact", vec!["exact"]),
    ]
    .map(|(args, params)| (start(&place, &format!("{ARGS} {args}")), params));
    for (bench, params) in benches {
        let answer = finish(bench);
        let points = answer["points"].as_array().unwrap();
        assert_eq!(points.iter().map(|point| &point["param"]).collect::<Vec<_>>(), params);
        assert!(points.iter().all(|point| point["recall"] == 1.0), "{answer}");
        // Only of a search that reads all vectors can it be said how near memory's speed it is.
        assert_eq!(answer["limits"].is_object(), params == ["exact"]);
    }
}

#[test]
fn what_is_refused() {
    let place = Place::with_flat(2, "l2");
    npy_f32(&place.path("queries.npy"), &[vec![1.0, 2.0]]);
    npy_f32(&place.path("three.npy"), &[vec![1.0, 2.0, 3.0]]);
    npy_i32(&place.path("truth.npy"), &[vec![0]]);
    npy_i32(&place.path("negative.npy"), &[vec![-2]]);
    place.ok("import db queries.npy");
    let bench = "bench db --queries queries.npy --truth";
    place.refuses(
        &format!("{bench} truth.npy --sweep ef=16,32"),
        "InvalidArgument",
        &["--sweep", "flat"],
    );
    place.refuses(&format!("{bench} truth.npy --ef 16"), "InvalidArgument", &["ef", "flat"]);
    let graph = "create db --dim 2 --metric l2 --collection graph";
    place.ok(graph);
    let graph = format!("{bench} truth.npy --collection graph --sweep");
    place.refuses(&format!("{graph} nprobe=1,2"), "InvalidArgument", &["--sweep", "nprobe"]);
    place.refuses(&format!("{graph} ef=16,0"), "InvalidArgument", &["--sweep", "ef is 0"]);
    for (wrong, word) in [
        ("16", "KNOB=N"),
        ("ef=", "numbers"),
        ("ef=1,,2", "numbers"),
        ("ef=-1", "numbers"),
        ("k=1", "expected ef"),
        ("ef=16 --exact", "--exact"),
        ("ef=16 --ef 8", "--ef"),
    ] {
        let ran = place.run(&format!("--json {graph} {wrong}"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        ran.tells_failure("InvalidArgument", &[word]);
    }
    place.refuses(&format!("{bench} truth.npy --filter {{}}"), "InvalidArgument", &["filter"]);
    place.refuses(&format!("{bench} queries.npy"), "InvalidArgument", &["queries.npy", "<i4"]);
    place.refuses(&format!("{bench} negative.npy"), "InvalidArgument", &["negative.npy", "-2"]);
    place.refuses(&format!("{bench} nope.npy"), "NotFound", &["nope.npy"]);
    let three = "bench db --queries three.npy --truth truth.npy";
    place.refuses(three, "InvalidArgument", &["three.npy", "3 dimensions", "expected 2"]);
    for flags in ["-k 0", "--threads 0"] {
        let ran = place.run(&format!("--json {bench} truth.npy {flags}"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        ran.tells_failure("InvalidArgument", &["1 or more"]);
    }
}
