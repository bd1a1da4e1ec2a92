use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use vecgo_format::{Calibration, CalibrationPoint, Index};
use vecgo_index::{Hidden, Parallel, Threads};

use super::{NEIGHBOURS, Sample};
use crate::Result;
use crate::collection::Shared;
use crate::index::{Estimated, IndexPart, Walker};
use crate::query::{
    Effort, ExactQuery, PointDistances, SearchParams, Snapshot, View, may_be_found,
};
use crate::segment::{LiveSegment, Segment, Stop};

/// Once so much is found, going farther tells nothing more.
const ENOUGH: f64 = 0.9995;
/// Candidates that are kept at most.
const MOST_CANDIDATES: usize = 4096;
/// Clusters that are searched at first.
const FIRST_CLUSTERS: u32 = 4;

/// What is searched, and for what.
struct Trial<'a> {
    snapshot: Snapshot,
    live: LiveSegment,
    sample: &'a Sample,
    /// Where each row that was given stands, unless they stand as they were given.
    places: Option<&'a [u32]>,
    threads: Threads,
    walkers: Mutex<Vec<Walker>>,
}

impl Sample {
    /// Searches a segment that was made of what was given. Empty if there is no memory for that now.
    pub(crate) async fn measure(
        &self,
        shared: &Arc<Shared>,
        segment: Arc<Segment>,
        places: Option<&[u32]>,
        stop: &Stop,
    ) -> Result<Calibration> {
        if !segment.load_index_now().await? {
            return Ok(Calibration::default());
        }
        let live = LiveSegment { segment, dead: Arc::default() };
        let view = View {
            version: 0,
            config: *live.segment.config(),
            schema: shared.schema(),
            sequence: Arc::new(AtomicU64::new(0)),
            memtables: Vec::new(),
            segments: vec![live.clone()],
        };
        let trial = Trial {
            snapshot: Snapshot::of_view(shared, Arc::new(view)),
            live,
            sample: self,
            places,
            threads: Threads(shared.env.spawn.parallelism()),
            walkers: Mutex::default(),
        };
        let mut points = Vec::new();
        for k in NEIGHBOURS {
            trial.run(k, stop, &mut points)?;
        }
        Ok(Calibration::new(points))
    }
}

impl Trial<'_> {
    /// Goes farther and farther for the `k` nearest.
    fn run(&self, k: u32, stop: &Stop, points: &mut Vec<CalibrationPoint>) -> Result<()> {
        let segment = &self.live.segment;
        let (index, neighbours) = (segment.config().index(), k as usize);
        let (mut effort, most) = match index {
            Index::Ivf { .. } => {
                (FIRST_CLUSTERS, segment.index().map_or(0, IndexPart::cluster_count))
            }
            _ => {
                let times = segment.index().map_or(1, IndexPart::times_kept);
                (k.next_power_of_two(), (MOST_CANDIDATES / times).min(segment.rows() as usize))
            }
        };
        let params = SearchParams { k: neighbours, ..SearchParams::default() };
        while self.sample.has_neighbours(neighbours) {
            let how = Effort::usual(params).with(index, effort as usize);
            let found = self.recall(neighbours, how, stop)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of one")]
            let recall = (found * 10_000.0) as u16;
            points.push(CalibrationPoint { k, effort, recall });
            if found >= ENOUGH || effort as usize >= most {
                break;
            }
            effort *= 2;
        }
        Ok(())
    }

    /// How much of the nearest others of all rows of the sample is found.
    fn recall(&self, k: usize, effort: Effort, stop: &Stop) -> Result<f64> {
        let (found, wanted) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failure = Mutex::new(None);
        self.threads.run(self.sample.searched(k), &|number| {
            if stop.check().is_err() {
                return;
            }
            match self.search(number, k, effort) {
                Ok((some, of)) => {
                    found.fetch_add(some, Ordering::Relaxed);
                    wanted.fetch_add(of, Ordering::Relaxed);
                }
                Err(error) => *failure.lock() = Some(error),
            }
        });
        stop.check()?;
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let recall = found.into_inner() as f64 / wanted.into_inner().max(1) as f64;
        Ok(recall)
    }

    /// How many of the `k` nearest others of a row come to be scored by their vectors, of how many: of
    /// those the nearest would be found.
    fn search(&self, number: usize, k: usize, effort: Effort) -> Result<(usize, usize)> {
        let (row, vector) = self.sample.query(number);
        let mut walker = self.walkers.lock().pop().unwrap_or_default();
        walker.hide(Hidden { row: self.place(row), stood_for: k < self.edges() });
        let mut rows = Vec::new();
        let of = (0, &self.live);
        self.snapshot.rows_by_index(&mut walker, of, (vector, effort), &mut rows)?;
        self.walkers.lock().push(walker);
        let is_scored = self.is_scored(number, k, vector);
        let rows = rows.iter().enumerate().filter(|(place, found)| is_scored(*place, **found));
        let mut rows: Vec<u32> = rows.map(|(_, found)| found.row).collect();
        rows.sort_unstable();
        let is_found = |row: &u32| rows.binary_search(&self.place(*row)).is_ok();
        let found = self.sample.nearest(number, k).filter(is_found).count();
        // Which of several as near are found makes no difference.
        Ok((found.min(k), k))
    }

    /// Whether what is found at a place in the order of estimates is read and scored where rows are read for it: what
    /// can be no nearer than the last of the nearest is not.
    fn is_scored(
        &self,
        number: usize,
        k: usize,
        vector: &[f32],
    ) -> impl Fn(usize, Estimated) -> bool {
        let (shared, segment) = (&self.snapshot.shared, &self.live.segment);
        let exact = ExactQuery::new(shared.kernels, shared.metric(), vector);
        let of = PointDistances::new(shared.metric(), segment.index(), &exact);
        let limit = match segment.config().index() {
            Index::Disk { .. } => self.sample.distance(number, k),
            _ => f32::INFINITY,
        };
        move |place, found| place < k || may_be_found((place, k), of.range(found), limit)
    }

    /// Of a row, at most.
    fn edges(&self) -> usize {
        self.live.segment.config().index().of_graph().map_or(0, |(m, _)| m.into())
    }

    fn place(&self, row: u32) -> u32 {
        match self.places {
            None => row,
            Some(places) => places.get(row as usize).copied().unwrap_or(u32::MAX),
        }
    }
}
