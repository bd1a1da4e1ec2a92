use std::collections::BTreeMap;

use serde_json::{Value, json};
use vecgo_engine::{
    Config, FieldSchema, FieldType, Id, Index, Quantization, RecallTarget, Record, Schema,
};

use crate::Violation;

/// What a collection, or one lane's part of it, holds.
pub type Rows = BTreeMap<Id, Row>;

/// A record, as marks from which each of its parts follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Mark of the vector.
    pub vector: u32,
    /// Mark of the metadata.
    pub metadata: u32,
    /// Mark of the payload, if there is one.
    pub payload: Option<u32>,
}

/// Ids of a lane: nobody else writes them. Numbers and texts take turns.
pub(crate) fn id(lane: usize, number: usize) -> Id {
    if number.is_multiple_of(2) {
        Id::Number((lane * IDS_A_LANE + number) as u64)
    } else {
        Id::from(format!("{lane}/{number}"))
    }
}

const IDS_A_LANE: usize = 1000;

/// The lane that an id belongs to.
pub(crate) fn lane_of(id: &Id) -> Option<usize> {
    match id {
        Id::Number(number) => usize::try_from(*number).ok().map(|number| number / IDS_A_LANE),
        Id::Text(text) => text.split('/').next()?.parse().ok(),
    }
}

/// The vector of a mark: no two marks below 2^24 have the same.
#[expect(clippy::cast_precision_loss, reason = "marks and ids stay far below 2^24")]
pub(crate) fn vector(id: &Id, mark: u32, dim: usize) -> Vec<f32> {
    let spread = match id {
        Id::Number(number) => *number,
        Id::Text(text) => text.bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 9973),
    };
    let mut vector = vec![1.0; dim];
    vector[0] = mark as f32;
    if let Some(second) = vector.get_mut(1) {
        *second = (spread % 9973) as f32 + 1.0;
    }
    vector
}

/// How many schemas there are.
pub(crate) const SCHEMAS: usize = 4;

/// What a version says beside its rows: one of the [`schema`]s, and what segments are searched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub(crate) schema: usize,
    pub(crate) index: Index,
    pub(crate) quantization: Quantization,
    pub(crate) recall_target: Option<RecallTarget>,
}

impl Default for Said {
    fn default() -> Self {
        let (index, quantization) = (Index::Flat, Quantization::None);
        Self { schema: 0, index, quantization, recall_target: None }
    }
}

impl Said {
    /// Of a collection that was created so.
    pub(crate) fn when_created(config: Config) -> Self {
        let (index, quantization) = (config.index(), config.quantization());
        Self { index, quantization, recall_target: config.recall_target(), schema: 0 }
    }

    /// With one of the [`CONFIGS`].
    #[must_use]
    pub(crate) fn configured(self, which: usize) -> Self {
        let (index, quantization) = CONFIGS[which % CONFIGS.len()];
        let recall = RecallTarget::new(0.9).ok().filter(|_| which.is_multiple_of(2));
        Self { index, quantization, recall_target: recall, ..self }
    }

    /// As it is of these vectors.
    pub(crate) fn config(self, vectors: Config) -> Config {
        let config = vectors.with_index(self.index).with_quantization(self.quantization);
        config.with_recall_target(self.recall_target)
    }

    pub(crate) fn is(self, schema: &Schema, config: Config) -> bool {
        self.config(config) == config && self::schema(self.schema) == *schema
    }
}

/// What a collection may be changed to.
pub(crate) const CONFIGS: [(Index, Quantization); 8] = [
    (Index::Flat, Quantization::None),
    (Index::graph(), Quantization::RaBitQ { bits: 8 }),
    (Index::Graph { m: 4, ef_construction: 20 }, Quantization::None),
    (Index::ivf(), Quantization::Sq8),
    (Index::disk(), Quantization::RaBitQ { bits: 4 }),
    (Index::disk(), Quantization::Sq8),
    (Index::graph(), Quantization::RaBitQ { bits: 1 }),
    (Index::ivf(), Quantization::Pq { parts: 1 }),
];

/// Schemas that every record meets.
pub(crate) fn schema(which: usize) -> Schema {
    let [mark, text] = [FieldType::I64, FieldType::String].map(FieldSchema::new);
    let fields: &[(&str, FieldSchema)] = match which {
        0 => &[],
        1 => &[("mark", mark), ("text", text.unindexed())],
        2 => &[("mark", mark.unindexed())],
        _ => &[("mark", mark), ("text", text), ("unused", text)],
    };
    Schema::new(which == 1, fields.iter().copied()).unwrap_or_default()
}

pub(crate) fn metadata(mark: u32) -> Value {
    match mark % 5 {
        // An empty document takes another path through the segments.
        0 => json!({}),
        _ => json!({ "mark": mark, "text": "x".repeat((mark % 40) as usize) }),
    }
}

pub(crate) fn payload(mark: u32) -> Vec<u8> {
    let times = if mark & BLOB > 0 { BLOB_MARKS } else { (mark % 9) as usize + 1 };
    mark.to_le_bytes().repeat(times)
}

/// Part of the marks of payloads that are large: a few of them take more than one block of a
/// segment.
pub(crate) const BLOB: u32 = 1 << 30;
/// Half of the largest batch that the engine takes here.
const BLOB_MARKS: usize = 4 << 10;

impl Row {
    /// The record that an id with this row is.
    pub fn record(&self, id: &Id, dim: usize) -> Record {
        let mut record = Record::new(id.clone(), vector(id, self.vector, dim));
        record.metadata = metadata(self.metadata);
        record.payload = self.payload.map(payload);
        record
    }

    /// Reads the marks back from a record, and checks everything that follows from them.
    ///
    /// # Errors
    /// I2: a record that nobody wrote, or parts of two.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mark that is none fails the comparison that follows"
    )]
    pub(crate) fn of(record: &Record, dim: usize) -> Result<Row, Violation> {
        let mark = record.vector.first().map_or(0, |mark| *mark as u32);
        let metadata_mark = record.metadata.get("mark").and_then(Value::as_u64);
        let payload_mark = record
            .payload
            .as_ref()
            .map(|bytes| bytes.first_chunk().map_or(0, |mark| u32::from_le_bytes(*mark)));
        let row = Row {
            vector: mark,
            metadata: metadata_mark.map_or(0, |mark| mark as u32),
            payload: payload_mark,
        };
        let written = row.record(&record.id, dim);
        let same = written.vector == record.vector
            && written.metadata == record.metadata
            && written.payload == record.payload;
        if same { Ok(row) } else { Err(Violation::new("I2", format!("nobody wrote {record:?}"))) }
    }

    /// Marks whose documents are equal count as one.
    pub(crate) fn new(vector: u32, metadata: u32, payload: Option<u32>) -> Self {
        let metadata = if metadata.is_multiple_of(5) { 0 } else { metadata };
        Self { vector, metadata, payload }
    }
}
