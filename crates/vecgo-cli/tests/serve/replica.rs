//! A writer, and a replica that follows it.

use std::sync::Arc;

use serde_json::json;

use crate::served::Served;

#[test]
fn a_replica_follows_and_writes_nothing() {
    let writer = Served::start(&["--set", "data.auto_commit=0s"]);
    writer.create("docs", 2);
    writer.ok("/v1/collections/docs/commit", &json!({}));
    let replica = Served::with(writer.dir(), &["--read-only", "--set", "data.refresh=50ms"], &[]);
    replica.until_ready();
    let count = || replica.ok("/v1/collections/docs/count", &json!({}))["count"].as_u64().unwrap();
    assert_eq!(count(), 0);
    writer.ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    let version = writer.ok("/v1/collections/docs/commit", &json!({}))["version"].clone();
    // Whoever knows the version waits for it.
    let search = json!({"vector": [1, 2], "min_version": version});
    assert_eq!(replica.ok("/v1/collections/docs/search", &search)["hits"][0]["id"], 1);
    assert_eq!(count(), 1);
    let stats = replica.get("/v1/collections/docs/stats").json();
    assert_eq!(stats["version"], version);
    assert!(stats["lag_seconds"].as_f64().unwrap() < 60.0);
    let metrics = replica.get("/metrics").text;
    assert!(metrics.contains("vecgo_replica_lag_versions 0"), "{metrics}");
    assert!(metrics.contains("vecgo_replica_lag_seconds "));

    for (path, body) in [
        ("/v1/collections/docs/upsert", json!({"records": []})),
        ("/v1/collections/docs/delete", json!({"ids": [1]})),
        ("/v1/collections/docs/commit", json!({})),
        ("/v1/snapshot", json!({})),
    ] {
        replica.refuses(path, &body, 403, "ReadOnly", "replica");
    }
    // Collections come and go.
    writer.create("more", 3);
    replica.until("it is not found", || {
        (replica.get("/v1/collections/more").status == 200).then_some(())
    });
    writer.send(writer.request("DELETE", "/v1/collections/docs"));
    replica.until("it is still there", || {
        (replica.get("/v1/collections/docs").status == 404).then_some(())
    });
    assert_eq!(replica.stop(), Some(0));
}

/// A collection that another process gives another name is the same collection.
#[test]
fn a_collection_that_somebody_else_renames() {
    let served = Served::start(&["--set", "data.wal_sync=commit", "--set", "data.auto_commit=0s"]);
    served.create("docs", 2);
    served.ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    let dir = served.dir();
    let other = vecgo::open(dir.path().join("db")).wait().unwrap();
    other.rename("docs", "papers").wait().unwrap();
    served.until("it is not found by its new name", || {
        (served.post("/v1/collections/papers/count", &json!({})).json()["count"] == 1).then_some(())
    });
    served.until("it is found by its old name", || {
        (served.post("/v1/collections/docs/count", &json!({})).status == 404).then_some(())
    });
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn a_replica_of_what_nobody_has_written_yet() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let writer = Served::with(Arc::clone(&dir), &[], &[]);
    let replica = Served::with(dir, &["--read-only"], &[]);
    replica.until_ready();
    assert_eq!(replica.get("/v1/collections").json(), json!({"collections": []}));
    writer.create("docs", 2);
    writer.ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    // The writer commits by itself.
    let found = || {
        let answer = replica.post("/v1/collections/docs/count", &json!({}));
        (answer.status == 200 && answer.json()["count"] == 1).then_some(())
    };
    replica.until("the record does not come", found);
}
