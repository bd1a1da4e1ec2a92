use std::ops::Range;

use vecgo_format::SectionKind;
use vecgo_index::Codes;
use vecgo_kernels::PageBuf;

use super::part::{Plane, invalid};
use crate::Result;
use crate::filter::MatchedRows;
use crate::segment::Segment;

/// Clusters that a search scores the centres of, at most; of more, those next to each other are one.
const MOST: usize = 2048;

/// The clusters in whose order the rows of a segment stand.
#[derive(Debug)]
pub(super) struct Clusters {
    /// The first row of each; they follow one another.
    starts: Vec<u32>,
    /// The codes of their centres, one after the other.
    codes: PageBuf<u8>,
    factors: Vec<u8>,
}

impl Clusters {
    /// Reads, verifies and checks them.
    pub(super) async fn load(segment: &Segment, plane: &Plane) -> Result<Self> {
        let (words, rows) = (segment.section_words(SectionKind::Clusters).await?, segment.rows());
        let (starts, centres) = words.split_at(words.len() / 2);
        let are_ranges = starts.first() == Some(&0) && starts.is_sorted_by(|a, b| a < b);
        let are_rows = starts.iter().chain(centres).all(|row| *row < rows);
        if !are_ranges || !are_rows || starts.len() != centres.len() {
            let detail =
                format!("{} words of clusters, expected ranges of {rows} rows", words.len());
            return Err(segment.damaged(invalid(detail)));
        }
        let step = starts.len().div_ceil(MOST);
        let some = |of: &[u32]| of.iter().step_by(step).copied().collect::<Vec<u32>>();
        let (codes, factors) = plane.copy_rows(&some(centres))?;
        Ok(Self { starts: some(starts), codes, factors })
    }

    /// The codes of their centres: row n is that of the n-th.
    pub(super) fn centres(&self, plane: &Plane) -> Result<Codes<'_>> {
        plane.codes_of(&self.codes, &self.factors)
    }

    /// The rows of one.
    pub(super) fn rows(&self, number: u32) -> Range<u32> {
        let start = |number: usize| self.starts.get(number).copied().unwrap_or(u32::MAX);
        start(number as usize)..start(number as usize + 1)
    }

    /// Those with rows that a filter matches.
    pub(super) fn with<'a>(&self, only: &'a MatchedRows) -> &'a [u32] {
        only.clusters.get_or_init(|| {
            let has = |number: &u32| only.set.iter_within(self.rows(*number)).next().is_some();
            (0u32..).take(self.starts.len()).filter(has).collect()
        })
    }
}
