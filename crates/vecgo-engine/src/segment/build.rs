use std::iter;

use vecgo_format::{
    BLOCK_BYTES, BlockChecksums, Calibration, CollectionNames, Config, Directory, Extensions,
    FieldSections, FieldsBuilder, IdColumn, Identity, Lookup, Metric, ObjectName, ObjectRef,
    SECTION_ALIGN, SEGMENT_HEADER_BYTES, Schema, Section, SectionKind, SegmentRef, checksum,
    encode_spans, segment_header,
};
use vecgo_io::{ObjectWriter, Store};

use super::{Rows, Stop};
use crate::{Error, Result};

/// Bytes handed to the store at a time.
const WRITE_BYTES: usize = 1 << 20;

/// Bytes of a block of codes, of which whoever searches from afar reads those of some clusters: with smaller ones little
/// else.
const CODE_BLOCK_BYTES: u32 = 16 << 10;
/// What a disk reads at once, at least.
const PAGE_BYTES: u32 = 4096;
/// Vectors of fewer bytes are as soon read whole.
const LEAST_PAGED: usize = 1 << 20;

/// A segment to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewSegment<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) names: CollectionNames,
    pub(crate) name: ObjectName,
    pub(crate) number: u64,
    pub(crate) config: Config,
    pub(crate) schema: &'a Schema,
}

/// In which order the rows of a segment stand, and what is written beside them.
#[derive(Debug, Default)]
pub(crate) struct Arrangement {
    pub(crate) order: Order,
    pub(crate) extra: Vec<ExtraSection>,
}

/// Which row of the source each row of the segment is.
#[derive(Debug, Default)]
pub(crate) enum Order {
    /// The rows keep the order of their source.
    #[default]
    AsRead,
    /// The row of the source, by the row of the segment: each exactly once.
    Permuted(Vec<u32>),
}

/// A section that follows from the vectors and their order.
#[derive(Debug)]
pub(crate) struct ExtraSection {
    pub(crate) kind: SectionKind,
    /// Whether a reader that does not know it must refuse the segment.
    pub(crate) required: bool,
    pub(crate) bytes: Vec<u8>,
}

/// A segment written but not yet named by any manifest.
#[derive(Debug)]
pub(crate) struct Built {
    made_in: Identity,
    object: ObjectRef,
    directory: Directory,
}

impl Built {
    /// How a manifest names it, if none of its rows is dead.
    pub(crate) fn named(self, number: u64) -> SegmentRef {
        let Self { made_in, object, directory } = self;
        let (deletes, dead_rows, calibration) = (None, 0, Calibration::default());
        let extensions = Extensions::default();
        SegmentRef {
            number,
            made_in,
            object,
            directory,
            deletes,
            dead_rows,
            calibration,
            extensions,
        }
    }
}

impl Order {
    fn rows(&self, count: u32) -> impl Iterator<Item = u32> + Clone {
        (0..count).filter_map(move |row| match self {
            Order::AsRead => Some(row),
            Order::Permuted(rows) => rows.get(row as usize).copied(),
        })
    }

    /// Whether it holds each of so many rows once.
    fn is_of(&self, count: u32) -> bool {
        let Order::Permuted(rows) = self else { return true };
        let mut seen = vec![false; count as usize];
        rows.len() == seen.len()
            && rows.iter().all(|row| {
                seen.get_mut(*row as usize).is_some_and(|seen| !std::mem::replace(seen, true))
            })
    }

    /// The row of the segment, by the row of the source; `None` if they are the same.
    pub(crate) fn inverse(&self) -> Option<Vec<u32>> {
        let Order::Permuted(rows) = self else { return None };
        let mut inverse = vec![0; rows.len()];
        for (row, source) in (0u32..).zip(rows) {
            if let Some(place) = inverse.get_mut(*source as usize) {
                *place = row;
            }
        }
        Some(inverse)
    }
}

