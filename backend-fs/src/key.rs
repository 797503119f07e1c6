//! [`OwnedKey`]: a key that outlives the block or table it was read from.

use alluvium_state_api::{EntryKey, Result};

/// Key, namespace and map key of an entry, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct OwnedKey {
    bytes: Vec<u8>,
    /// Where key and namespace end.
    key_end: usize,
    namespace_end: usize,
}

impl OwnedKey {
    /// Becomes a copy of `key`.
    pub(crate) fn set(&mut self, key: EntryKey<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(key.bytes());
        (self.key_end, self.namespace_end) = (key.key_end(), key.namespace_end());
    }

    /// The key.
    pub(crate) fn get(&self) -> Result<EntryKey<'_>> {
        EntryKey::new(&self.bytes, self.key_end, self.namespace_end)
    }

    /// All its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Key and namespace: the map that it belongs to.
    pub(crate) fn map(&self) -> Result<EntryKey<'_>> {
        let map = self.bytes.get(..self.namespace_end).unwrap_or_default();
        EntryKey::new(map, self.key_end, self.namespace_end)
    }
}
