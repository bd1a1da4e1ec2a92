//! The structures of the page, in its order.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde_json::{Map, Value, json};
use vecgo_format::{
    BackedUp, Calibration, CalibrationPoint, Catalogue, Config, Directory, Entry, Extensions,
    FieldSchema, FieldType, Id, Identity, Index, Inventory, Kill, LogHeader, LogPosition, LogRange,
    Manifest, Metric, ObjectName, ObjectRef, Original, Parent, Pin, Previous, PrunePlan,
    Quantization, RecallTarget, Schema, Section, SectionKind, SegmentRef, StoredCopy, checksum,
};

use crate::page::{Input, PAGE, Walk, chain, number, size, table, tags, usize};
/// The body of a small object and its checksum.
pub(crate) fn envelope<'a>(bytes: &'a [u8], magic: &str) -> (&'a [u8], u64) {
    let mut input = Input::new(bytes);
    let mut walk = Walk::new("Envelope", &mut input);
    walk.magic(magic);
    walk.version();
    let body = walk.field("the rest", "body").raw(bytes.len() - 16);
    let sum = walk.checksum();
    walk.end();
    input.end();
    (body, sum)
}

pub(crate) fn configuration(input: &mut Input<'_>) -> Config {
    let mut walk = Walk::new("Configuration", input);
    let dim = walk.u32("dim");
    let metric = match walk.tag("metric", "metric") {
        "cosine" => Metric::Cosine,
        "l2" => Metric::L2,
        "dot" => Metric::Dot,
        other => panic!("metric {other}"),
    };
    let index = walk.tag("index", "index");
    let index = match (index, walk.u16("m"), walk.u16("ef construction"), walk.u32("clusters")) {
        ("flat", 0, 0, 0) => Index::Flat,
        ("ivf", 0, 0, clusters) => Index::Ivf { n_clusters: NonZeroU32::new(clusters) },
        ("disk", m, ef_construction, 0) => Index::Disk { m, ef_construction },
        ("graph", m, ef_construction, 0) => Index::Graph { m, ef_construction },
        other => panic!("index {other:?}"),
    };
    let quantization = walk.tag("quantization", "quantization");
    let quantization = match (quantization, walk.u16("bits")) {
        ("none", 0) => Quantization::None,
        ("sq8", 0) => Quantization::Sq8,
        ("rabitq", bits) => Quantization::RaBitQ { bits: u8::try_from(bits).unwrap() },
        ("pq", parts) => Quantization::Pq { parts },
        other => panic!("quantization {other:?}"),
    };
    let target = match walk.u16("recall target") {
        0 => None,
        steps => Some(RecallTarget::new(f64::from(steps) / 10_000.0).unwrap()),
    };
    walk.end();
    let config = Config::new(usize(dim), metric).with_index(index).with_quantization(quantization);
    config.with_recall_target(target)
}

pub(crate) fn object_reference(input: &mut Input<'_>) -> ObjectRef {
    let mut walk = Walk::new("Object reference", input);
    let name = ObjectName { epoch: walk.u64("epoch"), random: walk.u64("random") };
    let (length, checksum) = (walk.u64("length"), walk.u64("checksum"));
    walk.end();
    ObjectRef { name, length, checksum }
}

