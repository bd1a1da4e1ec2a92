//! Rows with the same codes. A graph cannot tell them apart: inserted one by one, all find the same
//! neighbours, fill each other's lists and are thrown out of them again, so that most are only
//! reached once repaired. So one stands for all in the graph; the others hang on it as a tree, each
//! with an edge to it besides. Of 30,000 rows two thirds of which are equal, that builds in a
//! quarter of the time, and as much is found.

use super::build::Job;
use super::{NO_EDGE, used};

/// Rows that one task hashes.
const TASK_ROWS: u32 = 4096;

/// Groups of rows with the same codes and factors.
#[derive(Debug, Default)]
pub(super) struct Twins {
    /// Groups of two rows or more, end to end, the one that stands for the others first.
    rows: Vec<u32>,
    /// Where each group ends.
    ends: Vec<usize>,
    /// The rows that another stands for, each with that one, sorted.
    later: Vec<(u32, u32)>,
}

impl Twins {
    /// Finds all groups. The first of a group is an entry if one of them is.
    pub(super) fn find(job: &Job<'_>, entries: &[u32]) -> Twins {
        let count = u32::try_from(job.points.rows.count()).unwrap_or(NO_EDGE);
        let tasks = (0..count).step_by(TASK_ROWS as usize).map(|first| {
            let end = first.saturating_add(TASK_ROWS).min(count);
            first..end
        });
        let hashes = job.workers.map(job.parallel, tasks, |_, rows| {
            rows.map(|row| (hash(job, row), row)).collect::<Vec<_>>()
        });
        let mut hashes = hashes.concat();
        hashes.sort_unstable();
        let mut entries = entries.to_vec();
        entries.sort_unstable();
        let mut twins = Twins::default();
        for group in hashes.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
            twins.add(job, group, &entries);
        }
        twins.later.sort_unstable();
        twins
    }

    /// Adds those rows of one hash that equal the first; any others are alone.
    fn add(&mut self, job: &Job<'_>, group: &[(u64, u32)], entries: &[u32]) {
        let start = self.rows.len();
        let Some((_, first)) = group.first() else { return };
        let rows = group.iter().map(|(_, row)| *row);
        self.rows.extend(rows.filter(|row| same(job, *first, *row)));
        let group = &mut self.rows[start..];
        if group.len() < 2 {
            self.rows.truncate(start);
            return;
        }
        let place = group.iter().position(|row| entries.binary_search(row).is_ok());
        group[..=place.unwrap_or(0)].rotate_right(1);
        let first = group[0];
        self.later.extend(group[1..].iter().map(|row| (*row, first)));
        self.ends.push(self.rows.len());
    }

    /// Whether a row is alone or stands for others.
    pub(super) fn is_first(&self, row: u32) -> bool {
        self.first_of(row) == row
    }

    /// The row that stands for it: itself if it is alone.
    pub(super) fn first_of(&self, row: u32) -> u32 {
        let place = self.later.binary_search_by_key(&row, |(row, _)| *row);
        place.ok().and_then(|place| self.later.get(place)).map_or(row, |(_, first)| *first)
    }

    /// Hangs the rows left out on those that stand for them, in lists of `degree` places.
    pub(super) fn attach(&self, edges: &mut [u32], degree: usize) {
        let mut start = 0;
        for end in &self.ends {
            let group = self.rows.get(start..*end).unwrap_or_default();
            start = *end;
            let Some((first, others)) = group.split_first() else { continue };
            if let (Some(list), Some(child)) = (places(edges, *first, degree), others.first()) {
                // The farthest edge gives way if there is no room: it comes last.
                let place = used(list).len().min(degree - 1);
                list[place] = *child;
            }
            let back = usize::from(degree > 1);
            let fan = degree - back;
            for (number, row) in others.iter().enumerate() {
                let Some(list) = places(edges, *row, degree) else { continue };
                list.fill(NO_EDGE);
                let (list, children) = list.split_at_mut(back);
                list.fill(*first);
                // The first has one child; after it, number n has those from n * fan + 1 on.
                let below = others.iter().skip(number * fan + 1);
                children.iter_mut().zip(below).for_each(|(place, child)| *place = *child);
            }
        }
    }
}

fn places(edges: &mut [u32], row: u32, degree: usize) -> Option<&mut [u32]> {
    let start = row as usize * degree;
    edges.get_mut(start..start + degree)
}

/// Whether two rows have the same codes and factors.
fn same(job: &Job<'_>, a: u32, b: u32) -> bool {
    let points = job.points;
    let bits = |row| points.factors.of(row).map(f32::to_bits);
    points.rows.row(a) == points.rows.row(b) && bits(a) == bits(b)
}

/// A number that rows with the same codes share, and others hardly ever.
fn hash(job: &Job<'_>, row: u32) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, _) = job.points.rows.row(row).as_chunks();
    words.iter().fold(0, |hash: u64, word| {
        (hash ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME).rotate_left(29)
    })
}
