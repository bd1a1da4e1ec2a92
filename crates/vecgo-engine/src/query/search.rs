use serde_json::Value;
use vecgo_format::Id;
use vecgo_io::SpawnExt;

use super::exact::Scored;
use super::fetch::Fetch;
use super::vector::check_vector;
use super::view::Snapshot;
use crate::{Error, Result};

/// What to search for beside the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchParams {
    /// How many neighbours; fewer come back only if fewer records are there.
    pub k: usize,
    /// What to return with each.
    pub fetch: Fetch,
}

impl Default for SearchParams {
    fn default() -> Self {
        Self { k: 10, fetch: Fetch::default() }
    }
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq)]
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
pub(crate) const SHORT_SCAN_BYTES: u64 = 8 << 20;

impl Snapshot {
    /// The nearest records of each query, by nearness and then by id. `queries` are end to end.
    pub(crate) async fn search(
        &self,
        queries: Vec<f32>,
        params: SearchParams,
    ) -> Result<Vec<Vec<Hit>>> {
        let config = &self.shared.config;
        let count = queries.len() / config.dim();
        for (number, query) in queries.chunks_exact(config.dim()).enumerate() {
            check_vector(config, query).map_err(|error| match count {
                1 => error.context("query"),
                _ => error.context(format!("query {number}")),
            })?;
        }
        if params.k == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        self.load().await?;
        let scored = self.scan(queries, params.k).await?;
        let mut answers = Vec::with_capacity(count);
        for scored in scored {
            answers.push(self.hits(scored, params.fetch).await?);
        }
        Ok(answers)
    }

    /// Loads what a scan reads.
    async fn load(&self) -> Result<()> {
        for live in &self.view.segments {
            live.segment.vectors().await?;
            live.segment.norms().await?;
        }
        Ok(())
    }

    /// Scans for all queries; several queries are shared out between the database's threads.
    async fn scan(&self, queries: Vec<f32>, k: usize) -> Result<Vec<Vec<Scored>>> {
        let dim = self.shared.config.dim();
        let count = queries.len() / dim;
        let spawn = &self.shared.env.spawn;
        let shares = spawn.parallelism().min(count).max(1);
        if shares == 1 {
            return self.exact_search(&queries, k);
        }
        let tasks: Vec<_> = queries
            .chunks(count.div_ceil(shares) * dim)
            .map(|share| {
                let (snapshot, share) = (self.clone(), share.to_vec());
                spawn.start(async move { snapshot.exact_search(&share, k) })
            })
            .collect();
        let mut scored = Vec::with_capacity(count);
        for task in tasks {
            scored.extend(task.await.ok_or_else(Error::closed)??);
        }
        Ok(scored)
    }

    async fn hits(&self, scored: Vec<Scored>, fetch: Fetch) -> Result<Vec<Hit>> {
        let mut hits = Vec::with_capacity(scored.len());
        for Scored { distance, score, address } in scored {
            let record = self.fetch(address, fetch).await?;
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
