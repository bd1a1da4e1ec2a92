//! Collections that change while others look, or by those who do not wait for it.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use serde_json::{Value, json};

use crate::served::Served;

fn upsert(served: &Served, name: &str, id: u64) {
    let records = json!({"records": [{"id": id, "vector": [1, 2]}]});
    let ack = served.ok(&format!("/v1/collections/{name}/upsert"), &records);
    assert_eq!(ack["durable"], true);
}

fn missing(served: &Served, name: &str, id: u64) -> Value {
    served.ok(&format!("/v1/collections/{name}/get"), &json!({"ids": [id]}))["missing"].clone()
}

/// Who hangs up in the middle of a rename or a deletion leaves no collection under another's name.
#[test]
fn changes_are_whole_though_nobody_waits_for_them() {
    let served = Served::start(&[]);
    for time in 0..60 {
        let (old, new) = (format!("old-{time}"), format!("new-{time}"));
        served.create(&old, 2);
        upsert(&served, &old, 1);
        let request = match time % 2 {
            0 => {
                let body = format!("{{\"to\": \"{new}\"}}");
                format!(
                    "POST /v1/collections/{old}/rename HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\n\r\n{body}",
                    served.address,
                    body.len()
                )
            }
            _ => {
                format!("DELETE /v1/collections/{old} HTTP/1.1\r\nhost: {}\r\n\r\n", served.address)
            }
        };
        let mut socket = TcpStream::connect(&served.address).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        thread::sleep(std::time::Duration::from_micros(time * 50));
        drop(socket);
        // As soon as the name is free.
        served.until("the name is not free", || {
            let made = served.ask(
                "PUT",
                &format!("/v1/collections/{old}"),
                &json!({"dim": 2, "metric": "l2"}),
            );
            if made.status == 200 {
                return Some(());
            }
            // It hung up before it was heard.
            served.ask("DELETE", &format!("/v1/collections/{old}"), &json!({}));
            None
        });
        upsert(&served, &old, 2);
        assert_eq!(missing(&served, &old, 2), json!([]), "{time}");
        assert_eq!(missing(&served, &old, 1), json!([1]), "{time}");
        if served.get(&format!("/v1/collections/{new}")).status == 200 {
            assert_eq!(missing(&served, &new, 2), json!([2]), "{time}");
        }
    }
}

/// Two that were created in one moment are two, whatever they are called later.
#[test]
fn a_replica_does_not_take_one_collection_for_another() {
    let writer = Served::start(&["--set", "data.auto_commit=0s"]);
    let made_at_once = (0..50).any(|_| {
        thread::scope(|scope| {
            for name in ["a", "b"] {
                let writer = &writer;
                scope.spawn(move || writer.create(name, 2));
            }
        });
        let listed = writer.get("/v1/collections").json();
        let is_same =
            listed["collections"][0]["created_ms"] == listed["collections"][1]["created_ms"];
        if !is_same {
            for name in ["a", "b"] {
                writer.send(writer.request("DELETE", &format!("/v1/collections/{name}")));
            }
        }
        is_same
    });
    assert!(made_at_once, "no two were created in the same millisecond");
    for (name, id) in [("a", 1), ("b", 2)] {
        upsert(&writer, name, id);
        writer.ok(&format!("/v1/collections/{name}/commit"), &json!({}));
    }
    let replica = Served::with(writer.dir(), &["--read-only", "--set", "data.refresh=50ms"], &[]);
    replica.until_ready();
    assert_eq!(missing(&replica, "a", 1), json!([]));
    writer.send(writer.request("DELETE", "/v1/collections/a"));
    writer.ok("/v1/collections/b/rename", &json!({"to": "a"}));
    replica.until("the replica has the collection that was deleted", || {
        let got = replica.post("/v1/collections/a/get", &json!({"ids": [2]}));
        (got.status == 200 && got.json()["missing"] == json!([])).then_some(())
    });
}

#[test]
fn two_changes_at_a_time_are_both_made() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    for time in 0..20 {
        let target = f64::from(800 + time) / 1000.0;
        let quantization = if time % 2 == 0 { "none" } else { "sq8" };
        thread::scope(|scope| {
            for change in [json!({"recall_target": target}), json!({"quantization": quantization})]
            {
                let served = &served;
                scope.spawn(move || {
                    let changed = served.ask("PATCH", "/v1/collections/docs", &change);
                    assert_eq!(changed.status, 200, "{changed:?}");
                });
            }
        });
        let is = served.get("/v1/collections/docs").json();
        assert_eq!(
            (&is["recall_target"], &is["quantization"]),
            (&json!(target), &json!(quantization))
        );
    }
    let listed = served.get("/v1/collections").json();
    assert_eq!(listed["collections"][0]["quantization"], "sq8");
}
