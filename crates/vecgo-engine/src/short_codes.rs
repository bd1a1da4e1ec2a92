//! Short codes of rows that are in no index: those of a memtable, and of a segment that is too
//! new or too small to have one.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use vecgo_format::{Config, Index, Metric, Quantization};
use vecgo_index::Codes;
use vecgo_io::{Charge, Use};
use vecgo_kernels::{Bits, CodeRows, Factors, Kernels, PageBuf};
use vecgo_quant::{Kind, Planes, Space, encode, upper_codes};

use crate::collection::Shared;
use crate::{Error, Result};

/// Rows that are encoded at a time, by a search, which then takes longer: by a millisecond or two
/// for a few hundred dimensions, and in proportion for more.
pub(crate) const CHUNK_ROWS: usize = 1024;
/// Vectors of fewer dimensions are scored as soon as codes, which have 128 places at least.
const LEAST_DIM: usize = 64;
/// What a row takes beside its code.
const CODE_OVERHEAD: usize = 12;
/// What rounding a query to 8 bits adds to the deviation of estimates, as a part of the lengths over
/// the root of the dimensions: a step of 1/127 of the largest coordinate, of five deviations, over
/// the root of 12.
const QUERY_ERROR: f32 = 5.0 / 127.0 / 3.46;
/// Which rotation. Nothing that is stored depends on it.
const SEED: u64 = 0x5ca9;

/// Codes of four bits of a source's first rows. Searches make them, a chunk each, once there are
/// the rows of one: where nobody searches, writing costs no more for them.
#[derive(Debug, Default)]
pub(crate) struct ShortCodes {
    space: OnceLock<Space>,
    chunks: ArcSwap<Vec<Arc<Chunk>>>,
    /// Held by who makes another: memory for them.
    making: Mutex<Option<Charge>>,
}

/// The codes of [`CHUNK_ROWS`] rows.
#[derive(Debug)]
pub(crate) struct Chunk {
    codes: PageBuf<u8>,
    stride: usize,
    factors: Vec<u8>,
    /// By how much the estimate of each row's dot product with a query of length one is off.
    pub(crate) deviations: Vec<f32>,
    pub(crate) most_deviation: f32,
    /// Length of the longest point.
    pub(crate) longest: f32,
}

impl ShortCodes {
    /// Whether a collection's rows are scanned by codes at all.
    pub(crate) fn are_for(config: &Config) -> bool {
        config.index() != Index::Flat
            && config.quantization() != Quantization::None
            && config.dim() >= LEAST_DIM
    }

    /// Bytes of a row's code.
    pub(crate) fn row_bytes(dim: usize) -> usize {
        dim.next_multiple_of(vecgo_quant::UNIT) / 2
    }

    /// How a query becomes a point, and the chunks that there are, the first rows first; `None`
    /// if there are no codes yet.
    pub(crate) fn made(&self) -> Option<(&Space, Arc<Vec<Arc<Chunk>>>)> {
        Some((self.space.get()?, self.chunks.load_full()))
    }

    /// Rows that have codes.
    pub(crate) fn rows(&self) -> usize {
        self.chunks.load().len() * CHUNK_ROWS
    }

    /// Encodes one more chunk, if nobody else is about it and there is memory for it. `rows` gives the vectors of
    /// [`CHUNK_ROWS`] rows from one on; `None` if there are not so many yet.
    pub(crate) fn grow<'a>(
        &self,
        shared: &Shared,
        rows: impl FnOnce(usize) -> Option<&'a [f32]>,
    ) -> Result<()> {
        let (dim, metric, kernels) = (shared.dim(), shared.metric(), shared.kernels);
        let Some(mut all) = self.making.try_lock() else { return Ok(()) };
        let Some(vectors) = rows(self.rows()) else { return Ok(()) };
        let bytes = (Self::row_bytes(dim) + CODE_OVERHEAD) * CHUNK_ROWS;
        let Some(charge) = shared.env.memory.try_take(Use::Kept, bytes as u64) else {
            return Ok(());
        };
        let space = self.space.get_or_init(|| train((dim, metric), kernels, vectors));
        let chunk = Chunk::encode(metric, kernels, space, vectors)?;
        let mut chunks = self.chunks.load().to_vec();
        chunks.push(Arc::new(chunk));
        self.chunks.store(Arc::new(chunks));
        match &mut *all {
            Some(all) => all.add(charge),
            none => *none = Some(charge),
        }
        Ok(())
    }

    /// Bytes that they take.
    pub(crate) fn memory_bytes(&self) -> usize {
        let chunks = self.chunks.load();
        chunks.iter().map(|chunk| chunk.codes.len() + chunk.deviations.len() * CODE_OVERHEAD).sum()
    }
}

fn train((dim, metric): (usize, Metric), kernels: Kernels, vectors: &[f32]) -> Space {
    // Under dot the points are the vectors themselves: how long the longest will be is not known.
    let kind = match metric {
        Metric::Cosine => Kind::Angle,
        Metric::L2 | Metric::Dot => Kind::L2,
    };
    Space::train(kernels, kind, dim, SEED, vectors.chunks_exact(dim), 1)
}

impl Chunk {
    fn encode(metric: Metric, kernels: Kernels, space: &Space, vectors: &[f32]) -> Result<Self> {
        let places = space.places();
        let (mut point, mut cells) = (vec![0.0; places], vec![0; places]);
        let stride = places / 2;
        let rows = vectors.len() / space.dim();
        let mut chunk = Self {
            codes: PageBuf::zeroed(rows.saturating_mul(stride))?,
            stride,
            factors: Vec::with_capacity(rows * 8),
            deviations: Vec::with_capacity(rows),
            most_deviation: 0.0,
            longest: 0.0,
        };
        #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
        let query_error = QUERY_ERROR / (space.width() as f32).sqrt();
        let upper = chunk.codes.chunks_exact_mut(stride);
        for (vector, upper) in vectors.chunks_exact(space.dim()).zip(upper) {
            space.row(kernels, vector, &mut point);
            let factors = encode(&point, space.width(), Planes::SHORT, &mut cells);
            upper_codes(Planes::SHORT, &cells, upper);
            let squared = match metric {
                Metric::L2 | Metric::Cosine => factors.squared,
                Metric::Dot => less_length(kernels, &point, vector),
            };
            chunk.factors.extend([squared, factors.upper].into_iter().flat_map(f32::to_le_bytes));
            let deviation = factors.upper_deviation + query_error * factors.squared.sqrt();
            chunk.deviations.push(deviation);
            chunk.most_deviation = chunk.most_deviation.max(deviation);
            chunk.longest = chunk.longest.max(factors.squared.sqrt());
        }
        Ok(chunk)
    }

    /// The codes, to be scored by [`Codes::distances`].
    pub(crate) fn codes(&self) -> Result<Codes<'_>> {
        let broken = || Error::internal("short codes that are not whole rows");
        let rows = CodeRows::new(&self.codes, self.stride).ok_or_else(broken)?;
        let factors = Factors::apart(&self.factors).ok_or_else(broken)?;
        Ok(Codes::of_places(rows, Bits::Four, factors))
    }
}

/// What makes of an estimated squared distance one that ranks as the dot product does: the
/// vector's own squared length is taken away.
#[expect(clippy::cast_possible_truncation, reason = "an estimate")]
fn less_length(kernels: Kernels, point: &[f32], vector: &[f32]) -> f32 {
    let squared = |values: &[f32]| kernels.exact_dot(values, values);
    let squared = (squared(point) - squared(vector)) as f32;
    if squared.is_finite() { squared } else { f32::MAX }
}
