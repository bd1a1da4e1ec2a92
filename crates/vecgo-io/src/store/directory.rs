use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Access, Listed, Object, ObjectWriter, PutOutcome, Store, StoreLock};
use crate::{BoxFuture, Disk, DiskReader, DiskWriter, LockAttempt, Log, Logs, Rand, StoreError};

/// Objects as files of a directory.
///
/// An object is written under a temporary name, synced, given its own name, and then its
/// directory is synced; so is every directory made on the way. Temporary names begin with a dot
/// and are never listed.
#[derive(Debug)]
pub struct DirectoryStore {
    disk: Arc<dyn Disk>,
    rand: Arc<dyn Rand>,
    access: Access,
    /// Directories whose names this store has made durable or found so.
    durable: Mutex<BTreeSet<String>>,
}

impl DirectoryStore {
    /// Objects in the root of `disk`.
    pub fn new(disk: Arc<dyn Disk>, rand: Arc<dyn Rand>, access: Access) -> Self {
        Self { disk, rand, access, durable: Mutex::default() }
    }

    fn check_writable(&self, key: &str) -> Result<(), StoreError> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => {
                let source = io::Error::new(io::ErrorKind::PermissionDenied, "opened read-only");
                Err(StoreError::new(key, source))
            }
        }
    }

    fn create_file(&self, path: &str) -> Result<Box<dyn DiskWriter>, StoreError> {
        self.in_directory(path, || self.disk.create_new(path))
    }

    /// Does what needs the directory of `path`, once that is there and its name durable.
    fn in_directory<T>(
        &self,
        path: &str,
        run: impl Fn() -> io::Result<T>,
    ) -> Result<T, StoreError> {
        self.check_writable(path)?;
        let directory = directory_of(path);
        self.make_directories(directory)?;
        match run() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody removed it since we made it.
                self.durable.lock().retain(|known| !known.starts_with(directory));
                self.make_directories(directory)?;
                run().map_err(|error| StoreError::new(path, error))
            }
            done => done.map_err(|error| StoreError::new(path, error)),
        }
    }

    /// Makes a directory and its parents, each one's name durable before anything is made in it.
    ///
    /// One that is there may be a moment old, left by a process that was killed before its sync,
    /// so its parent is synced all the same; once, until it is cleared away.
    fn make_directories(&self, directory: &str) -> Result<(), StoreError> {
        // Held meanwhile, so that no two of this process make one directory.
        let mut durable = self.durable.lock();
        if durable.contains(directory) {
            return Ok(());
        }
        let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]);
        for end in ends.filter(|end| *end > 0) {
            let path = &directory[..end];
            if durable.contains(path) {
                continue;
            }
            match self.disk.create_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(StoreError::new(path, error));
                }
                _ => {}
            }
            let parent = directory_of(path);
            self.disk.sync_dir(parent).map_err(|error| StoreError::new(parent, error))?;
            durable.insert(path.to_owned());
        }
        Ok(())
    }

    fn temporary(&self, key: &str) -> String {
        let random = self.rand.next_u64();
        match key.rsplit_once('/') {
            Some((directory, name)) => format!("{directory}/.{name}.{random:016x}"),
            None => format!(".{key}.{random:016x}"),
        }
    }

    fn put(&self, key: &str, body: &[u8]) -> Result<PutOutcome, StoreError> {
        let temporary = self.temporary(key);
        let mut file = self.create_file(&temporary)?;
        let written = file.append(body).and_then(|()| file.sync());
        let linked = written.and_then(|()| self.disk.link(&temporary, key));
        drop(file);
        // A temporary name that stays behind is never listed; the next writer removes it.
        let _ = self.disk.remove(&temporary);
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(PutOutcome::Conflict);
            }
            Err(error) => return Err(StoreError::new(key, error)),
        }
        match self.disk.sync_dir(directory_of(key)) {
            Ok(()) => Ok(PutOutcome::Committed),
            Err(error) => Ok(PutOutcome::Unknown(StoreError::new(key, error))),
        }
    }

    fn clear_temporary(&self, directory: &str) -> Result<(), StoreError> {
        let entries = match self.disk.list(directory) {
            Err(error) if is_no_object(&error) => return Ok(()),
            entries => entries.map_err(|error| StoreError::new(directory, error))?,
        };
        for entry in entries {
            let path = format!("{directory}/{}", entry.name);
            if entry.is_dir {
                self.clear_temporary(&path)?;
            } else if is_temporary(&entry.name) {
                self.disk.remove(&path).map_err(|error| StoreError::new(&path, error))?;
            }
        }
        Ok(())
    }

    /// Gives a file of another directory a name in this one too; false where that cannot be.
    fn link_from(&self, from: &Self, key: &str, to: &str) -> io::Result<bool> {
        let linked = if std::ptr::addr_eq(Arc::as_ptr(&self.disk), Arc::as_ptr(&from.disk)) {
            self.disk.link(key, to)
        } else if let Some(path) = from.disk.absolute(key) {
            self.disk.link_from(&path, to)
        } else {
            return Ok(false);
        };
        use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
        match linked {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                CrossesDevices | PermissionDenied | TooManyLinks | Unsupported => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Removes a directory and what is in it that is no object.
    fn clear_directory(&self, directory: &str) -> Result<(), StoreError> {
        let entries = match self.disk.list(directory) {
            Err(error) if is_no_object(&error) => return Ok(()),
            entries => entries.map_err(|error| StoreError::new(directory, error))?,
        };
        for entry in entries {
            let path = format!("{directory}/{}", entry.name);
            if entry.is_dir {
                self.clear_directory(&path)?;
            } else if entry.name.starts_with('.') {
                self.disk.remove(&path).map_err(|error| StoreError::new(&path, error))?;
            }
        }
        self.durable.lock().remove(directory);
        match self.disk.remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(error) if is_no_object(&error) => Ok(()),
            removed => removed.map_err(|error| StoreError::new(directory, error)),
        }
    }

    fn list_into(&self, directory: &str, listed: &mut Vec<Listed>) -> Result<(), StoreError> {
        let entries = match self.disk.list(directory) {
            Err(error) if is_no_object(&error) => return Ok(()),
            entries => entries.map_err(|error| StoreError::new(directory, error))?,
        };
        if self.access == Access::Write {
            // Whoever made or removed them may have been killed before the sync, and whoever lists
            // them here will build on what is there and what is not.
            let synced = self.disk.sync_dir(directory);
            synced.map_err(|error| StoreError::new(directory, error))?;
        }
        for entry in entries.into_iter().filter(|entry| !entry.name.starts_with('.')) {
            let key = if directory.is_empty() {
                entry.name
            } else {
                format!("{directory}/{}", entry.name)
            };
            if entry.is_dir {
                self.list_into(&key, listed)?;
            } else {
                listed.push(Listed { key, length: entry.length });
            }
        }
        Ok(())
    }
}

