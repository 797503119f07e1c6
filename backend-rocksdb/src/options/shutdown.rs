//! The one option that the crate `rocksdb` cannot set: that a database which is closed writes nothing out. Without it
//! closing would flush write buffers for nobody, and wait a second where that fails.
//!
//! # Invariants
//! H1. The options live while RocksDB sets them, and nobody else has them.
#![expect(unsafe_code, reason = "a call of RocksDB's C interface")]

use rocksdb::{AsRawPtr, Options};

/// Lets a database close without writing its buffers out.
pub(super) fn avoid_flush(options: &mut Options) {
    // SAFETY: H1, by the exclusive reference, which outlives the call below.
    let raw = unsafe { options.as_raw_ptr() };
    // SAFETY: H1; the pointer is of the type that the function takes.
    unsafe { librocksdb_sys::rocksdb_options_set_avoid_flush_during_shutdown(raw, 1) };
}
