//! Every key that there is.

use super::value::Kind;

/// A key of the configuration.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it is unless somebody says otherwise; empty for nothing.
    pub(super) default: &'static str,
    /// Whether nobody may see what it is.
    pub(super) secret: bool,
    pub(super) about: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { name, kind, default, secret: false, about }
}

const fn secret(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, default: "", secret: true, about }
}

use Kind::{Bytes, Flag, List, Number, Text, Time};

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("data.dir", Text, "", "the database: a directory, or s3://, gs://, az://, memory://; VECGO_DATA_DIR too"),
    key("data.wal_sync", Text, "every", "when acknowledged writes are durable: every, commit, or so many milliseconds later"),
    key("data.auto_commit", Time, "5s", "how long after a write others see it at the latest; 0s for when `commit` is called"),
    key("data.memory_limit", Bytes, "", "memory of the database; three quarters of what there is if empty"),
    key("data.block_cache", Bytes, "256MiB", "bytes of blocks read that are kept in memory, and as many again of vectors of segments that fit whole"),
    key("data.cache_dir", Text, "", "a directory of this machine that keeps what was read from a bucket"),
    key("data.cache_size", Bytes, "1GiB", "bytes of it"),
    key("data.log_dir", Text, "", "a directory of this machine for the logs of a writer whose data is in a bucket"),
    key("data.memtable", Bytes, "64MiB", "bytes of writes in memory, of each collection, that become a segment"),
    key("data.refresh", Time, "1s", "how often a replica looks for what the writer has committed"),
    key("data.warm", Flag, "true", "whether what searches read is loaded before the server is ready"),
    key("data.keep_versions", Number, "16", "versions that are kept beside named ones"),
    key("server.listen", Text, "127.0.0.1:8080", "where to listen"),
    key("server.metrics_listen", Text, "", "where /metrics and the health paths are served too, and nothing else"),
    key("server.read_only", Flag, "false", "a replica: it follows the writer and writes nothing"),
    key("server.insecure", Flag, "false", "listen beyond this machine though no key is set"),
    key("server.stop_deadline", Time, "30s", "how long a stop may take"),
    secret("auth.write_keys", List, "keys that may do everything, two at most"),
    secret("auth.read_keys", List, "keys that may read, two at most"),
    key("auth.write_keys_file", Text, "", "a file with keys that may do everything, one a line; beside auth.write_keys"),
    key("auth.read_keys_file", Text, "", "the same of keys that may read"),
    key("auth.first_start_key", Text, "", "where no key is set: a file with one, which is made if it is not there"),
    key("tls.cert", Text, "", "a PEM file of certificates; with tls.key it makes the server speak TLS"),
    key("tls.key", Text, "", "the PEM file of its private key"),
    key("limits.body", Bytes, "64MiB", "bytes of a request, but for an import"),
    key("limits.line", Bytes, "16MiB", "bytes of a line of an import"),
    key("limits.k", Number, "10000", "records that a search may ask for"),
    key("limits.batch", Number, "1000", "queries of a batch, and ids of a request"),
    key("limits.time", Time, "30s", "how long a request may take, but for those that go on for long by nature"),
    key("limits.idle", Time, "30s", "how long a client may let a request or an answer wait"),
    key("limits.connections", Number, "1024", "connections at a time"),
    key("limits.requests", Number, "256", "requests that are worked on at a time; beside them a sixteenth as many scans and imports"),
    key("log.level", Text, "info", "error, warn, info, debug or trace, or directives of tracing's EnvFilter as target=level; VECGO_LOG too"),
    key("log.format", Text, "text", "text or json"),
    key("log.slow", Time, "1s", "searches that take longer are logged"),
    key("trace.otlp", Text, "", "a collector that takes spans by OTLP over HTTP, as http://host:4318 (builds with the feature `otel`)"),
    key("metrics.per_collection", Flag, "false", "whether collections are told apart"),
    key("backup.to", Text, "", "where backups go: a directory, or s3://, gs://, az://"),
    key("backup.interval", Time, "1h", "how often one is made; 0s for when one is asked for"),
    key("backup.keep_last", Number, "24", "backups that are kept"),
    key("backup.keep_daily", Number, "7", "days of which the last one is kept"),
    key("backup.keep_weekly", Number, "4", "weeks of which the last one is kept"),
    key("backup.bandwidth", Bytes, "", "bytes a second that are copied at most"),
];

/// Variables that are a key's under a name of their own.
pub(super) const VARIABLES: &[(&str, &str)] =
    &[("VECGO_DATA_DIR", "data.dir"), ("VECGO_LOG", "log.level")];

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
