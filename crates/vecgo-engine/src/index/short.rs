//! Codes of four bits of a segment that has no index, for those who search it from afar: to fetch them takes an eighth
//! of the time that its vectors take.

use vecgo_format::{Config, SectionKind};
use vecgo_index::{Parallel, Threads};
use vecgo_io::{Charge, Use};
use vecgo_kernels::FACTOR_BYTES;
use vecgo_quant::{Planes, Space, encode, upper_codes};

use super::kind;
use super::layout::Layout;
use super::make::{SAMPLE_ROWS, section, space_bytes};
use crate::Result;
use crate::collection::Shared;
use crate::segment::{ExtraSection, Rows};
use crate::short_codes::ShortCodes;

/// The vectors of fewer rows are fetched as soon.
const LEAST_ROWS: u32 = 1024;
const TASK_ROWS: usize = 256;

/// The sections of them, if they are worth it and there is memory for them now, which is to be held as long as they are.
pub(crate) fn short_codes(
    (shared, config): (&Shared, &Config),
    seed: u64,
    rows: &Rows<'_>,
) -> Result<(Vec<ExtraSection>, Option<Charge>)> {
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let is_far = shared.env.store.requests().is_some();
    if !is_far || !ShortCodes::are_for(config) || count < LEAST_ROWS {
        return Ok((Vec::new(), None));
    }
    let step = rows.len().div_ceil(SAMPLE_ROWS).max(1);
    let vectors = (0..count).map_while(|row| rows.vector(row).ok());
    let space = Space::train(shared.kernels, kind(config), config.dim(), seed, vectors, step);
    let layout = Layout::of(Planes::SHORT.upper(), &space);
    let lengths = [layout.stride, FACTOR_BYTES].map(|bytes| rows.len().saturating_mul(bytes));
    let Some(charge) = shared.env.memory.try_take(Use::Kept, lengths.iter().sum::<usize>() as u64)
    else {
        return Ok((Vec::new(), None));
    };
    let [mut codes, mut factors] = lengths.map(|length| vec![0; length]);
    let tasks = codes.chunks_mut(TASK_ROWS * layout.stride);
    let tasks = tasks.zip(factors.chunks_mut(TASK_ROWS * FACTOR_BYTES));
    let tasks: Vec<_> = tasks.map(parking_lot::Mutex::new).collect();
    let failed = parking_lot::Mutex::new(None);
    Threads(shared.env.spawn.parallelism()).run(tasks.len(), &|task| {
        let (mut point, mut cells) = (vec![0.0; space.places()], vec![0; space.places()]);
        let (codes, factors) = &mut *tasks[task].lock();
        let places =
            codes.chunks_exact_mut(layout.stride).zip(factors.chunks_exact_mut(FACTOR_BYTES));
        let first = u32::try_from(task * TASK_ROWS).unwrap_or(u32::MAX);
        for (row, (code, factor)) in (first..).zip(places) {
            let vector = match rows.vector(row) {
                Ok(vector) => vector,
                Err(error) => return *failed.lock() = Some(error),
            };
            space.row(shared.kernels, vector, &mut point);
            let found = encode(&point, space.width(), Planes::SHORT, &mut cells);
            upper_codes(Planes::SHORT, &cells, &mut code[..layout.bits.bytes_of(space.places())]);
            factor[..4].copy_from_slice(&found.squared.to_le_bytes());
            factor[4..].copy_from_slice(&found.upper.to_le_bytes());
            if layout.in_rows {
                code[layout.stride - FACTOR_BYTES..].copy_from_slice(factor);
            }
        }
    });
    drop(tasks);
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let mut sections = vec![
        section(SectionKind::Space, space_bytes(&space, seed)),
        section(SectionKind::UpperCodes, codes),
    ];
    if !layout.in_rows {
        sections.push(section(SectionKind::UpperFactors, factors));
    }
    Ok((sections, Some(charge)))
}
