//! Memory for vectors: large, zeroed, on huge pages where the system grants them.
//!
//! A scan over gigabytes touches a new 4 KiB page every few rows, and each costs a walk of the
//! page tables; 2 MiB pages make that cost vanish. Nothing here can abort the process for want of
//! memory: every allocation that fails is an [`AllocError`].

mod append;
mod region;

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::slice;

pub use append::{Appended, Appender, Full, Pages, append_only};
use region::Region;

mod sealed {
    pub trait Sealed {}
}

/// Numbers that a [`PageBuf`] or an [`append_only`] buffer can hold: `f32`, `u8`, `u32`, `u64`.
///
/// Every bit pattern of these types is a value (so zeroed memory is initialised memory, and any
/// bytes may be read into it), they have no padding (so their bytes may be looked at), nothing to
/// drop, and an alignment below that of every buffer.
pub trait Plain: sealed::Sealed + Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($number:ty),*) => {$(
        impl sealed::Sealed for $number {}
        impl Plain for $number {}
    )*};
}

plain!(f32, u8, u32, u64);

/// The memory asked for could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot allocate {len} elements of {element_size} bytes")]
pub struct AllocError {
    /// How many elements were asked for.
    pub len: usize,
    /// The size of an element, in bytes.
    pub element_size: usize,
}

/// A zeroed buffer of fixed length that dereferences to a slice.
///
/// From 2 MiB on, the buffer is aligned to 2 MiB and marked for huge pages, and its pages take up
/// memory only once they are touched. A smaller buffer is aligned to 64 bytes, a cache line.
pub struct PageBuf<T: Plain> {
    /// Holds `len` elements at its start, all initialised: zeroed at first, and any bytes written
    /// since are values of a [`Plain`] type.
    region: Region,
    len: usize,
    elements: PhantomData<T>,
}

impl<T: Plain> PageBuf<T> {
    /// A buffer of `len` zeros.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the size in bytes overflows or the system refuses the memory.
    pub fn zeroed(len: usize) -> Result<PageBuf<T>, AllocError> {
        Ok(PageBuf { region: region_for::<T>(len, Region::zeroed)?, len, elements: PhantomData })
    }

    /// The bytes of all elements, in the machine's byte order.
    ///
    /// On a little-endian machine these are what a little-endian file holds. On a big-endian one
    /// they are not, except for `u8`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the elements are initialised and have no padding, they take up
        // `size_of_val(self)` bytes, and `&self` keeps them from being written meanwhile.
        unsafe { slice::from_raw_parts(self.region.as_ptr(), size_of_val::<[T]>(self)) }
    }

    /// The bytes of all elements, to be overwritten, say from a file.
    ///
    /// Byte order as for [`as_bytes`](PageBuf::as_bytes).
    #[must_use]
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        let bytes = size_of_val::<[T]>(self);
        // SAFETY: the elements take up `bytes` bytes, any bytes written make values of a plain
        // type, and `&mut self` keeps everybody else away.
        unsafe { slice::from_raw_parts_mut(self.region.as_ptr(), bytes) }
    }
}

impl<T: Plain> Deref for PageBuf<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the region holds `len` initialised elements, aligned for any plain type, and
        // `&self` keeps them from being written meanwhile.
        unsafe { slice::from_raw_parts(self.region.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> DerefMut for PageBuf<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` keeps everybody else away.
        unsafe { slice::from_raw_parts_mut(self.region.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> fmt::Debug for PageBuf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBuf").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A zeroed region with room for `len` elements.
fn region_for<T: Plain>(
    len: usize,
    make: fn(usize) -> Option<Region>,
) -> Result<Region, AllocError> {
    // A region is aligned to at least a cache line; see `Plain`.
    const { assert!(align_of::<T>() <= region::MIN_ALIGN) };
    len.checked_mul(size_of::<T>())
        .and_then(make)
        .ok_or(AllocError { len, element_size: size_of::<T>() })
}
