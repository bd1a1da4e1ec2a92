//! Sets of a segment's or memtable's rows.

use std::ops::Range;
use std::sync::OnceLock;

use vecgo_index::Wanted;

/// Some of so many rows, a bit for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowSet {
    words: Vec<u64>,
    /// Rows that there are.
    rows: u32,
}

fn word_of(row: u32) -> usize {
    (row / 64) as usize
}

impl RowSet {
    pub(crate) fn none(rows: u32) -> Self {
        Self { words: vec![0; rows.div_ceil(64) as usize], rows }
    }

    pub(crate) fn all(rows: u32) -> Self {
        let mut all = Self { words: vec![u64::MAX; rows.div_ceil(64) as usize], rows };
        all.keep_real();
        all
    }

    pub(crate) fn bytes_for(rows: u32) -> u64 {
        u64::from(rows.div_ceil(64)) * 8
    }

    /// Forgets rows that there are not.
    fn keep_real(&mut self) {
        if let (Some(last), 1..) = (self.words.last_mut(), self.rows % 64) {
            *last &= (1 << (self.rows % 64)) - 1;
        }
    }

    /// How many rows there are, in the set or not.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// How many are in it.
    pub(crate) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// As a walk asks for it.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted(&self.words)
    }

    pub(crate) fn contains(&self, row: u32) -> bool {
        self.words.get(word_of(row)).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    /// Adds a row, if there is one.
    pub(crate) fn insert(&mut self, row: u32) {
        if row < self.rows
            && let Some(word) = self.words.get_mut(word_of(row))
        {
            *word |= 1 << (row % 64);
        }
    }

    /// Adds rows that are as bits in little-endian words, from the first row on.
    pub(crate) fn insert_bits(&mut self, bits: &[u8]) {
        for (word, bits) in self.words.iter_mut().zip(bits.chunks_exact(8)) {
            let mut more = [0; 8];
            more.copy_from_slice(bits);
            *word |= u64::from_le_bytes(more);
        }
        self.keep_real();
    }

    /// As many rows as there are now.
    pub(crate) fn grow(&mut self, rows: u32) {
        self.rows = self.rows.max(rows);
        self.words.resize(self.rows.div_ceil(64) as usize, 0);
    }

    pub(crate) fn and(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn or(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn without(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    pub(crate) fn not(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.keep_real();
    }

    /// The rows in it, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter_within(0..self.rows)
    }

    /// The same, some at a time.
    pub(crate) fn left(&self) -> RowsLeft<'_> {
        RowsLeft { words: &self.words, start: 0 }
    }

    /// One of each so many of them, about.
    pub(crate) fn one_of_each(&self, step: u32) -> impl Iterator<Item = u32> + '_ {
        let mut left = 0;
        let starts = (0u32..).step_by(64);
        self.words.iter().zip(starts).filter_map(move |(word, start)| {
            let (ones, before) = (word.count_ones(), left);
            left = if ones > before { step } else { before - ones };
            (ones > before).then(|| start + word.trailing_zeros())
        })
    }

    /// Those of some rows, in order.
    pub(crate) fn iter_within(&self, rows: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        let first = word_of(rows.start);
        let end = (rows.end.div_ceil(64) as usize).min(self.words.len()).max(first);
        let words = self.words.get(first..end).unwrap_or_default();
        let starts = (rows.start / 64 * 64..).step_by(64);
        let ones = words
            .iter()
            .zip(starts)
            .flat_map(|(word, start)| Ones(*word).map(move |bit| start + bit));
        ones.skip_while(move |row| *row < rows.start).take_while(move |row| *row < rows.end)
    }
}

/// The rows of a set that were not taken yet.
#[derive(Debug)]
pub(crate) struct RowsLeft<'a> {
    words: &'a [u64],
    /// The row of the first word's lowest bit.
    start: u32,
}

impl RowsLeft<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Adds the next rows, in order, until there are `enough` or none are left; a word's all at once.
    pub(crate) fn take(&mut self, enough: usize, out: &mut Vec<u32>) {
        while out.len() < enough
            && let Some((word, rest)) = self.words.split_first()
        {
            let mut word = *word;
            while word != 0 {
                out.push(self.start + word.trailing_zeros());
                word &= word - 1;
            }
            self.words = rest;
            self.start = self.start.wrapping_add(u64::BITS);
        }
    }
}

/// A set that does not change any more, with how many are in it.
#[derive(Debug)]
pub(crate) struct MatchedRows {
    pub(crate) set: RowSet,
    pub(crate) count: u32,
    /// Which entries of the segment's graph lead to some of them at once, found by the first walk.
    pub(crate) entries: OnceLock<Vec<u32>>,
    /// How many of a thousand edges that lead away from some of them lead to others.
    pub(crate) together: OnceLock<u32>,
    /// Which of the segment's clusters have some of them.
    pub(crate) clusters: OnceLock<RowSet>,
}

impl From<RowSet> for MatchedRows {
    fn from(set: RowSet) -> Self {
        Self {
            count: set.count(),
            set,
            entries: OnceLock::new(),
            together: OnceLock::new(),
            clusters: OnceLock::new(),
        }
    }
}

/// The places of a word's ones.
struct Ones(u64);

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_rows_are_sets() {
        let mut odd = RowSet::none(131);
        (0..131).filter(|row| row % 2 == 1).for_each(|row| odd.insert(row));
        odd.insert(200);
        assert_eq!(odd.count(), 65);
        let mut even = odd.clone();
        even.not();
        assert_eq!(even.iter().collect::<Vec<_>>(), (0..131).step_by(2).collect::<Vec<_>>());
        even.or(&odd);
        assert_eq!(even, RowSet::all(131));
        even.without(&odd);
        even.and(&odd);
        assert_eq!(even, RowSet::none(131));
        assert_eq!(odd.iter_within(62..67).collect::<Vec<_>>(), [63, 65]);
        assert_eq!(odd.one_of_each(32).collect::<Vec<_>>(), [1, 129]);
        let (mut left, mut taken) = (odd.left(), Vec::new());
        left.take(1, &mut taken);
        assert_eq!((taken.len(), left.is_empty()), (32, false));
        left.take(100, &mut taken);
        assert!(left.is_empty() && odd.iter().eq(taken));
        odd.grow(300);
        assert_eq!((odd.count(), odd.rows()), (65, 300));
        odd.insert_bits(&[255; 48]);
        assert_eq!(odd, RowSet::all(300));
    }
}
