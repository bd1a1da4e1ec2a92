//! The promises, a function each. Each takes what the oracle expects and asks the engine.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use vecgo_engine::{
    Collection, Database, ErrorKind, Fetch, Filter, Hit, Id, Index, MAX_CANDIDATES, MAX_CLUSTERS,
    Metric, Op, Request, SearchParams,
};
use vecgo_io::Store;

use super::{Expected, Names, Row, Rows};
use crate::random::Random;
use crate::violation::Failure;
use crate::workload::DOCS_DIM;
use crate::{Settings, Violation};

type Checked<T = ()> = Result<T, Failure>;

/// Which collections there are, by name.
pub(crate) async fn names(database: &Database) -> Checked<Names> {
    let collections = database.collections().await?;
    Ok(collections.into_iter().map(|info| (info.name, info.config.dim())).collect())
}

/// Everything that a collection holds. I2: each record is one that was written, whole, and none
/// is there twice.
pub(crate) async fn rows(collection: &Collection) -> Checked<Rows> {
    let dim = collection.config().dim();
    let mut scan = collection.scan(Fetch::ALL, 7, None).await?;
    let mut rows = Rows::new();
    while let Some(page) = scan.next_page().await? {
        for record in page {
            let row = Row::of(&record, dim)?;
            if rows.insert(record.id.clone(), row).is_some() {
                return Err(Violation::new("I2", format!("id {} is there twice", record.id)).into());
            }
        }
    }
    let count = collection.count();
    if count != rows.len() as u64 {
        let message = format!("{} records are there, {count} counted", rows.len());
        return Err(Violation::new("I18", message).into());
    }
    Ok(rows)
}

/// The part of a lane.
pub(crate) fn of_lane(rows: &Rows, lane: usize) -> Rows {
    let own = rows.iter().filter(|(id, _)| super::lane_of(id) == Some(lane));
    own.map(|(id, row)| (id.clone(), *row)).collect()
}

/// I1, I2: nothing acknowledged is lost, nothing is there by half.
pub(crate) async fn durable(collection: &Collection, expected: &mut Expected) -> Checked<Rows> {
    let found = rows(collection).await?;
    let name = collection.name();
    if collection.config().dim() == DOCS_DIM {
        expected.found_said(&collection.schema(), collection.config())?;
    }
    expected
        .found_rows(collection.config().dim(), &found)
        .map_err(|violation| violation.context(format!("collection `{name}`")))?;
    Ok(found)
}

