use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use roaring::RoaringBitmap;

/// Rows of a memtable or segment that were replaced or deleted, and when.
///
/// A set bit says that the row is dead for somebody. Whoever reads at or after the newest kill
/// needs no more; an older reader looks the row's sequence number up. One writer kills, any
/// number of readers ask.
#[derive(Debug, Default)]
pub(crate) struct DeadRows {
    /// Bits by row, in buckets that double, made when first needed.
    buckets: [OnceLock<Box<[AtomicU64]>>; BUCKETS],
    /// When each row was killed; rows dead since before anyone could read them are not here.
    /// Whoever counts holds it too.
    killed: RwLock<HashMap<u32, u64, BuildHasherDefault<DefaultHasher>>>,
    newest: AtomicU64,
    count: AtomicU64,
}

/// The first bucket holds this many words, each later one twice as many as the one before.
const FIRST_WORDS: usize = 64;
const BUCKETS: usize = 21;

fn place(row: u32) -> (usize, usize, u64) {
    let word = row as usize / 64;
    let bucket = (word / FIRST_WORDS + 1).ilog2() as usize;
    let start = ((1 << bucket) - 1) * FIRST_WORDS;
    (bucket, word - start, 1 << (row % 64))
}

impl DeadRows {
    /// Rows that are dead for every reader.
    pub(crate) fn from_bitmap(rows: &RoaringBitmap) -> Self {
        let dead = Self::default();
        for row in rows {
            dead.set(row);
        }
        dead
    }

    /// Marks a row dead from `sequence` on. A row dies once.
    pub(crate) fn kill(&self, row: u32, sequence: u64) {
        // Held to the end, so that whoever counts sees all of a kill or nothing of it.
        let mut killed = self.killed.write();
        if self.is_marked(row) {
            return;
        }
        killed.insert(row, sequence);
        self.newest.fetch_max(sequence, Ordering::Release);
        // Last: whoever sees the bit also sees when.
        self.set(row);
    }

    fn set(&self, row: u32) {
        let (bucket, word, bit) = place(row);
        let Some(bucket_slot) = self.buckets.get(bucket) else { return };
        let words = bucket_slot
            .get_or_init(|| (0..FIRST_WORDS << bucket).map(|_| AtomicU64::new(0)).collect());
        if words[word].fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the row is dead for anyone.
    pub(crate) fn is_marked(&self, row: u32) -> bool {
        let (bucket, word, bit) = place(row);
        let words = self.buckets.get(bucket).and_then(OnceLock::get);
        words.is_some_and(|words| words[word].load(Ordering::Acquire) & bit != 0)
    }

    /// Whether the row is dead for whoever reads at `sequence`.
    pub(crate) fn is_dead(&self, row: u32, sequence: u64) -> bool {
        self.is_marked(row)
            && (self.newest.load(Ordering::Acquire) <= sequence
                || self.killed.read().get(&row).is_none_or(|killed| *killed <= sequence))
    }

    /// How many rows are dead at `sequence`.
    pub(crate) fn count_at(&self, sequence: u64) -> u64 {
        let killed = self.killed.read();
        let later = if self.newest.load(Ordering::Acquire) <= sequence {
            0
        } else {
            killed.values().filter(|killed| **killed > sequence).count() as u64
        };
        self.count.load(Ordering::Relaxed).saturating_sub(later)
    }

    /// The rows dead at `sequence`.
    pub(crate) fn rows_at(&self, sequence: u64) -> RoaringBitmap {
        let mut dead = RoaringBitmap::new();
        for (bucket, words) in self.buckets.iter().enumerate() {
            let first_word = ((1usize << bucket) - 1) * FIRST_WORDS;
            for (word, bits) in words.get().into_iter().flatten().enumerate() {
                let mut bits = bits.load(Ordering::Acquire);
                let first = u32::try_from((first_word + word) * 64).unwrap_or(u32::MAX);
                while bits != 0 {
                    dead.insert(first.saturating_add(bits.trailing_zeros()));
                    bits &= bits - 1;
                }
            }
        }
        for row in self.after(sequence) {
            dead.remove(row.0);
        }
        dead
    }

    /// Rows killed after `sequence`, in their order, and when.
    pub(crate) fn after(&self, sequence: u64) -> Vec<(u32, u64)> {
        let killed = self.killed.read();
        let after = killed.iter().filter(|(_, at)| **at > sequence).map(|(row, at)| (*row, *at));
        let mut after: Vec<_> = after.collect();
        after.sort_unstable();
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_dead_from_its_kill_on() {
        let dead = DeadRows::default();
        for (row, sequence) in [(0, 5), (63, 6), (64, 7), (4095, 8), (4096, 9), (1_000_000, 10)] {
            dead.kill(row, sequence);
            dead.kill(row, sequence + 100);
            assert!(!dead.is_dead(row, sequence - 1));
            assert!(dead.is_dead(row, sequence));
            assert!(!dead.is_dead(row + 1, u64::MAX));
        }
        assert_eq!(dead.count_at(7), 3);
        assert_eq!(dead.rows_at(8).iter().collect::<Vec<_>>(), [0, 63, 64, 4095]);
        assert_eq!(dead.rows_at(10).iter().collect::<Vec<_>>(), [0, 63, 64, 4095, 4096, 1_000_000]);
        assert_eq!(dead.after(8), [(4096, 9), (1_000_000, 10)]);
    }

    #[test]
    fn rows_of_a_bitmap_are_dead_for_everyone() {
        let dead = DeadRows::from_bitmap(&[3, 70_000].into_iter().collect());
        dead.kill(4, 9);
        assert!(dead.is_dead(3, 0) && dead.is_dead(70_000, 0) && !dead.is_dead(4, 8));
        assert_eq!(dead.rows_at(0).iter().collect::<Vec<_>>(), [3, 70_000]);
    }
}
