//! No bytes make a decoder panic or allocate out of proportion to their length.

#![allow(clippy::disallowed_methods, reason = "a hang is told by the clock")]

use crate::common;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::common::{apply, reseal};
use proptest::collection::vec;
use proptest::prelude::*;
use vecgo_format::{
    Catalogue, DeleteObject, Directory, FORMAT_VERSION, Fields, FieldsBuilder, FrameBuilder, Id,
    IdColumn, Inventory, KeyRange, Kill, LogReader, Lookup, Manifest, Pin, PrunePlan,
    decode_document,
};

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// Counts what the thread asks for.
struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get().saturating_add(layout.size()));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A list of nulls is the worst lawful case: a byte of input for a value, held in a vector that
/// doubles as it grows.
const PER_BYTE: usize = 256;
/// A bitmap's description is read into 256 KiB at most, before it is believed.
const FIXED: usize = 1 << 20;

/// Runs a decoder; what it allocates all in all stays in proportion to its input.
fn bounded<T: Debug>(input: usize, decode: impl FnOnce() -> T) -> T {
    let before = ALLOCATED.get();
    let decoded = decode();
    let allocated = ALLOCATED.get() - before;
    let limit = FIXED + input * PER_BYTE;
    assert!(allocated <= limit, "{allocated} bytes allocated for {input} bytes of input");
    decoded
}

/// Every decoder there is, on any bytes.
fn decode_all(bytes: &[u8]) {
    let n = bytes.len();
    let _ = bounded(n, || Manifest::decode(bytes));
    let _ = bounded(n, || Catalogue::decode(bytes));
    let _ = bounded(n, || DeleteObject::decode(bytes));
    let _ = bounded(n, || Pin::decode(bytes));
    let _ = bounded(n, || Inventory::decode(bytes));
    let _ = bounded(n, || PrunePlan::decode(bytes));
    let _ = bounded(n, || decode_document(bytes));
    let _ = bounded(n, || IdColumn::text_id(bytes));
    let _ = bounded(n, || Directory::read_trailer(bytes));
    for length in [0, n as u64, u64::MAX] {
        let _ = bounded(n, || Directory::decode(bytes, length));
    }
    for rows in [0, 1, u32::MAX] {
        let _ = bounded(n, || Lookup::decode(bytes, rows));
    }
    read_log(bytes);
    read_fields(bytes);
}

/// Fields, and bytes as a document and as a page of theirs.
fn read_fields(bytes: &[u8]) {
    let n = bytes.len();
    // Of a document that others checked: it takes what it takes.
    let mut builder = FieldsBuilder::default();
    if builder.push(bytes).is_ok() {
        builder.finish();
    }
    for (rows, data) in [(0, 0), (9, 1 << 10), (u32::MAX, u64::MAX)] {
        let Ok(fields) = bounded(n, || Fields::decode(bytes, rows, data)) else { continue };
        let range = KeyRange::prefix(b"a");
        for field in fields.iter() {
            let pages = field.pages_of(&range).map(|page| page.map(|page| (page, bytes)));
            let _ = bounded(n, || field.within(&range, pages));
        }
    }
}

fn read_log(bytes: &[u8]) {
    let _ = bounded(bytes.len(), || LogReader::durable_despite_header(bytes));
    let Ok(mut reader) = bounded(bytes.len(), || LogReader::open(bytes)) else { return };
    while let Some(frame) = bounded(bytes.len(), || reader.next_frame()) {
        for dim in [0, 1, 3, usize::MAX] {
            let _ = bounded(bytes.len(), || frame.ops(dim));
        }
    }
    let _ = bounded(bytes.len(), || reader.end());
}

/// A magic, the version, a body, and a checksum that fits.
fn sealed(magic: [u8; 4], body: &[u8]) -> Vec<u8> {
    let version = [FORMAT_VERSION.version, FORMAT_VERSION.draft].map(u16::to_le_bytes).concat();
    let mut bytes = [&magic[..], &version, body, &[0; 8]].concat();
    reseal(&mut bytes);
    bytes
}