/// Writes a segment of at least one row.
pub(crate) async fn build(
    new: NewSegment<'_>,
    rows: &mut Rows<'_>,
    arrangement: &Arrangement,
    stop: &Stop,
) -> Result<Built> {
    let count = u32::try_from(rows.len())
        .map_err(|_| Error::internal("more than 2^32 rows in one segment"))?;
    let order = &arrangement.order;
    if count == 0 || !order.is_of(count) {
        return Err(Error::internal(format!("{count} rows in an order of others")));
    }
    let key = new.names.segment(new.name);
    let mut out = SegmentWriter::begin(new.store, &key, stop).await?;
    out.raw(&segment_header(new.names.0, new.number)).await?;
    debug_assert_eq!(out.at, SEGMENT_HEADER_BYTES);
    write_vectors(&mut out, rows, order.rows(count), new).await?;
    write_ids(&mut out, rows, order.rows(count), new.name.random).await?;
    write_documents(&mut out, rows, order.rows(count), new.schema).await?;
    write_payloads(&mut out, rows, order.rows(count)).await?;
    for extra in &arrangement.extra {
        out.section(extra.kind, iter::once(extra.bytes.as_slice())).await?;
        if let Some(section) = out.sections.last_mut() {
            section.required = extra.required;
        }
    }
    let (directory, length) = out.finish(count, new.config).await?;
    let object = ObjectRef { name: new.name, length, checksum: directory.checksum() };
    Ok(Built { made_in: new.names.0, object, directory })
}

/// Bytes of a block of vectors: whole rows in about a page, so that to read one row is to read and
/// verify little else.
fn vector_block_bytes(dim: usize) -> u32 {
    match u32::try_from(dim.saturating_mul(4)) {
        Ok(row @ 1..BLOCK_BYTES) => row * (PAGE_BYTES / row).max(1),
        _ => BLOCK_BYTES,
    }
}

async fn write_vectors(
    out: &mut SegmentWriter<'_>,
    rows: &Rows<'_>,
    order: impl Iterator<Item = u32> + Clone,
    NewSegment { config, .. }: NewSegment<'_>,
) -> Result<()> {
    if rows.len().saturating_mul(config.dim()).saturating_mul(4) >= LEAST_PAGED {
        out.pad(u64::from(PAGE_BYTES)).await?;
    }
    out.begin_section(vector_block_bytes(config.dim())).await?;
    for row in order.clone() {
        out.floats(rows.vector(row)?).await?;
    }
    out.end_section(SectionKind::Vectors);
    if config.metric() == Metric::Cosine {
        out.begin_section(BLOCK_BYTES).await?;
        for row in order {
            out.floats(&[rows.norm(row)?]).await?;
        }
        out.end_section(SectionKind::Norms);
    }
    Ok(())
}

async fn write_ids(
    out: &mut SegmentWriter<'_>,
    rows: &Rows<'_>,
    order: impl Iterator<Item = u32>,
    seed: u64,
) -> Result<()> {
    let ids = order.map(|row| rows.id(row)).collect::<Result<Vec<_>>>()?;
    let mut column = IdColumn::default();
    ids.iter().for_each(|id| column.push(id));
    out.section(SectionKind::Ids, iter::once(column.values())).await?;
    if let (Some(kinds), Some(text)) = (column.kinds(), column.text()) {
        out.section(SectionKind::IdKinds, iter::once(kinds)).await?;
        out.section(SectionKind::IdText, iter::once(text)).await?;
    }
    let lookup = Lookup::build(seed, ids.into_iter()).encode();
    out.section(SectionKind::Lookup, iter::once(lookup.as_slice())).await
}

async fn write_documents(
    out: &mut SegmentWriter<'_>,
    rows: &mut Rows<'_>,
    order: impl Iterator<Item = u32> + Clone,
    schema: &Schema,
) -> Result<()> {
    let lengths = order.clone().map(|row| rows.document_length(row));
    let lengths = lengths.collect::<Result<Vec<usize>>>()?;
    if lengths.iter().all(|length| *length == 0) {
        return Ok(());
    }
    let spans = encode_spans(lengths.into_iter().map(Some));
    out.section(SectionKind::DocumentSpans, iter::once(spans.as_slice())).await?;
    let mut fields = FieldsBuilder::new(schema);
    out.begin_section(BLOCK_BYTES).await?;
    for row in order {
        let document = rows.document(row).await?;
        fields.push(document).map_err(|error| Error::format("a document", error))?;
        out.bytes(document).await?;
    }
    out.end_section(SectionKind::Documents);
    let FieldSections { directory, data } = fields.finish();
    out.section(SectionKind::Fields, iter::once(directory.as_slice())).await?;
    out.section(SectionKind::FieldData, iter::once(data.as_slice())).await
}

