//! No kernel reads beyond its slices: each is run on vectors that end where the memory ends.

#![cfg(target_os = "linux")]

use std::{ptr, slice};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use vecgo_kernels::{Bits, CodeRows, Estimate, Factors, Kernels, Level};

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

    fn bytes(&self) -> &[u8] {
        // SAFETY: the middle page is readable and zeroed, and nobody writes to it.
        unsafe { slice::from_raw_parts(self.mapping.add(PAGE), PAGE) }
    }

    fn values(&self) -> &[i8] {
        // SAFETY: as for bytes, any of which is a value too.
        unsafe { slice::from_raw_parts(self.mapping.add(PAGE).cast(), PAGE) }
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

#[test]
fn code_kernels_read_nothing_outside_their_rows() -> rustix::io::Result<()> {
    let (codes, query, factors) = (Fenced::new()?, Fenced::new()?, Fenced::new()?);
    let query = query.values();
    for kernels in Level::ALL.into_iter().filter_map(|level| Kernels::new(level).ok()) {
        for (bits, length) in Bits::ALL
            .into_iter()
            .flat_map(|bits| [128, 256, 384, 1280].map(|length| (bits, length)))
        {
            let stride = bits.bytes_of(length);
            for count in 1..=9 {
                let end = codes.bytes();
                let rows = CodeRows::new(&end[end.len() - stride * count..], stride);
                let rows = rows.expect("whole rows");
                let apart = &factors.bytes()[PAGE - 8 * count..];
                let numbers: Vec<u32> = (0..).take(count).collect();
                let (mut dots, mut kept) = (vec![1; count], vec![0; count]);
                let query = &query[query.len() - length..];
                kernels.dots(bits, query, rows, &numbers, &mut dots);
                assert_eq!(dots, vec![0; count]);
                for factors in [Factors::in_rows(rows), Factors::apart(apart).expect("whole")] {
                    let estimate = Estimate { factors, scale: 1.0, middle: 0.0, bound: u64::MAX };
                    let found = kernels.within(bits, query, rows, &estimate, &numbers, &mut kept);
                    assert_eq!(found, count);
                    let all = 0..numbers.last().expect("one") + 1;
                    let found = kernels.scan(bits, query, rows, &estimate, all, &mut kept);
                    assert_eq!(found, count);
                }
            }
        }
    }
    Ok(())
}
