//! Integer dot products of a query with rows of codes, rows picked by number.
//!
//! A walk over a graph, and a rerank, score rows that lie anywhere: what bounds them is how soon
//! the lines of a row arrive. So these kernels take a list of row numbers, ask for the lines of
//! rows ahead of the one they work on, and add up four rows at a time. Sums are exact integers:
//! every level gives the same.

use std::ops::Range;

mod bits;
mod distance;
mod portable;
mod rows;
mod scan;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

pub use bits::Bits;
pub use distance::{Estimate, pack, packed_distance};
pub(crate) use portable::TABLE as PORTABLE;
pub use rows::{CodeRows, FACTOR_BYTES, Factors};

#[cfg(target_arch = "x86_64")]
pub(crate) use {avx2::TABLE as AVX2, avx512::TABLE as AVX512};

use distance::pack_ordered;
use scan::Scan;

use crate::Kernels;

/// Bytes of a cache line.
pub const LINE: usize = 64;
/// Codes of less than a byte come so many at a time: a cache line of those of four bits.
pub const UNIT: usize = 128;
/// Most bytes of a query whose dot product with any codes fits 32 bits.
const MAX_QUERY: usize = 65_664;

/// Scores `rows` of the codes at `codes`, which are `stride` bytes apart.
pub(crate) type Dots =
    unsafe fn(query: &[i8], codes: *const u8, stride: usize, rows: &[u32], out: &mut [i32]);
/// Scores rows and keeps those that come within a bound.
pub(crate) type Within = unsafe fn(
    query: &[i8],
    codes: *const u8,
    stride: usize,
    estimate: &Estimate<'_>,
    rows: &[u32],
    out: &mut [u64],
) -> usize;
/// Turns the floats in place; the length is a power of two.
pub(crate) type Turn = unsafe fn(values: &mut [f32]);
/// The nearest of [`COLUMNS`] points, one coordinate of all after the other, and its squared distance.
pub(crate) type Nearest = unsafe fn(point: &[f32], columns: &[f32]) -> (u8, f32);
/// Rounds floats to bytes; both are as long.
pub(crate) type Round = unsafe fn(values: &[f32], scale: f32, out: &mut [i8]) -> i32;

/// The code kernels of one level.
///
/// # Safety
///
/// Whoever calls an entry answers for the CPU's instructions, for `rows` naming rows that lie
/// within the allocation at `codes` and hold a code for each byte of the query, for `query.len()`
/// being whole [`UNIT`]s (whole lines where codes are bytes), and for `out` being as long as `rows`.
pub(crate) struct CodeTable {
    /// By the place of [`Bits`] among all.
    pub(crate) dots: [Dots; Bits::ALL.len()],
    pub(crate) within: [Within; Bits::ALL.len()],
    pub(crate) scan: [Scan; Bits::ALL.len()],
    pub(crate) hadamard: Turn,
    pub(crate) round: Round,
    pub(crate) nearest: Nearest,
}

impl Kernels {
    /// Dot products of a query with rows of codes, which lie as [`Bits`] has it.
    ///
    /// # Panics
    ///
    /// If the query is not whole 128 bytes (whole lines, if codes are bytes) or above 65,664 bytes,
    /// if rows are too short for a code for each, if a row is not there, or if `out` is not as long
    /// as `rows`.
    #[inline]
    pub fn dots(
        &self,
        bits: Bits,
        query: &[i8],
        codes: CodeRows<'_>,
        rows: &[u32],
        out: &mut [i32],
    ) {
        codes.check(bits, query.len(), rows, out.len());
        let kernel = self.codes().dots[bits as usize];
        // SAFETY: the level is available, and the lengths were checked.
        unsafe { kernel(query, codes.bytes.as_ptr(), codes.stride, rows, out) }
    }

