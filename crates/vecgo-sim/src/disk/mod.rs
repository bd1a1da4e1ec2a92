//! A disk that remembers what was synced, and so can crash; and whose calls fail where planned.

mod crash;
mod fault;
mod image;
mod rooted;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use vecgo_io::{Disk, DiskEntry, DiskLock, DiskReader, DiskWriter, LockAttempt};

pub use crash::Outcome;
pub use fault::{Fault, FaultKind};
pub use image::Image;
pub(crate) use rooted::Rooted;

use crate::machine::Trace;
use fault::{CallKind, Faults};
use image::{Directory, File, Inode, Node};

/// Called before every call that changes something, with the disk as it is then.
pub(crate) type Watch = Box<dyn FnMut(&Image) + Send>;

/// A simulated disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    trace: Arc<Trace>,
}

struct State {
    image: Image,
    faults: Faults,
    /// Who holds which lock.
    locked: BTreeMap<Inode, String>,
    watch: Option<Watch>,
    /// Nothing works, and nothing changes the image.
    off: bool,
    syncs: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl SimDisk {
    pub(crate) fn new(image: Image, trace: Arc<Trace>) -> Self {
        let state = State {
            image,
            faults: Faults::default(),
            locked: BTreeMap::new(),
            watch: None,
            off: false,
            syncs: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), trace }
    }

    /// The disk as it is now.
    pub fn image(&self) -> Image {
        self.state.lock().image.clone()
    }

    /// While it is off nothing works, as for a process that is gone.
    pub fn turn(&self, on: bool) {
        self.state.lock().off = !on;
    }

    /// Plans what goes wrong from now on, in place of what was planned.
    pub fn plan(&self, faults: Vec<Fault>) {
        self.state.lock().faults.plan(faults);
    }

    /// How many calls went wrong since the last plan.
    pub fn struck(&self) -> u64 {
        self.state.lock().faults.struck()
    }

    /// Whether a read has given other bytes than are there since the last plan.
    pub fn has_lied(&self) -> bool {
        self.state.lock().faults.has_lied()
    }

    /// Calls `watch` before every change from now on.
    pub fn watch(&self, watch: Option<Watch>) {
        self.state.lock().watch = watch;
    }

