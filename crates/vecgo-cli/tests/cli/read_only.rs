//! A directory that cannot be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::command::{Place, Ran};

/// A user without rights, for root, whom no permission binds.
const NOBODY: u32 = 65534;

fn set_modes(path: &Path, directory: u32, file: u32) {
    let is_dir = path.is_dir();
    if is_dir {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(path).unwrap() {
            set_modes(&entry.unwrap().path(), directory, file);
        }
    }
    let mode = if is_dir { directory } else { file };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The command as somebody whom permissions bind.
fn bound(place: &Place, args: &str) -> Command {
    let mut command = Command::new(place.path("vecgo"));
    command.current_dir(place.root()).env_remove("VECGO_SIMD").args(args.split_whitespace());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

#[test]
fn reading_verbs_work_and_writing_ones_say_why_not() {
    let place = Place::with_collection(2, "l2");
    place.write("a.jsonl", "{\"id\":1,\"vector\":[1,2]}\n");
    place.ok("import db a.jsonl");
    // A build folder may be closed to other users.
    fs::copy(env!("CARGO_BIN_EXE_vecgo"), place.path("vecgo")).unwrap();
    set_modes(place.root(), 0o555, 0o444);
    fs::set_permissions(place.path("vecgo"), fs::Permissions::from_mode(0o555)).unwrap();
    if let Err(error) = bound(&place, "--version").output() {
        println!("skipped: no user whom permissions bind: {error}");
        set_modes(place.root(), 0o755, 0o644);
        return;
    }
    let read = |args: &str| {
        let ran = Ran::of(bound(&place, args));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    for args in [
        "collections db",
        "search db --vector [1,2]",
        "get db 1",
        "count db",
        "stats db",
        "versions db",
        "verify db",
    ] {
        read(&format!("--json {args}"));
    }
    for args in [
        "create db --dim 2 --metric l2 --collection other",
        "create new --dim 2 --metric l2",
        "import db a.jsonl",
        "delete db 1",
        "rename db --to other",
        "drop db",
    ] {
        Ran::of(bound(&place, &format!("--json {args}"))).is_refused("ReadOnly", &[]);
    }
    let doctor = Ran::of(bound(&place, "--json doctor db"));
    assert_eq!((doctor.code, &doctor.object()["ok"]), (Some(1), &false.into()), "{doctor:?}");
    set_modes(place.root(), 0o755, 0o644);
    assert_eq!(place.count(), 1);
}
