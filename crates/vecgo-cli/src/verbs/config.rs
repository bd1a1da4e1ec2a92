use std::path::Path;

use serde_json::{Value, json};
use vecgo_server::Layers;

use crate::Answer;
use crate::args::{ConfigVerb, Said, Target};
use crate::failure::Failure;
use crate::output::Output;

/// All that was said of a server: on the command line, in the environment, in a file.
pub(super) fn layers(target: &Target, said: &Said) -> Result<Layers, Failure> {
    if target.is_named {
        let message = "--collection: a server has all collections of its database";
        return Err(Failure::usage(message.to_owned()));
    }
    let mut flags: Vec<(String, String)> = Vec::new();
    for pair in &said.set {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("--set {pair}: expected SECTION.KEY=VALUE")));
        };
        flags.push((key.to_owned(), value.to_owned()));
    }
    let mut say = |key: &str, value: Option<String>| {
        flags.extend(value.map(|value| (key.to_owned(), value)));
    };
    say("data.dir", said.uri.as_deref().map(text).transpose()?);
    say("server.listen", said.listen.clone());
    say("server.read_only", said.read_only.then(|| "true".to_owned()));
    say("server.insecure", said.insecure.then(|| "true".to_owned()));
    say("data.memory_limit", target.memory_limit.map(|bytes| bytes.to_string()));
    if let Some((directory, bytes)) = &target.cache {
        say("data.cache_dir", Some(text(directory)?));
        say("data.cache_size", Some(bytes.to_string()));
    }
    say("data.log_dir", target.log_dir.as_deref().map(text).transpose()?);
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok().filter(|name| name.starts_with("VECGO_"))?, value))
    });
    let mut environment = Vec::new();
    for (name, value) in ours {
        let value =
            value.into_string().map_err(|_| Failure::invalid(format!("{name} is no UTF-8")))?;
        environment.push((name, value));
    }
    Layers::read(said.config.as_deref(), environment, flags)
        .map_err(|error| Failure::invalid(error.to_string()))
}

/// Settings are texts.
fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::invalid(format!("{}: expected UTF-8", path.display())))
}

pub(crate) fn run(target: &Target, what: &ConfigVerb, out: &Output) -> Result<Answer, Failure> {
    let ConfigVerb::Print { said } = what;
    let layers = layers(target, said)?;
    let shown: Vec<Value> = layers
        .shown()
        .map(|shown| {
            json!({
                "key": shown.key,
                "value": shown.value,
                "origin": shown.origin.to_string(),
                "about": shown.about,
            })
        })
        .collect();
    out.object(&json!({"settings": shown}));
    for shown in layers.shown() {
        let value = if shown.value.is_empty() { "-" } else { &shown.value };
        out.line(format!("{:<26} {value:<16} {}", shown.key, shown.origin));
    }
    Ok(Answer::Yes)
}
