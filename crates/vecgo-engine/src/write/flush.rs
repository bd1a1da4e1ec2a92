//! Memtables become segments beside the writer; the writer then commits a version that names them.

use std::sync::Arc;

use futures_channel::oneshot;
use roaring::RoaringBitmap;
use vecgo_format::{DeleteObject, ObjectName, ObjectRef, SegmentRef};

use super::inbox::Message;
use super::writer::Writer;
use crate::collection::Shared;
use crate::manifest::named_is_missing;
use crate::memtable::{DeadRows, Memtable, MemtableWriter};
use crate::segment::{Built, LiveSegment, Segment, SegmentSource, build};
use crate::{Error, Result};

/// A memtable that takes no more writes.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) table: Arc<Memtable>,
    /// Sequence number of the last write before it was sealed.
    sequence: u64,
    /// Whether a flush of it is running.
    running: bool,
}

/// What a flush made.
#[derive(Debug)]
pub(crate) struct Flushed {
    result: Result<Output>,
}

#[derive(Debug)]
struct Output {
    built: Option<(Built, Segment)>,
    /// Segments whose dead rows changed, with how many are dead, and the object that holds them.
    deletes: Option<(ObjectRef, Vec<(u64, u32)>)>,
}

/// A flush in the making: everything it needs, so that it shares nothing with the writer.
struct Flush {
    shared: Arc<Shared>,
    table: Arc<Memtable>,
    sequence: u64,
    number: u64,
    epoch: u64,
    segments: Vec<(LiveSegment, u32)>,
}

impl Writer {
    pub(super) fn is_full(&self) -> bool {
        self.active.table().bytes() >= self.shared.options.memtable_bytes
            || self.active.rows() >= self.shared.options.memtable_rows
    }

    /// Seals the memtable if it is full or somebody waits for a flush, and starts the flush.
    /// Returns when there is room again: two full memtables are the bound.
    pub(super) async fn flush_if_due(&mut self, waiters: Vec<oneshot::Sender<Result<u64>>>) {
        self.flush_waiters.extend(waiters);
        loop {
            let wanted = self.is_full() || !self.flush_waiters.is_empty();
            // A memtable without rows may still have killed some of segments.
            if wanted
                && self.sealed.is_none()
                && self.sequence > self.flushed_through()
                && let Err(error) = self.seal().await
            {
                self.fail(&error);
            }
            self.start_flush();
            let running = self.sealed.as_ref().is_some_and(|sealed| sealed.running);
            if !running || !self.is_full() {
                break;
            }
            let flushed = self.inbox.take_flushed().await;
            self.flushed(*flushed).await;
            if self.sealed.is_some() {
                // It failed. Writes are refused until one of them finds that it works again.
                break;
            }
        }
        self.answer_flush_waiters();
    }

    fn flushed_through(&self) -> u64 {
        let flushed = self.committed.as_ref().map_or(0, |c| c.manifest.log.flushed);
        self.sealed.as_ref().map_or(flushed, |sealed| sealed.sequence)
    }

    async fn seal(&mut self) -> Result<()> {
        self.check_alive()?;
        self.tail.roll().await?;
        let next = MemtableWriter::new(self.shared.config.dim(), self.tail.number());
        let table = Arc::clone(std::mem::replace(&mut self.active, next).table());
        self.sealed = Some(Sealed { table, sequence: self.sequence, running: false });
        self.publish_view();
        Ok(())
    }

    fn start_flush(&mut self) {
        if self.check_alive().is_err() {
            return;
        }
        let number = self.next_segment;
        let Some(sealed) = self.sealed.as_mut().filter(|sealed| !sealed.running) else { return };
        sealed.running = true;
        self.next_segment += 1;
        let flush = Flush {
            shared: Arc::clone(&self.shared),
            table: Arc::clone(&sealed.table),
            sequence: sealed.sequence,
            number,
            epoch: self.epoch,
            segments: self
                .segments
                .iter()
                .map(|(live, named)| (live.clone(), named.dead_rows))
                .collect(),
        };
        let inbox = Arc::clone(&self.inbox);
        self.shared.env.spawn.spawn(Box::pin(async move {
            let result = flush.run().await;
            inbox.send_now(Message::Flushed(Box::new(Flushed { result })));
        }));
    }

