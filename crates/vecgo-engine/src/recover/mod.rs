//! Bringing a version back: segments and dead rows from the manifest, the rest from the log.

mod chain;
mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_lite::future::zip;
use roaring::RoaringBitmap;
use vecgo_format::{
    CollectionNames, Config, DeleteObject, FormatError, FrameBuilder, LogPosition, ObjectRef,
    Previous, SegmentRef,
};
use vecgo_io::{BoxFuture, Charge, Env, SpawnExt, Use};

pub(crate) use chain::check_owner;

use crate::manifest::{Committed, named_is_missing};
use crate::memtable::{DeadRows, MemtableWriter};
use crate::segment::{LiveSegment, Segment, SegmentSource};
use crate::{Error, ErrorKind, Result};

/// How far into the log to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As far as the manifest says: what a reader sees.
    Version,
    /// To its end: what a writer starts from.
    Everything,
}

/// A collection brought back.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) segments: Vec<LiveSegment>,
    pub(crate) memtable: MemtableWriter,
    /// Sequence number of the last write.
    pub(crate) sequence: u64,
    /// What of the log is known to be durable.
    pub(crate) durable: Durable,
    /// The batches after that: they can be read, but nothing says that they outlive the machine.
    pub(crate) unvouched: Vec<FrameBuilder>,
    /// The lowest log number that nothing has.
    pub(crate) free_log: u64,
    /// A log number above all that were ever used.
    pub(crate) next_log: u64,
    /// An epoch above all that were ever used.
    pub(crate) next_epoch: u64,
    /// What was replayed, if it was to be kept.
    pub(crate) logs: Vec<LogBytes>,
}

/// The bytes of a log that belong to what was brought back, up to the end of a frame.
#[derive(Debug)]
pub(crate) struct LogBytes {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
    _charge: Charge,
}

/// A place in the log, and the last write before it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Durable {
    pub(crate) at: Previous,
    pub(crate) sequence: u64,
}

/// What is being brought back, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) env: &'a Env,
    pub(crate) names: CollectionNames,
    pub(crate) config: &'a Config,
    /// The version; `None` for a collection that was never committed.
    pub(crate) committed: Option<&'a Committed>,
    pub(crate) extent: Extent,
    /// Whether to keep the bytes of logs that are replayed.
    pub(crate) keeps_logs: bool,
}

impl Source<'_> {
    /// Brings it back. Segments already open are taken from `known`.
    pub(crate) fn recover<'b>(
        &'b self,
        known: &'b [LiveSegment],
    ) -> BoxFuture<'b, Result<Recovered>> {
        Box::pin(self.bring_back(known))
    }

    async fn bring_back(&self, known: &[LiveSegment]) -> Result<Recovered> {
        if let Some(committed) = self.committed
            && !committed.manifest.config.has_vectors_of(self.config)
        {
            let (found, expected) = (committed.manifest.config, self.config);
            let message = format!("the manifest has {found}, the catalogue {expected}");
            return Err(Error::new(ErrorKind::Corruption, message));
        }
        let refs = self.committed.map_or(&[][..], |committed| &committed.manifest.segments);
        let range = self.committed.map(|committed| committed.manifest.log);
        // At the same time: from afar each takes a round trip.
        let (dead_rows, logs) = zip(self.delete_objects(refs), self.find_logs(range)).await;
        let (dead_rows, logs) = (dead_rows?, logs?);
        let mut segments = Vec::new();
        for named in refs {
            let dead = match &named.deletes {
                None => DeadRows::default(),
                Some(object) => {
                    let read = dead_rows.get(&object.name);
                    DeadRows::from_bitmap(&self.dead_rows(read, object, named)?)
                }
            };
            let segment = self.segment(named, known).await?;
            segments.push(LiveSegment { segment, dead: Arc::new(dead) });
        }
        let first = range.map_or(1, |range| range.first);
        let mut recovered = Recovered {
            segments,
            memtable: self.memtable(first),
            sequence: range.map_or(0, |range| range.flushed),
            // Where no log is left to replay, the next one still follows the last.
            durable: range.map_or(Durable::default(), |range| Durable {
                at: Previous { number: range.last, end: range.end },
                sequence: range.flushed,
            }),
            unvouched: Vec::new(),
            free_log: first,
            next_log: first,
            next_epoch: self.committed.map_or(0, |committed| committed.manifest.epoch) + 1,
            logs: Vec::new(),
        };
        self.replay_logs(&mut recovered, range, logs).await?;
        let expected = self.committed.map_or(0, |committed| committed.manifest.sequence);
        let fits = match self.extent {
            Extent::Version => recovered.sequence == expected,
            Extent::Everything => recovered.sequence >= expected,
        };
        if !fits {
            let found = recovered.sequence;
            let message = format!("the logs end with write {found}, the manifest with {expected}");
            return Err(Error::new(ErrorKind::Corruption, message));
        }
        Ok(recovered)
    }

    fn memtable(&self, first_log: u64) -> MemtableWriter {
        let charge = self.env.memory.take_anyhow(self.used_for(), 0);
        MemtableWriter::new(self.config.dim(), first_log, self.env.rand.next_u64(), charge)
    }

    /// What the memtable is for: a writer can flush it, whoever reads cannot.
    fn used_for(&self) -> Use {
        match self.extent {
            Extent::Version => Use::Segments,
            Extent::Everything => Use::Memtables,
        }
    }

    async fn segment(&self, named: &SegmentRef, known: &[LiveSegment]) -> Result<Arc<Segment>> {
        if let Some(known) = known.iter().find(|known| known.segment.is(named)) {
            return Ok(Arc::clone(&known.segment));
        }
        let source = SegmentSource {
            store: Arc::clone(&self.env.store),
            cache: Arc::clone(&self.env.cache),
            memory: Arc::clone(&self.env.memory),
            names: self.names,
        };
        let opened = Segment::open(source, named).await;
        Ok(Arc::new(opened.map_err(|error| named_is_missing(error, "the manifest"))?))
    }
}

