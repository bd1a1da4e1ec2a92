//! Where the rows of a new segment come from: a memtable, or older segments.

use roaring::RoaringBitmap;
use vecgo_format::{Id, SectionKind};
use vecgo_kernels::PageBuf;

use super::pieces::{BlobReader, IdReader, SectionReader};
use super::{Segment, Stop};
use crate::memtable::{Memtable, Row};
use crate::{Error, Result};

/// The rows of a new segment, numbered in the order of their source.
#[derive(Debug)]
pub(crate) enum Rows<'a> {
    Memtable(MemtableRows<'a>),
    Segments(Box<SegmentRows<'a>>),
}

/// Some rows of a memtable.
#[derive(Debug)]
pub(crate) struct MemtableRows<'a> {
    table: &'a Memtable,
    rows: &'a [u32],
}

/// The rows of several segments that are to be kept, segment after segment.
///
/// Vectors, norms and ids are held whole; documents and payloads are read when they are asked for.
#[derive(Debug)]
pub(crate) struct SegmentRows<'a> {
    vectors: PageBuf<f32>,
    norms: Vec<f32>,
    ids: Vec<Id>,
    /// Of each row, the segment and its number there.
    places: Vec<(u32, u32)>,
    documents: Vec<BlobReader<'a>>,
    payloads: Vec<BlobReader<'a>>,
    dim: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn of_memtable(table: &'a Memtable, rows: &'a [u32]) -> Self {
        Rows::Memtable(MemtableRows { table, rows })
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Rows::Memtable(rows) => rows.rows.len(),
            Rows::Segments(rows) => rows.places.len(),
        }
    }

    pub(crate) fn vector(&self, row: u32) -> Result<&[f32]> {
        let found = match self {
            Rows::Memtable(rows) => rows.number(row).and_then(|row| rows.table.vector(row)),
            Rows::Segments(rows) => rows.vector(row),
        };
        found.ok_or_else(missing)
    }

    pub(super) fn norm(&self, row: u32) -> Result<f32> {
        let found = match self {
            Rows::Memtable(rows) => rows.number(row).and_then(|row| rows.table.norm(row)),
            Rows::Segments(rows) => rows.norms.get(row as usize).copied(),
        };
        found.ok_or_else(missing)
    }

    pub(super) fn id(&self, row: u32) -> Result<&Id> {
        match self {
            Rows::Memtable(rows) => Ok(&rows.row(row)?.id),
            Rows::Segments(rows) => rows.ids.get(row as usize).ok_or_else(missing),
        }
    }

    /// Bytes of a row's document.
    pub(super) fn document_length(&self, row: u32) -> Result<usize> {
        match self {
            Rows::Memtable(rows) => Ok(rows.row(row)?.document.len()),
            Rows::Segments(rows) => {
                let (segment, row) = rows.place(row)?;
                Ok(rows.documents[segment].length(row)?.unwrap_or(0))
            }
        }
    }

    /// Bytes of a row's payload, if it has one.
    pub(super) fn payload_length(&self, row: u32) -> Result<Option<usize>> {
        match self {
            Rows::Memtable(rows) => Ok(rows.row(row)?.payload.as_ref().map(|bytes| bytes.len())),
            Rows::Segments(rows) => {
                let (segment, row) = rows.place(row)?;
                rows.payloads[segment].length(row)
            }
        }
    }

    pub(super) async fn document(&mut self, row: u32) -> Result<&[u8]> {
        match self {
            Rows::Memtable(rows) => Ok(&rows.row(row)?.document),
            Rows::Segments(rows) => {
                let (segment, row) = rows.place(row)?;
                rows.documents[segment].read(row).await
            }
        }
    }

    pub(super) async fn payload(&mut self, row: u32) -> Result<&[u8]> {
        match self {
            Rows::Memtable(rows) => Ok(rows.row(row)?.payload.as_deref().unwrap_or_default()),
            Rows::Segments(rows) => {
                let (segment, row) = rows.place(row)?;
                rows.payloads[segment].read(row).await
            }
        }
    }
}

