//! Arguments of backups and copies.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

#[derive(Debug, ClapArgs)]
pub(crate) struct Snapshot {
    pub(crate) uri: PathBuf,
    /// A directory or a part of a bucket that holds nothing but backups.
    pub(crate) place: PathBuf,
    /// A version of the collection that is kept, in place of the newest.
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u64>,
    #[command(flatten)]
    pub(crate) budget: Budget,
}

/// How fast to copy.
#[derive(Debug, ClapArgs)]
pub(crate) struct Budget {
    /// Copy so many bytes a second at most.
    #[arg(long, value_name = "BYTES", value_parser = super::rate)]
    pub(crate) bandwidth: Option<NonZeroU64>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Backup {
    pub(crate) uri: PathBuf,
    /// A directory or a part of a bucket that holds nothing but backups.
    pub(crate) place: PathBuf,
    /// Go on, with a backup every so many seconds, until killed.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) every: Option<NonZeroU64>,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) budget: Budget,
}

/// Which backups are kept.
#[derive(Debug, ClapArgs)]
pub(crate) struct KeepArgs {
    /// Keep so many of the newest.
    #[arg(long, value_name = "N")]
    pub(crate) keep_last: Option<usize>,
    /// Keep the newest of each of the last so many days with one, by UTC.
    #[arg(long, value_name = "N")]
    pub(crate) keep_daily: Option<usize>,
    /// Keep the newest of each of the last so many weeks with one.
    #[arg(long, value_name = "N")]
    pub(crate) keep_weekly: Option<usize>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Restore {
    /// The place with the backups.
    pub(crate) place: PathBuf,
    /// The database that is made, or gets the collections.
    pub(crate) uri: PathBuf,
    #[command(flatten)]
    pub(crate) which: Which,
    /// The name that the one collection gets.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Read back what was restored, count it, and search for some of it.
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) budget: Budget,
}

/// Which backup: the newest if nothing is said.
#[derive(Debug, ClapArgs)]
#[group(multiple = false)]
pub(crate) struct Which {
    /// The newest that holds the collection at this version.
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u64>,
    /// The newest that holds nothing committed later: 2026-01-31T12:00:00Z, or milliseconds since 1970.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
    /// That of an id, as `backups list` shows it.
    #[arg(long, value_name = "ID")]
    pub(crate) backup: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Backups {
    /// List the backups there, newest first.
    List { place: PathBuf },
    /// Read backups, all or one, and check every byte.
    Verify {
        place: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Delete one backup, and what only it has.
    Delete {
        place: PathBuf,
        /// Its id, as `backups list` shows it.
        backup: String,
    },
    /// Delete the backups that are not kept (24 of the newest, 7 of days, 4 of weeks), and what only they have.
    Prune {
        place: PathBuf,
        #[command(flatten)]
        keep: KeepArgs,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CloneTo {
    pub(crate) uri: PathBuf,
    /// The other database, or the same.
    pub(crate) to: PathBuf,
    /// A version of the collection that is kept, in place of the newest.
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u64>,
    /// The name that the one collection gets.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) budget: Budget,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Export {
    pub(crate) uri: PathBuf,
    /// The file that is made; - prints JSON Lines.
    pub(crate) file: PathBuf,
    /// What to write (what the name ends in).
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// The collection as it was at a version.
    #[arg(long, value_name = "N", conflicts_with = "tag")]
    pub(crate) version: Option<u64>,
    /// The collection as it was when a version got this name.
    #[arg(long)]
    pub(crate) tag: Option<String>,
}

/// A kind of file that has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Jsonl,
    Parquet,
}

impl Format {
    /// That of a file's name.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "jsonl" => Some(Self::Jsonl),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}