    /// The rows whose estimated distance is below the bound, packed, and how many they are. Codes
    /// and query are as for [`dots`](Kernels::dots).
    ///
    /// # Panics
    ///
    /// As `dots`, and if a row has no factors.
    #[inline]
    pub fn within(
        &self,
        bits: Bits,
        query: &[i8],
        codes: CodeRows<'_>,
        estimate: &Estimate<'_>,
        rows: &[u32],
        out: &mut [u64],
    ) -> usize {
        assert_eq!(codes.count, estimate.factors.count, "factors for each row");
        codes.check(bits, query.len(), rows, out.len());
        let kernel = self.codes().within[bits as usize];
        // SAFETY: the level is available, and the lengths were checked.
        unsafe { kernel(query, codes.bytes.as_ptr(), codes.stride, estimate, rows, out) }
    }

    /// The Walsh-Hadamard transform of `values`, in place, scaled so that lengths stay.
    ///
    /// # Panics
    ///
    /// If their number is not a power of two.
    pub fn hadamard(&self, values: &mut [f32]) {
        assert!(values.len().is_power_of_two(), "{} values", values.len());
        // SAFETY: the level is available, and the length was checked.
        unsafe { (self.codes().hadamard)(values) }
    }

    /// The nearest of 256 points, and its squared distance, which every level rounds alike; of two as
    /// near the first. `columns` has the points' coordinates: each of all, one after the other.
    ///
    /// # Panics
    ///
    /// If `columns` is not 256 times as long as `point`.
    #[inline]
    #[must_use]
    pub fn nearest_of_256(&self, point: &[f32], columns: &[f32]) -> (u8, f32) {
        assert_eq!(point.len() * COLUMNS, columns.len(), "256 points");
        // SAFETY: the level is available, and the lengths were checked.
        unsafe { (self.codes().nearest)(point, columns) }
    }

    /// Rounds each of `values` times `scale` to the nearest byte within -127 to 127, halves upwards,
    /// and adds the bytes up.
    ///
    /// # Panics
    ///
    /// If `out` is not as long as `values`.
    #[inline]
    pub fn round_to_bytes(&self, values: &[f32], scale: f32, out: &mut [i8]) -> i32 {
        assert_eq!(values.len(), out.len(), "one byte for each value");
        // SAFETY: the level is available, and the lengths were checked.
        unsafe { (self.codes().round)(values, scale, out) }
    }
}

/// Asks for the cache line that holds an element, if there is one.
#[inline(always)]
pub fn prefetch<T>(data: &[T], index: usize) {
    if index < data.len() {
        // SAFETY: the element is there; besides, a prefetch reads nothing that can be seen.
        prefetch_line(unsafe { data.as_ptr().add(index) }.cast());
    }
}

/// Asks for the cache lines that hold `count` elements from `start` on, if all are there.
#[inline(always)]
pub fn prefetch_range<T>(data: &[T], start: usize, count: usize) {
    if let Some(elements) = data.get(start..start.wrapping_add(count)) {
        let first = elements.as_ptr().cast::<u8>();
        for byte in (0..size_of_val(elements)).step_by(LINE) {
            prefetch_line(first.wrapping_add(byte));
        }
    }
}

#[inline(always)]
#[cfg(target_arch = "x86_64")]
fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: every x86-64 CPU has the instruction, and it faults on no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
fn prefetch_line(_: *const u8) {}

/// Rows ahead of the one being scored whose lines have been asked for.
const AHEAD: usize = 8;
/// Rows scored together.
const TOGETHER: usize = 4;

