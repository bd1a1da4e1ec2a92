//! A server from its start to its end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use vecgo::{Error, ErrorKind, Result, Stats};

use crate::held::Held;
use crate::http::Bodies;
use crate::keys::Keys;
use crate::listen::{Listener, Tls};
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::troubles::{Said, Trouble};
use crate::{api, stop};

/// Largest bodies that there is room for at a time.
const LARGE_BODIES: usize = 4;
/// Beside so many requests at a time there may be one scan or import, and at least so many of those.
const STREAMED_ONE_IN: usize = 16;
const LEAST_STREAMED: usize = 4;
/// How often the server looks which collections there are and how they are.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Of the time that a stop may take, the part in which requests are answered.
const ANSWERING: f64 = 0.7;

/// What requests work on.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) held: Held,
    pub(crate) metrics: Metrics,
    pub(crate) bodies: Arc<Bodies>,
    /// Requests that may be begun.
    pub(crate) turns: Arc<Semaphore>,
    /// The same of scans and imports: each holds a page or a line for as long as its client likes.
    pub(crate) streams: Arc<Semaphore>,
    /// Whether all that there was at the start is open.
    serving: AtomicBool,
    /// Whether the server was told to stop.
    stop: watch::Sender<bool>,
    /// Held by who lists backups.
    pub(crate) listing_backups: tokio::sync::Mutex<()>,
    /// When the last backup of everything was begun that somebody asked for, in milliseconds since 1970.
    pub(crate) asked_backup_ms: AtomicU64,
    /// What could not be opened, read or listed at the last try.
    pub(crate) broken: Mutex<Vec<Trouble>>,
}

/// How far a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Serving,
    Stopping,
}

impl State {
    pub(crate) fn phase(&self) -> Phase {
        match (*self.stop.borrow(), self.serving.load(Ordering::Relaxed)) {
            (true, _) => Phase::Stopping,
            (false, true) => Phase::Serving,
            (false, false) => Phase::Starting,
        }
    }

