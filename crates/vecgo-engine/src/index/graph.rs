use vecgo_format::SectionKind;
use vecgo_index::Edges;
use vecgo_kernels::PageBuf;

use super::clusters::Clusters;
use super::coded::{Coded, Plane, invalid};
use crate::Result;
use crate::filter::MatchedRows;
use crate::segment::Segment;

/// The edges between a segment's rows, and where walks begin.
#[derive(Debug)]
pub(crate) struct Graph {
    edges: PageBuf<u32>,
    /// Places of a row.
    degree: usize,
    entries: Vec<u32>,
    /// Absent if walks go by the vectors.
    pub(super) starts: Option<Starts>,
}

/// What tells where walks by codes begin.
#[derive(Debug)]
pub(super) struct Starts {
    /// The codes of the entries, one after the other: every walk scores them all.
    pub(super) entry_codes: Plane,
    /// The clusters in whose order the rows stand, where few rows are wanted.
    pub(super) clusters: Clusters,
}

impl Graph {
    /// One of these edges, of so many places each.
    pub(super) async fn load(
        segment: &Segment,
        (edges, degree): (PageBuf<u32>, usize),
        coded: Option<&Coded>,
    ) -> Result<Self> {
        let rows = segment.rows();
        let entries = segment.section_words(SectionKind::Entries).await?.to_vec();
        if entries.is_empty() || entries.iter().any(|entry| *entry >= rows) {
            let detail = format!("{} entries, expected rows below {rows}", entries.len());
            return Err(segment.damaged(invalid(detail)));
        }
        let starts = match coded {
            Some(Coded { walked, .. }) => Some(Starts {
                entry_codes: walked.copy_rows(&entries)?,
                clusters: Clusters::to_start_in(segment, walked).await?,
            }),
            None => None,
        };
        Ok(Self { edges, degree, entries, starts })
    }

    /// Reads the edges of a segment past its own memory, verifies and checks them; with as many places
    /// as each row has.
    pub(crate) async fn edges_of(segment: &Segment) -> Result<(PageBuf<u32>, usize)> {
        let rows = segment.rows() as usize;
        let edges = segment.section_words(SectionKind::Edges).await?;
        let degree = edges.len() / rows.max(1);
        if degree == 0 || !Edges::new(&edges, degree).lie_within(rows) {
            let detail = format!(
                "section Edges has {} places, expected as many edges of each of {rows} rows, to those",
                edges.len()
            );
            return Err(segment.damaged(invalid(detail)));
        }
        Ok((edges, degree))
    }

    pub(super) fn edges(&self) -> Edges<'_> {
        Edges::new(&self.edges, self.degree)
    }

    pub(super) fn entries(&self) -> &[u32] {
        &self.entries
    }

    /// The numbers of the entries from which an edge leads to some rows at once.
    pub(super) fn entries_to<'a>(&self, only: &'a MatchedRows) -> &'a [u32] {
        only.entries.get_or_init(|| {
            let (edges, rows) = (self.edges(), &only.set);
            let leads = |entry: u32| {
                rows.contains(entry) || edges.list(entry).iter().any(|to| rows.contains(*to))
            };
            (0u32..).zip(&self.entries).filter(|(_, row)| leads(**row)).map(|(n, _)| n).collect()
        })
    }

    /// How many of a thousand edges that lead away from some rows lead to others of them.
    pub(crate) fn together(&self, only: &MatchedRows) -> u32 {
        const ROWS: u32 = 64;
        *only.together.get_or_init(|| {
            let (edges, rows) = (self.edges(), &only.set);
            let lists = rows.one_of_each(only.count / ROWS).map(|row| edges.list(row));
            let (among, all) = lists.fold((0, 0), |(among, all), list| {
                let to = list.iter().filter(|to| rows.contains(**to)).count();
                (among + to, all + list.len())
            });
            u32::try_from(among * 1000 / all.max(1)).unwrap_or(1000)
        })
    }
}
