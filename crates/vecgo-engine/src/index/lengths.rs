use vecgo_format::{Config, Index, Quantization};
use vecgo_kernels::FACTOR_BYTES;
use vecgo_quant::{CENTROIDS, Space};

use super::kind;
use super::layout::{Layout, planes_of};

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
        Index::Ivf { .. } => 0,
    };
    let planes =
        planes_of(config.quantization()).map(|planes| [Some(planes.upper()), planes.lower()]);
    let planes = planes.into_iter().flatten().flatten();
    let row = planes.map(|bits| Layout::of(bits, &space).row_bytes() as u64).sum();
    let codes = match config.quantization() {
        Quantization::Pq { parts } => {
            let centroids = (config.dim() * CENTROIDS * 4) as u64;
            rows.saturating_mul(parts.into()).saturating_add(8 + centroids)
        }
        _ => rows.saturating_mul(row),
    };
    let clusters = clusters.saturating_mul(8 + places + factors);
    let parts = [through, codes, clusters, 12 + places * 4];
    parts.into_iter().fold(0, u64::saturating_add)
}
