use vecgo_format::Metric;
use vecgo_index::Near;
use vecgo_kernels::{Kernels, pack, prefetch_range};

/// Nearness by the vectors themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByVectors<'a> {
    pub(crate) kernels: Kernels,
    pub(crate) metric: Metric,
    pub(crate) query: &'a [f32],
    /// The length of the query.
    pub(crate) length: f32,
    pub(crate) vectors: &'a [f32],
    /// One over the length of each, under cosine.
    pub(crate) norms: &'a [f32],
}

impl Near for ByVectors<'_> {
    fn count(&self) -> usize {
        self.vectors.len() / self.query.len().max(1)
    }

    fn prefetch(&self, row: u32) {
        let dim = self.query.len();
        prefetch_range(self.vectors, row as usize * dim, dim);
    }

    fn farther(&self, distance: f32, part: f32) -> f32 {
        match self.metric {
            Metric::L2 => distance + part * distance,
            Metric::Cosine => distance + part * (distance + self.length).max(0.0),
            // There is no nearest that a dot product could be.
            Metric::Dot => f32::INFINITY,
        }
    }

    fn within(&self, rows: &[u32], bound: u64, out: &mut [u64]) -> usize {
        let dim = self.query.len();
        let mut kept = 0;
        for row in rows {
            let place = *row as usize;
            let Some(vector) = self.vectors.get(place * dim..(place + 1) * dim) else { continue };
            let distance = match self.metric {
                Metric::L2 => self.kernels.l2(self.query, vector),
                Metric::Dot => -self.kernels.dot(self.query, vector),
                Metric::Cosine => {
                    let norm = self.norms.get(place).copied().unwrap_or_default();
                    -self.kernels.dot(self.query, vector) * norm
                }
            };
            let packed = pack(distance, *row);
            if packed < bound
                && let Some(place) = out.get_mut(kept)
            {
                *place = packed;
                kept += 1;
            }
        }
        kept
    }
}