/// Calls `four` for each four of `rows`, the last ones repeated to make up the number, having
/// asked for the lines of rows further on, and `each` with the sums of up to four rows. `four` gets
/// the addresses of the rows.
///
/// # Safety
///
/// The rows must lie within the allocation at `codes`.
#[inline(always)]
unsafe fn by_fours<S>(
    codes: *const u8,
    stride: usize,
    rows: &[u32],
    four: impl Fn([*const u8; TOGETHER]) -> S,
    mut each: impl FnMut(&[u32], S),
) {
    // SAFETY: the caller vouches for the rows.
    let address = |row: u32| unsafe { codes.add(row as usize * stride) };
    // Rows that are no whole lines begin within one.
    let (lines, is_whole) = (stride.div_ceil(LINE), stride.is_multiple_of(LINE));
    let ask = |rows: &[u32]| {
        for row in rows {
            let start = address(*row);
            for line in 0..lines {
                prefetch_line(start.wrapping_add(line * LINE));
            }
            if !is_whole {
                prefetch_line(start.wrapping_add(stride - 1));
            }
        }
    };
    ask(&rows[..rows.len().min(AHEAD)]);
    let mut ahead = rows.get(AHEAD..).unwrap_or_default().chunks(TOGETHER);
    for rows in rows.chunks(TOGETHER) {
        if let Some(rows) = ahead.next() {
            ask(rows);
        }
        let last = rows.len() - 1;
        each(rows, four(std::array::from_fn(|i| address(rows[i.min(last)]))));
    }
}

