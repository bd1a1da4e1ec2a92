use vecgo_format::{Config, Index, Quantization, SectionKind};
use vecgo_index::{
    BuildParams, Cancelled, ClusterParams, Clusters, Edges, NO_EDGE, OldGraph, Points, Threads,
    build, cluster,
};
use vecgo_kernels::{CodeRows, FACTOR_BYTES, Factors, Kernels, PageBuf};
use vecgo_quant::{CodeFactors, Planes, Space, encode, lower_codes, upper_codes};

use super::coded::walked_in;
use super::kind;
use super::layout::{Layout, planes_of};
use super::lengths::{MOST_ENTRIES, clusters_of};
use super::progress::Watched;
use crate::collection::Shared;
use crate::segment::{Arrangement, ExtraSection, Order, Stop};
use crate::{Error, Result};

/// Rows whose mean stands for that of all.
pub(super) const SAMPLE_ROWS: usize = 16_384;
/// Rounds in which clusters that are searched get better.
const CLUSTER_ROUNDS: usize = 3;
/// An edge is left out if a chosen row is nearer to its end by this factor of squared distance.
const ALPHA: f32 = 1.05;
/// The first pass links every row, the second finds better edges in the graph that it left.
const PASSES: usize = 2;

/// What becomes of the rows while an index is made.
pub(super) struct Making<'a> {
    pub(super) config: &'a Config,
    pub(super) kernels: Kernels,
    pub(super) threads: Threads,
    pub(super) stop: &'a Stop,
    /// Of a graph.
    progress: Option<Watched<'a>>,
    pub(super) seed: u64,
}

/// The codes of all rows in some order.
struct Encoded {
    cells: PageBuf<u8>,
    factors: Vec<CodeFactors>,
    /// Factors of the whole code, as the kernels read them.
    full: Vec<u8>,
}

/// A graph that some of the rows were in.
#[derive(Debug)]
pub(crate) struct Old {
    pub(crate) edges: PageBuf<u32>,
    /// Where each of its rows stands among the vectors; [`NO_EDGE`] for those that are gone.
    pub(crate) rows: Vec<u32>,
}

impl Old {
    /// Goes by the rows of the segment from here on.
    fn follow(&mut self, order: &Order) {
        let inverse = order.inverse().unwrap_or_default();
        for row in &mut self.rows {
            *row = inverse.get(*row as usize).copied().unwrap_or(NO_EDGE);
        }
    }
}

/// Makes the index and codes of a segment, and the order of its rows, from its vectors. The same
/// for the same vectors, old graph and seed, however many threads.
pub(crate) fn make(
    (shared, config): (&Shared, &Config),
    seed: u64,
    vectors: &[f32],
    mut old: Option<Old>,
    stop: &Stop,
) -> Result<Arrangement> {
    let kernels = shared.kernels;
    let threads = Threads(shared.env.spawn.parallelism());
    let progress =
        config.index().of_graph().map(|_| shared.progress.begin(vectors.len() / config.dim()));
    let making = Making { config, kernels, threads, stop, progress, seed };
    let space = making.train(vectors);
    let encoded = making.encode(&space, vectors)?;
    let clusters = making.cluster(&space, &encoded)?;
    let encoded = making.arrange(encoded, &clusters.order, space.places())?;
    let Clusters { order, starts, nearest, centres } = clusters;
    let mut extra = vec![section(SectionKind::Space, space_bytes(&space, seed))];
    if let Quantization::Pq { parts } = config.quantization() {
        extra.extend(making.part_codes(&space, parts.into(), vectors, &order)?);
    }
    let order = Order::Permuted(order);
    extra.push(section(SectionKind::Clusters, words(&[starts, nearest.clone()].concat())));
    extra.push(section(SectionKind::Centres, centres.cells));
    extra.push(section(SectionKind::CentreFactors, centres.factors));
    match config.index() {
        Index::Ivf { .. } => {}
        Index::Graph { m, ef_construction } | Index::Disk { m, ef_construction } => {
            old.iter_mut().for_each(|old| old.follow(&order));
            let entries = spread(&nearest);
            let edges = making.link((m, ef_construction), (&space, &encoded), &entries, old)?;
            extra.push(section(SectionKind::Edges, words(&edges)));
            extra.push(section(SectionKind::Entries, words(&entries)));
        }
        Index::Flat => return Err(Error::internal("an index of a collection that has none")),
    }
    if let Some(planes) = planes_of(config.quantization()) {
        extra.extend(code_sections(planes, &space, encoded));
    }
    Ok(Arrangement { order, extra })
}

