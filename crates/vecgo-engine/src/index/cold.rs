//! A search of a segment that is far away and of which no index is in memory yet: the centres of its clusters tell
//! which codes to fetch.

use std::ops::Range;
use std::sync::Arc;

use vecgo_format::SectionKind;
use vecgo_index::Neighbour;
use vecgo_io::{BoxFuture, Spawn, SpawnExt, Task};
use vecgo_kernels::{Bits, FACTOR_BYTES, Kernels, PageBuf};
use vecgo_quant::{Planes, Space};

use super::Rerank;
use super::clusters::Clusters;
use super::coded::{Coded, Plane, read_space, walked_in};
use super::layout::{Layout, planes_of};
use super::walk::Walker;
use crate::filter::RowSet;
use crate::segment::{Runs, Segment};
use crate::{Error, Result};

/// What lies between two parts that are read is read, too, if it has no more bytes.
const GAP_BYTES: usize = 64 << 10;
/// Parts of more bytes are several.
const RUN_BYTES: usize = 1 << 20;
/// One thread reads about so many bytes: enough that their memory is of huge pages.
const SHARE_BYTES: usize = 4 << 20;

/// What tells where in a segment the rows near to a query are.
#[derive(Debug)]
pub(crate) struct Head {
    space: Space,
    /// Absent where there is no index: the codes of all rows are fetched.
    clusters: Option<Clusters>,
    /// Where the codes are that a search reads first, and how.
    codes: SectionKind,
    factors: SectionKind,
    layout: Layout,
}

/// The codes of some clusters, one after the other.
#[derive(Debug)]
pub(crate) struct Fetched {
    coded: Coded,
    /// The rows of each cluster, in the order of the codes.
    ranges: Vec<Range<u32>>,
}

impl Head {
    /// The sections that it is made of.
    pub(crate) const SECTIONS: [SectionKind; 4] = [
        SectionKind::Space,
        SectionKind::Clusters,
        SectionKind::Centres,
        SectionKind::CentreFactors,
    ];
    /// Those of which parts are read then.
    pub(crate) const THEN: [SectionKind; 4] = [
        SectionKind::UpperCodes,
        SectionKind::UpperFactors,
        SectionKind::FullCodes,
        SectionKind::FullFactors,
    ];

    /// Whether a segment can be searched so.
    pub(crate) fn is_of(segment: &Segment) -> bool {
        planes_in(segment).is_some()
    }

    /// Reads, verifies and checks it.
    pub(crate) fn load(segment: &Segment) -> BoxFuture<'_, Result<Self>> {
        Box::pin(async move {
            let space = read_space(segment).await?;
            let clusters = match segment.has_index() {
                true => Some(Clusters::to_search(segment, &space).await?),
                false => None,
            };
            let no_codes = || Error::internal("the head of a segment without codes");
            let planes = planes_in(segment).ok_or_else(no_codes)?;
            let (codes, factors) = walked_in(planes);
            let layout = Layout::of(planes.upper(), &space);
            Ok(Self { space, clusters, codes, factors, layout })
        })
    }

    /// How many clusters there are, if there are any.
    pub(crate) fn cluster_count(&self) -> Option<usize> {
        self.clusters.as_ref().map(Clusters::count)
    }

    /// About how many bytes the codes of so many clusters of so many rows have.
    pub(crate) fn bytes_of(&self, rows: u64) -> u64 {
        rows.saturating_mul(self.layout.row_bytes() as u64)
    }

    /// About what it takes to fetch the codes of some rows: what is read, and the codes by themselves.
    pub(crate) fn bytes_to_fetch(&self, ranges: &[Range<u32>]) -> u64 {
        let read = count(&runs(ranges, self.layout.stride)) as u64;
        self.bytes_of(read.saturating_add(count(ranges) as u64))
    }

    /// Begins to read the codes of some rows: all at once, on threads of the database's.
    pub(crate) fn fetch(
        &self,
        segment: &Arc<Segment>,
        spawn: &dyn Spawn,
        ranges: Vec<Range<u32>>,
    ) -> Fetching {
        let Layout { bits, stride, in_rows } = self.layout;
        let codes = Rows::fetch(segment, spawn, (self.codes, stride), &ranges);
        let of = (self.factors, FACTOR_BYTES);
        let factors = (!in_rows).then(|| Rows::fetch(segment, spawn, of, &ranges));
        Fetching { codes, factors, bits, ranges }
    }
}

