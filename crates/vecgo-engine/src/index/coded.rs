use vecgo_format::{FormatError, SectionKind};
use vecgo_index::{Codes, Width};
use vecgo_kernels::{CodeRows, FACTOR_BYTES, Factors, PageBuf};
use vecgo_quant::Space;

use super::kind;
use crate::segment::Segment;
use crate::{Error, Result};

/// The codes of a segment's rows.
#[derive(Debug)]
pub(super) struct Coded {
    /// What searches read first.
    pub(super) walked: Plane,
    /// The lower four bits, where that is the upper four only.
    pub(super) lower: Option<Plane>,
}

/// Codes of all rows, with their factors.
#[derive(Debug)]
pub(super) struct Plane {
    codes: PageBuf<u8>,
    /// Absent if they are in the rows.
    factors: Option<PageBuf<u8>>,
    stride: usize,
    width: Width,
}

pub(super) fn invalid(detail: String) -> FormatError {
    FormatError::Invalid { what: "index of a segment", offset: 0, detail }
}

impl Coded {
    /// Reads, verifies and checks them, if there are codes.
    pub(super) async fn load(segment: &Segment, space: &Space) -> Result<Option<Self>> {
        let places = space.places();
        if segment.has(SectionKind::FullCodes) {
            let kinds = (SectionKind::FullCodes, SectionKind::FullFactors);
            let walked = Plane::load(segment, kinds, space, places, Width::Eight).await?;
            return Ok(Some(Self { walked, lower: None }));
        }
        if !segment.has(SectionKind::UpperCodes) {
            return Ok(None);
        }
        let kinds = (SectionKind::UpperCodes, SectionKind::UpperFactors);
        let walked = Plane::load(segment, kinds, space, places / 2, Width::Four).await?;
        let kinds = (SectionKind::LowerCodes, SectionKind::LowerFactors);
        let lower = match segment.has(kinds.0) {
            true => Some(Plane::load(segment, kinds, space, places / 2, Width::Four).await?),
            false => None,
        };
        Ok(Some(Self { walked, lower }))
    }
}

impl Plane {
    pub(super) async fn load(
        segment: &Segment,
        (codes, beside): (SectionKind, SectionKind),
        space: &Space,
        stride: usize,
        width: Width,
    ) -> Result<Self> {
        let rows = segment.rows() as usize;
        let codes = read_bytes(segment, codes, rows.saturating_mul(stride)).await?;
        let factors = match space.has_room() {
            true => None,
            false => Some(read_bytes(segment, beside, rows.saturating_mul(FACTOR_BYTES)).await?),
        };
        Ok(Self { codes, factors, stride, width })
    }

    pub(super) fn codes(&self) -> Result<Codes<'_>> {
        codes(&self.codes, self.factors.as_deref(), self.stride, self.width)
    }

    /// Some rows, which are there, one after the other.
    pub(super) fn copy_rows(&self, rows: &[u32]) -> Result<Self> {
        let from = self.codes()?;
        let mut codes = PageBuf::<u8>::zeroed(rows.len() * self.stride)?;
        let mut factors = PageBuf::<u8>::zeroed(rows.len() * FACTOR_BYTES)?;
        let places =
            codes.chunks_exact_mut(self.stride).zip(factors.chunks_exact_mut(FACTOR_BYTES));
        for (row, (code, factor)) in rows.iter().zip(places) {
            code.copy_from_slice(from.rows.row(*row));
            let both = from.factors.of(*row).map(f32::to_ne_bytes);
            factor.copy_from_slice(both.as_flattened());
        }
        Ok(Self { codes, factors: Some(factors), stride: self.stride, width: self.width })
    }

    /// The centres of so many clusters.
    pub(super) async fn of_centres(segment: &Segment, count: usize, places: usize) -> Result<Self> {
        let length = count.saturating_mul(places);
        let codes = read_bytes(segment, SectionKind::Centres, length).await?;
        let length = count.saturating_mul(FACTOR_BYTES);
        let factors = read_bytes(segment, SectionKind::CentreFactors, length).await?;
        Ok(Self { codes, factors: Some(factors), stride: places, width: Width::Eight })
    }

    /// Bytes of a row.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }
}

fn codes<'a>(
    bytes: &'a [u8],
    factors: Option<&'a [u8]>,
    stride: usize,
    width: Width,
) -> Result<Codes<'a>> {
    let broken = || Error::internal("codes that are not whole rows");
    let rows = CodeRows::new(bytes, stride).ok_or_else(broken)?;
    let factors = match factors {
        Some(factors) => Factors::apart(factors).ok_or_else(broken)?,
        None => Factors::in_rows(rows),
    };
    Ok(Codes { rows, factors, width })
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
