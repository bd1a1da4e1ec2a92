//! A version of a collection: the objects that it consists of.

use std::collections::BTreeMap;

use crate::codec::{Decoder, Encoder};
use crate::envelope::{self, MANIFEST};
use crate::{
    Calibration, Config, Directory, Extensions, FormatError, Identity, Metric, ObjectName, Schema,
    SectionKind, checksum,
};

/// The manifest that another one was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parent {
    /// Its number, 0 if there was none.
    pub number: u64,
    /// Its checksum.
    pub checksum: u64,
}

/// An object that a manifest names, so that it can be checked before it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectRef {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub length: u64,
    /// Checksum of all its bytes; for a segment, of its directory, which holds the rest.
    pub checksum: u64,
}

/// The part of the log that a version contains beside its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// First log to replay. If it is above `last` there is none yet.
    pub first: u64,
    /// Last log to replay, or the last there was.
    pub last: u64,
    /// The epoch in force at the first: a log of an older one is none of these.
    pub epoch: u64,
    /// How far into the last log. Where `last` is before `first`, the log before them may be gone.
    pub end: crate::LogPosition,
    /// Sequence number of the last write that is in segments and no longer in these logs.
    pub flushed: u64,
}

/// One segment of a version.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentRef {
    /// Number by which hints in the log name it; counted through all segments of a collection.
    pub number: u64,
    /// The collection that it was written for, as its header says: another one if this collection is a copy.
    pub made_in: Identity,
    /// The object.
    pub object: ObjectRef,
    /// Its sections, so that opening a version reads no segment.
    pub directory: Directory,
    /// The delete object with its dead rows, if any are dead.
    pub deletes: Option<ObjectRef>,
    /// Rows dead in that object.
    pub dead_rows: u32,
    /// How much of what is nearest searches through its index find, if that was measured.
    pub calibration: Calibration,
    /// What later builds say of it, in this version and all that have it from this one.
    pub extensions: Extensions,
}

/// A version: created once, never changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The collection.
    pub collection: Identity,
    /// The version's number, from 1.
    pub number: u64,
    /// Epoch of the writer that committed it.
    pub epoch: u64,
    /// The first version of that epoch.
    pub epoch_began: u64,
    /// Tells this writer's attempt at the number from every other's.
    pub nonce: u64,
    /// The version before.
    pub parent: Parent,
    /// When it was committed, in milliseconds since 1970.
    pub created_ms: u64,
    /// Sequence number of the last write that the version contains.
    pub sequence: u64,
    /// Oldest version of the unbroken row that ends here. Below it only those are kept that have a
    /// tag or a pin.
    pub oldest: u64,
    /// Older versions that are kept for as long as they have a name.
    pub tags: BTreeMap<String, u64>,
    /// Number for the next segment.
    pub next_segment: u64,
    /// The collection's configuration.
    pub config: Config,
    /// What it says of the fields of documents.
    pub schema: Schema,
    /// The log beside the segments.
    pub log: LogRange,
    /// Name of the log that the writer keeps on a disk of its own, and that goes on from here; 0 if it has none.
    pub own_log: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentRef>,
    /// What later builds say of this version, and of no other.
    pub extensions: Extensions,
}

impl Manifest {
    /// The object's bytes and the checksum that names them.
    pub fn encode(&self) -> (Vec<u8>, u64) {
        let mut out = Encoder::new();
        out.u128(self.collection.0);
        out.u64(self.number);
        out.u64(self.epoch);
        out.u64(self.epoch_began);
        out.u64(self.nonce);
        out.u64(self.parent.number);
        out.u64(self.parent.checksum);
        out.u64(self.created_ms);
        out.u64(self.sequence);
        out.u64(self.oldest);
        out.length(self.tags.len());
        for (name, version) in &self.tags {
            out.bytes(name.as_bytes());
            out.u64(*version);
        }
        out.u64(self.next_segment);
        self.config.encode(&mut out);
        self.schema.encode(&mut out);
        out.u64(self.log.first);
        out.u64(self.log.last);
        out.u64(self.log.epoch);
        out.u64(self.log.end.length);
        out.u64(self.log.end.checksum);
        out.u64(self.log.flushed);
        out.u64(self.own_log);
        out.length(self.segments.len());
        for segment in &self.segments {
            out.u64(segment.number);
            out.u128(segment.made_in.0);
            encode_object(&segment.object, &mut out);
            out.bytes(&segment.directory.encode());
            out.u32(segment.dead_rows);
            match &segment.deletes {
                None => out.u8(0),
                Some(deletes) => {
                    out.u8(1);
                    encode_object(deletes, &mut out);
                }
            }
            segment.calibration.encode(&mut out);
            segment.extensions.encode(&mut out);
        }
        self.extensions.encode(&mut out);
        envelope::seal_and_sum(MANIFEST, &out.finish())
    }

