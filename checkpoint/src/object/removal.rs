//! Deleting checkpoints and savepoints, while requests that were sent earlier may still arrive.
//!
//! # A checkpoint
//! Its metadata is replaced by a tombstone, then the files go. The number stays occupied for
//! [`FENCE_AGE`]: no publication that arrives late, of whichever attempt at it, brings back a checkpoint
//! without files. Services refuse requests that were signed so long ago, so a place in which nothing is
//! younger needs none. What this process has placed it removes itself, with a later deletion; what others
//! left behind is an unpublished place to those who collect orphans.
//!
//! # A savepoint
//! | step | after an interruption from here on |
//! |---|---|
//! | 1 its metadata is replaced by the list of its files, if it is still the one that was read | gone; a new call goes on from the list |
//! | 2 the files go | gone; the list tells what may still be there |
//! | 3 the list goes | nothing is left |

use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{encode_remains, is_drawn};
use alluvium_state_api::{Error, Result};
use object_store::PutMode;
use object_store::path::Path;

use super::Ground;
use super::content::{Found, look, tombstone};
use super::errors::failed;
use super::keys::{METADATA, below};
use super::metadata::ATTEMPTS;
use crate::files::own_files;

/// How long a tombstone stays at least.
pub(super) const FENCE_AGE: Duration = Duration::from_hours(1);

impl Ground {
    /// Removes what is below `own`, and leaves a tombstone there while it may be needed.
    pub(super) fn discard(&self, own: &Path) -> Result<()> {
        let named = self.named(own)?;
        let objects = if named.is_empty() { self.list(own)? } else { self.list_plain(own)? };
        let Some(newest) = objects.iter().map(|object| object.last_modified).max() else {
            return Ok(());
        };
        let newest = u64::try_from(newest.timestamp_millis()).unwrap_or(0);
        let age = Duration::from_millis(self.clock.wall_clock_ms().saturating_sub(newest));
        let at = below(own, METADATA);
        if age >= FENCE_AGE {
            self.delete(vec![at.clone()])?;
        } else if !matches!(self.look(&at)?, Found::Tombstone { .. }) {
            self.put(&at, tombstone(self.randomness.next_u128()), PutMode::Overwrite)?;
            self.remember_tombstone(at.clone());
        }
        let prefix = format!("{own}/");
        let mine = |key: &Path| key.as_ref().strip_prefix(&prefix).is_some_and(is_drawn);
        let keys = objects.into_iter().map(|object| object.location);
        self.delete(keys.filter(|key| *key != at && mine(key)).chain(named).collect())
    }

    /// The objects below `own` that its metadata names, where listing them is dear.
    fn named(&self, own: &Path) -> Result<Vec<Path>> {
        let metadata = if self.plain.is_some() { self.metadata(own)? } else { None };
        let decoded = metadata.map(|bytes| CheckpointMetadata::decode(&bytes));
        let Some(Ok(metadata)) = decoded else {
            return Ok(Vec::new());
        };
        Ok(own_files(&metadata).iter().map(|name| below(own, name.as_str())).collect())
    }

    /// Takes note of a tombstone that was just placed, or may have been.
    pub(super) fn remember_tombstone(&self, at: Path) {
        self.tombstones.lock().push_back((self.clock.now(), at));
    }

    /// Removes the tombstones that are old enough. What fails is tried again with the next call.
    pub(super) fn remove_old_tombstones(&self) {
        let oldest = self.clock.now();
        loop {
            let mut tombstones = self.tombstones.lock();
            let is_old =
                |(placed, _): &mut (Duration, Path)| oldest.saturating_sub(*placed) >= FENCE_AGE;
            let Some((placed, at)) = tombstones.pop_front_if(is_old) else {
                return;
            };
            drop(tombstones);
            let removed = match self.look(&at) {
                Ok(Found::Tombstone { .. }) => self.delete(vec![at.clone()]),
                // Another attempt at this number is published there.
                found => found.map(drop),
            };
            if removed.is_err() {
                self.tombstones.lock().push_front((placed, at));
                return;
            }
        }
    }

    /// Removes a savepoint. See the module.
    pub(super) fn dispose(&self, own: &Path, files: &[FileName]) -> Result<()> {
        let at = below(own, METADATA);
        let files = self.unveil_remains(&at, files)?;
        self.delete(files.iter().map(|name| below(own, name.as_str())).collect())?;
        self.delete(vec![at])
    }

    /// Replaces metadata by the list of its files, and returns that, or the one of an earlier call.
    fn unveil_remains(&self, at: &Path, files: &[FileName]) -> Result<Vec<FileName>> {
        let mut failure = Error::unavailable("the metadata kept changing").with_path(at.as_ref());
        for _ in 0..ATTEMPTS {
            let version = match self.look(at)? {
                Found::Remains(files) => return Ok(files),
                Found::Nothing | Found::Tombstone { .. } => return Err(not_there()),
                Found::Metadata(_, version) => version,
            };
            match self.put(at, encode_remains(files), PutMode::Update(version)) {
                Ok(()) => return Ok(files.to_vec()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn put(&self, at: &Path, bytes: Vec<u8>, mode: PutMode) -> Result<()> {
        let (store, key) = (Arc::clone(&self.store), at.clone());
        let put = self
            .executor
            .run(async move { store.put_opts(&key, bytes.into(), mode.into()).await })?;
        put.map(drop).map_err(|error| failed("put", at.as_ref(), &error))
    }

    pub(super) fn look(&self, at: &Path) -> Result<Found> {
        let (store, at) = (Arc::clone(&self.store), at.clone());
        self.executor.run(async move { look(&*store, &at).await })?
    }
}

#[cold]
pub(super) fn not_there() -> Error {
    Error::not_found("there is no checkpoint or savepoint here, or it was not completed")
}
