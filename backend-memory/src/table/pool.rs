//! Buffers that go round between the writer and its snapshots.
//!
//! The writer fills chunks of undo logs and, when it must split a shard, images; the snapshot empties them
//! and hands them back here, so that a running snapshot allocates little and faults few pages.
//! The lock is taken once per shard and snapshot, not per operation. What is kept is bounded.

use super::cell::Cell;
use super::image::ShardImage;
use super::key::KeyRep;
use super::records::Chunk;
use crate::sync::Mutex;
use std::sync::Arc;

/// Most chunks, and most images, kept for later.
const KEPT: usize = 32;

/// Most bytes of a kept arena: an unusually large one is freed.
const KEPT_ARENA_BYTES: usize = 1 << 20;

/// Buffers for later use.
pub(super) struct Pool<K: KeyRep, C: Cell> {
    chunks: Mutex<Vec<Arc<Chunk<K, C>>>>,
    images: Mutex<Vec<ShardImage<K, C>>>,
}

impl<K: KeyRep, C: Cell> Default for Pool<K, C> {
    fn default() -> Self {
        Self { chunks: Mutex::new(Vec::new()), images: Mutex::new(Vec::new()) }
    }
}

impl<K: KeyRep, C: Cell> Pool<K, C> {
    /// An empty chunk, which nobody else has.
    #[cold]
    pub(super) fn chunk(&self) -> Arc<Chunk<K, C>> {
        self.chunks.lock().pop().unwrap_or_else(Chunk::new)
    }

    /// Takes back a chunk, unless somebody else still has it.
    pub(super) fn keep_chunk(&self, mut chunk: Arc<Chunk<K, C>>) {
        let Some(alone) = Arc::get_mut(&mut chunk) else { return };
        alone.clear();
        let mut kept = self.chunks.lock();
        if kept.len() < KEPT && alone.arena_bytes() <= KEPT_ARENA_BYTES {
            kept.push(chunk);
        }
    }

    /// An empty image.
    pub(super) fn image(&self) -> ShardImage<K, C> {
        self.images.lock().pop().unwrap_or_default()
    }

    /// Takes back an image.
    pub(super) fn keep_image(&self, mut image: ShardImage<K, C>) {
        image.clear();
        let mut kept = self.images.lock();
        if kept.len() < KEPT {
            kept.push(image);
        }
    }
}
