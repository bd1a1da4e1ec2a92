use std::collections::BinaryHeap;

use super::exact::Scored;

/// The k nearest of the rows scored so far.
#[derive(Debug)]
pub(super) struct Nearest {
    k: usize,
    /// The farthest first.
    heap: BinaryHeap<Scored>,
}

impl Nearest {
    pub(super) fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new() }
    }

    pub(super) fn push(&mut self, scored: Scored) {
        if self.heap.len() < self.k {
            self.heap.push(scored);
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && scored < *farthest
        {
            *farthest = scored;
        }
    }

    /// A row farther than this is not among the nearest.
    pub(super) fn bound(&self) -> f32 {
        match self.heap.peek() {
            Some(farthest) if self.heap.len() >= self.k => farthest.distance,
            _ => f32::INFINITY,
        }
    }

    /// All, nearest first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec()
    }
}
