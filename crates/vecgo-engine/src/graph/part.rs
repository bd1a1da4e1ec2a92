use vecgo_format::{Config, Directory, FormatError, Index, SectionKind};
use vecgo_index::{Codes, Edges, Width};
use vecgo_kernels::{CodeRows, FACTOR_BYTES, Factors, PageBuf};
use vecgo_quant::Space;

use super::clusters::Clusters;
use super::kind;
use crate::filter::MatchedRows;
use crate::segment::Segment;
use crate::{Error, Result};

/// A segment's graph in memory: all that a walk reads.
#[derive(Debug)]
pub(crate) struct GraphPart {
    /// Absent if walks go by the vectors themselves.
    pub(super) coded: Option<Coded>,
    edges: PageBuf<u32>,
    degree: usize,
    entries: Vec<u32>,
}

/// The codes of a segment's rows.
#[derive(Debug)]
pub(super) struct Coded {
    pub(super) space: Space,
    pub(super) walked: Plane,
    /// The lower four bits, where the walk reads the upper four only.
    pub(super) lower: Option<Plane>,
    /// The codes of the entries, one after the other: every walk scores them all.
    entry_codes: PageBuf<u8>,
    entry_factors: Vec<u8>,
    /// The clusters in whose order the rows stand.
    pub(super) clusters: Clusters,
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
    FormatError::Invalid { what: "graph of a segment", offset: 0, detail }
}

/// Most edges of a row.
fn degree(segment: &Segment, config: &Config) -> Result<usize> {
    match config.index() {
        Index::Graph { m, .. } => Ok(usize::from(m)),
        other => Err(segment.damaged(invalid(format!("index {other}, expected graph")))),
    }
}

impl GraphPart {
    /// The sections that it may be made of.
    pub(crate) const SECTIONS: [SectionKind; 9] = [
        SectionKind::Edges,
        SectionKind::Entries,
        SectionKind::Clusters,
        SectionKind::FullCodes,
        SectionKind::FullFactors,
        SectionKind::UpperCodes,
        SectionKind::UpperFactors,
        SectionKind::LowerCodes,
        SectionKind::LowerFactors,
    ];

    /// Whether a segment has one.
    pub(crate) fn is_in(directory: &Directory) -> bool {
        directory.section(SectionKind::Edges).is_some()
    }

    /// Reads, verifies and checks it.
    pub(crate) async fn load(segment: &Segment, config: &Config) -> Result<Self> {
        let degree = degree(segment, config)?;
        let edges = Self::edges_of(segment, config).await?;
        let rows = segment.rows();
        let entries = segment.section_words(SectionKind::Entries).await?.to_vec();
        if entries.is_empty() || entries.iter().any(|entry| *entry >= rows) {
            let detail = format!("{} entries, expected rows below {rows}", entries.len());
            return Err(segment.damaged(invalid(detail)));
        }
        let has_codes = segment.has(SectionKind::FullCodes) || segment.has(SectionKind::UpperCodes);
        let coded = match has_codes {
            true => Some(Coded::load(segment, config, &entries).await?),
            false => None,
        };
        Ok(Self { coded, edges, degree, entries })
    }

    /// Reads the edges of a segment past its own memory, verifies and checks them.
    pub(crate) async fn edges_of(segment: &Segment, config: &Config) -> Result<PageBuf<u32>> {
        let (rows, degree) = (segment.rows(), degree(segment, config)?);
        let edges = segment.section_words(SectionKind::Edges).await?;
        if !Edges::new(&edges, degree).lie_within(rows as usize) {
            let detail = format!(
                "section Edges has {} places, expected {degree} edges of each of {rows} rows, to \
                 those",
                edges.len()
            );
            return Err(segment.damaged(invalid(detail)));
        }
        Ok(edges)
    }

