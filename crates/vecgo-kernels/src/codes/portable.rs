//! The reference: what the other levels must equal.

use std::ops::Range;

use super::{CodeTable, Estimate, TOGETHER, UNIT, by_fours, keep, no_blocks, scoring, store};

pub(crate) static TABLE: CodeTable = CodeTable {
    dots: DOTS,
    within: WITHIN,
    scan: SCAN,
    hadamard,
    round: super::round,
    nearest: super::nearest,
};

fn hadamard(values: &mut [f32]) {
    super::hadamard(values, 1);
    let scale = super::hadamard_scale(values.len());
    values.iter_mut().for_each(|value| *value *= scale);
}

/// # Safety
///
/// Each row must hold a code for each byte of the query.
#[inline(always)]
unsafe fn packed<const BITS: usize>(query: &[i8], rows: [*const u8; TOGETHER]) -> [i32; TOGETHER] {
    let bytes = BITS * (UNIT / 8);
    rows.map(|row| {
        // SAFETY: the caller vouches for the row.
        let row = unsafe { std::slice::from_raw_parts(row, query.len() / UNIT * bytes) };
        let units = row.chunks_exact(bytes).zip(query.chunks_exact(UNIT));
        units
            .map(|(unit, query)| match BITS {
                3 => {
                    let (upper, last) = unit.split_at(UNIT / 4);
                    2 * fields::<2>(upper, query) + fields::<1>(last, query)
                }
                _ => fields::<BITS>(unit, query),
            })
            .sum()
    })
}

/// Dot product of a unit of codes with as much of a query.
#[inline(always)]
fn fields<const BITS: usize>(unit: &[u8], query: &[i8]) -> i32 {
    let parts = query.chunks_exact(unit.len()).enumerate();
    let sum = |(n, query): (usize, &[i8])| -> i32 {
        let code = |byte: &u8| i32::from(byte >> (BITS * n) & ((1 << BITS) - 1));
        unit.iter().zip(query).map(|(byte, value)| code(byte) * i32::from(*value)).sum()
    };
    parts.map(sum).sum()
}

/// # Safety
///
/// Each row must be as long as the query.
#[inline(always)]
unsafe fn bytes(query: &[i8], rows: [*const u8; TOGETHER]) -> [i32; TOGETHER] {
    rows.map(|row| {
        // SAFETY: the caller vouches for the row.
        let row = unsafe { std::slice::from_raw_parts(row, query.len()) };
        row.iter().zip(query).map(|(code, value)| i32::from(*code) * i32::from(*value)).sum()
    })
}

/// Of four rows.
type Sums = [i32; TOGETHER];

#[inline(always)]
fn to_array(sums: Sums) -> [i32; TOGETHER] {
    sums
}

/// # Safety
///
/// The rows must have factors, and `out` must have a place for each beyond the first `kept`.
#[inline(always)]
unsafe fn keep_four(
    estimate: &Estimate<'_>,
    rows: &[u32],
    sums: Sums,
    out: &mut [u64],
    kept: usize,
) -> usize {
    // SAFETY: passed on from the caller.
    unsafe { keep(estimate, rows, to_array(sums), out, kept) }
}

scoring!(no_blocks);
