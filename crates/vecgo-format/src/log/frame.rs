use super::LogPosition;
use crate::checksum::{chain, checksum};
use crate::codec::{Decoder, Encoder};
use crate::{FormatError, Id};

pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"VGFR");
/// Mark, body length, first sequence, count, synced_through, checksum of the body.
const COVERED_HEADER: usize = 36;
/// The same and their checksum.
pub(super) const HEADER: usize = COVERED_HEADER + 8;
const WHAT: &str = "log frame";

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// Which older row a write replaced, as far as the writer knew: a hint that spares whoever reads
/// the log later a search for the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// The id was not in the collection.
    Nothing,
    /// A row of a segment.
    Segment {
        /// The segment's number.
        segment: u64,
        /// The row within it.
        row: u32,
    },
    /// A row that was in a memtable.
    Log {
        /// Number of the first log of that memtable.
        number: u64,
    },
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Op<'a> {
    /// The record that the id now names.
    Put {
        /// The id.
        id: Id,
        /// What it replaces.
        kill: Kill,
        /// `dim` little-endian f32.
        vector: &'a [u8],
        /// An encoded document.
        document: &'a [u8],
        /// Bytes stored with the record.
        payload: Option<&'a [u8]>,
    },
    /// The id names nothing any more.
    Delete {
        /// The id.
        id: Id,
        /// What it removes.
        kill: Kill,
    },
}

/// Encodes one batch.
#[derive(Debug)]
pub struct FrameBuilder {
    body: Encoder,
    first_sequence: u64,
    count: u32,
}

impl FrameBuilder {
    /// A batch whose first write has sequence number `first_sequence`.
    pub fn new(first_sequence: u64) -> Self {
        Self { body: Encoder::new(), first_sequence, count: 0 }
    }

    /// Sequence number of the last write, or of the one before an empty batch.
    pub fn last_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(self.count.into()).saturating_sub(1)
    }

    /// Adds a record. `vector` is stored little-endian.
    pub fn put(
        &mut self,
        id: &Id,
        kill: Kill,
        vector: &[f32],
        document: &[u8],
        payload: Option<&[u8]>,
    ) {
        self.body.u8(PUT);
        id.encode(&mut self.body);
        self.kill(kill);
        self.body.bytes(document);
        match payload {
            None => self.body.u8(0),
            Some(payload) => {
                self.body.u8(1);
                self.body.bytes(payload);
            }
        }
        for value in vector {
            self.body.raw(&value.to_le_bytes());
        }
        self.count = self.count.saturating_add(1);
    }

    /// Adds a deletion.
    pub fn delete(&mut self, id: &Id, kill: Kill) {
        self.body.u8(DELETE);
        id.encode(&mut self.body);
        self.kill(kill);
        self.count = self.count.saturating_add(1);
    }

    fn kill(&mut self, kill: Kill) {
        match kill {
            Kill::Nothing => self.body.u8(0),
            Kill::Segment { segment, row } => {
                self.body.u8(1);
                self.body.u64(segment);
                self.body.u32(row);
            }
            Kill::Log { number } => {
                self.body.u8(2);
                self.body.u64(number);
            }
        }
    }

    /// Appends the frame to `out` and gives the position after it. `log` is the checksum of the
    /// log's header, `before` is where the frame goes, and `synced_through` the last sequence
    /// number known durable.
    ///
    /// # Errors
    /// A batch of 4 GiB or more has no frame; the writer's own limit is far below.
    pub fn finish(
        self,
        log: u64,
        before: LogPosition,
        synced_through: u64,
        out: &mut Vec<u8>,
    ) -> Result<LogPosition, FormatError> {
        let body = self.body.finish();
        let Ok(length) = u32::try_from(body.len()) else {
            let detail = format!("{} bytes; expected fewer than 4 GiB", body.len());
            return Err(FormatError::Invalid { what: WHAT, offset: 0, detail });
        };
        let mut covered = Encoder::new();
        covered.u32(MAGIC);
        covered.u32(length);
        covered.u64(self.first_sequence);
        covered.u32(self.count);
        covered.u64(synced_through);
        covered.u64(checksum(&body));
        let covered = covered.finish();
        let sum = header_checksum(log, &covered);
        out.extend_from_slice(&covered);
        out.extend_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(&body);
        Ok(LogPosition {
            length: before.length.saturating_add((HEADER + body.len()) as u64),
            checksum: chain(before.checksum, sum),
        })
    }
}

