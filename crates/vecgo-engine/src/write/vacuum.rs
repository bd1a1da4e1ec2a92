//! The writer's part of a vacuum: each version that it commits says which are kept, and once enough
//! are gone what only they name is deleted beside it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use vecgo_format::{LogRange, Manifest, SegmentRef};

use super::beside::Ended;
use super::flush::Backoff;
use super::inbox::TagChange;
use super::merge::Waiter;
use super::writer::Writer;
use crate::manifest::{Kept, no_tag, version_gone};
use crate::segment::Stop;
use crate::vacuum::{Past, Sweep, Swept, freed};
use crate::{Error, ErrorKind, Result, Vacuumed};

/// So many versions are deleted together, or so many bytes: each vacuum lists what there is.
const BATCH_VERSIONS: u64 = 8;
const BATCH_BYTES: u64 = 4 << 20;
/// How long a reader of a store that does not keep open what it deletes may take.
const GRACE_WITHOUT_LOCKS: Duration = Duration::from_secs(15 * 60);
/// Longest pause between tries of a vacuum that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

const MAX_TAGS: usize = 1000;
const MAX_TAG_BYTES: usize = 64;

/// What a writer knows of the versions before the newest.
#[derive(Debug, Default)]
pub(super) struct Vacuums {
    /// Those that are kept, oldest first; until they are surveyed, those of this writer.
    past: VecDeque<Past>,
    surveyed: bool,
    /// Lengths of logs, or of several by the first of them.
    log_bytes: BTreeMap<u64, u64>,
    /// The logs of each version that may be kept; until they are surveyed, of those of this writer.
    logs: BTreeMap<u64, LogRange>,
    /// Versions that are gone, but for their manifests.
    left: BTreeSet<u64>,
    /// What is kept, and since when it is no more than that.
    since: VecDeque<(Duration, Kept)>,
    /// By what the last vacuum worked.
    swept: Kept,
    /// Bytes that only versions need that are gone since.
    gone_bytes: u64,
    running: Option<Running>,
    wanted: Vec<VacuumWaiter>,
    /// What was deleted since somebody wanted it.
    done: Vacuumed,
    /// Each is answered with the last version once none is running or due.
    settling: Vec<Waiter>,
    backoff: Backoff,
}

type VacuumWaiter = oneshot::Sender<Result<Vacuumed>>;

#[derive(Debug)]
struct Running {
    kept: Kept,
    stop: Stop,
    /// Who wanted this one.
    waiters: Vec<VacuumWaiter>,
}

