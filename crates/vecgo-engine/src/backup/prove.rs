use vecgo_io::BoxFuture;

use super::inventory::CollectionBackup;
use crate::catalogue::find;
use crate::{
    Collection, Database, Error, ErrorKind, Fetch, Hit, Metric, Record, Request, Result,
    SearchParams,
};

/// Records of each collection that are searched for.
const SAMPLE: usize = 32;
const K: usize = 10;

/// What was shown of collections that were brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Proof {
    /// Records counted.
    pub records: u64,
    /// Searches made.
    pub searches: u64,
    /// Objects read whole.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Database {
    /// Shows that collections are what they should be: reads every byte of the database and checks every
    /// checksum, counts the records, and searches for some of them by their own vectors, exactly and
    /// by the index.
    ///
    /// # Errors
    /// `Corruption` says what is not so.
    pub fn prove<'a>(
        &'a self,
        collections: &'a [CollectionBackup],
    ) -> BoxFuture<'a, Result<Proof>> {
        Box::pin(async move {
            let report = self.verify().await?;
            if let Some(damage) = report.damage.first() {
                return Err(Error::new(ErrorKind::Corruption, damage.message.clone()));
            }
            let (objects, bytes) = (report.objects, report.bytes);
            let mut proof = Proof { objects, bytes, ..Proof::default() };
            let (catalogue, _) = self.inner.chain.newest().await?;
            for expected in collections {
                let entry = find(&catalogue, &expected.name)?;
                let runtime = &self.inner.runtime;
                let found = Collection::open_replica(runtime, &expected.name, entry).await?;
                proof.records += count(&found, expected)?;
                proof.searches += searches(&found, expected).await?;
            }
            Ok(proof)
        })
    }
}

fn wrong(of: &CollectionBackup, what: String) -> Error {
    Error::new(ErrorKind::Corruption, format!("collection `{}`: {what}", of.name))
}

fn count(found: &Collection, expected: &CollectionBackup) -> Result<u64> {
    let count = found.count();
    match count == expected.records {
        true => Ok(count),
        false => Err(wrong(expected, format!("{count} records, expected {}", expected.records))),
    }
}

async fn searches(found: &Collection, expected: &CollectionBackup) -> Result<u64> {
    let fetch = Fetch { vector: true, ..Fetch::default() };
    let mut scan = found.scan(fetch, SAMPLE, None).await?;
    let sample = scan.next_page().await?.unwrap_or_default();
    let k = usize::try_from(expected.records).unwrap_or(usize::MAX).min(K);
    let params = SearchParams { k: K, ..SearchParams::default() };
    let mut searches = 0;
    for record in sample {
        for exact in [true, false] {
            let params = SearchParams { exact, ..params };
            let request = Request { params, ..Request::default() };
            let hits = found.search(record.vector.clone(), request).await?;
            searches += 1;
            if hits.len() != k || (exact && !finds(found.config().metric(), &record, &hits)) {
                let (id, count) = (&record.id, hits.len());
                let what = format!("a search for record {id} by its vector finds {count} others");
                return Err(wrong(expected, what));
            }
        }
    }
    Ok(searches)
}

/// Whether a record is among the hits for its own vector, or all of them are as near as it is.
fn finds(metric: Metric, record: &Record, hits: &[Hit]) -> bool {
    let own: f64 = match metric {
        Metric::Cosine | Metric::L2 => 0.0,
        Metric::Dot => -record.vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>(),
    };
    let near = |hit: &Hit| f64::from(hit.distance) <= own + 1e-5 * (1.0 + own.abs());
    hits.iter().any(|hit| hit.id == record.id) || (hits.len() == K && hits.iter().all(near))
}
