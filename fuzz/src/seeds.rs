//! The part of the corpus that the encoders make, and the plans: `cargo xtask corpus` writes it, a
//! test holds the committed files against it.

use serde_json::{Value, json};
use vecgo_format::{
    BLOCK_BYTES, BackedUp, BackupNames, Calibration, CalibrationPoint, Catalogue, Config,
    DeleteObject, Directory, Document, Entry, Extensions, FieldSections, FieldsBuilder,
    FrameBuilder, Id, Identity, Index, Inventory, Kill, LogHeader, LogPosition, LogRange, Lookup,
    MAX_DOCUMENT_DEPTH, Manifest, Metric, ObjectName, ObjectRef, Original, Parent, Pin, Previous,
    PrunePlan, Quantization, RecallTarget, Schema, Section, SectionKind, SegmentRef, StoredCopy,
    catalogue_key, encode_document, encode_document_under, encode_spans,
};

use crate::log::DIM;
use crate::operations;

/// One file of the corpus.
#[derive(Debug)]
pub struct Seed {
    /// The target that it belongs to.
    pub target: &'static str,
    /// Its name; findings have other names.
    pub name: &'static str,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// All files that the encoders make.
pub fn seeds() -> Vec<Seed> {
    let seed = |(target, name, bytes)| Seed { target, name, bytes };
    let mut all = Vec::new();
    all.extend(manifests().map(seed));
    all.extend(catalogues().map(seed));
    all.extend(deletes().map(seed));
    all.extend(pins().map(seed));
    all.extend(backups().map(seed));
    all.extend(logs().map(seed));
    all.extend(directories().map(seed));
    all.extend(lookups().map(seed));
    all.extend(rows().map(seed));
    all.extend(fields().map(seed));
    all.extend(filters().map(seed));
    all.extend(documents().map(seed));
    all.extend(names().map(seed));
    let named = |(name, bytes)| seed(("operations", name, bytes));
    all.extend(operations::seeds().into_iter().map(named));
    all
}

type Named = (&'static str, &'static str, Vec<u8>);

const COLLECTION: Identity = Identity(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
const POSITION: LogPosition = LogPosition { length: 4096, checksum: 0x5eed };

fn manifests() -> [Named; 2] {
    let empty = Manifest {
        collection: COLLECTION,
        number: 1,
        epoch: 1,
        nonce: 7,
        parent: Parent::default(),
        created_ms: 1_750_000_000_000,
        sequence: 0,
        epoch_began: 1,
        oldest: 1,
        tags: Default::default(),
        next_segment: 1,
        config: Config::new(DIM, Metric::Cosine),
        schema: Schema::default(),
        log: LogRange { first: 1, last: 1, epoch: 1, end: POSITION, flushed: 0 },
        own_log: 0,
        segments: Vec::new(),
        extensions: Default::default(),
    };
    let object = |random, checksum| ObjectRef {
        name: ObjectName { epoch: 2, random },
        length: 1 << 20,
        checksum,
    };
    let segment = |number, directory: Directory, deletes| SegmentRef {
        number,
        made_in: COLLECTION,
        object: object(number, directory.checksum()),
        directory,
        deletes,
        dead_rows: u32::from(deletes.is_some()),
        calibration: Calibration::default(),
        extensions: [(7, b"said".to_vec()), (9, Vec::new())]
            .into_iter()
            .take(usize::from(deletes.is_some()) * 2)
            .collect(),
    };
    let segments = Manifest {
        number: 9,
        parent: Parent { number: 8, checksum: 3 },
        sequence: 40,
        oldest: 5,
        tags: [("first".to_owned(), 1), ("release 2".to_owned(), 4)].into(),
        next_segment: 4,
        own_log: 12,
        extensions: [(1, vec![2])].into_iter().collect(),
        config: empty.config.with_recall_target(RecallTarget::new(0.9).ok()),
        schema: schema(),
        segments: vec![
            segment(1, full_directory(), None),
            segment(2, full_directory(), Some(object(11, 5))),
            SegmentRef {
                calibration: Calibration::new(vec![
                    CalibrationPoint { k: 10, effort: 64, recall: 9_000 },
                    CalibrationPoint { k: 10, effort: 128, recall: 10_000 },
                ]),
                ..segment(3, indexed_directory(), None)
            },
        ],
        ..empty.clone()
    };
    [
        ("manifest", "seed-empty", empty.encode().0),
        ("manifest", "seed-segments", segments.encode().0),
    ]
}

const SCHEMA: &str = r#"{"strict": true, "fields": {
    "year": {"type": "i64", "required": true}, "at": {"type": "list<timestamp>"},
    "a\\.b.c": {"type": "string", "indexed": false}, "more": {"type": "object"}
}}"#;

