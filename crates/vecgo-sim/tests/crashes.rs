//! What each outcome of a crash leaves on the simulated disk, against what is written here by hand
//! from the promises of [`Disk`] and the names of the outcomes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vecgo_io::{Disk, DiskWriter};
use vecgo_sim::Outcome::{BothNames, Kill, Lucky, MetadataFirst, Strict};
use vecgo_sim::{Image, Machine, Outcome, Random, SimDisk};

type Files = BTreeMap<String, Vec<u8>>;

fn new_disk() -> SimDisk {
    Machine::boot(Image::default(), Random::new(1), Arc::default()).disk
}

fn left(disk: &SimDisk, outcome: Outcome) -> Files {
    disk.image().crash(outcome, &mut Random::new(1)).files()
}

fn files(expected: &[(&str, &[u8])]) -> Files {
    expected.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect()
}

/// A file with synced bytes; its name is not.
fn write(disk: &SimDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskWriter> {
    let mut file = disk.create_new(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
    file
}

/// The same with a durable name in the root.
fn keep(disk: &SimDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskWriter> {
    let file = write(disk, path, bytes);
    disk.sync_dir("").unwrap();
    file
}

/// Outcomes with the files that they leave.
type Left<'a> = [(Outcome, &'a [(&'a str, &'a [u8])])];

fn check(what: &str, disk: &SimDisk, expected: &Left<'_>) {
    for (outcome, expected) in expected {
        assert_eq!(left(disk, *outcome), files(expected), "{what}, {outcome:?}");
    }
}

/// Every outcome leaves the same.
fn check_durable(what: &str, disk: &SimDisk, expected: &[(&str, &[u8])]) {
    for outcome in Outcome::ALL {
        for seed in 0..20 {
            let after = disk.image().crash(outcome, &mut Random::new(seed));
            assert_eq!(after.files(), files(expected), "{what}, {outcome:?}");
        }
    }
}

#[test]
fn bytes_that_were_not_synced() {
    let disk = new_disk();
    let mut file = keep(&disk, "file", b"synced");
    check_durable("synced", &disk, &[("file", b"synced")]);
    file.append(b", more").unwrap();
    check(
        "appended",
        &disk,
        &[
            (Kill, &[("file", b"synced, more")]),
            (Strict, &[("file", b"synced")]),
            (Lucky, &[("file", b"synced, more")]),
            (MetadataFirst, &[("file", b"synced\0\0\0\0\0\0")]),
            (BothNames, &[("file", b"synced")]),
        ],
    );
    file.sync().unwrap();
    check_durable("synced again", &disk, &[("file", b"synced, more")]);
}

#[test]
fn a_new_name_that_was_not_synced() {
    let disk = new_disk();
    write(&disk, "file", b"bytes");
    check(
        "a synced file",
        &disk,
        &[
            (Kill, &[("file", b"bytes")]),
            (Strict, &[]),
            (Lucky, &[("file", b"bytes")]),
            (MetadataFirst, &[("file", b"bytes")]),
            (BothNames, &[("file", b"bytes")]),
        ],
    );
    disk.sync_dir("").unwrap();
    check_durable("its name synced", &disk, &[("file", b"bytes")]);

    let disk = new_disk();
    disk.create_new("file").unwrap().append(b"bytes").unwrap();
    check(
        "nothing synced",
        &disk,
        &[
            (Kill, &[("file", b"bytes")]),
            (Strict, &[]),
            (Lucky, &[("file", b"bytes")]),
            (MetadataFirst, &[("file", b"\0\0\0\0\0")]),
            (BothNames, &[("file", b"")]),
        ],
    );
    disk.sync_dir("").unwrap();
    check(
        "the name alone synced",
        &disk,
        &[(Strict, &[("file", b"")]), (MetadataFirst, &[("file", b"\0\0\0\0\0")])],
    );
}

#[test]
fn a_rename() {
    let disk = new_disk();
    keep(&disk, "old", b"bytes");
    disk.rename("old", "new").unwrap();
    check(
        "renamed",
        &disk,
        &[
            (Kill, &[("new", b"bytes")]),
            (Strict, &[("old", b"bytes")]),
            (Lucky, &[("new", b"bytes")]),
            (MetadataFirst, &[("new", b"bytes")]),
            (BothNames, &[("new", b"bytes"), ("old", b"bytes")]),
        ],
    );
    disk.sync_dir("").unwrap();
    check_durable("renamed and synced", &disk, &[("new", b"bytes")]);
    keep(&disk, "other", b"more");
    disk.rename("other", "new").unwrap();
    check(
        "renamed onto a file",
        &disk,
        &[
            (Kill, &[("new", b"more")]),
            (Strict, &[("new", b"bytes"), ("other", b"more")]),
            (Lucky, &[("new", b"more")]),
            (BothNames, &[("new", b"more"), ("other", b"more")]),
        ],
    );
}

#[test]
fn a_link_and_a_removal() {
    let disk = new_disk();
    keep(&disk, "old", b"bytes");
    disk.link("old", "new").unwrap();
    check(
        "linked",
        &disk,
        &[
            (Kill, &[("new", b"bytes"), ("old", b"bytes")]),
            (Strict, &[("old", b"bytes")]),
            (Lucky, &[("new", b"bytes"), ("old", b"bytes")]),
            (BothNames, &[("new", b"bytes"), ("old", b"bytes")]),
        ],
    );
    disk.sync_dir("").unwrap();
    disk.remove("old").unwrap();
    check(
        "removed",
        &disk,
        &[
            (Kill, &[("new", b"bytes")]),
            (Strict, &[("new", b"bytes"), ("old", b"bytes")]),
            (Lucky, &[("new", b"bytes")]),
            (MetadataFirst, &[("new", b"bytes")]),
            (BothNames, &[("new", b"bytes"), ("old", b"bytes")]),
        ],
    );
    disk.sync_dir("").unwrap();
    check_durable("removed and synced", &disk, &[("new", b"bytes")]);
}

#[test]
fn a_directory_whose_own_name_was_not_synced() {
    let disk = new_disk();
    disk.create_dir("folder").unwrap();
    write(&disk, "folder/file", b"bytes");
    disk.sync_dir("folder").unwrap();
    check(
        "in a new directory",
        &disk,
        &[
            (Kill, &[("folder/file", b"bytes")]),
            (Strict, &[]),
            (Lucky, &[("folder/file", b"bytes")]),
        ],
    );
    disk.sync_dir("").unwrap();
    check_durable("in a durable directory", &disk, &[("folder/file", b"bytes")]);
    write(&disk, "folder/more", b"");
    disk.sync_dir("").unwrap();
    check(
        "the parent alone synced",
        &disk,
        &[
            (Strict, &[("folder/file", b"bytes")]),
            (Lucky, &[("folder/file", b"bytes"), ("folder/more", b"")]),
        ],
    );
}

#[test]
fn a_kill_keeps_what_is_not_durable_as_it_is() {
    let disk = new_disk();
    keep(&disk, "file", b"synced").append(b", more").unwrap();
    write(&disk, "new", b"");
    let mut random = Random::new(1);
    let killed = disk.image().crash(Kill, &mut random);
    assert_eq!(killed.files(), files(&[("file", b"synced, more"), ("new", b"")]));
    assert_eq!(killed.crash(Strict, &mut random).files(), files(&[("file", b"synced")]));
    // What a power failure has left is durable.
    let lucky = disk.image().crash(Lucky, &mut random);
    for outcome in Outcome::ALL {
        assert_eq!(lucky.crash(outcome, &mut random).files(), lucky.files());
    }
}

#[test]
fn each_name_change_is_there_or_not_at_random() {
    let disk = new_disk();
    keep(&disk, "old", b"");
    write(&disk, "new", b"");
    disk.remove("old").unwrap();
    let seen: BTreeSet<Vec<String>> = (0..100)
        .map(|seed| disk.image().crash(Outcome::Random, &mut Random::new(seed)))
        .map(|image| image.files().into_keys().collect())
        .collect();
    let each = [&[][..], &["new"], &["new", "old"], &["old"]];
    assert_eq!(seen, each.map(|names| names.iter().map(|n| (*n).to_owned()).collect()).into());
}

/// Bytes that are never 0 and differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (1..=251).cycle().take(length).collect()
}

