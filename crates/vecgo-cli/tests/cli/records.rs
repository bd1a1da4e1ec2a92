//! `get`, `delete` and `count`.

use serde_json::json;

use crate::command::{Place, Ran};

const RECORDS: &str = r#"{"id":1,"vector":[0.1,1e-40],"metadata":{"b":1.0,"a":[1,null]},"payload":"3q2+7w=="}
{"id":"1","vector":[-0.0,3.4028235e38],"metadata":{},"payload":null}
{"id":"one","vector":[1.17549435e-38,7.0],"metadata":{"t":"é\n"},"payload":""}
{"id":"--json","vector":[1.0,2.0],"metadata":{},"payload":null}
{"id":"-5","vector":[1.0,2.0],"metadata":{},"payload":null}
{"id":"007","vector":[1.0,2.0],"metadata":{},"payload":null}
{"id":"18446744073709551616","vector":[1.0,2.0],"metadata":{},"payload":null}
"#;

fn place() -> Place {
    let place = Place::with_collection(2, "dot");
    // Too long for the metric, and here for its bits only.
    place.write("records.jsonl", RECORDS.replace("3.4028235e38", "1.2345678e18"));
    place.ok("import db records.jsonl");
    place
}

#[test]
fn get_returns_records_bit_for_bit() {
    let place = place();
    let ran = place.run("--json get db 1 one");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = ran.object();
    assert_eq!(found["missing"], json!([]));
    let records = found["records"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    let given: Vec<serde_json::Value> =
        RECORDS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (found, given) in records.iter().zip([&given[0], &given[2]]) {
        assert_eq!(found["id"], given["id"]);
        assert_eq!(found["metadata"], given["metadata"]);
        assert_eq!(found["payload"], given["payload"]);
        let bits = |record: &serde_json::Value| -> Vec<u32> {
            let vector = record["vector"].as_array().unwrap();
            vector.iter().map(|x| x.to_string().parse::<f32>().unwrap().to_bits()).collect()
        };
        assert_eq!(bits(found), bits(given));
    }
    let negative_zero = place.ok("get --string-ids db 1");
    assert!(negative_zero.contains("[-0.0,"), "{negative_zero}");
    // Without --json a line a record, which `import` takes.
    let lines = place.ok("get db 1 one");
    assert_eq!(lines.lines().count(), 2);
    place.write("again.jsonl", &lines);
    place.ok("create db --dim 2 --metric dot --collection again");
    place.ok("--collection again import db again.jsonl");
    assert_eq!(place.ok("--collection again get db 1 one"), lines);
}

#[test]
fn a_missing_id_is_the_answer_no() {
    let place = place();
    let ran = place.run("--json get db nope 1 99");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let found = ran.object();
    assert_eq!(found["missing"], json!(["nope", 99]));
    assert_eq!(found["records"].as_array().unwrap().len(), 1);
    let ran = place.run("get db 99");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("99"), "{ran:?}");
    let ran = place.run("get db");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn digits_are_numbers() {
    let place = place();
    let id = |args: &str| place.json(args)["records"][0]["id"].clone();
    assert_eq!(id("get db 1"), 1);
    assert_eq!(id("get --string-ids db 1"), "1");
    assert_eq!(id("get db one"), "one");
    assert_eq!(id("get --string-ids db 007"), "007");
    assert_eq!(id("get db 001"), 1);
    // Above u64 digits can only be a text.
    assert_eq!(id("get db 18446744073709551616"), "18446744073709551616");
    // Behind `--` nothing is an option.
    assert_eq!(id("get db -- -5"), "-5");
    assert_eq!(id("get db -- --json"), "--json");
    // No record can have such ids: that is no error of a question, and one of a write.
    assert_eq!(Ran::of(place.command_of(&["get", "db", ""])).code, Some(1));
    place.refuses_of(&["delete", "db", &"x".repeat(513)], "InvalidArgument", &["513"]);
}

/// Options may follow the ids as they may follow everything else: an option taken for an id would
/// make `delete db 1 --collection other` delete from the wrong collection.
#[test]
fn options_may_follow_ids() {
    let place = place();
    place.ok("create db --dim 2 --metric dot --collection other");
    place.ok("--collection other import db records.jsonl");
    let ran = place.run("get db 1 --string-ids --json");
    assert_eq!(ran.object()["records"][0]["id"], "1", "{ran:?}");
    let ran = place.run("delete db 1 --collection other --json");
    assert_eq!(ran.object(), json!({"deleted": 1}), "{ran:?}");
    assert_eq!(place.count(), 7);
    assert_eq!(place.json("count db --collection other"), json!({"count": 6}));
}

#[test]
fn delete_counts_what_was_there() {
    let place = place();
    assert_eq!(place.json("delete db 1 nope one 12345"), json!({"deleted": 2}));
    assert_eq!(place.json("delete db 1 nope"), json!({"deleted": 0}));
    assert_eq!(place.count(), 5);
    assert_eq!(place.ok("delete --string-ids db 1"), "deleted 1\n");
    assert_eq!(place.ok("count db"), "4\n");
    let ran: Ran = place.run("get db 1 one");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    place.refuses("delete db --collection nope 1", "NotFound", &["nope"]);
}
