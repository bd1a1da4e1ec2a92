use std::ops::Range;

use vecgo_kernels::Kernels;

use crate::product::{CENTROIDS, scale_of};
use crate::{Kind, split_mix};

/// Rounds of k-means.
const ROUNDS: usize = 25;
/// No more of them once one makes the error less by no more than this part.
const LEAST_GAIN: f64 = 5e-4;
/// Rows after which it asks whether it is to go on.
const ASKED_EVERY: usize = 1024;

/// One part of a [`Codebook`](crate::Codebook).
#[derive(Clone, Debug)]
pub struct TrainedPart {
    pub(crate) centroids: Vec<f32>,
    /// Mean squared distances from the mean, and from the centroids.
    pub(crate) squares: (f64, f64),
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

    /// Calls `each` with some coordinates of every row, or of some while it is to `go_on`.
    fn coordinates(
        &self,
        range: &Range<usize>,
        go_on: &dyn Fn() -> bool,
        mut each: impl FnMut(&[f32]),
    ) {
        let mut scaled = Vec::with_capacity(range.len());
        for (number, (vector, scale)) in self.0.iter().enumerate() {
            if number % ASKED_EVERY == 0 && !go_on() {
                return;
            }
            scaled.clear();
            scaled.extend(vector[range.clone()].iter().map(|value| value * scale));
            each(&scaled);
        }
    }

    /// The mean squared distance of some coordinates from their mean.
    fn variance(&self, range: &Range<usize>) -> f64 {
        let (mut sums, mut squares) = (vec![0.0; range.len()], 0.0);
        self.coordinates(range, &|| true, |row| {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        });
        let count = self.count();
        self.coordinates(range, &|| true, |row| {
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
    /// Finds centroids for the coordinates in `range`: the same for the same seed, on every CPU, as long as
    /// it is to `go_on`; it comes to an end soon if not, and they are of no use.
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
        go_on: &dyn Fn() -> bool,
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
            let assigned = assign(kernels, &centroids, (rows, range), go_on);
            if !go_on() {
                break;
            }
            let Assigned { sums, counts, left } = assigned;
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
    (rows, range): (&TrainingRows<'_>, &Range<usize>),
    go_on: &dyn Fn() -> bool,
) -> Assigned {
    let width = range.len();
    let (mut sums, mut counts) = (vec![0.0; width * CENTROIDS], vec![0.0; CENTROIDS]);
    let mut left = 0.0;
    rows.coordinates(range, go_on, |row| {
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