#[test]
fn each_sector_is_there_or_not_at_random() {
    const SECTOR: usize = 512;
    let (synced, whole) = (pattern(100), pattern(4 * SECTOR));
    let disk = new_disk();
    keep(&disk, "file", &synced).append(&whole[100..]).unwrap();
    let (mut lengths, mut fates) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..500 {
        let image = disk.image().crash(Outcome::Random, &mut Random::new(seed));
        let bytes = image.files().remove("file").unwrap();
        assert_eq!(bytes[..100], synced, "synced bytes survive");
        assert!(bytes.len() <= whole.len());
        lengths.insert(bytes.len());
        // The first sector begins with synced bytes.
        for (start, sector) in [(SECTOR, &bytes), (2 * SECTOR, &bytes)] {
            let Some(sector) = sector.get(start..start + SECTOR) else { continue };
            let same = sector.iter().zip(&whole[start..]).take_while(|(a, b)| a == b).count();
            let zeros = sector[same..].iter().all(|byte| *byte == 0);
            fates.insert(match (same, zeros) {
                (SECTOR, _) => "there",
                (0, true) => "zeros",
                (_, true) => "torn",
                _ => "garbage",
            });
        }
    }
    assert!(lengths.len() > 100, "{lengths:?}");
    assert_eq!(fates, BTreeSet::from(["garbage", "there", "torn", "zeros"]));
}
