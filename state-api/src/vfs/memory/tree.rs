//! Files and directories of a [`MemoryFs`](super::MemoryFs): what a process sees, and beside it
//! what is durable.
//!
//! # Invariants
//! 1. Node 0 is the root directory. Nodes are never freed: a name that was removed but not synced
//!    may come back after a crash.
//! 2. A file's durable content is a prefix of what is seen, since files only grow.
//! 3. `durable` with all `pending` applied in order gives `entries`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};

use crate::vfs::{DirectoryEntry, EntryKind, Metadata};

pub(super) type NodeId = usize;

pub(super) const ROOT: NodeId = 0;

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug)]
pub(super) enum Node {
    File(FileNode),
    Directory(DirectoryNode),
    Symlink,
}

#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) content: Vec<u8>,
    /// How much of `content` is durable.
    pub(super) synced: usize,
    /// Where each write since the last sync ended.
    pub(super) writes: Vec<usize>,
}

#[derive(Debug, Default)]
pub(super) struct DirectoryNode {
    pub(super) entries: BTreeMap<OsString, NodeId>,
    pub(super) durable: BTreeMap<OsString, NodeId>,
    pub(super) pending: Vec<Change>,
}

/// A change of the names in one directory.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Add(OsString, NodeId),
    Remove(OsString),
    Rename(OsString, OsString, NodeId),
}

impl Change {
    pub(super) fn apply(&self, names: &mut BTreeMap<OsString, NodeId>) {
        match self {
            Self::Add(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl FileNode {
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.content.extend_from_slice(bytes);
        self.writes.push(self.content.len());
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.content.len();
        self.writes.clear();
    }

    pub(super) fn length(&self) -> u64 {
        self.content.len() as u64
    }

    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.content.get(start..).unwrap_or_default();
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        rest.len().min(buffer.len())
    }
}

impl DirectoryNode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.entries);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.entries);
        self.pending.clear();
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::Directory(DirectoryNode::default())] }
    }
}

fn fail<T>(kind: io::ErrorKind) -> io::Result<T> {
    Err(kind.into())
}

