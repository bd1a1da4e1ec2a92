//! After a build: every row is reached.
//!
//! Pruning looks at one row at a time, so that nothing keeps it from cutting the last edge to some
//! other row. Here a tree is grown along the edges, from the entries on; a row that it does not
//! reach is linked to a row near it that it does, then the tree grows on from there. An edge of
//! the tree is never taken away: it is at most led through the new row. So whatever was reached
//! stays reached, each step reaches a row more, and at the end all are.

use super::build::{Cancelled, Job};
use super::insert::Worker;
use super::{Edges, NO_EDGE, used};

/// Rows near a row that is not reached among which one to link it to is chosen.
const EF: usize = 64;
/// Rows between two questions whether to go on.
const ASK_EVERY: usize = 1 << 16;
/// The same for rows linked in.
const ASK_LINKED: usize = 256;

/// Links in what cannot be reached from `entries`, all of them rows, and says how many rows.
///
/// # Errors
/// [`Cancelled`] if `go_on` says so.
pub(super) fn connect(
    job: &Job<'_>,
    edges: &mut [u32],
    entries: &[u32],
    degree: usize,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<usize, Cancelled> {
    let mut tree = Tree::new(edges, entries, degree);
    tree.grow(go_on)?;
    let (mut worker, mut found, mut linked) = (Worker::default(), Vec::new(), 0);
    for row in 0..u32::try_from(tree.parents.len()).unwrap_or(NO_EDGE) {
        if tree.reaches(row) {
            continue;
        }
        found.clear();
        let graph = Edges::new(tree.edges, degree);
        found.extend(worker.walk(job, graph, entries, row, EF).map(|near| near.row()));
        tree.link(&found, row);
        tree.grow(go_on)?;
        linked += 1;
        if linked % ASK_LINKED == 0 && !go_on() {
            return Err(Cancelled);
        }
    }
    Ok(linked)
}

struct Tree<'a> {
    edges: &'a mut [u32],
    degree: usize,
    /// The row whose edge leads to each row; an entry's is the entry. [`NO_EDGE`] if not reached.
    parents: Vec<u32>,
    /// Rows reached whose edges are still to be followed.
    waiting: Vec<u32>,
}

impl<'a> Tree<'a> {
    fn new(edges: &'a mut [u32], entries: &[u32], degree: usize) -> Self {
        let mut parents = vec![NO_EDGE; edges.len() / degree];
        for entry in entries {
            parents[*entry as usize] = *entry;
        }
        Tree { edges, degree, parents, waiting: entries.to_vec() }
    }

    fn reaches(&self, row: u32) -> bool {
        self.parents[row as usize] != NO_EDGE
    }

    fn places(&mut self, row: u32) -> &mut [u32] {
        &mut self.edges[row as usize * self.degree..][..self.degree]
    }

    /// Follows edges until no row is waiting.
    fn grow(&mut self, go_on: &mut dyn FnMut() -> bool) -> Result<(), Cancelled> {
        let mut followed = 0;
        while let Some(from) = self.waiting.pop() {
            for to in Edges::new(self.edges, self.degree).list(from) {
                let parent = &mut self.parents[*to as usize];
                if *parent == NO_EDGE {
                    *parent = from;
                    self.waiting.push(*to);
                }
            }
            followed += 1;
            if followed % ASK_EVERY == 0 && !go_on() {
                return Err(Cancelled);
            }
        }
        Ok(())
    }

    /// The last edge of a row that is none of the tree's.
    fn spare(&self, row: u32) -> Option<usize> {
        let list = Edges::new(self.edges, self.degree).of(row);
        list.iter().rposition(|to| self.parents.get(*to as usize) != Some(&row))
    }

    /// Links a row that is not reached to one of `near`, which are, nearest first.
    fn link(&mut self, near: &[u32], row: u32) {
        let degree = self.degree;
        let with_room = near.iter().copied().find(|row| used(self.places(*row)).len() < degree);
        let with_spare = || near.iter().find_map(|row| Some((*row, self.spare(*row)?)));
        let (parent, place) = if let Some(parent) = with_room {
            (parent, used(self.places(parent)).len())
        } else if let Some(found) = with_spare() {
            found
        } else if let Some(parent) = near.first().copied() {
            // All edges are the tree's: the last one is led through the row.
            let last = self.places(parent)[degree - 1];
            self.lead_through(row, last);
            (parent, degree - 1)
        } else {
            return;
        };
        self.places(parent)[place] = row;
        self.parents[row as usize] = parent;
        self.waiting.push(row);
    }

    /// Gives a row that is not reached, whose edges are so none of the tree's, an edge of the tree.
    fn lead_through(&mut self, row: u32, to: u32) {
        let list = used(self.places(row));
        if !list.contains(&to) {
            let place = list.len().min(self.degree - 1);
            self.places(row)[place] = to;
        }
        self.parents[to as usize] = row;
    }
}
