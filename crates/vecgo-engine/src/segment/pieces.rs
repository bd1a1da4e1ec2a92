//! Reading sections in large verified pieces, past the cache: front to back, or many parts at once.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use event_listener::Event;
use vecgo_format::{FormatError, Id, IdColumn, Section, SectionKind, Spans};
use vecgo_io::StoreError;
use vecgo_kernels::PageBuf;

use super::Segment;
use crate::{Error, ErrorKind, Result};

/// Bytes read at a time where reading goes on where it was.
const PIECE_BYTES: u64 = 4 << 20;
/// The same of documents and payloads: a piece of each segment that is merged is held to the end.
const BLOB_PIECE_BYTES: u64 = 256 << 10;

/// Tells work that takes long to come to an end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<(AtomicBool, Event)>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.0.store(true, Ordering::Release);
        self.0.1.notify(usize::MAX);
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.0.0.load(Ordering::Acquire) {
            true => Err(Error::closed()),
            false => Ok(()),
        }
    }

    /// Waits for something, unless there is to be an end.
    pub(crate) async fn or<T>(&self, result: impl Future<Output = Result<T>>) -> Result<T> {
        let stopped = async {
            self.stopped().await;
            Err(Error::closed())
        };
        futures_lite::future::or(stopped, result).await
    }

    /// Returns once there is to be an end.
    pub(crate) async fn stopped(&self) {
        let told = self.0.1.listen();
        if self.check().is_ok() {
            told.await;
        }
    }
}

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

impl Segment {
    /// Where the store does not keep open what is deleted, whoever reads for longer than the grace of
    /// a vacuum finds that its version is gone.
    pub(super) async fn read_object(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.count_read(out.len());
        self.object.read_into(offset, out).await.map_err(gone)
    }

    /// Reads and verifies. What was kept of the store's bytes elsewhere may have been damaged on its way: if it is
    /// not as it should be it is forgotten, and what the store holds is read.
    pub(super) async fn read_verified(
        &self,
        offset: u64,
        out: &mut [u8],
        verify: impl Fn(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.read_object(offset, out).await?;
        match verify(out) {
            Err(_) if self.is_far => {
                self.object.forget(offset..offset.saturating_add(out.len() as u64));
                self.read_object_past(offset, out).await?;
                verify(out)
            }
            verified => verified,
        }
    }

    /// The same of what the store holds now, whatever was kept of it elsewhere.
    pub(super) async fn read_object_past(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.count_read(out.len());
        self.object.read_past(offset, out).await.map_err(gone)
    }

    /// Whether a section has these bytes.
    pub(super) fn check_within(&self, section: &Section, range: &Range<u64>) -> Result<()> {
        if range.end <= section.length {
            return Ok(());
        }
        let detail = format!("bytes {range:?} of a section of {}", section.length);
        let error = FormatError::Invalid { what: "segment", offset: 0, detail };
        Err(Error::format(&self.key, error))
    }

    /// Reads some ranges of a section past the cache of blocks, all at once.
    pub(crate) async fn read_runs(&self, kind: SectionKind, ranges: &[Range<u64>]) -> Result<Runs> {
        let (index, section) = self.section(kind)?;
        ranges.iter().try_for_each(|range| self.check_within(section, range))?;
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

    fn count_read(&self, bytes: usize) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
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

fn gone(error: StoreError) -> Error {
    let error = Error::from(error);
    match error.kind() {
        ErrorKind::NotFound => {
            let gone = "the version that was being read is not kept any more";
            error.with_kind(ErrorKind::VersionGone).context(gone)
        }
        _ => error,
    }
}

/// A part of one section in memory, which moves on as it is read.
#[derive(Debug)]
pub(super) struct SectionReader<'a> {
    segment: &'a Segment,
    index: usize,
    section: &'a Section,
    stop: &'a Stop,
    /// Bytes read at a time.
    piece: u64,
    /// Where in the section `bytes` begin: at a block.
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> SectionReader<'a> {
    pub(super) fn open(segment: &'a Segment, kind: SectionKind, stop: &'a Stop) -> Result<Self> {
        let (index, section) = segment.section(kind)?;
        let (piece, bytes) = (PIECE_BYTES, Vec::new());
        Ok(Self { segment, index, section, stop, piece, start: 0, bytes })
    }

    /// So many bytes of the section.
    pub(super) async fn read(&mut self, at: u64, length: usize) -> Result<&[u8]> {
        let end = at.saturating_add(length as u64);
        self.segment.check_within(self.section, &(at..end))?;
        let held = self.start + self.bytes.len() as u64;
        if at < self.start || end > held {
            // Far from where reading was, only what is asked for.
            let goes_on = (self.start..=held.saturating_add(self.piece)).contains(&at);
            self.load(at, if goes_on { end.max(at + self.piece) } else { end }).await?;
        }
        let first = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(first..first.saturating_add(length)).unwrap_or_default())
    }

    /// Reads and verifies the blocks from that of `at` on that cover what ends at `end`.
    async fn load(&mut self, at: u64, end: u64) -> Result<()> {
        self.stop.check()?;
        let block_bytes = u64::from(self.section.block_bytes);
        let first = at / block_bytes;
        let end = end.next_multiple_of(block_bytes).min(self.section.length);
        let length = end.saturating_sub(first * block_bytes);
        let table = self.segment.table(self.index).await?;
        // Nothing is held should this fail.
        self.bytes.clear();
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        let offset = self.section.offset + first * block_bytes;
        self.segment.read_object_past(offset, &mut bytes).await?;
        let number = usize::try_from(first).unwrap_or(usize::MAX);
        for (number, block) in (number..).zip(bytes.chunks(self.section.block_bytes as usize)) {
            self.segment.check_block(block, number, self.section, table)?;
        }
        (self.start, self.bytes) = (first * block_bytes, bytes);
        Ok(())
    }
}

/// Reads ids.
#[derive(Debug)]
pub(super) struct IdReader<'a> {
    segment: &'a Segment,
    entries: SectionReader<'a>,
    /// Which ids are texts, and the texts, if any are.
    texts: Option<(SectionReader<'a>, SectionReader<'a>)>,
}

