use std::ops::Range;

use vecgo_format::SectionKind;
use vecgo_index::Codes;
use vecgo_quant::Space;

use super::coded::{Plane, invalid};
use crate::Result;
use crate::filter::{MatchedRows, RowSet};
use crate::segment::Segment;

/// Clusters that a walk scores the centres of, at most; of more, those next to each other are one.
const MOST: usize = 2048;

/// The clusters in whose order the rows of a segment stand.
#[derive(Debug)]
pub(crate) struct Clusters {
    /// The first row of each; they follow one another.
    starts: Vec<u32>,
    /// The codes of their centres, one after the other.
    centres: Plane,
}

impl Clusters {
    /// Those that are searched, with their own centres.
    pub(super) async fn to_search(segment: &Segment, space: &Space) -> Result<Self> {
        let (starts, _) = read(segment).await?;
        let centres = Plane::of_centres(segment, starts.len(), space.places()).await?;
        Ok(Self { starts, centres })
    }

    /// Those that a walk may start in, with the rows nearest to their centres.
    pub(super) async fn to_start_in(segment: &Segment, plane: &Plane) -> Result<Self> {
        let (starts, nearest) = read(segment).await?;
        let step = starts.len().div_ceil(MOST);
        let some = |of: &[u32]| of.iter().step_by(step).copied().collect::<Vec<u32>>();
        Ok(Self { starts: some(&starts), centres: plane.copy_rows(&some(&nearest))? })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.starts.len()
    }

    /// What follows the number of the last.
    pub(super) fn number_end(&self) -> u32 {
        u32::try_from(self.count()).unwrap_or(u32::MAX)
    }

    /// The codes of their centres: row n is that of the n-th.
    pub(super) fn centres(&self) -> Result<Codes<'_>> {
        self.centres.codes()
    }

    /// The rows of one.
    pub(super) fn rows(&self, number: u32) -> Range<u32> {
        let start = |number: usize| self.starts.get(number).copied().unwrap_or(u32::MAX);
        start(number as usize)..start(number as usize + 1)
    }

    /// Those with rows that a filter matches.
    pub(super) fn with<'a>(&self, only: &'a MatchedRows) -> &'a RowSet {
        only.clusters.get_or_init(|| {
            let count = self.number_end();
            let has = |number: &u32| only.set.iter_within(self.rows(*number)).next().is_some();
            let mut with = RowSet::none(count);
            (0..count).filter(has).for_each(|number| with.insert(number));
            with
        })
    }
}

/// The first row of each cluster, and the row nearest to its centre.
async fn read(segment: &Segment) -> Result<(Vec<u32>, Vec<u32>)> {
    let (words, rows) = (segment.section_words(SectionKind::Clusters).await?, segment.rows());
    let (starts, nearest) = words.split_at(words.len() / 2);
    let are_ranges = starts.first() == Some(&0) && starts.is_sorted_by(|a, b| a < b);
    let are_rows = starts.iter().chain(nearest).all(|row| *row < rows);
    if !are_ranges || !are_rows || starts.len() != nearest.len() {
        let detail = format!("{} words of clusters, expected ranges of {rows} rows", words.len());
        return Err(segment.damaged(invalid(detail)));
    }
    Ok((starts.to_vec(), nearest.to_vec()))
}