fn missing() -> Error {
    Error::internal("a row of a new segment is missing")
}

impl<'a> MemtableRows<'a> {
    fn number(&self, row: u32) -> Option<u32> {
        self.rows.get(row as usize).copied()
    }

    fn row(&self, row: u32) -> Result<&'a Row> {
        self.number(row).and_then(|row| self.table.row(row)).ok_or_else(missing)
    }
}

impl<'a> SegmentRows<'a> {
    /// Reads all but the documents and payloads of the rows that are not left out. Every segment
    /// has `dim` dimensions. What it reads stays out of the segments' own memory and of the cache:
    /// they are about to be replaced.
    pub(crate) async fn read(
        inputs: &'a [(&'a Segment, RoaringBitmap)],
        dim: usize,
        stop: &'a Stop,
    ) -> Result<Self> {
        let kept = inputs.iter().map(|(s, out)| u64::from(s.rows()).saturating_sub(out.len()));
        let count = u32::try_from(kept.sum::<u64>()).map_err(|_| {
            let message = "more than 2^32 rows in one segment";
            Error::new(crate::ErrorKind::ResourceExhausted, message)
        })?;
        let count = count as usize;
        let mut vectors = PageBuf::zeroed(count.saturating_mul(dim))?;
        let mut rows = Self {
            vectors: PageBuf::zeroed(0)?,
            norms: Vec::new(),
            ids: Vec::with_capacity(count),
            places: Vec::with_capacity(count),
            documents: Vec::with_capacity(inputs.len()),
            payloads: Vec::with_capacity(inputs.len()),
            dim,
        };
        for (number, (segment, left_out)) in (0u32..).zip(inputs) {
            let first = rows.places.len();
            let kept = (0..segment.rows()).filter(|row| !left_out.contains(*row));
            rows.places.extend(kept.map(|row| (number, row)));
            rows.read_columns(segment, first, &mut vectors, stop).await?;
            let (spans, blobs) = (SectionKind::DocumentSpans, SectionKind::Documents);
            rows.documents.push(BlobReader::open(segment, spans, blobs, stop).await?);
            let (spans, blobs) = (SectionKind::PayloadSpans, SectionKind::Payloads);
            rows.payloads.push(BlobReader::open(segment, spans, blobs, stop).await?);
        }
        rows.vectors = vectors;
        Ok(rows)
    }

    /// Reads the columns of a segment whose rows are those from `first` on.
    async fn read_columns(
        &mut self,
        segment: &Segment,
        first: usize,
        vectors: &mut PageBuf<f32>,
        stop: &Stop,
    ) -> Result<()> {
        let bytes = self.dim * 4;
        let mut stored = SectionReader::open(segment, SectionKind::Vectors, stop)?;
        let out = vectors.as_bytes_mut().chunks_exact_mut(bytes).skip(first);
        for ((_, row), out) in self.places[first..].iter().zip(out) {
            let start = u64::from(*row) * bytes as u64;
            out.copy_from_slice(stored.read(start, bytes).await?);
        }
        if segment.has(SectionKind::Norms) {
            let mut norms = SectionReader::open(segment, SectionKind::Norms, stop)?;
            for (_, row) in &self.places[first..] {
                let mut norm = [0; 4];
                norm.copy_from_slice(norms.read(u64::from(*row) * 4, 4).await?);
                self.norms.push(f32::from_le_bytes(norm));
            }
        }
        let mut ids = IdReader::open(segment, stop)?;
        for (_, row) in &self.places[first..] {
            self.ids.push(ids.read(*row).await?);
        }
        Ok(())
    }

    /// All vectors, row after row.
    pub(crate) fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    fn vector(&self, row: u32) -> Option<&[f32]> {
        let start = (row as usize).checked_mul(self.dim)?;
        self.vectors.get(start..start.checked_add(self.dim)?)
    }

    fn place(&self, row: u32) -> Result<(usize, u32)> {
        let place = self.places.get(row as usize).ok_or_else(missing)?;
        Ok((place.0 as usize, place.1))
    }
}
