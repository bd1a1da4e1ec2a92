//! `stats`, `versions`, `doctor` and `completions`.

use std::time::Duration;

use serde_json::Value;
use vecgo_stores::Fake;

use crate::command::{Place, Ran};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn stats() {
    let place = Place::with_collection(2, "l2");
    place.write("a.jsonl", "{\"id\":1,\"vector\":[1,2]}\n{\"id\":2,\"vector\":[1,2]}\n");
    let empty = place.json("stats db");
    assert_eq!((&empty["records"], &empty["version"]), (&0.into(), &0.into()));
    place.ok("import db a.jsonl");
    place.ok("delete db 1");
    let stats = place.json("stats db");
    for (key, value) in [
        ("collection", Value::from("default")),
        ("dim", 2.into()),
        ("metric", "l2".into()),
        ("index", "graph".into()),
        ("m", 32.into()),
        ("ef_construction", 200.into()),
        ("quantization", "rabitq:8".into()),
        ("records", 1.into()),
        ("dead_rows", 1.into()),
        ("sequence", 3.into()),
        ("memtable_rows", 0.into()),
    ] {
        assert_eq!(stats[key], value, "{key}: {stats}");
    }
    let segments = stats["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 1);
    assert_eq!(
        keys(&segments[0]),
        ["bytes", "dead_rows", "index", "number", "quantization", "rows"]
    );
    assert_eq!((&segments[0]["rows"], &segments[0]["dead_rows"]), (&2.into(), &1.into()));
    assert_eq!(stats["segment_bytes"], segments[0]["bytes"]);
    assert!(place.ok("stats db").contains("1 live, 1 dead"));
}

#[test]
fn versions() {
    let place = Place::with_collection(2, "l2");
    assert_eq!(place.json("versions db"), serde_json::json!({"versions": []}));
    place.write("a.jsonl", "{\"id\":1,\"vector\":[1,2]}\n");
    for _ in 0..3 {
        place.ok("import db a.jsonl");
    }
    let versions = place.json("versions db");
    let versions = versions["versions"].as_array().unwrap();
    let numbers: Vec<u64> = versions.iter().map(|info| info["version"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    assert_eq!(numbers[0], place.json("stats db")["version"]);
    assert_eq!(versions[0]["sequence"], 3);
    let all = ["created", "created_ms", "pinned_by", "segments", "sequence", "tags", "version"];
    assert_eq!(keys(&versions[0]), all);
    let created = versions[0]["created"].as_str().unwrap();
    assert!(created.starts_with("20") && created.ends_with('Z'), "{created}");
    assert_eq!(place.ok("versions db").lines().count(), versions.len());
}

#[test]
fn tags_and_vacuum() {
    let place = Place::with_collection(2, "l2");
    place.write("a.jsonl", "{\"id\":1,\"vector\":[1,2]}\n");
    place.write("b.jsonl", "{\"id\":2,\"vector\":[1,1]}\n");
    place.ok("import db a.jsonl");
    let tagged = place.json("tag db before");
    assert_eq!(keys(&tagged), ["tag", "version"]);
    for _ in 0..5 {
        place.ok("import db b.jsonl");
    }
    let deleted = place.json("vacuum db --keep 1");
    assert_eq!(keys(&deleted), ["bytes", "objects", "versions"]);
    assert!(deleted["versions"].as_u64().unwrap() > 0, "{deleted}");
    let versions = place.json("versions db");
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2, "{versions}");
    assert_eq!(versions["versions"][1]["tags"], serde_json::json!(["before"]));
    let hits = place.json("search db --vector [1,1] -k 9 --tag before");
    assert_eq!(hits["hits"].as_array().unwrap().len(), 1, "{hits}");
    assert_eq!(place.json("untag db before"), tagged);
    place.refuses("untag db before", "NotFound", &["no tag `before`"]);
    place.ok("vacuum db --keep 1");
    assert_eq!(place.json("versions db")["versions"].as_array().unwrap().len(), 1);
    assert_eq!(place.json("verify db")["ok"], true);
}

#[test]
fn doctor() {
    let place = Place::with_collection(2, "l2");
    std::fs::create_dir(place.path("empty")).unwrap();
    place.write("file", "");
    for uri in ["db", "empty", "not/there/yet"] {
        let report = place.json(&format!("doctor {uri}"));
        assert_eq!(report["ok"], true, "{report}");
        let checks = report["checks"].as_array().unwrap();
        for check in checks {
            assert_eq!(keys(check), ["check", "found", "ok"]);
        }
        let names: Vec<_> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
        for name in ["kernels", "directory", "write, sync", "hard links", "rename", "locks"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(place.ok(&format!("doctor {uri}")).lines().all(|line| line.starts_with("ok")));
    }
    assert!(!place.path("not").exists());
    let left: Vec<_> = std::fs::read_dir(place.path("empty")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    place.refuses("doctor http://bucket", "Unsupported", &["director", "bucket"]);
    let ran = place.run("--json doctor file");
    assert_eq!((ran.code, &ran.object()["ok"]), (Some(1), &false.into()), "{ran:?}");
}

#[test]
fn doctor_of_a_bucket() {
    let place = Place::new();
    let fake = Fake::start().unwrap();
    let look = || {
        let mut command = place.command("--json doctor s3://test/db");
        command.env("AWS_ENDPOINT", fake.endpoint()).env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        let ran = Ran::of(command);
        let report = ran.object();
        let checks = report["checks"].as_array().unwrap().iter();
        let failed = checks.filter(|check| check["ok"] == false);
        let failed: Vec<String> = failed.map(|check| check["check"].to_string()).collect();
        (ran.code, failed.join(", "), report)
    };
    let (code, failed, report) = look();
    assert_eq!((code, &*failed), (Some(0), ""), "{report}");
    let ok = report["checks"].as_array().unwrap().iter().map(|check| &check["check"]);
    for name in ["reachable", "conditions", "races", "parts", "clock", "latency"] {
        assert!(ok.clone().any(|check| check == name), "{name}: {report}");
    }
    fake.set_clock_behind(Duration::from_secs(100));
    let (code, failed, report) = look();
    assert_eq!((code, &*failed), (Some(1), "\"clock\""), "{report}");
    assert!(report.to_string().contains(" s ahead of that of the bucket"), "{report}");
    fake.set_clock_behind(Duration::ZERO);
    fake.keep_conditions(false);
    let (code, failed, report) = look();
    assert_eq!((code, &*failed), (Some(1), "\"conditions\", \"races\""), "{report}");
}

#[test]
fn doctor_tells_of_a_wrong_environment() {
    let place = Place::new();
    let mut command = place.command("--json doctor .");
    let ran = Ran::of({
        command.env("VECGO_SIMD", "neon9");
        command
    });
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = ran.object();
    assert_eq!(report["ok"], false);
    assert!(report["checks"][0]["found"].as_str().unwrap().contains("neon9"), "{report}");
}

#[test]
fn completions() {
    let place = Place::new();
    for (shell, word) in
        [("bash", "complete "), ("zsh", "#compdef vecgo"), ("fish", "complete -c vecgo")]
    {
        let script = place.ok(&format!("completions {shell}"));
        assert!(script.contains(word), "{shell}");
        for verb in ["create", "import", "search", "verify"] {
            assert!(script.contains(verb), "{shell} {verb}");
        }
    }
    assert_eq!(place.run("completions tcsh").code, Some(2));
}

#[test]
fn help_and_version() {
    let place = Place::new();
    assert!(place.ok("--version").starts_with("vecgo 0."));
    let help = place.ok("--help");
    for verb in [
        "demo",
        "create",
        "collections",
        "drop",
        "rename",
        "import",
        "search",
        "bench",
        "get",
        "delete",
        "count",
        "stats",
        "versions",
        "verify",
        "doctor",
        "completions",
    ] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "{verb}");
        place.ok(&format!("{verb} --help"));
    }
}