pub(crate) fn catalogue(bytes: &[u8]) -> (Catalogue, u64) {
    let (body, sum) = envelope(bytes, "catalogue magic");
    let mut input = Input::new(body);
    let mut walk = Walk::new("Catalogue", &mut input);
    let (number, nonce) = (walk.u64("number"), walk.u64("nonce"));
    let parent =
        Parent { number: walk.u64("parent number"), checksum: walk.u64("parent checksum") };
    let oldest = walk.u64("oldest");
    assert!(oldest <= number, "oldest is at most number");
    let mut collections = BTreeMap::new();
    let count = walk.length("collections");
    walk.each(count, 2, |walk| {
        let name = walk.text("name").to_owned();
        let mut entry = Input::new(walk.bytes("collection"));
        assert!(collections.keys().all(|before| *before < name), "collections ascend");
        collections.insert(name, collection(&mut entry));
        entry.end();
    });
    let mut dropped = Vec::new();
    let count = walk.length("dropped");
    walk.each(count, 1, |walk| dropped.push(Identity(walk.u128("dropped identity"))));
    let mut arriving = Vec::new();
    let count = walk.length("arriving");
    walk.each(count, 2, |walk| {
        arriving.push((Identity(walk.u128("arriving identity")), walk.u64("since")));
    });
    let extensions = extensions(&mut walk);
    walk.end();
    input.end();
    let newer = BTreeMap::new();
    let found = Catalogue {
        number,
        nonce,
        parent,
        oldest,
        collections,
        newer,
        dropped,
        arriving,
        extensions,
    };
    (found, sum)
}

pub(crate) fn collection(input: &mut Input<'_>) -> Entry {
    let mut walk = Walk::new("Collection", input);
    let identity = Identity(walk.u128("identity"));
    let config = configuration(walk.field("*configuration*", "configuration"));
    let schema = schema(walk.field("*schema*", "schema"));
    let created_ms = walk.u64("created");
    let extensions = extensions(&mut walk);
    walk.end();
    Entry { identity, config, schema, created_ms, extensions }
}

fn extensions(walk: &mut Walk<'_, '_>) -> Extensions {
    let mut extensions = Vec::new();
    let count = walk.length("extensions");
    walk.each(count, 1, |walk| {
        extensions.push(extension(walk.field("*extension*", "extension")));
    });
    assert!(extensions.is_sorted_by(|a, b| a.0 < b.0), "kinds ascend");
    extensions.into_iter().collect()
}

fn extension(input: &mut Input<'_>) -> (u16, Vec<u8>) {
    let mut walk = Walk::new("Extension", input);
    let kind = walk.u16("kind");
    assert!(!walk.flag("required"));
    let said = walk.bytes("said").to_vec();
    walk.end();
    (kind, said)
}

fn schema(input: &mut Input<'_>) -> Schema {
    let mut walk = Walk::new("Schema", input);
    let (strict, count) = (walk.flag("strict"), walk.length("declared fields"));
    let mut fields = Vec::new();
    walk.each(count, 1, |walk| {
        fields.push(declared_field(walk.field("*declared field*", "declared field")));
    });
    walk.end();
    assert!(fields.is_sorted_by(|a, b| a.0 < b.0), "names ascend");
    Schema::new(strict, fields).unwrap()
}

fn declared_field(input: &mut Input<'_>) -> (String, FieldSchema) {
    let mut walk = Walk::new("Declared field", input);
    let name = walk.text("name").to_owned();
    let of = match walk.tag("type", "field type") {
        "any" => FieldType::Any,
        "bool" => FieldType::Bool,
        "i64" => FieldType::I64,
        "f64" => FieldType::F64,
        "string" => FieldType::String,
        "timestamp" => FieldType::Timestamp,
        "object" => FieldType::Object,
        other => panic!("field type {other}"),
    };
    let flags = walk.u8("flags");
    walk.end();
    assert!(flags < 8);
    let mut field = if flags & 1 == 1 { FieldSchema::list_of(of) } else { FieldSchema::new(of) };
    if flags & 2 == 2 {
        field = field.required();
    }
    if flags & 4 == 4 {
        field = field.unindexed();
    }
    (name, field)
}