    /// Reads a manifest and the checksum that names its bytes.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u64), FormatError> {
        let (body, sum) = envelope::open(MANIFEST, bytes)?;
        let mut body = Decoder::new(MANIFEST.what, body);
        let mut manifest = Self {
            collection: Identity(body.u128()?),
            number: body.u64()?,
            epoch: body.u64()?,
            epoch_began: body.u64()?,
            nonce: body.u64()?,
            parent: Parent { number: body.u64()?, checksum: body.u64()? },
            created_ms: body.u64()?,
            sequence: body.u64()?,
            oldest: body.u64()?,
            tags: decode_tags(&mut body)?,
            next_segment: body.u64()?,
            config: Config::decode(&mut body)?,
            schema: Schema::decode(&mut body)?,
            log: LogRange {
                first: body.u64()?,
                last: body.u64()?,
                epoch: body.u64()?,
                end: crate::LogPosition { length: body.u64()?, checksum: body.u64()? },
                flushed: body.u64()?,
            },
            own_log: body.u64()?,
            segments: Vec::new(),
            extensions: Extensions::default(),
        };
        for _ in 0..body.length()? {
            manifest.segments.push(decode_segment(&mut body)?);
        }
        manifest.extensions = Extensions::decode(&mut body)?;
        body.expect_end()?;
        manifest.check().map_err(|why| body.invalid(why))?;
        Ok((manifest, sum))
    }
}

impl Manifest {
    /// Whether its parts fit together: a right checksum only says that they were written so.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), String> {
        let Self { number, parent, epoch, log, sequence, .. } = self;
        let next = self.next_segment;
        // Counters that could not be counted on.
        let last = [*number, *epoch, *sequence, next].contains(&u64::MAX);
        if *number == 0 || parent.number >= *number || last {
            let parent = parent.number;
            return Err(format!(
                "version {number} after {parent}, epoch {epoch}, write {sequence}, segment {next}"
            ));
        }
        if self.epoch_began == 0 || self.epoch_began > *number {
            return Err(format!("epoch began at {} in version {number}", self.epoch_began));
        }
        if self.oldest == 0 || self.oldest > *number {
            return Err(format!("versions {} to {number}", self.oldest));
        }
        if let Some((name, version)) = self.tags.iter().find(|(_, version)| **version >= *number) {
            return Err(format!("tag {name:?} of version {version} in version {number}"));
        }
        if log.first == 0 || log.last == u64::MAX {
            return Err(format!("logs {} to {}", log.first, log.last));
        }
        if log.epoch > *epoch {
            return Err(format!("epoch {} in the log of epoch {epoch}", log.epoch));
        }
        if log.flushed > *sequence {
            return Err(format!("flushed through write {} of {sequence}", log.flushed));
        }
        let mut least = 0;
        for SegmentRef { number, directory, deletes, dead_rows, calibration, .. } in &self.segments
        {
            if *number < least || *number >= self.next_segment {
                return Err(format!("segment {number}, next is {}", self.next_segment));
            }
            least = number + 1;
            if *dead_rows > directory.rows || deletes.is_some() != (*dead_rows > 0) {
                return Err(format!(
                    "segment {number} has {dead_rows} dead rows of {}",
                    directory.rows
                ));
            }
            if !directory.config.has_vectors_of(&self.config) {
                return Err(format!("segment {number} has {}", directory.config));
            }
            if !calibration.points().is_empty() && !directory.has_index() {
                return Err(format!("segment {number} has a calibration and no index"));
            }
            let norms = directory.section(SectionKind::Norms).is_some();
            if norms != (self.config.metric() == Metric::Cosine) {
                return Err(format!("segment {number} has norms: {norms}"));
            }
        }
        Ok(())
    }
}

fn decode_tags(bytes: &mut Decoder<'_>) -> Result<BTreeMap<String, u64>, FormatError> {
    let mut tags = BTreeMap::new();
    for _ in 0..bytes.length()? {
        let (name, version) = (bytes.text()?.to_owned(), bytes.u64()?);
        if tags.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(bytes.invalid("tags out of order"));
        }
        tags.insert(name, version);
    }
    Ok(tags)
}

fn encode_object(object: &ObjectRef, out: &mut Encoder) {
    out.u64(object.name.epoch);
    out.u64(object.name.random);
    out.u64(object.length);
    out.u64(object.checksum);
}

fn decode_object(bytes: &mut Decoder<'_>) -> Result<ObjectRef, FormatError> {
    Ok(ObjectRef {
        name: ObjectName { epoch: bytes.u64()?, random: bytes.u64()? },
        length: bytes.u64()?,
        checksum: bytes.u64()?,
    })
}

fn decode_segment(bytes: &mut Decoder<'_>) -> Result<SegmentRef, FormatError> {
    let number = bytes.u64()?;
    let made_in = Identity(bytes.u128()?);
    let object = decode_object(bytes)?;
    let encoded = bytes.bytes()?;
    if checksum(encoded) != object.checksum {
        return Err(bytes.invalid("directory of another segment"));
    }
    let directory = Directory::decode(encoded, object.length)?;
    let dead_rows = bytes.u32()?;
    let deletes = match bytes.u8()? {
        0 => None,
        1 => Some(decode_object(bytes)?),
        tag => return Err(bytes.invalid(format!("delete tag {tag}, expected 0 or 1"))),
    };
    let calibration = Calibration::decode(bytes)?;
    let extensions = Extensions::decode(bytes)?;
    Ok(SegmentRef {
        number,
        made_in,
        object,
        directory,
        deletes,
        dead_rows,
        calibration,
        extensions,
    })
}