    /// Returns when the server is told to stop.
    pub(crate) async fn stopping(&self) {
        // The sender lives as long as the state does.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Opens what there is, and loads it.
    async fn follow(&self) {
        let mut broken = match self.held.follow().await {
            Ok(broken) => broken,
            Err(error) => {
                let kept = self.broken.lock().clone().into_iter();
                let kept = kept.filter(|trouble| trouble.what != "list");
                kept.chain([Trouble::new("", "list", error)]).collect()
            }
        };
        if self.settings.warm {
            broken.retain(|trouble| trouble.what != "read");
            broken.extend(self.held.warm().await);
        }
        let is_listed = broken.iter().all(|trouble| trouble.what != "list");
        *self.broken.lock() = broken;
        if is_listed {
            self.serving.store(true, Ordering::Relaxed);
        }
    }

    /// Open collections in numbers.
    pub(crate) fn stats(&self) -> Vec<(String, Stats)> {
        let open = self.held.all().into_iter();
        open.map(|(name, collection)| (name, collection.stats())).collect()
    }

    /// What does not work, with collections that are so.
    pub(crate) fn troubles(&self, stats: &[(String, Stats)]) -> Vec<Trouble> {
        let failed = stats.iter().flat_map(|(name, stats)| Trouble::of(name, stats));
        self.broken.lock().iter().cloned().chain(failed).collect()
    }

    /// Whether requests are to be sent here. A collection that is broken is no reason not to, beside others that are not.
    pub(crate) fn is_ready(&self, stats: &[(String, Stats)]) -> bool {
        let troubles = self.troubles(stats);
        let useless: BTreeSet<&str> = troubles
            .iter()
            .filter(|trouble| trouble.is_useless())
            .map(|trouble| trouble.collection.as_str())
            .collect();
        let useful = stats.iter().any(|(name, _)| !useless.contains(name.as_str()));
        self.phase() == Phase::Serving && (useful || useless.is_empty())
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    listener: Listener,
    metrics: Option<Listener>,
    tls: Option<Tls>,
}

/// How a server ended that was told to.
#[derive(Debug)]
pub enum Stopped {
    /// All is committed and closed.
    Clean,
    /// Requests took too long, or it was told again: what was acknowledged as durable is there at the next start.
    Cut,
    /// A collection could not be committed.
    Failed(Error),
}

impl Server {
    /// Opens the database and listens; answers come once [`Server::run`] is called.
    ///
    /// # Errors
    /// What keeps the database from being opened; an address that is taken; certificates that cannot be read.
    pub async fn start(settings: Settings) -> Result<Self> {
        let invalid =
            |error: crate::SettingsError| Error::new(ErrorKind::InvalidArgument, error.to_string());
        let database = settings.open().map_err(invalid)?.await?;
        let keys = Keys::new(&settings.auth).map_err(invalid)?;
        let tls = settings.tls.as_ref().map(Tls::new).transpose().map_err(invalid)?;
        let limits = &settings.limits;
        let listener = Listener::bind(settings.listen, limits.connections).await?;
        let metrics = match settings.metrics_listen {
            Some(address) => Some(Listener::bind(address, limits.connections).await?),
            None => None,
        };
        if keys.is_empty() && settings.auth.insecure && !settings.listen.ip().is_loopback() {
            tracing::warn!(address = %settings.listen, "no key is set: everybody who reaches this may do everything");
        }
        let state = State {
            keys,
            held: Held::new(database),
            metrics: Metrics::new(),
            bodies: Bodies::new(limits.body, LARGE_BODIES),
            turns: Arc::new(Semaphore::new(limits.requests)),
            streams: Arc::new(Semaphore::new(
                (limits.requests / STREAMED_ONE_IN).max(LEAST_STREAMED),
            )),
            serving: AtomicBool::new(false),
            stop: watch::Sender::new(false),
            listing_backups: tokio::sync::Mutex::default(),
            asked_backup_ms: AtomicU64::new(0),
            broken: Mutex::default(),
            settings,
        };
        Ok(Self { state: Arc::new(state), listener, metrics, tls })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where metrics are served too.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Listener::address)
    }

    /// Serves until the process is told to stop (SIGTERM or SIGINT), then finishes what was begun, commits and
    /// closes. Told again, it ends at once.
    ///
    /// # Errors
    /// If the signals cannot be waited for.
    pub async fn run(self) -> Result<Stopped> {
        let mut signals = stop::Signals::new()?;
        let Self { state, listener, metrics, tls } = self;
        let (limits, router) = (state.settings.limits, api::router(&state));
        let opening = tokio::spawn(keep_open(Arc::clone(&state)));
        if let Some(tls) = &tls {
            tls.reload_when_told(state.stop.subscribe());
        }
        let serving =
            tokio::spawn(listener.serve(router, tls, limits.idle, state.stop.subscribe()));
        let metrics = metrics.map(|listener| {
            let router = api::metrics_router(&state, listener.address());
            tokio::spawn(listener.serve(router, None, limits.idle, state.stop.subscribe()))
        });
        signals.first().await;
        tracing::info!("stopping: finishing what was begun");
        let begun = Instant::now();
        state.stop.send_replace(true);
        let deadline = state.settings.stop_deadline;
        let ending = async {
            let answered = async {
                let _ = serving.await;
                if let Some(metrics) = metrics {
                    let _ = metrics.await;
                }
                let _ = opening.await;
            };
            // What is not answered by then is cut, so that there is time to commit.
            let answered =
                tokio::time::timeout(deadline.mul_f64(ANSWERING), answered).await.is_ok();
            (answered, state.held.close().await)
        };
        tokio::select! {
            (answered, closed) = ending => {
                tracing::info!(seconds = begun.elapsed().as_secs_f64(), answered, "closed");
                Ok(match closed {
                    Err(error) => Stopped::Failed(error),
                    Ok(()) if answered => Stopped::Clean,
                    Ok(()) => Stopped::Cut,
                })
            }
            () = tokio::time::sleep(deadline) => {
                tracing::error!(?deadline, "not everything was closed in time");
                Ok(Stopped::Cut)
            }
            () = signals.first() => {
                tracing::warn!("told to stop again: ending at once");
                Ok(Stopped::Cut)
            }
        }
    }
}

/// Starts a server on threads of its own and runs it to its end; `listening` is told where it listens.
///
/// # Errors
/// As [`Server::start`] and [`Server::run`].
pub fn serve(settings: Settings, listening: impl FnOnce(&Server)) -> Result<Stopped> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::new(ErrorKind::ResourceExhausted, format!("threads to serve on: {error}"))
    })?;
    let stopped = runtime.block_on(async {
        let server = Server::start(settings).await?;
        listening(&server);
        server.run().await
    });
    // What hangs after a stop that was cut is not waited for.
    runtime.shutdown_background();
    stopped
}

/// Opens collections at the start, and those that come later, could not be opened, or have stopped; and says what
/// does not work.
async fn keep_open(state: Arc<State>) {
    let mut said = Said::default();
    loop {
        said.tell(state.troubles(&state.stats()));
        tokio::select! {
            () = state.stopping() => return,
            () = state.follow() => said.tell(state.troubles(&state.stats())),
        }
        tokio::select! {
            () = state.stopping() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
