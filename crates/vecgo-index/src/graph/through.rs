//! Which rows a walk comes to from a row.

use super::Edges;
use super::visited::Visited;

/// Where a walk goes from a row.
pub(super) trait Through: Copy {
    /// Sees the rows that a row leads to.
    fn see(self, visited: &mut Visited, edges: Edges<'_>, row: u32);
}

/// To all that edges lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllRows;

impl Through for AllRows {
    #[inline(always)]
    fn see(self, visited: &mut Visited, edges: Edges<'_>, row: u32) {
        visited.see(edges.of(row));
    }
}

/// Rows that a walk is to find: a bit for each.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a>(pub &'a [u64]);

impl Wanted<'_> {
    /// Whether a row is one.
    #[inline(always)]
    #[must_use]
    pub fn has(self, row: u32) -> bool {
        self.0.get((row / 64) as usize).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

/// Lists of edges that are asked for ahead.
const AHEAD: usize = 4;

/// To those wanted alone, and from a row that leads to few of them also through the others to those
/// behind, until there are about as many as it has edges: what is wanted is so walked as if it had a
/// graph of its own (ACORN: Patel and others, SIGMOD 2024).
impl Through for Wanted<'_> {
    #[inline(always)]
    fn see(self, visited: &mut Visited, edges: Edges<'_>, row: u32) {
        let list = edges.list(row);
        let mut found = visited.see_wanted(list, self);
        // Where half are wanted, those behind the others made searches slower, and no better.
        if found * 2 >= list.len() {
            return;
        }
        let enough = list.len() - list.len() / 8;
        for (place, through) in list.iter().enumerate() {
            if let Some(ahead) = list.get(place + AHEAD)
                && !self.has(*ahead)
            {
                edges.prefetch(*ahead);
            }
            if self.has(*through) || !visited.pass(*through) {
                continue;
            }
            found += visited.see_wanted(edges.of(*through), self);
            if found >= enough {
                break;
            }
        }
    }
}
