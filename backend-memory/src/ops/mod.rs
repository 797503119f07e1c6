//! The store's operations, generic over the type of the table.
//!
//! * [`values`]: point access and batches of value-like states;
//! * [`lists`]: append, replace, read, merge;
//! * [`maps`]: point access to map entries, whole maps;
//! * [`scan`]: ordered scans of one map and of key groups.

pub(crate) mod lists;
pub(crate) mod maps;
pub(crate) mod scan;
pub(crate) mod values;

use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{Error, Result, StateKey};

/// What an operation needs besides the table: whom to blame, and how much fits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) meta: &'a StateMeta,
    pub(crate) key: &'a StateKey<'a>,
}

impl Target<'_> {
    /// Refuses a value of `length` bytes, stamp included, if it is above the state's limit.
    #[inline]
    pub(crate) fn check_value(&self, length: usize) -> Result<()> {
        self.meta.check_entry(|| Ok(self.key.key_group()), length as u64, 1)
    }
}

/// The key has not the width that the state's codecs declare.
#[cold]
pub(crate) fn wrong_key(target: Target<'_>) -> Error {
    Error::invalid_input(format!(
        "key and namespace have {} bytes, which is not the fixed width of their codecs",
        target.key.entry().namespace_end()
    ))
    .with_state(target.meta.name.clone())
}

/// The value has not the width that the state's codec declares.
#[cold]
pub(crate) fn wrong_width(meta: &StateMeta, length: usize) -> Error {
    Error::invalid_input(format!(
        "a value of {length} bytes is not of the fixed width that the codec {} declares",
        meta.value
    ))
    .with_state(meta.name.clone())
}
