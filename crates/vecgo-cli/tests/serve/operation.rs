//! What an operator sees.

use std::sync::Arc;

use serde_json::json;

use crate::served::{KEY, Served};

/// The number of a series.
fn number(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {series} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn health_has_the_fields_of_the_guide() {
    let served = Served::start(&["--set", "data.memtable=1MiB"]);
    served.until_ready();
    assert_eq!(
        served.get("/health").json(),
        json!({"status": "healthy", "vectors": 0, "segments": 0, "memtable_pct": 0.0})
    );
    served.create("docs", 256);
    let vector = vec![0.5; 256];
    let records: Vec<_> = (0..200).map(|id| json!({"id": id, "vector": vector})).collect();
    served.ok("/v1/collections/docs/upsert", &json!({"records": records}));
    let health = served.get("/health").json();
    assert_eq!((&health["vectors"], &health["segments"]), (&json!(200), &json!(0)));
    let full = health["memtable_pct"].as_f64().unwrap();
    // 200 kB of vectors in a memtable of 1 MiB, and what goes with them.
    assert!((19.0..60.0).contains(&full), "{full}");
    served.ok("/v1/collections/docs/flush", &json!({}));
    assert_eq!(served.get("/health").json()["segments"], 1);
    assert_eq!(served.get("/livez").text, "ok\n");
}

/// A collection that cannot be opened: the server says so, and serves the others; without others it serves nothing.
#[test]
fn what_is_wrong_is_said_without_names() {
    let served = Served::start(&[]);
    served.create("secret-plans", 2);
    served.create("docs", 2);
    served.ok(
        "/v1/collections/secret-plans/upsert",
        &json!({"records": [{"id": 1, "vector": [1, 2]}]}),
    );
    served.ok("/v1/collections/secret-plans/commit", &json!({}));
    let dir = served.dir();
    served.stop();
    // Another process has it.
    let holder = vecgo::open(dir.path().join("db")).wait().unwrap();
    let held = holder.collection("secret-plans").wait().unwrap();
    let served = Served::with(Arc::clone(&dir), &[], &[]);
    let health = unhealthy(&served);
    assert_eq!(health["reasons"], json!(["a collection could not be opened (Busy)"]));
    assert_eq!(served.get("/readyz").status, 200);
    let metrics = served.get("/metrics").text;
    assert_eq!(number(&metrics, "vecgo_collections_unopened"), 1.0);
    assert_eq!(number(&metrics, "vecgo_ready"), 1.0);
    served.until("it is not logged", || served.log().contains("secret-plans").then_some(()));
    assert_eq!(served.send(served.request("DELETE", "/v1/collections/docs")).status, 200);
    assert_eq!(served.get("/readyz").status, 503);
    assert_eq!(number(&served.get("/metrics").text, "vecgo_ready"), 0.0);
    served.create("docs", 2);
    assert_eq!(served.ok("/v1/collections/docs/count", &json!({})), json!({"count": 0}));
    assert_eq!(served.post("/v1/collections/secret-plans/count", &json!({})).status, 423);
    held.close().wait().unwrap();
    drop(holder);
    served.until_ready();
    assert_eq!(served.ok("/v1/collections/secret-plans/count", &json!({})), json!({"count": 1}));
}

fn unhealthy(served: &Served) -> serde_json::Value {
    let health = served.until("it is all right", || {
        Some(served.get("/health")).filter(|health| health.text.contains("unhealthy"))
    });
    assert_eq!(health.status, 503);
    health.json()
}

/// A segment that is damaged is found when it is loaded, not when somebody searches.
#[test]
fn a_collection_that_is_damaged_is_none_that_is_well() {
    let served = Served::start(&[]);
    for name in ["damaged", "docs"] {
        served.create(name, 2);
        let records: Vec<_> = (0..100).map(|id| json!({"id": id, "vector": [id, 1]})).collect();
        served.ok(&format!("/v1/collections/{name}/upsert"), &json!({"records": records}));
        if name == "damaged" {
            served.ok("/v1/collections/damaged/flush", &json!({}));
        }
    }
    let dir = served.dir();
    served.stop();
    let collections = dir.path().join("db/collections");
    let folders = std::fs::read_dir(collections).unwrap().map(|entry| entry.unwrap().path());
    let mut segments = folders.filter_map(|folder| std::fs::read_dir(folder.join("segment")).ok());
    let segment = segments.next().unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    // The codes and vectors, whatever is checked when it is opened.
    let middle = bytes.len() / 4..bytes.len() / 2;
    bytes[middle].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&segment, bytes).unwrap();
    let served = Served::with(dir, &[], &[]);
    let health = unhealthy(&served);
    let reasons = health["reasons"].as_array().unwrap();
    assert!(
        reasons.iter().all(|reason| reason.as_str().unwrap().ends_with("(Corruption)")),
        "{health}"
    );
    assert_eq!(reasons.len(), 1, "{health}");
    let metrics = served.get("/metrics").text;
    let broken = ["vecgo_collections_unread", "vecgo_collections_unopened"];
    assert_eq!(broken.iter().map(|series| number(&metrics, series)).sum::<f64>(), 1.0);
    assert_eq!(served.get("/readyz").status, 200);
    assert_eq!(served.ok("/v1/collections/docs/count", &json!({})), json!({"count": 100}));
}

