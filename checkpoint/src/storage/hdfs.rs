//! `hdfs://`: local storage over the file system of a cluster, one connection for each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::Result;
use alluvium_state_api::storage::local::{LocalSavepoints, LocalStorage};
use alluvium_state_api::storage::{CheckpointStorage, SavepointPlaces};
use parking_lot::Mutex;

use super::Stores;
use super::location::Location;
use crate::hdfs::{Address, HdfsFs, HdfsOptions};

/// The clusters that are connected.
#[derive(Debug, Default)]
pub(super) struct Clusters(Mutex<BTreeMap<String, HdfsFs>>);

impl Clusters {
    fn connect(&self, address: &Address) -> Result<HdfsFs> {
        let mut known = self.0.lock();
        if let Some(fs) = known.get(&address.cluster) {
            return Ok(fs.clone());
        }
        let fs = HdfsFs::connect(&address.url, HdfsOptions::default())?;
        known.insert(address.cluster.clone(), fs.clone());
        Ok(fs)
    }
}

impl Stores {
    /// As [`home`](Self::home).
    pub(super) fn hdfs_home(
        &self,
        at: &Address,
        savepoints: Option<&Location>,
    ) -> Result<Arc<dyn CheckpointStorage>> {
        let fs = Arc::new(self.clusters.connect(at)?);
        let mut options = self.local_options();
        if let Some(Location::Hdfs(place)) = savepoints
            && place.cluster == at.cluster
        {
            options = options.with_savepoint_directory(&place.path);
        }
        let (random, path) = (Arc::clone(&self.env.randomness), Path::new(&at.path));
        Ok(Arc::new(LocalStorage::open(fs, random, path, &self.job, options)?))
    }

    /// As [`place`](Self::place).
    pub(super) fn hdfs_place(&self, at: &Address) -> Result<Arc<dyn SavepointPlaces>> {
        let fs = Arc::new(self.clusters.connect(at)?);
        let (random, options) = (Arc::clone(&self.env.randomness), self.local_options());
        Ok(Arc::new(LocalSavepoints::new(fs, random, &self.job, options)?))
    }
}
