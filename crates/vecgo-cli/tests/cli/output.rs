//! Exit codes, `--json`, closed pipes and the environment.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::json;
use vecgo::ErrorKind;

use crate::command::{KINDS, Place, Ran, exit_code};
use crate::files::{Rng, npy_f32};

#[test]
fn exit_codes_are_the_kinds_in_their_order() {
    let names: Vec<String> = ErrorKind::ALL.iter().map(ErrorKind::to_string).collect();
    assert_eq!(names, KINDS);
    for kind in ErrorKind::ALL {
        assert_eq!(i32::from(kind.exit_code()), exit_code(&kind.to_string()));
    }
    assert_eq!((exit_code("InvalidArgument"), exit_code("Internal")), (3, 17));
}

const WRONG_USAGE: [&str; 9] = [
    "frobnicate db",
    "create db --metric l2",
    "create db --dim 3",
    "create db --dim x --metric l2",
    "create db --dim 3 --metric euclid",
    "search db",
    "rename db",
    "count",
    "count db --nope",
];

#[test]
fn wrong_usage_is_two() {
    let place = Place::with_collection(2, "l2");
    for args in WRONG_USAGE {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains("--help"), "{ran:?}");
    }
    assert_eq!(place.run("").code, Some(2));
}

#[test]
fn wrong_usage_is_one_object_too() {
    let place = Place::with_collection(2, "l2");
    for args in WRONG_USAGE {
        let ran = place.run(&format!("--json {args}"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        ran.tells_failure("InvalidArgument", &[]);
    }
}

/// Whatever a verb does, it prints one object.
#[test]
fn every_verb_prints_one_object() {
    let place = Place::new();
    place.write("a.jsonl", "{\"id\":1,\"vector\":[1,2]}\n");
    for args in [
        "create db --dim 2 --metric l2",
        "collections db",
        "import db a.jsonl",
        "search db --vector [1,2]",
        "get db 1",
        "count db",
        "stats db",
        "versions db",
        "verify db",
        "doctor db",
        "delete db 1",
        "rename db --to other",
        "drop db --collection other",
    ] {
        place.json(args);
        // Where the option stands makes no difference.
        let ran = place.run(&args.replacen(' ', " --json ", 1));
        ran.object();
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::with_collection(4, "l2");
    npy_f32(&place.path("queries.npy"), &Rng(5).rows(20_000, 4));
    place.write(
        "a.jsonl",
        "{\"id\":1,\"vector\":[1,2,3,4],\"metadata\":{\"text\":\"some words\"}}\n",
    );
    place.ok("import db a.jsonl");
    for args in ["search db --query-file queries.npy", "--json search db --query-file queries.npy"]
    {
        let mut child =
            place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        // Dropped with the line read: from then on nobody listens.
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("some words"), "{first}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{args}");
    }
}

#[test]
fn a_closed_pipe_leaves_no_temporary_files() {
    let place = Place::new();
    let temporary = place.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = place.command("demo");
    command.env("TMPDIR", &temporary).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// 1 is an answer: that an answer could not be written is none.
#[test]
#[cfg(target_os = "linux")]
fn a_full_stdout_is_a_failure() {
    let place = Place::with_collection(2, "l2");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = place.command("count db");
    let output = command.stdout(full).output().unwrap();
    let ran = Ran::from("count db > /dev/full".to_owned(), output);
    assert_eq!(ran.code, Some(exit_code("Unavailable")), "{ran:?}");
    assert!(ran.stderr.contains("stdout"), "{ran:?}");
}

#[test]
fn kernels_by_the_environment() {
    let place = Place::with_collection(33, "cosine");
    let mut rng = Rng(6);
    npy_f32(&place.path("base.npy"), &rng.rows(500, 33));
    npy_f32(&place.path("queries.npy"), &rng.rows(50, 33));
    place.ok("import db base.npy");
    let with = |level: &str, args: &str| {
        let mut command = place.command(args);
        command.env("VECGO_SIMD", level);
        Ran::of(command)
    };
    for level in ["sse9", "AVX2", "auto"] {
        with(level, "--json count db")
            .is_refused("InvalidArgument", &[level, "none, avx2, avx512"]);
    }
    let search = "--json search db --query-file queries.npy";
    let best = place.run(search);
    let none = with("none", search);
    assert_eq!(none.code, Some(0), "{none:?}");
    assert_eq!(none.lines(), best.lines());
    assert_eq!(with("none", "--json stats db").object()["simd"], "none");

    // What the CPU lacks is refused, what it has is used.
    let doctor = place.json("doctor db");
    let found = doctor["checks"][0]["found"].as_str().unwrap();
    for level in ["avx2", "avx512"] {
        let ran = with(level, "--json stats db");
        if found.contains(level) {
            assert_eq!(ran.object()["simd"], json!(level));
        } else {
            ran.is_refused("InvalidArgument", &[level]);
        }
    }
}
