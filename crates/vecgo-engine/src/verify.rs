//! Reading everything there is and checking every checksum, with nothing taken on trust from the
//! part of the engine that wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vecgo_format::{
    CollectionNames, Config, Entry, FormatError, LogEnd, LogPosition, LogRange, LogReader,
    Manifest, ObjectName, Parent, SegmentRef, number_of,
};
use vecgo_io::{Env, Listed, StoreErrorKind};

use crate::manifest::{self, Committed, Kept};
use crate::recover::{check_owner, read_deletes};
use crate::segment::{Segment, SegmentSource};
use crate::vacuum::{pinned, pins};
use crate::{Error, ErrorKind, Result, catalogue};

/// What [`crate::Database::verify`] found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Objects read.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What is not as it was written.
    pub damage: Vec<Damage>,
}

/// An object that is not as it was written, or is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Its key.
    pub key: String,
    /// What was expected and what was found.
    pub message: String,
}

impl VerifyReport {
    fn count(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }

    /// Notes damage; any other failure ends the check.
    fn note(&mut self, key: &str, error: Error) -> Result<()> {
        match error.kind() {
            ErrorKind::Corruption
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::Unavailable => {
                self.damage.push(Damage { key: key.to_owned(), message: error.to_string() });
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// One collection.
pub(crate) async fn verify_collection(env: &Env, entry: &Entry) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let check = Check { env, names: CollectionNames(entry.identity), config: &entry.config };
    check.collection(&mut report).await?;
    Ok(report)
}

pub(crate) async fn verify(env: &Env) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let mut collections = BTreeMap::new();
    let mut oldest = 0;
    for (place, key) in catalogue::list(env).await?.iter().enumerate() {
        match catalogue::read(env, key).await {
            Ok((catalogue, _)) => {
                report.count(catalogue.encode().0.len() as u64);
                if place == 0 {
                    for (name, newer) in &catalogue.newer {
                        report.note(key, catalogue::needs_newer(name, newer))?;
                    }
                    collections = catalogue.collections;
                    oldest = catalogue.oldest;
                }
            }
            // It is not kept, and somebody has deleted it meanwhile.
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && number_of(key).is_ok_and(|number| number < oldest) => {}
            Err(error) => report.note(key, error)?,
        }
    }
    for entry in collections.values() {
        let check = Check { env, names: CollectionNames(entry.identity), config: &entry.config };
        check.collection(&mut report).await?;
    }
    Ok(report)
}

/// Times that a collection is gone through while a writer deletes what grows too old.
const MOST_TRIES: usize = 5;

struct Check<'a> {
    env: &'a Env,
    names: CollectionNames,
    config: &'a Config,
}

/// What is said of logs.
#[derive(Debug, Default)]
struct Vouched {
    /// Places that manifests and later logs say a log reached.
    ends: BTreeMap<u64, BTreeSet<(u64, u64)>>,
    /// The logs of each version that is kept; all others may be gone.
    needed: Vec<LogRange>,
}

impl Vouched {
    fn vouch(&mut self, number: u64, end: LogPosition) {
        self.ends.entry(number).or_default().insert((end.length, end.checksum));
    }

    fn is_needed(&self, number: u64) -> bool {
        let newest = self.needed.iter().map(|range| range.first).max();
        newest.is_none_or(|first| number >= first)
            || self.needed.iter().any(|range| (range.first..=range.last).contains(&number))
    }
}

impl Check<'_> {
    async fn collection(&self, report: &mut VerifyReport) -> Result<()> {
        let mut tries = 0;
        loop {
            let kept = self.kept().await?;
            let mut found = report.clone();
            self.versions(&kept, &mut found).await?;
            tries += 1;
            // What was deleted meanwhile because its version grew too old is no damage.
            let is_clear = found.damage == report.damage || self.kept().await? == kept;
            if is_clear || tries == MOST_TRIES {
                *report = found;
                return Ok(());
            }
        }
    }

