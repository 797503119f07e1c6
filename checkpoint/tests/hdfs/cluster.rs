//! The cluster under test, and places in it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use alluvium_checkpoint::hdfs::{HdfsFs, HdfsOptions};
use alluvium_checkpoint::{StorageEnv, open_storage};
use alluvium_state_api::random::{OsRandomness, Randomness};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::content::check_whole;
use alluvium_state_api::testkit::storages::{Directory, job};
use alluvium_state_api::vfs::ensure_directory;
use alluvium_state_api::{CheckpointId, Result};

/// `hdfs://host:port` of the cluster.
pub(crate) fn cluster() -> String {
    let url = std::env::var("ALLUVIUM_HDFS_URL").unwrap_or_default();
    assert!(url.starts_with("hdfs://"), "set ALLUVIUM_HDFS_URL, or run scripts/hdfs");
    let end = url["hdfs://".len()..].find('/').map_or(url.len(), |at| at + "hdfs://".len());
    url[..end].to_owned()
}

/// One connection for everybody.
pub(crate) fn connected() -> HdfsFs {
    static CONNECTED: OnceLock<HdfsFs> = OnceLock::new();
    let connect = || HdfsFs::connect(&cluster(), HdfsOptions::default()).unwrap();
    CONNECTED.get_or_init(connect).clone()
}

/// An empty directory of its own, which stays.
pub(crate) fn fresh() -> Directory<HdfsFs> {
    let fs = connected();
    let root = PathBuf::from(format!("/tests/{:032x}", OsRandomness.next_u128()));
    ensure_directory(&fs, &root).unwrap();
    Directory { fs, root }
}

/// Opens a storage of [`job`] in `directory`, a URL, with a connection of its own.
pub(crate) fn open(directory: &str) -> Result<Arc<dyn CheckpointStorage>> {
    let settings = Settings::from_pairs([("state.checkpoints.dir", directory)])?;
    open_storage(&settings, &job(), &StorageEnv::default())
}

/// A variable of the environment as a number.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Whether what is listed is whole, and what was acknowledged is listed; what is wrong otherwise.
pub(crate) fn look(
    storage: &dyn CheckpointStorage,
    acknowledged: &BTreeSet<u64>,
    refused: &BTreeSet<u64>,
) -> Vec<String> {
    let listed: Vec<u64> = storage.list().unwrap().into_iter().map(CheckpointId::get).collect();
    let mut wrong = Vec::new();
    for number in &listed {
        let stored = storage.load(CheckpointId::new(*number));
        let whole = stored.map_err(|error| error.to_string()).and_then(|it| check_whole(&it));
        if let Err(problem) = whole {
            wrong.push(format!("checkpoint {number} is listed, but {problem}"));
        }
        if refused.contains(number) {
            wrong.push(format!("checkpoint {number} was refused, but is listed"));
        }
    }
    let lost = acknowledged.iter().filter(|number| !listed.contains(number));
    wrong.extend(lost.map(|number| format!("checkpoint {number} was acknowledged, but is gone")));
    wrong
}