pub(crate) fn manifest(bytes: &[u8]) -> (Manifest, u64) {
    let (body, sum) = envelope(bytes, "manifest magic");
    let mut input = Input::new(body);
    let mut walk = Walk::new("Manifest", &mut input);
    let mut found = Manifest {
        collection: Identity(walk.u128("collection")),
        number: walk.u64("number"),
        epoch: walk.u64("epoch"),
        epoch_began: walk.u64("epoch began"),
        nonce: walk.u64("nonce"),
        parent: Parent { number: walk.u64("parent number"), checksum: walk.u64("parent checksum") },
        created_ms: walk.u64("created"),
        sequence: walk.u64("sequence"),
        oldest: walk.u64("oldest"),
        tags: version_tags(&mut walk),
        next_segment: walk.u64("next segment"),
        config: configuration(walk.field("*configuration*", "configuration")),
        schema: schema(walk.field("*schema*", "schema")),
        log: LogRange {
            first: walk.u64("first log"),
            last: walk.u64("last log"),
            epoch: walk.u64("log epoch"),
            end: LogPosition { length: walk.u64("end length"), checksum: walk.u64("end checksum") },
            flushed: walk.u64("flushed"),
        },
        own_log: walk.u64("own log"),
        segments: Vec::new(),
        extensions: Extensions::default(),
    };
    let count = walk.length("segments");
    walk.each(count, 1, |walk| {
        found.segments.push(segment_reference(walk.field("*segment reference*", "segment")));
    });
    found.extensions = extensions(&mut walk);
    walk.end();
    input.end();
    (found, sum)
}

fn version_tags(walk: &mut Walk<'_, '_>) -> BTreeMap<String, u64> {
    let mut tags = BTreeMap::new();
    let count = walk.length("tags");
    walk.each(count, 2, |walk| {
        let name = walk.text("tag").to_owned();
        assert!(tags.keys().all(|before| *before < name), "tags ascend");
        tags.insert(name, walk.u64("tagged version"));
    });
    tags
}

pub(crate) fn pin(bytes: &[u8]) -> (Pin, u64) {
    let (body, sum) = envelope(bytes, "pin magic");
    let mut input = Input::new(body);
    let mut walk = Walk::new("Pin", &mut input);
    let pin = Pin {
        collection: Identity(walk.u128("collection")),
        version: walk.u64("version"),
        expires_ms: walk.u64("expires"),
        holder: walk.text("holder").to_owned(),
    };
    walk.end();
    input.end();
    (pin, sum)
}

pub(crate) fn backup(bytes: &[u8]) -> (Inventory, u64) {
    let (body, sum) = envelope(bytes, "backup magic");
    let mut input = Input::new(body);
    let mut walk = Walk::new("Backup", &mut input);
    let (id, created_ms) = (walk.u64("id"), walk.u64("created"));
    let mut expires_ms = None;
    if walk.flag("unfinished") {
        expires_ms = Some(walk.u64("expires"));
    } else {
        walk.absent("expires");
    }
    let mut collections = Vec::new();
    let count = walk.length("collections");
    walk.each(count, 1, |walk| {
        collections.push(backed_up(walk.field("*backed-up collection*", "collection")));
    });
    assert!(collections.is_sorted_by(|a, b| a.name < b.name), "collections ascend");
    let mut copies = Vec::new();
    let count = walk.length("copies");
    walk.each(count, 1, |walk| copies.push(stored_copy(walk.field("*copy*", "copy"))));
    let extensions = extensions(&mut walk);
    walk.end();
    input.end();
    (Inventory { id, created_ms, expires_ms, collections, copies, extensions }, sum)
}

fn backed_up(input: &mut Input<'_>) -> BackedUp {
    let mut walk = Walk::new("Backed-up collection", input);
    let name = walk.text("name").to_owned();
    let entry = collection(walk.field("*collection*", "collection"));
    let records = walk.u64("records");
    let mut manifest = None;
    if walk.flag("has version") {
        manifest = Some(walk.bytes("manifest").to_vec());
    } else {
        walk.absent("manifest");
    }
    walk.end();
    BackedUp { name, entry, records, manifest }
}