impl<'a> IdReader<'a> {
    pub(super) fn open(segment: &'a Segment, stop: &'a Stop) -> Result<Self> {
        let texts = match segment.has(SectionKind::IdKinds) {
            true => Some((
                SectionReader::open(segment, SectionKind::IdKinds, stop)?,
                SectionReader::open(segment, SectionKind::IdText, stop)?,
            )),
            false => None,
        };
        let entries = SectionReader::open(segment, SectionKind::Ids, stop)?;
        Ok(Self { segment, entries, texts })
    }

    pub(super) async fn read(&mut self, row: u32) -> Result<Id> {
        let mut entry = [0; 8];
        entry.copy_from_slice(self.entries.read(u64::from(row) * 8, 8).await?);
        let entry = u64::from_le_bytes(entry);
        let Some((kinds, texts)) = &mut self.texts else { return Ok(Id::Number(entry)) };
        if kinds.read(u64::from(row / 8), 1).await?[0] & (1 << (row % 8)) == 0 {
            return Ok(Id::Number(entry));
        }
        let range = IdColumn::text_range(entry);
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let text = texts.read(range.start, length).await?;
        IdColumn::text_id(text).map_err(|error| Error::format(&self.segment.key, error))
    }
}

/// Reads documents or payloads: where they stand is held whole, they themselves are not.
#[derive(Debug)]
pub(super) struct BlobReader<'a> {
    segment: &'a Segment,
    spans: Vec<u64>,
    /// Absent if the segment has none.
    blobs: Option<SectionReader<'a>>,
}

impl<'a> BlobReader<'a> {
    pub(super) async fn open(
        segment: &'a Segment,
        spans: SectionKind,
        blobs: SectionKind,
        stop: &'a Stop,
    ) -> Result<Self> {
        if !segment.has(spans) {
            return Ok(Self { segment, spans: Vec::new(), blobs: None });
        }
        let mut reader = SectionReader::open(segment, spans, stop)?;
        let mut spans = Vec::with_capacity(segment.rows() as usize + 1);
        for row in 0..=u64::from(segment.rows()) {
            let mut entry = [0; 8];
            entry.copy_from_slice(reader.read(row * 8, 8).await?);
            spans.push(u64::from_le_bytes(entry));
        }
        let blobs = SectionReader::open(segment, blobs, stop)?;
        Ok(Self { segment, spans, blobs: Some(SectionReader { piece: BLOB_PIECE_BYTES, ..blobs }) })
    }

    fn range(&self, row: u32) -> Result<Option<Range<u64>>> {
        let row = row as usize;
        let Some([first, next]) = self.spans.get(row..row + 2).and_then(|s| s.first_chunk()) else {
            return Ok(None);
        };
        let mut entries = [0; Spans::BYTES];
        entries[..8].copy_from_slice(&first.to_le_bytes());
        entries[8..].copy_from_slice(&next.to_le_bytes());
        Spans::range(entries).map_err(|error| Error::format(&self.segment.key, error))
    }

    /// Bytes of the row's value, if it has one.
    pub(super) fn length(&self, row: u32) -> Result<Option<usize>> {
        let range = self.range(row)?;
        Ok(range.map(|range| usize::try_from(range.end - range.start).unwrap_or(usize::MAX)))
    }

    /// The row's value; no bytes if it has none.
    pub(super) async fn read(&mut self, row: u32) -> Result<&[u8]> {
        let range = self.range(row)?.unwrap_or(0..0);
        match &mut self.blobs {
            Some(blobs) if !range.is_empty() => {
                let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                blobs.read(range.start, length).await
            }
            _ => Ok(&[]),
        }
    }
}
