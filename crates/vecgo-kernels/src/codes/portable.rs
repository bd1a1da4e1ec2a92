//! The reference: what the other levels must equal.

use super::{CodeTable, Estimate, LINE, NIBBLES, TOGETHER, by_fours, keep, store};

pub(crate) static TABLE: CodeTable = CodeTable {
    nibble_dots,
    byte_dots,
    nibbles_within,
    bytes_within,
    hadamard,
    round: super::round,
};

fn hadamard(values: &mut [f32]) {
    super::hadamard(values, 1);
    let scale = super::hadamard_scale(values.len());
    values.iter_mut().for_each(|value| *value *= scale);
}

/// # Safety
///
/// Each row must be half as long as the query.
#[inline(always)]
unsafe fn nibbles(query: &[i8], rows: [*const u8; TOGETHER]) -> [i32; TOGETHER] {
    rows.map(|row| {
        // SAFETY: the caller vouches for the row.
        let row = unsafe { std::slice::from_raw_parts(row, query.len() / 2) };
        let lines = row.chunks_exact(LINE).zip(query.chunks_exact(NIBBLES));
        lines
            .map(|(codes, query)| {
                let (low, high) = query.split_at(LINE);
                let pairs = codes.iter().zip(low.iter().zip(high));
                pairs
                    .map(|(code, (low, high))| {
                        i32::from(code & 15) * i32::from(*low)
                            + i32::from(code >> 4) * i32::from(*high)
                    })
                    .sum::<i32>()
            })
            .sum()
    })
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

/// # Safety
///
/// As [`CodeTable`] has it.
unsafe fn nibble_dots(query: &[i8], codes: *const u8, rows: &[u32], out: &mut [i32]) {
    // SAFETY: passed on from the caller.
    unsafe { by_fours(codes, query.len() / 2, rows, |four| nibbles(query, four), store(out)) }
}

/// # Safety
///
/// As [`CodeTable`] has it.
unsafe fn byte_dots(query: &[i8], codes: *const u8, rows: &[u32], out: &mut [i32]) {
    // SAFETY: passed on from the caller.
    unsafe { by_fours(codes, query.len(), rows, |four| bytes(query, four), store(out)) }
}

/// # Safety
///
/// As [`CodeTable`] has it.
unsafe fn nibbles_within(
    query: &[i8],
    codes: *const u8,
    estimate: &Estimate<'_>,
    rows: &[u32],
    out: &mut [u64],
) -> usize {
    let mut kept = 0;
    // SAFETY: passed on from the caller.
    unsafe {
        by_fours(
            codes,
            query.len() / 2,
            rows,
            |four| nibbles(query, four),
            |rows, sums| {
                kept = keep(estimate, rows, sums, out, kept);
            },
        );
    }
    kept
}

/// # Safety
///
/// As [`CodeTable`] has it.
unsafe fn bytes_within(
    query: &[i8],
    codes: *const u8,
    estimate: &Estimate<'_>,
    rows: &[u32],
    out: &mut [u64],
) -> usize {
    let mut kept = 0;
    // SAFETY: passed on from the caller.
    unsafe {
        by_fours(
            codes,
            query.len(),
            rows,
            |four| bytes(query, four),
            |rows, sums| {
                kept = keep(estimate, rows, sums, out, kept);
            },
        );
    }
    kept
}