/// Whether a name is one of [`DirectoryStore::temporary`].
fn is_temporary(name: &str) -> bool {
    let parts = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
    parts.is_some_and(|(name, random)| {
        !name.is_empty() && random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Keys are flat: where a directory is or should be, no object is.
fn is_no_object(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | IsADirectory | NotADirectory)
}

impl Store for DirectoryStore {
    fn put_if_absent<'a>(
        &'a self,
        key: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<PutOutcome, StoreError>> {
        Box::pin(async move { self.put(key, &body) })
    }

    fn create<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectWriter>, StoreError>> {
        Box::pin(async move {
            let temporary = self.temporary(key);
            let file = self.create_file(&temporary)?;
            let (disk, key) = (Arc::clone(&self.disk), key.to_owned());
            let writer = FileWriter { disk, key, temporary, file: Some(file) };
            Ok(Box::new(writer) as Box<dyn ObjectWriter>)
        })
    }

    fn open<'a>(
        &'a self,
        key: &'a str,
        _length: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Object>, StoreError>> {
        Box::pin(async move {
            let file = self.disk.open(key).map_err(|error| StoreError::new(key, error))?;
            let length = file.length().map_err(|error| StoreError::new(key, error))?;
            Ok(Box::new(FileObject { key: key.to_owned(), file, length }) as Box<dyn Object>)
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        Box::pin(async move {
            let mut listed = Vec::new();
            self.list_into(prefix.trim_end_matches('/'), &mut listed)?;
            listed.sort_by(|a, b| a.key.cmp(&b.key));
            Ok(listed)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.check_writable(key)?;
            match self.disk.remove(key) {
                Err(error) if is_no_object(&error) => return Ok(()),
                removed => removed.map_err(|error| StoreError::new(key, error))?,
            }
            let directory = directory_of(key);
            self.disk.sync_dir(directory).map_err(|error| StoreError::new(directory, error))
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn copy_from<'a>(
        &'a self,
        from: &'a dyn Store,
        key: &'a str,
        _length: u64,
        to: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let Some(from) = from.as_any().downcast_ref::<Self>() else { return Ok(false) };
            if !self.in_directory(to, || self.link_from(from, key, to))? {
                return Ok(false);
            }
            let directory = directory_of(to);
            let synced = self.disk.sync_dir(directory);
            synced.map_err(|error| StoreError::new(directory, error)).map(|()| true)
        })
    }

    fn clear_prefix<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.check_writable(prefix)?;
            self.clear_directory(prefix.trim_end_matches('/'))
        })
    }

    fn clear_unfinished<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.check_writable(prefix)?;
            self.clear_temporary(prefix.trim_end_matches('/'))
        })
    }

    fn free_space(&self) -> Option<u64> {
        self.disk.free_space().ok()
    }

    fn has_locks(&self) -> bool {
        true
    }

    fn lock<'a>(
        &'a self,
        key: &'a str,
        holder: &'a str,
    ) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        Box::pin(async move {
            match self.in_directory(key, || self.disk.lock(key, holder))? {
                LockAttempt::Taken(guard) => Ok(StoreLock { _guard: guard }),
                LockAttempt::Held(holder) => Err(StoreError::busy(key, holder.trim())),
            }
        })
    }
}

