use vecgo::Explained;
use vecgo_json::{ExplainJson, PartJson};

use super::filter_of;
use super::inspect::requests_line;
use super::search::{query, search, searched};
use crate::Answer;
use crate::args::{Search, Target};
use crate::failure::Failure;
use crate::output::Output;
use crate::vector_file::VectorFile;

/// Explains the search for the query, or for the first of a file.
pub(crate) fn run(target: &Target, args: &Search, out: &Output) -> Result<Answer, Failure> {
    let collection = searched(target, args)?;
    let filter = filter_of(args.knobs.filter.as_ref())?;
    let query = match (query(args)?, &args.query_file) {
        (Some(query), _) => query,
        (None, Some(path)) => {
            let mut rows = Vec::new();
            VectorFile::open(path)?.read_rows(1, &mut rows)?;
            rows
        }
        (None, None) => return Err(Failure::usage("--vector or --query-file is missing")),
    };
    // What is loaded for the first search only is not what it costs; what a filter costs is. From a bucket
    // that is what it costs whoever has not searched yet.
    if collection.stats().requests.is_none() {
        search(&collection, &query, args, None).wait()?;
    }
    print(&search(&collection, &query, args, filter.as_ref()).explain().wait()?, out);
    Ok(Answer::Yes)
}

fn print(explained: &Explained, out: &Output) {
    let json = ExplainJson::from(explained);
    out.object(&json);
    let (filter, search) = (json.filter_us, json.search_us);
    out.line(format!("{} hits; filter {filter} us, search {search} us", explained.hits.len()));
    out.line(format!(
        "{:<12} {:>9} {:>8} {:>9} {:>8} {:>9} {:>8} {:>6}  {:<11} why",
        "part", "rows", "dead", "matched", "effort", "estimated", "scored", "reads", "plan"
    ));
    for part in &json.parts {
        let matched = part.matched.map_or("-".to_owned(), |matched| matched.to_string());
        let effort = part.effort.map_or("-".to_owned(), |effort| effort.to_string());
        let PartJson { part: name, rows, dead, estimated, scored, reads, plan, why, .. } = part;
        out.line(format!(
            "{name:<12} {rows:>9} {dead:>8} {matched:>9} {effort:>8} {estimated:>9} {scored:>8} {reads:>6}  {plan:<11} {why}"
        ));
    }
    if let Some(requests) = explained.requests {
        out.line(requests_line(requests));
    }
}
