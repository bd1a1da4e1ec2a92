use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Number of a file or directory.
pub(crate) type Inode = usize;

/// What a disk holds, in the operating system's cache and on the platter. Clones are cheap: they
/// share what neither of them changes.
#[derive(Debug, Clone)]
pub struct Image {
    pub(super) nodes: Vec<Arc<Node>>,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(File),
    Directory(Directory),
}

/// A file. What is cached is what processes read.
#[derive(Debug, Clone, Default)]
pub(super) struct File {
    pub(super) cached: Vec<u8>,
    /// Bytes that the operating system holds for written.
    pub(super) clean: usize,
    /// Ranges among those that a failed sync dropped: they will never be written.
    pub(super) dropped: Vec<(usize, usize)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Directory {
    pub(super) cached: BTreeMap<String, Inode>,
    pub(super) durable: BTreeMap<String, Inode>,
    /// What is cached and not durable, in its order.
    pub(super) pending: Vec<NameChange>,
}

/// A name given to an inode, or taken away.
#[derive(Debug, Clone)]
pub(super) struct NameChange {
    pub(super) name: String,
    pub(super) inode: Option<Inode>,
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        match self.inode {
            Some(inode) => names.insert(self.name.clone(), inode),
            None => names.remove(&self.name),
        };
    }
}

const ROOT: Inode = 0;

impl Default for Image {
    fn default() -> Self {
        Self { nodes: vec![Arc::new(Node::Directory(Directory::default()))] }
    }
}

impl Image {
    /// An image of durable files.
    pub fn of_files<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Self {
        let mut image = Self::default();
        for (path, bytes) in files {
            for (end, _) in path.match_indices('/') {
                if image.find(&path[..end]).is_err() {
                    // The parent was made the step before.
                    let _ = image.add(&path[..end], Node::Directory(Directory::default()));
                }
            }
            let _ = image.write_file(path, bytes);
        }
        image.nodes.iter_mut().for_each(|node| Arc::make_mut(node).settle());
        image
    }

    /// Every file, by path, as processes read it.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        self.collect("", ROOT, &mut files);
        files
    }

    fn collect(&self, path: &str, inode: Inode, files: &mut BTreeMap<String, Vec<u8>>) {
        match &*self.nodes[inode] {
            Node::File(file) => {
                files.insert(path.to_owned(), file.cached.clone());
            }
            Node::Directory(directory) => {
                for (name, inode) in &directory.cached {
                    let path =
                        if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                    self.collect(&path, *inode, files);
                }
            }
        }
    }

    /// Puts a durable file in place of any other.
    ///
    /// # Errors
    /// Its directory is not there.
    pub fn write_file(&mut self, path: &str, bytes: Vec<u8>) -> io::Result<()> {
        let file = File { clean: bytes.len(), cached: bytes, dropped: Vec::new() };
        self.add(path, Node::File(file))?;
        let (directory, _) = self.parent(path)?;
        self.directory_mut(directory)?.sync();
        Ok(())
    }

    /// Removes a file for good.
    ///
    /// # Errors
    /// It is not there.
    pub fn remove_file(&mut self, path: &str) -> io::Result<()> {
        let (directory, name) = self.parent(path)?;
        let directory = self.directory_mut(directory)?;
        directory.change(name, None);
        directory.sync();
        Ok(())
    }

    pub(super) fn find(&self, path: &str) -> io::Result<Inode> {
        let mut inode = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let directory = self.directory(inode)?;
            inode = *directory.cached.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    /// The directory that a path is in, and its name there.
    pub(super) fn parent<'a>(&self, path: &'a str) -> io::Result<(Inode, &'a str)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.find(directory)?, name))
    }

    pub(super) fn directory(&self, inode: Inode) -> io::Result<&Directory> {
        match &*self.nodes[inode] {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn directory_mut(&mut self, inode: Inode) -> io::Result<&mut Directory> {
        match Arc::make_mut(&mut self.nodes[inode]) {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self, inode: Inode) -> io::Result<&File> {
        match &*self.nodes[inode] {
            Node::File(file) => Ok(file),
            Node::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, inode: Inode) -> io::Result<&mut File> {
        match Arc::make_mut(&mut self.nodes[inode]) {
            Node::File(file) => Ok(file),
            Node::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// Gives a new node a name, in place of any that has it.
    pub(super) fn add(&mut self, path: &str, node: Node) -> io::Result<Inode> {
        let (directory, name) = self.parent(path)?;
        let inode = self.nodes.len();
        self.nodes.push(Arc::new(node));
        self.directory_mut(directory)?.change(name, Some(inode));
        Ok(inode)
    }
}

impl Node {
    /// Makes everything cached durable.
    fn settle(&mut self) {
        match self {
            Node::File(file) => file.sync(),
            Node::Directory(directory) => directory.sync(),
        }
    }
}

impl File {
    pub(super) fn sync(&mut self) {
        self.clean = self.cached.len();
    }

    /// A sync that fails: the pages that it should have written are dropped, still readable, and
    /// held for clean, so that the next sync has nothing to do and succeeds (Rebello and others,
    /// "Can Applications Recover from fsync Failures?", ATC 2020).
    pub(super) fn fail_sync(&mut self) {
        if self.clean < self.cached.len() {
            self.dropped.push((self.clean, self.cached.len()));
        }
        self.clean = self.cached.len();
    }
}

impl Directory {
    pub(super) fn change(&mut self, name: &str, inode: Option<Inode>) {
        let change = NameChange { name: name.to_owned(), inode };
        change.apply(&mut self.cached);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }
}
