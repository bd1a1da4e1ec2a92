//! The command line. Scripts depend on it.

mod copies;
mod serving;

use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use vecgo::Metric;

pub(crate) use copies::{
    Backup, Backups, Budget, CloneTo, Export, Format, KeepArgs, Restore, Snapshot, Which,
};
pub(crate) use serving::{ConfigVerb, Said, Serve};

/// An embedded vector database.
#[derive(Debug, Parser)]
#[command(name = "vecgo", version, about, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Print one JSON object on stdout, for a failure too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The collection (`default`; of backups and copies all).
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    /// Most memory to take; most of what the machine has, or this process may take, without it.
    #[arg(long, global = true, value_name = "BYTES", value_parser = size)]
    pub(crate) memory_limit: Option<u64>,
    /// Keep what is read from a bucket in this directory, for the next time too.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Bytes of that directory (1 GiB).
    #[arg(long, global = true, value_name = "BYTES", value_parser = size, requires = "cache_dir", default_value = "1GiB", hide_default_value = true)]
    pub(crate) cache_size: u64,
    /// Keep the logs of a writer in this directory, not in the bucket: see docs/shared-storage.md for what that means.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
}

/// Bytes, as settings of the server have them.
pub(super) fn size(text: &str) -> Result<u64, String> {
    vecgo_server::bytes(text).ok_or_else(|| format!("expected {}", vecgo_server::BYTES))
}

/// So many bytes a second.
pub(super) fn rate(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(size(text)?).ok_or_else(|| "expected more than 0".to_owned())
}

/// What a verb works on.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) uri: PathBuf,
    pub(crate) collection: String,
    /// Whether it was named.
    pub(crate) is_named: bool,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) cache: Option<(PathBuf, u64)>,
    pub(crate) log_dir: Option<PathBuf>,
}

impl Target {
    /// The database, about to be opened.
    pub(crate) fn open(&self) -> vecgo::Open {
        let open = self.open_at(&self.uri);
        match &self.log_dir {
            Some(directory) => open.log_dir(directory),
            None => open,
        }
    }

