//! [`Database`]: what the rows of `ratios` ask of an embedded database that the backend on the file system is
//! compared with, on the same keys and values of 8 bytes. [`crate::peers`] says what makes it fair.
//!
//! Updates become durable once, at the end of a round; ours by an incremental checkpoint, which is confirmed.

use std::path::Path;

use crate::Outcome;
use crate::keys::key;

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

/// A database that reads and writes single keys, outside of transactions. Each method is [`Database`]'s for one key.
pub(super) trait SingleKeys: Sized {
    fn at(path: &Path) -> Outcome<Self>;

    /// 0 where there is none.
    fn value(&self, key: u64) -> Outcome<u64>;

    fn set(&self, key: u64, value: u64) -> Outcome<()>;

    /// Makes durable what was set.
    fn persist(&self) -> Outcome<()>;
}

impl<D: SingleKeys> Database for D {
    fn open(path: &Path) -> Outcome<Self> {
        Self::at(path)
    }

    fn fill(&mut self, keys: u64) -> Outcome<()> {
        (0..keys).try_for_each(|number| self.set(key(number), number))?;
        self.persist()
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
        self.persist()?;
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "rocksdb")]
    use super::super::Rocks;
    #[cfg(feature = "peers")]
    use super::super::{Fjall, Redb};
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

    #[cfg(feature = "peers")]
    #[test]
    fn redb_does_what_is_asked() -> Outcome<()> {
        keeps_values::<Redb>()
    }

    #[cfg(feature = "peers")]
    #[test]
    fn fjall_does_what_is_asked() -> Outcome<()> {
        keeps_values::<Fjall>()
    }

    #[cfg(feature = "rocksdb")]
    #[test]
    fn rocksdb_does_what_is_asked() -> Outcome<()> {
        keeps_values::<Rocks>()
    }
}
