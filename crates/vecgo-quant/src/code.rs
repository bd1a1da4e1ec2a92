use vecgo_kernels::LINE;

use crate::UNIT;

/// Grid cells of a coordinate.
const CELLS: f32 = 256.0;
/// The grid reaches so many times as far as the coordinates of a random direction do on average.
/// Of those, one in 370 lies beyond. Wider would cost the upper four bits, which have 16 cells for
/// it; narrower the whole code, whose error is mostly what lies beyond (measured on all data sets
/// at 2.4 to 4).
const REACH: f32 = 3.0;
/// The middle of the grid.
const MIDDLE: f32 = 127.5;

/// What a code knows of its point beside the grid cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CodeFactors {
    /// Squared length of the point.
    pub squared: f32,
    /// A dot product with the cells' upper four bits, less the middle, times this estimates the
    /// dot product with the point.
    pub upper: f32,
    /// The same for all eight bits.
    pub full: f32,
    /// Standard deviation of what the estimate by `upper` is off by, for a query of length one in
    /// a random direction (Gao and Long, SIGMOD 2024, theorem 3.2).
    pub upper_deviation: f32,
}

/// Encodes a point with `width` coordinates: a cell a place into `cells`, which is as long, a
/// multiple of 16.
///
/// A point so far out that its squared length is no finite `f32` is as far as can be from all
/// others, so that no estimate is NaN.
pub fn encode(point: &[f32], width: usize, cells: &mut [u8]) -> CodeFactors {
    let squared = squared_length(point);
    if squared <= 0.0 || !squared.is_finite() {
        cells.fill(128);
        let (squared, upper_deviation) =
            if squared <= 0.0 { (0.0, 0.0) } else { (f32::MAX, f32::INFINITY) };
        return CodeFactors { squared, upper_deviation, ..CodeFactors::default() };
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
    let spread = (squared / width as f32).sqrt();
    let per_cell = CELLS / (2.0 * REACH * spread);
    let (mut full, mut upper) = ([0.0f32; LANES], [0.0f32; LANES]);
    let mut upper_squared = [0.0f32; LANES];
    for (point, cells) in point.chunks_exact(LANES).zip(cells.chunks_exact_mut(LANES)) {
        for lane in 0..LANES {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within 0 to 255"
            )]
            let cell = (point[lane] * per_cell + 128.0).clamp(0.0, 255.0) as u8;
            cells[lane] = cell;
            full[lane] += point[lane] * (f32::from(cell) - MIDDLE);
            let upper_cell = f32::from(cell >> 4) - MIDDLE_UPPER;
            upper[lane] += point[lane] * upper_cell;
            upper_squared[lane] += upper_cell * upper_cell;
        }
    }
    let sum = |lanes: [f32; LANES]| lanes.iter().sum::<f32>();
    let factor = |sum: f32| if sum > 0.0 { squared / sum } else { 0.0 };
    let (full, upper) = (sum(full), sum(upper));
    #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
    let others = (width.max(2) - 1) as f32;
    // What of the code is at right angles to the point is all that misleads.
    let beside = (sum(upper_squared) - upper * (upper / squared)).max(0.0).sqrt();
    let off = if upper > 0.0 { factor(upper) * beside } else { squared.sqrt() };
    CodeFactors {
        squared,
        upper: factor(upper),
        full: factor(full),
        upper_deviation: off / others.sqrt(),
    }
}

/// The middle of the upper four bits' grid.
pub(crate) const MIDDLE_UPPER: f32 = 7.5;
pub(crate) const MIDDLE_FULL: f32 = MIDDLE;

const LANES: usize = 16;

fn squared_length(point: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for chunk in point.chunks_exact(LANES) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value * value;
        }
    }
    lanes.iter().sum()
}

/// Splits cells, whole [`UNIT`](crate::UNIT)s, into their upper and their lower four bits, each half
/// as long, laid out as [`vecgo_kernels::Kernels::nibble_dots`] reads them. Several rows may lie end
/// to end.
pub fn split(cells: &[u8], upper: &mut [u8], lower: &mut [u8]) {
    let lines = upper.chunks_exact_mut(LINE).zip(lower.chunks_exact_mut(LINE));
    for (cells, (upper, lower)) in cells.chunks_exact(UNIT).zip(lines) {
        let (first, second) = cells.split_at(LINE);
        for place in 0..LINE {
            upper[place] = first[place] >> 4 | second[place] & 0xf0;
            lower[place] = first[place] & 15 | second[place] << 4;
        }
    }
}
