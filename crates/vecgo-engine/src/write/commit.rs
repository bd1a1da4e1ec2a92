use vecgo_format::{LogRange, Manifest, Parent, Previous, SegmentRef};

use super::writer::Writer;
use crate::manifest::{Committed, Decided, decide};
use crate::{Error, ErrorKind, Result};

impl Writer {
    /// Makes every write so far durable and visible to other processes; gives the version that
    /// holds them. Without a write since the last one that is the last version, and 0 for a
    /// collection that never had any.
    pub(super) async fn commit(&mut self) -> Result<u64> {
        self.check_alive()?;
        if let Err(error) = self.tail.sync().await {
            self.fail(&error);
            return Err(match error.kind() {
                ErrorKind::Fenced => error,
                _ => error
                    .with_kind(ErrorKind::OutcomeUnknown)
                    .context("the writes before this commit may or may not survive"),
            });
        }
        let last = self.committed.as_ref().map(|committed| &committed.manifest);
        if last.map_or(0, |manifest| manifest.sequence) == self.tail.synced().sequence {
            return Ok(last.map_or(0, |manifest| manifest.number));
        }
        let segments = self.segments.iter().map(|(_, named)| named.clone()).collect();
        let range = self.log_range(last.map_or(0, |manifest| manifest.log.flushed));
        self.put_manifest(range, segments).await
    }

    /// The logs that a version needs whose memtables begin with the oldest unflushed one.
    pub(super) fn log_range(&self, flushed: u64) -> LogRange {
        let oldest = self.sealed.as_ref().map_or(self.active.table(), |sealed| &sealed.table);
        let first = oldest.first_log;
        let Previous { number: last, end } = self.tail.synced().at;
        // Logs begun since this writer opened are its own.
        let (inherited, epoch) = self.inherited;
        let epoch = if first == inherited { epoch } else { self.epoch };
        LogRange { first, last, epoch, end, flushed }
    }

    /// Commits the version that holds everything durable, and shows it to readers.
    pub(super) async fn put_manifest(
        &mut self,
        log: LogRange,
        segments: Vec<SegmentRef>,
    ) -> Result<u64> {
        let parent = self.committed.as_ref().map_or(Parent::default(), |committed| Parent {
            number: committed.manifest.number,
            checksum: committed.checksum,
        });
        let manifest = Manifest {
            collection: self.shared.names.0,
            number: parent.number + 1,
            epoch: self.epoch,
            nonce: self.shared.env.rand.next_u64(),
            parent,
            created_ms: self.shared.env.clock.wall_ms(),
            sequence: self.tail.synced().sequence,
            oldest: 1,
            next_segment: self.next_segment,
            config: self.shared.config,
            log,
            segments,
        };
        manifest
            .check()
            .map_err(|why| Error::internal(format!("a version that is none: {why}")))?;
        let number = manifest.number;
        let (bytes, checksum) = manifest.encode();
        let key = self.shared.names.manifest(number);
        let decided = match decide(&self.shared.env, &key, bytes.into()).await {
            Ok(Decided::Ours) => Ok(number),
            Ok(Decided::Theirs(_)) => Err(Error::new(
                ErrorKind::Fenced,
                format!("another writer committed version {number} of this collection"),
            )),
            Err(error) => Err(error),
        };
        match &decided {
            Ok(_) => {
                self.committed = Some(Committed { manifest, checksum });
                self.tail.is_named();
                self.publish_view();
            }
            // Its directory is gone: what is acknowledged from now on would be lost.
            Err(error) if error.kind() == ErrorKind::NotFound => self.fail(error),
            Err(error) if matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Fenced) => {
                self.fail(error);
            }
            // Nothing was created, so it can be tried again.
            Err(_) => {}
        }
        decided
    }
}