/// A frame belongs to one log: without the log's own checksum, which covers a nonce, bytes that a
/// user stores cannot pass for one.
fn header_checksum(log: u64, covered: &[u8]) -> u64 {
    chain(log, checksum(covered))
}

/// The header of a frame, verified on its own, so that looking for one reads no bodies.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameHeader {
    length: usize,
    first_sequence: u64,
    count: u32,
    pub(super) synced_through: u64,
    body: u64,
    checksum: u64,
}

impl FrameHeader {
    /// The header that begins at `bytes[0]`, if one of this log does.
    pub(super) fn read(bytes: &[u8], log: u64) -> Option<Self> {
        let mut header = Decoder::new(WHAT, bytes);
        if header.u32().ok()? != MAGIC {
            return None;
        }
        let header = Self {
            length: usize::try_from(header.u32().ok()?).ok()?,
            first_sequence: header.u64().ok()?,
            count: header.u32().ok()?,
            synced_through: header.u64().ok()?,
            body: header.u64().ok()?,
            checksum: header.u64().ok()?,
        };
        (header_checksum(log, &bytes[..COVERED_HEADER]) == header.checksum).then_some(header)
    }
}

/// One batch as it stands in the log.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// Sequence number of its first write; the others follow it one by one.
    pub first_sequence: u64,
    /// How many writes it holds.
    pub count: u32,
    /// The last sequence number that was known durable when the frame was written.
    pub synced_through: u64,
    /// The position after the frame.
    pub end: LogPosition,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The sequence number of the last write, or of the one before an empty frame.
    pub fn last_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(self.count.into()).saturating_sub(1)
    }

    /// The whole frame that begins at `bytes[0]`, if one of this log does.
    pub(super) fn read(bytes: &'a [u8], log: u64, before: LogPosition) -> Option<Self> {
        let header = FrameHeader::read(bytes, log)?;
        let body = bytes.get(HEADER..)?.get(..header.length)?;
        if checksum(body) != header.body {
            return None;
        }
        let end = LogPosition {
            length: before.length.checked_add(u64::try_from(HEADER + header.length).ok()?)?,
            checksum: chain(before.checksum, header.checksum),
        };
        let FrameHeader { first_sequence, count, synced_through, .. } = header;
        Some(Self { first_sequence, count, synced_through, end, body })
    }

    /// The same batch, to be written to another log.
    pub fn again(&self) -> FrameBuilder {
        let mut body = Encoder::new();
        body.raw(self.body);
        FrameBuilder { body, first_sequence: self.first_sequence, count: self.count }
    }

    /// The writes, in order. `dim` is the collection's.
    ///
    /// # Errors
    /// [`FormatError`] at the first write that is not one, or if their number is not `count`.
    pub fn ops(&self, dim: usize) -> Result<Vec<Op<'a>>, FormatError> {
        let mut bytes = Decoder::new(WHAT, self.body);
        let mut ops = Vec::new();
        for _ in 0..self.count {
            ops.push(decode_op(&mut bytes, dim)?);
        }
        bytes.expect_end()?;
        Ok(ops)
    }
}

fn decode_op<'a>(bytes: &mut Decoder<'a>, dim: usize) -> Result<Op<'a>, FormatError> {
    match bytes.u8()? {
        PUT => {
            let id = Id::decode(bytes)?;
            let kill = decode_kill(bytes)?;
            let document = bytes.bytes()?;
            let payload = match bytes.u8()? {
                0 => None,
                1 => Some(bytes.bytes()?),
                tag => return Err(bytes.invalid(format!("payload tag {tag}, expected 0 or 1"))),
            };
            let vector = bytes.raw(dim.saturating_mul(4))?;
            Ok(Op::Put { id, kill, vector, document, payload })
        }
        DELETE => Ok(Op::Delete { id: Id::decode(bytes)?, kill: decode_kill(bytes)? }),
        tag => Err(bytes.unknown(format!("write of kind {tag}"))),
    }
}

fn decode_kill(bytes: &mut Decoder<'_>) -> Result<Kill, FormatError> {
    match bytes.u8()? {
        0 => Ok(Kill::Nothing),
        1 => Ok(Kill::Segment { segment: bytes.u64()?, row: bytes.u32()? }),
        2 => Ok(Kill::Log { number: bytes.u64()? }),
        tag => Err(bytes.unknown(format!("hint of kind {tag}"))),
    }
}

/// The vector of an [`Op::Put`] or of a segment, from its little-endian bytes.
pub fn vector_of(bytes: &[u8]) -> Vec<f32> {
    let value = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    bytes.chunks_exact(4).map(value).collect()
}