/// A length as large as five bytes can say.
const HUGE: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x7f];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn garbage(bytes in vec(any::<u8>(), 0..600)) {
        decode_all(&bytes);
        for magic in [*b"VGMF", *b"VGCT", *b"VGDL", *b"VGLG", *b"VGSE", *b"VGSG"] {
            decode_all(&sealed(magic, &bytes));
        }
    }

    /// Bytes that look like structure: small counts, tags, long runs.
    #[test]
    fn structured_garbage(bytes in vec(prop_oneof![0u8..9, Just(0xff), Just(0x7f), Just(b'k')], 0..600)) {
        decode_all(&bytes);
        for magic in [*b"VGMF", *b"VGCT", *b"VGDL"] {
            decode_all(&sealed(magic, &bytes));
        }
    }

    #[test]
    fn garbage_in_a_log(header in common::log_header(), body in vec(any::<u8>(), 0..300)) {
        read_log(&[&header.encode().0[..], &body, b"VGFR", &body, b"VGFR"].concat());
    }
}

proptest! {
    /// Damage under a checksum that fits it.
    #[test]
    fn sealed_damage(
        manifest in common::manifest(),
        catalogue in common::catalogue(),
        deletes in common::deletes(),
        small in (common::pin(), common::inventory(), common::prune_plan()),
        damage in common::damage(),
    ) {
        let (pin, inventory, plan) = small;
        let mut objects = vec![manifest.encode(), catalogue.encode(), deletes.encode()];
        objects.extend([pin.encode(), inventory.encode(), plan.encode()]);
        for (mut bytes, _) in objects {
            apply(&damage, &mut bytes);
            reseal(&mut bytes);
            decode_all(&bytes);
        }
        // Within a bitmap, where most of a delete object's bytes are not its structure.
        let bytes = deletes.encode().0;
        for end in [40, 80] {
            let end = bytes.len().min(end);
            let mut head = bytes[..end].to_vec();
            apply(&damage, &mut head);
            head.extend_from_slice(&bytes[end..]);
            reseal(&mut head);
            decode_all(&head);
        }
    }

    #[test]
    fn damaged_directories((directory, length) in common::directory(), damage in common::damage()) {
        let mut bytes = directory.encode();
        apply(&damage, &mut bytes);
        if let Ok(decoded) = bounded(bytes.len(), || Directory::decode(&bytes, length)) {
            let within = decoded.sections.iter().all(|section| {
                section.offset + section.length <= length
                    && section.table_offset + section.blocks() * 8 <= length
            });
            prop_assert!(within, "{:?} in {} bytes", decoded, length);
        }
    }

    /// Frames whose checksum fits, with writes that are none.
    #[test]
    fn damaged_writes(header in common::log_header(), id in common::id(), damage in common::damage()) {
        let (mut bytes, before) = header.encode();
        let mut frame = FrameBuilder::new(header.first_sequence);
        frame.put(&id, Kill::Log { number: 1 }, &[1.0, 2.0, 3.0], b"document", Some(b"payload"));
        frame.delete(&id, Kill::Segment { segment: 1, row: 2 });
        let start = bytes.len();
        let _ = frame.finish(before.checksum, before, 0, &mut bytes);
        let mut body = bytes.split_off(start + 44);
        apply(&damage, &mut body);
        for count in [0u32, 2, 3, u32::MAX] {
            let head = &bytes[..start];
            let mut frame = bytes[start..start + 36].to_vec();
            frame[4..8].copy_from_slice(&u32::try_from(body.len()).expect("length").to_le_bytes());
            frame[16..20].copy_from_slice(&count.to_le_bytes());
            frame[28..].copy_from_slice(&vecgo_format::checksum(&body).to_le_bytes());
            let mut both = [0; 16];
            both[..8].copy_from_slice(&before.checksum.to_le_bytes());
            both[8..].copy_from_slice(&vecgo_format::checksum(&frame).to_le_bytes());
            let sum = vecgo_format::checksum(&both);
            let log = [head, &frame, &sum.to_le_bytes(), &body].concat();
            let mut reader = LogReader::open(&log).expect("a header");
            if header.first_sequence.checked_add(count.into()).is_some() {
                let frame = reader.next_frame().expect("a whole frame");
                let ops = bounded(log.len(), || frame.ops(3));
                prop_assert!(ops.is_err() || ops.is_ok_and(|ops| ops.len() == count as usize));
            }
            read_log(&log);
        }
    }
}

