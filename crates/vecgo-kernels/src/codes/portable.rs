//! The reference: what the other levels must equal.

use super::{CodeTable, Estimate, LINE, NIBBLES, TOGETHER, by_fours, keep, scoring, store};

pub(crate) static TABLE: CodeTable =
    CodeTable { nibble_dots, nibbles_within, bytes_within, hadamard, round: super::round };

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

scoring!();
