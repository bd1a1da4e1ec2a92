use vecgo_kernels::Kernels;

use crate::{Rotation, SPARE, UNIT};

/// Which distances a [`Space`] keeps the order of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Squared Euclidean distance.
    L2,
    /// The angle: vectors are scaled to length one.
    Angle,
    /// The dot product: rows get a coordinate that makes them all as long as the longest, which
    /// queries have at zero (Bachrach and others, RecSys 2014).
    Dot,
}

/// How vectors become points: scaled as the metric wants, rotated, less the mean of all rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    kind: Kind,
    dim: usize,
    places: usize,
    rotation: Rotation,
    /// Mean of the rotated rows.
    mean: Vec<f32>,
    mean_length: f32,
    /// Squared length of the longest row, for [`Kind::Dot`].
    longest: f32,
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32
}

impl Space {
    /// A space with a known mean, of [`Space::places`] places, or none for zero. `dim` is one or
    /// more; `longest` is the squared length of the longest row, and matters to [`Kind::Dot`]
    /// only.
    #[must_use]
    pub fn new(kind: Kind, dim: usize, seed: u64, mean: Vec<f32>, longest: f32) -> Space {
        let dims = dim + usize::from(kind == Kind::Dot);
        let places = dims.next_multiple_of(UNIT).max(UNIT);
        let room = places - 2 * SPARE >= dims;
        let rotation = Rotation::new(places - if room { 2 * SPARE } else { 0 }, seed);
        let mean_length = length(&mean);
        Space { kind, dim, places, rotation, mean, mean_length, longest }
    }

    /// The space of some rows of `dim` floats: every `step`-th of them for the mean, and the longest
    /// of all. Points beyond the range of `f32` do not count for the mean.
    ///
    /// # Panics
    ///
    /// If a row has another length than `dim`.
    pub fn train<'a>(
        kernels: Kernels,
        kind: Kind,
        dim: usize,
        seed: u64,
        rows: impl Iterator<Item = &'a [f32]> + Clone,
        step: usize,
    ) -> Space {
        let lengths = rows.clone().map(|row| squared_length(kernels, row));
        let longest = if kind == Kind::Dot { lengths.fold(0.0, f32::max) } else { 0.0 };
        let mut space = Space::new(kind, dim, seed, Vec::new(), longest);
        let mut sums = vec![0.0f64; space.places()];
        let mut point = vec![0.0; space.places()];
        let mut count = 0.0;
        for row in rows.step_by(step.max(1)) {
            space.row(kernels, row, &mut point);
            if !point.iter().all(|value| value.is_finite()) {
                continue;
            }
            for (sum, value) in sums.iter_mut().zip(&point) {
                *sum += f64::from(*value);
            }
            count += 1.0;
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
        let mean = sums.iter().map(|sum| if count > 0.0 { (sum / count) as f32 } else { 0.0 });
        space.mean = mean.collect();
        space.mean_length = length(&space.mean);
        space
    }

    /// Dimensions of the vectors.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Length of a point: whole [`UNIT`]s. Some places may be zero in every point.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places
    }

    /// Coordinates of a point.
    #[must_use]
    pub fn width(&self) -> usize {
        self.rotation.width()
    }

    /// Whether rows of codes have room for their factors.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.places > self.rotation.width()
    }

    /// The mean of the rotated rows.
    #[must_use]
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The length of that.
    #[must_use]
    pub fn mean_length(&self) -> f32 {
        self.mean_length
    }

    /// Squared length of the longest row, for [`Kind::Dot`].
    #[must_use]
    pub fn longest(&self) -> f32 {
        self.longest
    }

    /// The point of a row of `dim` floats, as [`Space::places`] floats.
    ///
    /// # Panics
    ///
    /// If either has another length.
    pub fn row(&self, kernels: Kernels, vector: &[f32], point: &mut [f32]) {
        let squared = squared_length(kernels, vector);
        self.place(kernels, vector, squared, (self.longest - squared).max(0.0).sqrt(), point);
    }

    /// The point of a query, in the shapes of [`row`](Space::row). Its squared distance to a row's
    /// point is, for [`Kind::L2`], that of the vectors; for [`Kind::Angle`], 2 - 2 cos; for
    /// [`Kind::Dot`], the squares of the query's and the longest row's length less twice the dot
    /// product.
    ///
    /// # Panics
    ///
    /// As `row`.
    pub fn query(&self, kernels: Kernels, vector: &[f32], point: &mut [f32]) {
        self.place(kernels, vector, squared_length(kernels, vector), 0.0, point);
    }

    fn place(&self, kernels: Kernels, vector: &[f32], squared: f32, rest: f32, point: &mut [f32]) {
        let (head, tail) = point.split_at_mut(self.dim);
        tail.fill(0.0);
        if self.kind == Kind::Angle && squared > 0.0 {
            let scale = 1.0 / squared.sqrt();
            head.iter_mut().zip(vector).for_each(|(to, from)| *to = from * scale);
        } else {
            head.copy_from_slice(vector);
        }
        if self.kind == Kind::Dot {
            tail[0] = rest;
        }
        let width = self.rotation.width();
        self.rotation.apply(kernels, &mut point[..width]);
        if self.has_room() {
            // The second half of the last unit moves up, and both halves end in zeros.
            let middle = self.places - UNIT / 2;
            point.copy_within(middle - SPARE..width, middle);
            point[middle - SPARE..middle].fill(0.0);
            point[self.places - SPARE..].fill(0.0);
        }
        point.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value -= mean);
    }
}

/// Summed so that every CPU has the same: a segment's bytes depend on it.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
fn squared_length(kernels: Kernels, vector: &[f32]) -> f32 {
    kernels.exact_dot(vector, vector) as f32
}
