//! What the server says while it runs: on stderr, for people or for programs; and spans, where that is built in.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::settings::{Settings, SettingsError};

/// As long as it is held spans are sent, if they are wanted.
#[derive(Debug)]
pub struct Logs {
    #[cfg(feature = "otel")]
    _traces: Option<crate::traces::Traces>,
}

/// Logs from now on as the settings say.
///
/// # Errors
/// A level that is none; spans that this build cannot send. That somebody logs already is none: theirs goes on.
pub fn begin(settings: &Settings) -> Result<Logs, SettingsError> {
    let level = &settings.log.level;
    let filter = EnvFilter::try_new(level)
        .map_err(|error| SettingsError(format!("log.level is {level}: {error}")))?;
    // A word that is no level would be the name of a crate, of which all is said, and of others nothing.
    let is_word =
        |part: &str| !part.contains(['=', '[', ':']) && part.parse::<LevelFilter>().is_err();
    if level.split(',').any(|part| is_word(part.trim())) {
        let message =
            format!("log.level is {level}; expected error, warn, info, debug, trace or off");
        return Err(SettingsError(message));
    }
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match settings.log.json {
        true => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
        false => lines.with_filter(filter).boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otel")]
    {
        let sent = settings.log.otlp.as_deref().map(crate::traces::Traces::to).transpose()?;
        let (traces, tracer) = sent.unzip();
        let spans = tracer.map(|tracer| {
            let ours = tracing_subscriber::filter::filter_fn(|metadata| {
                metadata.is_span() && metadata.target().starts_with("vecgo")
            });
            tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours)
        });
        let _ = registry.with(spans).try_init();
        Ok(Logs { _traces: traces })
    }
    #[cfg(not(feature = "otel"))]
    {
        if settings.log.otlp.is_some() {
            let message = "trace.otlp is set, and this build sends no traces; build it with the feature `otel`";
            return Err(SettingsError(message.to_owned()));
        }
        let _ = registry.try_init();
        Ok(Logs {})
    }
}
