use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_lite::future::{or, pending};
use roaring::RoaringBitmap;
use vecgo_format::{Calibration, Config, Index, ObjectName, Quantization, SectionKind, SegmentRef};
use vecgo_index::{NO_EDGE, Threads};
use vecgo_io::{Charge, SpawnExt, Use};

use crate::collection::Shared;
use crate::index::{Graph, Old, codebook_bytes, make};
use crate::recall::{Given, Sample, sample_bytes};
use crate::segment::{
    Arrangement, LiveSegment, NewSegment, Rows, Segment, SegmentRows, Stop, build,
};
use crate::{Error, ErrorKind, Result};

/// A merge in the making: everything it needs, so that it shares nothing with the writer.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) shared: Arc<Shared>,
    /// As it was when the merge began.
    pub(crate) config: Config,
    pub(crate) inputs: Vec<LiveSegment>,
    /// The rows of each input that are left out: those that were dead at a write that no version to
    /// come reaches less far than. Found by the writer: who asks for all of them holds a lock, which
    /// a task that gives way must not.
    pub(crate) dead: Vec<RoaringBitmap>,
    pub(crate) number: u64,
    pub(crate) epoch: u64,
    pub(crate) stop: Stop,
    /// Somebody asked for this one: there is none that would do as well.
    pub(crate) is_asked_for: bool,
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

impl Input {
    /// Those of all inputs, in their order.
    fn all(inputs: &[(&Segment, RoaringBitmap)]) -> Vec<Self> {
        let mut next = 0u32;
        let input = |(segment, left_out): &(&Segment, RoaringBitmap)| {
            let kept = u64::from(segment.rows()).saturating_sub(left_out.len());
            let first = next;
            next = next.saturating_add(u32::try_from(kept).unwrap_or(u32::MAX));
            Self { first, left_out: left_out.clone() }
        };
        inputs.iter().map(input).collect()
    }

    /// The place of a row among all that were read; `None` if it was left out.
    fn place(&self, row: u32) -> Option<u32> {
        if self.left_out.contains(row) {
            return None;
        }
        let before = u32::try_from(self.left_out.rank(row)).ok()?;
        self.first.checked_add(row)?.checked_sub(before)
    }
}

impl Output {
    /// The merged segment's row that is this one of the n-th input; `None` if it was left out.
    pub(crate) fn place(&self, input: usize, row: u32) -> Option<u32> {
        let read = self.inputs.get(input)?.place(row)?;
        match &self.rows {
            None => Some(read),
            Some(rows) => rows.get(read as usize).copied(),
        }
    }
}

/// About how much memory a row takes while its segment is made of others.
fn row_bytes(config: &Config) -> u64 {
    let dim = config.dim() as u64;
    // Where it is while centroids are found.
    let trained = if matches!(config.quantization(), Quantization::Pq { .. }) { 32 } else { 0 };
    // Its vector; norm, id, place and where its document and payload are.
    let read = dim * 4 + 128 + trained;
    // Codes in two orders or two forms.
    let codes = (dim + 1).next_multiple_of(vecgo_quant::UNIT as u64) * 2;
    match config.index() {
        // Edges with slack, trimmed, as bytes and from before.
        Index::Graph { m, .. } | Index::Disk { m, .. } => read + codes + u64::from(m) * 18 + 64,
        // Which cluster it is in, and how far from its centre.
        Index::Ivf { .. } => read + codes + 64,
        Index::Flat => read,
    }
}

/// About how much memory it takes to merge so many rows, given the bytes of their text ids, documents
/// and fields.
pub(crate) fn memory_of_rows(
    config: &Config,
    rows: u64,
    texts: u64,
    [documents, fields]: [u64; 2],
) -> u64 {
    // Fields are found again: their values by number and in order, and for each of some dozens in a row, if
    // there are so many, the row and the number.
    let pairs = documents.saturating_mul(4).min(rows.saturating_mul(512));
    let found = fields.saturating_mul(4).saturating_add(pairs);
    // Texts are held as they are read, and once more in a section.
    let texts = texts.saturating_mul(2);
    let held = rows.saturating_mul(row_bytes(config)).saturating_add(sample_bytes(config, rows));
    held.saturating_add(texts).saturating_add(found)
}

/// About how much memory it takes to merge a segment of which so many rows are dead.
pub(crate) fn memory_of(segment: &Segment, dead: u64, config: &Config) -> u64 {
    let rows = u64::from(segment.rows());
    let [texts, documents, fields] =
        [SectionKind::IdText, SectionKind::Documents, SectionKind::FieldData]
            .map(|kind| segment.section_length(kind));
    memory_of_rows(config, rows.saturating_sub(dead), texts, [documents, fields])
}