/// I4, I11: each version that a commit returned is as it was then, if it is kept: as many of the
/// newest as are to be kept are, and those with a tag.
pub(crate) async fn versions(
    collection: &Collection,
    expected: &Expected,
    settings: &Settings,
) -> Checked {
    let (dim, newest) = (collection.config().dim(), collection.version());
    for version in expected.versions_of(dim) {
        let kept = version.number.saturating_add(settings.kept_versions) > newest;
        match collection.at_version(version.number).await {
            Ok(then) => version.check(&rows(&then).await?)?,
            Err(error)
                if error.kind() == ErrorKind::VersionGone
                    && !kept
                    && !expected.is_tagged(dim, version.number) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// I6: no version that a commit returned is gone.
pub(crate) fn newest_version(collection: &Collection, expected: &Expected) -> Checked {
    let committed = expected.versions_of(collection.config().dim()).map(|v| v.number).max();
    let found = collection.version();
    if committed.is_some_and(|committed| committed > found) {
        let message = format!("it is at version {found}, {committed:?} was committed");
        return Err(Violation::new("I6", message).into());
    }
    Ok(())
}

/// I14: nothing is damaged that nobody damaged.
pub(crate) async fn undamaged(database: &Database) -> Checked {
    let report = database.verify().await?;
    match report.damage.first() {
        None => Ok(()),
        Some(damage) => {
            Err(Violation::new("I14", format!("{}: {}", damage.key, damage.message)).into())
        }
    }
}

/// Files of collections that were dropped are gone once somebody has opened another.
pub(crate) async fn no_leftovers(store: &dyn Store, names: &Names) -> Checked {
    let listed = store.list("collections/").await.map_err(|error| {
        Failure::Wrong(Violation::new("I20", format!("a listing fails: {error}")))
    })?;
    let folders: BTreeSet<&str> =
        listed.iter().filter_map(|listed| listed.key.split('/').nth(1)).collect();
    if !names.is_empty() && folders.len() > names.len() {
        let message =
            format!("{} collections have files, {} are there", folders.len(), names.len());
        return Err(Violation::new("I11", message).into());
    }
    Ok(())
}

/// I17, I18: a search finds what a scan of the records finds, whatever part of the engine holds
/// them; `get` finds each of them and nothing else.
pub(crate) async fn answers(collection: &Collection, rows: &Rows, random: &mut Random) -> Checked {
    let dim = collection.config().dim();
    let mut asked: Vec<Id> = rows.keys().cloned().collect();
    asked.push(super::id(0, 999));
    let exist = collection.exists(&asked).await?;
    if let Some(place) = asked.iter().zip(&exist).position(|(id, is)| rows.contains_key(id) != *is)
    {
        let message = format!("whether {} exists: {}", asked[place], exist[place]);
        return Err(Violation::new("I18", message).into());
    }
    for (id, record) in asked.iter().zip(collection.get(&asked).await?) {
        let found = record.as_ref().map(|record| Row::of(record, dim)).transpose()?;
        if found.as_ref() != rows.get(id) {
            let message = format!("get of {id} gives {found:?}, the scan {:?}", rows.get(id));
            return Err(Violation::new("I18", message).into());
        }
    }
    let mark = u32::try_from(asked.len() % 7).unwrap_or(0);
    let query = super::vector(&asked[random.below(asked.len())], 1 + mark, dim);
    let k = 1 + random.below(rows.len() + 2);
    // One of them every time: what is kept of it must not be out of date.
    let filters = [filtered(rows, 2, random), filtered(rows, random.below(4), random)];
    for (filter, matching) in &filters {
        let count = collection.count_where(filter.clone()).await?;
        if count != matching.len() as u64 {
            let message = format!("{filter} counts {count}, expected {}", matching.len());
            return Err(Violation::new("I17", message).into());
        }
    }
    for (params, reach) in searches(collection, k) {
        let request = Request { params, ..Request::default() };
        let hits = collection.search(query.clone(), request.clone()).await?;
        check_hits(collection, rows, (&query, k), reach, &hits)?;
        for (filter, matching) in &filters {
            let request = Request { filter: Some(filter.clone()), ..request.clone() };
            let hits = collection.search(query.clone(), request).await?;
            check_hits(collection, matching, (&query, k), reach, &hits)?;
        }
    }
    Ok(())
}

/// One of four filters, and the rows that it matches by the marks of their metadata.
fn filtered(rows: &Rows, which: usize, random: &mut Random) -> (Filter, Rows) {
    let marks: Vec<u32> = rows.values().map(|row| row.metadata).collect();
    let mark = if marks.is_empty() { 0 } else { *random.pick(&marks) };
    let has = |mark: u32| super::metadata(mark).get("mark").is_some();
    let text = |mark: u32| super::metadata(mark)["text"].as_str().map_or(0, str::len);
    let (filter, matches): (_, Box<dyn Fn(u32) -> bool>) = match which {
        0 => (Filter::test("mark", Op::Eq, mark), Box::new(|row| has(row) && row == mark)),
        1 => (Filter::test("mark", Op::Gte, mark), Box::new(|row| has(row) && row >= mark)),
        2 => (Filter::exists("mark"), Box::new(has)),
        _ => {
            let part = "x".repeat(1 + text(mark) / 2);
            let least = part.len();
            (Filter::test("text", Op::Contains, part), Box::new(move |row| text(row) >= least))
        }
    };
    let matching = rows.iter().filter(|(_, row)| matches(row.metadata));
    let matching = matching.map(|(id, row)| (id.clone(), *row)).collect();
    (filter, matching)
}

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The nearest.
    Nearest,
    /// As many as were asked for, all of them there.
    Some,
}

/// Ways to search, and what is to be found. A walk that keeps all that it meets meets all rows, and
/// all clusters have them.
///
/// Knobs go by the configuration: a segment that has another index or other codes is searched with as
/// much effort as is usual.
fn searches(collection: &Collection, k: usize) -> Vec<(SearchParams, Reach)> {
    let plain = SearchParams { k, ..SearchParams::default() };
    if collection.config().index() == Index::Flat {
        return vec![(plain, Reach::Nearest)];
    }
    let (index, quantization) = (collection.config().index(), collection.config().quantization());
    let reranked = quantization.is_reranked();
    let segments = collection.stats().segments;
    let mut indexed = segments.iter().filter(|segment| segment.index != Index::Flat);
    let all_are_as_told = indexed.all(|one| (one.index, one.quantization) == (index, quantization));
    let most_reach = if all_are_as_told { Reach::Nearest } else { Reach::Some };
    let effort = |ef: usize, clusters: usize, rerank: usize| {
        let rerank = reranked.then_some(rerank);
        match collection.config().index() {
            Index::Ivf { .. } => SearchParams { nprobe: Some(clusters), rerank, ..plain },
            _ => SearchParams { ef: Some(ef), rerank, ..plain },
        }
    };
    let most = effort(MAX_CANDIDATES, MAX_CLUSTERS as usize, MAX_CANDIDATES);
    let least = effort(1, 1, 1);
    let exact = SearchParams { exact: true, ..plain };
    vec![(most, most_reach), (least, Reach::Some), (exact, Reach::Nearest)]
}

fn check_hits(
    collection: &Collection,
    rows: &Rows,
    (query, k): (&[f32], usize),
    reach: Reach,
    hits: &[Hit],
) -> Checked {
    let (metric, dim) = (collection.config().metric(), collection.config().dim());
    let mut nearest: Vec<(f64, &Id)> = rows
        .iter()
        .map(|(id, row)| (distance(metric, query, &super::vector(id, row.vector, dim)), id))
        .collect();
    nearest.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    let far = |a: f64, b: f64| (a - b).abs() > 1e-6 * (1.0 + a.abs());
    let expected = nearest.len().min(k);
    if hits.len() != expected {
        let message = format!("a search for {k} finds {}, expected {expected}", hits.len());
        return Err(Violation::new("I17", message).into());
    }
    for (place, (hit, (expected, _))) in hits.iter().zip(&nearest).enumerate() {
        let row = rows.get(&hit.id).map(|row| super::vector(&hit.id, row.vector, dim));
        let own = row.map(|vector| distance(metric, query, &vector));
        let found = f64::from(hit.distance);
        let missed = reach == Reach::Nearest && far(found, *expected);
        if missed || own.is_none_or(|own| far(found, own)) {
            let id = &hit.id;
            let message =
                format!("hit {place} is {id} at {found}, expected {expected}; truly at {own:?}");
            return Err(Violation::new("I17", message).into());
        }
    }
    let in_order = hits.is_sorted_by(|a, b| {
        a.distance.total_cmp(&b.distance).then_with(|| a.id.cmp(&b.id)) == Ordering::Less
    });
    match in_order {
        true => Ok(()),
        false => Err(Violation::new("I17", "hits out of order, or one twice").into()),
    }
}

/// By the definitions, in f64.
fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    match metric {
        Metric::L2 => a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum(),
        Metric::Dot => -dot(a, b),
        Metric::Cosine => 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
    }
}

/// I20: the database takes a write and a commit. Gives what there is then.
pub(crate) async fn goes_on(
    collection: &Collection,
    expected: &mut Expected,
    settings: &Settings,
) -> Checked {
    let dim = collection.config().dim();
    let id = super::id(PROBE_LANE, 0);
    let row = Row::new(77, 78, Some(79));
    let ack = collection.upsert(vec![row.record(&id, dim)]).await?;
    if settings.every_write() && !ack.durable {
        return Err(Violation::new("I1", "a write is acknowledged that is not durable").into());
    }
    if !ack.durable {
        collection.commit().await?;
    }
    expected.acknowledged(dim, PROBE_LANE, Rows::from([(id, row)]));
    Ok(())
}

/// The lane of writes that only show that the database goes on.
const PROBE_LANE: usize = 3;