    pub(super) fn edges(&self) -> Edges<'_> {
        Edges::new(&self.edges, self.degree)
    }

    pub(super) fn entries(&self) -> &[u32] {
        &self.entries
    }

    /// The numbers of the entries from which an edge leads to some rows at once.
    pub(super) fn entries_to<'a>(&self, only: &'a MatchedRows) -> &'a [u32] {
        only.entries.get_or_init(|| {
            let (edges, rows) = (self.edges(), &only.set);
            let leads = |entry: u32| {
                rows.contains(entry) || edges.list(entry).iter().any(|to| rows.contains(*to))
            };
            (0u32..).zip(&self.entries).filter(|(_, row)| leads(**row)).map(|(n, _)| n).collect()
        })
    }

    /// How many of a thousand edges that lead away from some rows lead to others of them.
    pub(crate) fn together(&self, only: &MatchedRows) -> u32 {
        const ROWS: u32 = 64;
        *only.together.get_or_init(|| {
            let (edges, rows) = (self.edges(), &only.set);
            let lists = rows.one_of_each(only.count / ROWS).map(|row| edges.list(row));
            let (among, all) = lists.fold((0, 0), |(among, all), list| {
                let to = list.iter().filter(|to| rows.contains(**to)).count();
                (among + to, all + list.len())
            });
            u32::try_from(among * 1000 / all.max(1)).unwrap_or(1000)
        })
    }

    /// Whether walks go by the vectors themselves, which have to be loaded.
    pub(crate) fn needs_vectors(&self) -> bool {
        self.coded.is_none()
    }
}

impl Coded {
    async fn load(segment: &Segment, config: &Config, entries: &[u32]) -> Result<Self> {
        let space = read_space(segment, config).await?;
        let places = space.places();
        let (walked, lower) = if segment.has(SectionKind::FullCodes) {
            let kinds = (SectionKind::FullCodes, SectionKind::FullFactors);
            (Plane::load(segment, kinds, &space, places, Width::Eight).await?, None)
        } else {
            let kinds = (SectionKind::UpperCodes, SectionKind::UpperFactors);
            let upper = Plane::load(segment, kinds, &space, places / 2, Width::Four).await?;
            let kinds = (SectionKind::LowerCodes, SectionKind::LowerFactors);
            let lower = match segment.has(kinds.0) {
                true => Some(Plane::load(segment, kinds, &space, places / 2, Width::Four).await?),
                false => None,
            };
            (upper, lower)
        };
        let (entry_codes, entry_factors) = walked.copy_rows(entries)?;
        let clusters = Clusters::load(segment, &walked).await?;
        Ok(Self { space, walked, lower, entry_codes, entry_factors, clusters })
    }

    /// The codes of the entries: row n is that of the n-th entry.
    pub(super) fn entry_codes(&self) -> Result<Codes<'_>> {
        self.walked.codes_of(&self.entry_codes, &self.entry_factors)
    }
}

impl Plane {
    async fn load(
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

    /// Codes of some of its rows, which were copied.
    pub(super) fn codes_of<'a>(&self, bytes: &'a [u8], factors: &'a [u8]) -> Result<Codes<'a>> {
        codes(bytes, Some(factors), self.stride, self.width)
    }

    /// Codes and factors of some rows, which are there.
    pub(super) fn copy_rows(&self, rows: &[u32]) -> Result<(PageBuf<u8>, Vec<u8>)> {
        let from = self.codes()?;
        let mut bytes = PageBuf::<u8>::zeroed(rows.len() * self.stride)?;
        let mut factors = Vec::with_capacity(rows.len() * FACTOR_BYTES);
        for (row, to) in rows.iter().zip(bytes.chunks_exact_mut(self.stride)) {
            to.copy_from_slice(from.rows.row(*row));
            factors.extend(from.factors.of(*row).into_iter().flat_map(f32::to_ne_bytes));
        }
        Ok((bytes, factors))
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

async fn read_space(segment: &Segment, config: &Config) -> Result<Space> {
    let bytes = segment.section_bytes(SectionKind::Space).await?;
    let bytes = bytes.as_bytes();
    let floats = |bytes: &[u8]| vecgo_format::vector_of(bytes);
    let parts = bytes.split_first_chunk::<8>().and_then(|(seed, rest)| {
        rest.split_first_chunk::<4>().map(|(longest, mean)| (seed, longest, mean))
    });
    let Some((seed, longest, mean)) = parts else {
        return Err(segment.damaged(invalid(format!("a space of {} bytes", bytes.len()))));
    };
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