/// The rows of the clusters nearest to a query.
#[derive(Debug)]
pub(crate) struct NearRows {
    /// In order, of one cluster each.
    pub(crate) rows: Vec<Range<u32>>,
    /// Whether all clusters with rows that are wanted are among them.
    pub(crate) are_all: bool,
}

/// Codes on their way.
#[derive(Debug)]
pub(crate) struct Fetching {
    codes: Rows,
    factors: Option<Rows>,
    bits: Bits,
    ranges: Vec<Range<u32>>,
}

impl Fetching {
    pub(crate) async fn end(self) -> Result<Fetched> {
        let Self { codes, factors, bits, ranges } = self;
        let stride = codes.stride;
        let codes = codes.all(&ranges).await?;
        let factors = match factors {
            Some(factors) => Some(factors.all(&ranges).await?),
            None => None,
        };
        let walked = Plane::of_places(codes, factors, stride, bits);
        Ok(Fetched { coded: Coded { walked, lower: None, codebook: None }, ranges })
    }
}

/// Begins to read what hits are made of, their documents aside, into the cache of blocks: all at once.
pub(crate) fn fetch_hits(
    segment: &Arc<Segment>,
    spawn: &dyn Spawn,
    rows: &[u32],
) -> Vec<Task<Result<()>>> {
    let vector = segment.config().dim() as u64 * 4;
    let parts = rows.iter().flat_map(|row| {
        let of = |kind, bytes| (kind, byte_range(&(*row..row.saturating_add(1)), bytes));
        [of(SectionKind::Vectors, vector), of(SectionKind::Ids, 8)]
    });
    let blocks = segment.blocks_of(parts).into_iter().map(|(kind, bytes)| {
        let segment = Arc::clone(segment);
        spawn.start(async move { segment.read(kind, bytes).await.map(drop) })
    });
    blocks.collect()
}

/// The bytes of rows of a section on their way.
#[derive(Debug)]
struct Rows {
    stride: usize,
    shares: Vec<Share>,
}

/// Some runs of rows that one task reads into one buffer.
#[derive(Debug)]
struct Share {
    runs: Vec<Range<u32>>,
    bytes: Task<Result<Runs>>,
}

impl Rows {
    fn fetch(
        segment: &Arc<Segment>,
        spawn: &dyn Spawn,
        (kind, stride): (SectionKind, usize),
        ranges: &[Range<u32>],
    ) -> Self {
        let runs = runs(ranges, stride);
        let bytes = |rows: &Range<u32>| byte_range(rows, stride as u64);
        let mut shares = Vec::new();
        let mut rest = &runs[..];
        while !rest.is_empty() {
            let mut taken = 0usize;
            let full = rest.iter().position(|rows| {
                taken = rows.len().saturating_mul(stride).saturating_add(taken);
                taken >= SHARE_BYTES
            });
            let (share, after) = rest.split_at(full.map_or(rest.len(), |last| last + 1));
            rest = after;
            let (segment, runs) = (Arc::clone(segment), share.to_vec());
            let wanted: Vec<Range<u64>> = share.iter().map(bytes).collect();
            let bytes = spawn.start(async move { segment.read_runs(kind, &wanted).await });
            shares.push(Share { runs, bytes });
        }
        Self { stride, shares }
    }

    /// Those of some rows, which lie in the runs, one after the other.
    async fn all(self, ranges: &[Range<u32>]) -> Result<PageBuf<u8>> {
        let mut all = PageBuf::<u8>::zeroed(count(ranges).saturating_mul(self.stride))?;
        let mut at = 0;
        for Share { runs, bytes } in self.shares {
            let bytes = bytes.await.ok_or_else(Error::panicked)??;
            for (rows, run) in runs.iter().zip(bytes.iter()) {
                for range in ranges {
                    let (start, end) = (range.start.max(rows.start), range.end.min(rows.end));
                    if start >= end {
                        continue;
                    }
                    let place = |row: u32| (row - rows.start) as usize * self.stride;
                    let part = run.get(place(start)..place(end)).unwrap_or_default();
                    if let Some(to) = all.get_mut(at..at + part.len()) {
                        to.copy_from_slice(part);
                    }
                    at += part.len();
                }
            }
        }
        Ok(all)
    }
}

