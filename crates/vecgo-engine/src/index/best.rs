use vecgo_index::Neighbour;
use vecgo_kernels::pack;

/// The nearest of rows that come in any order.
#[derive(Debug, Default)]
pub(super) struct Best {
    found: Vec<Neighbour>,
    /// How many are kept.
    keep: usize,
    bound: u64,
}

impl Best {
    pub(super) fn begin(&mut self, keep: usize) {
        self.found.clear();
        (self.keep, self.bound) = (keep.max(1), u64::MAX);
    }

    /// Adds those of some packed rows that are wanted.
    pub(super) fn add(&mut self, packed: &[u64], wanted: impl Fn(u32) -> bool) {
        let near = packed.iter().map(|packed| Neighbour::of(*packed));
        self.found.extend(near.filter(|near| wanted(near.row())));
        if self.found.len() >= self.keep.saturating_mul(2) {
            let (_, last, _) = self.found.select_nth_unstable(self.keep - 1);
            self.bound = pack(last.distance(), last.row());
            self.found.truncate(self.keep);
        }
    }

    /// What a packed row must be below to be among them.
    pub(super) fn bound(&self) -> u64 {
        self.bound
    }

    /// Puts them in `found`, nearest first.
    pub(super) fn end(&mut self, found: &mut Vec<Neighbour>) {
        std::mem::swap(found, &mut self.found);
        Neighbour::keep_nearest(found, self.keep);
        found.sort_unstable();
    }
}
