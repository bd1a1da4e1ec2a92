use std::fmt;

use parking_lot::Mutex;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Every call to the outside world in its order, as a hash, and as text if somebody wants to read.
#[derive(Debug, Default)]
pub struct Trace {
    state: Mutex<State>,
    is_unread: bool,
}

#[derive(Debug, Default)]
struct State {
    hash: u64,
    calls: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps the text of every line.
    pub fn with_lines() -> Self {
        let state = State { lines: Some(Vec::new()), ..State::default() };
        Self { state: Mutex::new(state), is_unread: false }
    }

    /// A trace that nobody asks for anything: to write and hash every call would take a sixth of the time
    /// of a sweep.
    pub(crate) fn unread() -> Self {
        Self { is_unread: true, ..Self::default() }
    }

    /// Notes a call and the bytes that went with it.
    pub(crate) fn note(&self, line: fmt::Arguments<'_>, bytes: &[u8]) {
        if self.is_unread {
            return;
        }
        let line = line.to_string();
        let mut state = self.state.lock();
        state.hash = xxh3_64_with_seed(line.as_bytes(), state.hash) ^ xxh3_64(bytes);
        state.calls += 1;
        if let Some(lines) = &mut state.lines {
            lines.push(match bytes.len() {
                0 => line,
                length => format!("{line}: {length} bytes"),
            });
        }
    }

    /// Adds a line for the reader, which is no part of the hash.
    pub(crate) fn comment(&self, line: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.state.lock().lines {
            lines.push(format!("# {line}"));
        }
    }

    /// A number that stands for all that was noted.
    pub fn hash(&self) -> u64 {
        self.state.lock().hash
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// The text of what was noted, if it is kept.
    pub fn take_lines(&self) -> Vec<String> {
        self.state.lock().lines.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