/// Rows that are read together: what lies between is read, too, where that is little. Rows of each range are in the
/// order in which they are given.
fn runs(ranges: &[Range<u32>], stride: usize) -> Vec<Range<u32>> {
    let rows = |bytes: usize| u32::try_from((bytes / stride).max(1)).unwrap_or(u32::MAX);
    let (gap, most) = (rows(GAP_BYTES), rows(RUN_BYTES));
    let mut runs: Vec<Range<u32>> = Vec::new();
    for range in ranges {
        for start in range.clone().step_by(most as usize) {
            let end = range.end.min(start.saturating_add(most));
            match runs.last_mut() {
                Some(last)
                    if start.saturating_sub(last.end) <= gap
                        && end.saturating_sub(last.start) <= most =>
                {
                    last.end = end;
                }
                _ => runs.push(start..end),
            }
        }
    }
    runs
}

fn count(ranges: &[Range<u32>]) -> usize {
    ranges.iter().map(|rows| rows.end.saturating_sub(rows.start) as usize).sum()
}

impl Fetched {
    /// How many times as many candidates are kept as of codes that tell rows apart well.
    pub(crate) fn times_kept(&self) -> usize {
        self.coded.times_kept()
    }

    /// The rows of the segment that are nearest to a vector, of those that live.
    pub(crate) fn nearest(
        &self,
        (walker, kernels): (&mut Walker, Kernels),
        head: &Head,
        vector: &[f32],
        how: (usize, Rerank),
        lives: impl Fn(u32) -> bool,
    ) -> Result<Vec<u32>> {
        let rows: Vec<u32> = self.ranges.iter().flat_map(Clone::clone).collect();
        let mut wanted = RowSet::none(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        for (place, _) in (0u32..).zip(&rows).filter(|(_, row)| lives(**row)) {
            wanted.insert(place);
        }
        let none: Option<fn(u32) -> bool> = None;
        let of = (&self.coded, &head.space);
        let found = walker.scan_codes(kernels, of, vector, how, &wanted, none)?;
        let row = |place: u32| rows.get(place as usize).copied();
        Ok(found.iter().filter_map(|found| row(found.row)).collect())
    }
}

impl Walker {
    /// The rows of the clusters nearest to a vector, of those that are wanted, in the order of rows; all rows if there
    /// are no clusters.
    pub(crate) fn near_clusters(
        &mut self,
        kernels: Kernels,
        head: &Head,
        (vector, most): (&[f32], usize),
        is_wanted: impl Fn(Range<u32>) -> bool,
        rows: u32,
    ) -> Result<NearRows> {
        let whole = 0..rows;
        let Some(clusters) = &head.clusters else {
            return Ok(NearRows { rows: vec![whole], are_all: true });
        };
        self.set_query(kernels, (&head.space, None), vector);
        self.score_clusters(kernels, clusters, None)?;
        let within = |number: u32| {
            let of = clusters.rows(number);
            of.start..of.end.min(rows)
        };
        self.scored.retain(|cluster| is_wanted(within(cluster.row())));
        let are_all = self.scored.len() <= most;
        Neighbour::keep_nearest(&mut self.scored, most);
        let mut ranges: Vec<Range<u32>> =
            self.scored.iter().map(|cluster| within(cluster.row())).collect();
        ranges.sort_unstable_by_key(|rows| rows.start);
        Ok(NearRows { rows: ranges, are_all })
    }
}

/// What is searched of a segment before its index is there, if anything is.
fn planes_in(segment: &Segment) -> Option<Planes> {
    match segment.has_index() {
        true => planes_of(segment.config().quantization()),
        false => segment.has(SectionKind::UpperCodes).then_some(Planes::SHORT),
    }
}

fn byte_range(rows: &Range<u32>, bytes: u64) -> Range<u64> {
    u64::from(rows.start).saturating_mul(bytes)..u64::from(rows.end).saturating_mul(bytes)
}
