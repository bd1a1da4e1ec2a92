use std::path::Path;

use vecgo::Schema;

use super::{reader, writer};
use crate::Answer;
use crate::args::Target;
use crate::failure::Failure;
use crate::output::Output;

/// The schema in a file.
pub(super) fn read(path: &Path) -> Result<Schema, Failure> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Failure::file(path, &error))?;
    let schema = text.parse::<Schema>();
    schema.map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))
}

/// Prints the schema, after changing it to that in a file if one is given.
pub(crate) fn run(target: &Target, file: Option<&Path>, out: &Output) -> Result<Answer, Failure> {
    let schema = match file {
        None => reader(target)?.schema(),
        Some(file) => {
            let schema = read(file)?;
            let collection = writer(target)?;
            collection.set_schema(schema.clone()).wait()?;
            collection.close().wait()?;
            schema
        }
    };
    let json = schema.to_json();
    out.object(&json);
    let strict = if schema.is_strict() { ", and no others" } else { "" };
    let count = schema.fields().len();
    let noun = if count == 1 { "field" } else { "fields" };
    out.line(format!("{count} {noun} declared{strict}"));
    for (name, field) in schema.fields() {
        out.line(format!("  {name}: {}", field.in_full()));
    }
    Ok(Answer::Yes)
}