pub(super) fn section(kind: SectionKind, bytes: Vec<u8>) -> ExtraSection {
    ExtraSection { kind, required: true, bytes }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(super) fn space_bytes(space: &Space, seed: u64) -> Vec<u8> {
    let mut bytes = seed.to_le_bytes().to_vec();
    bytes.extend(space.longest().to_le_bytes());
    bytes.extend(space.mean().iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// A few of many, evenly.
fn spread(centres: &[u32]) -> Vec<u32> {
    let count = centres.len().min(MOST_ENTRIES);
    (0..count).filter_map(|number| centres.get(number * centres.len() / count).copied()).collect()
}

fn cancelled(_: Cancelled) -> Error {
    Error::closed()
}

impl Making<'_> {
    fn train(&self, vectors: &[f32]) -> Space {
        let dim = self.config.dim();
        let rows = vectors.chunks_exact(dim);
        let step = rows.len().div_ceil(SAMPLE_ROWS).max(1);
        Space::train(self.kernels, kind(self.config), dim, self.seed, rows, step)
    }

    fn encode(&self, space: &Space, vectors: &[f32]) -> Result<Encoded> {
        const TASK_ROWS: usize = 1024;
        let (dim, places) = (self.config.dim(), space.places());
        let planes = planes_of(self.config.quantization()).unwrap_or(Planes::WHOLE);
        let rows = vectors.len() / dim;
        let mut cells = PageBuf::<u8>::zeroed(rows.saturating_mul(places))?;
        let mut factors = vec![CodeFactors::default(); rows];
        let tasks = vectors
            .chunks(TASK_ROWS * dim)
            .zip(cells.chunks_mut(TASK_ROWS * places))
            .zip(factors.chunks_mut(TASK_ROWS));
        let tasks: Vec<_> = tasks.map(parking_lot::Mutex::new).collect();
        vecgo_index::Parallel::run(&self.threads, tasks.len(), &|task| {
            if self.stop.check().is_err() {
                return;
            }
            let ((vectors, cells), factors) = &mut *tasks[task].lock();
            let mut point = vec![0.0; places];
            let rows = vectors.chunks_exact(dim).zip(cells.chunks_exact_mut(places));
            for ((vector, cells), factors) in rows.zip(factors.iter_mut()) {
                space.row(self.kernels, vector, &mut point);
                *factors = encode(&point, space.width(), planes, cells);
            }
        });
        drop(tasks);
        self.stop.check()?;
        let full = column(&factors, |factors| factors.full);
        Ok(Encoded { cells, factors, full })
    }

    fn cluster(&self, space: &Space, encoded: &Encoded) -> Result<Clusters> {
        let points = encoded.points(space)?;
        let go_on = || self.stop.check().is_ok();
        let rows = encoded.factors.len();
        let clusters = clusters_of(self.config.index(), rows);
        let is_searched = matches!(self.config.index(), Index::Ivf { .. });
        let rounds = if is_searched { CLUSTER_ROUNDS } else { 0 };
        let params = ClusterParams { clusters, rounds, seed: self.seed };
        cluster(self.kernels, points, params, &self.threads, &go_on).map_err(cancelled)
    }

    /// Puts the codes in another order.
    fn arrange(&self, from: Encoded, order: &[u32], places: usize) -> Result<Encoded> {
        let mut cells = PageBuf::<u8>::zeroed(from.cells.len())?;
        let mut factors = Vec::with_capacity(order.len());
        for (row, to) in order.iter().zip(cells.chunks_exact_mut(places)) {
            let row = *row as usize;
            to.copy_from_slice(&from.cells[row * places..(row + 1) * places]);
            factors.push(from.factors[row]);
        }
        self.stop.check()?;
        let full = column(&factors, |factors| factors.full);
        Ok(Encoded { cells, factors, full })
    }

    fn link(
        &self,
        (m, ef_construction): (u16, u16),
        (space, encoded): (&Space, &Encoded),
        entries: &[u32],
        old: Option<Old>,
    ) -> Result<Vec<u32>> {
        let params = BuildParams {
            degree: usize::from(m),
            ef: usize::from(ef_construction),
            alpha: ALPHA,
            passes: PASSES,
            seed: self.seed,
        };
        let points = encoded.points(space)?;
        let go_on = |done| {
            self.progress.iter().for_each(|progress| progress.done(done));
            self.stop.check().is_ok()
        };
        let old = old
            .as_ref()
            .map(|old| OldGraph { edges: Edges::new(&old.edges, params.degree), rows: &old.rows });
        let built = build(self.kernels, points, entries, params, old, &self.threads, go_on);
        Ok(built.map_err(cancelled)?.edges)
    }
}

impl Encoded {
    fn points(&self, space: &Space) -> Result<Points<'_>> {
        let broken = || Error::internal("codes that are not whole rows");
        let rows = CodeRows::new(&self.cells, space.places()).ok_or_else(broken)?;
        let factors = Factors::apart(&self.full).ok_or_else(broken)?;
        Ok(Points { rows, factors, width: space.width() })
    }
}

/// Squared length and one factor of each row.
fn column(factors: &[CodeFactors], factor: impl Fn(&CodeFactors) -> f32) -> Vec<u8> {
    let pairs = factors.iter().map(|factors| [factors.squared, factor(factors)]);
    pairs.flatten().flat_map(f32::to_le_bytes).collect()
}

/// The codes as searches read them.
fn code_sections(planes: Planes, space: &Space, from: Encoded) -> Vec<ExtraSection> {
    let Encoded { cells, factors, .. } = from;
    let places = space.places();
    let kinds = walked_in(planes);
    let upper = column(&factors, |factors| factors.upper);
    let pack = |cells: &[u8], out: &mut [u8]| upper_codes(planes, cells, out);
    let mut sections =
        plane(kinds, Layout::of(planes.upper(), space), (&cells, places), upper, pack);
    if let Some(bits) = planes.lower() {
        let kinds = (SectionKind::LowerCodes, SectionKind::LowerFactors);
        let both = column(&factors, |factors| factors.both);
        let pack = |cells: &[u8], out: &mut [u8]| lower_codes(planes, cells, out);
        sections.extend(plane(kinds, Layout::of(bits, space), (&cells, places), both, pack));
    }
    sections
}

/// Rows of codes, with their factors at their ends or beside them.
fn plane(
    (codes, beside): (SectionKind, SectionKind),
    layout: Layout,
    (cells, places): (&[u8], usize),
    factors: Vec<u8>,
    pack: impl Fn(&[u8], &mut [u8]),
) -> Vec<ExtraSection> {
    let Layout { bits, stride, in_rows } = layout;
    let mut bytes = vec![0; cells.len() / places * stride];
    let rows = bytes.chunks_exact_mut(stride).zip(factors.chunks_exact(FACTOR_BYTES));
    for (cells, (row, factors)) in cells.chunks_exact(places).zip(rows) {
        pack(cells, &mut row[..bits.bytes_of(places)]);
        if in_rows {
            row[stride - FACTOR_BYTES..].copy_from_slice(factors);
        }
    }
    let mut sections = vec![section(codes, bytes)];
    if !in_rows {
        sections.push(section(beside, factors));
    }
    sections
}