    /// Syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// One call: noted, shown to the watch if it changes anything, failed if so planned.
    fn call<T>(
        &self,
        kind: CallKind,
        (what, path, bytes): (&str, &str, &[u8]),
        run: impl FnOnce(&mut State, Option<FaultKind>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock();
        if state.off {
            return Err(io::Error::other("the disk is off"));
        }
        if !matches!(kind, CallKind::Read | CallKind::Open | CallKind::List)
            && let Some(mut watch) = state.watch.take()
        {
            watch(&state.image);
            state.watch = Some(watch);
        }
        let struck = state.faults.strike(kind);
        let done = match struck {
            // These say themselves what is left when they fail.
            Some(_) if matches!(kind, CallKind::Append | CallKind::Sync | CallKind::Read) => {
                run(&mut state, struck)
            }
            Some(fault) => Err(fault.error()),
            None => run(&mut state, None),
        };
        let outcome = done.as_ref().map(drop).map_err(|error| error.kind());
        self.trace.note(format_args!("{what} {path} {outcome:?} {struck:?}"), bytes);
        done
    }
}

impl Disk for SimDisk {
    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskWriter>> {
        let inode = self.call(CallKind::Create, ("create", path, &[]), |state, _| {
            if state.image.find(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.image.add(path, Node::File(File::default()))
        })?;
        Ok(Box::new(OpenFile { disk: self.clone(), path: path.to_owned(), inode }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskReader>> {
        let inode = self.call(CallKind::Open, ("open", path, &[]), |state, _| {
            let inode = state.image.find(path)?;
            state.image.file(inode).map(|_| inode)
        })?;
        Ok(Box::new(OpenFile { disk: self.clone(), path: path.to_owned(), inode }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.call(CallKind::Name, ("create_dir", path, &[]), |state, _| {
            if state.image.find(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.image.add(path, Node::Directory(Directory::default())).map(drop)
        })
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.call(CallKind::Sync, ("sync_dir", path, &[]), |state, fault| {
            let inode = state.image.find(path)?;
            // Names that a sync failed to write stay due: a journal forgets none of them, or takes
            // no more of them until the next boot.
            match fault {
                None => state.image.directory_mut(inode)?.sync(),
                Some(fault) => return Err(fault.error()),
            }
            Ok(())
        })
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(CallKind::Name, ("link", &format!("{from} {to}"), &[]), |state, _| {
            let inode = state.image.find(from)?;
            if state.image.find(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let (directory, name) = state.image.parent(to)?;
            state.image.directory_mut(directory)?.change(name, Some(inode));
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(CallKind::Name, ("rename", &format!("{from} {to}"), &[]), |state, _| {
            let inode = state.image.find(from)?;
            let (directory, name) = state.image.parent(to)?;
            state.image.directory_mut(directory)?.change(name, Some(inode));
            let (directory, name) = state.image.parent(from)?;
            state.image.directory_mut(directory)?.change(name, None);
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.call(CallKind::Name, ("remove", path, &[]), |state, _| {
            let inode = state.image.find(path)?;
            state.image.file(inode)?;
            let (directory, name) = state.image.parent(path)?;
            state.image.directory_mut(directory)?.change(name, None);
            Ok(())
        })
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.call(CallKind::Name, ("remove_dir", path, &[]), |state, _| {
            let inode = state.image.find(path)?;
            if !state.image.directory(inode)?.cached.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            let (directory, name) = state.image.parent(path)?;
            state.image.directory_mut(directory)?.change(name, None);
            Ok(())
        })
    }

    fn list(&self, path: &str) -> io::Result<Vec<DiskEntry>> {
        self.call(CallKind::List, ("list", path, &[]), |state, _| {
            let inode = state.image.find(path)?;
            let names = &state.image.directory(inode)?.cached;
            Ok(names.iter().map(|(name, inode)| state.entry(name, *inode)).collect())
        })
    }

    fn lock(&self, path: &str, holder: &str) -> io::Result<LockAttempt> {
        // What the holder says of itself differs from process to process, so it is kept apart
        // from the files.
        self.call(CallKind::Lock, ("lock", path, &[]), |state, _| {
            let inode = match state.image.find(path) {
                Ok(inode) => inode,
                Err(_) => state.image.add(path, Node::File(File::default()))?,
            };
            if let Some(other) = state.locked.get(&inode) {
                return Ok(LockAttempt::Held(other.clone()));
            }
            state.locked.insert(inode, holder.to_owned());
            Ok(LockAttempt::Taken(Box::new(Lock { disk: self.clone(), inode })))
        })
    }

    fn free_space(&self) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

impl State {
    fn entry(&self, name: &str, inode: Inode) -> DiskEntry {
        let (is_dir, length) = match &*self.image.nodes[inode] {
            Node::Directory(_) => (true, 0),
            Node::File(file) => (false, file.cached.len() as u64),
        };
        DiskEntry { name: name.to_owned(), is_dir, length }
    }

    fn sync(&mut self, inode: Inode, fault: Option<FaultKind>) -> io::Result<()> {
        self.syncs += 1;
        let file = self.image.file_mut(inode)?;
        match fault {
            None => file.sync(),
            Some(fault) => {
                file.fail_sync();
                return Err(fault.error());
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: SimDisk,
    path: String,
    inode: Inode,
}

impl DiskWriter for OpenFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.call(CallKind::Append, ("append", &self.path, bytes), |state, fault| {
            let file = state.image.file_mut(self.inode)?;
            match fault {
                None => file.cached.extend_from_slice(bytes),
                Some(fault) => {
                    file.cached.extend_from_slice(&bytes[..bytes.len() / 2]);
                    return Err(fault.error());
                }
            }
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.call(CallKind::Sync, ("sync", &self.path, &[]), |state, fault| {
            state.sync(self.inode, fault)
        })
    }
}

impl DiskReader for OpenFile {
    fn length(&self) -> io::Result<u64> {
        self.disk.call(CallKind::Open, ("length", &self.path, &[]), |state, _| {
            Ok(state.image.file(self.inode)?.cached.len() as u64)
        })
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let asked = format!("{} {offset}+{}", self.path, out.len());
        self.disk.call(CallKind::Read, ("read", &asked, &[]), |state, fault| {
            if let Some(fault) = fault.filter(|fault| *fault != FaultKind::BitFlip) {
                return Err(fault.error());
            }
            let cached = &state.image.file(self.inode)?.cached;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = cached.get(start..).and_then(|tail| tail.get(..out.len()));
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            if fault.is_some() && !out.is_empty() {
                let middle = out.len() / 2;
                out[middle] ^= 1 << (offset % 8);
            }
            Ok(())
        })
    }
}

#[derive(Debug)]
struct Lock {
    disk: SimDisk,
    inode: Inode,
}

impl DiskLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.state.lock().locked.remove(&self.inode);
    }
}
