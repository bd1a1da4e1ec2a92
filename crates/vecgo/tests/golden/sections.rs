//! Files of later builds: with sections and extensions that this one does not know, and without what it can do
//! without.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use vecgo::{Config, ErrorKind, Metric, Record, filter};
use vecgo_format::{
    BLOCK_BYTES, BlockChecksums, Catalogue, Directory, Entry, Extensions, Manifest, Section,
    SectionKind, checksum,
};

use crate::contents::{contents, copy, damage, look, open, told};

const UNKNOWN: SectionKind = SectionKind::Other(4711);
const CONTENTS: &[u8] = b"what a later build keeps here";

/// A segment's bytes before its directory, and that.
fn take_apart(segment: &Path) -> (Vec<u8>, Directory) {
    let mut bytes = fs::read(segment).unwrap();
    let trailer = bytes.split_off(bytes.len() - usize::try_from(Directory::TRAILER_BYTES).unwrap());
    let (length, _) = Directory::read_trailer(&trailer).unwrap();
    let directory = bytes.split_off(bytes.len() - usize::try_from(length).unwrap());
    (bytes, Directory::decode(&directory, u64::MAX).unwrap())
}

/// Writes it again, and gives its directory and length.
fn put_together(segment: &Path, mut bytes: Vec<u8>, directory: Directory) -> (Directory, u64) {
    bytes.extend(directory.encode());
    bytes.extend(directory.trailer());
    fs::write(segment, &bytes).unwrap();
    (directory, u64::try_from(bytes.len()).unwrap())
}

fn add_section(segment: &Path, required: bool) -> (Directory, u64) {
    let (mut bytes, mut directory) = take_apart(segment);
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
    put_together(segment, bytes, directory)
}

fn remove_sections(segment: &Path, kinds: &[SectionKind]) -> (Directory, u64) {
    let (bytes, mut directory) = take_apart(segment);
    directory.sections.retain(|section| !kinds.contains(&section.kind));
    put_together(segment, bytes, directory)
}

fn with_section(root: &Path, paths: &BTreeSet<String>, segment: &str, required: bool) -> String {
    let changed = add_section(&root.join(segment), required);
    name_again(root, paths, segment, changed)
}

