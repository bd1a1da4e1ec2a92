//! No kernel reads beyond its slices: each is run on vectors that end where the memory ends.

#![cfg(target_os = "linux")]

use std::{ptr, slice};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use vecgo_kernels::{Kernels, Level};

/// Base pages are no larger on any Linux system.
const PAGE: usize = 64 << 10;

/// A page of floats with pages that fault on either side.
struct Fenced {
    mapping: *mut u8,
}

impl Fenced {
    fn new() -> rustix::io::Result<Fenced> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping overlaps no other, and the fences lie within it.
        let mapping = unsafe {
            let mapping = mmap_anonymous(ptr::null_mut(), 3 * PAGE, access, MapFlags::PRIVATE)?;
            mprotect(mapping, PAGE, MprotectFlags::empty())?;
            mprotect(mapping.byte_add(2 * PAGE), PAGE, MprotectFlags::empty())?;
            mapping.cast::<u8>()
        };
        Ok(Fenced { mapping })
    }

    fn floats(&self) -> &[f32] {
        // SAFETY: the middle page is readable and zeroed, and nobody writes to it.
        unsafe { slice::from_raw_parts(self.mapping.add(PAGE).cast(), PAGE / 4) }
    }

    fn first(&self, len: usize) -> &[f32] {
        &self.floats()[..len]
    }

    fn last(&self, len: usize) -> &[f32] {
        &self.floats()[self.floats().len() - len..]
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own.
        let unmapped = unsafe { munmap(self.mapping.cast(), 3 * PAGE) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

#[test]
fn kernels_read_nothing_outside_their_slices() -> rustix::io::Result<()> {
    let (a, b) = (Fenced::new()?, Fenced::new()?);
    for kernels in Level::ALL.into_iter().filter_map(|level| Kernels::new(level).ok()) {
        for dim in 0..=130 {
            for (a, b) in [(a.first(dim), b.last(dim)), (a.last(dim), b.first(dim))] {
                assert_eq!(kernels.dot(a, b), 0.0);
                assert_eq!(kernels.l2(a, b), 0.0);
                assert_eq!(kernels.stream_sum(a), 0.0);
            }
            for rows in 0..=6 {
                let mut out = vec![f32::NAN; 3 * rows];
                for (queries, rows) in
                    [(a.first(3 * dim), b.last(rows * dim)), (a.last(3 * dim), b.first(rows * dim))]
                {
                    kernels.dot_tile(queries, rows, dim, &mut out);
                    kernels.l2_tile(queries, rows, dim, &mut out);
                }
                let out = &mut out[..rows];
                kernels.dot_rows(a.last(dim), b.last(rows * dim), out);
                kernels.l2_rows(a.last(dim), b.last(rows * dim), out);
            }
        }
    }
    Ok(())
}