fn schema() -> Schema {
    SCHEMA.parse().expect("a schema")
}

fn catalogues() -> [Named; 2] {
    let entry = |identity, config| Entry {
        identity: Identity(identity),
        config,
        schema: if identity == 2 { schema() } else { Schema::default() },
        created_ms: 1_750_000_000_000,
        extensions: (identity == 2).then(|| (7, b"said".to_vec())).into_iter().collect(),
    };
    let flat = Config::new(DIM, Metric::L2).with_index(Index::Flat);
    let codes = Quantization::RaBitQ { bits: 4 };
    let collections = Catalogue {
        number: 3,
        nonce: 7,
        parent: Parent { number: 2, checksum: 1 },
        oldest: 1,
        collections: [
            ("default".to_owned(), entry(1, flat)),
            (
                "ünïcode".to_owned(),
                entry(2, Config::new(DIM, Metric::Dot).with_quantization(codes)),
            ),
        ]
        .into(),
        newer: Default::default(),
        dropped: vec![Identity(3), COLLECTION],
        arriving: vec![(Identity(4), 1_750_000_000_000)],
        extensions: [(1, vec![2])].into_iter().collect(),
    };
    [
        ("catalogue", "seed-empty", Catalogue::default().encode().0),
        ("catalogue", "seed-collections", collections.encode().0),
    ]
}

fn pins() -> [Named; 1] {
    let pin = Pin {
        collection: COLLECTION,
        version: 4,
        expires_ms: 1_750_000_000_000,
        holder: "a backup".to_owned(),
    };
    [("pin", "seed", pin.encode().0)]
}

fn backups() -> [Named; 2] {
    let entry = Entry {
        identity: COLLECTION,
        config: Config::new(DIM, Metric::Cosine),
        schema: schema(),
        created_ms: 1_750_000_000_000,
        extensions: Extensions::default(),
    };
    let [(_, _, manifest), _] = manifests();
    let backed_up = |name: &str, manifest| BackedUp {
        name: name.to_owned(),
        entry: entry.clone(),
        records: 3,
        manifest,
    };
    let name = ObjectName { epoch: 2, random: 9 };
    let log = Original::Log { number: 1, from: 0, end: POSITION };
    let copy = |original| StoredCopy {
        collection: COLLECTION,
        original,
        data: 77,
        length: 5,
        checksum: 6,
    };
    let inventory = Inventory {
        id: 1,
        created_ms: 1_750_000_000_000,
        expires_ms: None,
        collections: vec![backed_up("default", Some(manifest)), backed_up("empty", None)],
        copies: [Original::Segment(name), Original::Deletes(name), log].map(copy).to_vec(),
        extensions: [(1, vec![2])].into_iter().collect(),
    };
    let plan = PrunePlan { backups: vec![(1_750_000_000_000, 1)], unfinished: vec![(2, 3)] };
    [("backup", "seed", inventory.encode().0), ("prune", "seed", plan.encode().0)]
}

fn deletes() -> [Named; 3] {
    // A few rows, and more than a bitmap lists one by one.
    let few = DeleteObject { dead: [(1, [3, 5, 70_000].into_iter().collect())].into() };
    let many = (0..10_000).map(|row| row * 2).collect();
    let many = DeleteObject { dead: [(1, many), (4, [0].into_iter().collect())].into() };
    [
        ("deletes", "seed-empty", DeleteObject::default().encode().0),
        ("deletes", "seed-few", few.encode().0),
        ("deletes", "seed-many", many.encode().0),
    ]
}

fn logs() -> [Named; 4] {
    let header = LogHeader {
        collection: COLLECTION,
        number: 2,
        epoch: 1,
        nonce: 7,
        first_sequence: 10,
        previous: Previous { number: 1, end: POSITION },
    };
    let (empty, start) = header.encode();
    let (log, mut writes) = (start.checksum, empty.clone());
    let document = encode_document(&object(json!({"year": 2024}))).expect("a small document");
    let mut first = FrameBuilder::new(10);
    first.put(&Id::from(5u64), Kill::Nothing, &[1.0, 0.5, -2.0], &document, None);
    let older = Kill::Segment { segment: 1, row: 3 };
    first.put(&Id::from("5"), older, &[0.0, f32::MIN_POSITIVE, 1e30], &[], Some(b"payload"));
    let middle = first.finish(log, start, 0, &mut writes).expect("a small frame");
    let mut second = FrameBuilder::new(12);
    second.delete(&Id::from("5"), Kill::Log { number: 2 });
    let end = second.finish(log, middle, 11, &mut writes).expect("a small frame");
    FrameBuilder::new(13).finish(log, end, 12, &mut writes).expect("an empty frame");

    let torn = writes[..writes.len() - 5].to_vec();
    let mut damaged = writes.clone();
    damaged[usize::try_from(start.length).expect("a short log") + 40] ^= 1;
    [
        ("log", "seed-empty", empty),
        ("log", "seed-writes", writes),
        ("log", "seed-torn", torn),
        ("log", "seed-damaged", damaged),
    ]
}