fn stored_copy(input: &mut Input<'_>) -> StoredCopy {
    let mut walk = Walk::new("Copy", input);
    let identity = Identity(walk.u128("collection"));
    let what = walk.u8("what");
    let tags = tags("copy");
    let original = if what == tags["log"] {
        walk.absent("epoch");
        walk.absent("random");
        let (number, from) = (walk.u64("number"), walk.u64("from"));
        let end = LogPosition { length: walk.u64("end"), checksum: walk.u64("end checksum") };
        Original::Log { number, from, end }
    } else {
        let name = ObjectName { epoch: walk.u64("epoch"), random: walk.u64("random") };
        for field in ["number", "from", "end", "end checksum"] {
            walk.absent(field);
        }
        if what == tags["segment"] {
            Original::Segment(name)
        } else {
            assert_eq!(what, tags["delete object"]);
            Original::Deletes(name)
        }
    };
    let (data, length, checksum) = (walk.u128("data"), walk.u64("length"), walk.u64("checksum"));
    walk.end();
    StoredCopy { collection: identity, original, data, length, checksum }
}

pub(crate) fn prune_plan(bytes: &[u8]) -> (PrunePlan, u64) {
    let (body, sum) = envelope(bytes, "prune plan magic");
    let mut input = Input::new(body);
    let mut walk = Walk::new("Prune plan", &mut input);
    let mut plan = PrunePlan::default();
    let count = walk.length("backups");
    walk.each(count, 2, |walk| plan.backups.push((walk.u64("created"), walk.u64("id"))));
    let count = walk.length("unfinished");
    walk.each(count, 2, |walk| plan.unfinished.push((walk.u64("unfinished id"), walk.u64("nth"))));
    walk.end();
    input.end();
    (plan, sum)
}

pub(crate) fn segment_reference(input: &mut Input<'_>) -> SegmentRef {
    let mut walk = Walk::new("Segment reference", input);
    let number = walk.u64("number");
    let made_in = Identity(walk.u128("made in"));
    let object = object_reference(walk.field("*object reference*", "object"));
    let bytes = walk.bytes("directory");
    assert_eq!(checksum(bytes), object.checksum, "the directory's checksum");
    let dead_rows = walk.u32("dead rows");
    let mut deletes = None;
    if walk.flag("has deletes") {
        deletes = Some(object_reference(walk.field("*object reference*", "deletes")));
    } else {
        walk.absent("deletes");
    }
    let mut points = Vec::new();
    let count = walk.length("measured");
    walk.each(count, 1, |walk| {
        points.push(calibration_point(walk.field("*calibration point*", "calibration point")));
    });
    let extensions = extensions(&mut walk);
    walk.end();
    assert!(points.is_sorted_by_key(|point| (point.k, point.effort)));
    let calibration = Calibration::new(points);
    let directory = directory(bytes);
    SegmentRef { number, made_in, object, directory, deletes, dead_rows, calibration, extensions }
}

fn calibration_point(input: &mut Input<'_>) -> CalibrationPoint {
    let mut walk = Walk::new("Calibration point", input);
    let point = CalibrationPoint {
        k: walk.u32("k"),
        effort: walk.u32("effort"),
        recall: walk.u16("recall"),
    };
    walk.end();
    point
}

pub(crate) fn delete_object(bytes: &[u8]) -> (BTreeMap<u64, Vec<u32>>, u64) {
    let (body, sum) = envelope(bytes, "delete object magic");
    let mut input = Input::new(body);
    let mut walk = Walk::new("Delete object", &mut input);
    let mut dead = BTreeMap::new();
    let count = walk.length("segments");
    walk.each(count, 2, |walk| {
        let segment = walk.u64("segment");
        assert!(dead.keys().all(|before| *before < segment), "segments ascend");
        dead.insert(segment, bitmap(walk.bytes("rows")));
    });
    walk.end();
    input.end();
    (dead, sum)
}

