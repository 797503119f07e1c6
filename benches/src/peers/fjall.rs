//! fjall: a log-structured merge tree.

use std::path::{Path, PathBuf};

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::database::SingleKeys;
use super::space::files;
use super::{CACHE_BYTES, Finish, Kept, Store};
use crate::Outcome;
use crate::footprint::Io;

/// One key space.
pub struct Fjall {
    database: Database,
    entries: Keyspace,
    path: PathBuf,
    written: Io,
}

impl std::fmt::Debug for Fjall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fjall").field("path", &self.path).finish_non_exhaustive()
    }
}

pub(super) fn open(path: &Path) -> Outcome<Box<dyn Store>> {
    Ok(Box::new(Fjall::at(path)?))
}

impl SingleKeys for Fjall {
    fn at(path: &Path) -> Outcome<Self> {
        let database = Database::builder(path).cache_size(CACHE_BYTES as u64).open()?;
        let options = || {
            let options = KeyspaceCreateOptions::default();
            options.manual_journal_persist(true).expect_point_read_hits(true)
        };
        let entries = database.keyspace("count", options)?;
        Ok(Self { database, entries, path: path.to_owned(), written: Io::now()? })
    }

    fn value(&self, key: u64) -> Outcome<u64> {
        let bytes = self.entries.get(key.to_be_bytes())?;
        Ok(match bytes {
            Some(bytes) => u64::from_le_bytes(bytes.as_ref().try_into()?),
            None => 0,
        })
    }

    fn set(&self, key: u64, value: u64) -> Outcome<()> {
        Ok(self.entries.insert(key.to_be_bytes(), value.to_le_bytes())?)
    }

    fn persist(&self) -> Outcome<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}

impl Store for Fjall {
    fn get(&mut self, key: &[u8], show: &mut dyn FnMut(Option<&[u8]>)) -> Outcome<()> {
        show(self.entries.get(key)?.as_deref());
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        Ok(self.entries.insert(key, value)?)
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Outcome<()> {
        let mut value = self.entries.get(key)?.map_or_else(Vec::new, |value| value.to_vec());
        value.extend_from_slice(more);
        Ok(self.entries.insert(key, value)?)
    }

    fn remove(&mut self, key: &[u8]) -> Outcome<()> {
        Ok(self.entries.remove(key)?)
    }

    fn scan(&mut self, prefix: &[u8], show: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        for entry in self.entries.prefix(prefix) {
            let (key, value) = entry.into_inner()?;
            show(key.strip_prefix(prefix).unwrap_or_default(), &value);
        }
        Ok(())
    }

    fn remove_all(&mut self, prefix: &[u8]) -> Outcome<()> {
        for entry in self.entries.prefix(prefix) {
            self.entries.remove(entry.key()?)?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, _: &Path) -> Outcome<Finish> {
        self.persist()?;
        let before = std::mem::replace(&mut self.written, Io::now()?);
        let files = files(&self.path)?;
        let kept = Kept {
            path: self.path.clone(),
            goes_on: true,
            bytes_new: self.written.since(before).written_bytes,
            bytes_full: files.values().sum(),
            files: files.len(),
        };
        Ok(Box::new(|| Ok(kept)))
    }
}
