use std::ops::Range;

use vecgo_kernels::{CodeRows, Kernels, pack};

use crate::{Kind, split_mix};

/// Centroids of a part: a code is a byte.
pub const CENTROIDS: usize = 256;
/// Rounds of k-means.
const ROUNDS: usize = 25;
/// No more of them once one makes the error less by no more than this part.
const LEAST_GAIN: f64 = 5e-4;
/// A table holds no more than this, so that sums of entries are finite.
const FARTHEST: f32 = 1e33;

/// A product quantizer (Jégou and others, TPAMI 2011): vectors are cut into parts, and a code is the
/// number of the nearest of 256 centroids for each part, found by k-means.
///
/// The parts are of the vectors as they are, scaled to length one for [`Kind::Angle`]. Where neighbouring
/// dimensions belong together, as in descriptors of images, a rotation would cost more than half of what
/// codes tell.
#[derive(Clone, Debug)]
pub struct Codebook {
    kind: Kind,
    dim: usize,
    parts: usize,
    /// Part after part; of each a coordinate after the other, of all centroids.
    centroids: Vec<f32>,
    longest: f32,
    loss: Loss,
}

/// What codes leave out of vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Root mean square distance of vectors from their mean.
    pub length: f32,
    /// That of vectors from their codes' centroids, as a part of it.
    pub error: f32,
}

/// One part of a [`Codebook`].
#[derive(Clone, Debug)]
pub struct TrainedPart {
    centroids: Vec<f32>,
    /// Mean squared distances from the mean, and from the centroids.
    squares: (f64, f64),
}

/// The coordinates of a part of a vector.
#[must_use]
pub fn coordinates_of(part: usize, parts: usize, dim: usize) -> Range<usize> {
    part * dim / parts..(part + 1) * dim / parts
}

/// What a vector is multiplied with before parts are taken from it.
fn scale_of(kernels: Kernels, kind: Kind, vector: &[f32]) -> f32 {
    let squared = kernels.exact_dot(vector, vector);
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
    let inverse = || 1.0 / squared.sqrt() as f32;
    if kind == Kind::Angle && squared > 0.0 { inverse() } else { 1.0 }
}

/// Vectors that stand for all while centroids are found, each with what it is multiplied with.
#[derive(Clone, Debug)]
pub struct TrainingRows<'a>(Vec<(&'a [f32], f32)>);

impl<'a> TrainingRows<'a> {
    /// Those of some vectors that are within the range of `f32`.
    pub fn new(
        kernels: Kernels,
        kind: Kind,
        vectors: impl Iterator<Item = &'a [f32]>,
    ) -> TrainingRows<'a> {
        let rows = vectors.map(|vector| (vector, scale_of(kernels, kind, vector)));
        let finite = |(vector, scale): &(&[f32], f32)| {
            vector.iter().all(|value| (value * scale).is_finite())
        };
        TrainingRows(rows.filter(finite).collect())
    }

    /// Calls `each` with some coordinates of every row.
    fn coordinates(&self, range: &Range<usize>, mut each: impl FnMut(&[f32])) {
        let mut scaled = Vec::with_capacity(range.len());
        for (vector, scale) in &self.0 {
            scaled.clear();
            scaled.extend(vector[range.clone()].iter().map(|value| value * scale));
            each(&scaled);
        }
    }

    /// The mean squared distance of some coordinates from their mean.
    fn variance(&self, range: &Range<usize>) -> f64 {
        let (mut sums, mut squares) = (vec![0.0; range.len()], 0.0);
        self.coordinates(range, |row| {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        });
        let count = self.count();
        self.coordinates(range, |row| {
            let off = row.iter().zip(&sums).map(|(value, sum)| f64::from(*value) - sum / count);
            squares += off.map(|off| off * off).sum::<f64>();
        });
        squares / count
    }

    fn count(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a sample")]
        let count = self.0.len() as f64;
        count
    }
}

