//! Vectors that are not held in memory are read from front to back by each who scans them.

use vecgo_format::{SectionKind, vector_of};

use super::pieces::SectionReader;
use super::{Segment, Stop};
use crate::Result;

/// About how many bytes of vectors are handed on at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A segment's vectors on their way past.
#[derive(Debug)]
pub(crate) struct ReadThrough<'a> {
    vectors: SectionReader<'a>,
    /// Absent where the metric needs none.
    norms: Option<SectionReader<'a>>,
    dim: usize,
    next: usize,
    rows: usize,
    piece: (Vec<f32>, Vec<f32>),
}

impl Segment {
    /// Reads the vectors from a row on, past the cache.
    pub(crate) fn read_through<'a>(
        &'a self,
        first: usize,
        stop: &'a Stop,
    ) -> Result<ReadThrough<'a>> {
        let norms = match self.has(SectionKind::Norms) {
            true => Some(SectionReader::open(self, SectionKind::Norms, stop)?),
            false => None,
        };
        Ok(ReadThrough {
            vectors: SectionReader::open(self, SectionKind::Vectors, stop)?,
            norms,
            dim: self.dim(),
            next: first,
            rows: self.rows() as usize,
            piece: Default::default(),
        })
    }
}

impl ReadThrough<'_> {
    /// The next vectors, row after row, and one over the length of each; none where the metric needs
    /// none.
    pub(crate) async fn next(&mut self) -> Result<Option<(&[f32], &[f32])>> {
        let row_bytes = self.dim * 4;
        let rows = (PIECE_BYTES / row_bytes).max(1).min(self.rows.saturating_sub(self.next));
        if rows == 0 {
            return Ok(None);
        }
        let at = |bytes: usize| (self.next as u64).saturating_mul(bytes as u64);
        self.piece.0 = vector_of(self.vectors.read(at(row_bytes), rows * row_bytes).await?);
        if let Some(norms) = &mut self.norms {
            self.piece.1 = vector_of(norms.read(at(4), rows * 4).await?);
        }
        self.next += rows;
        Ok(Some((&self.piece.0, &self.piece.1)))
    }
}