/// A Roaring bitmap without run containers.
pub(crate) fn bitmap(bytes: &[u8]) -> Vec<u32> {
    let mut input = Input::new(bytes);
    assert_eq!(input.int(4), 12346);
    let containers = input.int(4);
    let heads: Vec<_> = (0..containers).map(|_| (input.int(2), input.int(2) + 1)).collect();
    let offsets: Vec<_> = (0..containers).map(|_| input.int(4)).collect();
    let mut rows = Vec::new();
    for ((key, cardinality), offset) in heads.into_iter().zip(offsets) {
        assert_eq!(usize(offset), input.at);
        let values: Vec<u128> = if cardinality <= 4096 {
            (0..cardinality).map(|_| input.int(2)).collect()
        } else {
            let words: Vec<u64> = (0..1024).map(|_| input.u64()).collect();
            (0..65536).filter(|i| (words[usize(i / 64)] >> (i % 64)) & 1 == 1).collect()
        };
        assert_eq!(values.len(), usize(cardinality));
        rows.extend(values.iter().map(|value| u32::try_from(key * 65536 + value).unwrap()));
    }
    input.end();
    rows
}

pub(crate) fn id(input: &mut Input<'_>) -> Id {
    let mut walk = Walk::new("Id", input);
    let id = if walk.tag("kind", "id") == "number" {
        let number = walk.u64("number");
        walk.absent("text");
        Id::from(number)
    } else {
        walk.absent("number");
        Id::from(walk.text("text"))
    };
    walk.end();
    id
}

pub(crate) fn document(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return json!({});
    }
    let mut input = Input::new(bytes);
    let document = object(&mut input, &tags("value"));
    input.end();
    document
}

pub(crate) fn object(input: &mut Input<'_>, tags: &BTreeMap<&str, u8>) -> Value {
    let mut object = Map::new();
    let mut last = None;
    for _ in 0..input.length() {
        let key = input.text();
        assert!(last.is_none_or(|last| last < key), "keys ascend");
        last = Some(key);
        object.insert(key.to_owned(), value(input, tags));
    }
    Value::Object(object)
}

pub(crate) fn value(input: &mut Input<'_>, tags: &BTreeMap<&str, u8>) -> Value {
    let tag = input.u8();
    match *tags.iter().find(|(_, there)| **there == tag).unwrap().0 {
        "null" => Value::Null,
        "false" => Value::Bool(false),
        "true" => Value::Bool(true),
        "int" => Value::from(i64::from_le_bytes(input.raw(8).try_into().unwrap())),
        "float" => Value::from(f64::from_le_bytes(input.raw(8).try_into().unwrap())),
        "text" | "timestamp" => Value::from(input.text()),
        "list" => (0..input.length()).map(|_| value(input, tags)).collect(),
        "object" => object(input, tags),
        other => panic!("value {other}"),
    }
}

pub(crate) fn log_header(input: &mut Input<'_>) -> (LogHeader, LogPosition) {
    let mut walk = Walk::new("Log header", input);
    walk.magic("log magic");
    walk.version();
    let header = LogHeader {
        collection: Identity(walk.u128("collection")),
        number: walk.u64("number"),
        epoch: walk.u64("epoch"),
        nonce: walk.u64("nonce"),
        first_sequence: walk.u64("first sequence"),
        previous: Previous {
            number: walk.u64("previous number"),
            end: LogPosition {
                length: walk.u64("previous length"),
                checksum: walk.u64("previous checksum"),
            },
        },
    };
    let checksum = walk.checksum();
    walk.end();
    assert_eq!(input.at, size("log header bytes"));
    (header, LogPosition { length: number("log header bytes"), checksum })
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Write {
    Put { id: Id, hint: Kill, vector: Vec<f32>, document: Value, payload: Option<Vec<u8>> },
    Delete { id: Id, hint: Kill },
}

#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) first_sequence: u64,
    pub(crate) synced_through: u64,
    pub(crate) writes: Vec<Write>,
    pub(crate) end: LogPosition,
}

