//! What the server is told before it starts.

mod keys;
mod layers;
mod value;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use vecgo::{AutoCommit, Keep, Open, Retention, WalSync};

pub use layers::{Layers, Origin, Shown};
pub use value::{BYTES, bytes};

/// Settings that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SettingsError(pub(crate) String);

/// How a server is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the database is.
    pub uri: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to serve metrics too.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether it writes nothing.
    pub read_only: bool,
    /// Whether what searches read is loaded before requests are taken.
    pub warm: bool,
    /// How long a stop may take.
    pub stop_deadline: Duration,
    /// Searches that take longer are logged.
    pub slow: Duration,
    /// Whether metrics tell collections apart.
    pub per_collection: bool,
    /// Where backups go.
    pub backup_to: Option<String>,
    pub(crate) auth: Auth,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) limits: Limits,
    pub(crate) memtable_bytes: u64,
    pub(crate) log: Log,
    layers: Layers,
}

/// Who may do what.
#[derive(Clone)]
pub(crate) struct Auth {
    pub(crate) write_keys: Vec<String>,
    pub(crate) read_keys: Vec<String>,
    pub(crate) first_start_key: Option<PathBuf>,
    pub(crate) insecure: bool,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (write, read) = (self.write_keys.len(), self.read_keys.len());
        write!(f, "Auth({write} write keys, {read} read keys)")
    }
}

#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// What a client may ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) body: usize,
    pub(crate) line: usize,
    pub(crate) k: usize,
    pub(crate) batch: usize,
    pub(crate) time: Duration,
    pub(crate) idle: Duration,
    pub(crate) connections: usize,
    pub(crate) requests: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) json: bool,
    /// Where spans are sent.
    pub(crate) otlp: Option<String>,
}

/// Shortest key that is accepted: one that can be guessed is worse than none, which is noticed.
const MIN_KEY_BYTES: usize = 16;
/// The old one and the new one.
const MAX_KEYS: usize = 2;

impl Settings {
    /// Those that layers of values say.
    ///
    /// # Errors
    /// Values that cannot be, or not beside each other.
    pub fn new(layers: Layers) -> Result<Self, SettingsError> {
        let uri = layers.text("data.dir").ok_or_else(|| {
            SettingsError(
                "no database is named: give its directory or URI, or set VECGO_DATA_DIR".to_owned(),
            )
        })?;
        let listen = address(&layers, "server.listen")?
            .ok_or_else(|| SettingsError("server.listen is empty".to_owned()))?;
        let tls = match (layers.text("tls.cert"), layers.text("tls.key")) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert: cert.into(), key: key.into() }),
            (None, None) => None,
            _ => return Err(SettingsError("of tls.cert and tls.key one is missing".to_owned())),
        };
        let settings = Self {
            uri,
            listen,
            metrics_listen: address(&layers, "server.metrics_listen")?,
            read_only: layers.flag("server.read_only"),
            warm: layers.flag("data.warm"),
            stop_deadline: layers.time("server.stop_deadline"),
            slow: layers.time("log.slow"),
            per_collection: layers.flag("metrics.per_collection"),
            backup_to: layers.text("backup.to"),
            auth: auth(&layers)?,
            tls,
            limits: limits(&layers)?,
            memtable_bytes: layers.bytes("data.memtable").unwrap_or_default(),
            log: log(&layers)?,
            layers,
        };
        settings.check_reach()?;
        // So that what cannot be is said before anything is opened.
        drop(settings.open()?);
        Ok(settings)
    }

    /// Beyond this machine only with a key, or where it was said that none is wanted.
    fn check_reach(&self) -> Result<(), SettingsError> {
        let auth = &self.auth;
        let keys = !auth.write_keys.is_empty() || !auth.read_keys.is_empty();
        if auth.insecure && (keys || auth.first_start_key.is_some()) {
            let message = "server.insecure means that no key is wanted, and there is one";
            return Err(SettingsError(message.to_owned()));
        }
        let reaches = |address: SocketAddr| !address.ip().is_loopback();
        if !reaches(self.listen) || keys || auth.first_start_key.is_some() || auth.insecure {
            return Ok(());
        }
        Err(SettingsError(format!(
            "{} can be reached from beyond this machine and no key is set: set auth.write_keys \
             (VECGO_AUTH__WRITE_KEYS), or say --insecure",
            self.listen
        )))
    }

    /// The database, about to be opened.
    pub(crate) fn open(&self) -> Result<Open, SettingsError> {
        let layers = &self.layers;
        let mut open = vecgo::open(&self.uri)
            .read_only(self.read_only)
            .cache_bytes(layers.bytes("data.block_cache").unwrap_or_default())
            .memtable_bytes(usize::try_from(self.memtable_bytes).unwrap_or(usize::MAX))
            .retention(Retention {
                versions: layers.number("data.keep_versions")?,
                ..Retention::default()
            })
            .wal_sync(wal_sync(&layers.text("data.wal_sync").unwrap_or_default())?);
        if let Some(bytes) = layers.bytes("data.memory_limit") {
            open = open.memory_limit(bytes);
        }
        if let Some(directory) = layers.text("data.cache_dir") {
            open = open.cache_dir(directory, layers.bytes("data.cache_size").unwrap_or_default());
        }
        if let Some(directory) = layers.text("data.log_dir") {
            open = open.log_dir(directory);
        }
        if self.read_only {
            return Ok(open.refresh_interval(layers.time("data.refresh")));
        }
        let interval = Some(layers.time("data.auto_commit")).filter(|time| !time.is_zero());
        open = open.auto_commit(AutoCommit { interval, bytes: None });
        let every = self.backup_interval().filter(|every| !every.is_zero());
        if let (Some(place), Some(every)) = (&self.backup_to, every) {
            open = open.backup_to(place.as_str()).backup_interval(every).backup_keep(self.keep()?);
            if let Some(bytes) = self.bandwidth() {
                open = open.backup_bandwidth(bytes);
            }
        }
        Ok(open)
    }

    fn keep(&self) -> Result<Keep, SettingsError> {
        let number = |name| self.layers.number(name);
        Ok(Keep {
            last: number("backup.keep_last")?,
            daily: number("backup.keep_daily")?,
            weekly: number("backup.keep_weekly")?,
        })
    }

    /// How often this server backs itself up, zero for when it is asked to; `None` if it does not.
    pub(crate) fn backup_interval(&self) -> Option<Duration> {
        let makes_some = self.backup_to.is_some() && !self.read_only;
        makes_some.then(|| self.layers.time("backup.interval"))
    }

    pub(crate) fn bandwidth(&self) -> Option<u64> {
        self.layers.bytes("backup.bandwidth")
    }
}

