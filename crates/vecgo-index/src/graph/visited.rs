use super::{NO_EDGE, Wanted};

/// Rows that a search has seen: a bit for each row, and a list by which the bits are cleared.
#[derive(Debug, Default)]
pub(super) struct Visited {
    words: Vec<u64>,
    /// The rows seen, in that order; what lies behind the first `count` is of earlier searches.
    rows: Vec<u32>,
    count: usize,
    /// Rows that were passed through: seen, and in no list.
    passed: Vec<u32>,
}

impl Visited {
    /// Begins a search over so many rows.
    pub(super) fn begin(&mut self, rows: usize) {
        for row in &self.rows[..self.count] {
            self.words[*row as usize / 64] = 0;
        }
        for row in self.passed.drain(..) {
            self.words[row as usize / 64] = 0;
        }
        self.count = 0;
        self.words.resize(rows.div_ceil(64).max(self.words.len()), 0);
    }

    /// The rows seen from the `first` on.
    #[inline(always)]
    pub(super) fn since(&self, first: usize) -> &[u32] {
        self.rows.get(first..self.count).unwrap_or_default()
    }

    /// How many rows have been seen.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Sees the rows of a list up to its end or the first [`NO_EDGE`]; those that are there and
    /// had not been seen are added. No branch depends on which those are.
    #[inline(always)]
    pub(super) fn see(&mut self, list: &[u32]) {
        let end = self.count + list.len();
        if self.rows.len() < end {
            self.rows.resize(end.next_power_of_two(), 0);
        }
        let places = &mut self.rows[self.count..end];
        let mut new = 0;
        for row in list {
            if *row == NO_EDGE {
                break;
            }
            let Some(word) = self.words.get_mut((*row / 64) as usize) else { continue };
            let (seen, shift) = (*word, row % 64);
            *word = seen | 1 << shift;
            places[new] = *row;
            new += usize::from(seen >> shift & 1 == 0);
        }
        self.count += new;
    }

    /// The same with those alone that are wanted; the others stay as they were. Gives the number of
    /// those wanted, whether they had been seen or not.
    #[inline(always)]
    pub(super) fn see_wanted(&mut self, list: &[u32], wanted: Wanted<'_>) -> usize {
        let end = self.count + list.len();
        if self.rows.len() < end {
            self.rows.resize(end.next_power_of_two(), 0);
        }
        let places = &mut self.rows[self.count..end];
        let (mut new, mut all) = (0, 0);
        for row in list {
            if *row == NO_EDGE {
                break;
            }
            let Some(word) = self.words.get_mut((*row / 64) as usize) else { continue };
            let (seen, shift) = (*word, row % 64);
            let wanted = u64::from(wanted.has(*row));
            *word = seen | wanted << shift;
            places[new] = *row;
            new += usize::from(seen >> shift & 1 == 0) & usize::from(wanted == 1);
            all += usize::from(wanted == 1);
        }
        self.count += new;
        all
    }

    /// Sees a row without adding it; whether it had not been seen.
    #[inline(always)]
    pub(super) fn pass(&mut self, row: u32) -> bool {
        let Some(word) = self.words.get_mut((row / 64) as usize) else { return false };
        let new = *word >> (row % 64) & 1 == 0;
        if new {
            *word |= 1 << (row % 64);
            self.passed.push(row);
        }
        new
    }
}