/// Names a segment as it is now in every version, from the first on, since each names the checksum of the one
/// before. Gives the newest version's file.
fn name_again(
    root: &Path,
    paths: &BTreeSet<String>,
    segment: &str,
    (directory, length): (Directory, u64),
) -> String {
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

/// Filters and facets go by the documents then.
#[test]
fn a_segment_without_fields_is_read() {
    let (directory, paths) = copy();
    let root = directory.path();
    let asked = || {
        let collection = open(root, true).collection("times").wait().unwrap();
        let ask = |filter| collection.search([1.0]).k(9).filter(filter).wait().unwrap();
        (
            ask(filter::eq("n", 1)),
            ask(filter::gte("at", "2000-01-01T00:00:00Z")),
            collection.facet("n", 9, None).wait().unwrap(),
            collection.facet("marks", 9, None).wait().unwrap(),
        )
    };
    let expected = asked();
    assert!(!expected.0.is_empty() && !expected.1.is_empty() && !expected.2.is_empty());
    let mut without = 0;
    for segment in segments(root, &paths) {
        let before = fs::metadata(root.join(segment)).unwrap().len();
        let kinds = [SectionKind::Fields, SectionKind::FieldData];
        let changed = remove_sections(&root.join(segment), &kinds);
        without += u32::from(changed.1 < before);
        name_again(root, &paths, segment, changed);
    }
    assert!(without >= 2, "{without}");
    assert_eq!(asked(), expected);
    for read_only in [true, false] {
        look(root, read_only).unwrap();
    }
    assert_eq!(open(root, true).verify().wait().unwrap().damage, []);
}

/// It keeps nobody from the others, and stays.
#[test]
fn a_collection_of_a_newer_build_is_refused_alone() {
    let (directory, paths) = copy();
    let root = directory.path();
    let newest = paths.iter().find(|path| path.starts_with("catalogue/")).unwrap();
    let mut catalogue = Catalogue::decode(&fs::read(root.join(newest)).unwrap()).unwrap().0;
    let said = [(7, b"needed".to_vec())].into_iter().collect();
    catalogue.collections.get_mut("words").unwrap().extensions = said;
    let mut bytes = catalogue.encode().0;
    let said = [7, 0, 0, 6, b'n', b'e', b'e', b'd', b'e', b'd'];
    let at = bytes.windows(said.len()).position(|bytes| bytes == said).unwrap();
    bytes[at + 2] = 1;
    let end = bytes.len() - 8;
    let sum = checksum(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&sum);
    fs::write(root.join(newest), bytes).unwrap();

    let needs_newer = |error: vecgo::Error| {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", told(&error));
        assert!(error.message().contains("`words` needs a newer build"), "{error}");
    };
    for read_only in [true, false] {
        let database = open(root, read_only);
        needs_newer(database.collection("words").wait().unwrap_err());
        let points = database.collection("points").wait().unwrap();
        assert!(points.count() > 0);
        points.close().wait().unwrap();
    }
    let database = open(root, false);
    let taken = database.create("words", Config::new(2, Metric::L2)).wait().unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    needs_newer(database.drop_collection("words").wait().unwrap_err());
    let place = tempfile::tempdir().unwrap();
    needs_newer(database.snapshot(place.path().join("backup")).wait().unwrap_err());
    let damage = database.verify().wait().unwrap().damage;
    assert!(damage.iter().any(|damage| damage.message.contains("`words` needs a newer build")));
    database.create("other", Config::new(2, Metric::L2)).wait().unwrap();
    needs_newer(open(root, true).collection("words").wait().unwrap_err());
}

/// Of a collection by changes of others, of a segment by later versions.
#[test]
fn what_later_builds_say_is_kept() {
    let (directory, paths) = copy();
    let root = directory.path();
    let said: Extensions = [(7, b"said".to_vec()), (9, Vec::new())].into_iter().collect();
    let newest = |folder: &str| {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).min().unwrap()
    };
    let catalogue = || Catalogue::decode(&fs::read(newest("catalogue")).unwrap()).unwrap().0;
    let mut changed = catalogue();
    changed.extensions = said.clone();
    changed.collections.values_mut().for_each(|entry| entry.extensions = said.clone());
    fs::write(newest("catalogue"), changed.encode().0).unwrap();

    let segment = segments(root, &paths).into_iter().next_back().unwrap();
    let (collection, _) = segment.split_once("segment/").unwrap();
    let manifests = format!("{collection}manifest");
    let manifest = || Manifest::decode(&fs::read(newest(&manifests)).unwrap()).unwrap().0;
    let mut changed = manifest();
    changed.segments.iter_mut().for_each(|named| named.extensions = said.clone());
    let numbers: Vec<u64> = changed.segments.iter().map(|named| named.number).collect();
    fs::write(newest(&manifests), changed.encode().0).unwrap();

    let database = open(root, false);
    database.create("other", Config::new(2, Metric::L2)).wait().unwrap();
    let identity = format!("{}", changed.collection);
    let before = catalogue();
    assert_eq!(before.extensions, said);
    let entries = before.collections.iter();
    let named = |(_, entry): &(&String, &Entry)| entry.identity.to_string() == identity;
    let name = entries.clone().find(named).unwrap().0;
    for (name, entry) in entries {
        assert_eq!(entry.extensions == said, name != "other", "{name}");
    }
    let collection = database.collection(name.as_str()).wait().unwrap();
    let vector = vec![1.0; collection.config().dim()];
    collection.upsert([Record::new("more", vector)]).wait().unwrap();
    collection.flush().wait().unwrap();
    collection.close().wait().unwrap();
    let after = manifest().segments;
    assert_eq!(after.len(), numbers.len() + 1);
    for named in after {
        assert_eq!(named.extensions == said, numbers.contains(&named.number));
    }
}
