//! From lists with room to spare to the lists that are kept.

use super::build::{BuildParams, Cancelled, Job};
use super::{Edges, NO_EDGE, fill};

/// Rows that one task trims.
const TASK_ROWS: usize = 256;

/// Prunes lists that are longer than `params.degree`, and returns all with as many places.
pub(super) fn trim(
    job: &Job<'_>,
    graph: Edges<'_>,
    params: BuildParams,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<u32>, Cancelled> {
    let degree = params.degree;
    let mut trimmed = vec![NO_EDGE; job.points.rows.count() * degree];
    let mut tasks = trimmed.chunks_mut(TASK_ROWS * degree).zip((0u32..).step_by(TASK_ROWS));
    loop {
        let now: Vec<_> = tasks.by_ref().take(job.step().div_ceil(TASK_ROWS)).collect();
        if now.is_empty() {
            break;
        }
        job.workers.map(job.parallel, now, |worker, (out, first)| {
            for (row, places) in (first..).zip(out.chunks_exact_mut(degree)) {
                let list = graph.list(row);
                if list.len() > degree {
                    worker.list.clear();
                    worker.list.extend_from_slice(list);
                    fill(places, worker.reprune(job, row, 0, params));
                } else {
                    fill(places, list);
                }
            }
        });
        if !go_on() {
            return Err(Cancelled);
        }
    }
    Ok(trimmed)
}
