use vecgo_quant::CodeQuery;

use super::build::{BuildParams, Job};
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
    /// Chooses at most `params.degree` rows: `chosen`, and of the candidates the nearest first. One
    /// is left out if a row chosen before it is nearer to it, by the factor `params.alpha`, than the
    /// point is (Fu and others, VLDB 2019; Subramanya and others, NeurIPS 2019). `candidates` are
    /// sorted, with true distances.
    pub(super) fn prune(
        &mut self,
        job: &Job<'_>,
        chosen: &[u32],
        candidates: &[Neighbour],
        squared: f32,
        params: BuildParams,
    ) -> &[u32] {
        let points = &job.points;
        self.kept.clear();
        self.kept.extend_from_slice(chosen);
        for candidate in candidates {
            if self.kept.len() >= params.degree {
                break;
            }
            let limit = candidate.distance() + squared;
            let row = candidate.row();
            self.query.set_cells(points.rows.row(row), points.factors(row));
            let own = self.query.squared();
            let mut occluded = false;
            for kept in self.kept.chunks(CHUNK) {
                points.codes().distances(
                    job.kernels,
                    &self.query,
                    kept,
                    &mut self.packed,
                    |_, distance| {
                        occluded |= (distance + own) * params.alpha <= limit;
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
