use futures_lite::future::{block_on, zip};

use super::*;
use crate::SystemClock;

fn memory(limit: u64, cache: u64, wait_ms: u64) -> Arc<Memory> {
    let wait = Duration::from_millis(wait_ms);
    Arc::new(Memory::new(limit, cache, wait, Arc::new(SystemClock::default())))
}

#[test]
fn what_is_dropped_can_be_taken_again() {
    let memory = memory(1000, 100, 0);
    let mut first = memory.try_take(Use::Memtables, 500).unwrap();
    assert!(memory.try_take(Use::Memtables, 401).is_none());
    let second = memory.try_take(Use::Queries, 400).unwrap();
    assert!(memory.try_take(Use::Queries, 1).is_none());
    assert!(memory.try_take(Use::Queries, u64::MAX).is_none());
    drop(second);
    first.add(memory.try_take(Use::Memtables, 300).unwrap());
    assert_eq!(first.bytes(), 800);
    let stats = memory.stats();
    assert_eq!((stats.memtables, stats.queries, stats.cache, stats.limit), (800, 0, 100, 1000));
    drop(first);
    assert!(memory.try_take(Use::Memtables, 900).is_some());
}

#[test]
fn merges_leave_some_to_segments_and_segments_some_to_writes() {
    let memory = memory(800, 0, 0);
    assert_eq!(
        [Use::Merges, Use::Segments, Use::Memtables].map(|u| memory.most(u)),
        [600, 750, 800]
    );
    let _merge = memory.try_take(Use::Merges, 600).unwrap();
    assert!(memory.try_take(Use::Merges, 1).is_none());
    let _segment = memory.try_take(Use::Segments, 150).unwrap();
    assert!(memory.try_take(Use::Segments, 1).is_none());
    let _table = memory.try_take(Use::Memtables, 50).unwrap();
    let _over = memory.take_anyhow(Use::Memtables, 50);
    assert!(memory.try_take(Use::Queries, 1).is_none());
    assert_eq!(memory.stats().memtables, 100);
}

/// But for a little, and nothing to anybody else.
#[test]
fn the_cache_lends_what_it_has_to_segments() {
    let memory = memory(640, 160, 0);
    assert_eq!([Use::Segments, Use::Memtables].map(|u| memory.most(u)), [590, 480]);
    let cache = crate::BlockCache::new(Arc::clone(&memory));
    let insert = |object| {
        let key = crate::BlockKey { object, offset: 0 };
        cache.insert(key, bytes::Bytes::from_static(&[0; 4]));
    };
    let first = memory.try_take(Use::Segments, 440).unwrap();
    assert_eq!((memory.cache(), memory.stats().cache), (160, 160));
    (0..100).for_each(insert);
    assert!((50..=160).contains(&cache.bytes()), "{} bytes", cache.bytes());
    assert!(memory.try_take(Use::Segments, 151).is_none());
    let second = memory.try_take(Use::Segments, 150).unwrap();
    assert_eq!((memory.cache(), memory.stats().segments), (50, 590));
    cache.fit();
    assert!(cache.bytes() <= 50, "{} bytes", cache.bytes());
    assert!(memory.try_take(Use::Segments, 1).is_none());
    let writes = memory.try_take(Use::Memtables, 40).unwrap();
    assert_eq!(memory.cache(), 10);
    assert!(memory.try_take(Use::Memtables, 1).is_none());
    drop(second);
    assert_eq!(memory.cache(), 160);
    // Whoever frees it: what searches took while others had much is the cache's again once those are done.
    let merge = memory.take_anyhow(Use::Memtables, 40);
    let third = memory.try_take(Use::Segments, 60).unwrap();
    assert_eq!(memory.cache(), 60);
    drop((merge, writes));
    assert_eq!(memory.cache(), 140);
    drop(third);
    let writes = memory.try_take(Use::Memtables, 40).unwrap();
    (0..100).for_each(insert);
    assert!(cache.bytes() >= 50, "{} bytes", cache.bytes());
    drop((first, writes));
    assert_eq!(memory.most(Use::Ids), 630);
    let all = memory.try_take(Use::Memtables, 480).unwrap();
    assert_eq!((all.bytes(), memory.left(Use::Memtables)), (480, 0));
}

#[test]
fn who_waits_gets_what_is_given_back() {
    let memory = memory(100, 0, 60_000);
    let all = memory.try_take(Use::Memtables, 100).unwrap();
    let waits = memory.take(Use::Queries, 60);
    let gives = async {
        memory.pressed(0).await;
        drop(all);
    };
    let (taken, ()) = block_on(zip(waits, gives));
    assert_eq!(taken.unwrap().bytes(), 60);
    assert_eq!(memory.stats().queries, 0);
}

/// Of 600 that a merge could get, as much is kept as leaves 500 or not.
#[test]
fn nobody_waits_in_vain() {
    for (kept, is_had) in [(0, true), (100, true), (101, false)] {
        let memory = memory(800, 0, u64::MAX);
        let table = memory.try_take(Use::Memtables, 300).unwrap();
        let in_vain = || 500 > memory.attainable(Use::Merges);
        let waits = memory.take_unless(Use::Merges, 500, in_vain);
        let gives = async {
            let kept = memory.try_take(Use::Segments, kept).unwrap();
            drop(table);
            kept
        };
        let (taken, _kept) = block_on(zip(waits, gives));
        assert_eq!(taken.is_ok(), is_had, "{kept} are kept");
    }
}

#[test]
fn a_wait_ends_and_says_who_has_it() {
    let memory = memory(100 << 20, 10 << 20, 20);
    let _most = memory.try_take(Use::Memtables, 80 << 20).unwrap();
    let error = block_on(memory.take(Use::Queries, 11 << 20)).unwrap_err();
    let message = error.to_string();
    for part in ["11 MiB", "100 MiB", "memtables hold 80 MiB", "10 MiB are for the cache"] {
        assert!(message.contains(part), "{message}");
    }
    // What can never be had is refused at once.
    let memory = self::memory(1000, 0, u64::MAX);
    assert!(block_on(memory.take(Use::Segments, 939)).is_err());
}