fn plain_directory() -> Directory {
    let config = Config::new(DIM, Metric::L2);
    let sections = [
        (SectionKind::Vectors, 4 * 4 * DIM as u64),
        (SectionKind::Ids, 4 * 8),
        (SectionKind::Lookup, 4 * 12 + 16),
    ];
    Directory { rows: 4, config, sections: place(&sections) }
}

fn full_directory() -> Directory {
    let config = Config::new(DIM, Metric::Cosine);
    let sections = [
        (SectionKind::Vectors, 4 * 4 * DIM as u64),
        (SectionKind::Norms, 4 * 4),
        (SectionKind::Ids, 4 * 8),
        (SectionKind::IdKinds, 1),
        (SectionKind::IdText, 9),
        (SectionKind::Lookup, 4 * 12 + 16),
        (SectionKind::DocumentSpans, 5 * 8),
        (SectionKind::Documents, 100_000),
        (SectionKind::Fields, 300),
        (SectionKind::FieldData, 5_000),
        (SectionKind::PayloadSpans, 5 * 8),
        (SectionKind::Payloads, 0),
        (SectionKind::Other(999), 1),
    ];
    Directory { rows: 4, config, sections: place(&sections) }
}

fn indexed_directory() -> Directory {
    let config = Config::new(DIM, Metric::Cosine)
        .with_index(Index::Ivf { n_clusters: None })
        .with_quantization(Quantization::None);
    use SectionKind::{CentreFactors, Centres, Clusters, Norms, Space};
    with_index(config, &[Norms, Space, Clusters, Centres, CentreFactors])
}

fn parts_directory() -> Directory {
    let config = Config::new(DIM, Metric::L2).with_quantization(Quantization::Pq { parts: 2 });
    use SectionKind::{
        CentreFactors, Centres, Clusters, Codebook, Edges, Entries, PartCodes, Space,
    };
    let clusters = [Space, Clusters, Centres, CentreFactors];
    with_index(config, &[&clusters[..], &[Edges, Entries, PartCodes, Codebook]].concat())
}

/// Codes for those who come from afar, and no index.
fn coded_directory() -> Directory {
    let config = Config::new(DIM, Metric::L2);
    with_index(config, &[SectionKind::Space, SectionKind::UpperCodes])
}

/// Four rows, with these sections besides.
fn with_index(config: Config, index: &[SectionKind]) -> Directory {
    let plain = plain_directory().sections.into_iter().map(|plain| (plain.kind, plain.length));
    let sections: Vec<_> = plain.chain(index.iter().map(|kind| (*kind, 4 * 4))).collect();
    Directory { rows: 4, config, sections: place(&sections) }
}

/// Sections of these lengths one behind the other, then their tables.
fn place(lengths: &[(SectionKind, u64)]) -> Vec<Section> {
    let mut at = 64;
    let mut sections = Vec::new();
    for (kind, length) in lengths {
        let required = !matches!(kind, SectionKind::Other(_));
        let (offset, length, kind) = (at, *length, *kind);
        at = (at + length).next_multiple_of(64);
        sections.push(Section {
            kind,
            required,
            offset,
            length,
            block_bytes: BLOCK_BYTES,
            table_offset: 0,
            table_checksum: 1,
        });
    }
    for section in &mut sections {
        section.table_offset = at;
        at += section.blocks() * 8;
    }
    sections
}

fn directories() -> [Named; 6] {
    let object =
        |directory: &Directory| [&(1u64 << 20).to_le_bytes(), &*directory.encode()].concat();
    let (plain, full) = (plain_directory(), full_directory());
    [
        ("directory", "seed-plain", object(&plain)),
        ("directory", "seed-full", object(&full)),
        ("directory", "seed-indexed", object(&indexed_directory())),
        ("directory", "seed-parts", object(&parts_directory())),
        ("directory", "seed-coded", object(&coded_directory())),
        ("directory", "seed-trailer", full.trailer()),
    ]
}

