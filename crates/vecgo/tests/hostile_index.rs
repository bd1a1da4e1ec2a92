//! Segments with right checksums whose indexes are wrong: a search says so, and brute force, which
//! does not look at them, goes on.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and tampers with files"
)]

use std::fs;
use std::path::{Path, PathBuf};

use vecgo::{Collection, Config, ErrorKind, Id, Index, Metric, Quantization, Record};
use vecgo_format::{BlockChecksums, Directory, Manifest, SectionKind, checksum};

const DIM: usize = 100;
const ROWS: u32 = 300;
const BYTES: [u8; 4] = [0, 0x7f, 0xff, 0xc0];

fn open(path: &Path) -> Collection {
    let db = vecgo::open(path).auto_compact(false).index_rows(1).wait().unwrap();
    db.collection("docs").wait().unwrap()
}

/// A collection of one segment, which has a graph, at rest.
fn collection(quantization: Quantization) -> tempfile::TempDir {
    collection_of(Index::default(), quantization)
}

fn collection_of(index: Index, quantization: Quantization) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let db = vecgo::open(dir.path()).auto_compact(false).index_rows(1).wait().unwrap();
    let config = Config::new(DIM, Metric::Cosine).with_index(index).with_quantization(quantization);
    let docs = db.open_or_create("docs", config).wait().unwrap();
    docs.upsert((0..ROWS).map(|n| Record::new(u64::from(n), vector(n)))).wait().unwrap();
    docs.flush().wait().unwrap();
    docs.compact().wait().unwrap();
    docs.close().wait().unwrap();
    dir
}

fn vector(n: u32) -> Vec<f32> {
    let mut state = u64::from(n) + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        f32::from(u16::try_from(state >> 48).unwrap()) - 32768.0
    };
    next();
    (0..DIM).map(|_| next()).collect()
}

