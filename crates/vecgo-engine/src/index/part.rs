use futures_lite::future::zip;
use vecgo_format::SectionKind;
use vecgo_io::BoxFuture;
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
    rows: u32,
    pub(super) space: Space,
    /// Absent if searches go by the vectors themselves.
    pub(super) coded: Option<Coded>,
    through: Through,
}

/// What a search goes through.
#[derive(Debug)]
pub(crate) enum Through {
    /// A graph, by its edges.
    Graph(Graph),
    /// The clusters in whose order the rows stand.
    Clusters(Clusters),
}

impl IndexPart {
    /// The sections that it may be made of; of a graph no centres, which are for searches without it.
    pub(crate) fn sections_of(segment: &Segment) -> Vec<SectionKind> {
        let is_graph = segment.has(SectionKind::Edges);
        let are_centres =
            |kind: &SectionKind| matches!(kind, SectionKind::Centres | SectionKind::CentreFactors);
        Self::SECTIONS.into_iter().filter(|kind| !(is_graph && are_centres(kind))).collect()
    }

    const SECTIONS: [SectionKind; 14] = [
        SectionKind::Space,
        SectionKind::Edges,
        SectionKind::Entries,
        SectionKind::Clusters,
        SectionKind::Centres,
        SectionKind::CentreFactors,
        SectionKind::FullCodes,
        SectionKind::FullFactors,
        SectionKind::UpperCodes,
        SectionKind::UpperFactors,
        SectionKind::LowerCodes,
        SectionKind::LowerFactors,
        SectionKind::PartCodes,
        SectionKind::Codebook,
    ];

    /// Reads, verifies and checks it.
    pub(crate) fn load(segment: &Segment) -> BoxFuture<'_, Result<Self>> {
        Box::pin(async move {
            let space = read_space(segment).await?;
            // At the same time: from afar each takes a round trip.
            let edges = async {
                match segment.has(SectionKind::Edges) {
                    true => Graph::edges_of(segment).await.map(Some),
                    false => Ok(None),
                }
            };
            let (coded, edges) = zip(Coded::load(segment, &space), edges).await;
            let (coded, edges) = (coded?, edges?);
            let through = match edges {
                Some(edges) => Through::Graph(Graph::load(segment, edges, coded.as_ref()).await?),
                None => Through::Clusters(Clusters::to_search(segment, &space).await?),
            };
            Ok(Self { rows: segment.rows(), space, coded, through })
        })
    }

    pub(crate) fn through(&self) -> &Through {
        &self.through
    }

    pub(crate) fn row_count(&self) -> usize {
        self.rows as usize
    }

    /// How many times as many candidates a search keeps as it would by codes that tell rows apart well.
    pub(crate) fn times_kept(&self) -> usize {
        self.coded.as_ref().map_or(1, Coded::times_kept)
    }

    /// How many clusters there are to search, if that is what a search goes through.
    pub(crate) fn cluster_count(&self) -> usize {
        match &self.through {
            Through::Clusters(clusters) => clusters.count(),
            Through::Graph(_) => 0,
        }
    }

    /// Clusters that are searched for `k` rows, unless a number is asked for.
    pub(crate) fn usual_clusters(&self, clusters: &Clusters, k: usize) -> usize {
        let rows = k.saturating_mul(ROWS_FOR_ONE);
        let for_k = rows.saturating_mul(clusters.count()) / self.row_count().max(1);
        for_k.max(USUAL_CLUSTERS)
    }

    /// About how many bytes are read to search so many clusters: of codes or else of vectors, which are
    /// `vector` bytes each.
    pub(crate) fn cluster_bytes(&self, clusters: &Clusters, searched: usize, vector: u64) -> u64 {
        let all = clusters.count().max(1) as u64;
        let rows = u64::from(self.rows).saturating_mul((searched as u64).min(all)) / all;
        let row = self.coded.as_ref().map_or(vector, |coded| coded.walked.stride() as u64);
        rows.saturating_mul(row).saturating_add(all * self.space.places() as u64)
    }

    /// Bytes that every search reads first.
    pub(crate) fn table_bytes(&self) -> u64 {
        self.coded.as_ref().map_or(0, Coded::table_bytes)
    }

    /// Whether queries gain by going through a cluster together: what one is scored by takes less of the
    /// cache than the rows. Of a codebook it has tables of many times as much.
    pub(crate) fn scans_in_cache(&self) -> bool {
        self.coded.as_ref().is_some_and(|coded| coded.codebook.is_none())
    }

    /// Squared length of the longest row, where that matters.
    pub(crate) fn longest_squared(&self) -> f32 {
        self.space.longest()
    }

    /// Whether searches go by the vectors themselves, which have to be loaded.
    pub(crate) fn needs_vectors(&self) -> bool {
        self.coded.is_none()
    }
}
