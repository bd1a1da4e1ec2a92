use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_lock::OnceCell;
use bytes::Bytes;
use vecgo_format::{
    Calibration, CollectionNames, Config, Directory, FormatError, Id, IdColumn, Identity, Index,
    SEGMENT_HEADER_BYTES, Section, SectionKind, SegmentRef, Spans, check_segment_header, checksum,
};
use vecgo_io::{BlockCache, BlockKey, Memory, Object, Store};
use vecgo_kernels::{PageBuf, with_floats};

use super::resident::Resident;
use crate::filter::KeptMatches;
use crate::short_codes::ShortCodes;
use crate::{Error, ErrorKind, Result};

#[expect(clippy::cast_possible_truncation, reason = "64")]
const HEADER: usize = SEGMENT_HEADER_BYTES as usize;

/// Bytes that are read at a time to be verified.
const VERIFIED_BYTES: u64 = 4 << 20;

/// Where a segment's bytes come from.
#[derive(Debug, Clone)]
pub(crate) struct SegmentSource {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) names: CollectionNames,
}

/// Room for the checksums of a section, if there is any: how many there are a manifest says.
fn room_for_table(section: &Section) -> Result<Vec<u8>> {
    let bytes = usize::try_from(section.blocks().saturating_mul(8)).unwrap_or(usize::MAX);
    let mut table = Vec::new();
    table.try_reserve_exact(bytes).map_err(|_| {
        let message = format!("no memory for {bytes} bytes of checksums of a section");
        Error::new(ErrorKind::ResourceExhausted, message)
    })?;
    table.resize(bytes, 0);
    Ok(table)
}

/// A segment open for reading. Sections that every search needs are loaded once, whole and
/// verified; everything else is read in verified blocks through the cache.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(super) directory: Directory,
    random: u64,
    /// Its number in the cache.
    pub(super) cached_as: u64,
    /// The collection in its header.
    made_in: Identity,
    pub(super) key: String,
    pub(super) object: Box<dyn Object>,
    pub(super) cache: Arc<BlockCache>,
    pub(super) memory: Arc<Memory>,
    /// Whether each question to the store takes long.
    pub(super) is_far: bool,
    /// Set once the header has been read: before anything else is.
    checked: OnceCell<()>,
    calibration: Calibration,
    tables: Vec<OnceCell<Vec<u8>>>,
    pub(super) resident: Resident,
    pub(crate) short_codes: ShortCodes,
    pub(crate) kept_matches: KeptMatches,
    /// How often its object was read, and how many bytes.
    pub(super) reads: AtomicU64,
    pub(super) read_bytes: AtomicU64,
}

impl Segment {
    /// Opens the object, and keeps it open: where the store can, it stays readable when deleted.
    pub(crate) async fn open(source: SegmentSource, named: &SegmentRef) -> Result<Self> {
        let key = source.names.segment(named.object.name);
        let object = source.store.open(&key, Some(named.object.length)).await?;
        if object.length() != named.object.length {
            let detail =
                format!("object of {} bytes, expected {}", object.length(), named.object.length);
            let error = FormatError::Invalid { what: "segment", offset: 0, detail };
            return Err(Error::format(&key, error));
        }
        Ok(Self {
            number: named.number,
            directory: named.directory.clone(),
            random: named.object.name.random,
            cached_as: source.cache.object(),
            made_in: named.made_in,
            key,
            object,
            is_far: source.store.requests().is_some(),
            cache: source.cache,
            checked: OnceCell::new(),
            calibration: named.calibration.clone(),
            tables: named.directory.sections.iter().map(|_| OnceCell::new()).collect(),
            memory: source.memory,
            resident: Resident::default(),
            short_codes: ShortCodes::default(),
            kept_matches: KeptMatches::default(),
            reads: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
        })
    }

    /// Whether this is the object that a manifest names.
    pub(crate) fn is(&self, named: &SegmentRef) -> bool {
        self.number == named.number && self.random == named.object.name.random
    }

    pub(crate) fn rows(&self) -> u32 {
        self.directory.rows
    }

    pub(super) fn dim(&self) -> usize {
        self.directory.config.dim()
    }

