use vecgo_kernels::{Kernels, packed_distance};

/// A row found, packed so that numbers compare as distances do, then rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour(pub(super) u64);

impl Neighbour {
    /// Forgets all but the nearest so many, at least one, in whatever order.
    pub fn keep_nearest(found: &mut Vec<Self>, count: usize) {
        if found.len() > count {
            found.select_nth_unstable(count.max(1) - 1);
            found.truncate(count.max(1));
        }
    }

    /// A row at a distance.
    #[inline(always)]
    #[must_use]
    pub fn new(distance: f32, row: u32) -> Self {
        Self(vecgo_kernels::pack(distance, row))
    }

    /// The row of a packed distance, see [`vecgo_kernels::pack`].
    #[inline(always)]
    #[must_use]
    pub fn of(packed: u64) -> Self {
        Self(packed)
    }

    /// The row.
    #[inline(always)]
    #[must_use]
    pub fn row(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let row = self.0 as u32;
        row
    }

    /// The distance, as exact as it was put in.
    #[inline(always)]
    #[must_use]
    pub fn distance(self) -> f32 {
        packed_distance(self.0)
    }
}

/// The nearest rows found so far, nearest first, and which of them are still to be followed.
#[derive(Debug, Default)]
pub(super) struct Pool {
    found: Vec<u64>,
    most: usize,
    /// A bit for each place: its row's edges are still to be followed.
    open: Vec<u64>,
    /// No bit before this word is set.
    first_open: usize,
}

impl Pool {
    /// Begins with some rows, of which the nearest `most` are kept.
    pub(super) fn begin(&mut self, most: usize, starts: &[Neighbour]) {
        self.most = most.max(1);
        self.found.clear();
        self.found.extend(starts.iter().map(|start| start.0));
        self.found.sort_unstable();
        self.found.truncate(self.most);
        self.open.clear();
        self.open.resize(self.most / 64 + 1, 0);
        for place in 0..self.found.len() {
            self.open[place / 64] |= 1 << (place % 64);
        }
        self.first_open = 0;
    }

    pub(super) fn found(&self) -> impl ExactSizeIterator<Item = Neighbour> {
        self.found.iter().map(|packed| Neighbour(*packed))
    }

    /// What a packed row must be below to get in.
    #[inline(always)]
    pub(super) fn bound(&self) -> u64 {
        if self.found.len() < self.most { u64::MAX } else { self.found[self.most - 1] }
    }

    /// The n-th nearest row, from one on.
    #[inline(always)]
    pub(super) fn nth(&self, n: usize) -> Option<Neighbour> {
        self.found.get(n.checked_sub(1)?).map(|packed| Neighbour(*packed))
    }

    /// The nearest row that is still to be followed.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Option<(usize, Neighbour)> {
        while let Some(word) = self.open.get(self.first_open) {
            if *word != 0 {
                let place = self.first_open * 64 + word.trailing_zeros() as usize;
                return self.found.get(place).map(|packed| (place, Neighbour(*packed)));
            }
            self.first_open += 1;
        }
        None
    }

    /// Marks the row at a place as followed.
    #[inline(always)]
    pub(super) fn close(&mut self, place: usize) {
        self.open[place / 64] &= !(1 << (place % 64));
    }

    /// Takes a row in, if it is near enough.
    #[inline(always)]
    pub(super) fn push(&mut self, kernels: Kernels, new: Neighbour) {
        if new.0 >= self.bound() {
            return;
        }
        if self.found.len() < self.most {
            self.found.push(new.0);
        }
        let place = kernels.insert_sorted(&mut self.found, new.0);
        self.shift_open(place);
    }

    /// Makes room for an open row at a place. The bit of a row that drops out at the end is lost
    /// with it.
    #[inline(always)]
    fn shift_open(&mut self, place: usize) {
        let first = place / 64;
        let bit = 1u64 << (place % 64);
        let mut carry = 0;
        for (number, word) in self.open[first..].iter_mut().enumerate() {
            let old = *word;
            *word = if number == 0 {
                (old & (bit - 1)) | bit | ((old & !(bit - 1)) << 1)
            } else {
                old << 1 | carry
            };
            carry = old >> 63;
        }
        // The place beyond the last is not one.
        if let Some(word) = self.open.get_mut(self.most / 64) {
            *word &= (1 << (self.most % 64)) - 1;
        }
        self.first_open = self.first_open.min(first);
    }
}
