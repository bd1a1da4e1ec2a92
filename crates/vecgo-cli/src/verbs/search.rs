use serde::Serialize;
use serde_json::Value;
use vecgo::{Collection, Filter, Hit};
use vecgo_json::{HitJson, VectorJson};

use super::{filter_of, reader, with_knobs};
use crate::Answer;
use crate::args::{Search, Target};
use crate::failure::Failure;
use crate::output::Output;
use crate::vector_file::VectorFile;

/// Queries read from a file at a time.
const QUERIES_AT_A_TIME: usize = 64;

pub(crate) fn run(target: &Target, args: Search, out: &Output) -> Result<Answer, Failure> {
    let collection = searched(target, &args)?;
    let filter = filter_of(args.knobs.filter.as_ref())?;
    if let Some(query) = query(&args)? {
        let search = search(&collection, &query, &args, filter.as_ref());
        print(search.with_metadata().wait()?, out);
    }
    if let Some(path) = &args.query_file {
        let mut file = VectorFile::open(path)?;
        let mut rows = Vec::new();
        while file.read_rows(QUERIES_AT_A_TIME, &mut rows)? > 0 {
            let queries = rows.chunks_exact(file.dim());
            let mut search = collection.search_batch(queries).k(args.k);
            if let Some(score) = args.min_score {
                search = search.min_score(score);
            }
            let search = with_knobs!(search, &args.knobs, filter.as_ref());
            for hits in search.with_metadata().wait()? {
                print(hits, out);
            }
            if out.is_over() {
                break;
            }
        }
    }
    Ok(Answer::Yes)
}

/// The collection that a search is about.
pub(super) fn searched(target: &Target, args: &Search) -> Result<Collection, Failure> {
    let collection = reader(target)?;
    Ok(match (args.version, &args.tag) {
        (Some(version), _) => collection.at_version(version).wait()?,
        (None, Some(tag)) => collection.at_tag(tag).wait()?,
        (None, None) => collection,
    })
}

/// The query that was given as JSON.
pub(super) fn query(args: &Search) -> Result<Option<Vec<f32>>, Failure> {
    let Some(text) = &args.vector else { return Ok(None) };
    let vector = vecgo_json::read::<VectorJson>(text.as_bytes());
    let vector = vector.map_err(|error| Failure::from(error).context("--vector"))?;
    Ok(Some(vector.into_values()))
}

/// A search for one query, as the arguments have it.
pub(super) fn search(
    collection: &Collection,
    query: &[f32],
    args: &Search,
    filter: Option<&Filter>,
) -> vecgo::Search {
    let mut search = collection.search(query).k(args.k);
    if let Some(score) = args.min_score {
        search = search.min_score(score);
    }
    with_knobs!(search, &args.knobs, filter)
}

/// What `search` says. By way of a `Value` scores would be as long as those of f64.
#[derive(Serialize)]
struct Found<'a> {
    hits: &'a [HitJson],
}

fn print(hits: Vec<Hit>, out: &Output) {
    let hits: Vec<HitJson> = hits.into_iter().map(HitJson::from).collect();
    out.object(&Found { hits: &hits });
    for hit in &hits {
        let metadata = hit.metadata.as_ref().map_or(String::new(), Value::to_string);
        out.line(format!("{:>10.6}  {}  {metadata}", hit.score, hit.id.0));
    }
    if hits.is_empty() {
        out.line("no hits");
    }
}