#[test]
fn metrics_count_what_was_done() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    served.create("more", 2);
    for name in ["docs", "more"] {
        let records =
            json!({"records": [{"id": 1, "vector": [1, 2]}, {"id": 2, "vector": [2, 3]}]});
        served.ok(&format!("/v1/collections/{name}/upsert"), &records);
    }
    for _ in 0..3 {
        served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2]}));
    }
    served.ok("/v1/collections/docs/search/batch", &json!({"vectors": [[1, 2], [3, 4]]}));
    served.refuses(
        "/v1/collections/docs/search",
        &json!({"vector": [1]}),
        400,
        "InvalidArgument",
        "",
    );
    served.refuses("/v1/collections/none/search", &json!({"vector": [1]}), 404, "NotFound", "");
    let text = served.get("/metrics").text;
    for (series, expected) in [
        ("vecgo_vectors_total", 4.0),
        ("vecgo_collections", 2.0),
        ("vecgo_search_duration_seconds_count{status=\"ok\"}", 4.0),
        ("vecgo_search_duration_seconds_count{status=\"error\"}", 2.0),
        ("vecgo_search_duration_seconds_bucket{status=\"ok\",le=\"+Inf\"}", 4.0),
        ("vecgo_records_written_total{operation=\"upsert\"}", 4.0),
        (
            "vecgo_http_requests_total{method=\"POST\",route=\"/v1/collections/{name}/search\",status=\"200\"}",
            3.0,
        ),
        (
            "vecgo_http_requests_total{method=\"POST\",route=\"/v1/collections/{name}/search\",status=\"404\"}",
            1.0,
        ),
        ("vecgo_failing{what=\"writer\"}", 0.0),
        ("vecgo_ready", 1.0),
    ] {
        assert_eq!(number(&text, series), expected, "{series}");
    }
    // The buckets of the guide.
    let bounds: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            line.strip_prefix("vecgo_search_duration_seconds_bucket{status=\"ok\",le=\"")
        })
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(
        bounds,
        ["0.001", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "+Inf"]
    );
    assert!(!text.contains("docs"), "a collection is named, which nobody asked for");
}

#[test]
fn collections_are_told_apart_where_that_is_wanted() {
    let served = Served::start(&["--set", "metrics.per_collection=true"]);
    served.create("docs", 2);
    served.create("more", 2);
    served.ok("/v1/collections/more/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    let text = served.get("/metrics").text;
    assert_eq!(number(&text, "vecgo_vectors_total{collection=\"docs\"}"), 0.0);
    assert_eq!(number(&text, "vecgo_vectors_total{collection=\"more\"}"), 1.0);
}

/// An address of its own for metrics has those, and nothing that could be done.
#[test]
fn the_address_of_metrics_serves_nothing_else() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let keys = [("VECGO_AUTH__WRITE_KEYS", KEY)];
    let mut served = Served::with(dir, &["--set", "server.metrics_listen=127.0.0.1:0"], &keys);
    served.use_key(Some(KEY));
    let document = served.get("/openapi.json").json();
    let metrics = served.metrics.clone().unwrap();
    let client = reqwest::blocking::Client::new();
    let status = |method: &str, path: &str| {
        let url = format!("http://{metrics}{path}");
        client
            .request(method.parse().unwrap(), url)
            .bearer_auth(KEY)
            .send()
            .unwrap()
            .status()
            .as_u16()
    };
    for path in ["/metrics", "/livez"] {
        assert_eq!(status("GET", path), 200, "{path}");
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        let open = ["/metrics", "/health", "/livez", "/readyz"].contains(&path.as_str());
        for method in methods.as_object().unwrap().keys() {
            let concrete = path.replace("{name}", "docs").replace("{tag}", "t");
            let found = status(&method.to_uppercase(), &concrete);
            assert_eq!(found == 404, !open, "{method} {path}: {found}");
        }
    }
    assert_eq!(status("GET", "/"), 404);
}

