use std::iter;

use vecgo_format::{
    BlockChecksums, CollectionNames, Directory, Id, IdColumn, Lookup, Metric, ObjectName,
    ObjectRef, SECTION_ALIGN, SEGMENT_HEADER_BYTES, Section, SectionKind, checksum, encode_spans,
    segment_header,
};
use vecgo_io::{ObjectWriter, Store};

use crate::memtable::{Memtable, Row};
use crate::{Error, Result};

/// Bytes handed to the store at a time.
const WRITE_BYTES: usize = 1 << 20;

/// A segment written but not yet named by any manifest.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) object: ObjectRef,
    pub(crate) directory: Directory,
    /// The memtable's row of each of the segment's rows, ascending.
    pub(crate) rows: Vec<u32>,
}

/// Writes the rows of a memtable that live at `sequence`; `None` if none does.
///
/// A row that was dead by then is in no version that could name the segment.
pub(crate) async fn build(
    store: &dyn Store,
    names: CollectionNames,
    name: ObjectName,
    number: u64,
    metric: Metric,
    table: &Memtable,
    sequence: u64,
) -> Result<Option<Built>> {
    let all = u32::try_from(table.rows_at(sequence))
        .map_err(|_| Error::internal("more than 2^32 rows in a memtable"))?;
    let rows: Vec<u32> = (0..all).filter(|row| !table.dead.is_dead(*row, sequence)).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let key = names.segment(name);
    let mut out = SegmentWriter::begin(store, &key).await?;
    out.raw(&segment_header(names.0, number)).await?;
    debug_assert_eq!(out.at, SEGMENT_HEADER_BYTES);
    write_vectors(&mut out, table, &rows, metric).await?;
    let entries: Vec<&Row> = rows.iter().filter_map(|row| table.row(*row)).collect();
    if entries.len() != rows.len() {
        return Err(Error::internal("a memtable row is missing"));
    }
    write_ids(&mut out, &entries).await?;
    write_blobs(&mut out, &entries).await?;
    let dim = u32::try_from(table.dim()).unwrap_or(u32::MAX);
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let (directory, length) = out.finish(count, dim).await?;
    let object = ObjectRef { name, length, checksum: directory.checksum() };
    Ok(Some(Built { object, directory, rows }))
}

async fn write_vectors(
    out: &mut SegmentWriter,
    table: &Memtable,
    rows: &[u32],
    metric: Metric,
) -> Result<()> {
    let missing = || Error::internal("a memtable vector is missing");
    out.begin_section().await?;
    for row in rows {
        out.floats(table.vector(*row).ok_or_else(missing)?).await?;
    }
    out.end_section(SectionKind::Vectors);
    if metric == Metric::Cosine {
        out.begin_section().await?;
        for row in rows {
            out.floats(&[table.norm(*row).ok_or_else(missing)?]).await?;
        }
        out.end_section(SectionKind::Norms);
    }
    Ok(())
}

async fn write_ids(out: &mut SegmentWriter, entries: &[&Row]) -> Result<()> {
    let mut ids = IdColumn::default();
    entries.iter().for_each(|row| ids.push(&row.id));
    out.section(SectionKind::Ids, iter::once(ids.values())).await?;
    if let (Some(kinds), Some(text)) = (ids.kinds(), ids.text()) {
        out.section(SectionKind::IdKinds, iter::once(kinds)).await?;
        out.section(SectionKind::IdText, iter::once(text)).await?;
    }
    let ids: Vec<&Id> = entries.iter().map(|row| &row.id).collect();
    let lookup = Lookup::build(ids.into_iter()).encode();
    out.section(SectionKind::Lookup, iter::once(lookup.as_slice())).await
}

async fn write_blobs(out: &mut SegmentWriter, entries: &[&Row]) -> Result<()> {
    if entries.iter().any(|row| !row.document.is_empty()) {
        let spans = encode_spans(entries.iter().map(|row| Some(row.document.len())));
        out.section(SectionKind::DocumentSpans, iter::once(spans.as_slice())).await?;
        out.section(SectionKind::Documents, entries.iter().map(|row| &*row.document)).await?;
    }
    if entries.iter().any(|row| row.payload.is_some()) {
        let lengths = entries.iter().map(|row| row.payload.as_ref().map(|bytes| bytes.len()));
        let spans = encode_spans(lengths);
        out.section(SectionKind::PayloadSpans, iter::once(spans.as_slice())).await?;
        let payloads = entries.iter().map(|row| row.payload.as_deref().unwrap_or_default());
        out.section(SectionKind::Payloads, payloads).await?;
    }
    Ok(())
}

/// Writes sections front to back, taking their checksums on the way.
#[derive(Debug)]
struct SegmentWriter {
    object: Box<dyn ObjectWriter>,
    buffer: Vec<u8>,
    at: u64,
    section_start: u64,
    sums: BlockChecksums,
    sections: Vec<Section>,
    tables: Vec<Vec<u8>>,
}

impl SegmentWriter {
    async fn begin(store: &dyn Store, key: &str) -> Result<Self> {
        Ok(Self {
            object: store.create(key).await?,
            buffer: Vec::new(),
            at: 0,
            section_start: 0,
            sums: BlockChecksums::default(),
            sections: Vec::new(),
            tables: Vec::new(),
        })
    }

    async fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.at += bytes.len() as u64;
        if self.buffer.len() >= WRITE_BYTES {
            self.object.write(&self.buffer).await?;
            self.buffer.clear();
        }
        Ok(())
    }

    async fn begin_section(&mut self) -> Result<()> {
        let padding = self.at.next_multiple_of(SECTION_ALIGN) - self.at;
        let zeros = vec![0u8; usize::try_from(padding).unwrap_or(0)];
        self.raw(&zeros).await?;
        self.section_start = self.at;
        self.sums = BlockChecksums::default();
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
        let table = std::mem::take(&mut self.sums).finish();
        self.sections.push(Section {
            kind,
            required: true,
            offset: self.section_start,
            length: self.at - self.section_start,
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
        self.begin_section().await?;
        for part in parts {
            self.bytes(part).await?;
        }
        self.end_section(kind);
        Ok(())
    }

    async fn finish(mut self, rows: u32, dim: u32) -> Result<(Directory, u64)> {
        for index in 0..self.tables.len() {
            self.sections[index].table_offset = self.at;
            let table = std::mem::take(&mut self.tables[index]);
            self.raw(&table).await?;
        }
        let sections = std::mem::take(&mut self.sections);
        let directory = Directory { rows, dim, sections };
        self.raw(&directory.encode()).await?;
        self.raw(&directory.trailer()).await?;
        if !self.buffer.is_empty() {
            self.object.write(&self.buffer).await?;
        }
        self.object.finish().await?;
        Ok((directory, self.at))
    }
}
