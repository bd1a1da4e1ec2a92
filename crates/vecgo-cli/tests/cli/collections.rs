use serde_json::json;

use crate::command::Place;

#[test]
fn create() {
    let place = Place::new();
    let created = place.json("create db --dim 3 --metric cosine");
    assert_eq!(created, json!({"name": "default", "created": true}));
    let told =
        place.ok("create db --dim 7 --metric l2 --index flat --quantization none --collection b");
    assert!(told.contains("`b`") && told.contains("dim 7"), "{told}");
    place.refuses("create db --dim 3 --metric cosine", "AlreadyExists", &["default"]);
    place.refuses("create db --dim 4 --metric l2", "AlreadyExists", &["default"]);

    let there = place.json("create db --dim 3 --metric cosine --if-not-exists");
    assert_eq!(there, json!({"name": "default", "created": false}));
    let new = place.json("create db --dim 3 --metric dot --if-not-exists --collection c");
    assert_eq!(new, json!({"name": "c", "created": true}));
    for (other, words) in [
        ("--dim 4 --metric cosine", ["dim 3", "dim 4"]),
        ("--dim 3 --metric l2", ["metric cosine", "metric l2"]),
    ] {
        place.refuses(&format!("create db {other} --if-not-exists"), "Conflict", &words);
    }

    let listed = place.json("collections db");
    let listed = listed["collections"].as_array().unwrap();
    let names: Vec<_> = listed.iter().map(|info| info["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["b", "c", "default"]);
    assert_eq!(listed[0]["dim"], 7);
    assert_eq!(listed[0]["metric"], "l2");
    assert_eq!(listed[0]["index"], "flat");
    assert_eq!(listed[0]["quantization"], "none");
    assert!(listed[0]["m"].is_null() && listed[0]["ef_construction"].is_null());
    assert_eq!(listed[1]["index"], "graph");
    assert_eq!((&listed[1]["m"], &listed[1]["ef_construction"]), (&32.into(), &200.into()));
    assert_eq!(listed[1]["quantization"], "rabitq:8");
    assert!(listed[0]["created_ms"].as_u64().unwrap() > 1_600_000_000_000);
}

#[test]
fn an_index_and_a_quantization() {
    let place = Place::new();
    let create = |name: &str, flags: &str| {
        place.ok(&format!("create db --dim 3 --metric l2 --collection {name} {flags}"))
    };
    for (name, flags, index, settings, quantization) in [
        ("a", "", "graph", Some((32, 200)), "rabitq:8"),
        ("b", "--index hnsw --m 16", "graph", Some((16, 200)), "rabitq:8"),
        ("c", "--ef-construction=64 --quantization rabitq:4", "graph", Some((32, 64)), "rabitq:4"),
        ("d", "--index graph --quantization none", "graph", Some((32, 200)), "none"),
        ("e", "--m 4 --quantization sq8", "graph", Some((4, 200)), "sq8"),
        ("f", "--index flat", "flat", None, "none"),
        ("g", "--quantization binary", "graph", Some((32, 200)), "rabitq:1"),
        ("h", "--quantization pq:2", "graph", Some((32, 200)), "pq:2"),
    ] {
        let told = create(name, flags);
        assert!(told.contains(&format!("index {index}")), "{told}");
        assert!(told.contains(&format!("quantization {quantization}")), "{told}");
        let listed = place.json("collections db");
        let info = listed["collections"].as_array().unwrap().last().unwrap();
        let stats = place.json(&format!("stats db --collection {name}"));
        for info in [info, &stats] {
            assert_eq!(info["index"], index);
            assert_eq!(info["quantization"], quantization);
            assert_eq!(info["m"], json!(settings.map(|(m, _)| m)));
            assert_eq!(info["ef_construction"], json!(settings.map(|(_, ef)| ef)));
        }
        // The same again is there; anything else is something else.
        create(name, &format!("{flags} --if-not-exists"));
        let other = format!("create db --dim 3 --metric l2 --collection {name} --if-not-exists");
        place.refuses(&format!("{other} --m 77"), "Conflict", &["m 77", quantization]);
    }
}

#[test]
fn what_is_not_available_yet_is_unsupported() {
    let place = Place::new();
    for uri in ["http://host/path", "hdfs://host", "sqlite://file"] {
        place.refuses(&format!("create {uri} --dim 3 --metric l2"), "Unsupported", &["://"]);
    }
    assert!(!place.path("db").exists());
}

#[test]
fn an_index_has_its_own_settings() {
    let place = Place::new();
    let create = "create db --dim 3 --metric l2 --index ivf --n-clusters 7 --quantization int4";
    place.ok(create);
    let listed = place.json("collections db");
    for info in [&listed["collections"][0], &place.json("stats db")] {
        assert_eq!((&info["index"], &info["n_clusters"]), (&json!("ivf"), &json!(7)));
        assert_eq!((&info["m"], &info["quantization"]), (&json!(null), &json!("rabitq:4")));
    }
    let search = "search db --vector [1,2,3]";
    assert_eq!(place.json(&format!("{search} --nprobe 5"))["hits"], json!([]));
    place.refuses(&format!("{search} --ef 5"), "InvalidArgument", &["ef", "ivf"]);
    let graph = "create db --collection graph --dim 3 --metric l2";
    place.refuses(
        &format!("{graph} --n-clusters 7"),
        "InvalidArgument",
        &["n_clusters does nothing", "graph"],
    );
    place.refuses(&format!("{create} --m 7"), "InvalidArgument", &["m does nothing", "ivf"]);
}

#[test]
fn configure_keeps_what_is_not_given() {
    let place = Place::new();
    place.ok("create db --dim 3 --metric l2 --m 64 --quantization sq8");
    let configured = |flags: &str| place.json(&format!("configure db {flags}"));
    let graph = configured("--index graph --ef-construction 300");
    assert_eq!((&graph["m"], &graph["ef_construction"]), (&json!(64), &json!(300)));
    let disk = configured("--index disk");
    assert_eq!((&disk["index"], &disk["m"]), (&json!("disk"), &json!(24)));
    assert_eq!(disk["quantization"], "sq8");
    let error = "configure db --index disk --quantization none";
    place.refuses(error, "InvalidArgument", &["`disk`", "none"]);
    let flat = configured("--index flat");
    assert_eq!((&flat["index"], &flat["quantization"]), (&json!("flat"), &json!("none")));
    assert_eq!(place.json("stats db")["index"], "flat");
    place.refuses("configure db --m 5", "InvalidArgument", &["m does nothing", "flat"]);
    assert!(flat["recall_target"].is_null());
    assert_eq!(configured("--recall-target 0.9")["recall_target"], 0.9);
    let graph = configured("--index graph");
    assert_eq!((&graph["index"], &graph["recall_target"]), (&json!("graph"), &json!(0.9)));
    assert!(place.ok("configure db --recall-target 0.95").ends_with("recall target 0.95\n"));
    assert_eq!(place.json("stats db")["recall_target"], 0.95);
    let words = ["recall target is 1.5", "0.5 to 0.9999"];
    place.refuses("configure db --recall-target 1.5", "InvalidArgument", &words);
    place.ok("search db --vector [1,2,3] --recall-target 0.8");
    let both = "search db --vector [1,2,3] --recall-target 0.8 --ef 9";
    place.refuses(both, "InvalidArgument", &["recall_target and ef"]);
    assert!(configured("--recall-target none")["recall_target"].is_null());
}

#[test]
fn what_cannot_be_is_an_invalid_argument() {
    let place = Place::new();
    for (flags, words) in [
        ("--dim 0 --metric l2", ["dimension is 0", "1 to 65536"]),
        ("--dim 65537 --metric l2", ["dimension is 65537", "1 to 65536"]),
        ("--dim 3 --metric l2 --index tree", ["index `tree`", "flat"]),
        ("--dim 3 --metric l2 --quantization sq9", ["quantization `sq9`", "none"]),
        ("--dim 3 --metric l2 --quantization rabitq:9", ["quantization `rabitq:9`", "rabitq:8"]),
        ("--dim 3 --metric l2 --m 3", ["m is 3", "4 to 128"]),
        ("--dim 3 --metric l2 --m 129", ["m is 129", "4 to 128"]),
        ("--dim 3 --metric l2 --ef-construction=7", ["ef_construction is 7", "8 to 4096"]),
        ("--dim 3 --metric l2 --index flat --m 16", ["m does nothing", "`flat`"]),
        (
            "--dim 3 --metric l2 --index flat --ef-construction 99",
            ["ef_construction does nothing", "`flat`"],
        ),
        ("--dim 3 --metric l2 --index flat --quantization sq8", ["`sq8`", "`flat`"]),
        ("--dim 3 --metric l2 --collection A", ["\"A\"", "a-z"]),
        ("--dim 3 --metric l2 --collection a/b", ["\"a/b\"", "a-z"]),
    ] {
        place.refuses(&format!("create db {flags}"), "InvalidArgument", &words);
    }
    let long = format!("create db --dim 3 --metric l2 --collection {}", "a".repeat(65));
    place.refuses(&long, "InvalidArgument", &["64"]);
    assert_eq!(place.run("collections db").stdout, "no collections\n");
}

#[test]
fn drop_and_rename() {
    let place = Place::with_collection(2, "l2");
    place.write("a.jsonl", "{\"id\": 1, \"vector\": [1, 2]}\n");
    place.ok("import db a.jsonl");
    assert_eq!(place.json("rename db --to docs"), json!({"from": "default", "to": "docs"}));
    assert_eq!(place.json("count db --collection docs"), json!({"count": 1}));
    place.refuses("count db", "NotFound", &["default"]);
    place.refuses("rename db --to other", "NotFound", &["default"]);
    place.refuses("drop db", "NotFound", &["default"]);

    // A name that was freed is free, and what has it now is another collection.
    place.ok("create db --dim 2 --metric l2");
    assert_eq!(place.count(), 0);
    place.refuses("rename db --to docs", "AlreadyExists", &["docs"]);
    place.refuses("rename db --to Docs", "InvalidArgument", &["Docs"]);

    assert_eq!(place.json("drop db --collection docs"), json!({"dropped": "docs"}));
    place.refuses("count db --collection docs", "NotFound", &["docs"]);
    place.ok("create db --dim 3 --metric dot --collection docs");
    assert_eq!(place.json("count db --collection docs"), json!({"count": 0}));
    assert_eq!(place.json("verify db")["ok"], true);
}

/// Only `create` makes a database: a wrong path must not look like an empty one.
#[test]
fn other_verbs_make_no_database() {
    let place = Place::new();
    place.write("a.jsonl", "{\"id\": 1, \"vector\": [1, 2]}\n");
    for args in [
        "collections nope",
        "drop nope",
        "rename nope --to other",
        "import nope a.jsonl",
        "search nope --vector [1,2]",
        "get nope 1",
        "delete nope 1",
        "count nope",
        "stats nope",
        "versions nope",
        "verify nope",
    ] {
        place.refuses(args, "NotFound", &["nope"]);
        assert!(!place.path("nope").exists(), "{args}");
    }
}

#[test]
fn a_schema_is_shown_checked_and_changed() {
    let place = Place::new();
    let years = json!({"strict": false, "fields": {"year": {"type": "i64", "required": true}}});
    place.write("years.json", years.to_string());
    place.write("broken.json", "{\"fields\": {\"year\": {\"type\": \"int\"}}}");
    let create = "create db --dim 1 --metric l2";
    place.refuses(&format!("{create} --schema nowhere.json"), "NotFound", &["nowhere.json"]);
    place.refuses(
        &format!("{create} --schema broken.json"),
        "InvalidArgument",
        &["broken.json", "type `int`; expected any, bool, i64"],
    );
    assert!(!place.path("db").exists());
    place.ok(&format!("{create} --schema years.json"));
    assert_eq!(place.json("schema db"), years);
    assert_eq!(place.run("schema db").stdout, "1 field declared\n  year: i64, required\n");
    // The same again is there, and so is it for whoever asks for no schema; another is not.
    place.ok(&format!("{create} --if-not-exists --schema years.json"));
    place.ok(&format!("{create} --if-not-exists"));
    place.write("none.json", "{}");
    let other = format!("{create} --if-not-exists --schema none.json");
    place.refuses(
        &other,
        "Conflict",
        &["`default`: field `year` is i64, required", "asked for not declared"],
    );

    place.write("good.jsonl", "{\"id\": 1, \"vector\": [1], \"metadata\": {\"year\": 2024}}\n");
    place.write("bad.jsonl", "{\"id\": 2, \"vector\": [2], \"metadata\": {\"year\": 2024.5}}\n");
    place.ok("import db good.jsonl");
    let told = "metadata field `year` is the number 2024.5; expected i64";
    place.refuses("import db bad.jsonl", "InvalidArgument", &[told]);
    assert_eq!(place.json("count db")["count"], 1);
    place.write("texts.json", "{\"fields\": {\"year\": {\"type\": \"string\"}}}");
    let told = "record 1: metadata field `year` is the number 2024; expected string";
    place.refuses("schema db --set texts.json", "Conflict", &[told]);
    assert_eq!(place.json("schema db"), years);
    let strict = json!({"strict": true, "fields": {
        "year": {"type": "f64"}, "note": {"type": "string", "indexed": false},
    }});
    place.write("strict.json", strict.to_string());
    assert_eq!(place.json("schema db --set strict.json"), strict);
    assert_eq!(place.json("schema db"), strict);
    place.ok("import db bad.jsonl");
}
