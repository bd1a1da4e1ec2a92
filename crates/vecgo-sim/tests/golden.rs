//! The golden files are what this build writes.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and reads its files"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn files(directory: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            files(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn golden_files_are_what_the_engine_writes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden/head");
    let mut committed = BTreeMap::new();
    files(&golden, "", &mut committed);
    let written = vecgo_sim::golden().unwrap();
    assert_eq!(written, vecgo_sim::golden().unwrap(), "two runs differ");
    let differs = |path: &&String| committed.get(*path) != written.get(*path);
    let different: Vec<_> = written.keys().chain(committed.keys()).filter(differs).collect();
    assert!(
        different.is_empty(),
        "the format, or what the engine writes, has changed. If older builds and this one no \
         longer read each other's files, raise the draft in `vecgo-format` and `docs/format.md`. \
         Then run `cargo xtask golden`. Different: {different:#?}"
    );
    let bytes: usize = committed.values().map(Vec::len).sum();
    assert!(bytes < 112 << 10, "{bytes} bytes are more than a repository should carry");
}

/// What the page about the format says is in them.
#[test]
fn golden_files_are_of_every_kind() {
    let written = vecgo_sim::golden().unwrap();
    let count = |part: &str| written.keys().filter(|path| path.contains(part)).count();
    for (part, least) in
        [("catalogue/", 5), ("/manifest/", 8), ("/log/", 8), ("/segment/", 3), ("/deletes/", 1)]
    {
        assert!(count(part) >= least, "{} of {part}", count(part));
    }
    assert_eq!(count("/."), 0);
}
