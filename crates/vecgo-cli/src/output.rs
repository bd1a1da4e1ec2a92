//! Everything the command prints goes through here: answers to stdout, the rest to stderr.

use std::cell::Cell;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;

/// Where answers go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    /// Set when nothing more can be printed: the exit code that this means.
    over: Cell<Option<u8>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, over: Cell::new(None) }
    }

    /// A line of the answer for a person; nothing under `--json`.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        if !self.json {
            self.always(line);
        }
    }

    /// The answer for a script; nothing without `--json`.
    pub(crate) fn object(&self, object: &impl Serialize) {
        if self.json {
            // What is printed has texts as keys, and so can be.
            self.always(serde_json::to_string(object).unwrap_or_default());
        }
    }

    /// A line of the answer in both forms.
    pub(crate) fn always(&self, line: impl AsRef<str>) {
        if self.over.get().is_some() {
            return;
        }
        let mut stdout = io::stdout().lock();
        let printed = writeln!(stdout, "{}", line.as_ref()).and_then(|()| stdout.flush());
        self.over.set(match printed {
            Ok(()) => None,
            // Whoever read has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Some(0),
            Err(error) => {
                note(format!("vecgo: stdout: {error}"));
                Some(vecgo::ErrorKind::Unavailable.exit_code())
            }
        });
    }

    /// Whether nothing more can be printed: a verb with much to say ends then.
    pub(crate) fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    /// The exit code of a verb that would end with `code`.
    pub(crate) fn exit_code(&self, code: u8) -> u8 {
        self.over.get().unwrap_or(code)
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        let (kind, message) = (failure.kind(), failure.message());
        self.object(&json!({"error": {"kind": kind.to_string(), "message": message}}));
        if !self.json {
            note(format!("vecgo: {message}"));
        }
    }
}

/// A message beside the answer.
pub(crate) fn note(line: impl AsRef<str>) {
    // Nobody is there to read it: the answer goes on.
    let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
}

/// A number of bytes for a person.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}
