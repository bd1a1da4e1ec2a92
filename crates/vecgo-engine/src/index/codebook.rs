use parking_lot::Mutex;
use vecgo_format::{Config, Quantization, SectionKind};
use vecgo_index::Parallel;
use vecgo_quant::{CENTROIDS, Codebook, Loss, Space, TrainedPart, TrainingRows, coordinates_of};

use super::coded::invalid;
use super::kind;
use super::make::{Making, section};
use crate::Result;
use crate::segment::{ExtraSection, Segment};

/// Rows of which centroids are found.
const TRAINING_ROWS: usize = 65_536;

/// About how much memory the centroids of a segment take while they are found, beside what its rows take.
pub(crate) fn codebook_bytes(config: &Config) -> u64 {
    match config.quantization() {
        // As they are found, put together, and as bytes.
        Quantization::Pq { .. } => 3 * config.dim().saturating_mul(CENTROIDS * 4) as u64,
        _ => 0,
    }
}

impl Making<'_> {
    /// The codes of the parts of vectors, in the order of the rows, and what they are of.
    pub(super) fn part_codes(
        &self,
        space: &Space,
        parts: usize,
        vectors: &[f32],
        order: &[u32],
    ) -> Result<[ExtraSection; 2]> {
        let codebook = self.train_codebook(space, parts, vectors)?;
        let codes = self.encode_parts(&codebook, vectors, order)?;
        let Loss { length, error } = codebook.loss();
        let floats = [length, error].into_iter().chain(codebook.centroids().iter().copied());
        let bytes = floats.flat_map(f32::to_le_bytes).collect();
        Ok([section(SectionKind::PartCodes, codes), section(SectionKind::Codebook, bytes)])
    }

    fn train_codebook(&self, space: &Space, parts: usize, vectors: &[f32]) -> Result<Codebook> {
        let (dim, kind) = (self.config.dim(), kind(self.config));
        let rows = vectors.chunks_exact(dim);
        let step = rows.len().div_ceil(TRAINING_ROWS).max(1);
        let rows = TrainingRows::new(self.kernels, kind, rows.step_by(step));
        let trained: Vec<_> = (0..parts).map(|_| Mutex::new(None)).collect();
        self.threads.run(parts, &|part| {
            let (range, seed) =
                (coordinates_of(part, parts, dim), self.seed.wrapping_add(part as u64));
            let go_on = || self.stop.check().is_ok();
            let part_of = TrainedPart::train(self.kernels, &rows, &range, seed, &go_on);
            *trained[part].lock() = Some(part_of);
        });
        self.stop.check()?;
        let trained = trained.into_iter().filter_map(Mutex::into_inner).collect();
        Ok(Codebook::of_parts(kind, dim, trained, space.longest()))
    }

    fn encode_parts(&self, codebook: &Codebook, vectors: &[f32], order: &[u32]) -> Result<Vec<u8>> {
        const TASK_ROWS: usize = 1024;
        let (dim, parts) = (self.config.dim(), codebook.parts());
        let mut codes = vec![0; order.len() * parts];
        let tasks = order.chunks(TASK_ROWS).zip(codes.chunks_mut(TASK_ROWS * parts));
        let tasks: Vec<_> = tasks.map(Mutex::new).collect();
        self.threads.run(tasks.len(), &|task| {
            if self.stop.check().is_err() {
                return;
            }
            let (rows, codes) = &mut *tasks[task].lock();
            let mut scaled = Vec::with_capacity(dim);
            for (row, code) in rows.iter().zip(codes.chunks_exact_mut(parts)) {
                let start = *row as usize * dim;
                let vector = vectors.get(start..start + dim).unwrap_or_default();
                codebook.encode(self.kernels, vector, &mut scaled, code);
            }
        });
        drop(tasks);
        self.stop.check()?;
        Ok(codes)
    }
}

/// Reads, verifies and checks the codebook of a segment.
pub(super) async fn read_codebook(
    segment: &Segment,
    space: &Space,
    parts: usize,
) -> Result<Codebook> {
    let bytes = segment.section_bytes(SectionKind::Codebook).await?;
    let config = segment.config();
    let split = bytes.as_bytes().split_first_chunk::<4>().and_then(|(length, rest)| {
        rest.split_first_chunk::<4>().map(|(error, centroids)| (length, error, centroids))
    });
    let codebook = split.filter(|(_, _, centroids)| centroids.len().is_multiple_of(4)).and_then(
        |(length, error, centroids)| {
            let of = (kind(config), config.dim(), parts);
            let [length, error] = [*length, *error].map(f32::from_le_bytes);
            let centroids = vecgo_format::vector_of(centroids);
            Codebook::new(of, centroids, space.longest(), Loss { length, error })
        },
    );
    codebook.ok_or_else(|| {
        let detail = format!("a codebook of {} bytes, or a number that is none", bytes.len());
        segment.damaged(invalid(detail))
    })
}
