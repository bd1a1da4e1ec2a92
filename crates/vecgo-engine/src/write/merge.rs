//! Segments are merged beside the writer and beside flushes; the writer then commits a version
//! that names the new segment in place of its inputs.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use vecgo_format::{Index, SegmentRef};
use vecgo_io::Use;

use super::beside::Ended;
use super::flush::Backoff;
use super::writer::Writer;
use crate::collection::SegmentWritten;
use crate::compact::{Merge, Output, Policy, Summary, memory_of, plan};
use crate::index::codebook_bytes;
use crate::memtable::DeadRows;
use crate::segment::{LiveSegment, Stop};
use crate::{Error, Result};

pub(super) type Waiter = oneshot::Sender<Result<u64>>;

/// Longest pause between tries of a merge that fails: each may read much before it does.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Flushes during a merge after which it is begun again in a hurry.
const MOST_BEHIND: usize = 8;

/// The merges of a writer.
#[derive(Debug, Default)]
pub(super) struct Merges {
    /// Never more than one at a time.
    running: Option<Running>,
    /// Each is answered when all that was in segments is in one.
    wanted: Vec<Waiter>,
    /// Each is answered when none is running or due.
    settling: Vec<Waiter>,
    backoff: Backoff,
    /// Whether the next one gives way to nobody.
    hurries: bool,
}

#[derive(Debug)]
struct Running {
    inputs: Vec<LiveSegment>,
    /// Of the segment that it makes.
    number: u64,
    began: Duration,
    /// Whether it gives way to all else that runs on the machine.
    gives_way: bool,
    /// Rows dead at this write are left out.
    sequence: u64,
    stop: Stop,
    /// Who asked for this one.
    waiters: Vec<Waiter>,
}

impl Merges {
    pub(super) fn want(&mut self, waiter: Waiter) {
        self.wanted.push(waiter);
    }

    pub(super) fn settle(&mut self, waiter: Waiter) {
        self.settling.push(waiter);
    }
}

impl Writer {
    /// Starts a merge if somebody asked for one or the policy says so, and answers those who have
    /// nothing to wait for.
    pub(super) fn merge_if_due(&mut self) {
        if self.merges.running.is_some() {
            return self.hurry_if_behind();
        }
        if let Err(error) = self.check_alive() {
            let merges = &mut self.merges;
            answer(merges.wanted.drain(..).chain(merges.settling.drain(..)), &Err(error));
            return;
        }
        let version = Ok(self.committed.as_ref().map_or(0, |last| last.manifest.number));
        let wanted = std::mem::take(&mut self.merges.wanted);
        if !wanted.is_empty() {
            if !self.is_compact() {
                return self.start_merge((0..self.segments.len()).collect(), wanted);
            }
            answer(wanted, &version);
        }
        let planned = self.planned_merge();
        let failure = self.shared.merge_failure.lock().clone();
        let waits = self.shared.env.clock.monotonic() < self.merges.backoff.until;
        match failure {
            Some(failure) if waits && !planned.is_empty() => {
                return answer(self.merges.settling.drain(..), &Err(failure));
            }
            _ if planned.is_empty() || waits => {
                return self.vacuums.settle(self.merges.settling.drain(..));
            }
            _ => {}
        }
        self.start_merge(planned, Vec::new());
    }

    /// Has a merge begun again in a hurry if somebody waits for it, or if flushes do not: others leave it
    /// no time. Searches would get slower, the more the longer.
    fn hurry_if_behind(&self) {
        let Some(running) = &self.merges.running else { return };
        let newer = self.segments.iter().filter(|(_, named)| named.number > running.number);
        // Whoever asked for all to be merged asked for what this one merges, too.
        let is_awaited = !self.merges.wanted.is_empty();
        if running.gives_way && (is_awaited || newer.count() >= MOST_BEHIND) {
            running.stop.stop();
        }
    }

    /// Whether one segment holds all, with the index that is asked for if it is worth one, and none of its
    /// rows is dead.
    fn is_compact(&self) -> bool {
        let Some((live, named)) = self.segments.first() else { return true };
        let worth_one = self.index_rows().is_some_and(|rows| live.segment.rows() as usize >= rows);
        let is_as_asked = match live.segment.has_index() {
            true => *live.segment.config() == self.config().of_segments(),
            false => !worth_one,
        };
        self.segments.len() == 1 && named.dead_rows == 0 && is_as_asked
    }

    /// How many rows are worth an index, if the collection is to have any.
    pub(super) fn index_rows(&self) -> Option<usize> {
        let indexed = self.config().index() != Index::Flat;
        indexed.then_some(self.shared.options.index_rows)
    }

    /// The segments that the policy wants merged.
    fn planned_merge(&self) -> Vec<usize> {
        let options = &self.shared.options;
        if !options.auto_compact && self.merges.settling.is_empty() {
            return Vec::new();
        }
        let (rows, bytes) = (self.most_rows() as u64, options.memtable_bytes as u64);
        let summaries = self.segments.iter().map(|(live, named)| Summary {
            rows: live.segment.rows().into(),
            dead: named.dead_rows.into(),
            bytes: named.object.length,
            memory: memory_of(&live.segment, named.dead_rows.into(), &self.config()),
            level_0: u64::from(live.segment.rows()) <= rows && named.object.length <= bytes,
            has_index: live.segment.has_index(),
        });
        let (summaries, memory) = (summaries.collect::<Vec<_>>(), &self.shared.env.memory);
        let codebook = codebook_bytes(&self.config());
        let planned = |memory: u64, most_bytes| {
            let most_memory = memory.saturating_sub(codebook);
            let index_rows = self.index_rows().map(|rows| rows as u64);
            plan(&summaries, Policy { base: bytes, index_rows, most_memory, most_bytes })
        };
        if planned(u64::MAX, u64::MAX).is_empty() {
            return Vec::new();
        }
        let room = self.shared.env.store.free_space().unwrap_or(u64::MAX);
        // What there is memory for now, before what has to wait until others give theirs back.
        let now = planned(memory.left(Use::Merges), room);
        if now.is_empty() { planned(memory.attainable(Use::Merges), room) } else { now }
    }

