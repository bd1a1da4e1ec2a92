//! Everything the command prints goes through here: answers to stdout, the rest to stderr.

use std::io::{self, ErrorKind, Write};
use std::process;

use serde_json::{Value, json};

use crate::failure::Failure;

/// Where answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// A line of the answer for a person; nothing under `--json`.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        if !self.json {
            print(line.as_ref());
        }
    }

    /// The answer for a script; nothing without `--json`.
    pub(crate) fn object(&self, object: &Value) {
        if self.json {
            print(&object.to_string());
        }
    }

    /// A line of the answer in both forms.
    pub(crate) fn always(&self, line: impl AsRef<str>) {
        print(line.as_ref());
    }

    /// A message beside the answer.
    pub(crate) fn note(&self, line: impl AsRef<str>) {
        // Nobody is there to read it: the answer goes on.
        let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        let (kind, message) = (failure.kind(), failure.message());
        self.object(&json!({"error": {"kind": kind.to_string(), "message": message}}));
        if !self.json {
            self.note(format!("vecgo: {message}"));
        }
    }
}

/// A closed pipe ends the command quietly; whoever read has seen enough.
fn print(line: &str) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(line.as_bytes()).and_then(|()| stdout.write_all(b"\n")) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "vecgo: stdout: {error}");
            process::exit(1);
        }
    }
}

/// A float as short as it can be while naming the same f32.
pub(crate) fn short(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
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
