use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::command::{Place, Ran, exit_code};

/// Objects of every kind: two segments with ids, documents and payloads of all sorts, deletes, and
/// logs. A version names the end of each log: without that, a broken last frame is a write that
/// a crash cut short, and nothing that anybody needs.
fn place() -> Place {
    let place = Place::with_collection(3, "cosine");
    let record = |id: usize| {
        let id_json = if id.is_multiple_of(2) { json!(id) } else { json!(format!("text-{id}")) };
        let record = json!({
            "id": id_json,
            "vector": [1.0, id, -2.0],
            "metadata": {"n": id},
            "payload": "AAEC",
        });
        format!("{record}\n")
    };
    let lines = |ids: std::ops::Range<usize>| ids.map(record).collect::<String>();
    place.write("a.jsonl", lines(0..20));
    place.write("b.jsonl", lines(10..30));
    place.write("c.jsonl", lines(25..35));
    place.write("none.jsonl", "");
    for file in ["a.jsonl", "b.jsonl"] {
        place.ok(&format!("import db {file} --no-wait"));
        place.ok("import db none.jsonl");
    }
    place.ok("import db c.jsonl --no-wait");
    place.ok("delete db 0 2");
    place
}

/// Files of the database, without the lock, which holds nothing.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The bytes between the sections of a segment, as its directory tells them (docs/format.md, 9).
fn padding(segment: &[u8]) -> Vec<usize> {
    let u64_at = |at: usize| {
        usize::try_from(u64::from_le_bytes(segment[at..at + 8].try_into().unwrap())).unwrap()
    };
    let trailer = segment.len() - 16;
    let length = u32::from_le_bytes(segment[trailer..trailer + 4].try_into().unwrap()) as usize;
    let directory = trailer - length;
    let (mut padding, mut end) = (Vec::new(), 64);
    for section in 0..usize::from(segment[directory + 23]) {
        let at = directory + 24 + section * 39;
        padding.extend(end..u64_at(at + 3));
        end = u64_at(at + 3) + u64_at(at + 11);
    }
    padding
}

/// First and last bytes, and some between.
fn places(path: &Path, bytes: &[u8]) -> Vec<usize> {
    let is_segment = path.components().any(|part| part.as_os_str() == "segment");
    let padding = if is_segment { padding(bytes) } else { Vec::new() };
    let last = bytes.len() - 1;
    let spread = (0..7).map(|n| n * last / 7);
    let mut places: Vec<usize> =
        [4, 12, last - 20, last - 10, last].into_iter().chain(spread).collect();
    places.sort_unstable();
    places.dedup();
    places.retain(|place| !padding.contains(place));
    places
}

#[test]
fn a_whole_database() {
    let place = place();
    let report = place.json("verify db");
    assert_eq!((&report["ok"], &report["damage"]), (&true.into(), &json!([])));
    assert_eq!(report["objects"], files(&place.path("db")).len());
    let bytes: u64 =
        files(&place.path("db")).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(report["bytes"], bytes);
    assert!(place.ok("verify db").contains("every checksum is right"));
    assert!(Place::with_collection(2, "l2").json("verify db")["ok"] == true);
}

#[test]
fn a_changed_byte_is_found_and_its_file_named() {
    let place = place();
    let root = place.path("db");
    let mut kinds = Vec::new();
    let mut missed = Vec::new();
    for path in files(&root) {
        let key = path.strip_prefix(&root).unwrap().to_str().unwrap();
        kinds.push(path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned());
        let whole = fs::read(&path).unwrap();
        for at in places(&path, &whole) {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            fs::write(&path, changed).unwrap();
            let ran = place.run("--json verify db");
            let report = ran.object();
            let named = report["damage"].as_array().is_some_and(|damage| {
                damage.iter().any(|damage| damage["object"].as_str() == Some(key))
            });
            if ran.code != Some(1) || report["ok"] != false || !named {
                missed.push(format!("byte {at} of {} of {key}: {ran:?}", whole.len()));
            }
        }
        fs::write(&path, whole).unwrap();
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, ["catalogue", "deletes", "log", "manifest", "segment"]);
    assert!(missed.is_empty(), "{} not found:\n{}", missed.len(), missed.join("\n"));
    assert_eq!(place.json("verify db")["ok"], true);
}

#[test]
fn a_missing_and_a_shortened_file_are_found() {
    let place = place();
    let root = place.path("db");
    let needed = |path: &&PathBuf| {
        let path = path.to_str().unwrap();
        path.contains("/segment/") || path.contains("/deletes/")
    };
    for path in files(&root).iter().filter(needed) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let whole = fs::read(path).unwrap();
        fs::write(path, &whole[..whole.len() - 1]).unwrap();
        let ran = place.run("verify db");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("DAMAGED") && ran.stdout.contains(name), "{ran:?}");
        fs::remove_file(path).unwrap();
        let ran = place.run("verify db");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains(name), "{ran:?}");
        fs::write(path, whole).unwrap();
    }
    assert_eq!(place.json("verify db")["ok"], true);
}

/// The other verbs meet damage as an error, not as an answer.
#[test]
fn damage_in_the_way_of_a_read_is_corruption() {
    let place = place();
    let newest = files(&place.path("db"))
        .into_iter()
        .find(|path| path.to_str().unwrap().contains("/manifest/"));
    let newest = newest.unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let name = newest.file_name().unwrap().to_str().unwrap();
    for args in ["count db", "get db 4", "search db --vector [1,2,3]", "stats db", "delete db 1"] {
        let ran: Ran = place.run(&format!("--json {args}"));
        assert_eq!(ran.code, Some(exit_code("Corruption")), "{ran:?}");
        ran.is_refused("Corruption", &[name]);
    }
}
