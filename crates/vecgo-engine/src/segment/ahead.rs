//! What is asked for before it is read, so that no read waits for the one before it.

use std::collections::BTreeMap;
use std::ops::Range;

use vecgo_format::{SEGMENT_HEADER_BYTES, SectionKind};
use vecgo_io::BlockKey;

use super::Segment;

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
    pub(super) fn will_read_vectors(&self, rows: impl Iterator<Item = u32>) {
        let Some(section) = self.directory.section(SectionKind::Vectors) else { return };
        let (row_bytes, block_bytes) = (self.dim() as u64 * 4, u64::from(section.block_bytes));
        let blocks = rows.flat_map(|row| {
            let start = u64::from(row) * row_bytes;
            start / block_bytes..=(start + row_bytes - 1) / block_bytes
        });
        let mut ranges: Vec<Range<u64>> = blocks
            .map(|block| section.offset + block * block_bytes)
            .filter(|start| !self.cache.has(BlockKey { object: self.cached_as, offset: *start }))
            .map(|start| start..(start + block_bytes).min(section.offset + section.length))
            .collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup();
        if !ranges.is_empty() {
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
