use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// What the command line says of a server. Variables of the environment (`VECGO_DATA_DIR`, `VECGO_SECTION__KEY`)
/// count less, and a file less than those.
#[derive(Debug, ClapArgs)]
pub(crate) struct Said {
    /// The database; without it `data.dir` of the configuration.
    pub(crate) uri: Option<PathBuf>,
    /// Where to listen (127.0.0.1:8080).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Be a replica: follow the writer, and write nothing.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Listen beyond this machine though no key is set.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A setting, as `vecgo config print` lists them; as often as wanted.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) said: Said,
    /// Put the 4,000 words of the demo into the collection `words`, if it is not there; without a database, into
    /// one that is gone with the server.
    #[arg(long)]
    pub(crate) demo: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Print each setting, and where it comes from.
    Print {
        #[command(flatten)]
        said: Said,
    },
}
