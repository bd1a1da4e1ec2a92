use futures_lite::future::zip;
use vecgo_format::{FormatError, Quantization, SectionKind};
use vecgo_index::{Codes, Form, MUCH_LEFT_OUT};
use vecgo_kernels::{Bits, CodeRows, FACTOR_BYTES, Factors, PageBuf};
use vecgo_quant::{Codebook, Loss, Planes, Space, error_of};

use super::codebook::read_codebook;
use super::kind;
use super::layout::{Layout, planes_of};
use crate::segment::Segment;
use crate::{Error, Result};

/// The codes of a segment's rows.
#[derive(Debug)]
pub(super) struct Coded {
    /// What searches read first.
    pub(super) walked: Plane,
    /// The bits below, where those are not all.
    pub(super) lower: Option<Plane>,
    /// What codes are of, where those are of parts.
    pub(super) codebook: Option<Codebook>,
}

/// Codes of all rows, with their factors.
#[derive(Debug)]
pub(super) struct Plane {
    codes: PageBuf<u8>,
    /// Absent if they are in the rows.
    factors: Option<PageBuf<u8>>,
    stride: usize,
    kind: PlaneKind,
}

/// Codes of places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) rows: CodeRows<'a>,
    pub(super) bits: Bits,
    pub(super) factors: Factors<'a>,
}

#[derive(Debug, Clone, Copy)]
enum PlaneKind {
    Places(Bits),
    Parts { loss: Loss, dim: usize },
}

/// Of rows whose codes leave out more than this, so many times as many are kept while what is near is
/// looked for. With that searches find 0.95 of ten by codes of one and two bits, too, on every set of
/// vectors that we have.
const KEPT_MORE: [(f32, usize); 2] = [(0.4, 8), (MUCH_LEFT_OUT, 2)];

/// The sections of the codes that searches read first, and of their factors.
pub(super) fn walked_in(planes: Planes) -> (SectionKind, SectionKind) {
    match planes.upper() {
        Bits::Eight => (SectionKind::FullCodes, SectionKind::FullFactors),
        _ => (SectionKind::UpperCodes, SectionKind::UpperFactors),
    }
}

pub(super) fn invalid(detail: String) -> FormatError {
    FormatError::Invalid { what: "index of a segment", offset: 0, detail }
}

impl Coded {
    /// Reads, verifies and checks them, if there are codes.
    pub(super) async fn load(segment: &Segment, space: &Space) -> Result<Option<Self>> {
        let quantization = segment.config().quantization();
        if let Quantization::Pq { parts } = quantization {
            let codebook = read_codebook(segment, space, parts.into()).await?;
            let stride = codebook.parts();
            let length = (segment.rows() as usize).saturating_mul(stride);
            let codes = read_bytes(segment, SectionKind::PartCodes, length).await?;
            let kind = PlaneKind::Parts { loss: codebook.loss(), dim: codebook.dim() };
            let walked = Plane { codes, factors: None, stride, kind };
            return Ok(Some(Self { walked, lower: None, codebook: Some(codebook) }));
        }
        let Some(planes) = planes_of(quantization) else { return Ok(None) };
        let walked = Plane::load(segment, walked_in(planes), Layout::of(planes.upper(), space));
        let kinds = (SectionKind::LowerCodes, SectionKind::LowerFactors);
        let lower = async {
            match planes.lower() {
                Some(bits) => Plane::load(segment, kinds, Layout::of(bits, space)).await.map(Some),
                None => Ok(None),
            }
        };
        let (walked, lower) = zip(walked, lower).await;
        Ok(Some(Self { walked: walked?, lower: lower?, codebook: None }))
    }

    /// Coordinates over which what codes leave out is spread.
    pub(super) fn coordinates(&self, space: &Space) -> usize {
        self.codebook.as_ref().map_or(space.width(), Codebook::dim)
    }

    /// Bytes that are read to make a query's tables.
    pub(super) fn table_bytes(&self) -> u64 {
        let floats = self.codebook.as_ref().map_or(0, |codebook| codebook.centroids().len());
        (floats as u64).saturating_mul(4)
    }

    /// How many times as many candidates are kept as of codes that tell rows apart well.
    pub(super) fn times_kept(&self) -> usize {
        let error = match self.walked.kind {
            PlaneKind::Places(bits) => error_of(bits.count()),
            PlaneKind::Parts { loss, .. } => loss.error,
        };
        let more = KEPT_MORE.into_iter().find(|(least, _)| error > *least);
        more.map_or(1, |(_, times)| times)
    }
}

