//! What does not work.

use std::collections::BTreeMap;

use vecgo::{Error, ErrorKind, Stats};

/// Something that does not work, of one collection or, without a name, of all.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) collection: String,
    /// A task as [`Stats::failures`] has them; `open`, `read` or `list`.
    pub(crate) what: &'static str,
    pub(crate) error: Error,
}

impl Trouble {
    pub(crate) fn new(collection: &str, what: &'static str, error: Error) -> Self {
        Self { collection: collection.to_owned(), what, error }
    }

    /// Those of a collection that is open.
    pub(crate) fn of<'a>(collection: &'a str, stats: &'a Stats) -> impl Iterator<Item = Self> + 'a {
        let failed = stats.failures();
        failed.filter_map(move |(what, error)| Some(Self::new(collection, what, error?.clone())))
    }

    /// Whether something cannot be read or written because of it.
    pub(crate) fn is_in_the_way(&self) -> bool {
        matches!(self.what, "writer" | "open" | "read")
    }

    /// Whether searches of the collection are of no use: they fail, or find what another writer has long changed.
    pub(crate) fn is_useless(&self) -> bool {
        match self.what {
            "writer" => self.error.kind() == ErrorKind::Fenced,
            what => matches!(what, "open" | "read"),
        }
    }

    /// For those who may not know names.
    pub(crate) fn reason(&self) -> String {
        let what = match self.what {
            "writer" => "a writer has stopped",
            "open" => "a collection could not be opened",
            "read" => "a collection could not be read",
            "list" => "the list of collections could not be read",
            "commit" => "a commit failed",
            "flush" => "a flush failed",
            "merge" => "a merge failed",
            "vacuum" => "a vacuum failed",
            "refresh" => "a look for newer versions failed",
            "backup" => "a backup failed",
            _ => "old backups stay",
        };
        format!("{what} ({})", self.error.kind())
    }
}

/// What was said of troubles, so that each is said when it comes and when it goes, and not all the time.
#[derive(Debug, Default)]
pub(crate) struct Said(BTreeMap<(String, &'static str), ErrorKind>);

impl Said {
    pub(crate) fn tell(&mut self, troubles: Vec<Trouble>) {
        let mut now = BTreeMap::new();
        for Trouble { collection, what, error } in troubles {
            let kind = error.kind();
            let key = (collection, what);
            if self.0.remove(&key) != Some(kind) {
                tracing::error!(collection = key.0, what, %kind, reason = error.message(), "fails");
            }
            now.insert(key, kind);
        }
        for (collection, what) in std::mem::replace(&mut self.0, now).into_keys() {
            tracing::info!(collection, what, "works again");
        }
    }
}