fn files(root: &Path, folder: &str) -> Vec<PathBuf> {
    let collection = fs::read_dir(root.join("collections")).unwrap().next().unwrap().unwrap();
    let files = fs::read_dir(collection.path().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// Gives a section other contents, wherever it is, and makes every checksum right again. False if
/// the segment has no such section.
fn rewrite(root: &Path, kind: SectionKind, change: impl Fn(&mut Vec<u8>)) -> bool {
    // Names of later versions come first.
    let newest = files(root, "manifest").remove(0);
    let (mut manifest, _) = Manifest::decode(&fs::read(&newest).unwrap()).unwrap();
    let named = &mut manifest.segments[0];
    let name = named.object.name.to_string();
    let paths = files(root, "segment");
    let path = paths.iter().find(|path| path.ends_with(&name)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    let directory = &mut named.directory;
    let end = bytes.len() - usize::try_from(Directory::TRAILER_BYTES).unwrap();
    bytes.truncate(end - directory.encode().len());
    let Some(section) = directory.sections.iter_mut().find(|section| section.kind == kind) else {
        return false;
    };
    let start = usize::try_from(section.offset).unwrap();
    let mut contents = bytes[start..start + usize::try_from(section.length).unwrap()].to_vec();
    change(&mut contents);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    section.offset = u64::try_from(bytes.len()).unwrap();
    section.length = u64::try_from(contents.len()).unwrap();
    bytes.extend(&contents);
    let mut table = BlockChecksums::new(section.block_bytes);
    table.feed(&contents);
    let table = table.finish();
    section.table_offset = u64::try_from(bytes.len()).unwrap();
    section.table_checksum = checksum(&table);
    bytes.extend(table);
    bytes.extend(directory.encode());
    bytes.extend(directory.trailer());
    named.object.length = u64::try_from(bytes.len()).unwrap();
    named.object.checksum = directory.checksum();
    fs::write(path, &bytes).unwrap();
    fs::write(newest, manifest.encode().0).unwrap();
    true
}

fn quantizations() -> [Quantization; 8] {
    let rabitq = |bits| Quantization::RaBitQ { bits };
    let pq = Quantization::Pq { parts: 3 };
    let [none, sq8] = [Quantization::None, Quantization::Sq8];
    [none, sq8, rabitq(1), rabitq(3), rabitq(4), rabitq(6), rabitq(8), pq]
}

/// What a search says once a section was changed, in all collections that have it.
#[track_caller]
fn is_refused(kind: SectionKind, words: &str, change: impl Fn(&mut Vec<u8>)) {
    is_refused_in(Index::default(), &quantizations(), kind, words, change);
}

/// In those with codes: without, nothing is read of some sections.
#[track_caller]
fn is_refused_with_codes(kind: SectionKind, words: &str, change: impl Fn(&mut Vec<u8>)) {
    is_refused_in(Index::default(), &quantizations()[1..], kind, words, change);
}

/// In those that are searched through clusters.
#[track_caller]
fn is_refused_with_clusters(kind: SectionKind, words: &str, change: impl Fn(&mut Vec<u8>)) {
    is_refused_in(Index::ivf(), &quantizations(), kind, words, change);
}

#[track_caller]
fn is_refused_in(
    index: Index,
    collections: &[Quantization],
    kind: SectionKind,
    words: &str,
    change: impl Fn(&mut Vec<u8>),
) {
    let mut changed = 0;
    for quantization in collections {
        let dir = collection_of(index, *quantization);
        if !rewrite(dir.path(), kind, &change) {
            continue;
        }
        changed += 1;
        let docs = open(dir.path());
        for query in [vector(7), vector(77_777)] {
            let error = docs.search(&query).wait().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corruption, "{quantization}: {error}");
            assert!(error.to_string().contains(words), "`{error}` does not say `{words}`");
            let error = docs.search_batch([&query, &query]).wait().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corruption, "{quantization}: {error}");
        }
        let nearest = docs.search(vector(7)).k(1).exact().wait().unwrap();
        assert_eq!(nearest[0].id, Id::from(7u64), "{quantization}");
    }
    assert!(changed > 0, "no segment has {kind:?}");
}

/// The change itself is no damage.
#[test]
fn a_section_that_is_put_elsewhere_is_read_there() {
    for quantization in quantizations() {
        let dir = collection(quantization);
        let before = open(dir.path());
        let answer = before.search(vector(7)).wait().unwrap();
        before.close().wait().unwrap();
        assert!(rewrite(dir.path(), SectionKind::Edges, |_| ()));
        assert!(rewrite(dir.path(), SectionKind::Entries, |_| ()));
        assert_eq!(open(dir.path()).search(vector(7)).wait().unwrap(), answer);
    }
}

#[test]
fn edges() {
    for row in [ROWS, ROWS + 1, u32::MAX - 1] {
        is_refused(SectionKind::Edges, "edge", |bytes| {
            bytes[..4].copy_from_slice(&row.to_le_bytes());
        });
        is_refused(SectionKind::Edges, "edge", |bytes| {
            let last = bytes.len() - 4;
            bytes[last..].copy_from_slice(&row.to_le_bytes());
        });
    }
    is_refused(SectionKind::Edges, "Edges", |bytes| bytes.truncate(bytes.len() - 4));
    is_refused(SectionKind::Edges, "Edges", |bytes| bytes.truncate(bytes.len() - 3));
    is_refused(SectionKind::Edges, "Edges", |bytes| bytes.extend([0; 4]));
    is_refused(SectionKind::Edges, "Edges", Vec::clear);
}

/// No edge is a way on: what is reached is found, and nothing else is made up.
#[test]
fn rows_without_edges_are_not_reached_and_nothing_fails() {
    for quantization in quantizations() {
        let dir = collection(quantization);
        assert!(rewrite(dir.path(), SectionKind::Edges, |bytes| bytes.fill(255)));
        let docs = open(dir.path());
        let found = docs.search(vector(7)).k(50).wait().unwrap();
        assert!(found.len() <= 50 && !found.is_empty(), "{quantization}: {}", found.len());
    }
}

#[test]
fn entries() {
    is_refused(SectionKind::Entries, "entries", Vec::clear);
    for row in [ROWS, u32::MAX] {
        is_refused(SectionKind::Entries, "entries", |bytes| {
            bytes[..4].copy_from_slice(&row.to_le_bytes());
        });
        is_refused(SectionKind::Entries, "entries", |bytes| bytes.extend(row.to_le_bytes()));
    }
    is_refused(SectionKind::Entries, "Entries", |bytes| bytes.push(0));
}

#[test]
fn clusters() {
    let kind = SectionKind::Clusters;
    is_refused_with_codes(kind, "0 words of clusters", Vec::clear);
    is_refused_with_codes(kind, "Clusters", |bytes| bytes.push(0));
    is_refused_with_codes(kind, "words of clusters", |bytes| bytes.truncate(bytes.len() - 4));
    // The first cluster does not begin with the first row; a centre is no row.
    is_refused_with_codes(kind, "words of clusters", |bytes| {
        bytes[..4].copy_from_slice(&1u32.to_le_bytes());
    });
    is_refused_with_codes(kind, "words of clusters", |bytes| {
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&ROWS.to_le_bytes());
    });
}

#[test]
fn clusters_that_are_searched() {
    let kind = SectionKind::Clusters;
    is_refused_with_clusters(kind, "0 words of clusters", Vec::clear);
    is_refused_with_clusters(kind, "words of clusters", |bytes| bytes.truncate(bytes.len() - 4));
    is_refused_with_clusters(kind, "words of clusters", |bytes| {
        bytes[..4].copy_from_slice(&1u32.to_le_bytes());
    });
    let kind = SectionKind::Centres;
    is_refused_with_clusters(kind, "Centres", Vec::clear);
    is_refused_with_clusters(kind, "Centres", |bytes| bytes.truncate(bytes.len() - 1));
    is_refused_with_clusters(kind, "Centres", |bytes| bytes.extend([0; 8]));
    let kind = SectionKind::CentreFactors;
    is_refused_with_clusters(kind, "CentreFactors", Vec::clear);
    is_refused_with_clusters(kind, "CentreFactors", |bytes| bytes.truncate(bytes.len() - 1));
    is_refused_with_clusters(kind, "CentreFactors", |bytes| bytes.extend([0; 8]));
    is_refused_with_clusters(SectionKind::UpperCodes, "UpperCodes", Vec::clear);
    is_refused_with_clusters(SectionKind::Space, "mean", |bytes| bytes.extend([0; 4]));
}