async fn write_payloads(
    out: &mut SegmentWriter<'_>,
    rows: &mut Rows<'_>,
    order: impl Iterator<Item = u32> + Clone,
) -> Result<()> {
    let lengths = order.clone().map(|row| rows.payload_length(row));
    let lengths = lengths.collect::<Result<Vec<Option<usize>>>>()?;
    if lengths.iter().all(Option::is_none) {
        return Ok(());
    }
    let spans = encode_spans(lengths.into_iter());
    out.section(SectionKind::PayloadSpans, iter::once(spans.as_slice())).await?;
    out.begin_section(BLOCK_BYTES).await?;
    for row in order {
        out.bytes(rows.payload(row).await?).await?;
    }
    out.end_section(SectionKind::Payloads);
    Ok(())
}

/// Writes sections front to back, taking their checksums on the way.
#[derive(Debug)]
struct SegmentWriter<'s> {
    object: Box<dyn ObjectWriter>,
    stop: &'s Stop,
    buffer: Vec<u8>,
    at: u64,
    section_start: u64,
    block_bytes: u32,
    sums: BlockChecksums,
    sections: Vec<Section>,
    tables: Vec<Vec<u8>>,
}

impl<'s> SegmentWriter<'s> {
    async fn begin(store: &dyn Store, key: &str, stop: &'s Stop) -> Result<Self> {
        Ok(Self {
            object: store.create(key).await?,
            stop,
            buffer: Vec::new(),
            at: 0,
            section_start: 0,
            block_bytes: BLOCK_BYTES,
            sums: BlockChecksums::new(BLOCK_BYTES),
            sections: Vec::new(),
            tables: Vec::new(),
        })
    }

    async fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.at += bytes.len() as u64;
        if self.buffer.len() >= WRITE_BYTES {
            self.stop.check()?;
            self.object.write(&self.buffer).await?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Goes on with zeros up to a multiple of so many bytes.
    async fn pad(&mut self, align: u64) -> Result<()> {
        let padding = self.at.next_multiple_of(align) - self.at;
        let zeros = vec![0u8; usize::try_from(padding).unwrap_or(0)];
        self.raw(&zeros).await
    }

    async fn begin_section(&mut self, block_bytes: u32) -> Result<()> {
        self.pad(SECTION_ALIGN).await?;
        self.section_start = self.at;
        self.block_bytes = block_bytes;
        self.sums = BlockChecksums::new(block_bytes);
        Ok(())
    }

    async fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.sums.feed(bytes);
        self.raw(bytes).await
    }

    async fn floats(&mut self, values: &[f32]) -> Result<()> {
        let start = self.buffer.len();
        self.buffer.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self.sums.feed(&self.buffer[start..]);
        self.at += (self.buffer.len() - start) as u64;
        self.raw(&[]).await
    }

    fn end_section(&mut self, kind: SectionKind) {
        let sums = std::mem::replace(&mut self.sums, BlockChecksums::new(BLOCK_BYTES));
        let table = sums.finish();
        self.sections.push(Section {
            kind,
            required: true,
            offset: self.section_start,
            length: self.at - self.section_start,
            block_bytes: self.block_bytes,
            table_offset: 0,
            table_checksum: checksum(&table),
        });
        self.tables.push(table);
    }

    async fn section<'a>(
        &mut self,
        kind: SectionKind,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> Result<()> {
        let block_bytes = match kind {
            SectionKind::UpperCodes | SectionKind::FullCodes => CODE_BLOCK_BYTES,
            _ => BLOCK_BYTES,
        };
        self.begin_section(block_bytes).await?;
        for part in parts {
            self.bytes(part).await?;
        }
        self.end_section(kind);
        Ok(())
    }

    async fn finish(mut self, rows: u32, config: Config) -> Result<(Directory, u64)> {
        for index in 0..self.tables.len() {
            self.sections[index].table_offset = self.at;
            let table = std::mem::take(&mut self.tables[index]);
            self.raw(&table).await?;
        }
        let sections = std::mem::take(&mut self.sections);
        let directory = Directory { rows, config: config.of_segments(), sections };
        self.raw(&directory.encode()).await?;
        self.raw(&directory.trailer()).await?;
        if !self.buffer.is_empty() {
            self.object.write(&self.buffer).await?;
        }
        self.object.finish().await?;
        Ok((directory, self.at))
    }
}
