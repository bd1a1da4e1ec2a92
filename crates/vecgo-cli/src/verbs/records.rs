use std::collections::BTreeSet;

use serde_json::{Value, json};
use vecgo::Id;

use super::{filter_of, reader};
use crate::Answer;
use crate::args::{Deletion, Ids, Target};
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::record_json::{id_from_argument, id_to_json, to_json};

fn ids(ids: &[String], string_ids: bool) -> Vec<Id> {
    ids.iter().map(|id| id_from_argument(id, string_ids)).collect()
}

pub(crate) fn get(target: &Target, args: &Ids, out: &Output) -> Result<Answer, Failure> {
    let ids = ids(&args.ids, args.string_ids);
    let found = reader(target)?.get_many(&ids).wait()?;
    let records: Vec<Value> = found.iter().flatten().map(to_json).collect();
    let missing: Vec<&Id> =
        ids.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(id, _)| id).collect();
    let missing_json: Vec<Value> = missing.iter().map(|id| id_to_json(id)).collect();
    out.object(&json!({"records": records, "missing": missing_json}));
    for record in &records {
        out.line(record.to_string());
    }
    for id in &missing {
        note(format!("vecgo: no record {id}"));
    }
    Ok(if missing.is_empty() { Answer::Yes } else { Answer::No })
}

pub(crate) fn delete(target: &Target, args: &Deletion, out: &Output) -> Result<Answer, Failure> {
    let filter = filter_of(args.filter.as_ref())?;
    if args.dry_run {
        let matching = match filter {
            Some(filter) => reader(target)?.count_where(filter).wait()?,
            None => {
                let ids: BTreeSet<Id> = ids(&args.ids, args.string_ids).into_iter().collect();
                let found = reader(target)?.get_many(ids).wait()?;
                found.iter().flatten().count() as u64
            }
        };
        out.object(&json!({"deleted": 0, "would_delete": matching}));
        out.line(format!("would delete {matching}"));
        return Ok(Answer::Yes);
    }
    let collection = super::writer(target)?;
    let deleted = match filter {
        Some(filter) => collection.delete_where(filter).wait()?,
        None => collection.delete(ids(&args.ids, args.string_ids)).wait()?,
    };
    let deleted = deleted.records;
    collection.close().wait()?;
    out.object(&json!({"deleted": deleted}));
    out.line(format!("deleted {deleted}"));
    Ok(Answer::Yes)
}

pub(crate) fn count(
    target: &Target,
    filter: Option<&String>,
    out: &Output,
) -> Result<Answer, Failure> {
    let filter = filter_of(filter)?;
    let collection = reader(target)?;
    let count = match filter {
        Some(filter) => collection.count_where(filter).wait()?,
        None => collection.count(),
    };
    out.object(&json!({"count": count}));
    out.line(count.to_string());
    Ok(Answer::Yes)
}

pub(crate) fn facet(
    target: &Target,
    field: &str,
    most: usize,
    filter: Option<&String>,
    out: &Output,
) -> Result<Answer, Failure> {
    let filter = filter_of(filter)?;
    let facets = reader(target)?.facet(field, most, filter).wait()?;
    let listed: Vec<Value> =
        facets.iter().map(|facet| json!({"value": facet.value, "count": facet.count})).collect();
    out.object(&json!({"facets": listed}));
    for facet in &facets {
        out.line(format!("{:>10}  {}", facet.count, facet.value));
    }
    Ok(Answer::Yes)
}
