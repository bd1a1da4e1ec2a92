use super::{MAX_BLOCK_BYTES, MIN_BLOCK_BYTES};
use crate::checksum::checksum;
use crate::codec::{Decoder, Encoder};
use crate::{Config, FormatError, Index, Quantization};

const WHAT: &str = "segment directory";
/// More than there will ever be kinds.
const MAX_SECTIONS: usize = 4096;
const TRAILER_MAGIC: [u8; 4] = *b"VGSE";

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SectionKind {
    /// `rows * dim` f32.
    Vectors,
    /// One f32 a row: one over the vector's length. Cosine only.
    Norms,
    /// One u64 a row: a number id, or where a text id stands in [`SectionKind::IdText`].
    Ids,
    /// One bit a row: set for a text id. Absent if all ids are numbers.
    IdKinds,
    /// The text ids, end to end. Absent if all ids are numbers.
    IdText,
    /// Hashes of the ids, sorted, with their rows.
    Lookup,
    /// Where each row's document stands in [`SectionKind::Documents`]. Absent if all are empty.
    DocumentSpans,
    /// The encoded documents, end to end.
    Documents,
    /// Where each row's payload stands in [`SectionKind::Payloads`]. Absent if there are none.
    PayloadSpans,
    /// The payloads, end to end.
    Payloads,
    /// How vectors become points: seed, squared length of the longest vector, mean.
    Space,
    /// The bits of each row's code that are read first, four at most, and its factors where there is room.
    UpperCodes,
    /// What makes distances of dot products with those bits. Absent if they are in the rows.
    UpperFactors,
    /// The bits below those.
    LowerCodes,
    /// The same for the whole code.
    LowerFactors,
    /// All eight bits of each row's code.
    FullCodes,
    /// The same.
    FullFactors,
    /// The graph: as many u32 a row as it may have edges.
    Edges,
    /// The rows where a walk may start, each a u32.
    Entries,
    /// The rows in order of clusters: the first row of each, then of each the row nearest to its
    /// centre, each a u32.
    Clusters,
    /// The centre of each cluster, by which searches choose some: codes of eight bits.
    Centres,
    /// What makes distances of dot products with those.
    CentreFactors,
    /// The fields of the documents, and where their values stand in [`SectionKind::FieldData`].
    Fields,
    /// The values of each field in order, and their rows.
    FieldData,
    /// A byte of each row for each part of its vector.
    PartCodes,
    /// The centroids of each part.
    Codebook,
    /// A section of a later version that can be ignored.
    Other(u16),
}

impl SectionKind {
    const KNOWN: [(u16, SectionKind); 26] = [
        (1, SectionKind::Vectors),
        (2, SectionKind::Norms),
        (3, SectionKind::Ids),
        (4, SectionKind::IdKinds),
        (5, SectionKind::IdText),
        (6, SectionKind::Lookup),
        (7, SectionKind::DocumentSpans),
        (8, SectionKind::Documents),
        (9, SectionKind::PayloadSpans),
        (10, SectionKind::Payloads),
        (11, SectionKind::Space),
        (12, SectionKind::UpperCodes),
        (13, SectionKind::UpperFactors),
        (14, SectionKind::LowerCodes),
        (15, SectionKind::LowerFactors),
        (16, SectionKind::FullCodes),
        (17, SectionKind::FullFactors),
        (18, SectionKind::Edges),
        (19, SectionKind::Entries),
        (20, SectionKind::Fields),
        (21, SectionKind::FieldData),
        (22, SectionKind::Clusters),
        (23, SectionKind::Centres),
        (24, SectionKind::CentreFactors),
        (25, SectionKind::PartCodes),
        (26, SectionKind::Codebook),
    ];

    fn code(self) -> u16 {
        if let SectionKind::Other(code) = self {
            return code;
        }
        Self::KNOWN.iter().find(|(_, kind)| *kind == self).map_or(0, |(code, _)| *code)
    }

    fn of(code: u16) -> Self {
        let known = Self::KNOWN.iter().find(|(known, _)| *known == code);
        known.map_or(SectionKind::Other(code), |(_, kind)| *kind)
    }
}