/// The entries of a level's table that score rows: from its `packed` and `bytes`, which score four
/// rows, its `keep_four`, and `$blocks`, which a scan begins with; all are inlined into them.
macro_rules! scoring {
    ($blocks:ident $(, #[$feature:meta])*) => {
        const DOTS: [super::Dots; super::Bits::ALL.len()] =
            [dots::<1>, dots::<2>, dots::<3>, dots::<4>, dots::<8>];
        const WITHIN: [super::Within; super::Bits::ALL.len()] =
            [within::<1>, within::<2>, within::<3>, within::<4>, within::<8>];
        const SCAN: [super::Scan; super::Bits::ALL.len()] =
            [scan::<1>, scan::<2>, scan::<3>, scan::<4>, scan::<8>];

        /// # Safety
        ///
        /// As [`CodeTable`] has it.
        $(#[$feature])*
        unsafe fn dots<const BITS: usize>(
            query: &[i8],
            codes: *const u8,
            stride: usize,
            rows: &[u32],
            out: &mut [i32],
        ) {
            // SAFETY: passed on from the caller.
            unsafe { by_fours(codes, stride, rows, |four| to_array(score::<BITS>(query, four)), store(out)) }
        }

        /// # Safety
        ///
        /// As [`CodeTable`] has it.
        $(#[$feature])*
        unsafe fn within<const BITS: usize>(
            query: &[i8],
            codes: *const u8,
            stride: usize,
            estimate: &Estimate<'_>,
            rows: &[u32],
            out: &mut [u64],
        ) -> usize {
            let mut kept = 0;
            // SAFETY: passed on from the caller.
            unsafe {
                by_fours(codes, stride, rows, |four| score::<BITS>(query, four), |rows, sums| {
                    kept = keep_four(estimate, rows, sums, out, kept);
                });
            }
            kept
        }

        /// # Safety
        ///
        /// As [`CodeTable`] has it.
        $(#[$feature])*
        unsafe fn scan<const BITS: usize>(
            query: &[i8],
            codes: *const u8,
            stride: usize,
            estimate: &Estimate<'_>,
            rows: Range<u32>,
            out: &mut [u64],
        ) -> usize {
            // SAFETY: passed on from the caller.
            let (mut left, mut kept) = unsafe { $blocks::<BITS>(query, codes, stride, estimate, rows, out) };
            while !left.is_empty() {
                let four: [u32; TOGETHER] = std::array::from_fn(|_| left.next().unwrap_or(left.end - 1));
                let rows = &four[..(left.start - four[0]) as usize];
                // SAFETY: the caller vouches for the rows, which have factors, and for the places.
                unsafe {
                    let address = four.map(|row| codes.add(row as usize * stride));
                    kept = keep_four(estimate, rows, score::<BITS>(query, address), out, kept);
                }
            }
            kept
        }

        /// # Safety
        ///
        /// Each row must hold a code for each byte of the query.
        #[inline]
        $(#[$feature])*
        unsafe fn score<const BITS: usize>(
            query: &[i8],
            rows: [*const u8; TOGETHER],
        ) -> Sums {
            // SAFETY: passed on from the caller.
            unsafe {
                if BITS == 8 { bytes(query, rows) } else { packed::<BITS>(query, rows) }
            }
        }
    };
}
use scoring;

/// Of a level without larger blocks than of four rows: leaves all.
///
/// # Safety
///
/// None is needed.
#[inline(always)]
unsafe fn no_blocks<const BITS: usize>(
    _: &[i8],
    _: *const u8,
    _: usize,
    _: &Estimate<'_>,
    rows: Range<u32>,
    _: &mut [u64],
) -> (Range<u32>, usize) {
    (rows, 0)
}

/// Puts sums in their places.
#[inline(always)]
fn store(out: &mut [i32]) -> impl FnMut(&[u32], [i32; TOGETHER]) {
    let mut places = out.chunks_mut(TOGETHER);
    move |_, sums| {
        if let Some(places) = places.next() {
            let count = places.len();
            places.copy_from_slice(&sums[..count]);
        }
    }
}

/// Keeps those of up to four rows that come within the bound, without a branch on which do, and
/// returns how many are kept by then.
///
/// # Safety
///
/// The rows must have factors, and `out` must have a place for each beyond the first `kept`.
#[inline(always)]
unsafe fn keep(
    estimate: &Estimate<'_>,
    rows: &[u32],
    sums: [i32; TOGETHER],
    out: &mut [u64],
    mut kept: usize,
) -> usize {
    for (row, dot) in rows.iter().zip(sums) {
        // SAFETY: the caller vouches for the factors.
        let factors = unsafe { estimate.factors.get(*row) };
        let packed = pack(estimate.of_factors(dot, factors), *row);
        // SAFETY: the caller vouches for the place.
        unsafe { *out.get_unchecked_mut(kept) = packed };
        kept += usize::from(packed < estimate.bound);
    }
    kept
}

/// The rounding, in plain Rust for the compiler to vectorise at each level.
#[inline(always)]
fn round(values: &[f32], scale: f32, out: &mut [i8]) -> i32 {
    let mut sum = 0;
    for (value, out) in values.iter().zip(out) {
        // Positive, so that cutting off is rounding down.
        let shifted = (value * scale).clamp(-127.0, 127.0) + 128.5;
        #[expect(clippy::cast_possible_truncation, reason = "within 1 to 255")]
        let byte = (shifted as i32 - 128) as i8;
        *out = byte;
        sum += i32::from(byte);
    }
    sum
}

/// Points that one is compared with at once: as many as a byte has values.
const COLUMNS: usize = 256;

/// The nearest point, in plain Rust for the compiler to vectorise at each level: over points, so that the
/// sum of each is in the same order everywhere.
#[inline(always)]
fn nearest(point: &[f32], columns: &[f32]) -> (u8, f32) {
    let mut distances = [0.0f32; COLUMNS];
    for (value, column) in point.iter().zip(columns.chunks_exact(COLUMNS)) {
        for (distance, other) in distances.iter_mut().zip(column) {
            let off = value - other;
            *distance += off * off;
        }
    }
    const LANES: usize = 16;
    let mut least = [f32::INFINITY; LANES];
    for distances in distances.chunks_exact(LANES) {
        for (least, distance) in least.iter_mut().zip(distances) {
            *least = if *distance < *least { *distance } else { *least };
        }
    }
    let least = least.into_iter().fold(f32::INFINITY, f32::min);
    let place = distances.iter().position(|distance| *distance == least).unwrap_or_default();
    (u8::try_from(place).unwrap_or_default(), least)
}

/// The transform by halves, in plain Rust for the compiler to vectorise at each level, down to
/// blocks of `least` values; the rest is left to do.
#[inline(always)]
fn hadamard(values: &mut [f32], least: usize) {
    let mut half = values.len() / 2;
    while half >= least {
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half /= 2;
    }
}

/// What keeps lengths as they are.
#[inline(always)]
fn hadamard_scale(length: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let length = length as f32;
    1.0 / length.sqrt()
}
