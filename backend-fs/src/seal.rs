//! From a layer to a segment: for a checkpoint what changed, for a spill what no segment has yet.
//!
//! The layer's stores take incremental snapshots of themselves into scratch files, and these are
//! converted: sorted, and with lookups. Reading goes on meanwhile, and of a layer that is not sealed
//! writing, too.

use std::sync::Arc;

use alluvium_state_api::format::{StateFile, StateFileSpec};
use alluvium_state_api::snapshot::{
    CancelToken, FileLocation, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
    SnapshotTask, StoredFile,
};
use alluvium_state_api::storage::FileReader;
use alluvium_state_api::{CheckpointId, Error, KeyedStore, Result};

use crate::build::convert::{Input, convert};
use crate::build::gather::Role;
use crate::layer::Layer;
use crate::local::LocalFile;
use crate::member::Member;
use crate::workshop::{Scratch, Workshop};

/// The snapshots of a layer's stores after their synchronous phase.
#[derive(Default)]
pub(crate) struct LayerTasks(Vec<(Role, Box<dyn SnapshotTask>)>);

impl LayerTasks {
    /// The synchronous phase.
    pub(crate) fn begin(layer: &mut Layer, checkpoint: CheckpointId) -> Result<Self> {
        let request = SnapshotRequest::new(checkpoint, SnapshotKind::Incremental);
        let marked = layer.is_marked();
        let stores = [
            (Role::LayerMain, &mut layer.main, true),
            (Role::LayerMarks, &mut layer.marks, marked),
            (Role::LayerCleared, &mut layer.cleared, marked),
        ];
        let mut tasks = Vec::new();
        for (role, store, _) in stores.into_iter().filter(|(_, _, wanted)| *wanted) {
            tasks.push((role, store.snapshot(&request)?));
        }
        Ok(Self(tasks))
    }

    /// Writes a segment of what the tasks yield; `None` if that is nothing.
    pub(crate) fn into_segment(
        self,
        workshop: &Workshop,
        spec: StateFileSpec,
        cancel: &CancelToken,
    ) -> Result<Option<Arc<Member>>> {
        let scratch = Scratch::new(workshop);
        let mut files = Vec::new();
        for (role, task) in self.0 {
            let progress = Progress::default();
            let context = SnapshotContext { sink: &scratch, cancel, progress: &progress };
            for file in task.run(context)?.files {
                files.push((role, open(&scratch, &file.stored)?));
            }
        }
        let inputs: Vec<Input<'_>> = files
            .iter()
            .filter(|(_, (_, file))| !file.sections().is_empty())
            .map(|(role, (_, file))| Input { file, role: *role })
            .collect();
        if inputs.is_empty() {
            return Ok(None);
        }
        let range = spec.range;
        let (file, to) = workshop.begin()?;
        let written = convert(&inputs, &[range], spec, to, cancel)?;
        workshop.segment(file, written, range, vec![range]).map(Some)
    }
}

/// Opens a scratch file, which goes away with what is returned.
fn open(scratch: &Scratch<'_>, stored: &StoredFile) -> Result<(LocalFile, StateFile)> {
    let FileLocation::Shared(name) = &stored.location else {
        return Err(Error::bug("a scratch file is somewhere else"));
    };
    let local = scratch.take(name).ok_or_else(|| Error::bug("a scratch file is missing"))?;
    let reader: Arc<dyn FileReader> = local.read(stored.length)?.into();
    let file = StateFile::open(reader, local.path())?;
    Ok((local, file))
}
