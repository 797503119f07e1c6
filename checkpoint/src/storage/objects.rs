//! Object stores: each is opened once, and serves the job's checkpoints, savepoints and pointers.

use std::fmt;
use std::sync::Arc;

use alluvium_state_api::Result;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::storage::{CheckpointStorage, SavepointPlaces};
use object_store::ObjectStore;
use object_store::limit::LimitStore;

use super::Stores;
use super::location::{Cloud, Location, ObjectUrl};
use super::scattered::{Layout, Scattered};
use crate::object::{Ground, ObjectOptions, ObjectPlaces, ObjectStorage};

/// A store that the environment was given, and the URL of its root.
#[derive(Clone)]
pub(super) struct CustomStore {
    pub(super) root: String,
    pub(super) store: Arc<dyn ObjectStore>,
}

/// Without the store: it may show credentials.
impl fmt::Debug for CustomStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomStore").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Stores {
    pub(super) fn object_home(
        &self,
        url: &ObjectUrl,
        savepoints: Option<&Location>,
    ) -> Result<Arc<dyn CheckpointStorage>> {
        let savepoints = match savepoints {
            Some(Location::Object(place)) if place.root == url.root => Some(place.text.clone()),
            _ => None,
        };
        Ok(Arc::new(ObjectStorage::on(self.ground(url)?, &url.text, &self.job, savepoints)?))
    }

    pub(super) fn object_place(&self, url: &ObjectUrl) -> Result<Arc<dyn SavepointPlaces>> {
        Ok(Arc::new(ObjectPlaces::new(self.ground(url)?, &self.job, None)))
    }

    /// Takes the marker of entropy out of a URL.
    pub(super) fn unmarked(
        settings: &Settings,
        mut url: ObjectUrl,
    ) -> Result<(ObjectUrl, Option<Layout>)> {
        let Some((key, length)) = settings.s3_entropy() else {
            return Ok((url, None));
        };
        let path = url.text.strip_prefix(&url.root).unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or(path);
        let (path, layout) = Layout::take(path, key, length)?;
        if layout.is_some() {
            url.text = format!("{}/{path}", url.root);
        }
        Ok((url, layout))
    }

    /// The entropy of the checkpoint directory, if that is below `root`.
    fn layout(&self, root: &str) -> Option<Layout> {
        let at = Location::parse(self.settings.checkpoint_dir()?, &self.env).ok()?;
        let Location::Object(url) = at else {
            return None;
        };
        let (url, layout) = Self::unmarked(&self.settings, url).ok()?;
        layout.filter(|_| url.root == root)
    }

    fn ground(&self, url: &ObjectUrl) -> Result<Arc<Ground>> {
        let mut grounds = self.grounds.lock();
        if let Some(ground) = grounds.get(&url.root) {
            return Ok(Arc::clone(ground));
        }
        let requests = self.settings.object_requests();
        let limited = LimitStore::new(self.client(url)?, requests.max_requests);
        let limited = Arc::new(limited) as Arc<dyn ObjectStore>;
        let (store, plain) = match self.layout(&url.root) {
            None => (limited, None),
            Some(layout) => {
                let inner = Arc::clone(&limited);
                (Arc::new(Scattered { inner, layout }) as Arc<dyn ObjectStore>, Some(limited))
            }
        };
        let options = ObjectOptions {
            inline_threshold_bytes: self.settings.inline_threshold_bytes(),
            part_bytes: requests.part_bytes,
            parallel_parts: requests.parallel_parts,
            ..ObjectOptions::default()
        };
        let randomness = Arc::clone(&self.env.randomness);
        let ground = Ground::open(store, plain, randomness, &url.root, options)?;
        grounds.insert(url.root.clone(), Arc::clone(&ground));
        Ok(ground)
    }

    fn client(&self, url: &ObjectUrl) -> Result<Arc<dyn ObjectStore>> {
        if url.cloud == Cloud::Custom {
            let given = self.env.object_stores.iter().find(|given| given.root == url.root);
            return given
                .map(|given| Arc::clone(&given.store))
                .ok_or_else(|| super::lacking(url.cloud));
        }
        #[cfg(feature = "cloud")]
        let client = super::cloud::open(url, &self.settings, &self.env);
        #[cfg(not(feature = "cloud"))]
        let client = Err(super::lacking(url.cloud));
        client
    }
}
