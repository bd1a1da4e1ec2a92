//! What takes as long as it takes.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::served::{Answer, PATIENCE, Served};

fn import(served: &Served, lines: String) -> Answer {
    let request = served.request("POST", "/v1/collections/docs/import");
    served.send(request.header("content-type", "application/jsonl").body(lines))
}

fn line(id: u64) -> String {
    format!("{{\"id\": {id}, \"vector\": [{id}, 1], \"metadata\": {{\"n\": {id}}}}}\n")
}

fn count(served: &Served) -> u64 {
    served.ok("/v1/collections/docs/count", &json!({}))["count"].as_u64().unwrap()
}

#[test]
fn what_is_imported_is_scanned() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let lines: String = (0..20_000).map(line).collect();
    let imported = import(&served, format!("\n{lines}\n \n{}", line(7).trim_end())).json();
    assert_eq!(imported["rows"], 20_001);
    assert!(imported["version"].as_u64().unwrap() > 0);
    assert_eq!(count(&served), 20_000);

    let scanned = served.post("/v1/collections/docs/scan", &json!({}));
    let mut seen = vec![false; 20_000];
    for text in scanned.text.lines() {
        let record: Value = serde_json::from_str(text).unwrap();
        let id = record["id"].as_u64().unwrap();
        assert_eq!(
            (&record["metadata"]["n"], &record["vector"]),
            (&json!(id), &json!([id as f64, 1.0]))
        );
        assert!(!std::mem::replace(&mut seen[usize::try_from(id).unwrap()], true));
    }
    assert!(seen.iter().all(|seen| *seen));
    let filter = json!({"field": "n", "op": "lt", "value": 1500});
    let some = served.post("/v1/collections/docs/scan", &json!({"filter": filter}));
    assert_eq!(some.text.lines().count(), 1500);
    let few =
        served.post("/v1/collections/docs/scan", &json!({"limit": 777, "vector_format": "base64"}));
    assert_eq!(few.text.lines().count(), 777);
    let first: Value = serde_json::from_str(few.text.lines().next().unwrap()).unwrap();
    assert!(first["vector"].is_string());
}

#[test]
fn what_was_before_a_wrong_line_is_there() {
    let served = Served::start(&["--set", "limits.line=1KiB"]);
    served.create("docs", 2);
    let lines: String = (0..5000).map(line).collect();
    let long = format!(
        "{{\"id\": 1, \"vector\": [1, 1], \"metadata\": {{\"t\": \"{}\"}}}}\n",
        "x".repeat(2000)
    );
    for (wrong, word) in [
        ("{\"id\": 1}\n", "line 5001: missing field `vector`"),
        ("[1]\n", "line 5001"),
        ("{\"id\": 1, \"vector\": [1, 2, 3]}\n", "line 5001: vector has 3 dimensions"),
        (long.as_str(), "line 5001: over 1024 bytes"),
        ("{\"id\": 1, \"vector\": [1, 2]", "line 5001: "),
    ] {
        let (status, kind, message) = import(&served, format!("{lines}{wrong}")).error();
        assert_eq!((status, kind.as_str()), (400, "InvalidArgument"), "{message}");
        assert!(message.contains(word) && message.starts_with("after "), "{message}");
        let stored: u64 = message.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(count(&served), stored, "{message}");
        served.ok("/v1/collections/docs/delete", &json!({"filter": {"and": []}}));
    }
    let typed =
        served.request("POST", "/v1/collections/docs/import").header("content-type", "text/csv");
    assert_eq!(served.send(typed.body("1,2\n")).status, 415);
}

/// An import longer than what a request may take, and larger than a body may be.
#[test]
fn an_import_may_take_its_time_if_it_goes_on() {
    let served = Served::start(&[
        "--set",
        "limits.time=500ms",
        "--set",
        "limits.body=10KiB",
        "--set",
        "limits.idle=5s",
    ]);
    served.create("docs", 2);
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /v1/collections/docs/import HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jsonl\r\n\
                connection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for part in 0..10 {
        let lines: String = (part * 100..part * 100 + 100).map(line).collect();
        write!(stream, "{:x}\r\n{lines}\r\n", lines.len()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"rows\":1000"), "{answer}");
}

/// Who speaks HTTP/1.0 could not tell a scan that is cut short from a whole one.
#[test]
fn a_scan_is_not_for_those_who_could_not_tell_its_end() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "POST /v1/collections/docs/scan HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                   content-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).unwrap();
    // It hangs up once it has answered.
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 505") && answer.contains("proxy_http_version"),
        "{answer}"
    );
}
