//! Looking through a job's prefix, and through the one of savepoints; removing what is found to be of no
//! use.
//!
//! Only names are found and removed that we draw. Uploads in parts that were begun and never ended are
//! not among them: the interface of object stores here does not list them. A lifecycle rule of the bucket
//! ends them (`AbortIncompleteMultipartUpload`, after a day or more).

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_state_api::storage::{
    Survey, SurveyedCheckpoint, SurveyedFile, SurveyedSavepoint, is_drawn, is_savepoint_of,
};
use alluvium_state_api::{Error, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::Ground;
use super::content::{Found, is_metadata};
use super::errors::failed;
use super::keys::{METADATA, SHARED, below, parse_checkpoint};

/// How many objects are looked at at once.
const PEEKS: usize = 16;

/// What is found in one place.
#[derive(Default)]
struct Place {
    modified_ms: Option<u64>,
    metadata_bytes: Option<u64>,
    files: Vec<SurveyedFile>,
}

impl Place {
    /// Takes in an object, unless its name is not ours.
    fn add(&mut self, name: &str, object: &ObjectMeta) {
        let file = file(name, object);
        if name == METADATA {
            self.metadata_bytes = Some(object.size);
        } else if is_drawn(name) {
            self.files.push(file.clone());
        } else {
            return;
        }
        self.modified_ms = self.modified_ms.max(file.modified_ms);
    }

    fn is_empty(&self) -> bool {
        self.metadata_bytes.is_none() && self.files.is_empty()
    }
}

/// Which of these objects of so many bytes, all named `_metadata`, are there and metadata.
fn are_published(ground: &Ground, objects: Vec<(Path, Option<u64>)>) -> Result<Vec<bool>> {
    let store = Arc::clone(&ground.store);
    ground.executor.run(async move {
        let one = |(at, bytes): (Path, Option<u64>)| {
            let store = Arc::clone(&store);
            async move {
                match bytes {
                    Some(bytes) => is_metadata(&*store, &at, bytes).await,
                    None => Ok(false),
                }
            }
        };
        stream::iter(objects.into_iter().map(one)).buffered(PEEKS).try_collect().await
    })?
}

fn file(name: &str, object: &ObjectMeta) -> SurveyedFile {
    let modified_ms = u64::try_from(object.last_modified.timestamp_millis()).ok();
    SurveyedFile { name: name.to_owned(), length: object.size, modified_ms }
}

/// Everything below the job's prefix, of `objects`, that may be ours.
pub(super) fn survey(ground: &Ground, home: &Path, objects: Vec<ObjectMeta>) -> Result<Survey> {
    let (prefix, mut survey) = (format!("{home}/"), Survey::default());
    let mut places: BTreeMap<_, Place> = BTreeMap::new();
    for object in objects {
        let inside = object.location.as_ref().strip_prefix(&prefix);
        let Some((place, name)) = inside.and_then(|inside| inside.split_once('/')) else {
            continue;
        };
        if place == SHARED && is_drawn(name) {
            survey.shared.push(file(name, &object));
        } else if let Some(id) = parse_checkpoint(place) {
            places.entry(id).or_default().add(name, &object);
        }
    }
    places.retain(|_, place| !place.is_empty());
    let metadata = places.iter().map(|(id, place)| {
        (below(&below(home, &super::checkpoint_name(*id)), METADATA), place.metadata_bytes)
    });
    let published = are_published(ground, metadata.collect())?;
    for ((id, place), published) in places.into_iter().zip(published) {
        let Place { modified_ms, files, .. } = place;
        survey.checkpoints.push(SurveyedCheckpoint { id, published, modified_ms, files });
    }
    survey.shared.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(survey)
}

/// The places of savepoints of `job` below `target`, by name.
pub(super) fn savepoints(
    ground: &Ground,
    target: &Path,
    job: &str,
) -> Result<Vec<SurveyedSavepoint>> {
    let (store, at) = (Arc::clone(&ground.store), target.clone());
    let listed = ground.executor.run(async move { store.list_with_delimiter(Some(&at)).await })?;
    let listed = listed.map_err(|error| failed("list", target.as_ref(), &error))?;
    let is_ours = |own: &Path| own.filename().is_some_and(|name| is_savepoint_of(job, name));
    let mut found = Vec::new();
    for own in listed.common_prefixes.into_iter().filter(is_ours) {
        let (prefix, mut place) = (format!("{own}/"), Place::default());
        for object in ground.list(&own)? {
            if let Some(name) = object.location.as_ref().strip_prefix(&prefix) {
                place.add(name, &object);
            }
        }
        if place.is_empty() {
            continue;
        }
        let metadata = (below(&own, METADATA), place.metadata_bytes);
        let published = are_published(ground, vec![metadata])?.contains(&true);
        let Place { modified_ms, files, .. } = place;
        let pointer = ground.pointer(&own);
        found.push(SurveyedSavepoint { pointer, published, modified_ms, files });
    }
    found.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    Ok(found)
}

/// Removes what is in the place of metadata below `own` and is none: what it was for is long over.
pub(super) fn remove_decided(ground: &Ground, own: &Path) -> Result<()> {
    let at = below(own, METADATA);
    match ground.look(&at)? {
        Found::Tombstone { .. } | Found::Remains(_) => ground.delete(vec![at]),
        Found::Nothing | Found::Metadata(..) => Ok(()),
    }
}

/// Removes objects below `own`, all of which must have names that we draw.
pub(super) fn remove_strays(ground: &Ground, own: &Path, names: &[String]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| !is_drawn(name)) {
        return Err(Error::invalid_input(format!(
            "{name:?} is no name of an object of ours; nothing was removed"
        ))
        .with_path(own.as_ref()));
    }
    ground.delete(names.iter().map(|name| below(own, name)).collect())
}
