//! Flink's settings that mean nothing here, or that nothing reaches: they are refused, each with what to do instead.

use alluvium_state_api::settings::Settings;
use alluvium_state_api::{Error, Result};

macro_rules! gone {
    ($($key:literal: $why:literal;)*) => {
        const GONE: &[(&str, &str)] = &[$((concat!("state.backend.rocksdb.", $key), $why)),*];
        /// Their names, so that the registry hands them on.
        pub(super) const KEYS: &[&str] = &[$(concat!("state.backend.rocksdb.", $key)),*];
    };
}

gone! {
    "localdir": "the job gives each store its directory (OpenEnv::with_local_dir)";
    "options-factory": "no class is loaded by its name; give RocksOptions a hook";
    "timer-service.factory": "this backend has no timers";
    "timer-service.cache-size": "this backend has no timers";
    "checkpoint.transfer.thread.num": "files are given to the storage one after the other, by the snapshot's task";
    "checkpoint.upload-jitter": "the job decides when a snapshot's task runs";
    "memory.high-prio-pool-ratio": "the crate rocksdb makes caches without that; index and filter blocks have high priority";
    "bloom-filter.block-based-mode": "RocksDB has no such filters any more; leave it out";
    "compaction.filter.query-time-after-num-entries": "this backend has no filter for expiry";
    "metrics.column-family-as-variable": "all states are in one column family";
}

/// Refuses settings of Flink's that have no effect here.
///
/// # Errors
/// `Unsupported`, naming the setting, why it is refused and what there is instead.
pub(super) fn refuse(settings: &Settings) -> Result<()> {
    match GONE.iter().find(|(key, _)| settings.get(key).is_some()) {
        None => Ok(()),
        Some((key, why)) => Err(Error::unsupported(format!("{key} cannot be set: {why}"))),
    }
}