/// Where a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// A reader that does not know a required section must refuse the segment.
    pub required: bool,
    /// Where it begins in the object.
    pub offset: u64,
    /// Its length.
    pub length: u64,
    /// Bytes of a block, each of which has a checksum; the last may be shorter.
    pub block_bytes: u32,
    /// Where its table of block checksums begins.
    pub table_offset: u64,
    /// Checksum of that table.
    pub table_checksum: u64,
}

impl Section {
    /// Number of blocks, and of checksums in the table.
    pub fn blocks(&self) -> u64 {
        self.length.div_ceil(u64::from(self.block_bytes.max(1)))
    }
}

/// What a segment holds and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Number of rows.
    pub rows: u32,
    /// The collection's configuration when the segment was written: what its index and codes are, if
    /// it has any.
    pub config: Config,
    /// The sections, in file order.
    pub sections: Vec<Section>,
}

impl Directory {
    /// Length of the trailer.
    pub const TRAILER_BYTES: u64 = 16;

    /// The section of a kind, if the segment has one.
    pub fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// Whether there is an index to search by.
    pub fn has_index(&self) -> bool {
        let has = |kind| self.section(kind).is_some();
        has(SectionKind::Edges) || has(SectionKind::Centres)
    }

    /// The directory's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u32(self.rows);
        self.config.encode(&mut out);
        out.length(self.sections.len());
        for section in &self.sections {
            out.u16(section.kind.code());
            out.u8(u8::from(section.required));
            out.u64(section.offset);
            out.u64(section.length);
            out.u32(section.block_bytes);
            out.u64(section.table_offset);
            out.u64(section.table_checksum);
        }
        out.finish()
    }

    /// Checksum of the directory's bytes: it stands for the contents of the segment, since the
    /// directory holds the checksums of the tables and they those of the blocks.
    pub fn checksum(&self) -> u64 {
        checksum(&self.encode())
    }

    /// The trailer that follows the directory at the end of the object.
    pub fn trailer(&self) -> Vec<u8> {
        let bytes = self.encode();
        let mut out = Encoder::new();
        out.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        out.u64(checksum(&bytes));
        out.raw(&TRAILER_MAGIC);
        out.finish()
    }

    /// Length and checksum of the directory, from the trailer.
    ///
    /// # Errors
    /// [`FormatError`] if `bytes` is not a trailer.
    pub fn read_trailer(bytes: &[u8]) -> Result<(u32, u64), FormatError> {
        let mut trailer = Decoder::new("segment trailer", bytes);
        let (length, sum) = (trailer.u32()?, trailer.u64()?);
        let mut found = [0u8; 4];
        found.copy_from_slice(trailer.raw(4)?);
        trailer.expect_end()?;
        if found != TRAILER_MAGIC {
            return Err(FormatError::Magic { what: "segment trailer", found });
        }
        Ok((length, sum))
    }

    /// Reads a directory of an object of `object_length` bytes.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are no directory, if a section lies outside the object or
    /// has another length than the rows demand, or if a required section is of an unknown kind.
    pub fn decode(bytes: &[u8], object_length: u64) -> Result<Self, FormatError> {
        let mut bytes = Decoder::new(WHAT, bytes);
        let (rows, config) = (bytes.u32()?, Config::decode(&mut bytes)?);
        let mut directory = Self { rows, config, sections: Vec::new() };
        let sections = bytes.length()?;
        if sections > MAX_SECTIONS {
            return Err(bytes.unknown(format!("{sections} sections, at most {MAX_SECTIONS}")));
        }
        for _ in 0..sections {
            let section = Section {
                kind: SectionKind::of(bytes.u16()?),
                required: match bytes.u8()? {
                    0 => false,
                    1 => true,
                    tag => return Err(bytes.invalid(format!("required {tag}, expected 0 or 1"))),
                },
                offset: bytes.u64()?,
                length: bytes.u64()?,
                block_bytes: bytes.u32()?,
                table_offset: bytes.u64()?,
                table_checksum: bytes.u64()?,
            };
            if section.required && matches!(section.kind, SectionKind::Other(_)) {
                let detail = format!("section of unknown kind {}", section.kind.code());
                return Err(FormatError::Unknown { what: WHAT, detail });
            }
            directory.check(&section, object_length).map_err(|why| bytes.invalid(why))?;
            directory.sections.push(section);
        }
        bytes.expect_end()?;
        let has = |kind| directory.section(kind).is_some();
        for needed in [SectionKind::Vectors, SectionKind::Ids, SectionKind::Lookup] {
            if !has(needed) {
                return Err(bytes.invalid(format!("no section {needed:?}")));
            }
        }
        for (one, other) in [
            (SectionKind::IdKinds, SectionKind::IdText),
            (SectionKind::DocumentSpans, SectionKind::Documents),
            (SectionKind::PayloadSpans, SectionKind::Payloads),
            (SectionKind::Fields, SectionKind::FieldData),
            (SectionKind::Edges, SectionKind::Entries),
            (SectionKind::Clusters, SectionKind::Centres),
            (SectionKind::Centres, SectionKind::CentreFactors),
        ] {
            if has(one) != has(other) {
                return Err(bytes.invalid(format!("one of sections {one:?} and {other:?} only")));
            }
        }
        directory.check_index().map_err(|why| bytes.invalid(why))?;
        Ok(directory)
    }

    /// Whether index and codes, if there are any, are those of the configuration.
    fn check_index(&self) -> Result<(), String> {
        if let Some(target) = self.config.recall_target() {
            return Err(format!("recall target {target} of a segment, expected none"));
        }
        let is_there = self.section(SectionKind::Centres).is_some();
        let (index, quantization) = (self.config.index(), self.config.quantization());
        // Without an index there may be codes of four bits, whatever those of an index would be.
        let is_coded = self.section(SectionKind::Space).is_some();
        let is_rabitq = matches!(quantization, Quantization::RaBitQ { .. });
        for (kind, expected) in [
            (SectionKind::Edges, index.of_graph().is_some()),
            (SectionKind::Centres, index != Index::Flat),
            (SectionKind::FullCodes, quantization == Quantization::Sq8),
            (SectionKind::UpperCodes, is_rabitq),
            (SectionKind::PartCodes, matches!(quantization, Quantization::Pq { .. })),
            (SectionKind::Codebook, matches!(quantization, Quantization::Pq { .. })),
            (SectionKind::LowerCodes, matches!(quantization, Quantization::RaBitQ { bits: 5.. })),
        ] {
            let found = self.section(kind).is_some();
            let expected = match kind {
                SectionKind::UpperCodes if !is_there => is_coded && index != Index::Flat,
                _ => is_there && expected,
            };
            if found != expected {
                let (found, expected) = if found { ("a", "none") } else { ("no", "one") };
                let of = self.config;
                return Err(format!("{found} section {kind:?}, expected {expected} with {of}"));
            }
        }
        if (is_there && !is_coded) || (is_coded && index == Index::Flat) {
            return Err(format!("sections of an index, expected others with {}", self.config));
        }
        Ok(())
    }

    fn check(&self, section: &Section, object_length: u64) -> Result<(), String> {
        let kind = section.kind;
        if self.section(kind).is_some() {
            return Err(format!("two sections {kind:?}"));
        }
        if !(MIN_BLOCK_BYTES..=MAX_BLOCK_BYTES).contains(&section.block_bytes) {
            return Err(format!("section {kind:?} has blocks of {} bytes", section.block_bytes));
        }
        let table_length = section.blocks().checked_mul(8);
        let ends = [
            section.offset.checked_add(section.length),
            table_length.and_then(|length| section.table_offset.checked_add(length)),
        ];
        if ends.iter().any(|end| end.is_none_or(|end| end > object_length)) {
            return Err(format!("section {kind:?} lies beyond the object's {object_length} bytes"));
        }
        let rows = u64::from(self.rows);
        let expected = match kind {
            SectionKind::Vectors => {
                rows.checked_mul(self.config.dim() as u64).and_then(|n| n.checked_mul(4))
            }
            SectionKind::Norms => rows.checked_mul(4),
            SectionKind::Ids => rows.checked_mul(8),
            SectionKind::IdKinds => Some(rows.div_ceil(8)),
            SectionKind::DocumentSpans | SectionKind::PayloadSpans => {
                rows.checked_add(1).and_then(|n| n.checked_mul(8))
            }
            SectionKind::Lookup => rows.checked_mul(12).and_then(|n| n.checked_add(16)),
            SectionKind::UpperFactors | SectionKind::LowerFactors | SectionKind::FullFactors => {
                rows.checked_mul(8)
            }
            _ => return Ok(()),
        };
        if expected != Some(section.length) {
            return Err(format!("section {kind:?} has {} bytes for {rows} rows", section.length));
        }
        Ok(())
    }
}
