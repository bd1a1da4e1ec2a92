//! What the answers should be, worked out from a map and plain loops.

#![allow(dead_code, reason = "each test file uses the part that it needs")]

use std::collections::BTreeMap;

use vecgo::{Collection, Hit, Id, Metric, Record};

pub(crate) type Model = BTreeMap<Id, Record>;

/// Distance in f64, straight from the definitions.
pub(crate) fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (*a as f64, *b as f64));
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    match metric {
        Metric::L2 => pairs().map(|(a, b)| (a - b).powi(2)).sum(),
        Metric::Dot => -dot,
        Metric::Cosine => {
            let length = |v: &[f32]| v.iter().map(|x| (*x as f64).powi(2)).sum::<f64>().sqrt();
            1.0 - dot / (length(a) * length(b))
        }
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

/// Checks an answer against a scan of the model: distances, scores, order, no duplicates.
pub(crate) fn check_hits(model: &Model, metric: Metric, query: &[f32], k: usize, hits: &[Hit]) {
    let mut expected: Vec<f64> =
        model.values().map(|record| distance(metric, query, &record.vector)).collect();
    expected.sort_by(f64::total_cmp);
    assert_eq!(hits.len(), k.min(model.len()), "number of hits");
    for (hit, nearest) in hits.iter().zip(&expected) {
        let record = model.get(&hit.id).unwrap_or_else(|| panic!("{} is not there", hit.id));
        let own = distance(metric, query, &record.vector);
        assert!(near(hit.distance.into(), own), "{}: {} for {own}", hit.id, hit.distance);
        assert!(near(own, *nearest), "{}: {own}, the nearest is at {nearest}", hit.id);
        let score = if metric == Metric::Cosine { 1.0 - own } else { -own };
        assert!(near(hit.score.into(), score), "{}: score {} for {score}", hit.id, hit.score);
    }
    for pair in hits.windows(2) {
        let order = pair[0].distance.total_cmp(&pair[1].distance);
        assert!(order.then(pair[0].id.cmp(&pair[1].id)).is_lt(), "{pair:?}");
    }
}

/// Checks everything that can be read of a collection against the model.
pub(crate) fn check_all(model: &Model, collection: &Collection, ids: &[Id], queries: &[Vec<f32>]) {
    assert_eq!(collection.count(), model.len() as u64, "count");
    let found = collection.get_many(ids.iter()).wait().unwrap();
    for (id, found) in ids.iter().zip(&found) {
        assert_eq!(found.as_ref(), model.get(id), "get {id}");
        assert_eq!(collection.exists(id).wait().unwrap(), model.contains_key(id), "exists {id}");
    }
    let mut scan = collection.scan().page_size(7).with_vector().with_payload().wait().unwrap();
    let mut scanned = Model::new();
    while let Some(page) = scan.next_page().wait().unwrap() {
        for record in page {
            let again = scanned.insert(record.id.clone(), record);
            assert!(again.is_none(), "scanned twice: {again:?}");
        }
    }
    assert_eq!(&scanned, model, "scan");
    let metric = collection.config().metric();
    for (query, k) in queries.iter().zip([1, 3, 10, 1000].into_iter().cycle()) {
        check_hits(model, metric, query, k, &collection.search(query).k(k).wait().unwrap());
    }
    let answers = collection.search_batch(queries).k(5).wait().unwrap();
    for (query, hits) in queries.iter().zip(answers) {
        check_hits(model, metric, query, 5, &hits);
    }
}