    fn start_merge(&mut self, places: Vec<usize>, waiters: Vec<Waiter>) {
        let inputs = places.into_iter().filter_map(|place| self.segments.get(place));
        let inputs: Vec<LiveSegment> = inputs.map(|(live, _)| live.clone()).collect();
        let sequence = self.committed.as_ref().map_or(0, |last| last.manifest.log.flushed);
        let number = self.next_segment;
        self.next_segment += 1;
        let stop = Stop::default();
        // Whoever waits for it would wait for as long as others keep the machine busy.
        let is_awaited = !waiters.is_empty() || !self.merges.settling.is_empty();
        let gives_way = !std::mem::take(&mut self.merges.hurries) && !is_awaited;
        let merge = Merge {
            shared: Arc::clone(&self.shared),
            config: self.config(),
            inputs: inputs.clone(),
            dead: inputs.iter().map(|live| live.dead.rows_at(sequence)).collect(),
            number,
            epoch: self.epoch,
            stop: stop.clone(),
            is_asked_for: !waiters.is_empty(),
        };
        let began = self.shared.env.clock.monotonic();
        let running = Running { inputs, number, began, gives_way, sequence, stop, waiters };
        self.merges.running = Some(running);
        self.beside(Ended::Merge, merge.run(gives_way));
    }

    /// Names what a merge made in a new version.
    pub(super) async fn merged(&mut self, merged: Result<Option<Output>>) {
        let Some(running) = self.merges.running.take() else { return };
        let installed = match merged {
            Ok(output) => self.install_merge(&running, output).await,
            Err(error) => Err(error),
        };
        let now = self.shared.env.clock.monotonic();
        match installed {
            Ok(version) => {
                let made = self.segments.iter().find(|(_, named)| named.number == running.number);
                if let Some((_, named)) = made {
                    let took = now.saturating_sub(running.began);
                    *self.shared.last_merge.lock() = Some(SegmentWritten::of(named, took));
                }
                self.merges.backoff = Backoff::default();
                *self.shared.merge_failure.lock() = None;
                answer(running.waiters, &Ok(version));
            }
            // It was told to stop, or did for lack of memory: to be begun again, and then nobody waits for it; or because the
            // collection is closed, which whoever waits learns.
            Err(_) if running.stop.check().is_err() => self.merges.hurries = true,
            // The inputs are still named: the policy tries again.
            Err(error) => {
                self.merges.backoff.failed(now, LONGEST_PAUSE);
                let error = error.context("merge failed");
                *self.shared.merge_failure.lock() = Some(error.clone());
                answer(running.waiters, &Err(error));
            }
        }
    }

    async fn install_merge(&mut self, running: &Running, output: Option<Output>) -> Result<u64> {
        self.check_alive()?;
        let is_input = |number| running.inputs.iter().any(|live| live.segment.number == number);
        let mut segments = self.segments.clone();
        segments.retain(|(_, named)| !is_input(named.number));
        if segments.len() + running.inputs.len() != self.segments.len() {
            return Err(Error::internal("a segment is gone that was being merged"));
        }
        let flushed = self.committed.as_ref().map_or(0, |last| last.manifest.log.flushed);
        if let Some(output) = output {
            let merged = output.named.number;
            segments.push(with_later_kills(running, output)?);
            // A flush may have been named since the merge began.
            self.cover(&mut segments, flushed, |number| number != merged).await?;
        }
        sort_by_number(&mut segments);
        let before = std::mem::replace(&mut self.segments, segments);
        let segments = self.segment_refs();
        let range = self.log_range(flushed);
        let named = self.put_manifest(range, segments).await;
        if named.is_err() {
            self.segments = before;
        }
        named
    }

    /// Tells a merge that is running to come to its end.
    pub(super) fn stop_merge(&self) {
        if let Some(running) = &self.merges.running {
            running.stop.stop();
        }
    }

    /// Waits for a merge that was told to stop.
    pub(super) async fn end_merge(&mut self) {
        if self.merges.running.is_some() {
            self.wait_for(|ended| matches!(ended, Ended::Merge(_))).await;
        }
    }
}

/// The merged segment, with the kills of its rows by writes that the merge did not look at.
fn with_later_kills(running: &Running, output: Output) -> Result<(LiveSegment, SegmentRef)> {
    let mut kills = Vec::new();
    for (input, live) in running.inputs.iter().enumerate() {
        for (killed, row) in live.dead.after(running.sequence) {
            let place = output.place(input, row);
            let place = place.ok_or_else(|| Error::internal("a live row was left out"))?;
            kills.push((killed, place));
        }
    }
    // Ascending, so that each goes behind the others.
    kills.sort_unstable();
    let dead = DeadRows::default();
    kills.into_iter().for_each(|(killed, row)| dead.kill(row, killed));
    Ok((LiveSegment { segment: output.segment, dead: Arc::new(dead) }, output.named))
}

/// Manifests name segments by ascending number. Which comes first makes no difference to who looks
/// for an id: at most one of its rows lives.
pub(super) fn sort_by_number(segments: &mut [(LiveSegment, SegmentRef)]) {
    segments.sort_by_key(|(_, named)| named.number);
}

fn answer(waiters: impl IntoIterator<Item = Waiter>, with: &Result<u64>) {
    for waiter in waiters {
        let _ = waiter.send(with.clone());
    }
}