    /// Another, with the same limits.
    pub(crate) fn open_at(&self, uri: &Path) -> vecgo::Open {
        let open = vecgo::open(uri);
        let open = match self.memory_limit {
            Some(bytes) => open.memory_limit(bytes),
            None => open,
        };
        match &self.cache {
            Some((directory, bytes)) => open.cache_dir(directory, *bytes),
            None => open,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show what Vecgo does, on real texts: import, search, reopen, a kill, recall and speed.
    Demo(Demo),
    /// Create a collection.
    Create(Create),
    /// List the collections.
    Collections { uri: PathBuf },
    /// Delete a collection and all it holds.
    Drop { uri: PathBuf },
    /// Give a collection another name.
    Rename {
        uri: PathBuf,
        /// The new name.
        #[arg(long)]
        to: String,
    },
    /// Write the records of files: .npy, .fvecs, .bvecs, .jsonl, .parquet.
    Import(Import),
    /// Find the nearest records.
    Search(Search),
    /// Say how a search goes about it: what a filter matches, which way is taken and why.
    Explain(Search),
    /// Count the values of a field.
    Facet {
        uri: PathBuf,
        /// Keys with dots between them.
        field: String,
        /// How many values, those of most records first.
        #[arg(short, default_value_t = 10)]
        k: usize,
        /// Count only records that match.
        #[arg(long, value_name = "JSON")]
        filter: Option<String>,
    },
    /// Measure recall and speed.
    Bench(Bench),
    /// Print records.
    Get(Ids),
    /// Delete records: some, or all that match.
    Delete(Deletion),
    /// Count records.
    Count {
        uri: PathBuf,
        /// Count only records that match.
        #[arg(long, value_name = "JSON")]
        filter: Option<String>,
    },
    /// Print a collection in numbers.
    Stats { uri: PathBuf },
    /// List the versions that are kept, newest first.
    Versions { uri: PathBuf },
    /// Read everything and check every checksum.
    Verify { uri: PathBuf },
    /// Merge all segments into one, and drop rows that were replaced or deleted.
    Compact { uri: PathBuf },
    /// Delete what only versions need that are not kept.
    Vacuum {
        uri: PathBuf,
        /// Keep so many of the newest versions (default 16).
        #[arg(long, value_name = "N")]
        keep: Option<u64>,
    },
    /// Show what the fields of documents have to be, or change it.
    Schema {
        uri: PathBuf,
        /// What they shall be; all records must be so already.
        #[arg(long = "set", value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Change the index or the quantization of a collection, of what is written from then on, or how much
    /// searches find.
    Configure {
        uri: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Give a version a name: it is kept for as long as it has one.
    Tag {
        uri: PathBuf,
        tag: String,
        /// The version; without it one that holds everything.
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// Take a name away from the version that has it.
    Untag { uri: PathBuf, tag: String },
    /// Copy what is committed to a place for backups.
    Snapshot(Snapshot),
    /// The same once or every so often, and delete backups that are not kept.
    Backup(Backup),
    /// Bring a backup back.
    Restore(Restore),
    /// List, check or delete backups.
    Backups {
        #[command(subcommand)]
        what: Backups,
    },
    /// Copy collections to another database or another name, by links or within the bucket where that can be.
    Clone(CloneTo),
    /// Write everything that a collection holds to a file: .jsonl or .parquet.
    Export(Export),
    /// Serve a database over HTTP.
    Serve(Serve),
    /// Show how a server would be set up.
    Config {
        #[command(subcommand)]
        what: ConfigVerb,
    },
    /// Reckon what a collection takes: memory, disk, and the time that its import takes on this machine.
    Sizing(Sizing),
    /// Check what a directory and this machine can do.
    Doctor { uri: PathBuf },
    /// Print a completion script.
    Completions { shell: Shell },
    /// Write records and print their acknowledgements until killed.
    #[command(hide = true)]
    DemoWriter { uri: PathBuf },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Keep the database in this directory; without it a temporary one is used and removed.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Print the licence of the texts instead.
    #[arg(long)]
    pub(crate) license: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Create {
    pub(crate) uri: PathBuf,
    /// Dimensions of a vector.
    #[arg(long)]
    pub(crate) dim: usize,
    /// cosine, l2 or dot.
    #[arg(long)]
    pub(crate) metric: Metric,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// What the fields of documents have to be, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Succeed if it is there already with the same configuration and, if one is given, schema.
    #[arg(long)]
    pub(crate) if_not_exists: bool,
}

/// What a collection is searched by.
#[derive(Debug, ClapArgs)]
pub(crate) struct IndexArgs {
    /// graph (or hnsw): a graph of near neighbours, the default; disk: the same with the vectors left on
    /// the disk; ivf: clusters; flat: exact scan.
    #[arg(long)]
    pub(crate) index: Option<String>,
    /// Edges of a row of a graph, 4 to 128 (default 32, of disk 24).
    #[arg(long, value_name = "N")]
    pub(crate) m: Option<u16>,
    /// Candidates kept while a graph is built, 8 to 4096 (default 200).
    #[arg(long, value_name = "N")]
    pub(crate) ef_construction: Option<u16>,
    /// Clusters of an IVF index, 1 to 1048576 (default: four times the root of the rows).
    #[arg(long, value_name = "N")]
    pub(crate) n_clusters: Option<NonZeroU32>,
    /// Codes that an index is searched by: none, sq8, rabitq:1 (or binary) to rabitq:8, int4 (rabitq:4),
    /// pq:1 to pq:255, the bytes of a record, no more than dimensions (default rabitq:8, of disk rabitq:4).
    #[arg(long)]
    pub(crate) quantization: Option<String>,
}

/// What of a collection can be changed, but for its schema.
#[derive(Debug, ClapArgs)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,
    /// How much of what is nearest searches find unless they are told otherwise, 0.5 to 0.9999; none, the
    /// default, to go as far as usual.
    #[arg(long, value_name = "RECALL")]
    pub(crate) recall_target: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Sizing {
    /// How many records.
    #[arg(long)]
    pub(crate) rows: u64,
    /// Dimensions of a vector.
    #[arg(long)]
    pub(crate) dim: usize,
    /// cosine, l2 or dot.
    #[arg(long, default_value = "cosine")]
    pub(crate) metric: Metric,
    #[command(flatten)]
    pub(crate) index: IndexArgs,
    /// Bytes of the metadata of a record, as JSON, on average.
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "0")]
    pub(crate) metadata_bytes: u64,
    /// Bytes of the payload of a record, on average.
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "0")]
    pub(crate) payload_bytes: u64,
    /// Bytes of an id that is a text, on average; without it ids are numbers.
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "0")]
    pub(crate) id_bytes: u64,
    /// Leave out the time, which takes some seconds to measure.
    #[arg(long)]
    pub(crate) no_time: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Import {
    pub(crate) uri: PathBuf,
    /// .npy (f32, f16, f64, u8, i8), .fvecs, .bvecs: vectors; .jsonl, .parquet: records.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// One JSON object a vector; its `id`, if it has one, is the record's.
    #[arg(long, value_name = "FILE.jsonl")]
    pub(crate) metadata: Option<PathBuf>,
    /// Number the rows that have no id from here (default 0).
    #[arg(long, value_name = "N")]
    pub(crate) first_id: Option<u64>,
    /// Store number ids as texts.
    #[arg(long)]
    pub(crate) string_ids: bool,
    /// Return once the rows are durable, not when they are in their final index; merge nothing.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Bytes of a memtable; about twice as much is held at a time.
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) memtable_bytes: Option<u64>,
    /// When writes are durable: at the end, at every write, or so many milliseconds later.
    #[arg(long, value_name = "commit|every|MS", default_value = "commit")]
    pub(crate) wal_sync: String,
}