impl TrainedPart {
    /// Finds centroids for the coordinates in `range`: the same for the same seed, on every CPU.
    ///
    /// # Panics
    ///
    /// If vectors have no such coordinates.
    #[must_use]
    pub fn train(
        kernels: Kernels,
        rows: &TrainingRows<'_>,
        range: &Range<usize>,
        seed: u64,
    ) -> TrainedPart {
        let mut state = seed;
        let mut centroids = vec![0.0; range.len() * CENTROIDS];
        if rows.0.is_empty() {
            return TrainedPart { centroids, squares: (0.0, 0.0) };
        }
        let mut draw = |centroids: &mut [f32], number| {
            #[expect(clippy::cast_possible_truncation, reason = "below their number")]
            let (vector, scale) = rows.0[(split_mix(&mut state) % rows.0.len() as u64) as usize];
            put(centroids, number, vector[range.clone()].iter().map(|value| value * scale));
        };
        (0..CENTROIDS).for_each(|number| draw(&mut centroids, number));
        let mut last = f64::INFINITY;
        for round in 0..=ROUNDS {
            let Assigned { sums, counts, left } = assign(kernels, &centroids, rows, range);
            let is_enough = last - left <= left * LEAST_GAIN;
            last = left;
            if round == ROUNDS || is_enough {
                break;
            }
            for (number, (sum, count)) in sums.chunks_exact(range.len()).zip(counts).enumerate() {
                // One that nothing is near to begins again elsewhere.
                #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
                match count > 0.0 {
                    true => put(&mut centroids, number, sum.iter().map(|sum| (sum / count) as f32)),
                    false => draw(&mut centroids, number),
                }
            }
        }
        TrainedPart { centroids, squares: (rows.variance(range), last) }
    }
}

/// What is nearest to each centroid.
struct Assigned {
    /// Of the rows' coordinates.
    sums: Vec<f64>,
    counts: Vec<f64>,
    /// Mean squared distance of rows from their centroids.
    left: f64,
}

fn assign(
    kernels: Kernels,
    centroids: &[f32],
    rows: &TrainingRows<'_>,
    range: &Range<usize>,
) -> Assigned {
    let width = range.len();
    let (mut sums, mut counts) = (vec![0.0; width * CENTROIDS], vec![0.0; CENTROIDS]);
    let mut left = 0.0;
    rows.coordinates(range, |row| {
        let (number, squared) = kernels.nearest_of_256(row, centroids);
        let number = usize::from(number);
        left += f64::from(squared);
        counts[number] += 1.0;
        let sums = &mut sums[number * width..(number + 1) * width];
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    });
    Assigned { sums, counts, left: left / rows.count() }
}

fn put(centroids: &mut [f32], number: usize, row: impl Iterator<Item = f32>) {
    for (all, value) in centroids.chunks_exact_mut(CENTROIDS).zip(row) {
        all[number] = value;
    }
}

