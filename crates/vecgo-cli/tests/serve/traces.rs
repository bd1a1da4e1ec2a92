//! Spans, as a collector gets them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use serde_json::json;

use crate::served::{PATIENCE, Served};

const TRACE: [u8; 16] = *b"\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36";

/// A collector: gives the body of each request that it gets.
fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (got, bodies) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut bytes, mut part) = (stream.unwrap(), Vec::new(), [0; 4096]);
            let body = loop {
                let read = stream.read(&mut part).unwrap();
                bytes.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&bytes).to_lowercase();
                let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
                    continue;
                };
                assert!(text.starts_with("post /v1/traces "), "{text}");
                let length =
                    text.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
                if bytes.len() >= head + 4 + length.parse::<usize>().unwrap() {
                    break bytes.split_off(head + 4);
                }
            };
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            if got.send(body).is_err() {
                return;
            }
        }
    });
    (address, bodies)
}

#[test]
fn requests_are_spans_of_their_callers_traces() {
    let (address, bodies) = collector();
    let served = Served::start(&["--set", &format!("trace.otlp={address}")]);
    served.create("docs", 2);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let search =
        served.request("POST", "/v1/collections/docs/search").header("traceparent", parent);
    assert_eq!(served.send(search.json(&json!({"vector": [1, 2]}))).status, 200);
    // What is not sent yet is sent at the end.
    assert_eq!(served.stop(), Some(0));
    let mut all = Vec::new();
    let holds = |all: &[u8], what: &[u8]| all.windows(what.len()).any(|part| part == what);
    while !holds(&all, &TRACE) {
        all.extend(bodies.recv_timeout(PATIENCE).unwrap());
    }
    for word in [
        "POST /v1/collections/{name}/search",
        "db.system.name",
        "db.collection.name",
        "docs",
        "service.name",
    ] {
        assert!(holds(&all, word.as_bytes()), "{word}");
    }
}

#[test]
fn a_collector_that_is_away_stops_nothing() {
    let served = Served::start(&["--set", "trace.otlp=http://127.0.0.1:9"]);
    served.create("docs", 2);
    served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2]}));
    assert_eq!(served.stop(), Some(0));
}