fn lookups() -> [Named; 3] {
    let lookup = |ids: &[Id]| {
        let rows = u32::try_from(ids.len()).expect("few ids");
        [&rows.to_le_bytes(), &*Lookup::build(7, ids.iter()).encode()].concat()
    };
    let numbers: Vec<Id> = (0..20u64).map(|n| Id::from(n * n)).collect();
    let mixed = [Id::from(5u64), Id::from("5"), Id::from(u64::MAX), Id::from("ünïcode")];
    [
        ("lookup", "seed-empty", lookup(&[])),
        ("lookup", "seed-numbers", lookup(&numbers)),
        ("lookup", "seed-mixed", lookup(&mixed)),
    ]
}

fn fields() -> [Named; 4] {
    let fields = |schema: &Schema, documents: &[Value]| {
        let mut builder = FieldsBuilder::new(schema);
        for document in documents {
            let document = document.as_object().expect("an object");
            let document = encode_document_under(document, schema).expect("small");
            builder.push(&document).expect("a document");
        }
        let FieldSections { directory, data } = builder.finish();
        let rows = u32::try_from(documents.len()).expect("few documents");
        let length = u32::try_from(directory.len()).expect("few fields");
        [&rows.to_le_bytes(), &length.to_le_bytes(), &*directory, &*data].concat()
    };
    let none = Schema::default();
    let many: Vec<Value> = (0..300).map(|n| json!({"n": n, "t": n % 3, "l": [n, "x"]})).collect();
    let most: Vec<Value> = (0..2100).map(|n| json!({"n": n % 50})).collect();
    [
        ("fields", "seed-many", fields(&none, &many)),
        ("fields", "seed-few", fields(&none, &[json!({"a.b": {"c": "x".repeat(200)}}), json!({})])),
        ("fields", "seed-declared", fields(&schema(), &[declared()])),
        ("fields", "seed-steps", fields(&none, &most)),
    ]
}

fn filters() -> [Named; 3] {
    let tests = json!({"and": [
        {"field": r"a\.b", "op": "in", "value": [1, 2.5, "x", null, [true], {"y": -1}]},
        {"not": {"or": [{"field": "c", "op": "exists"}, {"field": "d", "op": "all", "value": []}]}},
    ]});
    let one = json!({"field": "name", "op": "starts_with", "value": "ü"});
    [
        ("filter", "seed-tests", tests.to_string().into_bytes()),
        ("filter", "seed-one", one.to_string().into_bytes()),
        ("filter", "seed-schema", SCHEMA.as_bytes().to_vec()),
    ]
}

fn rows() -> [Named; 2] {
    let spans = encode_spans([Some(0), None, Some(700), Some(3), None].into_iter());
    let ids = ["5", "a", "ünïcode", "018f2d7e-7c7a-7f00-8000-000000000000"].join("\n");
    [("rows", "seed-spans", spans), ("rows", "seed-ids", ids.into_bytes())]
}

/// A document with values in all fields of the schema.
fn declared() -> Value {
    let times = ["2024-05-01T12:00:00Z", "1969-12-31t23:59:59.25-07:30"];
    json!({"year": 2024, "at": times, "a.b": {"c": "x"}, "more": {"n": null}})
}

fn documents() -> [Named; 5] {
    let scalars = json!({
        "none": null, "no": false, "yes": true, "int": i64::MIN, "float": -0.5, "text": "ünï",
    });
    let nested = json!({"list": [1, 2.5, "x", [], {}, [[null]]], "object": {"a": {"b": {"c": 1}}}});
    // The document is one level, each list another, the number in the last one none.
    let deepest = (2..MAX_DOCUMENT_DEPTH).fold(json!([1]), |inner, _| json!([inner]));
    let encode = |value| encode_document(&object(value)).expect("within the limits");
    [
        ("document", "seed-empty", encode(json!({}))),
        ("document", "seed-scalars", encode(scalars)),
        ("document", "seed-nested", encode(nested)),
        (
            "document",
            "seed-timestamps",
            encode_document_under(&object(declared()), &schema()).expect("within the limits"),
        ),
        ("document", "seed-deepest", encode(json!({"deep": deepest}))),
    ]
}

fn object(value: Value) -> Document {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn names() -> [Named; 5] {
    [
        ("names", "seed-backup", BackupNames::inventory(9, 1).into_bytes()),
        ("names", "seed-unfinished", BackupNames::unfinished(1, 2).into_bytes()),
        ("names", "seed-data", BackupNames::data(3).into_bytes()),
        ("names", "seed-first", catalogue_key(1).into_bytes()),
        ("names", "seed-last", catalogue_key(u64::MAX - 1).into_bytes()),
    ]
}
