use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use vecgo_format::{Id, Index};
use vecgo_io::{SpawnExt, Use};

use super::account::{Account, STEP_BYTES};
use super::effort::Effort;
use super::exact::{Scored, Which};
use super::fetch::Fetch;
use super::params::SearchParams;
use super::view::{RowSource, Snapshot};
use crate::segment::LiveSegment;
use crate::{Error, ErrorKind, Result};

/// A neighbour.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// Its id.
    pub id: Id,
    /// Higher is better; see [`vecgo_format::Metric`].
    pub score: f32,
    /// Lower is better; see [`vecgo_format::Metric`].
    pub distance: f32,
    /// Its document, if asked for.
    pub metadata: Option<Value>,
    /// Its vector, if asked for.
    pub vector: Option<Vec<f32>>,
    /// Its payload, if asked for and there.
    pub payload: Option<Vec<u8>>,
}

/// A scan of fewer bytes is done before a task could be handed to another thread and back: about
/// half a millisecond at the memory bandwidth of a core.
const SHORT_SCAN_BYTES: u64 = 8 << 20;

/// Hits that one call may ask for in all, about 2 GiB of them.
const MAX_HITS: u64 = 1 << 24;

/// About what a hit takes beside its vector, document and payload, while it is looked for too.
const HIT_BYTES: u64 = 192;

impl Snapshot {
    /// The nearest records of each query, by nearness and then by id. `queries` are checked and
    /// end to end.
    pub(crate) async fn search(
        &self,
        queries: Vec<f32>,
        params: SearchParams,
    ) -> Result<Vec<Vec<Hit>>> {
        params.check(&self.view.config)?;
        let params = params.within(&self.view.config);
        let count = queries.len() / self.shared.dim();
        let hits = self.rows().min(params.k as u64).saturating_mul(count as u64);
        if hits > MAX_HITS {
            let message = format!("a search for {hits} hits; at most {MAX_HITS} are held at once");
            return Err(Error::new(ErrorKind::ResourceExhausted, message));
        }
        if params.k == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        if !self.shared.searched.load(Ordering::Relaxed) {
            self.shared.searched.store(true, Ordering::Relaxed);
        }
        let cold;
        let snapshot = match self.may_search_cold(count, params) {
            true => {
                cold = Self { cold: true, ..self.clone() };
                &cold
            }
            false => self,
        };
        snapshot.load(params).await?;
        let vector = if params.fetch.vector { self.shared.dim() as u64 * 4 } else { 0 };
        let bytes = hits.saturating_mul(HIT_BYTES + vector);
        let _charge = match bytes > STEP_BYTES {
            true => Some(self.shared.env.memory.take(Use::Queries, bytes).await?),
            false => None,
        };
        let found = snapshot.share_out(queries, params).await;
        snapshot.load_behind();
        found
    }

    /// Loads what the search reads of segments that were not searched yet.
    async fn load(&self, params: SearchParams) -> Result<()> {
        let (metric, kernels) = (self.shared.metric(), self.shared.kernels);
        let mut loading = Vec::new();
        for live in &self.view.segments {
            let segment = &live.segment;
            let by_index = self.by_index(live, params);
            if segment.loads_from_afar(by_index) {
                let is_cold = self.cold && segment.may_be_searched_cold();
                let segment = Arc::clone(segment);
                loading.push(self.shared.env.spawn.start(async move {
                    match is_cold {
                        true => segment.load_head().await?,
                        false => segment.load_for(by_index, metric, &kernels).await?,
                    }
                    Ok::<_, Error>(segment)
                }));
                continue;
            }
            segment.load_for(by_index, metric, &kernels).await?;
        }
        for loaded in loading {
            let segment = loaded.await.ok_or_else(Error::panicked)??;
            if segment.begins_to_hold() {
                // Whoever needs what cannot be loaded now reads it by itself.
                let hold = async move { drop(segment.hold_vectors(0).await) };
                self.shared.env.spawn.spawn_background(Box::pin(hold));
            }
        }
        Ok(())
    }

    /// Whether a search for one query has all that it needs in memory and reads little of it.
    pub(crate) fn is_short(&self, params: SearchParams) -> bool {
        let params = params.within(&self.view.config);
        let row = self.shared.dim() as u64 * 4;
        let mut bytes = 0u64;
        for (number, source) in self.sources() {
            let scanned = || self.scanned_rows((number, source), params).saturating_mul(row);
            let (in_memory, read) = match source {
                RowSource::Segment(live) if self.by_index(live, params) => {
                    let (index, effort) = (
                        live.segment.index(),
                        Effort::of(params, &live.segment, self.matched.is_some()),
                    );
                    (index.is_some(), index.map_or(0, |part| effort.read_bytes(part, row)))
                }
                RowSource::Segment(live) => (live.segment.resident().is_some(), scanned()),
                RowSource::Memtable(_) => (true, scanned()),
            };
            if !in_memory {
                return false;
            }
            bytes = bytes.saturating_add(read);
        }
        bytes <= SHORT_SCAN_BYTES
    }

    /// Whether a search goes through the segment by its index, which one that was made flat does not.
    pub(crate) fn by_index(&self, live: &LiveSegment, params: SearchParams) -> bool {
        let is_flat = self.view.config.index() == Index::Flat;
        !params.exact && !is_flat && live.segment.has_index()
    }

    /// Scans for all queries; several are shared out between the database's threads.
    async fn share_out(&self, queries: Vec<f32>, params: SearchParams) -> Result<Vec<Vec<Hit>>> {
        let dim = self.shared.dim();
        let count = queries.len() / dim;
        let spawn = &self.shared.env.spawn;
        let shares = spawn.parallelism().min(count).max(1);
        if shares == 1 {
            return self.scan(&queries, params).await;
        }
        let tasks: Vec<_> = queries
            .chunks(count.div_ceil(shares) * dim)
            .map(|share| {
                let (snapshot, share) = (self.clone(), share.to_vec());
                spawn.start(async move { snapshot.scan(&share, params).await })
            })
            .collect();
        let mut answers = Vec::with_capacity(count);
        for task in tasks {
            answers.extend(task.await.ok_or_else(Error::panicked)??);
        }
        Ok(answers)
    }

    async fn scan(&self, queries: &[f32], params: SearchParams) -> Result<Vec<Vec<Hit>>> {
        let mut answers = Vec::new();
        let mut account = Account::new(&self.shared.env.memory);
        let found = match self.is_estimated(params) {
            true => self.estimated_searches(queries, params).await?,
            false => self.exact_search(queries, params.k, Which::All).await?,
        };
        for scored in found {
            answers.push(self.hits(scored, params.fetch, &mut account).await?);
        }
        Ok(answers)
    }

    async fn hits(
        &self,
        scored: Vec<Scored>,
        fetch: Fetch,
        account: &mut Account,
    ) -> Result<Vec<Hit>> {
        let mut hits = Vec::with_capacity(scored.len());
        for Scored { distance, score, address } in scored {
            let record = self.fetch(address, fetch).await?;
            account.add(record.bytes).await?;
            hits.push(Hit {
                id: record.id,
                score,
                distance,
                metadata: record.metadata,
                vector: record.vector,
                payload: record.payload,
            });
        }
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance).then_with(|| a.id.cmp(&b.id)));
        Ok(hits)
    }
}
