use serde_json::{Value, json};
use vecgo::Id;

use super::{no_filter, reader};
use crate::Answer;
use crate::args::{Ids, Target};
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::record_json::{id_from_argument, id_to_json, to_json};

fn ids(args: &Ids) -> Vec<Id> {
    args.ids.iter().map(|id| id_from_argument(id, args.string_ids)).collect()
}

pub(crate) fn get(target: &Target, args: &Ids, out: &Output) -> Result<Answer, Failure> {
    let ids = ids(args);
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

pub(crate) fn delete(target: &Target, args: &Ids, out: &Output) -> Result<Answer, Failure> {
    let collection = super::writer(target)?;
    let deleted = collection.delete(ids(args)).wait()?.records;
    collection.close().wait()?;
    out.object(&json!({"deleted": deleted}));
    out.line(format!("deleted {deleted}"));
    Ok(Answer::Yes)
}

pub(crate) fn count(
    target: &Target,
    filter: Option<String>,
    out: &Output,
) -> Result<Answer, Failure> {
    no_filter(filter.as_ref())?;
    let count = reader(target)?.count();
    out.object(&json!({"count": count}));
    out.line(count.to_string());
    Ok(Answer::Yes)
}
