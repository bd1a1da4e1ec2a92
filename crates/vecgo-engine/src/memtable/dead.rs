use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use roaring::RoaringBitmap;

/// Rows of a memtable or segment that were replaced or deleted, and when.
///
/// A set bit says that the row is dead for somebody. Whoever reads at or after the newest kill
/// needs no more; an older reader looks the row's sequence number up. One writer kills, any
/// number of readers ask, and whether a row is dead without a lock.
#[derive(Debug, Default)]
pub(crate) struct DeadRows {
    /// A bit for each row.
    marked: Numbers,
    /// When each row that is marked was killed; 0 if that was before anyone could read it.
    times: Numbers,
    newest: AtomicU64,
    kills: RwLock<Kills>,
}

#[derive(Debug, Default)]
struct Kills {
    /// Rows dead for every reader.
    before: u64,
    /// When the others were killed, ascending, and which they are.
    later: Vec<(u64, u32)>,
}

/// Numbers that are 0 at first, in chunks made for the first of them that is not, so that one far
/// behind costs no more than one in front. There is room for the chunks in buckets that double.
#[derive(Debug, Default)]
struct Numbers {
    buckets: [OnceLock<Box<[OnceLock<Chunk>]>>; BUCKETS],
}

type Chunk = Box<[AtomicU64; CHUNK]>;

/// Numbers in a chunk: a page of them.
const CHUNK: usize = 512;
/// Enough for 2^32 numbers.
const BUCKETS: usize = 24;

impl Numbers {
    /// The bucket that a number is in, its chunk there, and its place in that.
    fn place(number: usize) -> (usize, usize, usize) {
        let chunk = number / CHUNK;
        let bucket = (chunk + 1).ilog2() as usize;
        (bucket, chunk - ((1 << bucket) - 1), number % CHUNK)
    }

    fn load(&self, number: usize) -> u64 {
        let (bucket, chunk, place) = Self::place(number);
        let chunks = self.buckets.get(bucket).and_then(OnceLock::get);
        let chunk = chunks.and_then(|chunks| chunks.get(chunk)?.get());
        chunk.map_or(0, |numbers| numbers[place].load(Ordering::Acquire))
    }

    fn set_bits(&self, number: usize, bits: u64) {
        let (bucket, chunk, place) = Self::place(number);
        let Some(slot) = self.buckets.get(bucket) else { return };
        let chunks = slot.get_or_init(|| (0..1usize << bucket).map(|_| OnceLock::new()).collect());
        let Some(slot) = chunks.get(chunk) else { return };
        let numbers = slot.get_or_init(|| Box::new([const { AtomicU64::new(0) }; CHUNK]));
        numbers[place].fetch_or(bits, Ordering::AcqRel);
    }

    /// All numbers of the chunks that were made, with their places.
    fn iter(&self) -> impl Iterator<Item = (usize, u64)> {
        let buckets =
            self.buckets.iter().enumerate().filter_map(|(b, chunks)| Some((b, chunks.get()?)));
        let chunks = buckets.flat_map(|(bucket, chunks)| {
            let first = (1usize << bucket) - 1;
            chunks
                .iter()
                .enumerate()
                .filter_map(move |(n, numbers)| Some((first + n, numbers.get()?)))
        });
        chunks.flat_map(|(chunk, numbers)| {
            let numbers = numbers.iter().enumerate();
            numbers.map(move |(n, number)| (chunk * CHUNK + n, number.load(Ordering::Acquire)))
        })
    }
}

fn bit(row: u32) -> (usize, u64) {
    (row as usize / 64, 1 << (row % 64))
}

impl DeadRows {
    /// Rows that are dead for every reader.
    pub(crate) fn from_bitmap(rows: &RoaringBitmap) -> Self {
        let dead = Self::default();
        for (word, bit) in rows.iter().map(bit) {
            dead.marked.set_bits(word, bit);
        }
        dead.kills.write().before = rows.len();
        dead
    }

    /// Marks a row dead from `sequence` on. A row dies once.
    pub(crate) fn kill(&self, row: u32, sequence: u64) {
        // Held to the end, so that whoever counts sees all of a kill or nothing of it.
        let mut kills = self.kills.write();
        if self.is_marked(row) {
            return;
        }
        let place = kills.later.partition_point(|(at, _)| *at <= sequence);
        kills.later.insert(place, (sequence, row));
        // It was 0.
        self.times.set_bits(row as usize, sequence);
        self.newest.fetch_max(sequence, Ordering::Release);
        // Last: whoever sees the bit also sees when.
        let (word, bit) = bit(row);
        self.marked.set_bits(word, bit);
    }

    /// Whether the row is dead for anyone.
    pub(crate) fn is_marked(&self, row: u32) -> bool {
        let (word, bit) = bit(row);
        self.marked.load(word) & bit != 0
    }

    /// Whether the row is dead for whoever reads at `sequence`.
    pub(crate) fn is_dead(&self, row: u32, sequence: u64) -> bool {
        self.is_marked(row)
            && (self.newest.load(Ordering::Acquire) <= sequence
                || self.times.load(row as usize) <= sequence)
    }

    /// How many rows are dead at `sequence`.
    pub(crate) fn count_at(&self, sequence: u64) -> u64 {
        let kills = self.kills.read();
        kills.before + kills.later.partition_point(|(at, _)| *at <= sequence) as u64
    }

    /// The rows dead at `sequence`.
    pub(crate) fn rows_at(&self, sequence: u64) -> RoaringBitmap {
        let mut dead = RoaringBitmap::new();
        for (word, mut bits) in self.marked.iter() {
            let first = u32::try_from(word * 64).unwrap_or(u32::MAX);
            while bits != 0 {
                dead.insert(first.saturating_add(bits.trailing_zeros()));
                bits &= bits - 1;
            }
        }
        for (_, row) in self.after(sequence) {
            dead.remove(row);
        }
        dead
    }

    /// When rows were killed after `sequence`, ascending, and which.
    pub(crate) fn after(&self, sequence: u64) -> Vec<(u64, u32)> {
        let kills = self.kills.read();
        let first = kills.later.partition_point(|(at, _)| *at <= sequence);
        kills.later.get(first..).unwrap_or_default().to_vec()
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
        assert_eq!(dead.after(8), [(9, 4096), (10, 1_000_000)]);
        dead.kill(u32::MAX, 11);
        assert!(dead.is_dead(u32::MAX, 11) && !dead.is_dead(u32::MAX - 1, 11));
        assert_eq!(dead.rows_at(11).max(), Some(u32::MAX));
    }

    #[test]
    fn rows_of_a_bitmap_are_dead_for_everyone() {
        let dead = DeadRows::from_bitmap(&[3, 70_000].into_iter().collect());
        dead.kill(4, 9);
        assert!(dead.is_dead(3, 0) && dead.is_dead(70_000, 0) && !dead.is_dead(4, 8));
        assert_eq!(dead.rows_at(0).iter().collect::<Vec<_>>(), [3, 70_000]);
        assert_eq!([dead.count_at(0), dead.count_at(8), dead.count_at(9)], [2, 2, 3]);
        assert_eq!(dead.after(0), [(9, 4)]);
    }
}
