use serde_json::json;
use vecgo::{Config, ErrorKind, Schema};
use vecgo_json::CollectionJson;

use super::configure::configured;
use super::{reader, reading, schema};
use crate::Answer;
use crate::args::{Create, Target};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn create(target: &Target, create: Create, out: &Output) -> Result<Answer, Failure> {
    let schema = create.schema.as_deref().map(schema::read).transpose()?;
    let config = configured(Config::new(create.dim, create.metric), &create.config)?;
    let db = target.open().wait()?;
    let creation = db.create(&target.collection, config).schema(schema.clone().unwrap_or_default());
    let created = match creation.wait() {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists && create.if_not_exists => {
            check_there(target, config, schema.as_ref())?;
            false
        }
        Err(error) => return Err(error.into()),
    };
    out.object(&json!({"name": target.collection, "created": created}));
    let what = if created { "created" } else { "there already:" };
    out.line(format!("{what} `{}`: {config}", target.collection));
    Ok(Answer::Yes)
}

/// Refuses a collection that is there and is not as asked for.
fn check_there(target: &Target, config: Config, schema: Option<&Schema>) -> Result<(), Failure> {
    let collection = reader(target)?;
    let name = &target.collection;
    let message = match schema.and_then(|schema| collection.schema().difference(schema)) {
        _ if collection.config() != config => {
            format!("collection `{name}` has {}; asked for {config}", collection.config())
        }
        Some(difference) => format!("collection `{name}`: {difference}"),
        None => return Ok(()),
    };
    Err(Failure::new(ErrorKind::Conflict, message))
}

pub(crate) fn list(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let collections = reading(target)?.collections().wait()?;
    let listed: Vec<_> = collections.iter().map(CollectionJson::from).collect();
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
fn existing(target: &Target) -> Result<vecgo::Database, Failure> {
    reading(target)?;
    Ok(target.open().wait()?)
}