    /// The collection's configuration when it was written.
    pub(crate) fn config(&self) -> &Config {
        &self.directory.config
    }

    /// What was measured of its index.
    pub(crate) fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// How often its object was read, and how many bytes.
    pub(crate) fn read_so_far(&self) -> (u64, u64) {
        (self.reads.load(Ordering::Relaxed), self.read_bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn length(&self) -> u64 {
        self.object.length()
    }

    pub(super) fn section(&self, kind: SectionKind) -> Result<(usize, &Section)> {
        let found = self.directory.sections.iter().position(|section| section.kind == kind);
        found.map(|index| (index, &self.directory.sections[index])).ok_or_else(|| {
            let detail = format!("no section {kind:?}");
            Error::format(&self.key, FormatError::Invalid { what: "segment", offset: 0, detail })
        })
    }

    pub(crate) fn has(&self, kind: SectionKind) -> bool {
        self.directory.section(kind).is_some()
    }

    /// Whether this is the segment, in a version that this build reads. Not before something is
    /// read of it, so that opening a version of many segments asks the store for none of them.
    async fn check_header(&self) -> Result<()> {
        let check = self.checked.get_or_try_init(|| async {
            let mut header = [0u8; HEADER];
            let check = |header: &[u8]| self.check_header_bytes(header);
            self.read_verified(0, &mut header, check).await
        });
        check.await.copied()
    }

    fn check_header_bytes(&self, header: &[u8]) -> Result<()> {
        let header = header.first_chunk::<HEADER>().ok_or_else(|| Error::internal("a header"))?;
        check_segment_header(header, self.made_in, self.number)
            .map_err(|error| Error::format(&self.key, error))
    }

    /// The checksums of a section's blocks.
    pub(super) async fn table(&self, index: usize) -> Result<&[u8]> {
        let section = &self.directory.sections[index];
        let table = self.tables[index].get_or_try_init(|| async {
            self.check_header().await?;
            let mut table = room_for_table(section)?;
            let check =
                |table: &[u8]| self.check(table, section.table_checksum, section.table_offset);
            self.read_verified(section.table_offset, &mut table, check).await?;
            Ok::<_, Error>(table)
        });
        Ok(table.await?)
    }

    fn check(&self, bytes: &[u8], expected: u64, offset: u64) -> Result<()> {
        let found = checksum(bytes);
        if found == expected {
            return Ok(());
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let error = FormatError::Checksum { what: "segment", offset, expected, found };
        Err(Error::format(&self.key, error))
    }

    pub(super) fn check_block(
        &self,
        block: &[u8],
        number: usize,
        section: &Section,
        table: &[u8],
    ) -> Result<()> {
        let mut expected = [0u8; 8];
        expected.copy_from_slice(&table[number * 8..number * 8 + 8]);
        let offset = section.offset + number as u64 * u64::from(section.block_bytes);
        self.check(block, u64::from_le_bytes(expected), offset)
    }

    /// Reads and verifies a whole section into `out`, which has its length.
    pub(super) async fn read_section(&self, kind: SectionKind, out: &mut [u8]) -> Result<()> {
        let (index, section) = self.section(kind)?;
        let table = self.table(index).await?;
        let check = |bytes: &[u8]| {
            let mut blocks = bytes.chunks(section.block_bytes as usize).enumerate();
            blocks.try_for_each(|(number, block)| self.check_block(block, number, section, table))
        };
        self.read_verified(section.offset, out, check).await
    }

    /// The bytes of a section, whole.
    pub(crate) async fn section_bytes(&self, kind: SectionKind) -> Result<PageBuf<u8>> {
        let (_, section) = self.section(kind)?;
        let mut bytes = PageBuf::<u8>::zeroed(usize::try_from(section.length).unwrap_or(0))?;
        self.read_section(kind, bytes.as_bytes_mut()).await?;
        Ok(bytes)
    }

    /// The words of a section, whole.
    pub(crate) async fn section_words(&self, kind: SectionKind) -> Result<PageBuf<u32>> {
        let (_, section) = self.section(kind)?;
        let mut words = PageBuf::<u32>::zeroed(self.items(section, 4)?)?;
        self.read_section(kind, words.as_bytes_mut()).await?;
        Ok(words)
    }

    /// How many items of a size fill a section.
    pub(super) fn items(&self, section: &Section, size: u64) -> Result<usize> {
        let items = usize::try_from(section.length / size).ok();
        items.filter(|_| section.length.is_multiple_of(size)).ok_or_else(|| {
            let detail = format!("section {:?} of {} bytes", section.kind, section.length);
            self.damaged(FormatError::Invalid { what: "segment", offset: 0, detail })
        })
    }

    /// What is wrong with this segment.
    pub(crate) fn damaged(&self, error: FormatError) -> Error {
        Error::format(&self.key, error)
    }

    /// Whether its vectors are read from the store by all who need them, and never held whole.
    pub(super) fn leaves_vectors(&self) -> bool {
        matches!(self.config().index(), Index::Disk { .. }) && self.has_index()
    }

    /// Whether it has an index.
    pub(crate) fn has_index(&self) -> bool {
        self.directory.has_index()
    }

    /// The rows that have this id, dead ones included.
    pub(crate) async fn find(&self, id: &Id) -> Result<Vec<u32>> {
        let candidates = self.lookup().await?.candidates(id);
        if matches!(id, Id::Number(_)) {
            return Ok(candidates.to_vec());
        }
        let mut rows = Vec::new();
        for row in candidates {
            if self.id(*row).await? == *id {
                rows.push(*row);
            }
        }
        Ok(rows)
    }

    /// Bytes of a section, through the cache.
    pub(crate) async fn read(&self, kind: SectionKind, range: Range<u64>) -> Result<Bytes> {
        let (index, section) = self.section(kind)?;
        self.check_within(section, &range)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let block_bytes = u64::from(section.block_bytes);
        let (first, last) = (range.start / block_bytes, (range.end - 1) / block_bytes);
        let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let skip = within(range.start - first * block_bytes);
        let length = within(range.end - range.start);
        if first == last {
            return Ok(self.block(index, section, first).await?.slice(skip..skip + length));
        }
        let mut bytes = Vec::with_capacity(length + skip);
        for number in first..=last {
            bytes.extend_from_slice(&self.block(index, section, number).await?);
        }
        bytes.drain(..skip);
        bytes.truncate(length);
        Ok(bytes.into())
    }

    async fn block(&self, index: usize, section: &Section, number: u64) -> Result<Bytes> {
        let block_bytes = u64::from(section.block_bytes);
        let start = number * block_bytes;
        let key = BlockKey { object: self.cached_as, offset: section.offset + start };
        if let Some(block) = self.cache.get(key) {
            return Ok(block);
        }
        let table = self.table(index).await?;
        let length = (section.length - start).min(block_bytes);
        let mut block = vec![0u8; usize::try_from(length).unwrap_or(0)];
        let number = usize::try_from(number).unwrap_or(0);
        let check = |block: &[u8]| self.check_block(block, number, section, table);
        self.read_verified(section.offset + start, &mut block, check).await?;
        let block = Bytes::from(block);
        self.cache.insert(key, block.clone());
        Ok(block)
    }

    async fn word(&self, kind: SectionKind, row: u32) -> Result<u64> {
        let start = u64::from(row) * 8;
        let mut word = [0u8; 8];
        word.copy_from_slice(&self.read(kind, start..start + 8).await?);
        Ok(u64::from_le_bytes(word))
    }

    /// The id of a row.
    pub(crate) async fn id(&self, row: u32) -> Result<Id> {
        if let Some(number) = self.resident_number(row) {
            return Ok(Id::Number(number));
        }
        let entry = self.word(SectionKind::Ids, row).await?;
        if self.directory.section(SectionKind::IdKinds).is_none() {
            return Ok(Id::Number(entry));
        }
        let byte = u64::from(row / 8);
        let kinds = self.read(SectionKind::IdKinds, byte..byte + 1).await?;
        if kinds[0] & (1 << (row % 8)) == 0 {
            return Ok(Id::Number(entry));
        }
        let text = self.read(SectionKind::IdText, IdColumn::text_range(entry)).await?;
        IdColumn::text_id(&text).map_err(|error| Error::format(&self.key, error))
    }

    /// The vector of a row.
    pub(crate) async fn vector(&self, row: u32) -> Result<Vec<f32>> {
        if let Some(values) = self.resident_rows(row, 1) {
            return Ok(values.to_vec());
        }
        let bytes = u64::from(row) * self.dim() as u64 * 4;
        let range = bytes..bytes + self.dim() as u64 * 4;
        Ok(vecgo_format::vector_of(&self.read(SectionKind::Vectors, range).await?))
    }

    /// Does something with the vector of a row, without a copy of it where there is no need.
    pub(crate) async fn with_vector<T>(
        &self,
        row: u32,
        act: impl FnOnce(&[f32]) -> T,
    ) -> Result<T> {
        if let Some(vector) = self.resident_rows(row, 1) {
            return Ok(act(vector));
        }
        let bytes = u64::from(row) * self.dim() as u64 * 4;
        let range = bytes..bytes + self.dim() as u64 * 4;
        let bytes = self.read(SectionKind::Vectors, range).await?;
        Ok(with_floats(&bytes, act))
    }

    async fn blob(
        &self,
        spans: SectionKind,
        blobs: SectionKind,
        row: u32,
    ) -> Result<Option<Bytes>> {
        if self.directory.section(spans).is_none() {
            return Ok(None);
        }
        let start = u64::from(row) * 8;
        let mut entries = [0u8; Spans::BYTES];
        entries.copy_from_slice(&self.read(spans, start..start + Spans::BYTES as u64).await?);
        let range = Spans::range(entries).map_err(|error| Error::format(&self.key, error))?;
        match range {
            None => Ok(None),
            Some(range) => self.read(blobs, range).await.map(Some),
        }
    }

    /// The encoded document of a row; no bytes for an empty one.
    pub(crate) async fn document(&self, row: u32) -> Result<Bytes> {
        let (spans, blobs) = (SectionKind::DocumentSpans, SectionKind::Documents);
        Ok(self.blob(spans, blobs, row).await?.unwrap_or_default())
    }

    /// The payload of a row, if it has one.
    pub(crate) async fn payload(&self, row: u32) -> Result<Option<Bytes>> {
        self.blob(SectionKind::PayloadSpans, SectionKind::Payloads, row).await
    }

    /// Reads and verifies every byte but the padding, and gives the length.
    pub(crate) async fn verify(&self) -> Result<u64> {
        let mut header = [0u8; HEADER];
        self.read_object_past(0, &mut header).await?;
        self.check_header_bytes(&header)?;
        let mut piece = Vec::new();
        for section in &self.directory.sections {
            let table = self.read_table(section).await?;
            let block_bytes = u64::from(section.block_bytes);
            // Many blocks at a time: from afar each read takes a round trip.
            let piece_blocks = (VERIFIED_BYTES / block_bytes).max(1);
            for first in (0..section.blocks()).step_by(usize::try_from(piece_blocks).unwrap_or(1)) {
                let start = first * block_bytes;
                let length = (section.length - start).min(piece_blocks * block_bytes);
                piece.resize(usize::try_from(length).unwrap_or(0), 0);
                self.read_object_past(section.offset + start, &mut piece).await?;
                let numbers = usize::try_from(first).unwrap_or(0)..;
                for (number, block) in numbers.zip(piece.chunks(section.block_bytes as usize)) {
                    self.check_block(block, number, section, &table)?;
                }
            }
        }
        let mut end = self.directory.encode();
        end.extend(self.directory.trailer());
        let start = self.length().saturating_sub(end.len() as u64);
        let mut found = vec![0u8; end.len()];
        self.read_object_past(start, &mut found).await?;
        self.check(&found, checksum(&end), start)?;
        Ok(self.length())
    }

    /// The checksums of a section's blocks, as the store has them now.
    async fn read_table(&self, section: &Section) -> Result<Vec<u8>> {
        let mut table = room_for_table(section)?;
        self.read_object_past(section.table_offset, &mut table).await?;
        self.check(&table, section.table_checksum, section.table_offset)?;
        Ok(table)
    }
}