impl Logs for DirectoryStore {
    fn create<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Box<dyn Log>, StoreError>> {
        Box::pin(async move {
            let file = self.create_file(key)?;
            let directory = directory_of(key);
            self.disk.sync_dir(directory).map_err(|error| StoreError::new(directory, error))?;
            Ok(Box::new(FileLog { key: key.to_owned(), file }) as Box<dyn Log>)
        })
    }
}

#[derive(Debug)]
struct FileLog {
    key: String,
    file: Box<dyn DiskWriter>,
}

impl Log for FileLog {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.file.append(bytes).map_err(|error| StoreError::new(&self.key, error))
        })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.file.sync().map_err(|error| StoreError::new(&self.key, error)) })
    }
}

#[derive(Debug)]
struct FileWriter {
    disk: Arc<dyn Disk>,
    key: String,
    temporary: String,
    /// `None` once the object has its own name.
    file: Option<Box<dyn DiskWriter>>,
}

impl FileWriter {
    fn publish(&mut self) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.sync()?;
            self.disk.rename(&self.temporary, &self.key)?;
            self.file = None;
        }
        self.disk.sync_dir(directory_of(&self.key))
    }
}

impl ObjectWriter for FileWriter {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let Some(file) = &mut self.file else { return Ok(()) };
            file.append(bytes).map_err(|error| StoreError::new(&self.key, error))
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move { self.publish().map_err(|error| StoreError::new(&self.key, error)) })
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // A temporary name that stays behind is never listed; the next writer removes it.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

#[derive(Debug)]
struct FileObject {
    key: String,
    file: Box<dyn DiskReader>,
    length: u64,
}

impl Object for FileObject {
    fn length(&self) -> u64 {
        self.length
    }

    fn will_read(&self, ranges: &[Range<u64>]) {
        self.file.will_read(ranges);
    }

    fn read_into<'a>(
        &'a self,
        offset: u64,
        out: &'a mut [u8],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let read = self.file.read_exact_at(offset, out);
            read.map_err(|error| StoreError::new(&self.key, error))
        })
    }
}
