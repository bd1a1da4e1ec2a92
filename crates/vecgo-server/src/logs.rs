//! What the server says while it runs: on stderr, for people or for programs.

use tracing_subscriber::EnvFilter;

use crate::settings::{Settings, SettingsError};

/// Logs from now on as the settings say.
///
/// # Errors
/// A level that is none. That somebody logs already is none: theirs goes on.
pub fn begin(settings: &Settings) -> Result<(), SettingsError> {
    let level = &settings.log.level;
    let filter = EnvFilter::try_new(level)
        .map_err(|error| SettingsError(format!("log.level is {level}: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let _ = match settings.log.json {
        true => log.json().flatten_event(true).try_init(),
        false => log.try_init(),
    };
    Ok(())
}
