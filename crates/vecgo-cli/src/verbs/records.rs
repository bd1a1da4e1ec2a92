use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use vecgo::Id;
use vecgo_json::{FacetJson, IdJson, RecordJson};

use super::{filter_of, reader};
use crate::Answer;
use crate::args::{Deletion, Ids, Target};
use crate::failure::Failure;
use crate::output::{Output, note};

/// An id of the command line.
fn id(argument: &str, string_ids: bool) -> Id {
    let digits = !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit());
    match argument.parse::<u64>() {
        Ok(number) if digits && !string_ids => Id::from(number),
        _ => Id::from(argument),
    }
}

fn ids(ids: &[String], string_ids: bool) -> Vec<Id> {
    ids.iter().map(|id| self::id(id, string_ids)).collect()
}

/// What `get` says.
#[derive(Serialize)]
struct Got<'a> {
    records: &'a [RecordJson],
    missing: &'a [IdJson],
}

/// A record as a line of JSON.
pub(super) fn line(record: &RecordJson) -> String {
    // It has texts as keys, and so can be written.
    serde_json::to_string(record).unwrap_or_default()
}

pub(crate) fn get(target: &Target, args: &Ids, out: &Output) -> Result<Answer, Failure> {
    let ids = ids(&args.ids, args.string_ids);
    let found = reader(target)?.get_many(&ids).wait()?;
    let missing: Vec<IdJson> = ids
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none())
        .map(|(id, _)| IdJson(id.clone()))
        .collect();
    let records: Vec<RecordJson> = found.into_iter().flatten().map(RecordJson::from).collect();
    out.object(&Got { records: &records, missing: &missing });
    for record in &records {
        out.line(line(record));
    }
    for id in &missing {
        note(format!("vecgo: no record {}", id.0));
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
    let facets: Vec<FacetJson> = facets.into_iter().map(FacetJson::from).collect();
    out.object(&json!({"facets": facets}));
    for facet in &facets {
        out.line(format!("{:>10}  {}", facet.count, facet.value));
    }
    Ok(Answer::Yes)
}
