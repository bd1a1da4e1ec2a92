//! Scores rows that follow one another.
//!
//! A scan has no need of what costs a walk time beside the sums: rows come by themselves, and nearly
//! all are too far. So distances of a block of rows are worked out together, and only if one of them is
//! near enough is looked for which.

use std::ops::Range;

use super::{Bits, CodeRows, Estimate};
use crate::Kernels;

/// Scores rows that follow one another and keeps those that come within a bound.
pub(crate) type Scan = unsafe fn(
    query: &[i8],
    codes: *const u8,
    stride: usize,
    estimate: &Estimate<'_>,
    rows: Range<u32>,
    out: &mut [u64],
) -> usize;

impl Kernels {
    /// As [`within`](Kernels::within), of rows that follow one another.
    ///
    /// # Panics
    ///
    /// As `within`.
    #[inline]
    pub fn scan(
        &self,
        bits: Bits,
        query: &[i8],
        codes: CodeRows<'_>,
        estimate: &Estimate<'_>,
        rows: Range<u32>,
        out: &mut [u64],
    ) -> usize {
        assert_eq!(codes.count, estimate.factors.count, "factors for each row");
        codes.check_query(bits, query.len());
        assert_eq!(rows.len(), out.len(), "one place for each row");
        assert!(rows.end as usize <= codes.count, "rows {rows:?} of {}", codes.count);
        let kernel = self.codes().scan[bits as usize];
        // SAFETY: the level is available, and the lengths were checked.
        unsafe { kernel(query, codes.bytes.as_ptr(), codes.stride, estimate, rows, out) }
    }
}
