//! Holds `docs/format.md` against the code.
//!
//! The decoder here is written from that page alone: it reads bytes, and shares only the checksum
//! with the crate. It walks the page's layout tables, so a field that the page leaves out, puts
//! elsewhere or gives another type fails, and so does a value that an encoder puts elsewhere.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod decoder;
mod fields;
mod page;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use decoder::{
    Frame, Write, backup, catalogue, delete_object, directory, document, frame, log_header, lookup,
    manifest, mix, pin, prune_plan, section_kinds, span,
};
use page::{Input, PAGE, Walk, constants, example, number, size, tags, usize};
use roaring::RoaringBitmap;
use serde_json::{Map, json};
use values::{COLLECTION, Rows, a_document, a_log, a_schema, configurations, directory_of, map};
use vecgo_format::{
    BLOCK_BYTES, BackedUp, BackupNames, Calibration, Catalogue, CollectionNames, Config,
    DeleteObject, Directory, Entry, Extensions, FORMAT_VERSION, FieldSchema, FieldType,
    FormatError, FrameBuilder, Id, Identity, Inventory, Kill, LogEnd, LogHeader, LogPosition,
    LogRange, LogReader, MAX_DIM, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_ID_BYTES,
    MAX_SCHEMA_BYTES, MAX_SCHEMA_FIELDS, Manifest, Metric, ObjectName, ObjectRef, Original, Parent,
    Pin, Previous, PrunePlan, SECTION_ALIGN, SEGMENT_HEADER_BYTES, Schema, Section, SectionKind,
    SegmentRef, StoredCopy, catalogue_key, checksum, decode_document, encode_document,
    encode_document_under,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

#[test]
fn the_constants_are_those_of_the_code() {
    let compared = [
        ("format version", u64::from(FORMAT_VERSION.version)),
        ("format draft", u64::from(FORMAT_VERSION.draft)),
        ("log header bytes", u64::try_from(LogHeader::BYTES).unwrap()),
        ("segment header bytes", SEGMENT_HEADER_BYTES),
        ("trailer bytes", Directory::TRAILER_BYTES),
        ("block bytes", u64::from(BLOCK_BYTES)),
        ("section alignment bytes", SECTION_ALIGN),
        ("most text id", u64::try_from(MAX_ID_BYTES).unwrap()),
        ("most document", u64::try_from(MAX_DOCUMENT_BYTES).unwrap()),
        ("most levels", u64::try_from(MAX_DOCUMENT_DEPTH).unwrap()),
        ("most dimensions", u64::try_from(MAX_DIM).unwrap()),
        ("most declared fields", u64::try_from(MAX_SCHEMA_FIELDS).unwrap()),
        ("most schema", u64::try_from(MAX_SCHEMA_BYTES).unwrap()),
    ];
    for (name, code) in compared {
        assert_eq!(number(name), code, "{name}");
    }
    // These are compared with encoded bytes by the other tests.
    let walked = [
        "manifest magic",
        "catalogue magic",
        "delete object magic",
        "log magic",
        "pin magic",
        "backup magic",
        "prune plan magic",
        "copy",
        "frame magic",
        "segment magic",
        "trailer magic",
        "frame header bytes",
        "most sections",
        "metric",
        "index",
        "quantization",
        "id",
        "write",
        "hint",
        "key",
        "most fields",
        "most name of a field",
        "most text of a field",
        "field type",
        "value",
    ];
    let known: BTreeSet<&str> = compared.iter().map(|(name, _)| *name).chain(walked).collect();
    let constants = constants();
    assert_eq!(constants.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
    assert!(PAGE.contains(&format!("`{:016x}`", checksum(b""))));
}

#[test]
fn files_are_named_as_specified() {
    let names = CollectionNames(COLLECTION);
    let name = ObjectName { epoch: 5, random: 0xabc };
    for (key, form) in [
        (catalogue_key(3), "catalogue/INVERTED"),
        (names.pin(name), "collections/IDENTITY/pin/NAME"),
        (names.lock(), "collections/IDENTITY/.lock"),
        (names.manifest(3), "collections/IDENTITY/manifest/INVERTED"),
        (names.log(3), "collections/IDENTITY/log/NUMBER"),
        (names.segment(name), "collections/IDENTITY/segment/NAME"),
        (names.deletes(name), "collections/IDENTITY/deletes/NAME"),
        (BackupNames::inventory(3, 5), "backup/inventory/INVERTED-ID"),
        (BackupNames::unfinished(5, 3), "backup/unfinished/ID-NUMBER"),
        (BackupNames::plan(5), "backup/prune/ID"),
        (BackupNames::data(5), "backup/data/DATA"),
    ] {
        assert!(PAGE.contains(&format!("\n{form} ")), "{form}");
        let expected = form
            .replace("IDENTITY", "000102030405060708090a0b0c0d0e0f")
            .replace("INVERTED", "18446744073709551612")
            .replace("NUMBER", "00000000000000000003")
            .replace("NAME", "0000000000000005-0000000000000abc")
            .replace("ID", "0000000000000005")
            .replace("DATA", "00000000000000000000000000000005");
        assert_eq!(key, expected);
    }
}

#[test]
fn a_backup_is_as_specified() {
    let entry = |identity| Entry {
        identity: Identity(identity),
        config: Config::new(3, Metric::Dot),
        schema: a_schema(identity == 1),
        created_ms: 17,
        extensions: Extensions::default(),
    };
    let manifest = Some(vec![1, 2, 3]);
    let collections = vec![
        BackedUp { name: "a".to_owned(), entry: entry(1), records: 5, manifest },
        BackedUp { name: "b".to_owned(), entry: entry(2), records: 0, manifest: None },
    ];
    let name = ObjectName { epoch: 7, random: 8 };
    let end = LogPosition { length: 900, checksum: 10 };
    let originals = [
        Original::Segment(name),
        Original::Deletes(name),
        Original::Log { number: 4, from: 100, end },
    ];
    let copy = |original| StoredCopy {
        collection: Identity(1),
        original,
        data: u128::MAX - 1,
        length: 800,
        checksum: 11,
    };
    let copies = originals.map(copy).to_vec();
    for expires_ms in [None, Some(99)] {
        let (collections, copies) = (collections.clone(), copies.clone());
        let written = Inventory {
            id: 6,
            created_ms: 12,
            expires_ms,
            collections,
            copies,
            extensions: said(2),
        };
        let (bytes, sum) = written.encode();
        assert_eq!(backup(&bytes), (written, sum));
    }
    let written = PrunePlan { backups: vec![(1, 2), (3, 4)], unfinished: vec![(5, 6)] };
    let (bytes, sum) = written.encode();
    assert_eq!(prune_plan(&bytes), (written, sum));
}

/// What a later build says of the second of three.
fn said(number: u64) -> Extensions {
    let said = (number % 3 == 2).then(|| [(7, b"said".to_vec()), (u16::MAX, Vec::new())]);
    said.into_iter().flatten().collect()
}

#[test]
fn a_catalogue_is_as_specified() {
    let entry = |config, created_ms| Entry {
        identity: Identity(COLLECTION.0 + u128::from(created_ms)),
        config,
        schema: a_schema(created_ms % 2 == 0),
        created_ms,
        extensions: said(created_ms),
    };
    let last = ("d".repeat(64), entry(Config::new(1_536, Metric::Dot), 0));
    let collections = (0u64..)
        .zip(configurations())
        .map(|(n, config)| (format!("b-long-name_{n}"), entry(config, u64::MAX - n)))
        .chain([last])
        .collect();
    let parent = Parent { number: 41, checksum: 0x0123_4567_89ab_cdef };
    let dropped = vec![Identity(1), Identity(u128::MAX)];
    let full = Catalogue {
        number: 42,
        nonce: 77,
        parent,
        oldest: 7,
        collections,
        newer: BTreeMap::new(),
        dropped,
        arriving: vec![(Identity(3), 4), (Identity(2), u64::MAX)],
        extensions: said(2),
    };
    for written in [full, Catalogue { number: 1, ..Catalogue::default() }] {
        let (bytes, sum) = written.encode();
        assert_eq!(catalogue(&bytes), (written, sum));
    }
}

#[test]
fn a_manifest_is_as_specified() {
    let file = Rows::new().segment();
    let (directory, sum) = directory_of(&file);
    let object = |random, length, checksum| ObjectRef {
        name: ObjectName { epoch: 3, random },
        length,
        checksum,
    };
    let segment = |number, dead_rows, deletes| SegmentRef {
        number,
        made_in: Identity(0x77),
        object: object(number * 11, u64::try_from(file.len()).unwrap(), sum),
        directory: directory.clone(),
        deletes,
        dead_rows,
        calibration: Calibration::default(),
        extensions: said(number),
    };
    let mut written = Manifest {
        collection: COLLECTION,
        number: 9,
        epoch: 4,
        nonce: 0xfeed,
        parent: Parent { number: 8, checksum: 0x8888 },
        created_ms: 1_700_000_000_000,
        sequence: 5_000,
        epoch_began: 6,
        oldest: 3,
        tags: [("before".to_owned(), 1), ("release 1".to_owned(), 8)].into(),
        next_segment: 12,
        config: Config::new(3, Metric::Cosine),
        schema: a_schema(true),
        log: LogRange {
            first: 6,
            last: 7,
            epoch: 2,
            end: LogPosition { length: 777, checksum: 0x7777 },
            flushed: 4_000,
        },
        own_log: 0x0106,
        segments: vec![segment(1, 0, None), segment(11, 2, Some(object(5, 99, 0x5555)))],
        extensions: said(2),
    };
    for _ in 0..2 {
        let (bytes, sum) = written.encode();
        assert_eq!(manifest(&bytes), (written.clone(), sum));
        assert_eq!(Manifest::decode(&bytes), Ok((written.clone(), sum)));
        written.segments.clear();
    }
}

#[test]
fn a_delete_object_is_as_specified() {
    let dead = BTreeMap::from([
        (1, vec![0]),
        (2, (0..5_000).map(|n| n * 2).chain([65_535, 65_536, 1_000_000]).collect::<Vec<u32>>()),
        (900, (65_536..65_536 + 4_096).collect()),
    ]);
    let bitmap = |rows: &Vec<u32>| rows.iter().copied().collect::<RoaringBitmap>();
    let written =
        DeleteObject { dead: dead.iter().map(|(number, rows)| (*number, bitmap(rows))).collect() };
    let (bytes, sum) = written.encode();
    assert_eq!(delete_object(&bytes), (dead, sum));
}

#[test]
fn a_pin_is_as_specified() {
    let written = Pin {
        collection: COLLECTION,
        version: 7,
        expires_ms: 1_700_000_000_000,
        holder: "a backup on host bäckup".to_owned(),
    };
    let (bytes, sum) = written.encode();
    assert_eq!(pin(&bytes), (written, sum));
}

#[test]
fn a_document_is_as_specified() {
    let written = a_document();
    assert_eq!(document(&encode_document(map(&written)).unwrap()), written);
    assert!(encode_document(&Map::new()).unwrap().is_empty());

    let shown = json!({"a": true, "n": -1, "t": ["hi", null]});
    let bytes = encode_document(map(&shown)).unwrap();
    assert_eq!(example("document"), bytes);
    assert_eq!(document(&bytes), shown);

    let nested =
        |levels: usize| json!({"a": (2..levels).fold(json!([]), |inner, _| json!([inner]))});
    let deepest = encode_document(map(&nested(size("most levels")))).unwrap();
    assert!(decode_document(&deepest).is_ok());
    assert!(encode_document(map(&nested(size("most levels") + 1))).is_err());

    let long = |bytes: usize| json!({"a": "x".repeat(bytes)});
    let around = encode_document(map(&long(1 << 19))).unwrap().len() - (1 << 19);
    assert!(encode_document(map(&long(size("most document") - around))).is_ok());
    assert!(encode_document(map(&long(size("most document") - around + 1))).is_err());
}

#[test]
fn a_timestamp_is_as_specified() {
    let schema = Schema::new(false, [("at", FieldSchema::new(FieldType::Timestamp))]).unwrap();
    let written = json!({"at": "2024-05-01T14:00:00.250+02:00", "text": "2024-05-01T12:00:00Z"});
    let bytes = encode_document_under(map(&written), &schema).unwrap();
    assert_eq!(document(&bytes), written);
    let [of, plain] = [tags("value")["timestamp"], tags("value")["text"]];
    assert_eq!([bytes[4], bytes[4 + 2 + 29 + 5]], [of, plain]);
}

#[test]
fn a_log_is_as_specified() {
    let end = LogPosition { length: 1234, checksum: 0x1234_5678 };
    let header = LogHeader {
        collection: COLLECTION,
        number: 5,
        epoch: 6,
        nonce: 0xdead_beef,
        first_sequence: 100,
        previous: Previous { number: 3, end },
    };
    let put = |id: Id, hint: Kill, payload: Option<&[u8]>| Write::Put {
        id,
        hint,
        vector: vec![1.5, -2.0, f32::MAX],
        document: a_document(),
        payload: payload.map(Into::into),
    };
    let delete = |id: Id, hint| Write::Delete { id, hint };
    let row = Kill::Segment { segment: 0x0102_0304_0506_0708, row: 0x0a0b_0c0d };
    let memtable = Kill::Log { number: u64::MAX - 1 };
    let batches = [
        vec![
            put(Id::from(5u64), Kill::Nothing, None),
            put(Id::from("5"), row, Some(b"payload")),
            put(Id::from("y".repeat(MAX_ID_BYTES)), memtable, Some(b"")),
        ],
        vec![
            delete(Id::from(u64::MAX), row),
            delete(Id::from("ü"), memtable),
            delete(Id::from(0u64), Kill::Nothing),
        ],
        vec![put(Id::from("z"), row, Some(&[7; 70_000]))],
    ];

    let (mut bytes, mut position) = header.encode();
    let log = position.checksum;
    let mut expected = Vec::new();
    let mut sequence = header.first_sequence;
    for batch in batches {
        let mut builder = FrameBuilder::new(sequence);
        for write in &batch {
            match write {
                Write::Put { id, hint, vector, document, payload } => {
                    let document = encode_document(map(document)).unwrap();
                    builder.put(id, *hint, vector, &document, payload.as_deref());
                }
                Write::Delete { id, hint } => builder.delete(id, *hint),
            }
        }
        position = builder.finish(log, position, sequence - 1, &mut bytes).unwrap();
        let (first_sequence, synced_through) = (sequence, sequence - 1);
        sequence += u64::try_from(batch.len()).unwrap();
        expected.push(Frame { first_sequence, synced_through, writes: batch, end: position });
    }

    let mut input = Input::new(&bytes);
    let (found, mut at) = log_header(&mut input);
    assert_eq!(found, header);
    for expected in expected {
        let found = frame(&mut input, log, at, 3);
        at = found.end;
        assert_eq!(found, expected);
    }
    input.end();
}

#[test]
fn the_logs_example_is_a_log() {
    let (bytes, _) = a_log(&[0]);
    let hex = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    let lines: Vec<String> = bytes.chunks(32).map(|line| hex(line).join(" ")).collect();
    assert_eq!(example("log"), bytes, "it is\n{}", lines.join("\n"));
    let mut input = Input::new(&bytes);
    let (_, position) = log_header(&mut input);
    let deletes = vec![Write::Delete { id: Id::from(7u64), hint: Kill::Nothing }];
    assert_eq!(frame(&mut input, position.checksum, position, 3).writes, deletes);
}

#[test]
fn a_log_ends_as_specified() {
    let end = |bytes: &[u8]| {
        let mut reader = LogReader::open(bytes).unwrap();
        while reader.next_frame().is_some() {}
        reader.end()
    };
    let (bytes, ends) = a_log(&[0, 0]);
    assert_eq!(end(&bytes), LogEnd::Clean);
    assert_eq!(end(&bytes[..ends[1]]), LogEnd::Clean);
    let torn = u64::try_from(ends[2] - ends[1] - 1).unwrap();
    assert_eq!(end(&bytes[..ends[2] - 1]), LogEnd::Torn { bytes: torn });
    for synced_through in [0, 1] {
        let (mut bytes, ends) = a_log(&[0, synced_through]);
        bytes[ends[1] - 1] ^= 1;
        let expected = match synced_through {
            0 => LogEnd::Torn { bytes: u64::try_from(ends[2] - ends[0]).unwrap() },
            _ => LogEnd::Damaged { offset: u64::try_from(ends[0]).unwrap(), synced_through },
        };
        assert_eq!(end(&bytes), expected);
        // The header of the later frame is proof enough.
        bytes.truncate(ends[1] + size("frame header bytes"));
        assert_eq!(matches!(end(&bytes), LogEnd::Damaged { .. }), synced_through == 1);
        // So it is where it stands in the place of a frame that is gone.
        let (mut bytes, ends) = a_log(&[0, synced_through]);
        bytes.drain(ends[0]..ends[1]);
        assert_eq!(matches!(end(&bytes), LogEnd::Damaged { .. }), synced_through == 1);
        // And where the log's own header is broken, in its fields or in its checksum.
        for at in [0, size("log header bytes") - 1] {
            let (mut bytes, _) = a_log(&[0, synced_through]);
            bytes[at] ^= 1;
            assert!(LogReader::open(&bytes).is_err());
            assert_eq!(LogReader::durable_despite_header(&bytes), Some(synced_through));
        }
    }
}

#[test]
fn a_segment_is_as_specified() {
    let rows = Rows::new();
    let file = rows.segment();

    let mut input = Input::new(&file);
    let mut walk = Walk::new("Segment header", &mut input);
    walk.magic("segment magic");
    walk.version();
    assert_eq!(walk.u128("collection"), COLLECTION.0);
    assert_eq!(walk.u64("number"), 7);
    assert_eq!(walk.field("24 bytes", "padding").raw(24), [0; 24]);
    walk.checksum();
    walk.end();
    assert_eq!(input.at, size("segment header bytes"));

    let (directory, _) = directory_of(&file);
    let sections = rows.sections();
    assert_eq!(directory.sections.len(), sections.len());
    for (section, (kind, contents)) in directory.sections.iter().zip(&sections) {
        assert_eq!(section.kind, *kind);
        assert_eq!(section.offset % number("section alignment bytes"), 0);
        let start = usize(section.offset);
        assert_eq!(&file[start..start + usize(section.length)], contents.as_slice());
        let blocks: Vec<u64> =
            contents.chunks(section.block_bytes as usize).map(checksum).collect();
        let start = usize(section.table_offset);
        let table = &file[start..start + blocks.len() * 8];
        assert_eq!(checksum(table), section.table_checksum);
        let mut table = Input::new(table);
        assert!(blocks.iter().all(|sum| table.u64() == *sum));
    }
    assert!(sections.iter().any(|(_, contents)| contents.len() > 2 * BLOCK_BYTES as usize));
}

#[test]
fn the_columns_of_a_segment_are_as_specified() {
    let rows = Rows::new();
    let sections: BTreeMap<SectionKind, Vec<u8>> = rows.sections().into_iter().collect();
    let of = |kind| sections[&kind].as_slice();
    let (kinds, text) = (of(SectionKind::IdKinds), of(SectionKind::IdText));
    for (row, id) in rows.ids.iter().enumerate() {
        let entry = Input { bytes: of(SectionKind::Ids), at: row * 8 }.u64();
        let found = match (kinds[row / 8] >> (row % 8)) & 1 {
            0 => Id::from(entry),
            _ => {
                let bytes = &text[usize(entry >> 10)..][..usize(entry % 1024)];
                Id::from(std::str::from_utf8(bytes).unwrap())
            }
        };
        assert_eq!(found, *id);
        let (spans, values) = (of(SectionKind::DocumentSpans), of(SectionKind::Documents));
        assert_eq!(span(spans, values, row), Some(rows.documents[row].as_slice()));
        let (spans, values) = (of(SectionKind::PayloadSpans), of(SectionKind::Payloads));
        assert_eq!(span(spans, values, row), rows.payloads[row].as_deref());
    }
    for (spans, values) in [
        (SectionKind::DocumentSpans, SectionKind::Documents),
        (SectionKind::PayloadSpans, SectionKind::Payloads),
    ] {
        let last = Input { bytes: of(spans), at: rows.ids.len() * 8 }.u64();
        assert_eq!(usize(last), of(values).len());
    }

    let mut seen = BTreeSet::new();
    let (seed, [numbers, texts]) = lookup(of(SectionKind::Lookup));
    assert_eq!(seed, values::SEED);
    assert!(numbers.is_sorted() && texts.is_sorted());
    for (hash, row) in numbers {
        let Id::Number(number) = rows.ids[usize(row)] else { panic!("row {row} has a text") };
        assert_eq!(hash, mix(number));
        seen.insert(row);
    }
    for (hash, row) in texts {
        let Id::Text(text) = &rows.ids[usize(row)] else { panic!("row {row} has a number") };
        assert_eq!(hash, xxh3_64_with_seed(text.as_bytes(), seed));
        seen.insert(row);
    }
    assert_eq!(seen.len(), rows.ids.len());
}

#[test]
fn the_sizes_of_sections_are_as_specified() {
    // The refusal of a directory with nothing but this section, in 9 rows of 5 dimensions.
    let (block_bytes, config) = (BLOCK_BYTES, Config::new(5, Metric::L2));
    let refusal = |kind, required, length| {
        let section = Section {
            kind,
            required,
            offset: 64,
            length,
            block_bytes,
            table_offset: 0,
            table_checksum: 0,
        };
        let bytes = Directory { rows: 9, config, sections: vec![section] }.encode();
        assert_eq!(directory(&bytes).sections, [section]);
        Directory::decode(&bytes, 1 << 20).unwrap_err().to_string()
    };
    for (_, kind) in section_kinds() {
        let length = match kind {
            SectionKind::Vectors => 9 * 5 * 4,
            SectionKind::Norms => 9 * 4,
            SectionKind::Ids => 9 * 8,
            SectionKind::IdKinds => 2,
            SectionKind::Lookup => 16 + 9 * 12,
            SectionKind::DocumentSpans | SectionKind::PayloadSpans => 10 * 8,
            SectionKind::UpperFactors | SectionKind::LowerFactors | SectionKind::FullFactors => {
                9 * 8
            }
            _ => continue,
        };
        assert!(refusal(kind, true, length + 1).contains("for 9 rows"), "{kind:?}");
        assert!(!refusal(kind, true, length).contains("for 9 rows"), "{kind:?}");
    }
    let many = |count| {
        let code = |n| u16::try_from(1000 + n).unwrap();
        let section = |n| Section {
            kind: SectionKind::Other(code(n)),
            required: false,
            offset: 64,
            length: 0,
            block_bytes,
            table_offset: 0,
            table_checksum: 0,
        };
        let bytes = Directory { rows: 9, config, sections: (0..count).map(section).collect() };
        Directory::decode(&bytes.encode(), 1 << 20).unwrap_err().to_string()
    };
    assert!(many(size("most sections") + 1).contains("4097 sections"));
    assert!(!many(size("most sections")).contains("4096 sections"));
    let unknown = SectionKind::Other(999);
    assert!(refusal(unknown, true, 5).contains("unknown kind 999"));
    assert!(!refusal(unknown, false, 5).contains("unknown kind"));
}

#[test]
fn other_versions_are_refused() {
    let (bytes, _) = Catalogue::default().encode();
    assert!(Catalogue::decode(&bytes).is_ok());
    let mut other = bytes;
    other[4] ^= 1;
    let covered = other.len() - 8;
    let sum = checksum(&other[..covered]);
    other[covered..].copy_from_slice(&sum.to_le_bytes());
    assert!(matches!(Catalogue::decode(&other), Err(FormatError::Version { .. })));

    let (mut log, _) = a_log(&[]);
    log[6] ^= 2;
    assert!(matches!(LogReader::open(&log), Err(FormatError::Version { .. })));
}
