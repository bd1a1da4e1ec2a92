//! What each verb does.

pub(crate) mod backups;
pub(crate) mod bench;
pub(crate) mod collections;
pub(crate) mod compact;
pub(crate) mod config;
pub(crate) mod configure;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod records;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod sizing;
pub(crate) mod versions;

use clap::CommandFactory;
use clap_complete::Shell;
use vecgo::{Collection, Database, Filter};

use crate::Answer;
use crate::args::{Args, Target};
use crate::failure::Failure;
use crate::output::Output;

fn reading(target: &Target) -> Result<Database, Failure> {
    Ok(target.open().read_only(true).wait()?)
}

/// Opens the target's collection for reading: no lock, no background work.
fn reader(target: &Target) -> Result<Collection, Failure> {
    Ok(reading(target)?.collection(&target.collection).wait()?)
}

/// Opens the target's collection, which a wrong path must not make, as its writer. It lets no version go: how many are kept is for
/// whoever owns the data to say, and for `vacuum`.
fn writer(target: &Target) -> Result<Collection, Failure> {
    reading(target)?;
    let database = target.open().auto_vacuum(false).wait()?;
    Ok(database.collection(&target.collection).wait()?)
}

/// The filter of an argument.
fn filter_of(text: Option<&String>) -> Result<Option<Filter>, Failure> {
    let filter = text.map(|text| text.parse().map_err(|e| Failure::from(e).context("--filter")));
    filter.transpose()
}

/// A search, of one query or of many, with the settings and the filter that were given.
macro_rules! with_knobs {
    ($search:expr, $knobs:expr, $filter:expr) => {{
        let (mut search, knobs): (_, &crate::args::Knobs) = ($search, $knobs);
        let filter: Option<&vecgo::Filter> = $filter;
        if let Some(filter) = filter {
            search = search.filter(filter.clone());
        }
        if let Some(ef) = knobs.ef {
            search = search.ef(ef);
        }
        if let Some(nprobe) = knobs.nprobe {
            search = search.nprobe(nprobe);
        }
        if let Some(recall) = knobs.recall_target {
            search = search.recall_target(recall);
        }
        if let Some(rerank) = knobs.rerank {
            search = search.rerank(rerank);
        }
        if knobs.exact {
            search = search.exact();
        }
        search
    }};
}

use with_knobs;

pub(crate) fn completions(shell: Shell, out: &Output) -> Result<Answer, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "vecgo", &mut script);
    out.always(String::from_utf8_lossy(&script).trim_end());
    Ok(Answer::Yes)
}
