//! A disk that writes down what is asked of it, and fails where it is told to.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use vecgo_io::{Disk, DiskEntry, DiskReader, DiskWriter, LocalDisk, LockAttempt, Rand};

/// 1, 2, 3 and so on: temporary names that a test can know.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU64);

impl Rand for Counting {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// [`LocalDisk`], with a trace of the calls that changed something or made it durable.
#[derive(Debug)]
pub(crate) struct Recorder {
    disk: LocalDisk,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    trace: Vec<String>,
    /// Calls whose line begins with this fail.
    failing: Option<String>,
    /// The call that fails, counted from now, and whether all after it do.
    failing_at: Option<(usize, bool)>,
    failed: bool,
}

impl State {
    fn fails(&mut self, line: &str) -> bool {
        let named = self.failing.as_ref().is_some_and(|prefix| line.starts_with(prefix));
        let counted = match &mut self.failing_at {
            Some((0, lasting)) => {
                if !*lasting {
                    self.failing_at = None;
                }
                true
            }
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        };
        self.failed |= named || counted;
        named || counted
    }
}

/// Runs a call, or fails it without running it; writes it down if it succeeded.
fn record<T>(
    state: &Mutex<State>,
    line: String,
    run: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    if state.lock().fails(&line) {
        return Err(io::Error::other("injected"));
    }
    let done = run()?;
    state.lock().trace.push(line);
    Ok(done)
}

impl Recorder {
    pub(crate) fn new(root: &Path) -> Self {
        let disk = LocalDisk::open(root).expect("a directory");
        Self { disk, state: Arc::default() }
    }

    /// What succeeded since the last call.
    pub(crate) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().trace)
    }

    /// Calls fail whose line begins with `prefix`.
    pub(crate) fn fail(&self, prefix: &str) {
        self.state.lock().failing = Some(prefix.to_owned());
    }

    /// The call fails before which `calls` were made, and all after it if that is `lasting`.
    pub(crate) fn fail_at(&self, calls: usize, lasting: bool) {
        self.state.lock().failing_at = Some((calls, lasting));
    }

    /// No call fails any more.
    pub(crate) fn heal(&self) {
        let mut state = self.state.lock();
        (state.failing, state.failing_at) = (None, None);
    }

    /// Whether any call was made to fail.
    pub(crate) fn failed(&self) -> bool {
        self.state.lock().failed
    }

    fn record<T>(&self, line: String, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        record(&self.state, line, run)
    }
}

impl Disk for Recorder {
    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskWriter>> {
        let file = self.record(format!("create_new {path}"), || self.disk.create_new(path))?;
        let state = Arc::clone(&self.state);
        Ok(Box::new(RecordedFile { path: path.to_owned(), file, state }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskReader>> {
        self.disk.open(path)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.record(format!("create_dir {path}"), || self.disk.create_dir(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.record(format!("sync_dir {path}"), || self.disk.sync_dir(path))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.record(format!("link {from} {to}"), || self.disk.link(from, to))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.record(format!("rename {from} {to}"), || self.disk.rename(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.record(format!("remove {path}"), || self.disk.remove(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.record(format!("remove_dir {path}"), || self.disk.remove_dir(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<DiskEntry>> {
        self.disk.list(path)
    }

    fn lock(&self, path: &str, holder: &str) -> io::Result<LockAttempt> {
        self.record(format!("lock {path}"), || self.disk.lock(path, holder))
    }

    fn free_space(&self) -> io::Result<u64> {
        self.disk.free_space()
    }
}

#[derive(Debug)]
struct RecordedFile {
    path: String,
    file: Box<dyn DiskWriter>,
    state: Arc<Mutex<State>>,
}

impl DiskWriter for RecordedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        record(&self.state, format!("append {}", self.path), || self.file.append(bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        record(&self.state, format!("sync {}", self.path), || self.file.sync())
    }
}