#[test]
fn declared_counts_are_not_believed() {
    let huge = [&HUGE[..], &[0; 100]].concat();
    decode_all(&huge);
    // A catalogue that says it has so many collections, and one that has so many dropped.
    decode_all(&sealed(*b"VGCT", &[&[0; 32][..], &huge].concat()));
    decode_all(&sealed(*b"VGCT", &[&[0; 33][..], &huge].concat()));
    let ids = [&u32::MAX.to_le_bytes()[..], &[0; 100]].concat();
    assert!(bounded(ids.len(), || Lookup::decode(&ids, u32::MAX)).is_err());
    // A bitmap of as many containers as there can be, in every way to say so.
    for cookie in [12_346u32, 12_347 | (0xffff << 16)] {
        let bitmap = [&cookie.to_le_bytes()[..], &65_536u32.to_le_bytes(), &[0xff; 80]].concat();
        let length = u8::try_from(bitmap.len()).expect("a short one");
        let body = [&[1][..], &7u64.to_le_bytes(), &[length], &bitmap].concat();
        let bytes = sealed(*b"VGDL", &body);
        assert!(bounded(bytes.len(), || DeleteObject::decode(&bytes)).is_err());
    }
}

/// The worst that lawful bytes can ask for is in proportion too.
#[test]
fn lawful_bytes_are_in_proportion() {
    let nulls = vec![serde_json::Value::Null; 200_000];
    let mut wide = serde_json::Map::new();
    wide.insert("k".to_owned(), nulls.into());
    let mut lists = serde_json::Map::new();
    lists.insert("k".to_owned(), vec![serde_json::json!([null]); 100_000].into());
    let objects: serde_json::Map<_, _> =
        (0..50_000u32).map(|key| (key.to_string(), serde_json::json!({"": {}}))).collect();
    for document in [wide, lists, objects] {
        let bytes = vecgo_format::encode_document(&document).expect("encode");
        assert_eq!(bounded(bytes.len(), || decode_document(&bytes)).expect("decode"), document);
    }
    let ids: Vec<_> = (0u64..50_000).map(Id::from).collect();
    let bytes = Lookup::build(7, ids.iter()).encode();
    assert!(bounded(bytes.len(), || Lookup::decode(&bytes, 50_000)).is_ok());
}

/// A torn record may hold what looks like the beginnings of frames, each as long as half the
/// record. Looking for a whole one among them takes time in proportion to the log.
#[test]
fn torn_tail_is_searched_in_linear_time() {
    let header = vecgo_format::LogHeader {
        collection: vecgo_format::Identity(1),
        number: 1,
        epoch: 1,
        nonce: 1,
        first_sequence: 1,
        previous: vecgo_format::Previous::default(),
    };
    let length = 2u32 << 20;
    let beginning = [*b"VGFR", (length / 2).to_le_bytes()].concat();
    let tail = beginning.repeat(length as usize / beginning.len());
    let log = [header.encode().0, tail].concat();
    let start = Instant::now();
    let end = LogReader::open(&log).expect("a header").end();
    let durable = LogReader::durable_despite_header(&log);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?} for {} bytes: {end:?}", log.len());
    assert_eq!(durable, None);
}
