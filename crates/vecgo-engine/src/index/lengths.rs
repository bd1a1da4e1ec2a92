use vecgo_format::{Config, Index, Quantization, SectionKind};
use vecgo_kernels::FACTOR_BYTES;
use vecgo_quant::Space;

use super::kind;

/// Rows of a cluster of a graph, about.
const CLUSTER_ROWS: usize = 256;
/// The fewest rows that a cluster that is searched has on average.
const LEAST_CLUSTER_ROWS: usize = 16;
/// Where walks may start: at the centres of so many clusters.
pub(super) const MOST_ENTRIES: usize = 64;

/// Clusters that rows are put in at most.
pub(super) fn clusters_of(index: Index, rows: usize) -> usize {
    match index {
        Index::Ivf { n_clusters } => {
            let asked =
                n_clusters.map_or(rows.isqrt().saturating_mul(4), |asked| asked.get() as usize);
            asked.min(rows.div_ceil(LEAST_CLUSTER_ROWS))
        }
        Index::Graph { .. } | Index::Disk { .. } | Index::Flat => rows.div_ceil(CLUSTER_ROWS),
    }
}

/// The sections of the index of a segment of so many rows, and their bytes: those of clusters and
/// entries at most, the others exactly.
pub(crate) fn section_lengths(config: &Config, rows: usize) -> Vec<(SectionKind, u64)> {
    let clusters = clusters_of(config.index(), rows) as u64;
    let space = Space::new(kind(config), config.dim(), 0, Vec::new(), 0.0);
    let (rows, places) = (rows as u64, space.places() as u64);
    let mut lengths = match config.index() {
        Index::Flat => return Vec::new(),
        Index::Graph { m, .. } | Index::Disk { m, .. } => vec![
            (SectionKind::Edges, rows.saturating_mul(u64::from(m) * 4)),
            (SectionKind::Entries, clusters.min(MOST_ENTRIES as u64) * 4),
        ],
        Index::Ivf { .. } => vec![
            (SectionKind::Centres, clusters.saturating_mul(places)),
            (SectionKind::CentreFactors, clusters.saturating_mul(FACTOR_BYTES as u64)),
        ],
    };
    lengths.push((SectionKind::Space, 12 + places * 4));
    lengths.push((SectionKind::Clusters, clusters.saturating_mul(8)));
    let planes: &[(SectionKind, SectionKind, u64)] = match config.quantization() {
        Quantization::None => &[],
        Quantization::Sq8 => &[(SectionKind::FullCodes, SectionKind::FullFactors, 1)],
        Quantization::RaBitQ { bits: 8 } => &[
            (SectionKind::UpperCodes, SectionKind::UpperFactors, 2),
            (SectionKind::LowerCodes, SectionKind::LowerFactors, 2),
        ],
        Quantization::RaBitQ { .. } => &[(SectionKind::UpperCodes, SectionKind::UpperFactors, 2)],
    };
    for (codes, factors, places_in_a_byte) in planes {
        lengths.push((*codes, rows.saturating_mul(places / places_in_a_byte)));
        if !space.has_room() {
            lengths.push((*factors, rows.saturating_mul(FACTOR_BYTES as u64)));
        }
    }
    lengths
}
