use super::view::Address;

/// A row that may be among the nearest, with its distance as the kernels have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) distance: f32,
    pub(crate) address: Address,
}

/// Every row that may be among the k nearest of those seen: kernels round, so it keeps all whose
/// distance is within twice their error of the k-th.
#[derive(Debug)]
pub(crate) struct Top {
    k: usize,
    /// Twice the kernels' error, as a part of one and as a part of the distance.
    margin: (f32, f32),
    kept: Vec<Candidate>,
    /// How many to keep before those that cannot matter are dropped.
    limit: usize,
    bound: f32,
}

/// Candidates kept beyond k before the first are dropped: dropping costs about as much as it
/// saves until there are some.
const SPARE: usize = 64;

impl Top {
    pub(crate) fn new(k: usize, (absolute, relative): (f32, f32)) -> Self {
        let margin = (2.0 * absolute, 3.0 * relative);
        let limit = k.saturating_mul(2).saturating_add(SPARE);
        Self { k, margin, kept: Vec::new(), limit, bound: f32::INFINITY }
    }

    /// A row beyond this is not among the k nearest.
    pub(crate) fn bound(&self) -> f32 {
        self.bound
    }

    pub(crate) fn push(&mut self, candidate: Candidate) {
        self.kept.push(candidate);
        if self.kept.len() >= self.limit {
            self.drop_far();
            // Many are as near as the k-th; looking again at each new one would not help.
            self.limit = self.limit.max(self.kept.len().saturating_mul(2));
        }
    }

    fn drop_far(&mut self) {
        if self.k == 0 || self.kept.len() <= self.k {
            return;
        }
        let by_distance = |a: &Candidate, b: &Candidate| a.distance.total_cmp(&b.distance);
        let (_, kth, _) = self.kept.select_nth_unstable_by(self.k - 1, by_distance);
        let (absolute, relative) = self.margin;
        let bound = kth.distance + absolute + relative * kth.distance.abs();
        self.kept.retain(|candidate| candidate.distance <= bound);
        self.bound = bound;
    }

    /// All rows that may be among the k nearest.
    pub(crate) fn into_candidates(mut self) -> Vec<Candidate> {
        self.drop_far();
        self.kept
    }
}