/// Settings of a search that some index has.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Knobs {
    /// Candidates that a graph search keeps, 1 to 65536: more find more and take longer.
    #[arg(long, value_name = "N")]
    pub(crate) ef: Option<usize>,
    /// Clusters of each segment that an IVF search looks into, 1 to 1048576.
    #[arg(long, value_name = "N")]
    pub(crate) nprobe: Option<usize>,
    /// Go as far as finds this part of what is nearest, 0.5 to 0.9999; not beside --ef or --nprobe.
    #[arg(long, value_name = "RECALL")]
    pub(crate) recall_target: Option<f64>,
    /// Candidates scored again by their vectors, 1 to 65536; needs a quantization.
    #[arg(long, value_name = "N")]
    pub(crate) rerank: Option<usize>,
    /// Score every record; none of the settings above has a say then.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Find only records that match.
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Search {
    pub(crate) uri: PathBuf,
    /// The query, a JSON list of numbers.
    #[arg(long, value_name = "JSON", required_unless_present = "query_file")]
    pub(crate) vector: Option<String>,
    /// A file of queries; with --json one object a query, a line each.
    #[arg(long, value_name = "F.npy", conflicts_with = "vector")]
    pub(crate) query_file: Option<PathBuf>,
    /// How many records to find.
    #[arg(short, default_value_t = 10)]
    pub(crate) k: usize,
    /// Leave out records of a lower score.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(crate) min_score: Option<f32>,
    /// Search the collection as it was at a version.
    #[arg(long, value_name = "N", conflicts_with = "tag")]
    pub(crate) version: Option<u64>,
    /// Search the collection as it was when a version got this name.
    #[arg(long)]
    pub(crate) tag: Option<String>,
    #[command(flatten)]
    pub(crate) knobs: Knobs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Bench {
    pub(crate) uri: PathBuf,
    /// The queries.
    #[arg(long, value_name = "F.npy")]
    pub(crate) queries: PathBuf,
    /// Row numbers of each query's nearest rows, best first; -1 ends a row.
    #[arg(long, value_name = "F.npy")]
    pub(crate) truth: PathBuf,
    /// How many records to find.
    #[arg(short, default_value_t = 10)]
    pub(crate) k: usize,
    /// Settings to measure, a point each: ef=16,32,…, nprobe=…, rerank=… or recall_target=…
    #[arg(long, value_name = "KNOB=N,…")]
    pub(crate) sweep: Option<String>,
    /// Threads that search at the same time.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Search for at least so long with each setting, and for three passes over all queries.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Hand over all queries in one call instead of one call each.
    #[arg(long)]
    pub(crate) batch: bool,
    #[command(flatten)]
    pub(crate) knobs: Knobs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Ids {
    pub(crate) uri: PathBuf,
    /// Digits name a number, anything else a text.
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
    /// Digits name a text too.
    #[arg(long)]
    pub(crate) string_ids: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Deletion {
    pub(crate) uri: PathBuf,
    /// Digits name a number, anything else a text.
    #[arg(required_unless_present = "filter", conflicts_with = "filter")]
    pub(crate) ids: Vec<String>,
    /// Digits name a text too.
    #[arg(long)]
    pub(crate) string_ids: bool,
    /// Delete the records that match.
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
    /// Say only how many would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Args {
    pub(crate) fn target(&self) -> Target {
        let uri = match &self.verb {
            Verb::Create(Create { uri, .. })
            | Verb::Import(Import { uri, .. })
            | Verb::Search(Search { uri, .. })
            | Verb::Explain(Search { uri, .. })
            | Verb::Facet { uri, .. }
            | Verb::Bench(Bench { uri, .. })
            | Verb::Get(Ids { uri, .. })
            | Verb::Delete(Deletion { uri, .. })
            | Verb::Collections { uri }
            | Verb::Drop { uri }
            | Verb::Rename { uri, .. }
            | Verb::Count { uri, .. }
            | Verb::Schema { uri, .. }
            | Verb::Configure { uri, .. }
            | Verb::Stats { uri }
            | Verb::Versions { uri }
            | Verb::Verify { uri }
            | Verb::Compact { uri }
            | Verb::Vacuum { uri, .. }
            | Verb::Tag { uri, .. }
            | Verb::Untag { uri, .. }
            | Verb::Doctor { uri }
            | Verb::Snapshot(Snapshot { uri, .. })
            | Verb::Backup(Backup { uri, .. })
            | Verb::Restore(Restore { uri, .. })
            | Verb::Clone(CloneTo { uri, .. })
            | Verb::Export(Export { uri, .. })
            | Verb::DemoWriter { uri } => uri.clone(),
            Verb::Serve(Serve { said, .. }) | Verb::Config { what: ConfigVerb::Print { said } } => {
                said.uri.clone().unwrap_or_default()
            }
            Verb::Backups { .. } | Verb::Demo(_) | Verb::Sizing(_) | Verb::Completions { .. } => {
                PathBuf::new()
            }
        };
        let (is_named, memory_limit) = (self.collection.is_some(), self.memory_limit);
        let collection = self.collection.clone().unwrap_or_else(|| "default".to_owned());
        let cache = self.cache_dir.clone().map(|directory| (directory, self.cache_size));
        let log_dir = self.log_dir.clone();
        Target { uri, collection, is_named, memory_limit, cache, log_dir }
    }
}