impl Merge {
    /// Writes the segment, once there is memory for that; `None` if no row of the inputs lives.
    /// `gives_way`: in the background.
    pub(crate) async fn run(self, gives_way: bool) -> Result<Option<Output>> {
        let charge = self.stop.or(self.take_memory()).await?;
        if !gives_way {
            return self.make(charge).await;
        }
        let (spawn, stop) = (Arc::clone(&self.shared.env.spawn), self.stop.clone());
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let made = spawn.start_background(async move {
            begins.store(true, Ordering::SeqCst);
            self.stop.check()?;
            self.make(charge).await
        });
        let given_up = async {
            stop.stopped().await;
            // What has begun is waited for: it must leave nothing behind.
            if begun.load(Ordering::SeqCst) { pending().await } else { Err(Error::closed()) }
        };
        let made = async { made.await.unwrap_or_else(|| Err(Error::panicked())) };
        or(given_up, made).await
    }

    async fn make(mut self, charge: Charge) -> Result<Option<Output>> {
        let dead = std::mem::take(&mut self.dead);
        let inputs: Vec<(&Segment, RoaringBitmap)> =
            self.inputs.iter().map(|live| &*live.segment).zip(dead).collect();
        let read = SegmentRows::read(&inputs, self.shared.dim(), &self.stop).await?;
        if read.vectors().is_empty() {
            return Ok(None);
        }
        let arrangement = self.arrange(&inputs, read.vectors()).await?;
        let sample = self.sample(read.vectors(), &arrangement)?;
        let mut named = self.write(read, &arrangement).await?;
        let Arrangement { order, extra } = arrangement;
        // What is loaded of the new segment is as large.
        drop((extra, charge));
        let rows = order.inverse();
        if let Some(sample) = sample {
            named.calibration = self.measure(&sample, &named, rows.as_deref()).await?;
        }
        self.output(named, &inputs, rows).await.map(Some)
    }

    /// What the index that was made is to be tried with, if one was.
    fn sample(&self, vectors: &[f32], made: &Arrangement) -> Result<Option<Sample>> {
        if made.extra.is_empty() {
            return Ok(None);
        }
        let (kernels, metric, dim) = (self.shared.kernels, self.shared.metric(), self.shared.dim());
        let threads = Threads(self.shared.env.spawn.parallelism());
        let given = Given { kernels, metric, dim, vectors };
        Sample::draw(given, self.number, threads, &self.stop)
    }

    /// Tries what was written, and keeps nothing of it loaded. A segment of which that fails is as good as
    /// others: what is wrong with it, who searches it is told.
    async fn measure(
        &self,
        sample: &Sample,
        named: &SegmentRef,
        rows: Option<&[u32]>,
    ) -> Result<Calibration> {
        let measured = async {
            let segment = Segment::open_again(&self.shared, named, "the merge").await?;
            sample.measure(&self.shared, Arc::new(segment), rows, &self.stop).await
        };
        match measured.await {
            Err(_) if self.stop.check().is_ok() => Ok(Calibration::default()),
            measured => measured,
        }
    }

    /// About how much memory it takes.
    fn memory(&self) -> u64 {
        let inputs = self.inputs.iter().zip(&self.dead);
        let inputs = inputs.map(|(live, dead)| memory_of(&live.segment, dead.len(), &self.config));
        inputs.fold(codebook_bytes(&self.config), u64::saturating_add)
    }

    /// Where others keep so much by now that there is a smaller one at best, it stops itself: for that to be
    /// planned.
    async fn take_memory(&self) -> Result<Charge> {
        let (memory, bytes) = (&self.shared.env.memory, self.memory());
        let in_vain = || !self.is_asked_for && bytes > memory.attainable(Use::Merges);
        let taken = memory.take_unless(Use::Merges, bytes, &in_vain).await;
        if taken.is_err() && in_vain() {
            self.stop.stop();
        }
        taken.map_err(|error| {
            let live = self.inputs.iter().zip(&self.dead);
            let live =
                live.map(|(live, dead)| u64::from(live.segment.rows()).saturating_sub(dead.len()));
            Error::from(error).context(format!("to merge {} rows", live.sum::<u64>()))
        })
    }

    /// Decides in which order the rows stand and makes the sections that follow from their vectors,
    /// which are given row after row in the order in which they were read.
    ///
    /// The number of the segment is the seed of all that is drawn: the same inputs make the same
    /// segment.
    async fn arrange(
        &self,
        inputs: &[(&Segment, RoaringBitmap)],
        vectors: &[f32],
    ) -> Result<Arrangement> {
        self.stop.check()?;
        let config = &self.config;
        let rows = vectors.len() / config.dim();
        if config.index() == Index::Flat || rows < self.shared.options.index_rows {
            return Ok(Arrangement::default());
        }
        let old = self.old_graph(inputs, rows).await?;
        make((&self.shared, config), self.number, vectors, old, &self.stop)
    }

