//! Who may do what.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::served::{KEY, READ_KEY, Served};

/// Paths that need no key; they tell nothing of what is stored.
const OPEN: [&str; 3] = ["/health", "/livez", "/readyz"];

/// What may be asked with a key to read, but for everything that is asked by GET.
const READ_BY_POST: [&str; 10] = [
    "/search",
    "/v1/collections/{name}/search",
    "/v1/collections/{name}/search/groups",
    "/v1/collections/{name}/search/batch",
    "/v1/collections/{name}/explain",
    "/v1/collections/{name}/get",
    "/v1/collections/{name}/count",
    "/v1/collections/{name}/facet",
    "/v1/collections/{name}/scan",
    "/v1/collections/{name}/refresh",
];

/// Every method of every path that the server describes.
fn operations(served: &Served) -> Vec<(String, String)> {
    let document = served.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            operations.push((method.to_uppercase(), path.clone()));
        }
    }
    assert!(operations.len() > 30, "{operations:?}");
    operations
}

#[test]
fn every_path_asks_for_a_key_of_the_right_scope() {
    let mut served = Served::with_keys();
    served.until_ready();
    for (method, path) in operations(&served) {
        let concrete = path.replace("{name}", "docs").replace("{tag}", "t");
        let ask = |served: &Served| served.ask(&method, &concrete, &json!({}));
        served.use_key(None);
        let without = ask(&served);
        served.use_key(Some("a-key-that-is-none-of-the-keys"));
        let wrong = ask(&served);
        served.use_key(Some(READ_KEY));
        let reading = ask(&served);
        served.use_key(Some(KEY));
        let writing = ask(&served);
        if OPEN.contains(&path.as_str()) {
            assert_eq!((without.status, wrong.status), (200, 200), "{path}");
            continue;
        }
        assert_eq!((without.status, wrong.status), (401, 401), "{method} {path}");
        assert_eq!(without.error().1, "Unauthenticated");
        let reads = method == "GET" || READ_BY_POST.contains(&path.as_str());
        assert_eq!(reading.status == 403, !reads, "{method} {path}: {reading:?}");
        assert!(![401, 403].contains(&writing.status), "{method} {path}: {writing:?}");
    }
}

#[test]
fn what_is_not_there_is_nobodys_business_without_a_key() {
    let mut served = Served::with_keys();
    served.use_key(None);
    for (method, path) in [
        ("GET", "/v1/nothing"),
        ("POST", "/metrics"),
        ("TRACE", "/health"),
        ("GET", "/v1/collections/../x"),
    ] {
        assert_eq!(served.send(served.request(method, path)).status, 401, "{method} {path}");
    }
    // The page is the same for everybody.
    let page = served.get("/");
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("docs"));
}

/// A key is looked at before the body: of a body that is not read nothing can be wrong.
#[test]
fn a_key_counts_before_the_body() {
    let mut served = Served::with_keys();
    served.use_key(None);
    let body = "x".repeat(100 << 20);
    let request =
        served.request("POST", "/search").header("content-type", "application/json").body(body);
    // The answer comes while the body is still being sent, which may cut the connection.
    if let Ok(answer) = request.send() {
        assert_eq!(answer.status(), 401);
    }
    assert_eq!(served.get("/livez").status, 200);
}

#[test]
fn two_keys_at_a_time_so_that_one_can_be_changed() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let keys = [("VECGO_AUTH__WRITE_KEYS", "the-old-key-0123456,the-new-key-0123456")];
    let mut served = Served::with(dir, &[], &keys);
    for key in ["the-old-key-0123456", "the-new-key-0123456"] {
        served.use_key(Some(key));
        assert_eq!(served.get("/v1/collections").status, 200);
    }
    served.use_key(Some("the-old-key-0123456,the-new-key-0123456"));
    assert_eq!(served.get("/v1/collections").status, 401);
    assert!(!served.log().contains("the-old-key"));
}

#[test]
fn the_first_start_makes_a_key_where_none_is_set() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let args = ["--listen", "0.0.0.0:0", "--set", "auth.first_start_key=first.key"];
    let served = Served::with(Arc::clone(&dir), &args, &[]);
    let address = served.address.replace("0.0.0.0", "127.0.0.1");
    let key = std::fs::read_to_string(dir.path().join("first.key")).unwrap();
    let client = reqwest::blocking::Client::new();
    let url = format!("http://{address}/v1/collections");
    assert_eq!(client.get(&url).send().unwrap().status(), 401);
    assert_eq!(client.get(&url).bearer_auth(key.trim()).send().unwrap().status(), 200);
    assert!(served.log().contains("first.key"));
    assert!(!served.log().contains(key.trim()));
    // Changed at a restart, it counts.
    served.stop();
    let served = Served::with(Arc::clone(&dir), &args, &[]);
    let url = format!("http://{}/v1/collections", served.address.replace("0.0.0.0", "127.0.0.1"));
    assert_eq!(client.get(&url).bearer_auth(key.trim()).send().unwrap().status(), 200);
}

/// Without keys only whoever is on this machine may ask, and no page of somebody else's in a browser
/// on it.
#[test]
fn pages_of_others_cannot_ask_a_server_without_keys() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let ask = |header: &str, value: &str| {
        let request = served.request("POST", "/v1/collections/docs/count").header(header, value);
        served.send(request.json(&Value::Object(serde_json::Map::new()))).status
    };
    assert_eq!(ask("host", "localhost:8080"), 200);
    assert_eq!(ask("host", "evil.example:8080"), 403);
    assert_eq!(ask("origin", &format!("http://{}", served.address)), 200);
    assert_eq!(ask("origin", "http://evil.example"), 403);
    assert_eq!(ask("origin", "null"), 403);
    // What a page may send without being asked whether it may is no JSON.
    let text = served
        .request("POST", "/v1/collections/docs/count")
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(served.send(text).status, 415);
    let preflight = served
        .request("OPTIONS", "/v1/collections/docs/count")
        .header("origin", "http://evil.example");
    let answer = preflight.send().unwrap();
    assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
}

/// As secrets are mounted.
#[test]
fn keys_of_files() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("write"), format!("{KEY}\n")).unwrap();
    std::fs::write(dir.path().join("read"), format!("\n{READ_KEY}\n")).unwrap();
    let args = ["--set", "auth.write_keys_file=write", "--set", "auth.read_keys_file=read"];
    let mut served = Served::with(Arc::clone(&dir), &args, &[]);
    assert_eq!(served.get("/v1/collections").status, 401);
    served.use_key(Some(READ_KEY));
    assert_eq!(served.get("/v1/collections").status, 200);
    let create = json!({"dim": 2, "metric": "l2"});
    assert_eq!(served.ask("PUT", "/v1/collections/docs", &create).status, 403);
    served.use_key(Some(KEY));
    assert_eq!(served.ask("PUT", "/v1/collections/docs", &create).status, 200);
    std::fs::write(dir.path().join("read"), "").unwrap();
    let Err(said) = Served::begin(dir, &args, &[]) else { panic!("it is served") };
    assert!(said.starts_with("Some(3)") && said.contains("no key"), "{said}");
}