impl Tree {
    pub(super) fn file_mut(&mut self, id: NodeId) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(id) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Directory(_)) => fail(io::ErrorKind::IsADirectory),
            Some(Node::Symlink) => Err(rustix::io::Errno::LOOP.into()),
            None => fail(io::ErrorKind::NotFound),
        }
    }

    fn directory(&self, id: NodeId) -> io::Result<&DirectoryNode> {
        match self.nodes.get(id) {
            Some(Node::Directory(directory)) => Ok(directory),
            _ => fail(io::ErrorKind::NotADirectory),
        }
    }

    fn directory_mut(&mut self, id: NodeId) -> io::Result<&mut DirectoryNode> {
        match self.nodes.get_mut(id) {
            Some(Node::Directory(directory)) => Ok(directory),
            _ => fail(io::ErrorKind::NotADirectory),
        }
    }

    /// The node at `path`.
    fn resolve(&self, path: &Path) -> io::Result<NodeId> {
        let mut node = ROOT;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => {
                    let found = self.directory(node)?.entries.get(name);
                    node = *found.ok_or(io::ErrorKind::NotFound)?;
                }
                _ => return fail(io::ErrorKind::InvalidInput),
            }
        }
        Ok(node)
    }

    /// The directory that holds the last component of `path`, and that component.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(NodeId, &'p OsStr)> {
        let Some(name) = path.file_name() else {
            // The root exists.
            return fail(io::ErrorKind::AlreadyExists);
        };
        let parent = self.resolve(path.parent().unwrap_or(Path::new("")))?;
        self.directory(parent)?;
        Ok((parent, name))
    }

    /// The directory for a new name, which nothing has yet.
    fn vacancy(&self, path: &Path) -> io::Result<(NodeId, OsString)> {
        let (parent, name) = self.parent(path)?;
        if self.directory(parent)?.entries.contains_key(name) {
            return fail(io::ErrorKind::AlreadyExists);
        }
        Ok((parent, name.to_owned()))
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<NodeId> {
        let (parent, name) = self.vacancy(path)?;
        let id = self.nodes.len();
        self.nodes.push(node);
        self.directory_mut(parent)?.change(Change::Add(name, id));
        Ok(id)
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<NodeId> {
        self.add(path, Node::File(FileNode::default()))
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        self.add(path, Node::Directory(DirectoryNode::default())).map(|_| ())
    }

    pub(super) fn add_symlink(&mut self, path: &Path) -> io::Result<()> {
        self.add(path, Node::Symlink)?;
        let (parent, _) = self.parent(path)?;
        self.directory_mut(parent)?.sync();
        Ok(())
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<NodeId> {
        let node = self.resolve(path)?;
        self.file_mut(node)?;
        Ok(node)
    }

    fn metadata_of(&self, node: NodeId) -> Metadata {
        let (kind, length) = match self.nodes.get(node) {
            Some(Node::File(file)) => (EntryKind::File, file.length()),
            Some(Node::Directory(_)) => (EntryKind::Directory, 0),
            Some(Node::Symlink) | None => (EntryKind::Symlink, 0),
        };
        Metadata { kind, length }
    }

    pub(super) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        Ok(self.metadata_of(self.resolve(path)?))
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let directory = self.directory(self.resolve(path)?)?;
        let entry = |(name, node): (&OsString, &NodeId)| DirectoryEntry {
            name: name.clone(),
            metadata: self.metadata_of(*node),
        };
        Ok(directory.entries.iter().map(entry).collect())
    }

    pub(super) fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        let node = self.resolve(path)?;
        self.directory_mut(node)?.sync();
        Ok(())
    }

    pub(super) fn sync_everything(&mut self) {
        for node in &mut self.nodes {
            match node {
                Node::File(file) => file.sync(),
                Node::Directory(directory) => directory.sync(),
                Node::Symlink => {}
            }
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let node = self.resolve(from)?;
        let (old_parent, old_name) = self.parent(from)?;
        let (new_parent, new_name) = self.parent(to)?;
        if let Some(&existing) = self.directory(new_parent)?.entries.get(new_name) {
            if !replace {
                return fail(io::ErrorKind::AlreadyExists);
            }
            if existing == node {
                return Ok(());
            }
            if !matches!(self.nodes.get(existing), Some(Node::File(_))) {
                return fail(io::ErrorKind::AlreadyExists);
            }
        }
        let (old_name, new_name) = (old_name.to_owned(), new_name.to_owned());
        if old_parent == new_parent {
            let rename = Change::Rename(old_name, new_name, node);
            self.directory_mut(old_parent)?.change(rename);
        } else {
            self.directory_mut(new_parent)?.change(Change::Add(new_name, node));
            self.directory_mut(old_parent)?.change(Change::Remove(old_name));
        }
        Ok(())
    }

    pub(super) fn link(&mut self, original: &Path, link: &Path) -> io::Result<()> {
        let node = self.open(original)?;
        let (parent, name) = self.vacancy(link)?;
        self.directory_mut(parent)?.change(Change::Add(name, node));
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        if self.metadata(path)?.kind == EntryKind::Directory {
            return fail(io::ErrorKind::IsADirectory);
        }
        let (parent, name) = self.parent(path)?;
        self.directory_mut(parent)?.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    pub(super) fn remove_directory(&mut self, path: &Path) -> io::Result<()> {
        let node = self.resolve(path)?;
        if !self.directory(node)?.entries.is_empty() {
            return fail(io::ErrorKind::DirectoryNotEmpty);
        }
        let (parent, name) = self.parent(path)?;
        self.directory_mut(parent)?.change(Change::Remove(name.to_owned()));
        Ok(())
    }
}
