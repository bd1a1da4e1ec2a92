use serde_json::json;
use vecgo::{Config, ErrorKind, Index, Quantization};

use super::reading;
use crate::Answer;
use crate::args::{Create, Target};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn create(target: &Target, create: Create, out: &Output) -> Result<Answer, Failure> {
    if create.schema.is_some() {
        return Err(Failure::new(ErrorKind::Unsupported, "schemas are not in this version"));
    }
    // Both have one value so far, which is the configuration's own.
    let Index::Flat = create.index.parse()?;
    let Quantization::None = create.quantization.parse()?;
    let config = Config::new(create.dim, create.metric);
    let db = vecgo::open(&target.uri).wait()?;
    let created = match db.create(&target.collection, config).wait() {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists && create.if_not_exists => {
            let there = db.collections().wait()?;
            let there = there.iter().find(|info| info.name == target.collection);
            if let Some(info) = there.filter(|info| info.config != config) {
                let message = format!(
                    "collection `{}` has {}; asked for {config}",
                    target.collection, info.config
                );
                return Err(Failure::new(ErrorKind::Conflict, message));
            }
            false
        }
        Err(error) => return Err(error.into()),
    };
    out.object(&json!({"name": target.collection, "created": created}));
    let what = if created { "created" } else { "there already:" };
    out.line(format!("{what} `{}`: {config}", target.collection));
    Ok(Answer::Yes)
}

pub(crate) fn list(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let collections = reading(target)?.collections().wait()?;
    let listed: Vec<_> = collections
        .iter()
        .map(|info| {
            json!({
                "name": info.name,
                "dim": info.config.dim(),
                "metric": info.config.metric().to_string(),
                "index": info.config.index().to_string(),
                "quantization": info.config.quantization().to_string(),
                "created_ms": info.created_ms,
            })
        })
        .collect();
    out.object(&json!({"collections": listed}));
    for info in &collections {
        out.line(format!("{}: {}", info.name, info.config));
    }
    if collections.is_empty() {
        out.line("no collections");
    }
    Ok(Answer::Yes)
}

pub(crate) fn drop(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let db = existing(target)?;
    db.drop_collection(&target.collection).wait()?;
    out.object(&json!({"dropped": target.collection}));
    out.line(format!("dropped `{}`", target.collection));
    Ok(Answer::Yes)
}

pub(crate) fn rename(target: &Target, to: String, out: &Output) -> Result<Answer, Failure> {
    let db = existing(target)?;
    db.rename(&target.collection, &to).wait()?;
    out.object(&json!({"from": target.collection, "to": to}));
    out.line(format!("renamed `{}` to `{to}`", target.collection));
    Ok(Answer::Yes)
}

/// A database to change, which a wrong path must not make.
pub(super) fn existing(target: &Target) -> Result<vecgo::Database, Failure> {
    reading(target)?;
    Ok(vecgo::open(&target.uri).wait()?)
}
