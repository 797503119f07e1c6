//! What a power cut leaves of a [`Tree`].
//!
//! Without randomness: exactly the durable part. With it, each unsynced change of names and each
//! unsynced write survives or not by a coin of its own; the coin's weight is drawn once per crash,
//! so that "nearly nothing", "half" and "nearly everything" all occur.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::tree::{DirectoryNode, FileNode, Node, NodeId, ROOT, Tree};
use crate::random::{Randomness, SeededRandomness};

/// Disks write whole sectors of this many bytes.
const SECTOR_BYTES: usize = 512;

/// A new tree with what survives of `tree`.
pub(super) fn survivors(tree: &Tree, random: Option<&SeededRandomness>) -> Tree {
    let coin = random.map(Coin::new);
    let mut names = BTreeMap::from([(ROOT, ROOT)]);
    let mut nodes = vec![Node::Directory(DirectoryNode::default())];
    let mut queue = vec![(ROOT, ROOT)];
    while let Some((old, new)) = queue.pop() {
        let Some(Node::Directory(directory)) = tree.nodes.get(old) else {
            continue;
        };
        let mut entries = surviving_names(directory, coin.as_ref());
        for node in entries.values_mut() {
            let copy = *names.entry(*node).or_insert_with(|| {
                let copy = nodes.len();
                nodes.push(surviving_node(tree.nodes.get(*node), coin.as_ref()));
                queue.push((*node, copy));
                copy
            });
            *node = copy;
        }
        if let Some(Node::Directory(directory)) = nodes.get_mut(new) {
            directory.durable.clone_from(&entries);
            directory.entries = entries;
        }
    }
    Tree { nodes }
}

fn surviving_names(
    directory: &DirectoryNode,
    coin: Option<&Coin<'_>>,
) -> BTreeMap<OsString, NodeId> {
    let mut names = directory.durable.clone();
    if let Some(coin) = coin {
        for change in &directory.pending {
            if coin.falls() {
                change.apply(&mut names);
            }
        }
    }
    names
}

fn surviving_node(node: Option<&Node>, coin: Option<&Coin<'_>>) -> Node {
    match node {
        Some(Node::File(file)) => {
            let content = surviving_content(file, coin);
            Node::File(FileNode { synced: content.len(), content, writes: Vec::new() })
        }
        Some(Node::Directory(_)) => Node::Directory(DirectoryNode::default()),
        Some(Node::Symlink) | None => Node::Symlink,
    }
}

fn surviving_content(file: &FileNode, coin: Option<&Coin<'_>>) -> Vec<u8> {
    let mut content: Vec<u8> = file.content.get(..file.synced).unwrap_or_default().to_vec();
    let Some(coin) = coin else {
        return content;
    };
    let mut start = file.synced;
    for &end in &file.writes {
        let written = file.content.get(start..end).unwrap_or_default();
        let kept = if coin.falls() { coin.torn(written) } else { Vec::new() };
        if !kept.is_empty() {
            content.resize(start, 0);
            content.extend_from_slice(&kept);
        }
        start = end;
    }
    if coin.below(4) == 0 {
        // The length went to the journal before the bytes went to the disk.
        content.resize(file.content.len(), 0);
    }
    content
}

/// Decides what survives.
struct Coin<'r> {
    random: &'r SeededRandomness,
    weight: u64,
}

impl<'r> Coin<'r> {
    fn new(random: &'r SeededRandomness) -> Self {
        let mut coin = Self { random, weight: 0 };
        coin.weight = 1 + coin.below(9);
        coin
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    fn falls(&self) -> bool {
        self.below(10) < self.weight
    }

    /// The whole write, its beginning, or some of its sectors.
    fn torn(&self, written: &[u8]) -> Vec<u8> {
        let mut kept = written.to_vec();
        match self.below(4) {
            0 => {
                let length = self.below(written.len() as u64);
                kept.truncate(usize::try_from(length).unwrap_or(0));
            }
            1 => {
                for sector in kept.chunks_mut(SECTOR_BYTES) {
                    if !self.falls() {
                        sector.fill(0);
                    }
                }
            }
            _ => {}
        }
        kept
    }
}