/// Wherever the centres are said to be, what is found is there, at its own distance, and `k` are.
#[test]
fn centres_of_any_bits() {
    let kinds = [SectionKind::Centres, SectionKind::CentreFactors];
    for (kind, byte) in kinds.into_iter().flat_map(|kind| BYTES.map(|byte| (kind, byte))) {
        for quantization in quantizations() {
            let dir = collection_of(Index::ivf(), quantization);
            assert!(rewrite(dir.path(), kind, |bytes| bytes.fill(byte)));
            let docs = open(dir.path());
            let exact = docs.search(vector(7)).k(300).exact().wait().unwrap();
            for k in [1, 10, 300] {
                let found = docs.search(vector(7)).k(k).nprobe(1).wait().unwrap();
                assert_eq!(found.len(), k, "{quantization}, {byte:x}");
                assert!(found.iter().all(|hit| exact.contains(hit)), "{quantization}, {byte:x}");
            }
        }
    }
}

#[test]
fn space() {
    let kind = SectionKind::Space;
    is_refused_with_codes(kind, "space", Vec::clear);
    is_refused_with_codes(kind, "space", |bytes| bytes.truncate(11));
    is_refused_with_codes(kind, "mean", |bytes| bytes.truncate(12));
    is_refused_with_codes(kind, "mean", |bytes| bytes.truncate(bytes.len() - 4));
    is_refused_with_codes(kind, "mean", |bytes| bytes.truncate(bytes.len() - 1));
    is_refused_with_codes(kind, "mean", |bytes| bytes.extend([0; 4]));
    is_refused_with_codes(kind, "mean", |bytes| {
        bytes[12..16].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    is_refused_with_codes(kind, "mean", |bytes| {
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
}

#[test]
fn codes() {
    use SectionKind::{FullCodes, LowerCodes, PartCodes, UpperCodes};
    let kinds = [UpperCodes, LowerCodes, FullCodes, PartCodes];
    for kind in kinds {
        let name = format!("{kind:?}");
        is_refused(kind, &name, Vec::clear);
        is_refused(kind, &name, |bytes| bytes.truncate(bytes.len() - 1));
        is_refused(kind, &name, |bytes| bytes.truncate(bytes.len() / 2));
        is_refused(kind, &name, |bytes| bytes.extend([0; 64]));
    }
}

#[test]
fn codebooks() {
    let kind = SectionKind::Codebook;
    is_refused(kind, "a codebook", Vec::clear);
    is_refused(kind, "a codebook", |bytes| bytes.truncate(bytes.len() - 4));
    is_refused(kind, "a codebook", |bytes| bytes.truncate(bytes.len() - 1));
    is_refused(kind, "a codebook", |bytes| bytes.extend([0; 4]));
    let put = |at: usize, value: f32| {
        is_refused(kind, "a codebook", move |bytes| {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        });
    };
    // Length, error, a centroid.
    for (at, value) in [(0, -1.0), (0, 3e38), (4, -0.5), (4, 1.5)] {
        put(at, value);
    }
    for at in [0, 4, 8, 400] {
        put(at, f32::NAN);
        put(at, f32::INFINITY);
    }
}

/// Whatever the codes are, what is found is there, once, at its own distance.
#[test]
fn codes_and_factors_of_any_bits() {
    use SectionKind::{
        FullCodes, FullFactors, LowerCodes, LowerFactors, PartCodes, UpperCodes, UpperFactors,
    };
    let kinds =
        [UpperCodes, UpperFactors, LowerCodes, LowerFactors, FullCodes, FullFactors, PartCodes];
    for (kind, byte) in kinds.into_iter().flat_map(|kind| BYTES.map(|byte| (kind, byte))) {
        for index in [Index::graph(), Index::ivf()] {
            for quantization in quantizations() {
                let dir = collection_of(index, quantization);
                if !rewrite(dir.path(), kind, |bytes| bytes.fill(byte)) {
                    continue;
                }
                let docs = open(dir.path());
                let exact = docs.search(vector(7)).k(300).exact().wait().unwrap();
                for k in [1, 10, 300] {
                    let found = docs.search(vector(7)).k(k).wait().unwrap();
                    let what = docs.config();
                    assert!(found.len() <= k, "{what} {kind:?}");
                    assert!(found.iter().all(|hit| exact.contains(hit)), "{what} {kind:?}");
                    assert!(found.windows(2).all(|two| two[0].id != two[1].id), "{what} {kind:?}");
                }
            }
        }
    }
}