    /// The graph of an input that the new one goes on from: one that half of the rows are in, if half
    /// of its own rows live at least. With fewer, less would be found than in a graph of all rows.
    async fn old_graph(
        &self,
        inputs: &[(&Segment, RoaringBitmap)],
        all: usize,
    ) -> Result<Option<Old>> {
        let Some((m, _)) = self.config.index().of_graph() else { return Ok(None) };
        let degree = usize::from(m);
        let goes_on = |(segment, dead): &(&Segment, RoaringBitmap)| {
            let rows = segment.rows() as usize;
            let live = rows.saturating_sub(usize::try_from(dead.len()).unwrap_or(rows));
            let is_alike = segment.config().index().of_graph() == self.config.index().of_graph();
            is_alike && segment.has(SectionKind::Edges) && live * 2 >= rows.max(all)
        };
        let Some(number) = inputs.iter().position(goes_on) else { return Ok(None) };
        let (segment, input) = (inputs[number].0, &Input::all(inputs)[number]);
        match Graph::edges_of(segment).await {
            // Edges of another number of places are of another setting.
            Ok((_, places)) if places != degree => Ok(None),
            Ok((edges, _)) => {
                let rows = (0..segment.rows()).map(|row| input.place(row).unwrap_or(NO_EDGE));
                Ok(Some(Old { edges, rows: rows.collect() }))
            }
            // The rows are whole, and a graph can be made of them.
            Err(error) if error.kind() == ErrorKind::Corruption => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, rows: SegmentRows<'_>, arrangement: &Arrangement) -> Result<SegmentRef> {
        let schema = self.shared.schema();
        let new = NewSegment {
            store: &*self.shared.env.store,
            names: self.shared.names,
            name: ObjectName { epoch: self.epoch, random: self.shared.env.rand.next_u64() },
            number: self.number,
            config: self.config,
            schema: &schema,
        };
        let mut rows = Rows::Segments(Box::new(rows));
        Ok(build(new, &mut rows, arrangement, &self.stop).await?.named(self.number))
    }

    async fn output(
        &self,
        named: SegmentRef,
        inputs: &[(&Segment, RoaringBitmap)],
        rows: Option<Vec<u32>>,
    ) -> Result<Output> {
        let others: Vec<&Segment> = inputs.iter().map(|(segment, _)| *segment).collect();
        let segment = Segment::open_written(&self.shared, &named, "the merge", &others).await?;
        Ok(Output { segment, named, inputs: Input::all(inputs), rows })
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;
    use vecgo_format::{SectionKind, decode_document};
    use vecgo_io::{Access, Env, Limits};

    use super::*;
    use crate::segment::{ExtraSection, Order};
    use crate::{Collection, Config, Database, Id, Metric, Options, Record};

    const DIM: usize = 5;

    fn record(n: u64, mark: u64) -> Record {
        let id = if n.is_multiple_of(3) { Id::from(n) } else { Id::from(format!("text {n}")) };
        let vector: Vec<f32> = (0..5u8).map(|i| f32::from(i) + 0.5).collect();
        let vector: Vec<f32> = vector.iter().map(|x| x * (n + 1) as f32 - mark as f32).collect();
        let record = Record::new(id, vector);
        match n % 4 {
            0 => record,
            1 => record.metadata(serde_json::json!({"n": n, "mark": mark})),
            2 => record.payload(vec![7; usize::try_from(n).unwrap()]),
            _ => record.metadata(serde_json::json!({"text": "x".repeat(40)})).payload(vec![]),
        }
    }

    /// Three segments, in each of which some rows are dead.
    async fn collection() -> Collection {
        let options = Options { auto_compact: false, ..Options::default() };
        let database =
            Database::new(Env::memory(Limits::default()).unwrap(), Access::Write, options).unwrap();
        database
            .create("docs", Config::new(DIM, Metric::Cosine), Default::default())
            .await
            .unwrap();
        let docs = database.collection("docs").await.unwrap();
        for (mark, first) in [(0, 0), (1, 20), (2, 45)] {
            docs.upsert((first..first + 30).map(|n| record(n, mark)).collect()).await.unwrap();
            docs.flush().await.unwrap();
        }
        docs.delete(vec![record(3, 0).id, record(44, 0).id, record(74, 0).id]).await.unwrap();
        docs
    }

    /// The row of the source at each row of the segment: all of them, in no order that means
    /// anything.
    fn shuffled(count: usize) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..u32::try_from(count).unwrap()).collect();
        rows.sort_by_key(|row| row.wrapping_mul(2_654_435_761));
        rows
    }

