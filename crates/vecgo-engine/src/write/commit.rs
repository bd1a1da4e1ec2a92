use std::collections::BTreeMap;

use vecgo_format::{Config, LogRange, Manifest, Parent, Previous, Schema, SegmentRef};

use super::own_log::OwnLog;
use super::writer::Writer;
use crate::manifest::{Committed, Decided, decide};
use crate::query::Snapshot;
use crate::schema::NewSchema;
use crate::{Error, ErrorKind, Result};

/// What a version says beside the rows.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) tags: BTreeMap<String, u64>,
    config: Config,
    schema: Schema,
}

impl Writer {
    /// Makes every write so far durable and visible to other processes; gives the version that
    /// holds them. Without a write since the last one that is the last version, and 0 for a
    /// collection that never had any.
    pub(super) async fn commit(&mut self) -> Result<u64> {
        self.check_alive()?;
        self.sync_log().await?;
        if self.own.is_some() {
            return self.flush_all().await;
        }
        let last = self.committed.as_ref().map(|committed| &committed.manifest);
        if self.committed_sequence() == self.tail.synced().sequence {
            return Ok(last.map_or(0, |manifest| manifest.number));
        }
        let segments = self.segment_refs();
        let range = self.log_range(last.map_or(0, |manifest| manifest.log.flushed));
        self.put_manifest(range, segments).await
    }

    async fn sync_log(&mut self) -> Result<()> {
        let Err(error) = self.tail.sync().await else { return Ok(()) };
        self.fail(&error);
        Err(match error.kind() {
            ErrorKind::Fenced => error,
            _ => error
                .with_kind(ErrorKind::OutcomeUnknown)
                .context("the writes before this commit may or may not survive"),
        })
    }

    /// The logs that a version needs whose memtables begin with the oldest unflushed one.
    pub(super) fn log_range(&self, flushed: u64) -> LogRange {
        if let Some(own) = &self.own {
            return self.log_range_beside(own, flushed);
        }
        let oldest = self.sealed.as_ref().map_or(self.active.table(), |sealed| &sealed.table);
        let first = oldest.first_log;
        let Previous { number: last, end } = self.tail.synced().at;
        // Logs begun since this writer opened are its own.
        let (inherited, epoch) = self.inherited;
        let epoch = if first == inherited { epoch } else { self.epoch };
        LogRange { first, last, epoch, end, flushed }
    }

    /// The same where the log is on a disk of the writer's own, of which no version has any: those that an earlier
    /// writer has left in the store, until they are flushed.
    fn log_range_beside(&self, own: &OwnLog, flushed: u64) -> LogRange {
        let Previous { number: last, end } = own.fence;
        let (first, epoch) = match flushed < own.sequence {
            true => self.inherited,
            false => (last.saturating_add(1), self.epoch),
        };
        LogRange { first, last, epoch, end, flushed }
    }

    /// Commits a version with another schema, if all records meet it.
    pub(super) async fn set_schema(&mut self, change: NewSchema) -> Result<Option<u64>> {
        self.check_alive()?;
        if change.schema == *self.schema() {
            return self.commit().await.map(Some);
        }
        if !change.check(&Snapshot::of(&self.shared)).await? {
            return Ok(None);
        }
        let settings = Settings { schema: change.schema, ..self.settings() };
        self.put_settings(settings).await.map(Some)
    }

    /// Commits a version that says how segments are made from now on.
    pub(super) async fn configure(&mut self, config: Config) -> Result<u64> {
        self.check_alive()?;
        if config == self.config() {
            return self.commit().await;
        }
        let settings = Settings { config, ..self.settings() };
        self.put_settings(settings).await
    }

    /// Commits a version of all writes so far that says something else beside them.
    async fn put_settings(&mut self, settings: Settings) -> Result<u64> {
        match self.own {
            Some(_) => drop(self.flush_all().await?),
            None => self.sync_log().await?,
        }
        let flushed = self.committed.as_ref().map_or(0, |last| last.manifest.log.flushed);
        let (range, segments) = (self.log_range(flushed), self.segment_refs());
        self.put_manifest_with(range, segments, settings).await
    }

    /// Commits the version that holds everything durable, and shows it to readers.
    pub(super) async fn put_manifest(
        &mut self,
        log: LogRange,
        segments: Vec<SegmentRef>,
    ) -> Result<u64> {
        self.put_manifest_with(log, segments, self.settings()).await
    }

    /// Those of the last version.
    pub(super) fn settings(&self) -> Settings {
        let tags = self.committed.as_ref().map(|last| last.manifest.tags.clone());
        let tags = tags.unwrap_or_default();
        Settings { tags, config: self.config(), schema: self.schema().clone() }
    }

    pub(super) fn config(&self) -> Config {
        self.shared.settings_of(self.committed.as_ref()).0
    }

    pub(super) fn schema(&self) -> &Schema {
        self.shared.settings_of(self.committed.as_ref()).1
    }

    /// The same with other settings.
    pub(super) async fn put_manifest_with(
        &mut self,
        log: LogRange,
        segments: Vec<SegmentRef>,
        settings: Settings,
    ) -> Result<u64> {
        let Settings { tags, config, schema } = settings;
        let parent = self.committed.as_ref().map_or(Parent::default(), |committed| Parent {
            number: committed.manifest.number,
            checksum: committed.checksum,
        });
        let before = self.committed.as_ref().map(|committed| &committed.manifest);
        let epoch_began = before.filter(|before| before.epoch == self.epoch);
        let number = parent.number + 1;
        // Later versions are of later times, whatever becomes of the clock.
        let created_ms = self.shared.env.clock.wall_ms();
        let created_ms = before.map_or(created_ms, |before| before.created_ms.max(created_ms));
        let mut manifest = Manifest {
            collection: self.shared.names.0,
            number,
            epoch: self.epoch,
            epoch_began: epoch_began.map_or(number, |before| before.epoch_began),
            nonce: self.shared.env.rand.next_u64(),
            parent,
            created_ms,
            sequence: match &self.own {
                Some(own) => log.flushed.max(own.sequence),
                None => self.tail.synced().sequence,
            },
            oldest: before.map_or(1, |before| before.oldest),
            tags,
            next_segment: self.next_segment,
            config,
            schema,
            log,
            own_log: self.own.as_ref().map_or(0, |own| own.name),
            segments,
            extensions: Default::default(),
        };
        let past = before.map(|before| self.vacuums.past_of(before, &manifest));
        manifest.oldest = self.oldest_kept(&manifest, past, manifest.created_ms);
        manifest
            .check()
            .map_err(|why| Error::internal(format!("a version that is none: {why}")))?;
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
                self.vacuums.committed(past, &manifest, self.shared.env.clock.monotonic());
                self.committed = Some(Committed { manifest, checksum });
                // Of a log of its own a version names nothing, but may hold all.
                if self.own.is_none() || self.committed_sequence() >= self.tail.synced().sequence {
                    self.tail.is_named();
                }
                self.is_committed();
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
