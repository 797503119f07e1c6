//! [`WriteBackOptions`]: what a store keeps in front of RocksDB.

/// What a store keeps in memory in front of RocksDB: values and ends of lists that were asked for lately, of which what
/// changed is written later. How much memory that takes is part of the [`MemoryBudget`](super::MemoryBudget), as
/// [`ProcessBudget::write_back_bytes`](super::ProcessBudget::write_back_bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteBackOptions {
    /// Bytes of a store that has no shared budget; 0 for none.
    pub store_bytes: u64,
    /// Bytes of a store that are not in RocksDB yet, at most; a quarter of all that it may keep is another limit. Every
    /// snapshot waits until they are written, some 0.7 microseconds for an entry of about a hundred bytes.
    pub unwritten_bytes: u64,
}

impl Default for WriteBackOptions {
    fn default() -> Self {
        Self { store_bytes: 8 << 20, unwritten_bytes: 8 << 20 }
    }
}
