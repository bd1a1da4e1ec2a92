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

/// The size of a small page, or of several where they are smaller. A smaller region comes from the
/// allocator, which costs less than to ask the kernel.
const SMALL_PAGE: usize = 64 << 10;

/// A piece of memory, zeroed when made, freed when dropped.
///
/// The region only owns the memory; what is read and written through [`Region::as_ptr`] is for
/// the type around it to answer for.
pub(super) struct Region {
    ptr: NonNull<u8>,
    bytes: usize,
    source: Source,
}

/// Where the memory of a region came from, and so how it is freed.
#[derive(Clone, Copy)]
enum Source {
    Nowhere,
    Allocator,
    HugePages,
    SmallPages,
}

// SAFETY: the region owns its memory, which belongs to no thread and may be freed on any.
unsafe impl Send for Region {}
// SAFETY: through a shared region nothing happens but copying the pointer.
unsafe impl Sync for Region {}

impl Region {
    /// A region of `bytes` zeros, or `None` if there is no memory for it.
    pub(super) fn zeroed(bytes: usize) -> Option<Region> {
        Self::of(bytes, if bytes >= HUGE_PAGE { Source::HugePages } else { Source::Allocator })
    }

    /// The same of small pages: one that is never touched is never paid for.
    pub(super) fn sparse(bytes: usize) -> Option<Region> {
        Self::of(bytes, if bytes >= SMALL_PAGE { Source::SmallPages } else { Source::Allocator })
    }

    fn of(bytes: usize, source: Source) -> Option<Region> {
        let source = if bytes == 0 { Source::Nowhere } else { source };
        let ptr = match source {
            Source::Nowhere => NonNull::<Line>::dangling().cast(),
            Source::Allocator => allocate(bytes, MIN_ALIGN)?,
            Source::HugePages => pages::map_huge(bytes)?,
            Source::SmallPages => pages::map_small(bytes)?,
        };
        Some(Region { ptr, bytes, source })
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
            match self.source {
                Source::Nowhere => {}
                Source::Allocator => release(self.ptr, self.bytes, MIN_ALIGN),
                Source::HugePages => pages::unmap(self.ptr, self.bytes, HUGE_PAGE),
                Source::SmallPages => pages::unmap(self.ptr, self.bytes, SMALL_PAGE),
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

/// Mappings. They come from the kernel rather than from the allocator, which zeroes aligned memory by
/// writing to it: here the advice precedes the first touch, and pages never touched are never paid
/// for.
#[cfg(all(target_os = "linux", not(miri)))]
mod pages {
    use std::ptr::{self, NonNull};

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    use super::{HUGE_PAGE, SMALL_PAGE};

    pub(super) fn map_small(bytes: usize) -> Option<NonNull<u8>> {
        let size = mapped_size(bytes, SMALL_PAGE)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps no other, and what
        // is advised is that mapping.
        unsafe {
            let start =
                mmap_anonymous(ptr::null_mut(), size, protection, MapFlags::PRIVATE).ok()?;
            let _ = madvise(start, size, Advice::LinuxNoHugepage);
            NonNull::new(start.cast())
        }
    }

    /// Aligned to huge pages.
    pub(super) fn map_huge(bytes: usize) -> Option<NonNull<u8>> {
        let kept = mapped_size(bytes, HUGE_PAGE)?;
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

    /// Frees a mapping.
    ///
    /// # Safety
    ///
    /// `ptr` must come from [`map_small`] or [`map_huge`] with the same size, `page` be the size of
    /// its pages, and the memory not be used again.
    pub(super) unsafe fn unmap(ptr: NonNull<u8>, bytes: usize, page: usize) {
        if let Some(kept) = mapped_size(bytes, page) {
            // SAFETY: this is the range that was kept, and the caller gives it up.
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

    /// The size of the mapping that holds `bytes`: whole pages, so that the last huge one counts.
    fn mapped_size(bytes: usize, page: usize) -> Option<usize> {
        bytes.checked_next_multiple_of(page).filter(|size| isize::try_from(*size).is_ok())
    }
}

/// Elsewhere the allocator serves, and whether pages are huge is the system's affair.
#[cfg(not(all(target_os = "linux", not(miri))))]
mod pages {
    use std::ptr::NonNull;

    use super::{HUGE_PAGE, SMALL_PAGE, allocate, release};

    pub(super) fn map_small(bytes: usize) -> Option<NonNull<u8>> {
        allocate(bytes, SMALL_PAGE)
    }

    pub(super) fn map_huge(bytes: usize) -> Option<NonNull<u8>> {
        allocate(bytes, HUGE_PAGE)
    }

    /// Frees what [`map_small`] or [`map_huge`] gave.
    ///
    /// # Safety
    ///
    /// `ptr` must come from one of them with the same size, `page` be the size of its pages, and the
    /// memory not be used again.
    pub(super) unsafe fn unmap(ptr: NonNull<u8>, bytes: usize, page: usize) {
        // SAFETY: passed on from the caller.
        unsafe { release(ptr, bytes, page) }
    }
}
