//! Raw zeroed memory with one owner.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// A cache line, and the widest vector register.
#[repr(align(64))]
struct Line;

/// The alignment of every region, even an empty one.
pub(super) const MIN_ALIGN: usize = align_of::<Line>();

/// The size of a huge page on x86-64, and on AArch64 with 4 KiB base pages. Regions from this
/// size on have it as their alignment.
const HUGE_PAGE: usize = 2 << 20;

/// A piece of memory, zeroed when made, freed when dropped.
///
/// The region only owns the memory; what is read and written through [`Region::as_ptr`] is for
/// the type around it to answer for.
pub(super) struct Region {
    ptr: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the region owns its memory, which belongs to no thread and may be freed on any.
unsafe impl Send for Region {}
// SAFETY: through a shared region nothing happens but copying the pointer.
unsafe impl Sync for Region {}

impl Region {
    /// A region of `bytes` zeros, or `None` if there is no memory for it.
    pub(super) fn zeroed(bytes: usize) -> Option<Region> {
        let ptr = match bytes {
            0 => NonNull::<Line>::dangling().cast(),
            HUGE_PAGE.. => huge::map(bytes)?,
            _ => allocate(bytes, MIN_ALIGN)?,
        };
        Some(Region { ptr, bytes })
    }

    /// The start of the memory. It stays where it is for as long as the region lives.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the memory came from the counterpart of each call, with the same size, and no
        // borrow of it outlives the region.
        unsafe {
            match self.bytes {
                0 => {}
                HUGE_PAGE.. => huge::unmap(self.ptr, self.bytes),
                _ => release(self.ptr, self.bytes, MIN_ALIGN),
            }
        }
    }
}

/// Zeroed memory from the global allocator. `bytes` must not be zero.
fn allocate(bytes: usize, align: usize) -> Option<NonNull<u8>> {
    debug_assert_ne!(bytes, 0);
    let layout = Layout::from_size_align(bytes, align).ok()?;
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { alloc_zeroed(layout) })
}

/// Frees what [`allocate`] gave.
///
/// # Safety
///
/// `ptr` must come from [`allocate`] with the same size and alignment, and not be used again.
unsafe fn release(ptr: NonNull<u8>, bytes: usize, align: usize) {
    // SAFETY: `allocate` has made this layout before, and the caller vouches for `ptr`.
    unsafe { dealloc(ptr.as_ptr(), Layout::from_size_align_unchecked(bytes, align)) }
}

/// Mappings aligned to huge pages. They come from the kernel rather than from the allocator,
/// which zeroes aligned memory by writing to it: here the advice precedes the first touch, and
/// pages never touched are never paid for.
#[cfg(all(target_os = "linux", not(miri)))]
mod huge {
    use std::ptr::{self, NonNull};

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    use super::HUGE_PAGE;

    pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
        let kept = mapped_size(bytes)?;
        let reserved = kept.checked_add(HUGE_PAGE)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps no other.
        let start = unsafe {
            mmap_anonymous(ptr::null_mut(), reserved, protection, MapFlags::PRIVATE).ok()?
        };
        let start = start.cast::<u8>();
        let before = start.addr().next_multiple_of(HUGE_PAGE) - start.addr();
        // SAFETY: `before` is less than a huge page, so all four ranges lie in the mapping just
        // made. The two given back are not part of the `kept` bytes between them.
        unsafe {
            let aligned = start.add(before);
            trim(start, before);
            trim(aligned.add(kept), reserved - kept - before);
            // A kernel without huge pages refuses the advice; the memory is as good without.
            let _ = madvise(aligned.cast(), kept, Advice::LinuxHugepage);
            NonNull::new(aligned)
        }
    }

    /// Frees what [`map`] gave.
    ///
    /// # Safety
    ///
    /// `ptr` must come from [`map`] with the same size, and not be used again.
    pub(super) unsafe fn unmap(ptr: NonNull<u8>, bytes: usize) {
        if let Some(kept) = mapped_size(bytes) {
            // SAFETY: `map` kept this range, and the caller gives it up.
            unsafe { trim(ptr.as_ptr(), kept) }
        }
    }

    /// Gives pages back.
    ///
    /// # Safety
    ///
    /// The range must be whole pages of a mapping of this module, and not be used again.
    unsafe fn trim(start: *mut u8, bytes: usize) {
        if bytes > 0 {
            // Unmapping a valid range fails only for want of memory to split the mapping; the
            // pages then stay mapped, which wastes address space and nothing else.
            // SAFETY: passed on from the caller.
            let _ = unsafe { munmap(start.cast(), bytes) };
        }
    }

    /// The size of the mapping that holds `bytes`: whole huge pages, so that the last one counts.
    fn mapped_size(bytes: usize) -> Option<usize> {
        bytes.checked_next_multiple_of(HUGE_PAGE).filter(|size| isize::try_from(*size).is_ok())
    }
}

/// Elsewhere the allocator serves, and whether pages are huge is the system's affair.
#[cfg(not(all(target_os = "linux", not(miri))))]
mod huge {
    use std::ptr::NonNull;

    use super::{HUGE_PAGE, allocate, release};

    pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
        allocate(bytes, HUGE_PAGE)
    }

    /// Frees what [`map`] gave.
    ///
    /// # Safety
    ///
    /// `ptr` must come from [`map`] with the same size, and not be used again.
    pub(super) unsafe fn unmap(ptr: NonNull<u8>, bytes: usize) {
        // SAFETY: passed on from the caller.
        unsafe { release(ptr, bytes, HUGE_PAGE) }
    }
}