    #[test]
    fn rows_keep_what_is_theirs_in_any_order() {
        block_on(async {
            let docs = collection().await;
            let view = docs.shared.view.load_full();
            let merge = Merge {
                shared: Arc::clone(&docs.shared),
                config: docs.config(),
                inputs: view.segments.clone(),
                dead: view.segments.iter().map(|live| live.dead.rows_at(u64::MAX)).collect(),
                number: 9,
                epoch: 1,
                stop: Stop::default(),
                is_asked_for: false,
            };
            let inputs: Vec<(&Segment, RoaringBitmap)> = merge
                .inputs
                .iter()
                .map(|live| (&*live.segment, live.dead.rows_at(u64::MAX)))
                .collect();
            let read = SegmentRows::read(&inputs, DIM, &merge.stop).await.unwrap();
            let bytes = vec![5; 100_000];
            let kind = SectionKind::Other(900);
            let arrangement = Arrangement {
                order: Order::Permuted(shuffled(read.vectors().len() / DIM)),
                extra: vec![ExtraSection { kind, required: false, bytes }],
            };
            let named = merge.write(read, &arrangement).await.unwrap();
            let output = merge.output(named, &inputs, arrangement.order.inverse()).await.unwrap();
            assert_eq!(output.named.directory.section(kind).unwrap().length, 100_000);
            assert!(!output.named.directory.section(kind).unwrap().required);
            output.segment.verify().await.unwrap();
            check(&merge, &output).await;
        });
    }

    async fn check(merge: &Merge, output: &Output) {
        let mut seen = std::collections::BTreeSet::new();
        for (number, live) in merge.inputs.iter().enumerate() {
            for row in 0..live.segment.rows() {
                let place = output.place(number, row);
                assert_eq!(place.is_none(), live.dead.is_dead(row, u64::MAX));
                let Some(place) = place else { continue };
                assert!(seen.insert(place));
                let id = output.segment.id(place).await.unwrap();
                assert_eq!(id, live.segment.id(row).await.unwrap());
                assert_eq!(output.segment.find(&id).await.unwrap(), [place]);
                let n = (0..75).find(|n| record(*n, 0).id == id).unwrap();
                let expected = record(n, if n >= 45 { 2 } else { u64::from(n >= 20) });
                assert_eq!(output.segment.vector(place).await.unwrap(), expected.vector);
                output.segment.load(Metric::Cosine, &merge.shared.kernels).await.unwrap();
                let (_, norms) = output.segment.resident().unwrap();
                let length = expected.vector.iter().map(|x| x * x).sum::<f32>().sqrt();
                assert!((norms[place as usize] * length - 1.0).abs() < 1e-5);
                let document = output.segment.document(place).await.unwrap();
                let document = serde_json::Value::Object(decode_document(&document).unwrap());
                assert_eq!(document, expected.metadata);
                let payload = output.segment.payload(place).await.unwrap();
                assert_eq!(payload.map(|bytes| bytes.to_vec()), expected.payload);
            }
        }
        assert_eq!(seen.len(), 72);
        assert_eq!(output.segment.rows(), 72);
    }

    #[test]
    fn an_order_that_is_none_is_refused() {
        block_on(async {
            let docs = collection().await;
            let view = docs.shared.view.load_full();
            let stop = Stop::default();
            let merge = Merge {
                shared: Arc::clone(&docs.shared),
                config: docs.config(),
                inputs: view.segments.clone(),
                dead: vec![RoaringBitmap::new(); view.segments.len()],
                number: 9,
                epoch: 1,
                stop: stop.clone(),
                is_asked_for: false,
            };
            let inputs: Vec<(&Segment, RoaringBitmap)> =
                merge.inputs.iter().map(|l| (&*l.segment, RoaringBitmap::new())).collect();
            for rows in [vec![], vec![0; 90], (0..89).collect(), (1..91).collect()] {
                let read = SegmentRows::read(&inputs, DIM, &merge.stop).await.unwrap();
                let arrangement = Arrangement { order: Order::Permuted(rows), extra: vec![] };
                assert!(merge.write(read, &arrangement).await.is_err());
            }
            stop.stop();
            let stopped = SegmentRows::read(&inputs, DIM, &stop).await.unwrap_err();
            assert_eq!(stopped.kind(), crate::ErrorKind::Closed);
        });
    }
}
