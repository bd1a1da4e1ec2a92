//! A server on a bucket that comes and goes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vecgo_stores::{Fake, Fault, Trouble};

use crate::served::Served;

fn on(fake: &Fake) -> Served {
    let endpoint = fake.endpoint();
    let environment = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let args = ["s3://test/db", "--set", "log.format=json"];
    Served::with(Arc::new(tempfile::tempdir().unwrap()), &args, &environment)
}

fn upsert(served: &Served, id: u64) -> u16 {
    let records = json!({"records": [{"id": id, "vector": [1, 2]}]});
    served.post("/v1/collections/docs/upsert", &records).status
}

/// Lines of the log about what the writer does.
fn told(served: &Served) -> Vec<String> {
    let log = served.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = lines.filter(|line| line["collection"] == "docs" && line["what"] == "writer");
    ours.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Its writer stops when nobody can tell what became of a write; reads go on, and so does the writer when the bucket is
/// back, without anybody who starts anything again.
#[test]
fn a_bucket_that_was_away() {
    let fake = Fake::start().unwrap();
    let served = on(&fake);
    served.create("docs", 2);
    assert_eq!(upsert(&served, 1), 200);
    fake.set_trouble(Trouble::AllDeciding(Fault::Lost));
    // For as long as the engine waits for a bucket.
    served.until("the writer goes on", || {
        let status = upsert(&served, 2);
        assert_ne!(status, 200);
        let stats = served.get("/v1/collections/docs/stats").json();
        (stats["failures"][0]["what"] == "writer").then_some(())
    });
    assert_eq!(served.ok("/v1/collections/docs/count", &json!({})), json!({"count": 1}));
    assert_eq!(served.get("/health").json()["status"], "unhealthy");
    assert_eq!(served.get("/readyz").status, 200);
    served.until("it is not logged", || (!told(&served).is_empty()).then_some(()));
    // It looks again and again, and leaves what can be read.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(served.ok("/v1/collections/docs/count", &json!({})), json!({"count": 1}));
    fake.set_trouble(Trouble::None);
    served.until("it does not come back", || (upsert(&served, 3) == 200).then_some(()));
    let got = served.ok("/v1/collections/docs/get", &json!({"ids": [1, 3]}));
    assert_eq!(got["missing"], json!([]));
    served.until("it is not well", || (served.get("/health").status == 200).then_some(()));
    served.until("it is not logged", || {
        (told(&served).last().is_some_and(|last| last == "works again")).then_some(())
    });
    let repeated = |line: &&str| line.matches("\"message\"").count() > 1;
    assert_eq!(served.log().lines().find(repeated), None);
    assert_eq!(served.stop(), Some(0));
}
