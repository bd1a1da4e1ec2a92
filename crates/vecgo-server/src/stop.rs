//! What tells a server to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use vecgo::{Error, ErrorKind, Result};

/// SIGTERM and SIGINT. SIGHUP, which would end the process too, has certificates read again where there are any.
#[derive(Debug)]
pub(crate) struct Signals {
    _hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self> {
        let failed =
            |error: std::io::Error| Error::new(ErrorKind::Internal, format!("signals: {error}"));
        Ok(Self {
            _hangup: signal(SignalKind::hangup()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    /// Returns when the next of them comes.
    pub(crate) async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
