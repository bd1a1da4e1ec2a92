//! Applying the frames of one log.

use vecgo_format::{
    FormatError, Id, Kill, LogEnd, LogHeader, LogPosition, LogReader, Op, vector_of,
};
use vecgo_io::{Object, read_range};

use super::{Bound, Recovered, Source};
use crate::memtable::Row;
use crate::query::norm;
use crate::segment::LiveSegment;
use crate::{Error, Result};

impl Source<'_> {
    /// Replays one log up to its bound and gives the position where it ends.
    pub(super) async fn replay(
        &self,
        header: LogHeader,
        key: &str,
        object: &dyn Object,
        bound: Bound,
        recovered: &mut Recovered,
    ) -> Result<LogPosition> {
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
        reach(log.position());
        while let Some(frame) = log.next_frame() {
            let ops = frame.ops(self.config.dim()).map_err(format)?;
            let first = frame.first_sequence;
            recovered.memtable.reserve(ops.len())?;
            for (sequence, op) in (first..).zip(ops) {
                self.apply(op, sequence, recovered).await?;
            }
            recovered.sequence = frame.last_sequence();
            reach(log.position());
        }
        if must_reach.iter().any(Option::is_some) {
            let detail = "it ends or differs before a place that was committed".to_owned();
            let offset = usize::try_from(log.position().length).unwrap_or(usize::MAX);
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
        Ok(log.position())
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
