//! What the tests encode.

use std::num::NonZeroU32;

use serde_json::{Map, Value, json};
use vecgo_format::{
    BLOCK_BYTES, BlockChecksums, Config, Directory, FieldSchema, FieldSections, FieldsBuilder,
    FrameBuilder, Id, IdColumn, Identity, Index, Kill, LogHeader, Lookup, MAX_CLUSTERS, MAX_DIM,
    Metric, Previous, Quantization, RecallTarget, SECTION_ALIGN, Schema, Section, SectionKind,
    checksum, encode_document, encode_spans, segment_header,
};

use crate::decoder::{directory, trailer};
use crate::page::{size, usize};
pub(crate) const COLLECTION: Identity = Identity(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);

pub(crate) fn map(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

pub(crate) fn a_document() -> Value {
    json!({
        "z": null, "no": false, "yes": true, "int": -5, "least": i64::MIN, "float": 1.0,
        "text": "grüße", "list": [1, [2.5], {"deep": {}}], "object": {"a": 1, "": "empty"},
    })
}

/// A log of nothing but deletions of id 7, one a frame, and where it ends after each of them.
pub(crate) fn a_log(synced_through: &[u64]) -> (Vec<u8>, Vec<usize>) {
    let header = LogHeader {
        collection: COLLECTION,
        number: 1,
        epoch: 1,
        nonce: 2,
        first_sequence: 1,
        previous: Previous::default(),
    };
    let (mut bytes, mut position) = header.encode();
    let log = position.checksum;
    let mut ends = vec![bytes.len()];
    for (sequence, synced_through) in (1..).zip(synced_through) {
        let mut builder = FrameBuilder::new(sequence);
        builder.delete(&Id::from(7u64), Kill::Nothing);
        position = builder.finish(log, position, *synced_through, &mut bytes).unwrap();
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// Rows of all kinds; their documents and payloads fill more than one block.
pub(crate) struct Rows {
    pub(crate) ids: Vec<Id>,
    pub(crate) documents: Vec<Vec<u8>>,
    pub(crate) payloads: Vec<Option<Vec<u8>>>,
}

impl Rows {
    pub(crate) fn new() -> Self {
        let id = |n: u16| match n % 3 {
            1 => Id::from(format!("row {n}")),
            _ => Id::from(u64::from(n) << 40),
        };
        let document = |n: u16| match n % 5 {
            0 => Vec::new(),
            _ => encode_document(map(&json!({"n": n, "pad": "x".repeat(64)}))).unwrap(),
        };
        let payload = |n: u16| match n % 4 {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some(n.to_le_bytes().repeat(80)),
        };
        Self {
            ids: (0..2_000).map(id).collect(),
            documents: (0..2_000).map(document).collect(),
            payloads: (0..2_000).map(payload).collect(),
        }
    }

    pub(crate) fn sections(&self) -> Vec<(SectionKind, Vec<u8>)> {
        let mut ids = IdColumn::default();
        self.ids.iter().for_each(|id| ids.push(id));
        let documents = encode_spans(self.documents.iter().map(|d| Some(d.len())));
        let payloads = encode_spans(self.payloads.iter().map(|p| p.as_ref().map(Vec::len)));
        let mut fields = FieldsBuilder::default();
        self.documents.iter().for_each(|document| fields.push(document).unwrap());
        let FieldSections { directory, data } = fields.finish();
        vec![
            (SectionKind::Vectors, vec![1; self.ids.len() * 12]),
            (SectionKind::Norms, vec![2; self.ids.len() * 4]),
            (SectionKind::Ids, ids.values().to_vec()),
            (SectionKind::IdKinds, ids.kinds().unwrap().to_vec()),
            (SectionKind::IdText, ids.text().unwrap().to_vec()),
            (SectionKind::Lookup, Lookup::build(SEED, self.ids.iter()).encode()),
            (SectionKind::DocumentSpans, documents),
            (SectionKind::Documents, self.documents.concat()),
            (SectionKind::Fields, directory),
            (SectionKind::FieldData, data),
            (SectionKind::PayloadSpans, payloads),
            (SectionKind::Payloads, self.payloads.iter().flatten().flatten().copied().collect()),
            (SectionKind::Other(999), b"of a later version".to_vec()),
        ]
    }

    /// A segment laid out as the page says.
    pub(crate) fn segment(&self) -> Vec<u8> {
        let mut file = segment_header(COLLECTION, 7);
        let rows = u32::try_from(self.ids.len()).unwrap();
        let config = Config::new(3, Metric::Cosine);
        let mut directory = Directory { rows, config, sections: vec![] };
        let mut tables = Vec::new();
        for (kind, contents) in self.sections() {
            file.resize(file.len().next_multiple_of(usize(SECTION_ALIGN)), 0);
            let block_bytes = if kind == SectionKind::Vectors { 4000 } else { BLOCK_BYTES };
            let mut sums = BlockChecksums::new(block_bytes);
            contents.chunks(1000).for_each(|part| sums.feed(part));
            tables.push(sums.finish());
            directory.sections.push(Section {
                kind,
                required: kind != SectionKind::Other(999),
                offset: u64::try_from(file.len()).unwrap(),
                length: u64::try_from(contents.len()).unwrap(),
                block_bytes,
                table_offset: 0,
                table_checksum: checksum(tables.last().unwrap()),
            });
            file.extend(contents);
        }
        for (section, table) in directory.sections.iter_mut().zip(tables) {
            section.table_offset = u64::try_from(file.len()).unwrap();
            file.extend(table);
        }
        file.extend(directory.encode());
        file.extend(directory.trailer());
        file
    }
}

/// The directory at the end of a segment, and its checksum.
pub(crate) fn directory_of(file: &[u8]) -> (Directory, u64) {
    let end = file.len() - size("trailer bytes");
    let (length, sum) = trailer(&file[end..]);
    let bytes = &file[end - length..end];
    assert_eq!(checksum(bytes), sum);
    let found = directory(bytes);
    assert_eq!(Directory::decode(bytes, u64::try_from(file.len()).unwrap()).unwrap(), found);
    (found, sum)
}

/// Fields of every type, in lists and not.
pub(crate) fn a_schema(strict: bool) -> Schema {
    let types = ["any", "bool", "i64", "f64", "string", "timestamp", "object"];
    let lists = types.map(|of| (format!("lists.{of}"), format!("list<{of}>").parse().unwrap()));
    let fields = types.map(|of| (format!(r"a\.b.{of}"), of.parse::<FieldSchema>().unwrap()));
    let fields = fields.into_iter().chain(lists);
    let changed = fields.enumerate().map(|(place, (name, field))| match place % 3 {
        0 => (name, field),
        1 => (name, field.required()),
        _ => (name, field.required().unindexed()),
    });
    Schema::new(strict, changed).unwrap()
}

/// Of the hashes of text ids.
pub(crate) const SEED: u64 = 0x5eed;

/// Of every metric, index and quantization, with the least and the most there can be.
pub(crate) fn configurations() -> Vec<Config> {
    let flat = Config::new(1, Metric::Cosine).with_index(Index::Flat);
    let graph = |m, ef_construction, quantization| {
        let index = Index::Graph { m, ef_construction };
        Config::new(MAX_DIM, Metric::L2).with_index(index).with_quantization(quantization)
    };
    let ivf = |n_clusters| Config::new(2, Metric::Dot).with_index(Index::Ivf { n_clusters });
    vec![
        flat,
        graph(4, 8, Quantization::None),
        graph(128, 4096, Quantization::Sq8),
        graph(16, 100, Quantization::RaBitQ { bits: 4 }),
        graph(16, 100, Quantization::RaBitQ { bits: 8 }),
        graph(16, 100, Quantization::RaBitQ { bits: 1 }),
        graph(16, 100, Quantization::Pq { parts: 1 }),
        graph(16, 100, Quantization::Pq { parts: 255 }),
        flat.with_index(Index::Disk { m: 24, ef_construction: 200 }),
        ivf(None),
        ivf(NonZeroU32::new(1)),
        ivf(NonZeroU32::new(MAX_CLUSTERS)),
        ivf(None).with_recall_target(RecallTarget::new(0.5).ok()),
        ivf(None).with_recall_target(RecallTarget::new(0.9999).ok()),
    ]
}
