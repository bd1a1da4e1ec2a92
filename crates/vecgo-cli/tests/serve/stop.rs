//! Stops and kills in the middle of work. `VECGO_STOPS` says how many of each.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::served::{PATIENCE, Served};

/// Writers at a time.
const WRITERS: u64 = 4;
/// Longest that a stop may take.
const DEADLINE: Duration = Duration::from_secs(30);

fn rounds() -> u64 {
    std::env::var("VECGO_STOPS").map_or(6, |rounds| rounds.parse().unwrap())
}

/// Writes records, a few a request, until nobody answers; gives the ids that were acknowledged, and how
/// many requests were.
fn write(address: &str, ids: impl Iterator<Item = u64>, running: &AtomicU64) -> Vec<u64> {
    let client = Client::builder().timeout(DEADLINE).build().unwrap();
    let url = format!("http://{address}/v1/collections/docs/upsert");
    let ids: Vec<u64> = ids.collect();
    let mut acknowledged = Vec::new();
    for some in ids.chunks(3) {
        let records: Vec<Value> =
            some.iter().map(|id| json!({"id": id, "vector": [id % 100, 1]})).collect();
        let Ok(answer) = client.post(&url).json(&json!({"records": records})).send() else { break };
        let status = answer.status();
        let Ok(body) = answer.json::<Value>() else { break };
        if status != 200 {
            assert!([503, 504].contains(&status.as_u16()), "{status} {body}");
            break;
        }
        if body["durable"] == true {
            acknowledged.extend(some);
        }
        running.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

/// Lets writers write, ends the server after a while by `end`, and says which ids were acknowledged.
fn under_load(served: &Served, round: u64, end: impl FnOnce()) -> BTreeSet<u64> {
    let running = AtomicU64::new(0);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let first = (round * WRITERS + writer) * 1_000_000;
                let (address, running) = (served.address.clone(), &running);
                scope.spawn(move || write(&address, first..first + 999_999, running))
            })
            .collect();
        while running.load(Ordering::Relaxed) < 8 {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(round * 37 % 120));
        end();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

fn are_there(served: &Served, ids: &BTreeSet<u64>) {
    let ids: Vec<u64> = ids.iter().copied().collect();
    for some in ids.chunks(1000) {
        let got = served.ok("/v1/collections/docs/get", &json!({"ids": some}));
        assert_eq!(got["missing"], json!([]));
    }
}

#[test]
fn a_stop_under_load_loses_nothing_and_is_clean() {
    let mut served = Served::start(&[]);
    served.create("docs", 2);
    for round in 0..rounds() {
        let begun = Instant::now();
        let acknowledged = under_load(&served, round, || served.signal(Signal::TERM));
        assert_eq!(served.wait().code(), Some(0), "{}", served.log());
        assert!(begun.elapsed() < DEADLINE);
        assert!(!acknowledged.is_empty());
        // All of it is committed, so that a reader finds it, which replays no log of a writer.
        served = Served::with(served.dir(), &["--read-only"], &[]);
        served.until_ready();
        are_there(&served, &acknowledged);
        assert_eq!(served.signal_and_wait(Signal::INT), Some(0));
        served = Served::with(served.dir(), &[], &[]);
        served.until_ready();
    }
}

#[test]
fn a_kill_under_load_loses_nothing_that_was_durable() {
    let mut served = Served::start(&[]);
    served.create("docs", 2);
    for round in 0..rounds() {
        let acknowledged = under_load(&served, round, || served.signal(Signal::KILL));
        served.wait();
        served = Served::with(served.dir(), &[], &[]);
        served.until_ready();
        are_there(&served, &acknowledged);
    }
}

/// A kill while it stops.
#[test]
fn a_kill_in_the_middle_of_a_stop_loses_nothing() {
    let mut served = Served::start(&["--set", "data.wal_sync=20"]);
    served.create("docs", 2);
    for round in 0..rounds() {
        let acknowledged = under_load(&served, round, || {
            served.signal(Signal::TERM);
            thread::sleep(Duration::from_micros(round * 331 % 3000));
            served.signal(Signal::KILL);
        });
        served.wait();
        served = Served::with(served.dir(), &["--set", "data.wal_sync=20"], &[]);
        served.until_ready();
        are_there(&served, &acknowledged);
    }
}

/// A request that does not end keeps a stop waiting up to its deadline, and a second signal ends that.
#[test]
fn a_stop_has_a_deadline_and_a_second_signal_ends_it() {
    for (deadline, second) in [("1s", false), ("600s", true)] {
        let args = ["--set", "limits.idle=600s", "--set", "limits.time=600s"];
        let stop = format!("server.stop_deadline={deadline}");
        let mut served = Served::start(&[&args[..], &["--set", &stop]].concat());
        served.create("docs", 2);
        served
            .ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
        let mut hanging = std::net::TcpStream::connect(&served.address).unwrap();
        let head = "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
        hanging.write_all(head.as_bytes()).unwrap();
        // That one, and the one that asks.
        let seen = "vecgo_http_requests_in_flight 2";
        served.until("it is not seen", || served.get("/metrics").text.contains(seen).then_some(()));
        served.signal(Signal::TERM);
        served.until("it does not stop", || served.log().contains("stopping").then_some(()));
        assert!(reqwest::blocking::get(format!("http://{}/livez", served.address)).is_err());
        if second {
            served.signal(Signal::TERM);
        }
        // Unavailable: stopped before all was closed.
        assert_eq!(served.wait().code(), Some(12), "{}", served.log());
        let served = Served::with(served.dir(), &[], &[]);
        served.until_ready();
        are_there(&served, &BTreeSet::from([1]));
    }
}

/// Writes that are acknowledged before they are durable are made so by a stop.
#[test]
fn a_stop_commits_what_was_acknowledged_before_it_was_durable() {
    let served = Served::start(&["--set", "data.wal_sync=commit", "--set", "data.auto_commit=0s"]);
    served.create("docs", 2);
    let written = served
        .ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    assert_eq!(written["durable"], false);
    let dir = served.dir();
    assert_eq!(served.stop(), Some(0));
    let served = Served::with(Arc::clone(&dir), &["--read-only"], &[]);
    served.until_ready();
    are_there(&served, &BTreeSet::from([1]));
}

/// Whoever waits for what goes on for long by nature does not keep a stop waiting, nor who takes an answer slowly.
#[test]
fn a_stop_waits_for_no_slow_import_and_no_slow_scan() {
    let served = Served::start(&["--set", "server.stop_deadline=20s", "--set", "limits.idle=600s"]);
    served.create("docs", 2);
    let text = "x".repeat(1000);
    let lines: String = (0..50_000)
        .map(|id| format!("{{\"id\":{id},\"vector\":[1,2],\"metadata\":{{\"t\":\"{text}\"}}}}\n"))
        .collect();
    let request = served.request("POST", "/v1/collections/docs/import");
    let request = request.header("content-type", "application/jsonl").body(lines);
    assert_eq!(served.send(request).status, 200);
    let mut importing = std::net::TcpStream::connect(&served.address).unwrap();
    let head = "POST /v1/collections/docs/import HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/jsonl\r\ntransfer-encoding: chunked\r\n\r\n";
    importing.write_all(head.as_bytes()).unwrap();
    let mut scanning = std::net::TcpStream::connect(&served.address).unwrap();
    let head = "POST /v1/collections/docs/scan HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    scanning.write_all(head.as_bytes()).unwrap();
    scanning.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Read::read_exact(&mut scanning, &mut [0; 1000]).unwrap();
    let seen = "vecgo_http_requests_in_flight 2";
    served.until("it is not seen", || served.get("/metrics").text.contains(seen).then_some(()));
    let mut served = served;
    served.signal(Signal::TERM);
    // The import is told; who scans sees that the answer has no end.
    let mut answer = String::new();
    let _ = std::io::Read::read_to_string(&mut importing, &mut answer);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert_eq!(served.wait().code(), Some(0), "{}", served.log());
    let mut lines = Vec::new();
    let _ = std::io::Read::read_to_end(&mut scanning, &mut lines);
    assert!(!lines.ends_with(b"0\r\n\r\n"));
    // All is committed: a replica finds everything.
    let served = Served::with(served.dir(), &["--read-only"], &[]);
    served.until_ready();
    assert_eq!(served.ok("/v1/collections/docs/count", &json!({})), json!({"count": 50_000}));
}

/// An import that goes on is ended by a stop, which says how far it came.
#[test]
fn a_stop_ends_an_import() {
    let mut served = Served::start(&[]);
    served.create("docs", 2);
    let stop = AtomicBool::new(false);
    let mut import = std::net::TcpStream::connect(&served.address).unwrap();
    let head = "POST /v1/collections/docs/import HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jsonl\r\ntransfer-encoding: chunked\r\n\r\n";
    import.write_all(head.as_bytes()).unwrap();
    let answer = thread::scope(|scope| {
        let mut reading = import.try_clone().unwrap();
        let answer = scope.spawn(move || {
            let mut answer = String::new();
            let _ = std::io::Read::read_to_string(&mut reading, &mut answer);
            answer
        });
        let writing = scope.spawn(|| {
            let lines = "{\"vector\":[1,2]}\n".repeat(100);
            while !stop.load(Ordering::Relaxed)
                && write!(import, "{:x}\r\n{lines}\r\n", lines.len()).is_ok()
            {
                thread::sleep(Duration::from_millis(2));
            }
        });
        let some = || (served.get("/health").json()["vectors"].as_u64().unwrap() > 0).then_some(());
        served.until("nothing is imported", some);
        served.signal(Signal::TERM);
        assert_eq!(served.wait().code(), Some(0), "{}", served.log());
        stop.store(true, Ordering::Relaxed);
        writing.join().unwrap();
        answer.join().unwrap()
    });
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let stored: u64 =
        answer.split("after ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let served = Served::with(served.dir(), &[], &[]);
    served.until_ready();
    assert_eq!(served.ok("/v1/collections/docs/count", &json!({})), json!({"count": stored}));
}

/// Connections on which nothing is asked, or half a request, keep nobody.
#[test]
fn a_stop_waits_for_no_one_who_says_nothing() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    crate::tls::certify(dir.path());
    for tls in [false, true] {
        let files = ["--set", "tls.cert=cert.pem", "--set", "tls.key=key.pem"];
        let args = if tls { &files[..] } else { &[] };
        let served = Served::with(Arc::clone(&dir), args, &[]);
        let mut silent: Vec<TcpStream> =
            (0..4).map(|_| TcpStream::connect(&served.address).unwrap()).collect();
        for stream in &mut silent[2..] {
            stream.write_all(b"GET /hea").unwrap();
        }
        thread::sleep(Duration::from_millis(200));
        assert_eq!(served.stop(), Some(0), "TLS: {tls}");
    }
}

/// What reloads other servers does not end this one.
#[test]
fn a_hangup_is_no_stop() {
    let mut served = Served::start(&[]);
    served.create("docs", 2);
    served.signal(Signal::HUP);
    served.signal(Signal::HUP);
    assert_eq!(served.get("/livez").status, 200);
    assert_eq!(served.signal_and_wait(Signal::TERM), Some(0));
}
