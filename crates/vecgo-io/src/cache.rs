use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::Memory;

/// Which block of which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockKey {
    /// The object, by the number that [`BlockCache::object`] gave it.
    pub object: u64,
    /// Byte of the object where the block begins.
    pub offset: u64,
}

/// Verified blocks of immutable objects, bounded in bytes, shared by all collections.
#[derive(Debug)]
pub struct BlockCache {
    blocks: Cache<BlockKey, Bytes, ByLength, BuildHasherDefault<KeyHasher>>,
    objects: AtomicU64,
    /// Bytes that may be held whole, beside the blocks.
    room: AtomicI64,
    /// What the blocks may take now: less while some is lent.
    memory: Arc<Memory>,
    /// What they were told last.
    capacity: AtomicU64,
    telling: Mutex<()>,
}

/// Room taken in memory for as long as this lives.
#[derive(Debug)]
pub struct Held {
    cache: Arc<BlockCache>,
    bytes: i64,
}

impl Held {
    /// How much.
    pub fn bytes(&self) -> u64 {
        self.bytes.unsigned_abs()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.cache.room.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<BlockKey, Bytes> for ByLength {
    fn weight(&self, _: &BlockKey, block: &Bytes) -> u64 {
        block.len() as u64 + OVERHEAD_BYTES
    }
}

/// About what the cache keeps beside the block itself.
const OVERHEAD_BYTES: u64 = 96;
/// Only a hint for the cache's tables.
const TYPICAL_BLOCK_BYTES: u64 = 64 << 10;

impl BlockCache {
    /// A cache of as many bytes as `memory` has set aside for it.
    pub fn new(memory: Arc<Memory>) -> Self {
        let bytes = memory.cache();
        let items = usize::try_from(bytes / TYPICAL_BLOCK_BYTES).unwrap_or(usize::MAX).max(16);
        let hasher = BuildHasherDefault::default();
        let lifecycle = quick_cache::sync::DefaultLifecycle::default();
        let blocks = Cache::with(items, bytes, ByLength, hasher, lifecycle);
        Self {
            blocks,
            objects: AtomicU64::new(0),
            room: AtomicI64::new(signed(bytes)),
            memory,
            capacity: AtomicU64::new(bytes),
            telling: Mutex::new(()),
        }
    }

    /// Takes room for so many bytes that are held whole rather than in blocks, if there is as much:
    /// all of it is as large as the cache. What others are about to give up counts as free.
    pub fn hold(self: &Arc<Self>, bytes: u64, given_up: u64) -> Option<Held> {
        let bytes = signed(bytes);
        let take = |room: i64| {
            let fits = room.saturating_add(signed(given_up)) >= bytes;
            fits.then_some(room.saturating_sub(bytes))
        };
        let taken = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.ok().map(|_| Held { cache: Arc::clone(self), bytes })
    }

    /// A number for an object just opened, which no other has.
    pub fn object(&self) -> u64 {
        self.objects.fetch_add(1, Ordering::Relaxed)
    }

    /// A block, if it is here.
    pub fn get(&self, key: BlockKey) -> Option<Bytes> {
        self.blocks.get(&key)
    }

    /// Whether a block is here. Asking does not keep it here.
    pub fn has(&self, key: BlockKey) -> bool {
        self.blocks.contains_key(&key)
    }

    /// Drops what there is too much of, where some of its memory was lent.
    pub fn fit(&self) {
        if self.memory.cache() == self.capacity.load(Ordering::Relaxed) {
            return;
        }
        // One at a time, or the last to be told would not be the last to be known.
        let _one = self.telling.lock();
        let bytes = self.memory.cache();
        if self.capacity.swap(bytes, Ordering::Relaxed) != bytes {
            self.blocks.set_capacity(bytes);
        }
    }

    /// Keeps a block that was verified.
    pub fn insert(&self, key: BlockKey, block: Bytes) {
        self.fit();
        self.blocks.insert(key, block);
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.blocks.weight()
    }
}

/// Unlike the standard one the same in every process, so that a simulation evicts the same blocks
/// for the same seed.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(26) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}
