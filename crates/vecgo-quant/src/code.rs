use vecgo_kernels::Bits;

use crate::UNIT;

/// Grid cells of a coordinate.
const CELLS: f32 = 256.0;
/// The grid reaches so many times as far as the coordinates of a random direction do on average.
/// Of those, one in 370 lies beyond. Wider would cost the upper four bits, which have 16 cells for
/// it; narrower the whole code, whose error is mostly what lies beyond (measured on all data sets
/// at 2.4 to 4).
const REACH: f32 = 3.0;

/// Standard deviation of the error that codes of so many bits, 1 to 8, leave in a coordinate, as a part of
/// the coordinates' own, if those are distributed normally: the width of a cell over the square root of
/// 12, or nearly; with one bit what the sign leaves, with eight mostly what lies beyond the grid.
#[inline]
#[must_use]
pub fn error_of(bits: u8) -> f32 {
    const ERRORS: [f32; 9] = [1.0, 0.755, 0.367, 0.197, 0.108, 0.056, 0.031, 0.021, 0.017];
    ERRORS.get(usize::from(bits)).copied().unwrap_or(0.0)
}

/// How the cells of a coordinate, 8 bits each, become codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    upper: Bits,
    lower: Option<Bits>,
}

impl Planes {
    /// The whole cells, read at once.
    pub const WHOLE: Planes = Planes { upper: Bits::Eight, lower: None };
    /// The upper halves of the cells.
    pub const SHORT: Planes = Planes { upper: Bits::Four, lower: None };

    /// Codes of 1 to 8 bits: up to four are read first.
    #[must_use]
    pub fn of(bits: u8) -> Option<Planes> {
        match bits {
            1..=4 => Some(Planes { upper: Bits::of(bits)?, lower: None }),
            5..=8 => Some(Planes { upper: Bits::Four, lower: Some(Bits::of(bits - 4)?) }),
            _ => None,
        }
    }

    /// Bits that are read first.
    #[must_use]
    pub fn upper(self) -> Bits {
        self.upper
    }

    /// Bits that are read besides of what is looked at again.
    #[must_use]
    pub fn lower(self) -> Option<Bits> {
        self.lower
    }

    /// Bits of both.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.upper.count() + self.lower.map_or(0, Bits::count)
    }

    /// The code of a cell that is read first. Fewer than four bits have wider cells than the grid's
    /// halves and quarters: of those that divide a normal distribution evenly, they come closest to
    /// it (Max 1960).
    #[inline(always)]
    fn upper_of<const BITS: u8>(cell: u8) -> u8 {
        // Where the first begins, so that the middle of the grid is between two; width; the last.
        let (first, width, last) = match BITS {
            1 => (0, 128, 1),
            2 => (128 - 2 * 43, 43, 3),
            3 => (128 - 4 * 25, 25, 7),
            4 => (0, 16, 15),
            _ => (0, 1, 255),
        };
        (cell.saturating_sub(first) / width).min(last)
    }
}

/// What a code knows of its point beside the grid cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CodeFactors {
    /// Squared length of the point.
    pub squared: f32,
    /// A dot product with the codes that are read first, less their middle, times this estimates the
    /// dot product with the point.
    pub upper: f32,
    /// The same for the codes of both planes.
    pub both: f32,
    /// The same for the whole cells.
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
pub fn encode(point: &[f32], width: usize, planes: Planes, cells: &mut [u8]) -> CodeFactors {
    let squared = squared_length(point);
    if squared <= 0.0 || !squared.is_finite() {
        cells.fill(128);
        let (squared, upper_deviation) =
            if squared <= 0.0 { (0.0, 0.0) } else { (f32::MAX, f32::INFINITY) };
        return CodeFactors { squared, upper_deviation, ..CodeFactors::default() };
    }
    let factors = match planes.upper {
        Bits::One => cells_of::<1>(point, squared, width, cells),
        Bits::Two => cells_of::<2>(point, squared, width, cells),
        Bits::Three => cells_of::<3>(point, squared, width, cells),
        Bits::Four => cells_of::<4>(point, squared, width, cells),
        Bits::Eight => cells_of::<8>(point, squared, width, cells),
    };
    let both = match planes.lower {
        None => factors.upper,
        Some(Bits::Four) => factors.full,
        Some(_) => {
            let (shift, middle) = (8 - planes.bits(), middle(planes.bits()));
            let code = |cell: &u8| f32::from(cell >> shift) - middle;
            let dots = point.chunks_exact(LANES).zip(cells.chunks_exact(LANES));
            let mut sums = [0.0; LANES];
            for (point, cells) in dots {
                for (sum, (value, cell)) in sums.iter_mut().zip(point.iter().zip(cells)) {
                    *sum += value * code(cell);
                }
            }
            factor(squared, sums.iter().sum())
        }
    };
    CodeFactors { both, ..factors }
}

