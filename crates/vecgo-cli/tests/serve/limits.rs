//! Clients that ask for too much, too slowly, or for nothing that could be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::served::{PATIENCE, Served};

/// What is answered to these bytes, up to the end of the connection.
fn raw(served: &Served, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may hang up before it has read all.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn resident_bytes(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn more_than_may_be_asked_for() {
    let served = Served::start(&[
        "--set",
        "limits.k=50",
        "--set",
        "limits.batch=3",
        "--set",
        "limits.body=4KiB",
    ]);
    served.create("docs", 2);
    let v = "/v1/collections/docs";
    served.refuses(
        &format!("{v}/search"),
        &json!({"vector": [1, 2], "k": 51}),
        400,
        "InvalidArgument",
        "limits.k",
    );
    let four = json!({"vectors": vec![[1, 2]; 4]});
    served.refuses(&format!("{v}/search/batch"), &four, 400, "InvalidArgument", "limits.batch");
    served.refuses(
        &format!("{v}/get"),
        &json!({"ids": [1, 2, 3, 4]}),
        400,
        "InvalidArgument",
        "limits.batch",
    );
    let mut filter = json!({"field": "a", "op": "eq", "value": 1});
    for _ in 0..100 {
        filter = json!({"not": filter});
    }
    served.refuses(
        &format!("{v}/count"),
        &json!({"filter": filter}),
        400,
        "InvalidArgument",
        "filter",
    );
    let long = json!({"vector": vec![0.123; 2000]});
    served.refuses(&format!("{v}/search"), &long, 413, "InvalidArgument", "4096 bytes");
    // Without a length too.
    let head = "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("2000\r\n{}\r\n", " ".repeat(0x2000));
    let answer = raw(&served, format!("{head}{chunk}0\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

/// The length tells, before any of it is sent.
#[test]
fn a_large_body_is_refused_by_its_length() {
    let served = Served::start(&[]);
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                expect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap();
    assert!(
        answer[..read].starts_with(b"HTTP/1.1 413"),
        "{}",
        String::from_utf8_lossy(&answer[..read])
    );
}

#[test]
fn a_request_ends_at_its_time() {
    let served = Served::start(&[]);
    served.create("docs", 256);
    let records: Vec<_> = (0..20_000)
        .map(|id| format!("{{\"id\":{id},\"vector\":{:?}}}\n", vec![id % 97; 256]))
        .collect();
    let request = served
        .request("POST", "/v1/collections/docs/import")
        .header("content-type", "application/jsonl");
    assert_eq!(served.send(request.body(records.concat())).status, 200);
    let dir = served.dir();
    assert_eq!(served.stop(), Some(0));
    let served = Served::with(dir, &["--set", "limits.time=1ms"], &[]);
    served.until_ready();
    let query = vec![1; 256];
    let batch = json!({"vectors": vec![query; 100], "exact": true, "k": 100});
    served.refuses("/v1/collections/docs/search/batch", &batch, 503, "Unavailable", "limits.time");
    // What took too long is counted, too.
    let metrics = served.get("/metrics").text;
    assert!(
        metrics.contains("vecgo_search_duration_seconds_count{status=\"error\"} 1"),
        "{metrics}"
    );
}

/// A body that comes a byte at a time holds what it has taken no longer than any other request.
#[test]
fn a_body_that_trickles_in_has_no_more_time_than_others() {
    let served = Served::start(&["--set", "limits.time=2s"]);
    served.create("docs", 2);
    for path in ["scan", "search", "delete"] {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let head = format!(
            "POST /v1/collections/docs/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: 100000\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 64];
        served.until("it is waited for", || {
            let _ = stream.write_all(b" ");
            let read = stream.read(&mut answer).unwrap_or_default();
            (read > 0).then_some(())
        });
        let answer = String::from_utf8_lossy(&answer);
        let told = ["HTTP/1.1 408", "HTTP/1.1 503"].iter().any(|start| answer.starts_with(start));
        assert!(told, "{path}: {answer}");
    }
}

/// Answers are put together in memory: one that is too large is refused, and others are answered.
#[test]
fn an_answer_that_is_too_large_is_refused() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let text = "x".repeat(200_000);
    let records: Vec<_> = (0..10)
        .map(|id| json!({"id": id, "vector": [id, 1], "metadata": {"text": text}}))
        .collect();
    served.ok("/v1/collections/docs/upsert", &json!({"records": records}));
    let batch = |queries: usize| json!({"vectors": vec![[1, 2]; queries], "k": 10});
    let path = "/v1/collections/docs/search/batch";
    served.refuses(path, &batch(150), 429, "ResourceExhausted", "256 MiB");
    let answer = served.post(path, &batch(20));
    assert!(answer.status == 200 && answer.text.len() > 40_000_000, "{}", answer.text.len());
    let without = json!({"vectors": vec![[1, 2]; 150], "k": 10, "with_metadata": false});
    assert_eq!(served.ok(path, &without)["results"].as_array().unwrap().len(), 150);
}

/// Lists of which each element takes much more memory than it has bytes.
#[test]
fn long_lists_are_not_taken_apart() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let before = resident_bytes(&served);
    let zeros = format!("[0{}]", ",0".repeat(8_000_000));
    for (path, body, word) in [
        (
            "count",
            format!("{{\"filter\": {{\"field\": \"a\", \"op\": \"in\", \"values\": {zeros}}}}}"),
            "filter",
        ),
        ("get", format!("{{\"ids\": {zeros}}}"), "more than 100000"),
        ("delete", format!("{{\"ids\": {zeros}}}"), "more than 100000"),
        (
            "search/batch",
            format!("{{\"vectors\": [[]{}]}}", ",[]".repeat(5_000_000)),
            "more than 100000",
        ),
    ] {
        let request = served.request("POST", &format!("/v1/collections/docs/{path}"));
        let answer = served.send(request.header("content-type", "application/json").body(body));
        let (status, kind, message) = answer.error();
        assert_eq!((status, kind.as_str()), (400, "InvalidArgument"), "{path}: {message}");
        assert!(message.contains(word), "{path}: {message}");
    }
    let grown = resident_bytes(&served).saturating_sub(before);
    assert!(grown < 150 << 20, "{grown} bytes");
}

#[test]
fn ten_thousand_malformed_requests() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let bodies: [&[u8]; 12] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{\"vector\":}",
        b"{\"vector\":[1,2],\"k\":-1}",
        b"\xff\xfe\x00",
        b"{\"vector\":[1,2],\"k\":1e99}",
        b"{\"vector\":\"AAAA\"}",
        b"{\"vector\":[NaN,1]}",
        b"{\"vector\":[1,2],\"filter\":{\"and\":[{}]}}",
        b"\"\\ud800\"",
    ];
    let deep = [b"{\"vector\":".to_vec(), b"[".repeat(50_000)].concat();
    let paths = [
        "search",
        "upsert",
        "get",
        "update",
        "delete",
        "facet",
        "scan",
        "import",
        "search/batch",
        "nothing",
        "tags/%00",
        "%ff",
    ];
    let mut request = 0usize;
    let mut send = |stream: &mut TcpStream| {
        let body =
            if request.is_multiple_of(97) { &deep[..] } else { bodies[request % bodies.len()] };
        let path = paths[(request / bodies.len()) % paths.len()];
        request += 1;
        let head = format!(
            "POST /v1/collections/docs/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), body].concat();
        // After an answer to a body that was not read it may hang up.
        loop {
            if let Some(status) = stream.write_all(&bytes).ok().and_then(|()| read_answer(stream)) {
                return status;
            }
            *stream = TcpStream::connect(&served.address).unwrap();
        }
    };
    let mut stream = TcpStream::connect(&served.address).unwrap();
    let mut memory = Vec::new();
    for round in 0..100 {
        for _ in 0..90 {
            let status = send(&mut stream);
            assert!((400..500).contains(&status) || status == 200, "{status}");
        }
        // And some that are no HTTP at all.
        for bytes in [
            &b"GET\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            b"GET /\x00 HTTP/1.1\r\n\r\n",
            b"POST /search HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"\r\n\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            b"POST /search HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            b"",
        ] {
            let answer = raw(&served, bytes);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{answer}");
            assert!(!answer.starts_with("HTTP/1.1 5"), "{answer}");
        }
        if round % 10 == 9 {
            memory.push(resident_bytes(&served));
        }
    }
    assert_eq!(served.get("/health").json()["status"], "healthy");
    served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2]}));
    let (early, late) = (memory[1], memory[9]);
    assert!(late < early + (8 << 20), "{memory:?}");
}