impl Vacuums {
    pub(super) fn begin(committed: Option<&Manifest>, now: Duration) -> Self {
        let since = committed.map(|manifest| (now, Kept::by(manifest)));
        Self { since: since.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn want(&mut self, waiter: VacuumWaiter) {
        if self.wanted.is_empty() {
            self.done = Vacuumed::default();
        }
        self.wanted.push(waiter);
    }

    pub(super) fn settle(&mut self, waiters: impl Iterator<Item = Waiter>) {
        self.settling.extend(waiters);
    }

    /// The logs of a memtable, the first of which this is, are complete.
    pub(super) fn log_ends(&mut self, first: u64, bytes: u64) {
        self.log_bytes.entry(first).and_modify(|known| *known = bytes.max(*known)).or_insert(bytes);
    }

    /// The version before, as the next one leaves it.
    pub(super) fn past_of(&self, before: &Manifest, next: &Manifest) -> Past {
        let log_bytes = |number| self.log_bytes.get(&number).copied().unwrap_or_default();
        Past {
            number: before.number,
            until_ms: next.created_ms,
            freed: freed(before, next, log_bytes),
        }
    }

    /// A version was committed.
    pub(super) fn committed(&mut self, past: Option<Past>, newest: &Manifest, now: Duration) {
        self.past.extend(past);
        self.logs.insert(newest.number, newest.log);
        let needed = self.log_bytes.split_off(&newest.log.first);
        let flushed = std::mem::replace(&mut self.log_bytes, needed).into_iter();
        let is_named = |number: u64| {
            self.logs.values().any(|range| (range.first..=range.last).contains(&number))
        };
        let unnamed = flushed.filter(|(number, _)| !is_named(*number)).map(|(_, bytes)| bytes);
        self.gone_bytes = unnamed.fold(self.gone_bytes, u64::saturating_add);
        let kept = Kept::by(newest);
        if self.since.back().is_none_or(|(_, before)| *before != kept) {
            self.since.push_back((now, kept));
        }
        self.forget_below(newest.oldest);
    }

    fn forget_below(&mut self, oldest: u64) {
        while let Some(past) = self.past.pop_front_if(|past| past.number < oldest) {
            self.gone_bytes = self.gone_bytes.saturating_add(past.freed);
        }
    }

    /// What was kept so long ago that everything else may be deleted now.
    fn ready(&self, now: Duration, grace: Duration) -> Option<&Kept> {
        let ready = self.since.iter().rev().find(|(since, _)| since.saturating_add(grace) <= now);
        ready.map(|(_, kept)| kept)
    }

    /// Whether there may be anything to delete that was not there at the last vacuum.
    fn is_news(&self, kept: &Kept) -> bool {
        self.gone_bytes > 0 || *kept != self.swept
    }

    /// Whether enough is gone to be worth a vacuum.
    fn is_worth_it(&self, kept: &Kept) -> bool {
        kept.oldest.saturating_sub(self.swept.oldest) >= BATCH_VERSIONS
            || self.gone_bytes >= BATCH_BYTES
            || !self.swept.tagged.is_subset(&kept.tagged)
    }

    /// A vacuum begins. One that surveys only makes known what there is to do.
    fn runs(&mut self, sweep: &Sweep) {
        let waiters =
            if sweep.known_logs.is_none() { Vec::new() } else { std::mem::take(&mut self.wanted) };
        let (kept, stop) = (sweep.kept.clone(), sweep.stop.clone());
        self.running = Some(Running { kept, stop, waiters });
    }

    fn take_in(&mut self, swept: Swept, kept: Kept, newest: &Manifest) {
        if let Some(surveyed) = swept.past {
            let first = self.past.front().map_or(u64::MAX, |past| past.number);
            let before = surveyed.into_iter().filter(|past| past.number < first);
            self.past = before.chain(std::mem::take(&mut self.past)).collect();
            self.surveyed = true;
            self.forget_below(newest.oldest);
        }
        for (number, bytes) in swept.log_bytes {
            if number >= newest.log.first {
                self.log_ends(number, bytes);
            }
        }
        self.done.versions += swept.vacuumed.versions;
        self.done.objects += swept.vacuumed.objects;
        self.done.bytes = self.done.bytes.saturating_add(swept.vacuumed.bytes);
        self.gone_bytes = 0;
        self.logs.extend(swept.kept_logs);
        self.logs.retain(|number, _| !swept.gone.contains(number));
        self.left.extend(swept.left);
        self.since.retain(|(_, since)| since.oldest >= kept.oldest);
        self.swept = kept;
        self.backoff = Backoff::default();
    }
}

impl Writer {
    /// The oldest version to keep once this one is the newest; `past` is the one before.
    pub(super) fn oldest_kept(&self, newest: &Manifest, past: Option<Past>, now_ms: u64) -> u64 {
        let (options, vacuums) = (&self.shared.options, &self.vacuums);
        if !vacuums.surveyed || (!options.auto_vacuum && vacuums.wanted.is_empty()) {
            return newest.oldest;
        }
        let past = past.into_iter().chain(vacuums.past.iter().rev().copied());
        let bytes = live_bytes(newest);
        options.retention.oldest(newest.number, past, bytes, now_ms).max(newest.oldest)
    }

    /// Whether there may be versions to let go that this writer does not know.
    fn is_survey_due(&self, newest: &Manifest, slack: u64) -> bool {
        let retention = &self.shared.options.retention;
        let past = self.vacuums.past.iter().rev().copied();
        let first = self.vacuums.past.front().map_or(newest.number, |past| past.number);
        let kept = retention.oldest(newest.number, past, live_bytes(newest), newest.created_ms);
        newest.number - newest.oldest >= retention.versions.saturating_add(slack) || kept > first
    }

    fn grace(&self) -> Duration {
        let by_store = match self.shared.env.store.has_locks() {
            true => Duration::ZERO,
            false => GRACE_WITHOUT_LOCKS,
        };
        self.shared.options.vacuum_grace.unwrap_or(by_store)
    }

    /// How long until what is gone may be deleted.
    pub(super) fn until_vacuum(&self, now: Duration) -> Option<Duration> {
        let vacuums = &self.vacuums;
        if !self.shared.options.auto_vacuum || vacuums.running.is_some() {
            return None;
        }
        let grace = self.grace();
        let ready = vacuums.since.iter().map(|(since, _)| since.saturating_add(grace));
        let next = ready.chain([vacuums.backoff.until]).filter(|at| *at > now).min()?;
        // A grace without end.
        (next < Duration::MAX).then(|| next.saturating_sub(now))
    }

    /// Starts a vacuum if one is due or somebody wants one, and answers those who have nothing to
    /// wait for.
    pub(super) async fn vacuum_if_due(&mut self) {
        if self.vacuums.running.is_some() {
            return;
        }
        if let Err(error) = self.check_alive() {
            return self.answer_vacuums(&Err(error));
        }
        if !self.vacuums.wanted.is_empty()
            && self.vacuums.surveyed
            && let Err(error) = self.raise_oldest().await
        {
            return self.answer_vacuums(&Err(error));
        }
        let now = self.shared.env.clock.monotonic();
        match self.due_vacuum(now) {
            None => self.answer_vacuums(&Ok(())),
            Some(_) if self.vacuums.wanted.is_empty() && now < self.vacuums.backoff.until => {
                let failure = self.shared.vacuum_failure.lock().clone();
                self.answer_vacuums(&failure.map_or(Ok(()), Err));
            }
            Some(sweep) => {
                self.vacuums.runs(&sweep);
                self.beside(Ended::Vacuum, sweep.run());
            }
        }
    }

    fn due_vacuum(&self, now: Duration) -> Option<Sweep> {
        let newest = &self.committed.as_ref()?.manifest;
        let kept = self.vacuums.ready(now, self.grace())?;
        let wanted = !self.vacuums.wanted.is_empty();
        let due = match (self.shared.options.auto_vacuum, self.vacuums.surveyed) {
            (false, _) => wanted,
            (true, false) => wanted || self.is_survey_due(newest, 0),
            (true, true) => {
                let settles = !self.vacuums.settling.is_empty() && self.vacuums.is_news(kept);
                wanted || settles || self.vacuums.is_worth_it(kept)
            }
        };
        due.then(|| self.sweep(newest, kept))
    }

    fn sweep(&self, newest: &Manifest, kept: &Kept) -> Sweep {
        Sweep {
            shared: Arc::clone(&self.shared),
            newest: newest.clone(),
            kept: kept.clone(),
            epoch: self.epoch,
            known_logs: self.vacuums.surveyed.then(|| self.vacuums.logs.clone()),
            left: self.vacuums.left.clone(),
            stop: Stop::default(),
        }
    }

    /// Commits a version that keeps no more than it should, if the newest does.
    async fn raise_oldest(&mut self) -> Result<()> {
        let Some(committed) = &self.committed else { return Ok(()) };
        let newest = &committed.manifest;
        let now_ms = self.shared.env.clock.wall_ms().max(newest.created_ms);
        if self.oldest_kept(newest, None, now_ms) > newest.oldest {
            let (range, segments) = (self.log_range(newest.log.flushed), self.segment_refs());
            self.put_manifest(range, segments).await?;
        }
        Ok(())
    }

    /// Takes up what a vacuum came to.
    pub(super) fn swept(&mut self, swept: Result<Swept>) {
        let (Some(running), Some(committed)) = (self.vacuums.running.take(), &self.committed)
        else {
            return;
        };
        match swept {
            Ok(swept) => {
                *self.shared.last_vacuum.lock() = Some(swept.vacuumed);
                *self.shared.pins.lock() = swept.pins.values().cloned().collect();
                *self.shared.vacuum_failure.lock() = None;
                self.vacuums.take_in(swept, running.kept, &committed.manifest);
                for waiter in running.waiters {
                    let _ = waiter.send(Ok(self.vacuums.done));
                }
            }
            // It was told to stop; whoever waits learns that the collection is closed.
            Err(_) if running.stop.check().is_err() => {}
            // What is gone is still there: it is tried again.
            Err(error) => {
                let now = self.shared.env.clock.monotonic();
                self.vacuums.backoff.failed(now, LONGEST_PAUSE);
                let error = error.context("vacuum failed");
                *self.shared.vacuum_failure.lock() = Some(error.clone());
                self.vacuums.wanted.extend(running.waiters);
                self.answer_vacuums(&Err(error));
            }
        }
    }

    fn answer_vacuums(&mut self, result: &Result<()>) {
        let version = self.committed.as_ref().map_or(0, |last| last.manifest.number);
        let done = self.vacuums.done;
        for waiter in self.vacuums.wanted.drain(..) {
            let _ = waiter.send(result.clone().map(|()| done));
        }
        for waiter in self.vacuums.settling.drain(..) {
            let _ = waiter.send(result.clone().map(|()| version));
        }
    }

    /// Ends a vacuum that is running.
    pub(super) async fn end_vacuum(&mut self) {
        if let Some(running) = &self.vacuums.running {
            running.stop.stop();
            self.wait_for(|ended| matches!(ended, Ended::Vacuum(_))).await;
        }
    }

    /// Where each process that opens the collection writes little, this is when versions go.
    pub(super) async fn vacuum_at_close(&mut self) {
        if !self.shared.options.auto_vacuum || self.check_alive().is_err() {
            return;
        }
        let Some(newest) = self.committed.as_ref().map(|committed| &committed.manifest) else {
            return;
        };
        if !self.vacuums.surveyed && !self.is_survey_due(newest, BATCH_VERSIONS) {
            return;
        }
        self.sweep_here().await;
        // What this fails to do the next writer does.
        if self.vacuums.surveyed && self.raise_oldest().await.is_ok() {
            self.sweep_here().await;
        }
    }

    async fn sweep_here(&mut self) {
        let now = self.shared.env.clock.monotonic();
        let Some(sweep) = self.due_vacuum(now) else { return };
        self.vacuums.runs(&sweep);
        let swept = sweep.run().await;
        self.swept(swept);
    }

    /// Gives a version a name, or takes a name away; gives the version that has or had it.
    pub(super) async fn tag(&mut self, tag: String, change: TagChange) -> Result<u64> {
        check_tag(&tag)?;
        self.check_alive()?;
        if change == TagChange::Add(None) {
            self.commit().await?;
        }
        let newest = self.committed.as_ref().map(|committed| &committed.manifest);
        let newest = newest.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the collection has no version that could have a tag")
        })?;
        let mut settings = self.settings();
        let tags = &mut settings.tags;
        let version = match change {
            TagChange::Remove => tags.remove(&tag).ok_or_else(|| no_tag(&tag, tags))?,
            TagChange::Add(version) => {
                let version = version.unwrap_or(newest.number);
                if version > newest.number || !Kept::by(newest).has(version) {
                    return Err(version_gone(version));
                }
                tags.insert(tag, version);
                if tags.len() > MAX_TAGS {
                    let message = format!("a tag more than the {MAX_TAGS} that there can be");
                    return Err(Error::new(ErrorKind::ResourceExhausted, message));
                }
                version
            }
        };
        if *tags != newest.tags {
            let (range, segments) = (self.log_range(newest.log.flushed), self.segment_refs());
            self.put_manifest_with(range, segments, settings).await?;
        }
        Ok(version)
    }
}

/// Bytes of segments, by the share of their rows that live.
fn live_bytes(manifest: &Manifest) -> u64 {
    let live = |segment: &SegmentRef| {
        let (rows, dead) = (u64::from(segment.directory.rows), u64::from(segment.dead_rows));
        let row_bytes = segment.object.length / rows.max(1);
        row_bytes.saturating_mul(rows.saturating_sub(dead))
    };
    manifest.segments.iter().map(live).fold(0, u64::saturating_add)
}

fn check_tag(tag: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=MAX_TAG_BYTES).contains(&tag.len()) && tag.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = tag.chars().take(MAX_TAG_BYTES + 1).collect();
    Err(Error::invalid(format!(
        "tag {shown:?}; expected 1 to {MAX_TAG_BYTES} of A-Z, a-z, 0-9, ., _ and -"
    )))
}
