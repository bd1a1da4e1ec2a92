use vecgo_format::{Config, Index, Quantization};
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

/// Bytes of the sections of the index of a segment of so many rows: with as many clusters as there can be,
/// and all else exactly.
pub(crate) fn index_bytes(config: &Config, rows: u64) -> u64 {
    let count = usize::try_from(rows).unwrap_or(usize::MAX);
    let clusters = clusters_of(config.index(), count) as u64;
    let space = Space::new(kind(config), config.dim(), 0, Vec::new(), 0.0);
    let (places, factors) = (space.places() as u64, FACTOR_BYTES as u64);
    let through = match config.index() {
        Index::Flat => return 0,
        Index::Graph { m, .. } | Index::Disk { m, .. } => {
            let entries = clusters.min(MOST_ENTRIES as u64) * 4;
            rows.saturating_mul(u64::from(m) * 4).saturating_add(entries)
        }
        Index::Ivf { .. } => clusters.saturating_mul(places + factors),
    };
    // One plane of codes, or two, each with factors in its rows or beside them.
    let (planes, places_in_a_byte) = match config.quantization() {
        Quantization::None => (0, 1),
        Quantization::Sq8 => (1, 1),
        Quantization::RaBitQ { bits: 8 } => (2, 2),
        Quantization::RaBitQ { .. } => (1, 2),
    };
    let beside = if space.has_room() { 0 } else { factors };
    let codes = rows.saturating_mul(planes * (places / places_in_a_byte + beside));
    let clusters = clusters.saturating_mul(8);
    let parts = [through, codes, clusters, 12 + places * 4];
    parts.into_iter().fold(0, u64::saturating_add)
}