/// The status of an answer, which is read to its end; none if the connection broke off.
fn read_answer(stream: &mut TcpStream) -> Option<u16> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length {
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).ok()?;
    } else {
        let mut chunks = Vec::new();
        while !chunks.ends_with(b"0\r\n\r\n") {
            stream.read_exact(&mut byte).ok()?;
            chunks.push(byte[0]);
        }
    }
    head.split(' ').nth(1)?.parse().ok()
}

/// Scans that nobody reads and imports that send nothing have a number of their own: others are served beside them.
#[test]
fn long_requests_keep_no_others_waiting() {
    let served = Served::start(&["--set", "limits.requests=64"]);
    served.create("docs", 2);
    let text = "x".repeat(200_000);
    let lines: String = (0..500)
        .map(|id| format!("{{\"id\":{id},\"vector\":[1,2],\"metadata\":{{\"t\":\"{text}\"}}}}\n"))
        .collect();
    let request = served.request("POST", "/v1/collections/docs/import");
    let request = request.header("content-type", "application/jsonl").body(lines);
    assert_eq!(served.send(request).status, 200);
    let head = "POST /v1/collections/docs/scan HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let mut scans = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        scans.push(stream);
    }
    let scan = || served.post("/v1/collections/docs/scan", &json!({"limit": 1})).status;
    assert_eq!(scan(), 429);
    served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2]}));
    served.ok("/v1/collections/docs/count", &json!({}));
    // One that hangs up leaves its turn to another.
    drop(scans.pop());
    served.until("its turn is not free", || (scan() == 200).then_some(()));
}

