use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use vecgo::ErrorKind;
use vecgo_server::{Layers, Settings, Stopped};

use super::{config, demo};
use crate::Answer;
use crate::args::{Serve, Target};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(target: &Target, args: &Serve, out: &Output) -> Result<Answer, Failure> {
    let layers = config::layers(target, &args.said)?;
    // Gone when the server ends.
    let mut temporary = None;
    let settings = match args.demo {
        false => settings(layers)?,
        true => with_demo(target, layers, &mut temporary, out)?,
    };
    let _logs =
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
            let message = "the stop was cut short; what was acknowledged as durable is safe";
            Err(Failure::new(ErrorKind::Unavailable, message))
        }
    }
}

fn settings(layers: Layers) -> Result<Settings, Failure> {
    Settings::new(layers).map_err(|error| Failure::invalid(error.to_string()))
}

/// The same with the words of the demo in the database; if none is named, in a directory for the time being.
fn with_demo(
    target: &Target,
    layers: Layers,
    temporary: &mut Option<TempDir>,
    out: &Output,
) -> Result<Settings, Failure> {
    let uri = match layers.uri() {
        Some(uri) => uri.into(),
        None => {
            let made =
                tempfile::tempdir().map_err(|error| Failure::file(Path::new("."), &error))?;
            temporary.insert(made).path().join("database")
        }
    };
    let target = Target { uri: uri.clone(), ..target.clone() };
    demo::put_words(&target, out)?;
    settings(layers.with_uri(&uri.to_string_lossy()))
}