impl Plane {
    async fn load(
        segment: &Segment,
        (codes, beside): (SectionKind, SectionKind),
        layout: Layout,
    ) -> Result<Self> {
        let Layout { bits, stride, in_rows } = layout;
        let rows = segment.rows() as usize;
        let codes = read_bytes(segment, codes, rows.saturating_mul(stride)).await?;
        let factors = match in_rows {
            true => None,
            false => Some(read_bytes(segment, beside, rows.saturating_mul(FACTOR_BYTES)).await?),
        };
        Ok(Self { codes, factors, stride, kind: PlaneKind::Places(bits) })
    }

    pub(super) fn codes(&self) -> Result<Codes<'_>> {
        if let PlaneKind::Parts { loss, dim } = self.kind {
            return Ok(Codes { rows: self.rows()?, form: Form::Parts { loss, dim } });
        }
        let Places { rows, bits, factors } = self.places()?;
        Ok(Codes::of_places(rows, bits, factors))
    }

    pub(super) fn places(&self) -> Result<Places<'_>> {
        let broken = || Error::internal("codes that are not of places");
        let PlaneKind::Places(bits) = self.kind else { return Err(broken()) };
        let rows = self.rows()?;
        let factors = match self.factors.as_deref() {
            Some(factors) => Factors::apart(factors).ok_or_else(broken)?,
            None => Factors::in_rows(rows),
        };
        Ok(Places { rows, bits, factors })
    }

    fn rows(&self) -> Result<CodeRows<'_>> {
        let broken = || Error::internal("codes that are not whole rows");
        CodeRows::new(&self.codes, self.stride).ok_or_else(broken)
    }

    /// Some rows, which are there, one after the other.
    pub(super) fn copy_rows(&self, rows: &[u32]) -> Result<Self> {
        let from = self.rows()?;
        let mut codes = PageBuf::<u8>::zeroed(rows.len() * self.stride)?;
        for (row, code) in rows.iter().zip(codes.chunks_exact_mut(self.stride)) {
            code.copy_from_slice(from.row(*row));
        }
        let factors = match &self.factors {
            Some(_) => Some(copy_factors(self.places()?.factors, rows)?),
            None => None,
        };
        Ok(Self { codes, factors, stride: self.stride, kind: self.kind })
    }

    /// Some rows of codes of places.
    pub(super) fn of_places(
        codes: PageBuf<u8>,
        factors: Option<PageBuf<u8>>,
        stride: usize,
        bits: Bits,
    ) -> Self {
        Self { codes, factors, stride, kind: PlaneKind::Places(bits) }
    }

    /// The centres of so many clusters.
    pub(super) async fn of_centres(segment: &Segment, count: usize, places: usize) -> Result<Self> {
        let length = count.saturating_mul(places);
        let codes = read_bytes(segment, SectionKind::Centres, length).await?;
        let length = count.saturating_mul(FACTOR_BYTES);
        let factors = read_bytes(segment, SectionKind::CentreFactors, length).await?;
        Ok(Self::of_places(codes, Some(factors), places, Bits::Eight))
    }

    /// Bytes of a row.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }
}

fn copy_factors(from: Factors<'_>, rows: &[u32]) -> Result<PageBuf<u8>> {
    let mut copy = PageBuf::<u8>::zeroed(rows.len() * FACTOR_BYTES)?;
    for (row, place) in rows.iter().zip(copy.chunks_exact_mut(FACTOR_BYTES)) {
        place.copy_from_slice(from.of(*row).map(f32::to_ne_bytes).as_flattened());
    }
    Ok(copy)
}

pub(super) async fn read_space(segment: &Segment) -> Result<Space> {
    let bytes = segment.section_bytes(SectionKind::Space).await?;
    let bytes = bytes.as_bytes();
    let floats = |bytes: &[u8]| vecgo_format::vector_of(bytes);
    let parts = bytes.split_first_chunk::<8>().and_then(|(seed, rest)| {
        rest.split_first_chunk::<4>().map(|(longest, mean)| (seed, longest, mean))
    });
    let Some((seed, longest, mean)) = parts else {
        return Err(segment.damaged(invalid(format!("a space of {} bytes", bytes.len()))));
    };
    let config = segment.config();
    let (seed, longest) = (u64::from_le_bytes(*seed), f32::from_le_bytes(*longest));
    let space = Space::new(kind(config), config.dim(), seed, floats(mean), longest);
    let finite = space.mean().iter().chain([&longest]).all(|value| value.is_finite());
    if mean.len() != space.places() * 4 || !finite {
        let detail = format!("a mean of {} bytes, or a number that is none", mean.len());
        return Err(segment.damaged(invalid(detail)));
    }
    Ok(space)
}

async fn read_bytes(segment: &Segment, kind: SectionKind, length: usize) -> Result<PageBuf<u8>> {
    let bytes = segment.section_bytes(kind).await?;
    if bytes.len() != length {
        let detail = format!("section {kind:?} of {} bytes, expected {length}", bytes.len());
        return Err(segment.damaged(invalid(detail)));
    }
    Ok(bytes)
}
