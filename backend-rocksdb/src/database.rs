//! [`Database`]: one RocksDB in a private directory, as long as anybody needs it.
//!
//! # Invariants
//! D1. One column family, whatever states there are; no write-ahead log: durable is what is in a checkpoint.
//! D2. The directory outlives the database: fields are dropped in this order.

use std::path::Path;

use alluvium_state_api::{Error, Result};
use rocksdb::{
    CStrLike, ColumnFamilyDescriptor, DB, DBPinnableSlice, DBRawIteratorWithThreadMode, Options,
    ReadOptions, WriteBatch, WriteOptions,
};

use crate::failure::failed;
use crate::local::LocalDirectory;
use crate::options::Tuned;
use crate::raw::compacts;

/// RocksDB as it is used here, with the features that another crate may ask for: only this type lends the pointer that
/// [`crate::raw`] needs.
pub(crate) type Db = DB;
/// An iterator over a database or a view of it.
pub(crate) type RawIterator<'a> = DBRawIteratorWithThreadMode<'a, Db>;

/// The answer to one lookup of many.
pub(crate) type Found<'a> = std::result::Result<Option<DBPinnableSlice<'a>>, rocksdb::Error>;

/// The one column family (D1).
const FAMILY: &str = rocksdb::DEFAULT_COLUMN_FAMILY_NAME;

/// A database and what it lies in.
pub(crate) struct Database {
    pub(crate) db: Db,
    write: WriteOptions,
    /// Also kept for what the database refers to: caches.
    tuned: Tuned,
    /// Whether it has been opened so that it does not compact by itself, although its options want that.
    is_still: bool,
    directory: LocalDirectory,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.db.path()).finish_non_exhaustive()
    }
}

impl Database {
    /// Makes an empty database in the directory. If `is_still`, it does not compact by itself before
    /// [`compact_from_now_on`](Self::compact_from_now_on).
    ///
    /// # Errors
    /// `InvalidInput` for options that RocksDB refuses; `Unavailable` where the file system fails.
    pub(crate) fn create(directory: LocalDirectory, tuned: Tuned, is_still: bool) -> Result<Self> {
        let path = directory.fresh_database()?;
        let mut fresh = tuned.database.clone();
        fresh.create_if_missing(true);
        Self::open_at(&fresh, directory, tuned, &path, is_still)
    }

    /// Opens the database that is at `path` in the directory. It does not compact by itself before
    /// [`compact_from_now_on`](Self::compact_from_now_on).
    ///
    /// # Errors
    /// As [`create`](Self::create); `Corrupted` where files are missing or damaged.
    pub(crate) fn open(directory: LocalDirectory, tuned: Tuned, path: &Path) -> Result<Self> {
        Self::open_at(&tuned.database.clone(), directory, tuned, path, true)
    }

    fn open_at(
        options: &Options,
        directory: LocalDirectory,
        tuned: Tuned,
        path: &Path,
        is_still: bool,
    ) -> Result<Self> {
        let is_still = is_still && compacts(&tuned.family);
        let mut family = tuned.family.clone();
        if is_still {
            family.set_disable_auto_compactions(true);
        }
        let family = ColumnFamilyDescriptor::new(FAMILY, family);
        let db = Db::open_cf_descriptors(options, path, [family])
            .map_err(|error| failed("open", error).with_path(path))?;
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        Ok(Self { db, write, tuned, is_still, directory })
    }

    /// Lets the database compact by itself, if its options want that.
    ///
    /// # Errors
    /// `Unavailable` where the file system fails.
    pub(crate) fn compact_from_now_on(&self) -> Result<()> {
        if !self.is_still {
            return Ok(());
        }
        let set = self.db.set_options(&[("disable_auto_compactions", "false")]);
        set.map_err(|error| failed("set options", error))
    }

    /// Opens another database with the same options, for reading.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_beside(&self, path: &Path) -> Result<Db> {
        let family = ColumnFamilyDescriptor::new(FAMILY, self.tuned.family.clone());
        Db::open_cf_descriptors_read_only(&self.tuned.database, path, [family], false)
            .map_err(|error| failed("open", error).with_path(path))
    }

    /// The directory in which the database is.
    pub(crate) const fn directory(&self) -> &LocalDirectory {
        &self.directory
    }

    /// Options of tables and what is in them.
    pub(crate) const fn family_options(&self) -> &Options {
        &self.tuned.family
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// Those of RocksDB, after which the database is not to be written to (F1).
    pub(crate) fn write(&self, batch: WriteBatch) -> Result<()> {
        self.db.write_opt(batch, &self.write).map_err(|error| failed("write", error))
    }

    /// The value at a key.
    ///
    /// # Errors
    /// Those of RocksDB.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>> {
        self.db.get_pinned(key).map_err(|error| failed("get", error))
    }

    /// Stores a value.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[inline]
    pub(crate) fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.db.put_opt(key, value, &self.write).map_err(|error| failed("put", error))
    }

    /// Removes a value.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[inline]
    pub(crate) fn delete(&self, key: &[u8]) -> Result<()> {
        self.db.delete_opt(key, &self.write).map_err(|error| failed("delete", error))
    }

    /// The values at many keys, in their order.
    ///
    /// # Errors
    /// Those of RocksDB, of all or of each.
    pub(crate) fn get_many<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> Result<Vec<Found<'_>>> {
        let family = self.db.cf_handle(FAMILY);
        let family = family.ok_or_else(|| Error::bug("the column family is not open"))?;
        Ok(self.db.batched_multi_get_cf(&family, keys, false))
    }

    /// An iterator over the keys below `end`.
    pub(crate) fn iterator(&self, end: Vec<u8>) -> RawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end);
        self.db.raw_iterator_opt(options)
    }

    /// A property by its name; 0 where RocksDB does not know it.
    pub(crate) fn property(&self, name: impl CStrLike) -> u64 {
        self.db.property_int_value(name).ok().flatten().unwrap_or(0)
    }

    /// How often something happened, or how many bytes; 0 where RocksDB does not count.
    pub(crate) fn ticker(&self, ticker: rocksdb::statistics::Ticker) -> u64 {
        self.tuned.database.get_ticker_count(ticker)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // What compacts now compacts for nobody.
        self.db.cancel_all_background_work(true);
    }
}
