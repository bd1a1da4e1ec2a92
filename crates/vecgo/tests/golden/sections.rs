//! Segments of later builds, with sections that this one does not know.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use vecgo::{ErrorKind, Record};
use vecgo_format::{
    BLOCK_BYTES, BlockChecksums, Directory, Manifest, Section, SectionKind, checksum,
};

use crate::contents::{contents, copy, damage, look, open, told};

const UNKNOWN: SectionKind = SectionKind::Other(4711);
const CONTENTS: &[u8] = b"what a later build keeps here";

/// Adds the section to a segment, and gives its new directory and length.
fn add_section(segment: &Path, required: bool) -> (Directory, u64) {
    let mut bytes = fs::read(segment).unwrap();
    let trailer = bytes.split_off(bytes.len() - usize::try_from(Directory::TRAILER_BYTES).unwrap());
    let (length, _) = Directory::read_trailer(&trailer).unwrap();
    let directory = bytes.split_off(bytes.len() - usize::try_from(length).unwrap());
    let mut directory = Directory::decode(&directory, u64::MAX).unwrap();
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    let offset = u64::try_from(bytes.len()).unwrap();
    bytes.extend(CONTENTS);
    let mut table = BlockChecksums::new(BLOCK_BYTES);
    table.feed(CONTENTS);
    let table = table.finish();
    directory.sections.push(Section {
        kind: UNKNOWN,
        required,
        offset,
        length: u64::try_from(CONTENTS.len()).unwrap(),
        block_bytes: BLOCK_BYTES,
        table_offset: u64::try_from(bytes.len()).unwrap(),
        table_checksum: checksum(&table),
    });
    bytes.extend(table);
    bytes.extend(directory.encode());
    bytes.extend(directory.trailer());
    fs::write(segment, &bytes).unwrap();
    (directory, u64::try_from(bytes.len()).unwrap())
}

/// Adds the section to a segment and names it so in every version, from the first on, since each
/// names the checksum of the one before. Gives the newest version's file.
fn with_section(root: &Path, paths: &BTreeSet<String>, segment: &str, required: bool) -> String {
    let (directory, length) = add_section(&root.join(segment), required);
    let (collection, name) = segment.split_once("segment/").unwrap();
    let manifests = format!("{collection}manifest/");
    let mut newest = String::new();
    let mut last = None;
    for path in paths.iter().rev().filter(|path| path.starts_with(&manifests)) {
        let (mut manifest, _) = Manifest::decode(&fs::read(root.join(path)).unwrap()).unwrap();
        manifest.parent.checksum = last.unwrap_or(manifest.parent.checksum);
        for named in &mut manifest.segments {
            if named.object.name.to_string() == name {
                named.object.length = length;
                named.object.checksum = directory.checksum();
                named.directory = directory.clone();
            }
        }
        let (bytes, sum) = manifest.encode();
        fs::write(root.join(path), bytes).unwrap();
        last = Some(sum);
        newest.clone_from(path);
    }
    newest
}

/// Those that the newest versions name, whose files come first.
fn segments<'a>(root: &Path, paths: &'a BTreeSet<String>) -> Vec<&'a String> {
    let is_named = |path: &&String| {
        let Some((collection, name)) = path.split_once("segment/") else { return false };
        let manifests = format!("{collection}manifest/");
        let newest = paths.iter().find(|path| path.starts_with(&manifests)).unwrap();
        let (newest, _) = Manifest::decode(&fs::read(root.join(newest)).unwrap()).unwrap();
        newest.segments.iter().any(|named| named.object.name.to_string() == name)
    };
    paths.iter().filter(is_named).collect()
}

#[test]
fn an_unknown_section_is_skipped() {
    let (as_it_was, paths) = copy();
    for segment in segments(as_it_was.path(), &paths) {
        let (directory, _) = copy();
        let path = directory.path();
        with_section(path, &paths, segment, false);
        for read_only in [true, false] {
            look(path, read_only).unwrap();
        }
        assert_eq!(open(path, true).verify().wait().unwrap().damage, []);

        // It is part of the segment all the same: damage to it is seen, and versions that this
        // build makes keep it.
        let whole = fs::read(path.join(segment)).unwrap();
        let mut damaged = whole.clone();
        let at = whole.windows(CONTENTS.len()).position(|bytes| bytes == CONTENTS).unwrap();
        damaged[at] ^= 1;
        fs::write(path.join(segment), damaged).unwrap();
        assert!(damage(path, segment).is_some());
        fs::write(path.join(segment), whole).unwrap();
        for name in contents().into_keys() {
            let collection = open(path, false).collection(name).wait().unwrap();
            let vector = vec![1.0; collection.config().dim()];
            collection.upsert([Record::new(0u64, vector)]).wait().unwrap();
            collection.flush().wait().unwrap();
            collection.close().wait().unwrap();
        }
        let (collection, _) = segment.split_once("segment/").unwrap();
        let manifests = fs::read_dir(path.join(collection).join("manifest")).unwrap();
        let manifests = manifests.map(|entry| entry.unwrap().path());
        let newest = fs::read(manifests.min().unwrap()).unwrap();
        let (newest, _) = Manifest::decode(&newest).unwrap();
        let mut directories = newest.segments.iter().map(|named| &named.directory);
        assert!(directories.any(|directory| directory.section(UNKNOWN).is_some()));
        assert_eq!(open(path, true).verify().wait().unwrap().damage, []);
    }
}

#[test]
fn an_unknown_section_that_is_required_is_refused() {
    let (as_it_was, paths) = copy();
    for segment in segments(as_it_was.path(), &paths) {
        let (directory, _) = copy();
        let newest = with_section(directory.path(), &paths, segment, true);
        for read_only in [true, false] {
            let error = look(directory.path(), read_only).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", told(&error));
            assert!(error.message().contains(&newest), "{error}");
            assert!(error.message().contains("newer build"), "{error}");
            assert!(error.message().contains("4711"), "{error}");
        }
        assert!(damage(directory.path(), &newest).unwrap().contains("4711"));
    }
}
