//! Bytes to structs and back.
//!
//! Everything Vecgo stores is encoded and decoded here, and nothing here does I/O. Every decoder
//! treats its input as hostile: it checks lengths before it allocates, never panics, and says
//! what it expected and what it found. `docs/format.md` specifies every byte.

#![forbid(unsafe_code)]

mod backup;
mod calibration;
mod catalogue;
mod checksum;
mod codec;
mod config;
mod deletes;
mod document;
mod envelope;
mod error;
mod extension;
mod id;
mod log;
mod manifest;
mod names;
mod path;
mod pin;
mod schema;
mod segment;
mod version;

pub use backup::{BackedUp, Inventory, Original, PrunePlan, StoredCopy};
pub use calibration::{Calibration, CalibrationPoint};
pub use catalogue::{Catalogue, Entry, NewerEntry};
pub use checksum::{BlockChecksums, RunningChecksum, checksum};
pub use config::{
    Config, ConfigError, Index, MAX_CLUSTERS, MAX_DIM, Metric, Quantization, RecallTarget,
};
pub use deletes::DeleteObject;
pub use document::{
    Document, DocumentError, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, RawList, RawObject, RawValue,
    Timestamp, TimestampError, decode_document, encode_document, encode_document_under,
};
pub use error::FormatError;
pub use extension::Extensions;
pub use id::{Id, IdError, MAX_ID_BYTES};
pub use log::{
    Frame, FrameBuilder, Kill, LogEnd, LogHeader, LogPosition, LogReader, MovedLog, Op, Previous,
    vector_of,
};
pub use manifest::{LogRange, Manifest, ObjectRef, Parent, SegmentRef};
pub use names::{BackupNames, CollectionNames, Identity, ObjectName, catalogue_key, number_of};
pub use path::{field_name, field_path};
pub use pin::Pin;
pub use schema::{
    FieldSchema, FieldType, MAX_SCHEMA_BYTES, MAX_SCHEMA_FIELDS, Schema, SchemaError,
};
pub use segment::{
    BLOCK_BYTES, Directory, Field, FieldKey, FieldSections, FieldValue, Fields, FieldsBuilder,
    IdColumn, KeyRange, Lookup, MAX_FIELDS, PageReader, Place, SECTION_ALIGN, SEGMENT_HEADER_BYTES,
    Section, SectionKind, Spans, ValueKind, Within, check_segment_header, encode_spans,
    segment_header,
};
pub use version::{FORMAT_VERSION, FormatVersion};
