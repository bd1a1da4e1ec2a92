//! A buffer that grows at its end while others read it.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::region::Region;
use super::{AllocError, Plain, region_for};

/// What a buffer that grows is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Those of a [`PageBuf`](super::PageBuf): from 2 MiB on huge ones, so that whoever reads all of it
    /// is fast; each is paid for whole.
    Huge,
    /// Small ones, so that a buffer from 64 KiB on costs little more than what it holds.
    Small,
}

/// Makes an empty buffer with room for `capacity` elements: one end to write, and one to share
/// among readers.
///
/// The room is set aside at once but takes up memory only as pages fill, if it has pages of its own.
///
/// ```
/// use vecgo_kernels::{Pages, append_only};
///
/// let (mut appender, vectors) = append_only::<f32>(4, Pages::Small)?;
/// appender.extend_from_slice(&[1.0, 2.0])?;
/// let seen = vectors.as_slice();
/// appender.extend_from_slice(&[3.0])?;
/// assert_eq!(seen, [1.0, 2.0]);
/// assert_eq!(vectors.as_slice(), [1.0, 2.0, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`AllocError`] if the size in bytes overflows or the system refuses the memory.
pub fn append_only<T: Plain>(
    capacity: usize,
    pages: Pages,
) -> Result<(Appender<T>, Arc<Appended<T>>), AllocError> {
    let make = match pages {
        Pages::Huge => Region::zeroed,
        Pages::Small => Region::sparse,
    };
    let region = region_for::<T>(capacity, make)?;
    let len = AtomicUsize::new(0);
    let shared = Arc::new(Appended { region, capacity, len, elements: PhantomData });
    Ok((Appender { shared: Arc::clone(&shared), len: 0 }, shared))
}

/// The reading end of an [`append_only`] buffer: any number of threads, no lock, no waiting.
///
/// The memory lives until both ends are dropped.
pub struct Appended<T: Plain> {
    region: Region,
    capacity: usize,
    /// How many elements are published. Below it, no element is ever written again; at and above
    /// it, only the one [`Appender`] touches the memory. It never falls.
    len: AtomicUsize,
    elements: PhantomData<T>,
}

impl<T: Plain> Appended<T> {
    /// The elements published so far. The slice does not grow; call again to see more.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        let len = self.len();
        // SAFETY: the region holds `capacity >= len` elements, aligned for any plain type. The
        // acquiring load of `len` orders the writes to all elements below it before this point,
        // and the appender writes only at and above a length it has published, so none of these
        // elements is written while the slice lives. The region lives as long as `self`.
        unsafe { slice::from_raw_parts(self.region.as_ptr().cast(), len) }
    }

    /// How many elements are published.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether no element is published.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements the buffer has room for in all.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<T: Plain> fmt::Debug for Appended<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appended")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// The writing end of an [`append_only`] buffer. There is exactly one: it cannot be cloned.
pub struct Appender<T: Plain> {
    shared: Arc<Appended<T>>,
    /// `shared.len`, which only this appender changes.
    len: usize,
}

impl<T: Plain> Appender<T> {
    /// Appends all of `elements` and publishes them: readers see either none of them or all.
    ///
    /// # Errors
    ///
    /// [`Full`] if they do not all fit; nothing is appended then.
    pub fn extend_from_slice(&mut self, elements: &[T]) -> Result<(), Full> {
        if elements.len() > self.remaining() {
            return Err(Full { requested: elements.len(), remaining: self.remaining() });
        }
        // SAFETY: the destination lies in the region, for `len + elements.len()` was found to be
        // at most `capacity`. It starts at the published length, so no reader's slice reaches
        // into it and `elements` cannot overlap it, not even as a slice of this very buffer. No
        // other writer exists: the buffer has one appender, borrowed exclusively here.
        unsafe {
            let end = self.shared.region.as_ptr().cast::<T>().add(self.len);
            ptr::copy_nonoverlapping(elements.as_ptr(), end, elements.len());
        }
        self.len += elements.len();
        // Releases the elements just written to whoever acquires this length.
        self.shared.len.store(self.len, Ordering::Release);
        Ok(())
    }

    /// How many elements have been appended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more elements fit.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.shared.capacity - self.len
    }
}

impl<T: Plain> fmt::Debug for Appender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appender")
            .field("len", &self.len)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// An [`append_only`] buffer has no room for what was to be appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot append {requested} elements: only {remaining} more fit")]
pub struct Full {
    /// How many elements were to be appended.
    pub requested: usize,
    /// How many more would have fit.
    pub remaining: usize,
}
