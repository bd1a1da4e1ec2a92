#![expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]

mod recall;
mod report;
mod timing;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use recall::recall;
use report::{Effort, Point, report};
use timing::{Calls, time};
use vecgo::{Collection, Config, Filter};

use super::{filter_of, reader, with_knobs};
use crate::Answer;
use crate::args::{Bench, Knobs, Target};
use crate::failure::Failure;
use crate::output::Output;
use crate::vector_file::{VectorFile, read_truth};

/// How to search: a point of the report.
struct Setting {
    k: usize,
    param: String,
    knobs: Knobs,
    filter: Option<Filter>,
}

impl Setting {
    fn search(&self, collection: &Collection, query: &[f32]) -> vecgo::Search {
        with_knobs!(collection.search(query).k(self.k), &self.knobs, self.filter.as_ref())
    }

    fn search_batch(&self, collection: &Collection, queries: &[Vec<f32>]) -> vecgo::SearchBatch {
        let search = collection.search_batch(queries).k(self.k);
        with_knobs!(search, &self.knobs, self.filter.as_ref())
    }
}

pub(crate) fn run(target: &Target, args: Bench, out: &Output) -> Result<Answer, Failure> {
    if args.threads == 0 || args.k == 0 {
        return Err(Failure::usage("--threads and -k must be 1 or more"));
    }
    let settings = settings(&args)?;
    let least = Duration::try_from_secs_f64(args.seconds);
    let least = least.map_err(|_| Failure::usage("--seconds: expected 0 or more"))?;
    let collection = reader(target)?;
    let queries = read_queries(&args.queries, &collection.config())?;
    let truth = read_truth(&args.truth, queries.len(), args.k)?;
    let queries = &queries[..queries.len().min(truth.len())];
    let Some(first) = queries.first() else {
        return Err(Failure::invalid("no queries, or no truth for them"));
    };
    // What is refused is refused before minutes are spent on the points before it.
    for setting in &settings {
        let tried = setting.search(&collection, first).wait().map_err(Failure::from);
        tried.map_err(|failure| of_sweep(&args, failure))?;
    }
    let calls = if args.batch { Calls::Batch } else { Calls::Single { threads: args.threads } };
    let mut points = Vec::new();
    for setting in settings {
        let timing = time(&collection, queries, calls, &setting, least)?;
        let before = collection.stats();
        let recall = recall(&collection, queries, &truth, &setting)?;
        let effort = Effort::between(&before, &collection.stats(), queries.len());
        points.push(Point { param: setting.param, recall, timing, effort });
    }
    report(&collection, &args, queries.len(), &points, out)?;
    Ok(Answer::Yes)
}

fn of_sweep(args: &Bench, failure: Failure) -> Failure {
    match &args.sweep {
        None => failure,
        Some(sweep) => failure.context(format!("--sweep {sweep}")),
    }
}

/// One for each number of the sweep, or the only one.
fn settings(args: &Bench) -> Result<Vec<Setting>, Failure> {
    let filter = filter_of(args.knobs.filter.as_ref())?;
    let Some(sweep) = &args.sweep else {
        let param = match &args.knobs {
            Knobs { exact: true, .. } => "exact".to_owned(),
            Knobs { ef: Some(ef), .. } => format!("ef={ef}"),
            Knobs { nprobe: Some(nprobe), .. } => format!("nprobe={nprobe}"),
            Knobs { recall_target: Some(recall), .. } => format!("recall_target={recall}"),
            Knobs { rerank: Some(rerank), .. } => format!("rerank={rerank}"),
            _ => "default".to_owned(),
        };
        return Ok(vec![Setting { k: args.k, param, knobs: args.knobs.clone(), filter }]);
    };
    let wrong = |why: &str| Failure::usage(format!("--sweep {sweep}: {why}"));
    if args.knobs.exact {
        return Err(wrong("has no say in an exact search; leave out --exact"));
    }
    let Some((knob, numbers)) = sweep.split_once('=') else {
        return Err(wrong("expected KNOB=N,…"));
    };
    let one = |number: &str| {
        let mut knobs = args.knobs.clone();
        let was_given = match knob {
            "ef" => replace(&mut knobs.ef, number),
            "nprobe" => replace(&mut knobs.nprobe, number),
            "rerank" => replace(&mut knobs.rerank, number),
            "recall_target" => replace(&mut knobs.recall_target, number),
            _ => return Err(wrong("expected ef, nprobe, rerank or recall_target")),
        };
        match was_given {
            None => Err(wrong("expected numbers after the =")),
            Some(true) => Err(wrong(&format!("leave out --{}", knob.replace('_', "-")))),
            Some(false) => Ok(Setting {
                k: args.k,
                param: format!("{knob}={number}"),
                knobs,
                filter: filter.clone(),
            }),
        }
    };
    numbers.split(',').map(one).collect()
}

/// Sets a knob, and says whether it was set before; `None` for what is no number.
fn replace<T: FromStr>(knob: &mut Option<T>, number: &str) -> Option<bool> {
    Some(knob.replace(number.parse().ok()?).is_some())
}

fn read_queries(path: &Path, config: &Config) -> Result<Vec<Vec<f32>>, Failure> {
    let mut file = VectorFile::open(path)?;
    if file.dim() != config.dim() {
        let (found, expected) = (file.dim(), config.dim());
        let path = path.display();
        return Err(Failure::invalid(format!("{path}: {found} dimensions; expected {expected}")));
    }
    let (mut queries, mut rows) = (Vec::new(), Vec::new());
    while file.read_rows(1024, &mut rows)? > 0 {
        queries.extend(rows.chunks_exact(config.dim()).map(<[f32]>::to_vec));
    }
    Ok(queries)
}
