//! [`OptionsHook`]: what an embedding program does to RocksDB's options.

use std::fmt::Debug;

/// Changes RocksDB's options after settings and profile, before what the memory budget and the layout of the
/// database demand: merge operator, comparator, column families and the write-ahead log are not its business.
pub trait OptionsHook: Debug + Send + Sync {
    /// Changes the options of the database.
    fn database(&self, _options: &mut rocksdb::Options) {}

    /// Changes the options of its column family.
    fn column_family(&self, _options: &mut rocksdb::Options) {}

    /// Changes the options of its tables.
    fn tables(&self, _options: &mut rocksdb::BlockBasedOptions) {}
}
