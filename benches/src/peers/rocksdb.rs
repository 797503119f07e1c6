//! `RocksDB` by itself, without our backend: as a program would use the crate `rocksdb`.

use std::collections::BTreeMap;
use std::path::Path;

use ::rocksdb::checkpoint::Checkpoint;
use ::rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, MergeOperands, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use super::database::SingleKeys;
use super::space::files;
use super::{CACHE_BYTES, Finish, Kept, Store};
use crate::Outcome;

/// Memory of a write buffer, of which there are two: as much as our backend has by default.
const BUFFER_BYTES: usize = 64 << 20;

/// One column family.
pub struct Rocks {
    database: DB,
    unlogged: WriteOptions,
    /// The files of the last checkpoint.
    last: BTreeMap<u64, u64>,
}

impl std::fmt::Debug for Rocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rocks").field("path", &self.database.path()).finish_non_exhaustive()
    }
}

pub(super) fn open(path: &Path) -> Outcome<Box<dyn Store>> {
    Ok(Box::new(Rocks::at(path)?))
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a merge operator")]
fn append(_: &[u8], value: Option<&[u8]>, more: &MergeOperands) -> Option<Vec<u8>> {
    let mut all = value.unwrap_or_default().to_vec();
    more.iter().for_each(|more| all.extend_from_slice(more));
    Some(all)
}

impl SingleKeys for Rocks {
    fn at(path: &Path) -> Outcome<Self> {
        let mut tables = BlockBasedOptions::default();
        tables.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&tables);
        options.set_write_buffer_size(BUFFER_BYTES);
        options.set_compression_type(DBCompressionType::Snappy);
        options.set_merge_operator_associative("append", append);
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        let database = DB::open(&options, path)?;
        Ok(Self { database, unlogged, last: BTreeMap::new() })
    }

    fn value(&self, key: u64) -> Outcome<u64> {
        Ok(match self.database.get_pinned(key.to_be_bytes())? {
            Some(bytes) => u64::from_le_bytes(bytes.as_ref().try_into()?),
            None => 0,
        })
    }

    fn set(&self, key: u64, value: u64) -> Outcome<()> {
        Ok(self.database.put_opt(key.to_be_bytes(), value.to_le_bytes(), &self.unlogged)?)
    }

    fn persist(&self) -> Outcome<()> {
        Ok(self.database.flush()?)
    }
}

impl Rocks {
    /// Visits the keys that begin with `prefix`.
    fn each(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(::rocksdb::PrefixRange(prefix));
        let mut entries = self.database.raw_iterator_opt(options);
        entries.seek_to_first();
        while let Some((key, value)) = entries.item() {
            visit(key, value);
            entries.next();
        }
        Ok(entries.status()?)
    }
}

impl Store for Rocks {
    fn get(&mut self, key: &[u8], show: &mut dyn FnMut(Option<&[u8]>)) -> Outcome<()> {
        show(self.database.get_pinned(key)?.as_deref());
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        Ok(self.database.put_opt(key, value, &self.unlogged)?)
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Outcome<()> {
        Ok(self.database.merge_opt(key, more, &self.unlogged)?)
    }

    fn remove(&mut self, key: &[u8]) -> Outcome<()> {
        Ok(self.database.delete_opt(key, &self.unlogged)?)
    }

    fn scan(&mut self, prefix: &[u8], show: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        self.each(prefix, &mut |key, value| show(key.get(prefix.len()..).unwrap_or(&[]), value))
    }

    fn remove_all(&mut self, prefix: &[u8]) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        self.each(prefix, &mut |key, _| batch.delete(key))?;
        Ok(self.database.write_opt(batch, &self.unlogged)?)
    }

    fn checkpoint(&mut self, fresh: &Path) -> Outcome<Finish> {
        Checkpoint::new(&self.database)?.create_checkpoint(fresh)?;
        let now = files(fresh)?;
        let new = now.iter().filter(|(file, _)| !self.last.contains_key(file));
        let kept = Kept {
            path: fresh.to_owned(),
            goes_on: false,
            bytes_new: new.map(|(_, bytes)| bytes).sum(),
            bytes_full: now.values().sum(),
            files: now.len(),
        };
        self.last = now;
        Ok(Box::new(|| Ok(kept)))
    }
}
