use vecgo_io::BoxFuture;

use super::inventory::CollectionBackup;
use crate::catalogue::find;
use crate::verify::verify_collection;
use crate::{
    Collection, Database, Error, ErrorKind, Fetch, Hit, Metric, Record, Request, Result,
    SearchParams,
};

/// Records of each collection that are searched for.
const SAMPLE: usize = 32;
const K: usize = 10;

/// What was shown of collections that were brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
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
    /// Shows that collections are what they should be: reads every byte of them and checks every
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
            let mut proof = Proof::default();
            let (catalogue, _) = self.inner.chain.newest().await?;
            for expected in collections {
                let entry = find(&catalogue, &expected.name)?;
                let report = verify_collection(self.env(), entry).await?;
                if let Some(damage) = report.damage.first() {
                    return Err(Error::new(ErrorKind::Corruption, damage.message.clone()));
                }
                proof.objects += report.objects;
                proof.bytes = proof.bytes.saturating_add(report.bytes);
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
    let (mut searches, mut found_by_index) = (0, 0);
    let metric = found.config().metric();
    let search = async |record: &Record, exact| {
        let params = SearchParams { exact, ..params };
        let request = Request { params, ..Request::default() };
        found.search(record.vector.clone(), request).await
    };
    for record in &sample {
        let (exact, by_index) = (search(record, true).await?, search(record, false).await?);
        searches += 2;
        let farthest = exact.last().map_or(f32::INFINITY, |hit| hit.distance);
        found_by_index += by_index.iter().filter(|hit| hit.distance <= farthest).count();
        if exact.len() != k || by_index.len() != k || !finds(metric, record, &exact) {
            let (id, count) = (&record.id, exact.len());
            let what = format!("a search for record {id} by its vector finds {count} others");
            return Err(wrong(expected, what));
        }
    }
    // An index finds nearly all, not all of it.
    if found_by_index * 2 < sample.len() * k {
        let (all, what) = (sample.len() * k, "of the nearest are found by the index");
        return Err(wrong(expected, format!("{found_by_index} of {all} {what}")));
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
