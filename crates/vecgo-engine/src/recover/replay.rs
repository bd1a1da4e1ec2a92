//! Applying the frames of one log.

use vecgo_format::{
    FormatError, Frame, Id, Kill, LogEnd, LogHeader, LogPosition, LogReader, Op, Previous,
    vector_of,
};
use vecgo_io::{Object, read_range};

use super::{Bound, Durable, Extent, LogBytes, Recovered, Source};
use crate::memtable::Row;
use crate::query::norm;
use crate::segment::LiveSegment;
use crate::{Error, Result};

impl Source<'_> {
    /// Replays one log up to its bound.
    pub(super) async fn replay(
        &self,
        header: LogHeader,
        key: &str,
        object: &dyn Object,
        bound: Bound,
        recovered: &mut Recovered,
    ) -> Result<()> {
        let format = |error| Error::format(key, error);
        if header.first_sequence != recovered.sequence.saturating_add(1) {
            let detail = format!(
                "it begins with write {}, expected {}",
                header.first_sequence,
                recovered.sequence.saturating_add(1)
            );
            return Err(format(FormatError::Invalid { what: "log", offset: 0, detail }));
        }
        let length = bound.stop.map_or(u64::MAX, |end| end.length).min(object.length());
        let bytes = read_range(object, key, 0..length).await?;
        let mut log = LogReader::open(&bytes).map_err(format)?;
        let mut must_reach = bound.must_reach;
        let mut reach =
            |here| must_reach.iter_mut().for_each(|end| *end = end.filter(|e| *e != here));
        let start = log.position();
        reach(start);
        let mut frames = Vec::new();
        while let Some(frame) = log.next_frame() {
            let ops = frame.ops(self.config.dim()).map_err(format)?;
            let first = frame.first_sequence;
            recovered.memtable.reserve(ops.len())?;
            for (sequence, op) in (first..).zip(ops) {
                self.apply(op, sequence, recovered).await?;
            }
            let lacks = recovered.memtable.lacks(0);
            if lacks > 0 {
                let memory = &self.env.memory;
                let charge = match self.extent {
                    Extent::Version => memory.take(self.used_for(), lacks).await?,
                    // What was written before must not keep the collection from being opened.
                    Extent::Everything => memory.take_anyhow(self.used_for(), lacks),
                };
                recovered.memtable.charge(charge);
            }
            recovered.sequence = frame.last_sequence();
            reach(log.position());
            frames.push(frame);
        }
        if must_reach.iter().any(Option::is_some) {
            let detail = "it ends or differs before a place that was committed".to_owned();
            let offset = usize::try_from(log.position().length).unwrap_or(usize::MAX);
            return Err(format(FormatError::Invalid { what: "log", offset, detail }));
        }
        // Where logs are put whole none is ever cut short.
        if let (LogEnd::Torn { bytes }, None) = (log.end(), &self.env.logs) {
            let offset = usize::try_from(log.position().length).unwrap_or(usize::MAX);
            let detail = format!("{bytes} bytes at its end are no frame");
            return Err(format(FormatError::Invalid { what: "log", offset, detail }));
        }
        if let LogEnd::Damaged { offset, synced_through } = log.end() {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let detail = format!(
                "write {} is broken, though all through {synced_through} were durable",
                log.next_sequence()
            );
            return Err(format(FormatError::Invalid { what: "log", offset, detail }));
        }
        self.vouch((&header, start), &frames, bound, recovered);
        drop(frames);
        if self.keeps_logs {
            let end = usize::try_from(log.position().length).unwrap_or(usize::MAX);
            let mut bytes = bytes;
            bytes.truncate(end);
            let _charge = self.env.memory.take(self.used_for(), bytes.len() as u64).await?;
            recovered.logs.push(LogBytes { number: header.number, bytes, _charge });
        }
        Ok(())
    }

    /// Finds how much of a log is known to be durable: what a manifest or a later log says it
    /// holds, what its frames say, and in a store of whole objects all that can be read. If that
    /// is nothing of it, its header still says that the log before it was.
    fn vouch(
        &self,
        (header, start): (&LogHeader, LogPosition),
        frames: &[Frame<'_>],
        bound: Bound,
        recovered: &mut Recovered,
    ) {
        let named = |end| bound.must_reach.contains(&Some(end));
        let through = frames.iter().map(|frame| frame.synced_through).max().unwrap_or(0);
        let whole = self.env.logs.is_none();
        // One without writes says that those before it are durable, and nobody says it of itself.
        let is_durable = |frame: &Frame<'_>| {
            whole || named(frame.end) || (frame.count > 0 && frame.last_sequence() <= through)
        };
        let vouched = frames.iter().rposition(is_durable).map_or(0, |last| last + 1);
        let at = |end| Previous { number: header.number, end };
        let before = header.first_sequence.saturating_sub(1);
        recovered.durable = match frames[..vouched].last() {
            Some(frame) => Durable { at: at(frame.end), sequence: frame.last_sequence() },
            None if whole || named(start) => Durable { at: at(start), sequence: before },
            None => Durable { at: header.previous, sequence: before },
        };
        let unvouched = frames[vouched..].iter().filter(|frame| frame.count > 0);
        recovered.unvouched = unvouched.map(Frame::again).collect();
    }

    async fn apply(&self, op: Op<'_>, sequence: u64, recovered: &mut Recovered) -> Result<()> {
        match op {
            Op::Put { id, kill, vector, document, payload } => {
                self.kill(&id, kill, sequence, recovered).await?;
                let vector = vector_of(vector);
                let norm = norm(self.config.metric(), &vector);
                let row = Row::new(id, document.into(), payload.map(Into::into));
                recovered.memtable.push(&vector, norm, sequence, row)?;
            }
            Op::Delete { id, kill } => self.kill(&id, kill, sequence, recovered).await?,
        }
        Ok(())
    }

    /// Kills the row that the id named before `sequence`.
    ///
    /// The hint holds where the manifest still names the segment, or the row is in a log that is
    /// replayed too. Where it was flushed or compacted meanwhile the id is looked up, which is
    /// sound since every row of a segment is older than every write left in the log.
    async fn kill(&self, id: &Id, hint: Kill, sequence: u64, recovered: &Recovered) -> Result<()> {
        let table = recovered.memtable.table();
        if let Some(row) = table.find(id, sequence) {
            table.dead.kill(row, sequence);
            return Ok(());
        }
        match hint {
            Kill::Nothing => Ok(()),
            Kill::Log { number } if number >= table.first_log => Ok(()),
            Kill::Segment { segment, row } => {
                let named = recovered.segments.iter().find(|live| live.segment.number == segment);
                match named.filter(|live| row < live.segment.rows()) {
                    Some(live) => {
                        live.dead.kill(row, sequence);
                        Ok(())
                    }
                    None => kill_by_id(&recovered.segments, id, sequence).await,
                }
            }
            Kill::Log { .. } => kill_by_id(&recovered.segments, id, sequence).await,
        }
    }
}

async fn kill_by_id(segments: &[LiveSegment], id: &Id, sequence: u64) -> Result<()> {
    for live in segments.iter().rev() {
        if let Some(row) = live.find(id, sequence).await? {
            live.dead.kill(row, sequence);
            return Ok(());
        }
    }
    Ok(())
}