/// `log` is the checksum of the log's header.
pub(crate) fn frame(input: &mut Input<'_>, log: u64, before: LogPosition, dim: usize) -> Frame {
    let mut walk = Walk::new("Frame", input);
    walk.magic("frame magic");
    let length = walk.u32("body length");
    let first_sequence = walk.u64("first sequence");
    let count = walk.u32("count");
    let synced_through = walk.u64("synced through");
    let body_checksum = walk.u64("body checksum");
    let covered = walk.covered();
    let stored = walk.u64("checksum");
    assert_eq!(stored, chain(log, checksum(covered)), "the frame's checksum");
    assert_eq!(walk.covered().len(), size("frame header bytes"));
    let body = walk.field("the rest", "body").raw(usize(length));
    walk.end();
    assert_eq!(body_checksum, checksum(body), "the body's checksum");
    let mut body = Input::new(body);
    let writes = (0..count).map(|_| write(&mut body, dim)).collect();
    body.end();
    let length = u64::try_from(input.at).unwrap();
    let end = LogPosition { length, checksum: chain(before.checksum, stored) };
    Frame { first_sequence, synced_through, writes, end }
}

pub(crate) fn write(input: &mut Input<'_>, dim: usize) -> Write {
    let delete = input.bytes[input.at] == tags("write")["delete"];
    let mut walk = Walk::new(if delete { "Delete" } else { "Put" }, input);
    assert_eq!(walk.tag("write", "write") == "delete", delete);
    let id = id(walk.field("*id*", "id"));
    let hint = hint(walk.field("*hint*", "hint"));
    if delete {
        walk.end();
        return Write::Delete { id, hint };
    }
    let document = document(walk.bytes("document"));
    let mut payload = None;
    if walk.flag("has payload") {
        payload = Some(walk.bytes("payload").to_owned());
    } else {
        walk.absent("payload");
    }
    let vector = walk.field("dim × f32", "vector").raw(dim * 4).chunks(4);
    let vector = vector.map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    walk.end();
    Write::Put { id, hint, vector, document, payload }
}

pub(crate) fn hint(input: &mut Input<'_>) -> Kill {
    let mut walk = Walk::new("Hint", input);
    let kind = walk.tag("kind", "hint");
    let mut hint = Kill::Nothing;
    if kind == "segment" {
        hint = Kill::Segment { segment: walk.u64("segment"), row: walk.u32("row") };
    } else {
        walk.absent("segment");
        walk.absent("row");
    }
    if kind == "log" {
        hint = Kill::Log { number: walk.u64("log") };
    } else {
        walk.absent("log");
    }
    walk.end();
    hint
}

pub(crate) fn directory(bytes: &[u8]) -> Directory {
    let mut input = Input::new(bytes);
    let mut walk = Walk::new("Directory", &mut input);
    let rows = walk.u32("rows");
    let config = configuration(walk.field("*configuration*", "configuration"));
    let mut sections = Vec::new();
    let count = walk.length("sections");
    walk.each(count, 1, |walk| sections.push(section(walk.field("*section*", "section"))));
    walk.end();
    input.end();
    Directory { rows, config, sections }
}

pub(crate) fn section(input: &mut Input<'_>) -> Section {
    let mut walk = Walk::new("Section", input);
    let code = walk.u16("kind");
    let section = Section {
        kind: section_kinds().get(&code).copied().unwrap_or(SectionKind::Other(code)),
        required: walk.flag("required"),
        offset: walk.u64("offset"),
        length: walk.u64("length"),
        block_bytes: walk.u32("block bytes"),
        table_offset: walk.u64("table offset"),
        table_checksum: walk.u64("table checksum"),
    };
    walk.end();
    section
}

