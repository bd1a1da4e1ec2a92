//! Buffers: alignment, zeroing, failure, and appending under concurrent readers.

use std::sync::Arc;
use std::thread;

use vecgo_kernels::{AllocError, Appended, Appender, Full, PageBuf, Pages, append_only};

const HUGE_PAGE: usize = 2 << 20;

#[test]
fn buffers_are_zeroed_and_aligned() {
    for len in [1, 3, 16, 1000, HUGE_PAGE / 4 - 1, HUGE_PAGE / 4, HUGE_PAGE / 4 + 1, HUGE_PAGE] {
        let mut buffer = PageBuf::<u32>::zeroed(len).unwrap();
        let align = if len * 4 >= HUGE_PAGE { HUGE_PAGE } else { 64 };
        assert_eq!(buffer.as_ptr().addr() % align, 0, "len {len}");
        assert_eq!(buffer.len(), len);
        assert!(buffer.iter().all(|x| *x == 0));
        buffer.fill(u32::MAX);
        assert!(buffer.iter().all(|x| *x == u32::MAX));
    }
}

#[test]
fn empty_buffers_are_slices_too() {
    let mut buffer = PageBuf::<f32>::zeroed(0).unwrap();
    assert!(buffer.is_empty());
    assert!(buffer.as_bytes().is_empty());
    assert!(buffer.as_bytes_mut().is_empty());
}

#[test]
fn bytes_are_the_elements() {
    let mut buffer = PageBuf::<u64>::zeroed(3).unwrap();
    buffer.as_bytes_mut()[8..16].copy_from_slice(&0x0102_0304_0506_0708_u64.to_le_bytes());
    assert_eq!(u64::from_le(buffer[1]), 0x0102_0304_0506_0708);
    buffer[2] = 7_u64.to_le();
    assert_eq!(buffer.as_bytes()[16..], [7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(buffer.as_bytes().len(), 24);
}

#[test]
fn sizes_beyond_memory_are_errors() {
    let beyond = [usize::MAX, usize::MAX / 2, usize::MAX / 8, usize::MAX / 8 + 1, usize::MAX / 16];
    for len in beyond {
        assert_eq!(PageBuf::<u64>::zeroed(len).err(), Some(AllocError { len, element_size: 8 }));
        assert_eq!(
            append_only::<u64>(len, Pages::Huge).err(),
            Some(AllocError { len, element_size: 8 })
        );
    }
    assert!(PageBuf::<u8>::zeroed(usize::MAX).is_err());
    assert!(PageBuf::<u8>::zeroed(isize::MAX.unsigned_abs()).is_err());
}

#[test]
fn appending_publishes_until_full() {
    let (mut appender, appended) = append_only::<u32>(5, Pages::Huge).unwrap();
    assert!(appended.is_empty() && appender.is_empty());
    assert_eq!(appender.remaining(), 5);

    appender.extend_from_slice(&[1, 2, 3]).unwrap();
    let seen = appended.as_slice();
    assert_eq!(seen, [1, 2, 3]);

    let full = appender.extend_from_slice(&[4, 5, 6]);
    assert_eq!(full, Err(Full { requested: 3, remaining: 2 }));
    assert_eq!(appended.as_slice(), [1, 2, 3]);

    // Of the buffer's own elements, too.
    appender.extend_from_slice(&seen[1..]).unwrap();
    assert_eq!(seen, [1, 2, 3]);
    assert_eq!(appended.as_slice(), [1, 2, 3, 2, 3]);
    assert_eq!((appender.len(), appender.remaining()), (5, 0));
    assert_eq!((appended.len(), appended.capacity()), (5, 5));

    appender.extend_from_slice(&[]).unwrap();
    assert!(appender.extend_from_slice(&[0]).is_err());
}

#[test]
fn either_end_may_go_first() {
    let (mut appender, appended) = append_only::<f32>(2, Pages::Huge).unwrap();
    appender.extend_from_slice(&[1.5]).unwrap();
    drop(appender);
    assert_eq!(appended.as_slice(), [1.5]);

    let (mut appender, appended) = append_only::<f32>(2, Pages::Huge).unwrap();
    drop(appended);
    appender.extend_from_slice(&[1.5]).unwrap();
    assert_eq!(appender.len(), 1);
}

#[test]
fn no_room_is_still_a_buffer() {
    let (mut appender, appended) = append_only::<u8>(0, Pages::Huge).unwrap();
    assert_eq!(appender.extend_from_slice(&[1]), Err(Full { requested: 1, remaining: 0 }));
    assert!(appended.as_slice().is_empty());
}

#[test]
fn readers_see_whole_batches_only() {
    const BATCH: usize = 7;
    let batches: usize = if cfg!(miri) { 50 } else { 200_000 };
    let capacity = BATCH * batches;
    let (mut appender, appended) = append_only::<u64>(capacity, Pages::Huge).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            let appended = Arc::clone(&appended);
            scope.spawn(move || {
                let mut checked = 0;
                while checked < capacity {
                    let seen = appended.as_slice();
                    assert_eq!(seen.len() % BATCH, 0);
                    assert!(seen.len() >= checked);
                    for (i, x) in seen.iter().enumerate().skip(checked) {
                        assert_eq!(*x, !(i as u64));
                    }
                    checked = seen.len();
                    thread::yield_now();
                }
            });
        }
        scope.spawn(move || {
            for start in (0..capacity).step_by(BATCH) {
                let batch: [u64; BATCH] = std::array::from_fn(|i| !((start + i) as u64));
                appender.extend_from_slice(&batch).unwrap();
            }
        });
    });
}

#[test]
fn buffers_cross_threads() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<PageBuf<f32>>();
    sync::<PageBuf<f32>>();
    send::<Appender<f32>>();
    send::<Appended<f32>>();
    sync::<Appended<f32>>();
}