/// Clients that send a byte now and then, or nothing, or do not read what they asked for.
#[test]
fn slow_clients_do_not_hold_it() {
    let served = Served::start(&["--set", "limits.idle=1s", "--set", "limits.connections=64"]);
    served.create("docs", 2);
    let lines: String = (0..50_000)
        .map(|id| {
            format!(
                "{{\"id\":{id},\"vector\":[1,2],\"metadata\":{{\"t\":\"{}\"}}}}\n",
                "x".repeat(200)
            )
        })
        .collect();
    let request = served
        .request("POST", "/v1/collections/docs/import")
        .header("content-type", "application/jsonl");
    assert_eq!(served.send(request.body(lines)).status, 200);
    let begin = |bytes: &str| {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream
    };
    let json = "host: localhost\r\ncontent-type: application/json\r\n";
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..15 {
        slow.push(begin(""));
        slow.push(begin("GET /health HT"));
        slow.push(begin(&format!(
            "POST /v1/collections/docs/search HTTP/1.1\r\n{json}content-length: 100\r\n\r\n{{\"vec"
        )));
        slow.push(begin(&format!(
            "POST /v1/collections/docs/scan HTTP/1.1\r\n{json}content-length: 2\r\n\r\n{{}}"
        )));
    }
    // While they hold nearly all connections, others are served.
    served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2]}));
    // More than there may be: they wait until the slow ones are sent away.
    for _ in 0..100 {
        slow.push(begin("GET /heal"));
    }
    let begun = Instant::now();
    served.ok("/v1/collections/docs/search", &json!({"vector": [1, 2]}));
    assert!(begun.elapsed() < Duration::from_secs(30));
    for mut stream in slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // To its end, or to its breaking off: none is kept.
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
    }
    assert_eq!(served.get("/health").status, 200);
}
