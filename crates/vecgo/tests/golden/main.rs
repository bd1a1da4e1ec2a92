//! The golden files: what this build writes, and what each release wrote, opens and holds what its
//! author says. Files of other versions of the format are refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and tampers with files"
)]

mod contents;
mod released;
mod sections;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use contents::{
    Expected, contents_of, copy, copy_of, damage, databases, look, look_for, open, told,
};
use vecgo::{ErrorKind, Record};
use vecgo_format::{FORMAT_VERSION, FormatVersion};

#[test]
fn golden_files_hold_what_their_author_says() {
    for golden in databases() {
        let (directory, paths) = copy_of(&golden);
        let contents = contents_of(&golden);
        for read_only in [true, false, true] {
            let report = open(directory.path(), true).verify().wait().unwrap();
            assert_eq!(report.damage, []);
            assert!(report.objects >= u64::try_from(paths.len()).unwrap(), "{report:?}");
            look_for(&contents, directory.path(), read_only).unwrap();
        }
    }
}

#[test]
fn golden_files_take_writes() {
    for golden in databases() {
        let (directory, _) = copy_of(&golden);
        for (name, expected) in contents_of(&golden) {
            takes_writes(directory.path(), &name, &expected);
        }
    }
}

fn takes_writes(path: &Path, name: &str, expected: &Expected) {
    let database = open(path, false);
    let collection = database.collection(name).wait().unwrap();
    let before = collection.version();
    let last = expected.last.keys().next().unwrap();
    collection.delete([last.clone()]).wait().unwrap();
    let vector = vec![2.0; expected.config.dim()];
    collection.upsert([Record::new("new", vector)]).wait().unwrap();
    assert_eq!(collection.commit().wait().unwrap(), before + 1);
    assert_eq!(collection.flush().wait().unwrap(), before + 2);
    collection.compact().wait().unwrap();
    assert_eq!(collection.stats().segments.len(), 1);
    collection.close().wait().unwrap();
    let database = open(path, true);
    let collection = database.collection(name).wait().unwrap();
    assert_eq!(collection.count(), u64::try_from(expected.last.len()).unwrap(), "{name}");
    assert!(!collection.exists(last).wait().unwrap());
    for (id, record) in expected.last.iter().skip(1) {
        let found = collection.get(id.clone()).wait().unwrap();
        assert_eq!(found.as_ref(), Some(record), "{name}");
    }
    assert_eq!(database.verify().wait().unwrap().damage, []);
}

/// Each file in turn is one of another version.
#[test]
fn files_of_another_version_are_refused() {
    let FormatVersion { version, draft } = FORMAT_VERSION;
    let others = [(0, 12), (version, draft + 1), (version + 1, 0), (version + 1, 1)];
    let (_, paths) = copy();
    let newest_catalogue = paths.iter().find(|path| path.starts_with("catalogue/")).unwrap();
    let mut kinds = BTreeSet::new();
    for path in &paths {
        for (version, draft) in others {
            let (directory, _) = copy();
            let mut bytes = fs::read(directory.path().join(path)).unwrap();
            bytes[4..6].copy_from_slice(&version.to_le_bytes());
            bytes[6..8].copy_from_slice(&draft.to_le_bytes());
            fs::write(directory.path().join(path), bytes).unwrap();

            let found = FormatVersion { version, draft };
            let refused = |message: &str| {
                for part in [path.as_str(), &format!("format {found}"), "reads version"] {
                    assert!(message.contains(part), "{path}, {part}: {message}");
                }
            };
            refused(&damage(directory.path(), path).unwrap_or_else(|| panic!("{path}: unseen")));
            let read = look(directory.path(), true);
            let written = look(directory.path(), false);
            let kind = path.rsplit('/').nth(1).unwrap();
            if written.is_ok() {
                // Only `verify` reads older catalogues, and logs whose writes are all in segments.
                let old_catalogue = kind == "catalogue" && path != newest_catalogue;
                assert!(old_catalogue || kind == "log", "{path}: {found}");
            } else {
                kinds.insert(kind);
            }
            for error in [read, written].into_iter().filter_map(Result::err) {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", told(&error));
                refused(error.message());
            }
        }
    }
    let all = ["catalogue", "deletes", "log", "manifest", "pin", "segment"];
    assert_eq!(kinds, BTreeSet::from(all));
}
