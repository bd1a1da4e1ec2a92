use std::collections::BinaryHeap;

use super::exact::Scored;

/// The k nearest of the rows scored so far.
#[derive(Debug)]
pub(super) struct Nearest {
    k: usize,
    heap: BinaryHeap<Farthest>,
}

/// In the order of distance, so that the farthest is the heap's first.
#[derive(Debug)]
struct Farthest(Scored);

impl PartialEq for Farthest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Farthest {}

impl PartialOrd for Farthest {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Farthest {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        Scored::by_distance(&self.0, &other.0)
    }
}

impl Nearest {
    pub(super) fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new() }
    }

    pub(super) fn push(&mut self, scored: Scored) {
        if self.heap.len() < self.k {
            self.heap.push(Farthest(scored));
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && Scored::by_distance(&scored, &farthest.0).is_lt()
        {
            *farthest = Farthest(scored);
        }
    }

    /// A row farther than this is not among the nearest.
    pub(super) fn bound(&self) -> f32 {
        match self.heap.peek() {
            Some(farthest) if self.heap.len() >= self.k => farthest.0.distance,
            _ => f32::INFINITY,
        }
    }

    /// All, nearest first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|farthest| farthest.0).collect()
    }
}