fn cells_of<const UPPER: u8>(
    point: &[f32],
    squared: f32,
    width: usize,
    cells: &mut [u8],
) -> CodeFactors {
    #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
    let spread = (squared / width as f32).sqrt();
    let per_cell = CELLS / (2.0 * REACH * spread);
    let (middle, middle_upper) = (middle(8), middle(UPPER));
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
            full[lane] += point[lane] * (f32::from(cell) - middle);
            let upper_cell = f32::from(Planes::upper_of::<UPPER>(cell)) - middle_upper;
            upper[lane] += point[lane] * upper_cell;
            upper_squared[lane] += upper_cell * upper_cell;
        }
    }
    let sum = |lanes: [f32; LANES]| lanes.iter().sum::<f32>();
    let (full, upper) = (sum(full), sum(upper));
    #[expect(clippy::cast_precision_loss, reason = "at most 65,664")]
    let others = (width.max(2) - 1) as f32;
    // What of the code is at right angles to the point is all that misleads; in places without a
    // coordinate nothing does, which makes this a little more than it is.
    let beside = (sum(upper_squared) - upper * (upper / squared)).max(0.0).sqrt();
    let off = if upper > 0.0 { factor(squared, upper) * beside } else { squared.sqrt() };
    CodeFactors {
        squared,
        upper: factor(squared, upper),
        full: factor(squared, full),
        upper_deviation: off / others.sqrt(),
        ..CodeFactors::default()
    }
}

/// What makes a dot product with the code of the point itself its squared length.
fn factor(squared: f32, dot: f32) -> f32 {
    if dot > 0.0 { squared / dot } else { 0.0 }
}

/// The middle of a grid of so many bits.
#[inline]
pub(crate) fn middle(bits: u8) -> f32 {
    const MIDDLES: [f32; 9] = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 127.5];
    MIDDLES.get(usize::from(bits)).copied().unwrap_or(f32::NAN)
}

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

/// The codes of cells, whole [`UNIT`](crate::UNIT)s, as they lie in a row of the plane that is read
/// first; see [`Bits`].
///
/// # Panics
///
/// If there is not exactly room for the codes.
pub fn upper_codes(planes: Planes, cells: &[u8], out: &mut [u8]) {
    match planes.upper {
        Bits::One => pack::<1>(cells, out, Planes::upper_of::<1>),
        Bits::Two => pack::<2>(cells, out, Planes::upper_of::<2>),
        Bits::Three => pack_three(cells, out, Planes::upper_of::<3>),
        Bits::Four => pack::<4>(cells, out, Planes::upper_of::<4>),
        Bits::Eight => out.copy_from_slice(cells),
    }
}

/// The same of the plane that is read besides, if there is one; else none are written.
///
/// # Panics
///
/// If there is not exactly room for the codes.
pub fn lower_codes(planes: Planes, cells: &[u8], out: &mut [u8]) {
    match planes.lower {
        None => {}
        Some(Bits::One) => pack::<1>(cells, out, |cell| cell >> 3 & 1),
        Some(Bits::Two) => pack::<2>(cells, out, |cell| cell >> 2 & 3),
        Some(Bits::Three) => pack_three(cells, out, |cell| cell >> 1 & 7),
        Some(Bits::Four) => pack::<4>(cells, out, |cell| cell & 15),
        Some(Bits::Eight) => out.copy_from_slice(cells),
    }
}

fn pack<const BITS: usize>(cells: &[u8], out: &mut [u8], code: impl Fn(u8) -> u8) {
    let bytes = UNIT / 8 * BITS;
    assert_eq!(cells.len() / UNIT * bytes, out.len(), "room for all codes");
    for (cells, out) in cells.chunks_exact(UNIT).zip(out.chunks_exact_mut(bytes)) {
        out.fill(0);
        for (field, cells) in cells.chunks_exact(bytes).enumerate() {
            for (byte, cell) in out.iter_mut().zip(cells) {
                *byte |= code(*cell) << (BITS * field);
            }
        }
    }
}

fn pack_three(cells: &[u8], out: &mut [u8], code: impl Fn(u8) -> u8) {
    const BYTES: usize = UNIT / 8 * 3;
    assert_eq!(cells.len() / UNIT * BYTES, out.len(), "room for all codes");
    for (cells, out) in cells.chunks_exact(UNIT).zip(out.chunks_exact_mut(BYTES)) {
        let (upper, last) = out.split_at_mut(UNIT / 4);
        pack::<2>(cells, upper, |cell| code(cell) >> 1);
        pack::<1>(cells, last, |cell| code(cell) & 1);
    }
}
