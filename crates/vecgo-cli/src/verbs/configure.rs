use serde::Serialize;
use vecgo::{Config, RecallTarget};
use vecgo_json::{ConfigChange, ConfigJson};

use super::writer;
use crate::Answer;
use crate::args::{ConfigArgs, IndexArgs, Target};
use crate::failure::Failure;
use crate::output::Output;

/// A configuration with what was given in place of what it has.
pub(super) fn configured(config: Config, given: &ConfigArgs) -> Result<Config, Failure> {
    let recall_target = match given.recall_target.as_deref() {
        Some("none") => Some(None),
        Some(recall) => Some(Some(recall.parse::<RecallTarget>()?.get())),
        None => None,
    };
    Ok(ConfigChange { recall_target, ..change(&given.index) }.apply(config)?)
}

/// The same of its index and quantization.
pub(super) fn indexed(config: Config, given: &IndexArgs) -> Result<Config, Failure> {
    Ok(change(given).apply(config)?)
}

fn change(given: &IndexArgs) -> ConfigChange {
    ConfigChange {
        index: given.index.clone(),
        m: given.m,
        ef_construction: given.ef_construction,
        n_clusters: given.n_clusters,
        quantization: given.quantization.clone(),
        recall_target: None,
    }
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