    /// The versions that are kept: all, if the newest cannot tell.
    async fn kept(&self) -> Result<Kept> {
        let newest = manifest::newest(&*self.env.store, self.names).await;
        let mut kept = match newest {
            Ok(Some(newest)) => Kept::by(&newest.manifest),
            Ok(None) | Err(_) => Kept::default(),
        };
        if let Ok(pins) = pinned(self.env, self.names, false).await {
            kept.tagged.extend(pins.keys());
        }
        Ok(kept)
    }

    async fn versions(&self, kept: &Kept, report: &mut VerifyReport) -> Result<()> {
        self.pins(report).await?;
        let mut segments: BTreeMap<ObjectName, SegmentRef> = BTreeMap::new();
        let mut deletes = BTreeMap::new();
        let mut vouched = Vouched::default();
        let store = &*self.env.store;
        let mut parent: Option<Parent> = None;
        let listed = manifest::list(store, self.names).await?;
        let mut last_write = 0;
        for key in &listed {
            let Committed { manifest, checksum } =
                match manifest::read(store, self.names, key).await {
                    Ok(committed) => committed,
                    // A vacuum is under way.
                    Err(error)
                        if error.kind() == ErrorKind::NotFound
                            && number_of(key).is_ok_and(|number| !kept.has(number)) =>
                    {
                        continue;
                    }
                    Err(error) => {
                        report.note(key, error)?;
                        continue;
                    }
                };
            report.count(manifest.encode().0.len() as u64);
            last_write = last_write.max(manifest.sequence);
            if parent.is_none() {
                self.unbroken(&manifest, &listed, report)?;
            }
            let this = Parent { number: manifest.number, checksum };
            if parent.is_some_and(|parent| parent.number == this.number && parent != this) {
                let message = format!("{key}: not the version that the next one was made from");
                report.note(key, Error::new(ErrorKind::Corruption, message))?;
            }
            parent = Some(manifest.parent);
            // Of one that is not kept the manifest alone is left for certain.
            if !kept.has(manifest.number) {
                continue;
            }
            vouched.needed.push(manifest.log);
            if manifest.log.end.length > 0 {
                vouched.vouch(manifest.log.last, manifest.log.end);
            }
            for segment in manifest.segments {
                deletes.extend(segment.deletes.map(|object| (object.name, object)));
                segments.insert(segment.object.name, segment);
            }
        }
        for (name, segment) in &segments {
            let key = self.names.segment(*name);
            match self.segment(segment).await {
                Ok(bytes) => report.count(bytes),
                Err(error) => report.note(&key, error)?,
            }
        }
        for (name, object) in &deletes {
            let key = self.names.deletes(*name);
            match read_deletes(self.env, object, &key).await {
                Ok(_) => report.count(object.length),
                Err(error) => report.note(&key, error)?,
            }
        }
        self.logs(vouched, last_write, report).await
    }

    /// Whether all versions are there that the newest says are kept. Tells the first that is
    /// missing before each that is there.
    fn unbroken(
        &self,
        newest: &Manifest,
        listed: &[String],
        report: &mut VerifyReport,
    ) -> Result<()> {
        let numbers = listed.iter().filter_map(|key| number_of(key).ok());
        let kept = numbers.filter(|number| (newest.oldest..=newest.number).contains(number));
        let mut expected = newest.number;
        for number in kept.chain([newest.oldest.saturating_sub(1)]) {
            if number < expected {
                let key = self.names.manifest(expected);
                let message = format!("{key}: gone, though version {} keeps it", newest.number);
                report.note(&key, Error::new(ErrorKind::NotFound, message))?;
            }
            expected = number.saturating_sub(1);
        }
        Ok(())
    }

    async fn pins(&self, report: &mut VerifyReport) -> Result<()> {
        for key in pins::list(self.env, self.names).await? {
            match pins::read(self.env, self.names, &key).await {
                Ok(pin) => pin.iter().for_each(|(_, bytes)| report.count(*bytes)),
                Err(error) => report.note(&key, error)?,
            }
        }
        Ok(())
    }

