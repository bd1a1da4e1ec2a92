use vecgo_format::{Config, Directory, SectionKind};
use vecgo_quant::Space;

use super::clusters::Clusters;
use super::coded::{Coded, read_space};
use super::graph::Graph;
use crate::Result;
use crate::segment::Segment;

/// Clusters that a search looks into, unless it is told otherwise. Enough for a recall of 0.95 of ten on
/// every set of vectors that we have, with four times the root of the rows for clusters.
const USUAL_CLUSTERS: usize = 128;
/// Rows that are looked at for each that is to be found, at least.
const ROWS_FOR_ONE: usize = 32;

/// A segment's index in memory: all that a search through it reads, but for vectors.
#[derive(Debug)]
pub(crate) struct IndexPart {
    pub(super) rows: u32,
    pub(super) space: Space,
    /// Absent if searches go by the vectors themselves.
    pub(super) coded: Option<Coded>,
    /// The clusters in whose order the rows stand. Absent if walks go by the vectors.
    pub(super) clusters: Option<Clusters>,
    /// Absent if clusters are searched.
    graph: Option<Graph>,
}

impl IndexPart {
    /// The sections that it may be made of.
    pub(crate) const SECTIONS: [SectionKind; 10] = [
        SectionKind::Edges,
        SectionKind::Entries,
        SectionKind::Clusters,
        SectionKind::Centres,
        SectionKind::FullCodes,
        SectionKind::FullFactors,
        SectionKind::UpperCodes,
        SectionKind::UpperFactors,
        SectionKind::LowerCodes,
        SectionKind::LowerFactors,
    ];

    /// Whether a segment has one.
    pub(crate) fn is_in(directory: &Directory) -> bool {
        let has = |kind| directory.section(kind).is_some();
        has(SectionKind::Edges) || has(SectionKind::Centres)
    }

    /// Reads, verifies and checks it.
    pub(crate) async fn load(segment: &Segment, config: &Config) -> Result<Self> {
        let space = read_space(segment, config).await?;
        let coded = Coded::load(segment, &space).await?;
        let graph = match segment.has(SectionKind::Edges) {
            true => Some(Graph::load(segment, coded.as_ref()).await?),
            false => None,
        };
        let clusters = match (&graph, &coded) {
            (None, _) => Some(Clusters::to_search(segment, &space).await?),
            (Some(_), Some(coded)) => Some(Clusters::to_start_in(segment, &coded.walked).await?),
            (Some(_), None) => None,
        };
        Ok(Self { rows: segment.rows(), space, coded, clusters, graph })
    }

    /// The graph, if it has one: otherwise its clusters are searched.
    pub(crate) fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }

    pub(crate) fn row_count(&self) -> usize {
        self.rows as usize
    }

    /// Clusters that there are to search.
    pub(crate) fn cluster_count(&self) -> usize {
        self.clusters.as_ref().map_or(0, Clusters::count)
    }

    /// Clusters that are searched for `k` rows, unless a number is asked for.
    pub(crate) fn usual_clusters(&self, k: usize) -> usize {
        let rows = k.saturating_mul(ROWS_FOR_ONE);
        let for_k = rows.saturating_mul(self.cluster_count()) / self.row_count().max(1);
        for_k.max(USUAL_CLUSTERS)
    }

    /// About how many rows so many clusters have.
    pub(crate) fn rows_of(&self, clusters: usize) -> u64 {
        let (clusters, all) = (clusters as u64, self.cluster_count().max(1) as u64);
        u64::from(self.rows).saturating_mul(clusters.min(all)) / all
    }

    /// Whether searches go by the vectors themselves, which have to be loaded.
    pub(crate) fn needs_vectors(&self) -> bool {
        self.coded.is_none()
    }
}