impl Codebook {
    /// One of so many parts, as it was trained; `longest` is the squared length of the longest row,
    /// for [`Kind::Dot`].
    #[must_use]
    pub fn of_parts(kind: Kind, dim: usize, parts: Vec<TrainedPart>, longest: f32) -> Codebook {
        let count = parts.len();
        let squares = parts.iter().map(|part| part.squares);
        let (all, left) = squares.fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
        let centroids: Vec<f32> = parts.into_iter().flat_map(|part| part.centroids).collect();
        let error = if all > 0.0 { (left / all).sqrt().min(1.0) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "a measure")]
        let loss = Loss { length: all.sqrt() as f32, error: error as f32 };
        Codebook { kind, dim, parts: count, centroids, longest, loss }
    }

    /// One that was trained before; `None` unless there are all centroids and they are numbers.
    #[must_use]
    pub fn new(
        (kind, dim, parts): (Kind, usize, usize),
        centroids: Vec<f32>,
        longest: f32,
        loss: Loss,
    ) -> Option<Codebook> {
        let whole = centroids.len() == dim * CENTROIDS && (1..=dim).contains(&parts);
        let fits = whole
            && centroids.iter().chain([&loss.length, &loss.error]).all(|number| number.is_finite());
        fits.then_some(Codebook { kind, dim, parts, centroids, longest, loss })
    }

    /// Bytes of a code.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The centroids: part after part, of each a coordinate after the other, of all 256.
    #[must_use]
    pub fn centroids(&self) -> &[f32] {
        &self.centroids
    }

    /// What codes leave out.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// Encodes a vector, a byte for each part. `scaled` is memory to use again.
    ///
    /// # Panics
    ///
    /// If the vector has another dimension, or the code another length.
    pub fn encode(&self, kernels: Kernels, vector: &[f32], scaled: &mut Vec<f32>, code: &mut [u8]) {
        assert_eq!((vector.len(), code.len()), (self.dim, self.parts), "dimension and parts");
        let scale = scale_of(kernels, self.kind, vector);
        scaled.clear();
        scaled.extend(vector.iter().map(|value| value * scale));
        for (part, code) in code.iter_mut().enumerate() {
            let range = coordinates_of(part, self.parts, self.dim);
            (*code, _) = kernels.nearest_of_256(&scaled[range.clone()], self.columns(range));
        }
    }

    /// Some coordinates of the centroids.
    fn columns(&self, range: Range<usize>) -> &[f32] {
        &self.centroids[range.start * CENTROIDS..range.end * CENTROIDS]
    }

    /// For each part what its centroids add to a query's distance: as [`Space`](crate::Space) has
    /// distances of points, less `own`, the squared length of the query's point there.
    pub(crate) fn tables(
        &self,
        kernels: Kernels,
        query: &[f32],
        own: f32,
        tables: &mut Vec<[f32; CENTROIDS]>,
    ) {
        let scale = scale_of(kernels, self.kind, query);
        tables.clear();
        tables.resize(self.parts, [0.0; CENTROIDS]);
        for (part, table) in tables.iter_mut().enumerate() {
            let range = coordinates_of(part, self.parts, self.dim);
            let columns = self.columns(range.clone()).chunks_exact(CENTROIDS);
            for (value, all) in query[range].iter().map(|value| value * scale).zip(columns) {
                for (sum, centroid) in table.iter_mut().zip(all) {
                    *sum += match self.kind {
                        Kind::Dot => -2.0 * value * centroid,
                        Kind::L2 | Kind::Angle => (value - centroid) * (value - centroid),
                    };
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
        let more = match self.kind {
            Kind::Dot => kernels.exact_dot(query, query) as f32 + self.longest - own,
            Kind::L2 | Kind::Angle => -own,
        };
        if let Some(first) = tables.first_mut() {
            first.iter_mut().for_each(|sum| *sum += more);
        }
        // What is no number is far.
        let all = tables.as_flattened_mut().iter_mut();
        let finite = |sum: f32| match sum.is_nan() {
            true => FARTHEST,
            false => sum.clamp(-FARTHEST, FARTHEST),
        };
        all.for_each(|sum| *sum = finite(*sum));
    }
}

/// The rows whose distance by tables, an entry for each byte of their codes, is below a bound, packed as
/// [`vecgo_kernels::pack`] does, and how many they are.
pub(crate) fn within(
    tables: &[[f32; CENTROIDS]],
    codes: CodeRows<'_>,
    rows: &[u32],
    bound: u64,
    out: &mut [u64],
) -> usize {
    const TOGETHER: usize = 4;
    const AHEAD: usize = 8;
    assert_eq!(rows.len(), out.len(), "one place for each row");
    assert_eq!(codes.stride(), tables.len(), "a table for each part");
    let mut kept = 0;
    rows.iter().take(AHEAD).for_each(|row| codes.prefetch(*row));
    for (number, four) in rows.chunks(TOGETHER).enumerate() {
        let ahead = rows.get(number * TOGETHER + AHEAD..).unwrap_or_default();
        ahead.iter().take(TOGETHER).for_each(|row| codes.prefetch(*row));
        let last = four.len() - 1;
        let of: [&[u8]; TOGETHER] = std::array::from_fn(|i| codes.row(four[i.min(last)]));
        let mut sums = [0.0f32; TOGETHER];
        let [a, b, c, d] = of;
        for ((((table, a), b), c), d) in tables.iter().zip(a).zip(b).zip(c).zip(d) {
            for (sum, code) in sums.iter_mut().zip([a, b, c, d]) {
                *sum += table[usize::from(*code)];
            }
        }
        for (row, sum) in four.iter().zip(sums) {
            let packed = pack(sum, *row);
            if packed < bound {
                out[kept] = packed;
                kept += 1;
            }
        }
    }
    kept
}
