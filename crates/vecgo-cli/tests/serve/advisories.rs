//! What happened to others, each tried here: the advisories of vector databases up to 2026, by class.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::served::{KEY, READ_KEY, Served};

/// Every file below a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.to_string_lossy().into_owned());
        }
    }
    found
}

const ESCAPES: [&str; 10] = [
    "..%2f..%2fescaped",
    "%2e%2e%2fescaped",
    "..",
    "%2fetc%2fescaped",
    "a%2f..%2f..%2fescaped",
    "..%5c..%5cescaped",
    "%00escaped",
    "escaped%0a",
    "C:%5cescaped",
    "%c0%ae%c0%ae%c0%afescaped",
];

/// Qdrant CVE-2024-3584 and CVE-2024-2221, Weaviate CVE-2025-67818: a name of a collection, a tag or a
/// version that is a path. Names are looked up, and never are parts of paths.
#[test]
fn names_from_the_network_are_no_paths() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    served.ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    for name in ESCAPES {
        let create = served.ask(
            "PUT",
            &format!("/v1/collections/{name}"),
            &json!({"dim": 2, "metric": "l2"}),
        );
        assert!((400..500).contains(&create.status), "{name}: {create:?}");
        let rename = served.post(
            "/v1/collections/docs/rename",
            &json!({"to": name.replace("%2f", "/").replace("%2e", ".")}),
        );
        assert_eq!(rename.status, 400, "{name}: {rename:?}");
        for path in ["search", "upsert", "import", "commit"] {
            let answer = served.post(&format!("/v1/collections/{name}/{path}"), &json!({}));
            assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
        }
    }
    // Tags are stored in manifests, whatever they are.
    let _ = served.ask("PUT", "/v1/collections/docs/tags/..%2f..%2fescaped", &json!({}));
    let there = files(served.dir().path());
    assert!(there.iter().all(|file| !file.contains("escaped")), "{there:?}");
    let log = served.path("log").to_string_lossy().into_owned();
    let inside = served.path("db").to_string_lossy().into_owned();
    assert!(there.iter().all(|file| *file == log || file.starts_with(&inside)), "{there:?}");
}

/// Qdrant CVE-2024-3829 and its snapshot uploads, Weaviate CVE-2025-67819: archives and paths from the network.
/// There is no path that takes one: nothing is uploaded, downloaded or restored by its name.
#[test]
fn nothing_is_restored_or_fetched_from_what_a_client_names() {
    let served = Served::start(&["--set", "backup.to=backups"]);
    served.create("docs", 2);
    let document = served.get("/openapi.json").text;
    for word in [
        "multipart",
        "octet-stream",
        "restore",
        "upload",
        "recover",
        "\"location\"",
        "\"uri\"",
        "\"path\":",
    ] {
        assert!(!document.contains(word), "{word}");
    }
    for body in [
        json!({"location": "file:///etc/passwd"}),
        json!({"to": "/tmp/escaped"}),
        json!({"collection": "../../escaped"}),
    ] {
        let answer = served.post("/v1/snapshot", &body);
        assert!([400, 404].contains(&answer.status), "{answer:?}");
    }
    for path in [
        "/v1/collections/docs/snapshots/upload",
        "/snapshots/../../etc/passwd",
        "/collections/docs/snapshots",
        "/debug/pprof",
        "/expr",
    ] {
        assert!([404, 405].contains(&served.get(path).status), "{path}");
    }
}

/// Weaviate CVE-2025-67818: what a writer stores is a path when it is restored. Ids, documents and payloads are
/// contents of objects, and a backup names its copies by numbers.
#[test]
fn what_is_stored_names_nothing_that_a_restore_writes() {
    let served = Served::start(&["--set", "backup.to=backups", "--set", "backup.interval=0s"]);
    served.create("docs", 2);
    let records: Vec<_> = ["../../escaped", "/etc/escaped", "..\\escaped", "a/../../../escaped"]
        .iter()
        .map(|id| json!({"id": id, "vector": [1, 2], "metadata": {*id: id, "__proto__": {"x": 1}}}))
        .collect();
    served.ok("/v1/collections/docs/upsert", &json!({"records": records}));
    served.ok("/v1/snapshot", &json!({}));
    vecgo::restore(served.path("backups"), served.path("restored")).wait().unwrap();
    let there = files(served.dir().path());
    assert!(there.iter().all(|file| !file.contains("escaped")), "{there:?}");
    let restored = vecgo::open(served.path("restored")).read_only(true).wait().unwrap();
    let docs = restored.collection("docs").wait().unwrap();
    assert_eq!(docs.get("../../escaped").wait().unwrap().unwrap().metadata["__proto__"]["x"], 1);
}

