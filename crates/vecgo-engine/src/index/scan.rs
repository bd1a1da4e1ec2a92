use vecgo_index::{ByCodes, Near, Neighbour};
use vecgo_kernels::Kernels;
use vecgo_quant::Space;

use super::IndexPart;
use super::best::Best;
use super::coded::Coded;
use super::rerank::{Estimated, Rerank};
use super::walk::Walker;
use crate::filter::RowSet;
use crate::{Error, Result};

/// Rows that are scored together.
const SCANNED: usize = 64;

/// Memory of a scan.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) packed: Vec<u64>,
    pub(super) rows: Vec<u32>,
    next_rows: Vec<u32>,
    pub(super) best: Best,
    /// How many were scored.
    pub(super) count: usize,
}

impl Scanned {
    /// The `keep` nearest of some rows, nearest first. `take` adds some of them, one round before they
    /// are scored, and none when there are no more.
    pub(super) fn nearest<N: Near>(
        &mut self,
        by: &N,
        keep: usize,
        mut take: impl FnMut(&mut Vec<u32>),
        found: &mut Vec<Neighbour>,
    ) {
        let mut next = |rows: &mut Vec<u32>| {
            rows.clear();
            take(rows);
        };
        self.best.begin(keep);
        self.count = 0;
        next(&mut self.rows);
        while !self.rows.is_empty() {
            next(&mut self.next_rows);
            self.packed.resize(self.rows.len().max(self.packed.len()), 0);
            let near =
                by.within(&self.rows, self.best.bound(), &mut self.packed[..self.rows.len()]);
            self.best.add(&self.packed[..near], |_| true);
            self.count += self.rows.len();
            std::mem::swap(&mut self.rows, &mut self.next_rows);
        }
        self.best.end(found);
    }
}

impl Walker {
    /// The rows nearest to a vector by their codes, in the order of all bits that there are, of those
    /// that are given: all are looked at.
    pub(crate) fn scan(
        &mut self,
        kernels: Kernels,
        part: &IndexPart,
        vector: &[f32],
        how: (usize, Rerank),
        only: &RowSet,
        dead: Option<impl Fn(u32) -> bool>,
    ) -> Result<&[Estimated]> {
        let Some(coded) = &part.coded else {
            return Err(Error::internal("a scan by codes that are not there"));
        };
        self.scan_codes(kernels, (coded, &part.space), vector, how, only, dead)
    }

    /// The same of codes that may be those of some rows alone.
    pub(super) fn scan_codes(
        &mut self,
        kernels: Kernels,
        (coded, space): (&Coded, &Space),
        vector: &[f32],
        (keep, rerank): (usize, Rerank),
        only: &RowSet,
        dead: Option<impl Fn(u32) -> bool>,
    ) -> Result<&[Estimated]> {
        self.set_query(kernels, (space, Some(coded)), vector);
        let by = ByCodes { kernels, codes: coded.walked.codes()?, query: &self.query };
        let mut left = only.left();
        let take = |rows: &mut Vec<u32>| {
            while rows.is_empty() && !left.is_empty() {
                left.take(SCANNED, rows);
                if let Some(dead) = &dead {
                    rows.retain(|row| !dead(*row));
                }
            }
            // They are scored once those before them are, and on their way meanwhile.
            rows.iter().for_each(|row| by.prefetch(*row));
        };
        self.scanned.nearest(&by, keep, take, &mut self.found);
        self.counts.estimates += self.scanned.count as u64;
        self.look_again(kernels, (coded, space), rerank)?;
        Ok(&self.candidates)
    }
}
