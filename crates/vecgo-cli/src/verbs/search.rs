use serde_json::{Value, json};
use vecgo::Hit;

use super::{check_knobs, filter_of, reader, with_knobs};
use crate::Answer;
use crate::args::{Search, Target};
use crate::failure::Failure;
use crate::output::{Output, short};
use crate::record_json::{id_to_json, vector_from_json};
use crate::vector_file::VectorFile;

/// Queries read from a file at a time.
const QUERIES_AT_A_TIME: usize = 64;

pub(crate) fn run(target: &Target, args: Search, out: &Output) -> Result<Answer, Failure> {
    let mut collection = reader(target)?;
    check_knobs(&args.knobs, &collection)?;
    let filter = filter_of(args.knobs.filter.as_ref())?;
    let (knobs, filter) = (&args.knobs, filter.as_ref());
    if let Some(version) = args.version {
        collection = collection.at_version(version).wait()?;
    } else if let Some(tag) = &args.tag {
        collection = collection.at_tag(tag).wait()?;
    }
    if let Some(text) = &args.vector {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Failure::invalid(format!("--vector: {error}")))?;
        let query = vector_from_json(&value).map_err(|failure| failure.context("--vector"))?;
        let search = with_knobs!(collection.search(query).k(args.k), knobs, filter);
        print(&search.with_metadata().wait()?, out);
    }
    if let Some(path) = &args.query_file {
        let mut file = VectorFile::open(path)?;
        let mut rows = Vec::new();
        while file.read_rows(QUERIES_AT_A_TIME, &mut rows)? > 0 {
            let queries = rows.chunks_exact(file.dim());
            let search = with_knobs!(collection.search_batch(queries).k(args.k), knobs, filter);
            for hits in &search.with_metadata().wait()? {
                print(hits, out);
            }
            if out.is_over() {
                break;
            }
        }
    }
    Ok(Answer::Yes)
}

fn print(hits: &[Hit], out: &Output) {
    let listed: Vec<Value> = hits
        .iter()
        .map(|hit| {
            json!({
                "id": id_to_json(&hit.id),
                "score": short(hit.score),
                "distance": short(hit.distance),
                "metadata": hit.metadata,
            })
        })
        .collect();
    out.object(&json!({"hits": listed}));
    for hit in hits {
        let metadata = hit.metadata.as_ref().map_or(String::new(), Value::to_string);
        out.line(format!("{:>10.6}  {}  {metadata}", hit.score, hit.id));
    }
    if hits.is_empty() {
        out.line("no hits");
    }
}