/// Milvus CVE-2025-64513: a header that says that somebody else has looked already. None is believed.
#[test]
fn no_header_makes_a_caller_an_internal_one() {
    let mut served = Served::with_keys();
    served.use_key(None);
    for (header, value) in [
        ("sourceid", "QG1pbHZ1cy1tZW1iZXJA"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-internal", "true"),
        ("x-original-url", "/health"),
        ("x-rewrite-url", "/health"),
        ("x-http-method-override", "GET"),
        ("x-user", "root"),
        ("api-key", KEY),
        ("authorization", "Basic cm9vdDpNaWx2dXM="),
        ("cookie", "session=admin"),
    ] {
        let request = served.request("GET", "/v1/collections").header(header, value);
        assert_eq!(served.send(request).status, 401, "{header}");
    }
}

/// Weaviate CVE-2026-11500: settings of keys that contradict each other, and let everybody in.
#[test]
fn keys_that_contradict_each_other_keep_it_from_starting() {
    let both = format!("{KEY},{READ_KEY}");
    for environment in [
        [("VECGO_AUTH__WRITE_KEYS", KEY), ("VECGO_SERVER__INSECURE", "true")],
        [("VECGO_AUTH__WRITE_KEYS", both.as_str()), ("VECGO_AUTH__READ_KEYS", READ_KEY)],
        [("VECGO_AUTH__WRITE_KEYS", "   ,  "), ("VECGO_SERVER__LISTEN", "0.0.0.0:0")],
    ] {
        let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
        let args = if environment[1].0 == "VECGO_SERVER__LISTEN" {
            &["--listen", "0.0.0.0:0"][..]
        } else {
            &[]
        };
        assert!(Served::begin(dir, args, &environment).is_err(), "{environment:?}");
    }
}

/// Milvus CVE-2026-26190: a port for metrics that could do everything, a stop and a dump of settings for anybody.
/// `operation.rs` walks that port; this looks for the rest.
#[test]
fn nobody_is_told_settings_or_stops_it() {
    let served = Served::with_keys();
    for path in [
        "/shutdown",
        "/stop",
        "/management/stop",
        "/config",
        "/v1/config",
        "/debug",
        "/expr",
        "/_cat/configs",
        "/eval",
        "/env",
    ] {
        for method in ["GET", "POST"] {
            let answer = served.ask(method, path, &json!({"code": "1"}));
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    let everything = ["/metrics", "/health", "/openapi.json", "/v1/collections"]
        .map(|path| served.get(path).text)
        .concat();
    assert!(!everything.contains(KEY) && !everything.contains(READ_KEY));
    assert!(!everything.contains(&*served.dir().path().to_string_lossy()));
}

/// Chroma CVE-2026-45829: a model that a client names is loaded before anybody asks for a key. No model and no code
/// is loaded at all: what configures a collection is a closed set of words and numbers.
#[test]
fn a_collection_cannot_name_code() {
    let served = Served::start(&[]);
    for config in [
        json!({"embedding_function": {"name": "sentence_transformer", "trust_remote_code": true}}),
        json!({"index": "graph", "module": "os"}),
        json!({"index": "/tmp/lib.so"}),
        json!({"quantization": "http://example.org/codebook"}),
    ] {
        let body = json!({"dim": 2, "metric": "l2", "config": config});
        let (status, kind, _) = served.ask("PUT", "/v1/collections/docs", &body).error();
        assert_eq!((status, kind.as_str()), (400, "InvalidArgument"), "{config}");
    }
    assert_eq!(served.get("/v1/collections").json(), json!({"collections": []}));
}

/// Weaviate CVE-2023-38976, and queries that take all time or memory: depth and sizes are bounded.
#[test]
fn queries_are_bounded() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    served.ok(
        "/v1/collections/docs/upsert",
        &json!({"records": [{"id": 1, "vector": [1, 2], "metadata": {"a": 1}}]}),
    );
    let search = |body: &serde_json::Value| {
        let answer = served.post("/v1/collections/docs/search", body);
        assert!(answer.status == 400 || answer.status == 429, "{answer:?}");
    };
    search(&json!({"vector": [1, 2], "k": u64::MAX}));
    search(&json!({"vector": [1, 2], "k": 10_001}));
    search(&json!({"vector": [1, 2], "ef": 1_000_000_000}));
    search(&json!({"vector": vec![1; 100_000]}));
    let leaf = json!({"field": "a", "op": "eq", "value": 1});
    search(&json!({"vector": [1, 2], "filter": {"or": vec![leaf; 100_000]}}));
    search(
        &json!({"vector": [1, 2], "filter": {"field": "a".repeat(100_000), "op": "eq", "value": 1}}),
    );
    let deep = format!(
        "{{\"vector\": [1, 2], \"filter\": {}1{}}}",
        "{\"not\": ".repeat(100_000),
        "}".repeat(100_000)
    );
    let request = served
        .request("POST", "/v1/collections/docs/search")
        .header("content-type", "application/json");
    assert_eq!(served.send(request.body(deep)).status, 400);
    assert_eq!(served.get("/health").json()["status"], "healthy");
}

/// LlamaIndex CVE-2025-1793 and its like, LanceDB's callers: values and keys of filters that are parts of a query
/// language. There is none: keys and values are data.
#[test]
fn keys_and_values_of_filters_are_data() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let odd = [
        "x' OR '1'='1",
        "a\") || true --",
        "id = id; DROP TABLE docs",
        "${jndi:ldap://x}",
        "\u{0}",
        "%s%s%n",
    ];
    let records: Vec<_> = odd
        .iter()
        .enumerate()
        .map(|(id, text)| json!({"id": id, "vector": [1, 2], "metadata": {"key": text}}))
        .collect();
    served.ok("/v1/collections/docs/upsert", &json!({"records": records}));
    for (id, text) in odd.iter().enumerate() {
        let filter = json!({"field": "key", "op": "eq", "value": text});
        let found =
            served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2], "filter": filter}));
        assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{text}");
        assert_eq!(found["hits"][0]["id"], id);
        // As a key it names a field that nobody has.
        let filter = json!({"field": text, "op": "exists"});
        assert_eq!(
            served.ok("/v1/collections/docs/delete", &json!({"filter": filter})),
            json!({"deleted": 0}),
            "{text}"
        );
        served.ok("/v1/collections/docs/delete", &json!({"ids": [text]}));
    }
    let string = json!({"filter": "1 = 1"});
    served.refuses("/v1/collections/docs/delete", &string, 400, "InvalidArgument", "filter");
    assert_eq!(served.ok("/v1/collections/docs/count", &json!({})), json!({"count": odd.len()}));
}

