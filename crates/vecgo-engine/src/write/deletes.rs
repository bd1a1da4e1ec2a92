//! Delete objects: which rows of which segments were dead at a write.

use roaring::RoaringBitmap;
use vecgo_format::{DeleteObject, ObjectName, ObjectRef, SegmentRef};

use super::writer::Writer;
use crate::Result;
use crate::collection::Shared;
use crate::segment::LiveSegment;

/// A delete object that was written, with how many rows of each segment are dead in it.
#[derive(Debug)]
pub(super) struct Deletes {
    object: ObjectRef,
    dead_rows: Vec<(u64, u32)>,
}

impl Deletes {
    /// Writes one object for all segments that lost rows since the object that is known of each:
    /// none if none did. `segments` come with how many rows are dead in that.
    pub(super) async fn write<'a>(
        shared: &Shared,
        epoch: u64,
        segments: impl Iterator<Item = (&'a LiveSegment, u32)>,
        sequence: u64,
    ) -> Result<Option<Self>> {
        let mut object = DeleteObject::default();
        let mut dead_rows = Vec::new();
        for (live, known) in segments {
            let rows: RoaringBitmap = live.dead.rows_at(sequence);
            if rows.len() == u64::from(known) {
                continue;
            }
            dead_rows.push((live.segment.number, u32::try_from(rows.len()).unwrap_or(u32::MAX)));
            object.dead.insert(live.segment.number, rows);
        }
        if dead_rows.is_empty() {
            return Ok(None);
        }
        let (bytes, checksum) = object.encode();
        let name = ObjectName { epoch, random: shared.env.rand.next_u64() };
        let key = shared.names.deletes(name);
        let mut writer = shared.env.store.create(&key).await?;
        writer.write(&bytes).await?;
        writer.finish().await?;
        let object = ObjectRef { name, length: bytes.len() as u64, checksum };
        Ok(Some(Self { object, dead_rows }))
    }

    /// Names it for those of the segments that it is for.
    pub(super) fn name(&self, segments: &mut [(LiveSegment, SegmentRef)]) {
        for (number, dead_rows) in &self.dead_rows {
            for (_, named) in segments.iter_mut().filter(|(_, named)| named.number == *number) {
                named.deletes = Some(self.object);
                named.dead_rows = *dead_rows;
            }
        }
    }
}

impl Writer {
    /// Writes and names the rows dead at `sequence` of those segments that whoever did so for the
    /// others did not know.
    pub(super) async fn cover(
        &self,
        segments: &mut [(LiveSegment, SegmentRef)],
        sequence: u64,
        known: impl Fn(u64) -> bool,
    ) -> Result<()> {
        let unknown = segments.iter().filter(|(_, named)| !known(named.number));
        let unknown = unknown.map(|(live, named)| (live, named.dead_rows));
        let deletes = Deletes::write(&self.shared, self.epoch, unknown, sequence).await?;
        if let Some(deletes) = deletes {
            deletes.name(segments);
        }
        Ok(())
    }
}
