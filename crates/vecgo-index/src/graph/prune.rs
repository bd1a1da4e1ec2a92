use vecgo_kernels::Kernels;
use vecgo_quant::CodeQuery;

use super::build::Points;
use super::pool::Neighbour;

/// Memory that pruning uses again.
#[derive(Debug, Default)]
pub(super) struct Pruner {
    kept: Vec<u32>,
    packed: Vec<u64>,
    query: CodeQuery,
}

/// Rows that a candidate is compared with at a time.
const CHUNK: usize = 8;

impl Pruner {
    /// Chooses at most `degree` of the candidates, nearest first: one is left out if a row chosen
    /// before it is nearer to it, by the factor `alpha`, than the point is (Fu and others, VLDB
    /// 2019; Subramanya and others, NeurIPS 2019). `candidates` are sorted, with true distances.
    pub(super) fn prune(
        &mut self,
        kernels: Kernels,
        points: &Points<'_>,
        candidates: &[Neighbour],
        squared: f32,
        degree: usize,
        alpha: f32,
    ) -> &[u32] {
        self.kept.clear();
        for candidate in candidates {
            if self.kept.len() == degree {
                break;
            }
            let limit = candidate.distance() + squared;
            let row = candidate.row();
            self.query.set_cells(points.codes.rows.row(row), points.factors(row));
            let own = self.query.squared();
            let mut occluded = false;
            for kept in self.kept.chunks(CHUNK) {
                points.codes.distances(
                    kernels,
                    &self.query,
                    kept,
                    &mut self.packed,
                    |_, distance| {
                        occluded |= (distance + own) * alpha <= limit;
                    },
                );
                if occluded {
                    break;
                }
            }
            if !occluded {
                self.kept.push(row);
            }
        }
        &self.kept
    }
}
