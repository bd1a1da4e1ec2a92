//! Files of other builds: refused, and told from damage.

use crate::common;
use crate::common::reseal;
use vecgo_format::{
    Catalogue, Config, DeleteObject, FORMAT_VERSION, FormatError, FormatVersion, Identity,
    LogHeader, LogPosition, LogRange, LogReader, Manifest, Metric, Parent, Previous,
    check_segment_header, segment_header,
};

const COLLECTION: Identity = Identity(7);

/// A kind of file: what errors call it, one of its files, and what reads it.
type Kind = (&'static str, Vec<u8>, fn(&[u8]) -> Result<(), FormatError>);

fn kinds() -> [Kind; 5] {
    let manifest = Manifest {
        collection: COLLECTION,
        number: 1,
        epoch: 1,
        nonce: 2,
        parent: Parent::default(),
        created_ms: 3,
        sequence: 0,
        epoch_began: 1,
        oldest: 1,
        tags: Default::default(),
        next_segment: 1,
        config: Config::new(3, Metric::L2),
        schema: Default::default(),
        log: LogRange { first: 1, last: 0, epoch: 0, end: LogPosition::default(), flushed: 0 },
        own_log: 0,
        segments: Vec::new(),
        extensions: Default::default(),
    };
    let log = LogHeader {
        collection: COLLECTION,
        number: 1,
        epoch: 1,
        nonce: 2,
        first_sequence: 1,
        previous: Previous::default(),
    };
    [
        ("manifest", manifest.encode().0, |bytes| Manifest::decode(bytes).map(drop)),
        ("catalogue", Catalogue::default().encode().0, |b| Catalogue::decode(b).map(drop)),
        ("delete object", DeleteObject::default().encode().0, |b| {
            DeleteObject::decode(b).map(drop)
        }),
        ("log", log.encode().0, |bytes| LogReader::open(bytes).map(drop)),
        ("segment", segment_header(COLLECTION, 4), |b| check_segment_header(b, COLLECTION, 4)),
    ]
}

fn with_version(bytes: &[u8], FormatVersion { version, draft }: FormatVersion) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[4..6].copy_from_slice(&version.to_le_bytes());
    bytes[6..8].copy_from_slice(&draft.to_le_bytes());
    bytes
}

fn others() -> impl Iterator<Item = FormatVersion> {
    let pairs = [(0, 0), (0, 1), (0, 3), (0, u16::MAX), (1, 0), (1, 1), (u16::MAX, 0)];
    let pairs = pairs.map(|(version, draft)| FormatVersion { version, draft });
    pairs.into_iter().filter(|other| *other != FORMAT_VERSION)
}

#[test]
fn files_of_other_versions_are_refused() {
    for (what, bytes, read) in kinds() {
        assert_eq!(read(&bytes), Ok(()), "{what}");
        assert_eq!(read(&with_version(&bytes, FORMAT_VERSION)), Ok(()), "{what}");
        for found in others() {
            let other = with_version(&bytes, found);
            let expected = FormatError::Version { what, found, supported: FORMAT_VERSION };
            assert_eq!(read(&other), Err(expected.clone()), "{what}");
            // Nobody knows where another version has its checksum.
            let mut resealed = other;
            reseal(&mut resealed);
            assert_eq!(read(&resealed), Err(expected), "{what}");
        }
    }
}

#[test]
fn refusals_say_what_is_there_and_what_is_read() {
    let supported = FormatVersion { version: 0, draft: 1 };
    let told = |version, draft, supported| {
        let found = FormatVersion { version, draft };
        FormatError::Version { what: "manifest", found, supported }.to_string()
    };
    assert_eq!(
        told(0, 3, supported),
        "manifest has format version 0, draft 3; this build reads version 0, draft 1: builds \
         between releases do not read each other's files"
    );
    assert_eq!(
        told(2, 0, supported),
        "manifest has format version 2; this build reads version 0, draft 1: a newer build wrote it"
    );
    let released = FormatVersion { version: 2, draft: 0 };
    assert_eq!(told(1, 0, released), "manifest has format version 1; this build reads version 2");
    assert_eq!(
        told(3, 1, released),
        "manifest has format version 3, draft 1; this build reads version 2: builds between \
         releases do not read each other's files"
    );
}

/// What a crash leaves of a header is no header of another version.
#[test]
fn a_torn_header_of_a_log_is_of_no_version() {
    let (_, bytes, read) = &kinds()[3];
    for kept in 0..bytes.len() {
        for length in [kept, kept + 1, bytes.len()] {
            let mut torn = bytes[..kept].to_vec();
            torn.resize(length.max(kept), 0);
            if torn == *bytes {
                continue;
            }
            let found = read(&torn);
            let is_version = matches!(found, Err(FormatError::Version { .. }));
            assert!(found.is_err() && !is_version, "{kept} of {length} bytes: {found:?}");
        }
    }
}

#[test]
fn a_segments_header_is_its_own() {
    let bytes = segment_header(COLLECTION, 4);
    common::assert_no_prefix_reads(&bytes, |bytes| check_segment_header(bytes, COLLECTION, 4));
    common::assert_no_change_reads(&bytes, |bytes| check_segment_header(bytes, COLLECTION, 4));
    assert!(check_segment_header(&bytes, COLLECTION, 5).is_err());
    assert!(check_segment_header(&bytes, Identity(8), 4).is_err());
}
