//! Embedded databases that the backend on the file system is compared with, on the same keys and values.
//!
//! # What makes it fair
//! * Keys are spread over the whole of the key space, and keys and values are of 8 bytes, as ours are.
//! * Caches have as much memory as our write layer may take (`CACHE_BYTES`), which is much more than
//!   the data needs.
//! * Nobody syncs per operation. Updates become durable once, at the end of a round: redb by the commit
//!   of one transaction, which its documentation recommends over many; fjall by `persist(SyncAll)` after
//!   inserts that do not write to the operating system one by one (`manual_journal_persist`); ours by an
//!   incremental checkpoint, which is confirmed.
//! * Reads of redb share one transaction and one open table a round.
//! * fjall builds no filters at the last level (`expect_point_read_hits`), as its documentation
//!   recommends where keys are expected to be there, and compresses nothing, as we do not.

use std::path::{Path, PathBuf};

use ::fjall::{KeyspaceCreateOptions, PersistMode};
use ::redb::{ReadableDatabase, ReadableTable, TableDefinition};

use crate::Outcome;
use crate::keys::key;

/// Memory of a database's cache.
const CACHE_BYTES: usize = 512 << 20;

/// Values by key in a directory or file.
pub trait Database: Sized {
    /// Opens what is at `path`, or makes it.
    ///
    /// # Errors
    /// Those of the database.
    fn open(path: &Path) -> Outcome<Self>;

    /// Sets the keys numbered 0 to `keys` to their numbers.
    ///
    /// # Errors
    /// Those of the database.
    fn fill(&mut self, keys: u64) -> Outcome<()>;

    /// Reads keys one by one; the sum of the values.
    ///
    /// # Errors
    /// Those of the database.
    fn get(&mut self, keys: &[u64]) -> Outcome<u64>;

    /// Increments keys one by one, and makes that durable; the sum of the values before.
    ///
    /// # Errors
    /// Those of the database.
    fn update(&mut self, keys: &[u64]) -> Outcome<u64>;
}

const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("count");

/// A copy-on-write B-tree in one file.
#[derive(Debug)]
pub struct Redb(::redb::Database);

impl Database for Redb {
    fn open(path: &Path) -> Outcome<Self> {
        let mut builder = ::redb::Builder::new();
        Ok(Self(builder.set_cache_size(CACHE_BYTES).create(path)?))
    }

    fn fill(&mut self, keys: u64) -> Outcome<()> {
        let transaction = self.0.begin_write()?;
        let mut table = transaction.open_table(TABLE)?;
        for number in 0..keys {
            table.insert(key(number), number)?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    #[inline(never)]
    fn get(&mut self, keys: &[u64]) -> Outcome<u64> {
        let transaction = self.0.begin_read()?;
        let table = transaction.open_table(TABLE)?;
        let mut sum = 0u64;
        for key in keys {
            sum = sum.wrapping_add(table.get(key)?.map_or(0, |value| value.value()));
        }
        Ok(sum)
    }

    #[inline(never)]
    fn update(&mut self, keys: &[u64]) -> Outcome<u64> {
        let transaction = self.0.begin_write()?;
        let mut table = transaction.open_table(TABLE)?;
        let mut sum = 0u64;
        for key in keys {
            let value = table.get(key)?.map_or(0, |value| value.value());
            sum = sum.wrapping_add(value);
            table.insert(key, value.wrapping_add(1))?;
        }
        drop(table);
        transaction.commit()?;
        Ok(sum)
    }
}

/// A log-structured merge tree.
pub struct Fjall {
    database: ::fjall::Database,
    counts: ::fjall::Keyspace,
    path: PathBuf,
}

impl std::fmt::Debug for Fjall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fjall").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Fjall {
    fn value(&self, key: u64) -> Outcome<u64> {
        let bytes = self.counts.get(key.to_be_bytes())?;
        Ok(match bytes {
            Some(bytes) => u64::from_le_bytes(bytes.as_ref().try_into()?),
            None => 0,
        })
    }

    fn set(&self, key: u64, value: u64) -> Outcome<()> {
        Ok(self.counts.insert(key.to_be_bytes(), value.to_le_bytes())?)
    }
}

impl Database for Fjall {
    fn open(path: &Path) -> Outcome<Self> {
        let database = ::fjall::Database::builder(path).cache_size(CACHE_BYTES as u64).open()?;
        let options = || {
            let options = KeyspaceCreateOptions::default();
            options.manual_journal_persist(true).expect_point_read_hits(true)
        };
        let counts = database.keyspace("count", options)?;
        Ok(Self { database, counts, path: path.to_owned() })
    }

    fn fill(&mut self, keys: u64) -> Outcome<()> {
        (0..keys).try_for_each(|number| self.set(key(number), number))?;
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    #[inline(never)]
    fn get(&mut self, keys: &[u64]) -> Outcome<u64> {
        let mut sum = 0u64;
        for key in keys {
            sum = sum.wrapping_add(self.value(*key)?);
        }
        Ok(sum)
    }

    #[inline(never)]
    fn update(&mut self, keys: &[u64]) -> Outcome<u64> {
        let mut sum = 0u64;
        for key in keys {
            let value = self.value(*key)?;
            sum = sum.wrapping_add(value);
            self.set(*key, value.wrapping_add(1))?;
        }
        self.database.persist(PersistMode::SyncAll)?;
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::accesses;

    fn keeps_values<D: Database>() -> Outcome<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("database");
        let keys = accesses(1000, 5000, 7);
        let mut database = D::open(&path)?;
        database.fill(1000)?;
        let before = database.get(&keys)?;
        let mut peer = crate::subject::Peer::new(1000);
        assert_eq!(before, peer.get(&keys));
        assert_eq!(database.update(&keys)?, peer.update(&keys));
        drop(database);
        assert_eq!(D::open(&path)?.get(&keys)?, peer.get(&keys));
        Ok(())
    }

    #[test]
    fn redb_does_what_is_asked() -> Outcome<()> {
        keeps_values::<Redb>()
    }

    #[test]
    fn fjall_does_what_is_asked() -> Outcome<()> {
        keeps_values::<Fjall>()
    }
}