/// pgvector CVE-2026-3172, and sizes that wrap: numbers at the ends of their types.
#[test]
fn sizes_at_their_ends_do_not_wrap() {
    let served = Served::start(&[]);
    for dim in [
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(4_294_967_296u64),
        json!(1_000_000_000),
        json!(1.5),
    ] {
        let answer =
            served.ask("PUT", "/v1/collections/docs", &json!({"dim": dim, "metric": "l2"}));
        assert_eq!(answer.status, 400, "{dim}: {answer:?}");
    }
    served.create("docs", 2);
    for (path, body) in [
        ("search", json!({"vector": [1, 2], "version": u64::MAX})),
        ("search", json!({"vector": [1, 2], "nprobe": u64::MAX})),
        ("search", json!({"vector": [1e39, 2]})),
        ("facet", json!({"field": "a", "k": -1})),
        ("scan", json!({"limit": -1})),
        ("upsert", json!({"records": [{"id": 1.0e30, "vector": [1, 2]}]})),
    ] {
        let answer = served.post(&format!("/v1/collections/docs/{path}"), &body);
        assert!((400..500).contains(&answer.status), "{path} {body}: {answer:?}");
    }
    let most = json!({"records": [{"id": u64::MAX, "vector": [1, 2]}]});
    served.ok("/v1/collections/docs/upsert", &most);
    assert_eq!(
        served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2]}))["hits"][0]["id"],
        u64::MAX
    );
}

/// A program that tells its makers of its users. This one opens no connection that nobody asked for: beside the
/// one that it listens on it has no socket.
#[test]
fn it_calls_nobody() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    served.until_ready();
    let sockets: BTreeSet<String> = fs::read_dir(format!("/proc/{}/fd", served.pid()))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| {
            Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect();
    let port = served.address.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let local = format!(":{port:04X}");
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let lines = fs::read_to_string(format!("/proc/{}/net/{table}", served.pid())).unwrap();
        for line in lines.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            if sockets.contains(columns[9]) {
                assert!(table == "tcp" && columns[1].ends_with(&local), "{table}: {line}");
            }
        }
    }
}

/// Pages in a browser of this machine, by a name that points here, and by forms: without keys, whatever was said of
/// those beyond it, and at the address of metrics.
#[test]
fn a_page_of_somebody_else_does_nothing_here() {
    let metrics = ["--set", "server.metrics_listen=127.0.0.1:0"];
    for args in [&metrics[..], &[&metrics[..], &["--insecure"]].concat()] {
        let served = Served::start(args);
        served.create("docs", 2);
        let elsewhere = served.metrics.clone().unwrap();
        for (path, address) in [("/v1/collections", &served.address), ("/metrics", &elsewhere)] {
            let get = |headers: &[(&str, &str)]| {
                let request =
                    reqwest::blocking::Client::new().get(format!("http://{address}{path}"));
                let headers = headers.iter();
                let request =
                    headers.fold(request, |request, (name, value)| request.header(*name, *value));
                request.send().unwrap().status().as_u16()
            };
            assert_eq!(get(&[]), 200, "{args:?} {path}");
            let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
            assert_eq!(get(&rebound), 403, "{args:?} {path}");
            assert_eq!(get(&rebound[1..]), 403, "{args:?} {path}");
        }
        let form = served.request("POST", "/v1/collections/docs/compact");
        assert_eq!(served.send(form.header("origin", "http://evil.example")).status, 403);
    }
}
