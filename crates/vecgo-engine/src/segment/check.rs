use std::ops::Range;

use vecgo_format::{
    BlockChecksums, FormatError, RunningChecksum, SEGMENT_HEADER_BYTES, SegmentRef, segment_header,
};

/// Checks a segment whose bytes go by from the first to the last: its header, every block against its table,
/// every table against the directory, and the directory. Padding may be anything.
#[derive(Debug)]
pub(crate) struct SegmentCheck {
    at: u64,
    length: u64,
    parts: Vec<(Range<u64>, Part)>,
}

#[derive(Debug)]
enum Part {
    /// Bytes that are known.
    Known { sum: RunningChecksum, expected: Vec<u8> },
    /// A section: the checksum of the table that its blocks should have.
    Blocks { blocks: BlockChecksums, expected: u64 },
    /// A table and its checksum.
    Table { sum: RunningChecksum, expected: u64 },
}

impl SegmentCheck {
    /// Of a segment that a manifest names.
    pub(crate) fn new(named: &SegmentRef) -> Self {
        let (directory, length) = (&named.directory, named.object.length);
        let known = |expected| Part::Known { sum: RunningChecksum::default(), expected };
        let header = segment_header(named.made_in, named.number);
        let mut parts = vec![(0..SEGMENT_HEADER_BYTES, known(header))];
        for section in &directory.sections {
            let expected = section.table_checksum;
            let range = section.offset..section.offset.saturating_add(section.length);
            let blocks = BlockChecksums::new(section.block_bytes);
            parts.push((range, Part::Blocks { blocks, expected }));
            let end = section.blocks().saturating_mul(8).saturating_add(section.table_offset);
            let sum = RunningChecksum::default();
            parts.push((section.table_offset..end, Part::Table { sum, expected }));
        }
        let mut end = directory.encode();
        end.extend(directory.trailer());
        parts.push((length.saturating_sub(end.len() as u64)..length, known(end)));
        Self { at: 0, length, parts }
    }

    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let here = self.at..self.at.saturating_add(bytes.len() as u64);
        for (range, part) in &mut self.parts {
            let (start, end) = (range.start.max(here.start), range.end.min(here.end));
            if start >= end {
                continue;
            }
            let place = |at: u64| usize::try_from(at - here.start).unwrap_or(usize::MAX);
            let bytes = bytes.get(place(start)..place(end)).unwrap_or_default();
            match part {
                Part::Known { sum, .. } | Part::Table { sum, .. } => sum.feed(bytes),
                Part::Blocks { blocks, .. } => blocks.feed(bytes),
            }
        }
        self.at = here.end;
    }

    /// Whether all of them were as they should be.
    ///
    /// # Errors
    /// What was not, and where it begins.
    pub(crate) fn finish(&mut self) -> Result<(), FormatError> {
        let what = "segment";
        if self.at != self.length {
            let detail = format!("{} bytes, expected {}", self.at, self.length);
            return Err(FormatError::Invalid { what, offset: 0, detail });
        }
        for (range, part) in self.parts.drain(..) {
            let (found, expected) = match part {
                Part::Known { sum, expected } => (sum.finish(), vecgo_format::checksum(&expected)),
                Part::Table { sum, expected } => (sum.finish(), expected),
                Part::Blocks { blocks, expected } => {
                    (vecgo_format::checksum(&blocks.finish()), expected)
                }
            };
            if found != expected {
                let offset = usize::try_from(range.start).unwrap_or(usize::MAX);
                return Err(FormatError::Checksum { what, offset, expected, found });
            }
        }
        Ok(())
    }
}
