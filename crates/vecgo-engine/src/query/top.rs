use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::view::Address;

/// A row that may be among the nearest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) distance: f32,
    pub(crate) address: Address,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_distance = self.distance.total_cmp(&other.distance);
        by_distance.then_with(|| self.address.cmp(&other.address))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// The nearest candidates seen so far, the worst of them at hand.
#[derive(Debug)]
pub(crate) struct Top {
    limit: usize,
    heap: BinaryHeap<Candidate>,
}

impl Top {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new() }
    }

    /// A candidate must be nearer than this to matter.
    pub(crate) fn bound(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.limit => worst.distance,
            _ => f32::INFINITY,
        }
    }

    pub(crate) fn push(&mut self, candidate: Candidate) {
        if self.heap.len() < self.limit {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    pub(crate) fn into_candidates(self) -> Vec<Candidate> {
        self.heap.into_vec()
    }
}