/// Delete objects by name.
type DeleteObjects = BTreeMap<vecgo_format::ObjectName, DeleteObject>;

impl Source<'_> {
    /// Reads the delete objects of some segments, each once however many it serves, and all at the same time.
    async fn delete_objects(&self, segments: &[SegmentRef]) -> Result<DeleteObjects> {
        let mut reading = BTreeMap::new();
        for object in segments.iter().filter_map(|segment| segment.deletes.as_ref()) {
            reading.entry(object.name).or_insert_with(|| {
                let (env, object, names) = (self.env.clone(), *object, self.names);
                self.env.spawn.start(async move {
                    read_deletes(&env, &object, &names.deletes(object.name)).await
                })
            });
        }
        let mut read = BTreeMap::new();
        for (name, task) in reading {
            read.insert(name, task.await.ok_or_else(Error::panicked)??);
        }
        Ok(read)
    }

    /// Rows of a segment that are dead, of the delete object that is named for it.
    fn dead_rows(
        &self,
        read: Option<&DeleteObject>,
        object: &ObjectRef,
        segment: &SegmentRef,
    ) -> Result<RoaringBitmap> {
        let rows = read.and_then(|read| read.dead.get(&segment.number));
        let rows = rows.cloned().unwrap_or_default();
        let beyond = rows.max().is_some_and(|row| row >= segment.directory.rows);
        if beyond || rows.len() != u64::from(segment.dead_rows) {
            let detail = format!(
                "{} dead rows of segment {}, expected {}",
                rows.len(),
                segment.number,
                segment.dead_rows
            );
            let error = FormatError::Invalid { what: "delete object", offset: 0, detail };
            return Err(Error::format(&self.names.deletes(object.name), error));
        }
        Ok(rows)
    }
}

/// Reads a delete object that a manifest names.
pub(crate) async fn read_deletes(env: &Env, object: &ObjectRef, key: &str) -> Result<DeleteObject> {
    let bytes = env.store.get(key).await;
    let bytes = bytes.map_err(|error| named_is_missing(error.into(), "the manifest"))?;
    let (decoded, found) =
        DeleteObject::decode(&bytes).map_err(|error| Error::format(key, error))?;
    if found != object.checksum {
        let (what, expected) = ("delete object", object.checksum);
        return Err(Error::format(key, FormatError::Checksum { what, offset: 0, expected, found }));
    }
    Ok(decoded)
}

/// Where a log must be read up to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// Places that a manifest or a later log says it reached.
    must_reach: [Option<LogPosition>; 2],
    /// Where reading stops, if before the end.
    stop: Option<LogPosition>,
}
