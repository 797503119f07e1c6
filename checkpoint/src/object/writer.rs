//! Writing one snapshot file: in memory while it is small, then as one put or in parts.
//!
//! Memory is bounded by one part more than are under way at once. A name is used once: after a failed
//! request the object of the full length proves that it was done, and otherwise the file is lost.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use alluvium_state_api::settings::keys::PART_SIZE;
use alluvium_state_api::snapshot::{FileLocation, FileName, StoredFile};
use alluvium_state_api::storage::{FileScope, FileWriter};
use alluvium_state_api::{Error, Result};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use xxhash_rust::xxh3::Xxh3;

use super::attempt::{Site, Upload};
use super::errors::failed;
use super::keys::below;
use crate::executor::interrupted;

pub(super) struct ObjectWriter {
    site: Arc<Site>,
    location: FileLocation,
    key: Path,
    hasher: Xxh3,
    length: u64,
    buffer: Vec<u8>,
    upload: Option<Upload>,
    /// Parts that were sent.
    parts: u32,
    running: VecDeque<Receiver<object_store::Result<()>>>,
    /// Whether something may be at the key that nobody else will remove.
    put: bool,
    lost: bool,
}

impl ObjectWriter {
    pub(super) fn new(site: Arc<Site>, scope: FileScope) -> Result<Self> {
        let name = FileName::new(&format!("{:032x}", site.ground.randomness.next_u128()))?;
        let (key, location) = match (&site.shared, scope) {
            (Some(shared), FileScope::Shared) => {
                (below(shared, name.as_str()), FileLocation::Shared(name))
            }
            _ => (below(&site.own, name.as_str()), FileLocation::Own(name)),
        };
        Ok(Self {
            site,
            location,
            key,
            hasher: Xxh3::new(),
            length: 0,
            buffer: Vec::new(),
            upload: None,
            parts: 0,
            running: VecDeque::new(),
            put: false,
            lost: false,
        })
    }

    fn failed(&self, operation: &'static str, error: &object_store::Error) -> Error {
        failed(operation, self.key.as_ref(), error)
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.site.check_open()?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        let part = self.site.ground.options.part_bytes;
        while !bytes.is_empty() {
            if self.buffer.len() == part {
                self.send_part()?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(part - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn send_part(&mut self) -> Result<()> {
        let ground = Arc::clone(&self.site.ground);
        if self.parts >= ground.options.most_parts {
            return Err(self.too_many_parts());
        }
        while self.running.len() >= ground.options.parallel_parts {
            self.wait_for_part()?;
        }
        if self.upload.is_none() {
            let (store, key) = (Arc::clone(&ground.store), self.key.clone());
            let begun = ground.executor.run(async move { store.put_multipart(&key).await })?;
            self.upload = Some(begun.map_err(|error| self.failed("begin upload", &error))?);
        }
        let part = mem::take(&mut self.buffer);
        if let Some(upload) = &mut self.upload {
            self.running.push_back(ground.executor.spawn(upload.put_part(part.into()))?);
            self.parts += 1;
        }
        Ok(())
    }

    /// The service would refuse it in the end, after everything was sent.
    #[cold]
    fn too_many_parts(&self) -> Error {
        let options = &self.site.ground.options;
        Error::invalid_input(format!(
            "the file has more than {} parts of {} bytes, and an upload may have no more; set \
             {PART_SIZE} to more",
            options.most_parts, options.part_bytes
        ))
        .with_path(self.key.as_ref())
    }

    fn wait_for_part(&mut self) -> Result<()> {
        let Some(part) = self.running.pop_front() else {
            return Ok(());
        };
        let answer = part.recv().map_err(|_gone| interrupted())?;
        answer.map_err(|error| self.failed("put part", &error))
    }

    /// Makes the object exist.
    fn complete(&mut self) -> Result<()> {
        let ground = Arc::clone(&self.site.ground);
        let (store, key) = (Arc::clone(&ground.store), self.key.clone());
        let done = if self.upload.is_some() {
            self.send_part()?;
            while !self.running.is_empty() {
                self.wait_for_part()?;
            }
            let Some(mut upload) = self.upload.take() else {
                return Err(Error::bug("an upload was just there"));
            };
            self.put = true;
            let (done, upload) = ground.executor.run(async move {
                let done = upload.complete().await;
                (done, upload)
            })?;
            if done.is_err() {
                self.upload = Some(upload);
            }
            done
        } else {
            self.put = true;
            let payload = mem::take(&mut self.buffer);
            ground.executor.run(async move { store.put(&key, payload.into()).await })?
        };
        let Err(error) = done else {
            return Ok(());
        };
        let (store, key) = (Arc::clone(&ground.store), self.key.clone());
        match ground.executor.run(async move { store.head(&key).await })? {
            Ok(found) if found.size == self.length => {
                self.upload = None;
                Ok(())
            }
            _ => Err(self.failed("put", &error)),
        }
    }

    fn store(&mut self) -> Result<StoredFile> {
        if self.lost {
            return Err(Error::unavailable("the file was lost with an earlier failed write"));
        }
        self.site.check_open()?;
        let inline = self.length <= self.site.ground.options.inline_threshold_bytes;
        let location = if inline && self.upload.is_none() {
            FileLocation::Inline(mem::take(&mut self.buffer).into())
        } else {
            self.complete()?;
            self.site.register(&self.key)?;
            self.put = false;
            self.location.clone()
        };
        Ok(StoredFile { location, length: self.length, checksum: self.hasher.digest128() })
    }
}

impl FileWriter for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.lost {
            return Err(Error::unavailable("the file was lost with an earlier failed write"));
        }
        let result = self.append(bytes).map_err(|error| self.site.name(error));
        self.lost = result.is_err();
        result
    }

    fn finish(mut self: Box<Self>) -> Result<StoredFile> {
        let result = self.store();
        result.map_err(|error| self.site.name(error))
    }
}

impl Drop for ObjectWriter {
    /// Removes what was not finished; what cannot be removed is left to the attempt's abort.
    fn drop(&mut self) {
        for part in self.running.drain(..) {
            drop(part.recv());
        }
        let ground = &self.site.ground;
        if let Some(mut upload) = self.upload.take() {
            let left = ground.executor.run(async move {
                let aborted = upload.abort().await;
                aborted.is_err().then_some(upload)
            });
            if let Ok(Some(upload)) = left {
                self.site.keep_upload(upload);
            }
        }
        if self.put && ground.delete(vec![self.key.clone()]).is_err() {
            self.site.keep_file(self.key.clone());
        }
    }
}