    /// Names what a flush made in a new version.
    pub(super) async fn flushed(&mut self, flushed: Flushed) {
        let installed = match flushed.result {
            Ok(output) => self.install(output).await,
            Err(error) => Err(error),
        };
        match installed {
            Ok(()) => *self.shared.flush_failure.lock() = None,
            Err(error) => {
                // The memtable is still whole: the next write, commit or flush tries again.
                if let Some(sealed) = &mut self.sealed {
                    sealed.running = false;
                }
                let error = error.context("flush failed");
                for waiter in self.flush_waiters.drain(..) {
                    let _ = waiter.send(Err(error.clone()));
                }
                *self.shared.flush_failure.lock() = Some(error);
            }
        }
    }

    async fn install(&mut self, output: Output) -> Result<()> {
        self.check_alive()?;
        let Some(sealed) = self.sealed.take() else {
            return Err(Error::internal("a flush of nothing"));
        };
        let before = self.segments.clone();
        if let Some((object, changed)) = output.deletes {
            for (number, dead_rows) in changed {
                for (_, named) in self.segments.iter_mut().filter(|(_, n)| n.number == number) {
                    named.deletes = Some(object);
                    named.dead_rows = dead_rows;
                }
            }
        }
        if let Some((built, segment)) = output.built {
            let dead = DeadRows::default();
            for (row, killed) in sealed.table.dead.after(sealed.sequence) {
                let place = built.rows.binary_search(&row).ok();
                if let Some(place) = place.and_then(|place| u32::try_from(place).ok()) {
                    dead.kill(place, killed);
                }
            }
            let named = SegmentRef {
                number: segment.number,
                object: built.object,
                directory: built.directory,
                deletes: None,
                dead_rows: 0,
            };
            let live = LiveSegment { segment: Arc::new(segment), dead: Arc::new(dead) };
            self.segments.push((live, named));
        }
        let segments = self.segments.iter().map(|(_, named)| named.clone()).collect();
        let range = self.log_range(sealed.sequence);
        if let Err(error) = self.put_manifest(range, segments).await {
            self.segments = before;
            self.sealed = Some(sealed);
            return Err(error);
        }
        Ok(())
    }

    fn answer_flush_waiters(&mut self) {
        let idle = self.sealed.is_none() && self.sequence == self.flushed_through();
        let answer = match self.check_alive() {
            Err(error) => Err(error),
            Ok(()) if idle => Ok(self.committed.as_ref().map_or(0, |c| c.manifest.number)),
            Ok(()) => return,
        };
        for waiter in self.flush_waiters.drain(..) {
            let _ = waiter.send(answer.clone());
        }
    }
}

impl Flush {
    async fn run(self) -> Result<Output> {
        let built = self.build().await?;
        let deletes = self.write_deletes().await?;
        Ok(Output { built, deletes })
    }

    fn name(&self) -> ObjectName {
        ObjectName { epoch: self.epoch, random: self.shared.env.rand.next_u64() }
    }

    async fn build(&self) -> Result<Option<(Built, Segment)>> {
        let (shared, name) = (&self.shared, self.name());
        let store = &*shared.env.store;
        let metric = shared.config.metric();
        let built =
            build(store, shared.names, name, self.number, metric, &self.table, self.sequence)
                .await?;
        let Some(built) = built else { return Ok(None) };
        let source = SegmentSource {
            store: Arc::clone(&shared.env.store),
            cache: Arc::clone(&shared.env.cache),
            key: shared.names.segment(name),
        };
        let named = SegmentRef {
            number: self.number,
            object: built.object,
            directory: built.directory.clone(),
            deletes: None,
            dead_rows: 0,
        };
        let segment = Segment::open(source, &named).await;
        let segment = segment.map_err(|error| named_is_missing(error, "the flush"))?;
        Ok(Some((built, segment)))
    }

    /// One delete object for all segments that lost rows since their last one.
    async fn write_deletes(&self) -> Result<Option<(ObjectRef, Vec<(u64, u32)>)>> {
        let mut object = DeleteObject::default();
        let mut changed = Vec::new();
        for (live, known) in &self.segments {
            if live.dead.count_at(self.sequence) == u64::from(*known) {
                continue;
            }
            let rows: RoaringBitmap = live.dead.rows_at(self.sequence);
            changed.push((live.segment.number, u32::try_from(rows.len()).unwrap_or(u32::MAX)));
            object.dead.insert(live.segment.number, rows);
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let (bytes, checksum) = object.encode();
        let name = self.name();
        let key = self.shared.names.deletes(name);
        let mut writer = self.shared.env.store.create(&key).await?;
        writer.write(&bytes).await?;
        writer.finish().await?;
        let length = bytes.len() as u64;
        Ok(Some((ObjectRef { name, length, checksum }, changed)))
    }
}
