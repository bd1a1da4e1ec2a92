//! What a collection takes of memory and disk: the lengths of its sections, added up, and the budget that
//! merges take.

use vecgo_format::{Config, Index, Metric, Quantization};

use crate::compact::memory_of_rows;
use crate::index::{codebook_bytes, index_bytes};
use crate::{Options, Result};

/// Records to be sized, with bytes of each on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Records {
    /// How many.
    pub rows: u64,
    /// Bytes of an id that is a text; 0 if ids are numbers.
    pub id_bytes: u64,
    /// Bytes of the metadata, as JSON.
    pub metadata_bytes: u64,
    /// Bytes of the payload.
    pub payload_bytes: u64,
}

/// What they take in one segment, as `compact` makes it; in several the same, but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizing {
    /// Memory that searches need: the index with its codes, or the vectors where those are searched, and
    /// ids that are numbers.
    pub searched: u64,
    /// Vectors that are held beside, as long as there is room: hits are scored sooner then.
    pub vectors: u64,
    /// What finds records by their ids: loaded by whoever writes, or gets records.
    pub lookup: u64,
    /// Two memtables of a writer, at most.
    pub memtables: u64,
    /// What a merge of all rows into one segment takes beside, while it runs.
    pub merge: u64,
    /// Bytes on the disk, once everything is merged and what only old versions need is gone.
    pub disk: u64,
    /// Bytes on the disk at most: a merge of all rows writes them again, and what is in memtables is in
    /// logs too.
    pub disk_peak: u64,
}

/// Bytes of a block of most sections, and about those of one of vectors: each has a checksum.
const BLOCK: u64 = 65_536;
const VECTOR_BLOCK: u64 = 4096;
const CHECKSUM: u64 = 8;

/// What fields take beside the documents that have them: it depends on how many values are the same.
const FIELDS_ONE_IN: u64 = 2;

impl Sizing {
    /// Of records in a collection that is configured so.
    ///
    /// # Errors
    /// `InvalidArgument` if the configuration cannot be.
    pub fn of(config: &Config, records: Records) -> Result<Self> {
        config.check()?;
        let Records { rows, id_bytes, metadata_bytes, payload_bytes } = records;
        let dim = config.dim() as u64;
        let vectors = rows.saturating_mul(dim * 4);
        let norms = match config.metric() {
            Metric::Cosine => rows.saturating_mul(4),
            _ => 0,
        };
        let index = index_bytes(config, rows);
        let lookup = rows.saturating_mul(12);
        let ids = rows.saturating_mul(8);
        let texts = match id_bytes {
            0 => 0,
            bytes => rows.saturating_mul(bytes).saturating_add(rows / 8),
        };
        let spans = |bytes: u64| if bytes == 0 { 0 } else { rows.saturating_mul(8) };
        let documents = rows.saturating_mul(metadata_bytes);
        let fields = documents / FIELDS_ONE_IN;
        let payloads = rows.saturating_mul(payload_bytes);
        let rest = [
            norms,
            index,
            lookup,
            ids,
            texts,
            spans(metadata_bytes).saturating_add(spans(payload_bytes)),
            documents.saturating_add(fields),
            payloads,
        ]
        .into_iter()
        .fold(0u64, u64::saturating_add);
        let checksums =
            (vectors / VECTOR_BLOCK).saturating_add(rest / BLOCK).saturating_mul(CHECKSUM);
        let disk = vectors.saturating_add(rest).saturating_add(checksums);
        let by_vectors = config.quantization() == Quantization::None;
        let (searched, held) = match config.index() {
            Index::Flat => (vectors.saturating_add(norms), 0),
            _ if by_vectors => (index.saturating_add(vectors).saturating_add(norms), 0),
            Index::Disk { .. } => (index, 0),
            Index::Graph { .. } | Index::Ivf { .. } => (index, vectors),
        };
        let numbers = if id_bytes == 0 && config.index() != Index::Flat { ids } else { 0 };
        let memtables = 2 * Options::default().memtable_bytes as u64;
        Ok(Self {
            searched: searched.saturating_add(numbers),
            vectors: held,
            lookup,
            memtables,
            merge: memory_of_rows(config, rows, texts, [documents, fields])
                .saturating_add(codebook_bytes(config)),
            disk,
            disk_peak: disk.saturating_mul(2).saturating_add(memtables),
        })
    }
}
