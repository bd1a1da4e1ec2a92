//! Where codes lie, and what goes with them.

use super::{Bits, LINE, MAX_QUERY, UNIT, prefetch, prefetch_range};

/// Rows of codes, end to end.
#[derive(Clone, Copy, Debug)]
pub struct CodeRows<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) count: usize,
}

impl<'a> CodeRows<'a> {
    /// Rows of `stride` bytes each; `None` unless `bytes` are whole rows. If `stride` is whole lines, and
    /// `bytes` begin with one, a row costs no more of them than it has to.
    #[must_use]
    pub fn new(bytes: &'a [u8], stride: usize) -> Option<CodeRows<'a>> {
        let whole = stride > 0 && bytes.len().is_multiple_of(stride);
        whole.then(|| CodeRows { bytes, stride, count: bytes.len() / stride })
    }

    /// Bytes of a row.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Number of rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The codes of one row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: u32) -> &'a [u8] {
        &self.bytes[row as usize * self.stride..][..self.stride]
    }

    /// Asks for the lines of a row, if it is there.
    #[inline(always)]
    pub fn prefetch(&self, row: u32) {
        let start = row as usize * self.stride;
        prefetch_range(self.bytes, start, self.stride);
        if !self.stride.is_multiple_of(LINE) {
            prefetch(self.bytes, start + self.stride - 1);
        }
    }

    #[inline(always)]
    pub(super) fn check_query(&self, bits: Bits, query: usize) {
        let whole = if bits == Bits::Eight { LINE } else { UNIT };
        assert!(query.is_multiple_of(whole) && query <= MAX_QUERY, "a query of {query} bytes");
        assert!(bits.bytes_of(query) <= self.stride, "a code for each of {query} bytes");
    }

    #[inline(always)]
    pub(super) fn check(&self, bits: Bits, query: usize, rows: &[u32], places: usize) {
        self.check_query(bits, query);
        assert_eq!(rows.len(), places, "one place for each row");
        let most = rows.iter().fold(0, |most, row| most.max(*row));
        assert!(rows.is_empty() || (most as usize) < self.count, "row {most} of {}", self.count);
    }
}

/// Two floats a row, which make distances of dot products: in the rows themselves, or apart.
#[derive(Clone, Copy, Debug)]
pub struct Factors<'a> {
    bytes: &'a [u8],
    /// Where the first row's are.
    offset: usize,
    /// From one row's to the next.
    pub(super) step: usize,
    pub(super) count: usize,
}

/// Bytes of a row's factors.
pub const FACTOR_BYTES: usize = 8;

impl<'a> Factors<'a> {
    /// Factors end to end; `None` unless they are whole.
    #[must_use]
    pub fn apart(bytes: &'a [u8]) -> Option<Factors<'a>> {
        let whole = bytes.len().is_multiple_of(FACTOR_BYTES);
        let count = bytes.len() / FACTOR_BYTES;
        whole.then_some(Factors { bytes, offset: 0, step: FACTOR_BYTES, count })
    }

    /// Factors in the last bytes of each row of codes.
    ///
    /// # Panics
    ///
    /// If rows are shorter than that.
    #[must_use]
    pub fn in_rows(codes: CodeRows<'a>) -> Factors<'a> {
        assert!(codes.stride >= FACTOR_BYTES, "rows of {} bytes", codes.stride);
        let offset = codes.stride - FACTOR_BYTES;
        Factors { bytes: codes.bytes, offset, step: codes.stride, count: codes.count }
    }

    /// The factors of a row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[inline(always)]
    #[must_use]
    pub fn of(&self, row: u32) -> [f32; 2] {
        assert!((row as usize) < self.count, "row {row} of {}", self.count);
        // SAFETY: the row is there.
        unsafe { self.get(row) }
    }

    /// # Safety
    ///
    /// There must be such a row.
    #[inline(always)]
    pub(super) unsafe fn get(&self, row: u32) -> [f32; 2] {
        // SAFETY: the caller vouches for the row. Any bits are floats.
        unsafe { self.address(row as usize).cast::<[f32; 2]>().read_unaligned() }
    }

    /// Where the factors of a row are.
    ///
    /// # Safety
    ///
    /// There must be such a row.
    #[inline(always)]
    pub(super) unsafe fn address(&self, row: usize) -> *const u8 {
        // SAFETY: the last row's factors end within the bytes, whichever constructor it was, and
        // the caller vouches for the row.
        unsafe { self.bytes.as_ptr().add(self.offset + row * self.step) }
    }

    /// Asks for a row's factors, if it is there.
    #[inline(always)]
    pub fn prefetch(&self, row: u32) {
        prefetch(self.bytes, self.offset + row as usize * self.step);
    }
}