/// The page's kinds of sections, by the names that the crate has for them.
pub(crate) fn section_kinds() -> BTreeMap<u16, SectionKind> {
    let kind = |name| match name {
        "Vectors" => SectionKind::Vectors,
        "Norms" => SectionKind::Norms,
        "Ids" => SectionKind::Ids,
        "IdKinds" => SectionKind::IdKinds,
        "IdText" => SectionKind::IdText,
        "Lookup" => SectionKind::Lookup,
        "DocumentSpans" => SectionKind::DocumentSpans,
        "Documents" => SectionKind::Documents,
        "PayloadSpans" => SectionKind::PayloadSpans,
        "Payloads" => SectionKind::Payloads,
        "Space" => SectionKind::Space,
        "UpperCodes" => SectionKind::UpperCodes,
        "UpperFactors" => SectionKind::UpperFactors,
        "LowerCodes" => SectionKind::LowerCodes,
        "LowerFactors" => SectionKind::LowerFactors,
        "FullCodes" => SectionKind::FullCodes,
        "FullFactors" => SectionKind::FullFactors,
        "Edges" => SectionKind::Edges,
        "Entries" => SectionKind::Entries,
        "Fields" => SectionKind::Fields,
        "FieldData" => SectionKind::FieldData,
        "Clusters" => SectionKind::Clusters,
        "Centres" => SectionKind::Centres,
        "CentreFactors" => SectionKind::CentreFactors,
        "PartCodes" => SectionKind::PartCodes,
        "Codebook" => SectionKind::Codebook,
        other => panic!("section {other}"),
    };
    let rows = table("| kind | name |");
    let kinds = rows.iter().map(|row| (row[0].parse().unwrap(), kind(row[1]))).collect();
    assert_eq!(rows.len(), 26);
    kinds
}

pub(crate) fn trailer(bytes: &[u8]) -> (usize, u64) {
    assert_eq!(bytes.len(), size("trailer bytes"));
    let mut input = Input::new(bytes);
    let mut walk = Walk::new("Trailer", &mut input);
    let found = (usize(walk.u32("directory length")), walk.u64("directory checksum"));
    walk.magic("trailer magic");
    walk.end();
    input.end();
    found
}

/// The seed, and hashes and rows: of numbers, then of texts.
pub(crate) fn lookup(bytes: &[u8]) -> (u64, [Vec<(u64, u32)>; 2]) {
    let mut input = Input::new(bytes);
    let mut walk = Walk::new("Lookup", &mut input);
    let seed = walk.u64("seed");
    let counts = [walk.u32("numbers"), walk.u32("texts")];
    let found = [("numbers", "number"), ("texts", "text")].map(|(many, one)| {
        let count = counts[usize::from(one == "text")];
        let hashes = walk.field(&format!("{many} × u64"), &format!("{one} hashes"));
        let hashes: Vec<u64> = (0..count).map(|_| hashes.u64()).collect();
        let rows = walk.field(&format!("{many} × u32"), &format!("{one} rows"));
        let rows = (0..count).map(|_| rows.u32());
        hashes.into_iter().zip(rows).collect()
    });
    walk.end();
    input.end();
    (seed, found)
}

/// The hash of a number id, with the page's constants.
pub(crate) fn mix(mut x: u64) -> u64 {
    let factors: Vec<u64> = PAGE
        .split(") * 0x")
        .skip(1)
        .map(|rest| u64::from_str_radix(rest.lines().next().unwrap(), 16).unwrap())
        .collect();
    assert_eq!(factors.len(), 2);
    x = (x ^ (x >> 30)).wrapping_mul(factors[0]);
    x = (x ^ (x >> 27)).wrapping_mul(factors[1]);
    x ^ (x >> 31)
}

/// The value of a row, by the entries of a spans section.
pub(crate) fn span<'a>(spans: &[u8], values: &'a [u8], row: usize) -> Option<&'a [u8]> {
    let entry = |row: usize| Input { bytes: spans, at: row * 8 }.u64();
    let offset = |row: usize| usize(entry(row) % (1 << 63));
    (entry(row) >> 63 == 1).then(|| &values[offset(row)..offset(row + 1)])
}
