use std::mem::discriminant;

use serde::Serialize;
use vecgo::{Config, Index, Quantization};
use vecgo_json::ConfigJson;

use super::writer;
use crate::Answer;
use crate::args::{ConfigArgs, IndexArgs, Target};
use crate::failure::Failure;
use crate::output::Output;

/// A configuration with what was given in place of what it has.
pub(super) fn configured(config: Config, given: &ConfigArgs) -> Result<Config, Failure> {
    let config = indexed(config, &given.index)?;
    Ok(match given.recall_target.as_deref() {
        Some("none") => config.with_recall_target(None),
        Some(recall) => config.with_recall_target(Some(recall.parse()?)),
        None => config,
    })
}

/// The same of its index and quantization.
pub(super) fn indexed(config: Config, given: &IndexArgs) -> Result<Config, Failure> {
    let named = given.index.as_deref().map(str::parse::<Index>).transpose()?;
    let is_there = |index: &Index| discriminant(index) == discriminant(&config.index());
    // Of the index that is there what is not given stays.
    let mut index = named.filter(|index| !is_there(index)).unwrap_or(config.index());
    let mut no_use = Vec::new();
    match &mut index {
        Index::Graph { m, ef_construction } | Index::Disk { m, ef_construction } => {
            *m = given.m.unwrap_or(*m);
            *ef_construction = given.ef_construction.unwrap_or(*ef_construction);
        }
        Index::Ivf { .. } | Index::Flat => {
            no_use.extend(given.m.map(|_| "--m"));
            no_use.extend(given.ef_construction.map(|_| "--ef-construction"));
        }
    }
    match &mut index {
        Index::Ivf { n_clusters } => *n_clusters = given.n_clusters.or(*n_clusters),
        _ => no_use.extend(given.n_clusters.map(|_| "--n-clusters")),
    }
    if let Some(name) = no_use.first() {
        let message = format!("{name} does nothing for the index `{index}`; leave it out");
        return Err(Failure::invalid(message));
    }
    let config = config.with_index(index);
    Ok(match &given.quantization {
        Some(name) => config.with_quantization(name.parse()?),
        None if index == Index::Flat => config.with_quantization(Quantization::None),
        None => config,
    })
}

/// What `configure` says.
#[derive(Serialize)]
struct Configured {
    #[serde(flatten)]
    config: ConfigJson,
    version: u64,
}

pub(crate) fn run(target: &Target, given: &ConfigArgs, out: &Output) -> Result<Answer, Failure> {
    let collection = writer(target)?;
    let before = collection.config();
    let config = configured(before, given)?;
    let version = collection.configure(config).wait()?;
    collection.close().wait()?;
    out.object(&Configured { config: (&config).into(), version });
    out.line(format!("`{}` has {config}", target.collection));
    if config.of_segments() != before.of_segments() {
        out.line(
            "segments that are there keep what they have until they are merged: `vecgo compact`",
        );
    }
    Ok(Answer::Yes)
}
