//! Running the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Exit code 3 and on, in this order.
pub(crate) const KINDS: [&str; 15] = [
    "InvalidArgument",
    "NotFound",
    "AlreadyExists",
    "Conflict",
    "ReadOnly",
    "Fenced",
    "Busy",
    "ResourceExhausted",
    "Corruption",
    "Unavailable",
    "OutcomeUnknown",
    "VersionGone",
    "Unsupported",
    "Closed",
    "Internal",
];

pub(crate) fn exit_code(kind: &str) -> i32 {
    i32::try_from(KINDS.iter().position(|name| *name == kind).unwrap()).unwrap() + 3
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vecgo"));
    command.env_remove("VECGO_SIMD");
    command
}

/// An empty directory in which commands run.
pub(crate) struct Place {
    dir: TempDir,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    #[expect(dead_code, reason = "what an assertion shows")]
    pub(crate) told: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// With a database `db` and its collection `default`.
    pub(crate) fn with_collection(dim: usize, metric: &str) -> Self {
        let place = Self::new();
        place.ok(&format!("create db --dim {dim} --metric {metric}"));
        place
    }

    /// One that every search goes through whole, so that answers are exact.
    pub(crate) fn with_flat(dim: usize, metric: &str) -> Self {
        let place = Self::new();
        place.ok(&format!("create db --dim {dim} --metric {metric} --index flat"));
        place
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// The command with arguments that spaces part.
    pub(crate) fn command(&self, args: &str) -> Command {
        self.command_of(&args.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn command_of(&self, args: &[&str]) -> Command {
        let mut command = command();
        command.current_dir(self.root()).args(args);
        command
    }

    pub(crate) fn run(&self, args: &str) -> Ran {
        Ran::of(self.command(args))
    }

    /// What a command that succeeds prints.
    pub(crate) fn ok(&self, args: &str) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    }

    /// The object that a command which succeeds prints under `--json`.
    pub(crate) fn json(&self, args: &str) -> Value {
        let ran = self.run(&format!("--json {args}"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.object()
    }

    pub(crate) fn count(&self) -> u64 {
        self.json("count db")["count"].as_u64().unwrap()
    }

    /// The command fails with this kind and these words in its message, in both forms.
    pub(crate) fn refuses(&self, args: &str, kind: &str, words: &[&str]) {
        self.refuses_of(&args.split_whitespace().collect::<Vec<_>>(), kind, words);
    }

    pub(crate) fn refuses_of(&self, args: &[&str], kind: &str, words: &[&str]) {
        let as_json = [&["--json"], args].concat();
        Ran::of(self.command_of(&as_json)).is_refused(kind, words);
        let plain = Ran::of(self.command_of(args));
        assert_eq!(plain.code, Some(exit_code(kind)), "{plain:?}");
        assert_eq!(plain.stdout, "", "{plain:?}");
        assert!(plain.stderr.starts_with("vecgo: "), "{plain:?}");
        for word in words {
            assert!(plain.stderr.contains(word), "{plain:?} does not say `{word}`");
        }
    }
}

impl Ran {
    pub(crate) fn of(mut command: Command) -> Self {
        let told = format!("{:?}", command.get_args().collect::<Vec<_>>());
        Self::from(told, command.output().unwrap())
    }

    pub(crate) fn from(told: String, output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Self {
            told,
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }

    /// The one JSON object on stdout.
    pub(crate) fn object(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON object, {error}: {self:?}"));
        assert!(value.is_object(), "{self:?}");
        value
    }

    /// The JSON objects on stdout, a line each.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What a failure under `--json` has to be; gives the message.
    pub(crate) fn is_refused(&self, kind: &str, words: &[&str]) -> String {
        assert_eq!(self.code, Some(exit_code(kind)), "{self:?}");
        self.tells_failure(kind, words)
    }

    /// As [`Ran::is_refused`] whatever the exit code.
    pub(crate) fn tells_failure(&self, kind: &str, words: &[&str]) -> String {
        let object = self.object();
        let error = &object["error"];
        assert_eq!(object.as_object().unwrap().len(), 1, "{self:?}");
        assert_eq!(error.as_object().unwrap().len(), 2, "{self:?}");
        assert_eq!(error["kind"], kind, "{self:?}");
        let message = error["message"].as_str().unwrap();
        for word in words {
            assert!(message.contains(word), "`{message}` does not say `{word}`");
        }
        message.to_owned()
    }
}
