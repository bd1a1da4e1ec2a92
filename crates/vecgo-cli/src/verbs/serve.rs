use std::path::PathBuf;

use serde_json::json;
use vecgo::ErrorKind;
use vecgo_server::{Settings, Stopped};

use super::{config, demo};
use crate::Answer;
use crate::args::{Said, Serve, Target};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(target: &Target, args: &Serve, out: &Output) -> Result<Answer, Failure> {
    // Gone when the server ends.
    let temporary =
        tempfile::tempdir().map_err(|error| Failure::file(&PathBuf::from("."), &error))?;
    let settings = match args.demo {
        false => settings(target, &args.said)?,
        true => with_demo(target, &args.said, temporary.path().join("database"), out)?,
    };
    vecgo_server::begin_logs(&settings).map_err(|error| Failure::invalid(error.to_string()))?;
    let stopped = vecgo_server::serve(settings, |server| {
        let address = server.address();
        let metrics = server.metrics_address();
        out.object(&json!({"listening": address.to_string(), "metrics": metrics.map(|address| address.to_string())}));
        out.line(format!(
            "listening on {address}; a page is at /, health at /health, metrics at /metrics"
        ));
    })?;
    match stopped {
        Stopped::Clean => Ok(Answer::Yes),
        Stopped::Failed(error) => Err(error.into()),
        Stopped::Cut => {
            let message = "stopped before all was committed and closed; what was acknowledged as durable is safe";
            Err(Failure::new(ErrorKind::Unavailable, message))
        }
    }
}

fn settings(target: &Target, said: &Said) -> Result<Settings, Failure> {
    Settings::new(config::layers(target, said)?)
        .map_err(|error| Failure::invalid(error.to_string()))
}

/// The same with the words of the demo in the database.
fn with_demo(
    target: &Target,
    said: &Said,
    otherwise: PathBuf,
    out: &Output,
) -> Result<Settings, Failure> {
    let layers = config::layers(target, said)?;
    let named = layers.shown().find(|shown| shown.key == "data.dir").map(|shown| shown.value);
    let uri = named.filter(|uri| !uri.is_empty()).map_or(otherwise, PathBuf::from);
    let target = Target { uri: uri.clone(), ..target.clone() };
    demo::put_words(&target, out)?;
    let said = Said {
        uri: Some(uri),
        listen: said.listen.clone(),
        config: said.config.clone(),
        set: said.set.clone(),
        ..*said
    };
    settings(&target, &said)
}
