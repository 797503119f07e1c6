//! Reading files of a checkpoint: lengths are compared, and reads go on ahead.

use std::sync::Arc;

use alluvium_state_api::snapshot::{FileLocation, SnapshotFile};
use alluvium_state_api::storage::{FileReader, InlineSource, SnapshotSource};
use alluvium_state_api::{Error, Result};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStoreExt};
use parking_lot::Mutex;

use super::Ground;
use super::content::cut_short;
use super::errors::failed;
use super::keys::{below, shared_beside};

/// How much is read ahead at first, and at most.
const AHEAD: (u64, u64) = (1 << 20, 8 << 20);

/// Files of the checkpoint or savepoint below `own`.
#[derive(Debug)]
pub(super) struct ObjectSource {
    pub(super) ground: Arc<Ground>,
    pub(super) own: Path,
}

impl SnapshotSource for ObjectSource {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        let key = match &file.stored.location {
            FileLocation::Inline(_) => return InlineSource.open(file),
            FileLocation::Own(name) => below(&self.own, name.as_str()),
            FileLocation::Shared(name) => match shared_beside(&self.own) {
                Some(shared) => below(&shared, name.as_str()),
                None => {
                    return Err(Error::not_found(format!(
                        "{name} is a shared file of a job, but this is no checkpoint of one; copy \
                         checkpoints out with `alluvium checkpoints`"
                    ))
                    .with_path(self.own.as_ref()));
                }
            },
        };
        let (store, at) = (Arc::clone(&self.ground.store), key.clone());
        let found = self.ground.executor.run(async move { store.head(&at).await })?;
        let found = found.map_err(|error| failed("head", key.as_ref(), &error))?;
        if found.size != file.stored.length {
            return Err(Error::corrupted(format!(
                "the file has {} bytes instead of {}; restore from another checkpoint",
                found.size, file.stored.length
            ))
            .with_path(key.as_ref()));
        }
        let ground = Arc::clone(&self.ground);
        let ahead = Mutex::new(Ahead { start: 0, bytes: Bytes::new(), next: AHEAD.0 });
        Ok(Box::new(ObjectReader { ground, key, length: found.size, e_tag: found.e_tag, ahead }))
    }
}

#[derive(Debug)]
struct ObjectReader {
    ground: Arc<Ground>,
    key: Path,
    length: u64,
    e_tag: Option<String>,
    ahead: Mutex<Ahead>,
}

/// The part of the file that was read last.
#[derive(Debug)]
struct Ahead {
    start: u64,
    bytes: Bytes,
    next: u64,
}

impl Ahead {
    fn copy(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let at = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let Some(rest) = at.and_then(|at| self.bytes.get(at..)) else {
            return 0;
        };
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        count
    }
}

impl ObjectReader {
    fn fetch(&self, start: u64, end: u64) -> Result<Bytes> {
        let options = GetOptions {
            if_match: self.e_tag.clone(),
            range: Some(GetRange::Bounded(start..end)),
            ..GetOptions::default()
        };
        let (store, key) = (Arc::clone(&self.ground.store), self.key.clone());
        let answer = self
            .ground
            .executor
            .run(async move { store.get_opts(&key, options).await?.bytes().await })?;
        let key = self.key.as_ref();
        let bytes = match answer {
            Err(object_store::Error::Precondition { .. }) => {
                return Err(Error::corrupted("the file was replaced").with_path(key));
            }
            answer => answer.map_err(|error| failed("get", key, &error).with_offset(start))?,
        };
        if bytes.len() as u64 != end - start {
            return Err(cut_short(&self.key).with_offset(start));
        }
        Ok(bytes)
    }
}

impl FileReader for ObjectReader {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_exact_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.length) {
            let error = Error::corrupted("the file ends before the bytes that were asked for");
            return Err(error.with_path(self.key.as_ref()).with_offset(offset));
        }
        let mut ahead = self.ahead.lock();
        while !buffer.is_empty() {
            let count = ahead.copy(offset, buffer);
            offset += count as u64;
            buffer = buffer.get_mut(count..).unwrap_or_default();
            if buffer.is_empty() {
                break;
            }
            let sequential = offset == ahead.start + ahead.bytes.len() as u64;
            let next = if sequential { ahead.next } else { AHEAD.0 };
            let wanted = next.max((buffer.len() as u64).min(AHEAD.1));
            let end = offset.saturating_add(wanted).min(self.length);
            let bytes = self.fetch(offset, end)?;
            *ahead = Ahead { start: offset, bytes, next: (next * 2).min(AHEAD.1) };
        }
        Ok(())
    }
}