#[test]
fn slow_searches_are_logged_and_logs_can_be_json() {
    let served = Served::start(&["--set", "log.slow=0s", "--set", "log.format=json"]);
    served.create("docs", 2);
    served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2], "k": 3}));
    let log = served.log();
    let slow =
        log.lines().find(|line| line.contains("a slow search")).unwrap_or_else(|| panic!("{log}"));
    let slow: serde_json::Value = serde_json::from_str(slow).unwrap();
    assert_eq!(
        (&slow["collection"], &slow["k"], &slow["level"]),
        (&json!("docs"), &json!(3), &json!("WARN"))
    );
    assert!(slow["seconds"].as_f64().unwrap() >= 0.0);
}

#[test]
fn backups_go_where_the_settings_say() {
    let served = Served::start(&["--set", "backup.to=backups", "--set", "backup.interval=0s"]);
    served.create("docs", 2);
    served.create("more", 2);
    assert_eq!(served.get("/v1/backups").json(), json!({"backups": []}));
    served.ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    let last = || {
        let series = "vecgo_backup_last_success_timestamp_seconds";
        number(&served.get("/metrics").text, series)
    };
    assert_eq!(last(), 0.0);
    let made = served.ok("/v1/snapshot", &json!({}));
    let whole = last();
    assert!(whole > 1e9, "{whole}");
    assert_eq!(made["collections"][0]["records"], 1);
    assert_eq!(made["collections"].as_array().unwrap().len(), 2);
    let id = made["id"].as_str().unwrap();
    assert!(id.len() == 16 && u64::from_str_radix(id, 16).is_ok(), "{id}");
    served.ok("/v1/collections/docs/delete", &json!({"ids": [1]}));
    served.ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 2, "vector": [1, 2]}]}));
    let one = served.ok("/v1/snapshot", &json!({"collection": "docs"}));
    assert_eq!(one["collections"].as_array().unwrap().len(), 1);
    assert_eq!(last(), whole, "it has not everything");
    let listed = served.get("/v1/backups").json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2);
    served.refuses("/v1/snapshot", &json!({"to": "/etc"}), 400, "InvalidArgument", "unknown field");
    let restored = vecgo::restore(served.path("backups"), served.path("restored")).wait().unwrap();
    assert_eq!(restored.copied.collections.iter().map(|one| one.records).sum::<u64>(), 1);
    let nowhere = Served::start(&[]);
    nowhere.refuses("/v1/snapshot", &json!({}), 501, "Unsupported", "backup.to");
}

/// Nothing is there at the start: that is no reason to wait for as long as between two backups.
#[test]
fn backups_are_made_by_themselves() {
    let served = Served::start(&["--set", "backup.to=backups", "--set", "backup.interval=1h"]);
    served.create("docs", 2);
    let name = "vecgo_backup_last_success_timestamp_seconds";
    served.until("no backup is made", || {
        (number(&served.get("/metrics").text, name) > 1e9).then_some(())
    });
    let backups = served.get("/v1/backups").json();
    assert_eq!(backups["backups"][0]["collections"][0]["name"], "docs");
}

/// What is on the disk is for the server's user alone.
#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let served = Served::start(&["--set", "backup.to=backups"]);
    served.create("docs", 2);
    served.ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    served.ok("/v1/collections/docs/flush", &json!({}));
    served.ok("/v1/snapshot", &json!({}));
    let mut folders = vec![served.path("db"), served.path("backups")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 5, "{files}");
}
