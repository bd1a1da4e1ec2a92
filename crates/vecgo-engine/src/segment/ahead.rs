//! What is asked for before it is read, so that no read waits for the one before it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::task::Poll;

use vecgo_format::{FormatError, SEGMENT_HEADER_BYTES, Section, SectionKind};
use vecgo_io::BlockKey;
use vecgo_kernels::PageBuf;

use super::Segment;
use crate::{Error, Result};

/// Ranges of a section.
#[derive(Debug)]
pub(crate) struct Runs {
    /// Whole blocks, of one range after the other.
    bytes: PageBuf<u8>,
    /// Where each range is.
    places: Vec<Range<usize>>,
}

impl Runs {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|place| self.bytes.get(place.clone()).unwrap_or_default())
    }
}

/// Sections of more are asked for when they are loaded.
const SHORT_SECTION: u64 = 1 << 20;

/// The same of tables: those of eight gigabytes of vectors.
const SHORT_TABLE: u64 = 16 << 20;

/// Sections of which hits are made.
const OF_ROWS: [SectionKind; 7] = [
    SectionKind::Vectors,
    SectionKind::Norms,
    SectionKind::Ids,
    SectionKind::IdKinds,
    SectionKind::IdText,
    SectionKind::DocumentSpans,
    SectionKind::Documents,
];

impl Segment {
    /// Has the blocks fetched that the vectors of some rows are in, all at once, but for those in the cache:
    /// each read waits for the disk by itself otherwise.
    pub(super) fn will_read_vectors(&self, rows: &[u32]) {
        let Some(section) = self.directory.section(SectionKind::Vectors) else { return };
        let (row_bytes, block_bytes) = (self.dim() as u64 * 4, u64::from(section.block_bytes));
        let blocks = rows.iter().flat_map(|row| {
            let start = u64::from(*row) * row_bytes;
            start / block_bytes..=(start + row_bytes - 1) / block_bytes
        });
        let mut ranges: Vec<Range<u64>> = blocks
            .map(|block| section.offset + block * block_bytes)
            .filter(|start| !self.cache.has(BlockKey { object: self.cached_as, offset: *start }))
            .map(|start| start..(start + block_bytes).min(section.offset + section.length))
            .collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup();
        // One alone is read as soon.
        if ranges.len() > 1 {
            self.object.will_read(&ranges);
        }
    }

    /// A part of each block that some parts of sections are in, but for those in the cache.
    pub(crate) fn blocks_of(
        &self,
        parts: impl IntoIterator<Item = (SectionKind, Range<u64>)>,
    ) -> Vec<(SectionKind, Range<u64>)> {
        let mut blocks = BTreeMap::new();
        for (kind, part) in parts {
            let Some(section) = self.directory.section(kind) else { continue };
            let block_bytes = u64::from(section.block_bytes);
            for block in part.start / block_bytes..part.end.div_ceil(block_bytes) {
                let start = block * block_bytes;
                let key = BlockKey { object: self.cached_as, offset: section.offset + start };
                if start < section.length && !self.cache.has(key) {
                    blocks.insert(key.offset, (kind, start..start + 1));
                }
            }
        }
        blocks.into_values().collect()
    }

    /// Reads some ranges of a section past the cache of blocks, all at once.
    pub(crate) async fn read_runs(&self, kind: SectionKind, ranges: &[Range<u64>]) -> Result<Runs> {
        let (index, section) = self.section(kind)?;
        if let Some(range) = ranges.iter().find(|range| range.end > section.length) {
            let detail = format!("bytes {range:?} of a section of {}", section.length);
            let error = FormatError::Invalid { what: "segment", offset: 0, detail };
            return Err(Error::format(&self.key, error));
        }
        let table = self.table(index).await?;
        let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let blocks: Vec<Range<u64>> =
            ranges.iter().map(|range| blocks_around(section, range)).collect();
        let lengths = blocks.iter().map(|blocks| within(blocks.end - blocks.start));
        let mut bytes = PageBuf::<u8>::zeroed(lengths.clone().fold(0, usize::saturating_add))?;
        let (mut reads, mut places) = (Vec::new(), Vec::new());
        let (mut at, mut rest) = (0, &mut bytes[..]);
        for ((range, blocks), length) in ranges.iter().zip(&blocks).zip(lengths) {
            let start = at + within(range.start - blocks.start);
            places.push(start..start + within(range.end - range.start));
            let (out, after) = rest.split_at_mut(length);
            (at, rest) = (at + length, after);
            let first = within(blocks.start / u64::from(section.block_bytes));
            let check = move |bytes: &[u8]| {
                let mut blocks = (first..).zip(bytes.chunks(section.block_bytes as usize));
                blocks.try_for_each(|(n, block)| self.check_block(block, n, section, table))
            };
            reads.push(Box::pin(self.read_verified(section.offset + blocks.start, out, check)));
        }
        all(reads).await?;
        Ok(Runs { bytes, places })
    }

    /// Has some sections brought, whole.
    pub(super) fn will_read_sections(&self, kinds: &[SectionKind]) {
        let sections = kinds.iter().filter_map(|kind| self.directory.section(*kind));
        let ranges = sections.map(|section| section.offset..section.offset + section.length);
        self.object.will_read(&ranges.collect::<Vec<_>>());
    }

    /// Has what comes before some sections and those of rows asked for at once, and those that are short: each
    /// read would wait for the one before it otherwise.
    pub(super) fn will_load(&self, kinds: &[SectionKind]) {
        if !self.is_far {
            return;
        }
        let header = 0..SEGMENT_HEADER_BYTES;
        let mut ranges = Vec::from([header]);
        for section in kinds.iter().chain(&OF_ROWS).filter_map(|kind| self.directory.section(*kind))
        {
            let (table, length) = (section.table_offset, section.blocks().saturating_mul(8));
            if length <= SHORT_TABLE {
                ranges.push(table..table.saturating_add(length));
            }
            if section.length <= SHORT_SECTION {
                ranges.push(section.offset..section.offset.saturating_add(section.length));
            }
        }
        self.object.will_read(&ranges);
    }
}

/// Waits for all of some reads, of which each goes on while others wait, or until one fails.
async fn all(mut reads: Vec<Pin<Box<impl Future<Output = Result<()>>>>>) -> Result<()> {
    poll_fn(|context| {
        let mut outcome = Ok(());
        reads.retain_mut(|read| match read.as_mut().poll(context) {
            Poll::Ready(Err(error)) => {
                outcome = Err(error);
                false
            }
            polled => polled.is_pending(),
        });
        match outcome.is_err() || reads.is_empty() {
            true => Poll::Ready(outcome),
            false => Poll::Pending,
        }
    })
    .await
}

/// The whole blocks of a section around some of its bytes.
fn blocks_around(section: &Section, range: &Range<u64>) -> Range<u64> {
    let block_bytes = u64::from(section.block_bytes);
    let end = range.end.div_ceil(block_bytes).saturating_mul(block_bytes);
    range.start / block_bytes * block_bytes..end.min(section.length)
}