    async fn segment(&self, named: &SegmentRef) -> Result<u64> {
        let source = SegmentSource {
            store: Arc::clone(&self.env.store),
            cache: Arc::clone(&self.env.cache),
            memory: Arc::clone(&self.env.memory),
            names: self.names,
        };
        let verified = Segment::open(source, named).await?.verify().await;
        // Where an object is not held open that it is gone is found when it is read.
        verified.map_err(|error| match error.kind() {
            ErrorKind::VersionGone => error.with_kind(ErrorKind::NotFound),
            _ => error,
        })
    }

    /// Reads the logs from the last to the first: each says where the one before it ended.
    async fn logs(
        &self,
        mut vouched: Vouched,
        mut last_write: u64,
        report: &mut VerifyReport,
    ) -> Result<()> {
        let mut broken = Vec::new();
        let mut listed = self.env.store.list(&self.names.logs()).await?;
        while let Some(Listed { key, length }) = listed.pop() {
            let number = self.names.log_number(&key).ok();
            let Some(number) = number.filter(|n| self.names.log(*n) == key) else { continue };
            let must_reach = vouched.ends.remove(&number).unwrap_or_default();
            let bytes = match self.env.store.get(&key).await {
                Ok(bytes) => bytes,
                // A vacuum is under way.
                Err(error)
                    if error.kind() == StoreErrorKind::NotFound && !vouched.is_needed(number) =>
                {
                    continue;
                }
                Err(error) => {
                    report.note(&key, error.into())?;
                    continue;
                }
            };
            match LogReader::open(&bytes) {
                Ok(log) => match self.log(&key, log, must_reach, &mut vouched) {
                    Ok(last) => {
                        last_write = last_write.max(last);
                        report.count(length);
                    }
                    Err(error) => report.note(&key, error)?,
                },
                Err(error @ FormatError::Version { .. }) => {
                    report.note(&key, Error::format(&key, error))?;
                }
                Err(_) if must_reach.is_empty() => {
                    broken.push((key, LogReader::durable_despite_header(&bytes)));
                }
                Err(error) => report.note(&key, Error::format(&key, error))?,
            }
        }
        // One without a header was cut short by a crash, unless its frames say that more was
        // durable than there is.
        for (key, durable) in broken {
            if durable.is_some_and(|durable| durable > last_write) {
                let detail = "its header is broken, though frames in it were durable".to_owned();
                let error = FormatError::Invalid { what: "log", offset: 0, detail };
                report.note(&key, Error::format(&key, error))?;
            }
        }
        for number in vouched.ends.keys().copied().filter(|number| vouched.is_needed(*number)) {
            let key = self.names.log(number);
            let message = format!("{key}: gone, though named");
            report.note(&key, Error::new(ErrorKind::NotFound, message))?;
        }
        Ok(())
    }

    /// Checks one log and gives the last write in it.
    fn log(
        &self,
        key: &str,
        mut log: LogReader<'_>,
        mut must_reach: BTreeSet<(u64, u64)>,
        vouched: &mut Vouched,
    ) -> Result<u64> {
        let format = |error| Error::format(key, error);
        check_owner(self.names, key, log.header())?;
        let previous = log.header().previous;
        if previous.number > 0 {
            vouched.vouch(previous.number, previous.end);
        }
        loop {
            let position = log.position();
            must_reach.remove(&(position.length, position.checksum));
            let Some(frame) = log.next_frame() else { break };
            frame.ops(self.config.dim()).map_err(format)?;
        }
        let invalid = |offset: u64, detail: String| {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            format(FormatError::Invalid { what: "log", offset, detail })
        };
        if let Some((end, _)) = must_reach.first() {
            let detail = format!("it does not hold what was committed up to byte {end}");
            return Err(invalid(log.position().length, detail));
        }
        match log.end() {
            LogEnd::Damaged { offset, synced_through } => {
                Err(invalid(offset, format!("broken, though durable through {synced_through}")))
            }
            LogEnd::Clean | LogEnd::Torn { .. } => Ok(log.next_sequence().saturating_sub(1)),
        }
    }
}
