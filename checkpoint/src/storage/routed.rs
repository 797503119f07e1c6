//! A job's storage whose savepoints and pointers may be elsewhere.

use std::sync::Arc;

use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{
    CheckpointAttempt, CheckpointStorage, SavepointPlaces, SnapshotSource, StoredCheckpoint,
    Survey, SurveyedPlace, SurveyedSavepoint,
};
use alluvium_state_api::{CheckpointId, Result};

use super::Stores;
use super::location::Location;

/// See the module.
#[derive(Debug)]
pub(super) struct Routed {
    home: Arc<dyn CheckpointStorage>,
    at: Location,
    savepoints: Option<Location>,
    stores: Stores,
}

impl Routed {
    pub(super) fn new(
        home: Arc<dyn CheckpointStorage>,
        at: Location,
        savepoints: Option<Location>,
        stores: Stores,
    ) -> Self {
        Self { home, at, savepoints, stores }
    }

    /// The place of `location`, unless that is the job's own storage.
    fn elsewhere(&self, location: &Location) -> Result<Option<Arc<dyn SavepointPlaces>>> {
        if self.at.shares_store(location) {
            return Ok(None);
        }
        self.stores.place(location).map(Some)
    }
}

impl CheckpointStorage for Routed {
    fn begin(&self, id: CheckpointId) -> Result<Arc<dyn CheckpointAttempt>> {
        self.home.begin(id)
    }

    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        let named = target.map(|url| self.stores.locate(url)).transpose()?;
        let Some(target) = named.as_ref().or(self.savepoints.as_ref()) else {
            return self.home.begin_savepoint(None);
        };
        match self.elsewhere(target)? {
            None => self.home.begin_savepoint(Some(target.text())),
            Some(place) => place.begin(Some(target.text())),
        }
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        let target = self.stores.locate(target)?;
        match self.elsewhere(&target)? {
            None => self.home.begin_export(target.text()),
            Some(place) => place.begin_export(target.text()),
        }
    }

    fn list(&self) -> Result<Vec<CheckpointId>> {
        self.home.list()
    }

    fn load(&self, id: CheckpointId) -> Result<StoredCheckpoint> {
        self.home.load(id)
    }

    fn source(&self, id: CheckpointId) -> Arc<dyn SnapshotSource> {
        self.home.source(id)
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        let pointer = self.stores.locate(pointer)?;
        match self.elsewhere(&pointer)? {
            None => self.home.open_pointer(pointer.text()),
            Some(place) => place.open_pointer(pointer.text()),
        }
    }

    fn discard(&self, id: CheckpointId, unused_shared: &[FileName]) -> Result<()> {
        self.home.discard(id, unused_shared)
    }

    fn discard_shared(&self, unused: &[FileName]) -> Result<()> {
        self.home.discard_shared(unused)
    }

    fn survey(&self) -> Result<Survey> {
        self.home.survey()
    }

    fn survey_savepoints(&self) -> Result<Vec<SurveyedSavepoint>> {
        match &self.savepoints {
            None => self.home.survey_savepoints(),
            Some(at) => match self.elsewhere(at)? {
                None => self.home.survey_savepoints(),
                Some(place) => place.survey(Some(at.text())),
            },
        }
    }

    fn discard_strays(&self, place: &SurveyedPlace, names: &[String]) -> Result<()> {
        let SurveyedPlace::Savepoint(pointer) = place else {
            return self.home.discard_strays(place, names);
        };
        match self.elsewhere(&self.stores.locate(pointer)?)? {
            None => self.home.discard_strays(place, names),
            Some(elsewhere) => elsewhere.discard_strays(pointer, names),
        }
    }

    fn discard_savepoint(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        let pointer = self.stores.locate(pointer)?;
        match self.elsewhere(&pointer)? {
            None => self.home.discard_savepoint(pointer.text(), files),
            Some(place) => place.discard(pointer.text(), files),
        }
    }
}
