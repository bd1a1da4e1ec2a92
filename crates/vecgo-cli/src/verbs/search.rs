use serde_json::{Value, json};
use vecgo::{Collection, Hit};

use super::{check_knobs, reader};
use crate::Answer;
use crate::args::{Search, Target};
use crate::failure::Failure;
use crate::output::{Output, short};
use crate::record_json::{id_to_json, vector_from_json};
use crate::vector_file::VectorFile;

/// Queries read from a file at a time.
const QUERIES_AT_A_TIME: usize = 256;

pub(crate) fn run(target: &Target, args: Search, out: &Output) -> Result<Answer, Failure> {
    let mut collection = reader(target)?;
    check_knobs(&args.knobs, &collection)?;
    if let Some(version) = args.version {
        collection = collection.at_version(version).wait()?;
    }
    if let Some(text) = &args.vector {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Failure::invalid(format!("--vector: {error}")))?;
        let query = vector_from_json(&value).map_err(|failure| failure.context("--vector"))?;
        print(&search(&collection, &query, args.k)?, out);
    }
    if let Some(path) = &args.query_file {
        let mut file = VectorFile::open(path)?;
        let mut rows = Vec::new();
        while file.read_rows(QUERIES_AT_A_TIME, &mut rows)? > 0 {
            for query in rows.chunks_exact(file.dim()) {
                if out.is_over() {
                    return Ok(Answer::Yes);
                }
                print(&search(&collection, query, args.k)?, out);
            }
        }
    }
    Ok(Answer::Yes)
}

fn search(collection: &Collection, query: &[f32], k: usize) -> Result<Vec<Hit>, Failure> {
    Ok(collection.search(query).k(k).with_metadata().wait()?)
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
