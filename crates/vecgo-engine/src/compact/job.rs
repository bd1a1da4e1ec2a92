use std::sync::Arc;

use roaring::RoaringBitmap;
use vecgo_format::{ObjectName, SegmentRef};

use super::arrange::arrange;
use crate::Result;
use crate::collection::Shared;
use crate::manifest::named_is_missing;
use crate::segment::{
    LiveSegment, NewSegment, Order, Rows, Segment, SegmentRows, SegmentSource, Stop, build,
};

/// A merge in the making: everything it needs, so that it shares nothing with the writer.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inputs: Vec<LiveSegment>,
    /// Rows that were dead at this write are left out. No version to come reaches less far: it is
    /// the position through which everything is flushed, which never goes back.
    pub(crate) sequence: u64,
    pub(crate) number: u64,
    pub(crate) epoch: u64,
    pub(crate) stop: Stop,
}

/// What a merge made.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) segment: Arc<Segment>,
    pub(crate) named: SegmentRef,
    inputs: Vec<Input>,
    /// Where each row that was read stands; `None` if they stand as they were read.
    rows: Option<Vec<u32>>,
}

/// Where the rows of an input went.
#[derive(Debug)]
struct Input {
    /// The place of its first row among all that were read.
    first: u32,
    left_out: RoaringBitmap,
}

impl Output {
    /// The merged segment's row that is this one of the n-th input; `None` if it was left out.
    pub(crate) fn place(&self, input: usize, row: u32) -> Option<u32> {
        let input = self.inputs.get(input)?;
        if input.left_out.contains(row) {
            return None;
        }
        let before = u32::try_from(input.left_out.rank(row)).ok()?;
        let read = input.first.checked_add(row)?.checked_sub(before)?;
        match &self.rows {
            None => Some(read),
            Some(rows) => rows.get(read as usize).copied(),
        }
    }
}

impl Merge {
    /// Writes the segment; `None` if no row of the inputs lives.
    pub(crate) async fn run(self) -> Result<Option<Output>> {
        let dead = |live: &LiveSegment| live.dead.rows_at(self.sequence);
        let inputs: Vec<(&Segment, RoaringBitmap)> =
            self.inputs.iter().map(|live| (&*live.segment, dead(live))).collect();
        let dim = self.shared.config.dim();
        let read = SegmentRows::read(&inputs, dim, &self.stop).await?;
        let mut rows = Rows::Segments(Box::new(read));
        if rows.len() == 0 {
            return Ok(None);
        }
        let arrangement = match &rows {
            Rows::Segments(read) => arrange(&self.shared, read.vectors(), &self.stop).await?,
            Rows::Memtable(_) => Default::default(),
        };
        let new = NewSegment {
            store: &*self.shared.env.store,
            names: self.shared.names,
            name: ObjectName { epoch: self.epoch, random: self.shared.env.rand.next_u64() },
            number: self.number,
            metric: self.shared.config.metric(),
            dim,
        };
        let built = build(new, &mut rows, &arrangement, &self.stop).await?;
        drop(rows);
        self.output(built.named(self.number), inputs, &arrangement.order).await.map(Some)
    }

    async fn output(
        &self,
        named: SegmentRef,
        inputs: Vec<(&Segment, RoaringBitmap)>,
        order: &Order,
    ) -> Result<Output> {
        let source = SegmentSource {
            store: Arc::clone(&self.shared.env.store),
            cache: Arc::clone(&self.shared.env.cache),
            names: self.shared.names,
        };
        let segment = Segment::open(source, &named).await;
        let segment = Arc::new(segment.map_err(|error| named_is_missing(error, "the merge"))?);
        let mut first = 0u32;
        let inputs = inputs.into_iter().map(|(input, left_out)| {
            let kept = u64::from(input.rows()).saturating_sub(left_out.len());
            let before = first;
            first = first.saturating_add(u32::try_from(kept).unwrap_or(u32::MAX));
            Input { first: before, left_out }
        });
        Ok(Output { segment, named, inputs: inputs.collect(), rows: order.inverse() })
    }
}
