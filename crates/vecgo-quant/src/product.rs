use std::ops::Range;

use vecgo_kernels::{CodeRows, Kernels, pack};

use crate::Kind;
use crate::train::TrainedPart;

/// Centroids of a part: a code is a byte.
pub const CENTROIDS: usize = 256;
/// No [`Loss::length`] is more, so that products of it and of lengths are finite.
const LONGEST: f32 = 1e18;
/// A table holds no more than this, so that sums of entries are finite.
const FARTHEST: f32 = f32::MAX / CENTROIDS as f32;

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

/// The coordinates of a part of a vector.
#[must_use]
pub fn coordinates_of(part: usize, parts: usize, dim: usize) -> Range<usize> {
    part * dim / parts..(part + 1) * dim / parts
}

/// What a vector is multiplied with before parts are taken from it.
pub(crate) fn scale_of(kernels: Kernels, kind: Kind, vector: &[f32]) -> f32 {
    if kind != Kind::Angle {
        return 1.0;
    }
    let squared = kernels.exact_dot(vector, vector);
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
    let length = squared.sqrt() as f32;
    if squared > 0.0 { 1.0 / length } else { 1.0 }
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
        let loss = Loss { length: (all.sqrt() as f32).min(LONGEST), error: error as f32 };
        Codebook { kind, dim, parts: count, centroids, longest, loss }
    }

    /// One that was trained before; `None` unless there are all centroids, they are numbers, and so is the
    /// loss: an error of 0 to 1, a length of 0 to 1e18.
    #[must_use]
    pub fn new(
        (kind, dim, parts): (Kind, usize, usize),
        centroids: Vec<f32>,
        longest: f32,
        loss: Loss,
    ) -> Option<Codebook> {
        let whole = centroids.len() == dim * CENTROIDS && (1..=dim).contains(&parts);
        let told = (0.0..=LONGEST).contains(&loss.length) && (0.0..=1.0).contains(&loss.error);
        let fits = whole && told && centroids.iter().all(|number| number.is_finite());
        fits.then_some(Codebook { kind, dim, parts, centroids, longest, loss })
    }

    /// Dimensions of the vectors.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Whether distances are those of dot products.
    pub(crate) fn is_of_dot(&self) -> bool {
        self.kind == Kind::Dot
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
    /// distances of points, less `own`, the squared length of the query's point there; `of_dot` is that of the query itself,
    /// where distances are those of dot products.
    pub(crate) fn tables(
        &self,
        kernels: Kernels,
        query: &[f32],
        (own, of_dot): (f32, Option<f32>),
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
        let more = of_dot.map_or(0.0, |squared| squared + self.longest) - own;
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
    mut rows: impl ExactSizeIterator<Item = u32> + Clone,
    bound: u64,
    out: &mut [u64],
) -> usize {
    const TOGETHER: usize = 4;
    const AHEAD: usize = 8;
    assert_eq!(rows.len(), out.len(), "one place for each row");
    assert_eq!(codes.stride(), tables.len(), "a table for each part");
    let mut kept = 0;
    let mut ahead = rows.clone();
    ahead.by_ref().take(AHEAD).for_each(|row| codes.prefetch(row));
    while let Some(first) = rows.next() {
        ahead.by_ref().take(TOGETHER).for_each(|row| codes.prefetch(row));
        let mut four = [first; TOGETHER];
        let mut count = 1;
        for (place, row) in four.iter_mut().skip(1).zip(rows.by_ref()) {
            *place = row;
            count += 1;
        }
        let of: [&[u8]; TOGETHER] = std::array::from_fn(|i| codes.row(four[i]));
        let mut sums = [0.0f32; TOGETHER];
        let [a, b, c, d] = of;
        for ((((table, a), b), c), d) in tables.iter().zip(a).zip(b).zip(c).zip(d) {
            for (sum, code) in sums.iter_mut().zip([a, b, c, d]) {
                *sum += table[usize::from(*code)];
            }
        }
        for (row, sum) in four.iter().zip(sums).take(count) {
            let packed = pack(sum, *row);
            if packed < bound {
                out[kept] = packed;
                kept += 1;
            }
        }
    }
    kept
}