fn address(layers: &Layers, name: &str) -> Result<Option<SocketAddr>, SettingsError> {
    let Some(text) = layers.text(name) else { return Ok(None) };
    let text = match text.split_once(':') {
        Some(("", port)) => format!("0.0.0.0:{port}"),
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        _ => text,
    };
    let wrong = |_| {
        SettingsError(format!(
            "{name} is {text}; expected an address and port, like 127.0.0.1:8080"
        ))
    };
    text.parse().map(Some).map_err(wrong)
}

/// Keys of a setting, and of the file that another names.
fn keys(layers: &Layers, name: &str, file: &str) -> Result<Vec<String>, SettingsError> {
    let mut keys = layers.list(name);
    if let Some(path) = layers.text(file) {
        let lines = std::fs::read_to_string(&path)
            .map_err(|error| SettingsError(format!("{file}: {path}: {error}")))?;
        let before = keys.len();
        keys.extend(
            lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned),
        );
        if keys.len() == before {
            return Err(SettingsError(format!("{file}: {path} has no key")));
        }
    }
    Ok(keys)
}

fn auth(layers: &Layers) -> Result<Auth, SettingsError> {
    let auth = Auth {
        write_keys: keys(layers, "auth.write_keys", "auth.write_keys_file")?,
        read_keys: keys(layers, "auth.read_keys", "auth.read_keys_file")?,
        first_start_key: layers.text("auth.first_start_key").map(PathBuf::from),
        insecure: layers.flag("server.insecure"),
    };
    for (name, keys) in [("auth.write_keys", &auth.write_keys), ("auth.read_keys", &auth.read_keys)]
    {
        if keys.len() > MAX_KEYS {
            let found = keys.len();
            return Err(SettingsError(format!(
                "{name}: {found} keys; expected {MAX_KEYS} at most"
            )));
        }
        if keys.iter().any(|key| {
            key.len() < MIN_KEY_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic())
        }) {
            let message = format!(
                "{name}: a key is short or has odd characters; expected {MIN_KEY_BYTES} or more of \
                 ASCII, as `openssl rand -hex 32` makes them"
            );
            return Err(SettingsError(message));
        }
    }
    if auth.write_keys.iter().any(|key| auth.read_keys.contains(key)) {
        return Err(SettingsError("a key is to write and to read only".to_owned()));
    }
    Ok(auth)
}

fn limits(layers: &Layers) -> Result<Limits, SettingsError> {
    let bytes =
        |name| usize::try_from(layers.bytes(name).unwrap_or_default()).unwrap_or(usize::MAX);
    let limits = Limits {
        body: bytes("limits.body"),
        line: bytes("limits.line"),
        k: layers.number("limits.k")?,
        batch: layers.number("limits.batch")?,
        time: layers.time("limits.time"),
        idle: layers.time("limits.idle"),
        connections: layers.number("limits.connections")?,
        requests: layers.number("limits.requests")?,
    };
    let least =
        [limits.body, limits.line, limits.k, limits.batch, limits.connections, limits.requests];
    let most = limits.connections.max(limits.requests);
    if most > Semaphore::MAX_PERMITS {
        return Err(SettingsError(format!("a limit is {most}, which is too much")));
    }
    if least.contains(&0) || limits.time.is_zero() || limits.idle.is_zero() {
        return Err(SettingsError("a limit is 0; nothing could be asked".to_owned()));
    }
    Ok(limits)
}

fn log(layers: &Layers) -> Result<Log, SettingsError> {
    let format = layers.text("log.format").unwrap_or_default();
    let json = match format.as_str() {
        "text" => false,
        "json" => true,
        _ => return Err(SettingsError(format!("log.format is {format}; expected text or json"))),
    };
    let level = layers.text("log.level").unwrap_or_default();
    Ok(Log { level, json, otlp: layers.text("trace.otlp") })
}

fn wal_sync(text: &str) -> Result<WalSync, SettingsError> {
    match text {
        "every" => Ok(WalSync::EveryWrite),
        "commit" => Ok(WalSync::OnCommit),
        ms => ms.parse().map(Duration::from_millis).map(WalSync::Interval).map_err(|_| {
            SettingsError(format!(
                "data.wal_sync is {text}; expected every, commit or milliseconds"
            ))
        }),
    }
}
