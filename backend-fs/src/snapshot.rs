//! Snapshots: the synchronous phase here, the rest as a task.
//!
//! # How
//! The synchronous phase ends an epoch in the layer's tables, takes the list of segments, and nothing
//! else. The task writes what changed in the layer since the last confirmed checkpoint as a segment of
//! its own; an incremental checkpoint then consists of that one and of the segments below, of which those
//! that the confirmed checkpoint has are only referenced. Full and canonical snapshots merge all of them
//! into one file; where there is but one segment, its file is the full snapshot.
//!
//! # Invariants
//! N1. The segments of a task, and the one that it writes, are the state as of the synchronous phase.
//! N2. A task reports its result only after all files are durable.

use std::sync::Arc;

use alluvium_state_api::format::{FileForm, StateFileSpec, WriteOptions};
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::snapshot::{
    CancelToken, Compression, Digest, EntryCount, KeyedSnapshot, SnapshotContext, SnapshotFile,
    SnapshotKind, SnapshotRequest, SnapshotTask, StateSummary,
};
use alluvium_state_api::storage::{FileScope, InlinePolicy};
use alluvium_state_api::{CheckpointId, Error, KeyGroupRange, KeyedStore, Result};

use crate::build::merge::{Extent, Merge};
use crate::chain::{Base, Candidate, Candidates, InFlight, Uploads, report};
use crate::fold::worth_folding;
use crate::member::Member;
use crate::promise::Promise;
use crate::seal::LayerTasks;
use crate::segments::without;
use crate::store::FsStore;
use crate::workshop::{Workshop, upload};

/// The rest of a snapshot.
struct Task {
    request: SnapshotRequest,
    spec: StateFileSpec,
    /// Below the layer, oldest first.
    segments: Vec<Arc<Member>>,
    /// The sealed layer, on its way to become a segment.
    spill: Option<Arc<Promise>>,
    tasks: LayerTasks,
    basis: u64,
    base: Option<Arc<Base>>,
    candidates: Candidates,
    workshop: Workshop,
    _in_flight: InFlight,
}

impl FsStore {
    /// The synchronous phase.
    pub(crate) fn begin_snapshot(
        &mut self,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        if self.chain.last.is_some_and(|last| request.checkpoint <= last) {
            return Err(Error::invalid_input("checkpoint numbers must ascend")
                .with_checkpoint(request.checkpoint));
        }
        let tasks = LayerTasks::begin(&mut self.layer, request.checkpoint)?;
        self.has_below = true;
        self.chain.last = Some(request.checkpoint);
        Ok(Box::new(Task {
            request: request.clone(),
            spec: self.spec(FileForm::Increment),
            segments: self.segments.all().to_vec(),
            spill: self.background.spill(),
            tasks,
            basis: self.background.basis(),
            base: self.chain.base(),
            candidates: self.chain.candidates(),
            workshop: self.workshop.clone(),
            _in_flight: self.chain.start(),
        }))
    }

    /// What a segment of all states says of itself.
    pub(crate) fn spec(&self, form: FileForm) -> StateFileSpec {
        let space = self.key_space();
        StateFileSpec {
            key: space.identity().clone(),
            groups: space.groups(),
            range: space.range(),
            states: self.directory.metas(),
            form,
        }
    }

    /// A checkpoint is complete: what its task wrote becomes part of the chain.
    pub(crate) fn completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        let Some(candidate) = self.chain.completed(checkpoint) else {
            return Ok(());
        };
        if candidate.basis != self.background.basis() {
            // The layer was sealed meanwhile, and its segment has everything that this one has; or another
            // checkpoint was confirmed, on whose segment this one does not build.
            return Ok(());
        }
        self.background.rebase();
        self.layer.completed(checkpoint)?;
        if let Some(segment) = candidate.segment {
            self.confirmed(segment, &candidate.folded)?;
        }
        Ok(())
    }

    /// A checkpoint will never complete.
    pub(crate) fn aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.chain.aborted(checkpoint);
        self.layer.aborted(checkpoint)
    }

    /// About how many entries a state has.
    pub(crate) fn estimate(&self, slot: alluvium_state_api::Slot) -> u64 {
        let in_layer = |layer: &crate::layer::Layer| layer.entries(slot);
        let mut entries = in_layer(&self.layer) + self.sealed.as_ref().map_or(0, in_layer);
        for (index, segment) in self.segments.all().iter().enumerate() {
            if let Some(state) = self.segments.id(index, slot) {
                entries = entries.saturating_add(segment.totals(state).entries);
            }
        }
        entries
    }
}

impl SnapshotTask for Task {
    fn run(self: Box<Self>, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        let checkpoint = self.request.checkpoint;
        self.write(context).map_err(|error| error.with_checkpoint(checkpoint))
    }
}

impl Task {
    fn write(mut self, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        context.cancel.check()?;
        if let Some(spill) = self.spill.take() {
            self.segments.extend(spill.wait(context.cancel)?);
        }
        let form = if self.segments.is_empty() { FileForm::Full } else { FileForm::Increment };
        let spec = StateFileSpec { form, ..self.spec.clone() };
        let tasks = std::mem::take(&mut self.tasks);
        let mut fresh = tasks.into_segment(&self.workshop, spec, context.cancel)?;
        let folded = self.worth_folding(fresh.as_deref());
        if !folded.is_empty() {
            fresh = Some(self.fold(fresh, &folded, context.cancel)?);
        }
        let mut segments = without(&self.segments, &folded);
        segments.extend(fresh.clone());
        let (snapshot, uploads) = match self.request.kind {
            SnapshotKind::Incremental => {
                let (snapshot, uploads) = self.upload(&segments, context)?;
                (snapshot, Some(uploads))
            }
            kind => match self.whole(kind, &segments) {
                Some(segment) => (self.given(segment, context)?, None),
                None => (self.merged(kind, &segments, context)?, None),
            },
        };
        if self.request.kind != SnapshotKind::Canonical {
            let candidate = Candidate {
                checkpoint: self.request.checkpoint,
                basis: self.basis,
                segment: fresh,
                folded,
                uploads,
            };
            report(&self.candidates, candidate);
        }
        Ok(snapshot)
    }

    /// The key groups that an increment writes in full.
    fn worth_folding(&self, fresh: Option<&Member>) -> Vec<KeyGroupRange> {
        let wanted = self.request.kind == SnapshotKind::Incremental && self.base.is_some();
        let fresh = fresh.filter(|_| wanted);
        fresh.map_or_else(Vec::new, |fresh| {
            let changed = (self.request.checkpoint, fresh.segment().bytes());
            worth_folding(&self.segments, self.spec.range, changed)
        })
    }

    /// Writes what changed with everything that is below it in the key groups of `folded`.
    fn fold(
        &self,
        fresh: Option<Arc<Member>>,
        folded: &[KeyGroupRange],
        cancel: &CancelToken,
    ) -> Result<Arc<Member>> {
        let mut sources = self.segments.clone();
        sources.extend(fresh);
        let mut options = WriteOptions::default();
        options.lookups = true;
        options.cancel = cancel.clone();
        let (file, to) = self.workshop.begin()?;
        let merge = Merge { sources: &sources, extent: Extent::Fold(folded), pace: None };
        let written = merge.write(self.spec.clone(), to, options, None)?;
        let range = self.spec.range;
        self.workshop.segment(file, written, range, vec![range])
    }

    /// References what the base has, and gives the storage the rest.
    fn upload(
        &self,
        segments: &[Arc<Member>],
        context: SnapshotContext<'_>,
    ) -> Result<(KeyedSnapshot, Uploads)> {
        self.check_inline(segments, context)?;
        let (mut files, mut uploads) = (Vec::new(), Uploads::new());
        let (mut bytes_new, mut bytes_full) = (0u64, 0u64);
        for segment in segments {
            context.cancel.check()?;
            let known = self.base.as_ref().and_then(|base| base.uploads.get(&segment.id()));
            let file = if let Some(file) = known {
                file.clone()
            } else {
                let file = upload(segment, FileScope::Shared, context)?;
                bytes_new = bytes_new.saturating_add(file.stored.length);
                context.progress.add(segment.entries(), file.stored.length);
                file
            };
            bytes_full = bytes_full.saturating_add(segment.read_bytes());
            uploads.insert(segment.id(), file.clone());
            files.push(SnapshotFile { live: segment.live().to_vec(), ..file });
        }
        let kind = match self.base {
            Some(_) => SnapshotKind::Incremental,
            None => SnapshotKind::Full,
        };
        let snapshot = self.of_files(kind, segments, files);
        Ok((KeyedSnapshot { bytes_new, bytes_full, ..snapshot }, uploads))
    }

    /// A snapshot that consists of the files of these segments, all of them new and read whole.
    fn of_files(
        &self,
        kind: SnapshotKind,
        segments: &[Arc<Member>],
        files: Vec<SnapshotFile>,
    ) -> KeyedSnapshot {
        let bytes = files.iter().map(|file| file.stored.length).fold(0, u64::saturating_add);
        KeyedSnapshot {
            backend: crate::BACKEND_NAME.into(),
            kind,
            key: self.spec.key.clone(),
            groups: self.spec.groups,
            range: self.spec.range,
            states: self.spec.states.iter().map(|meta| summary(meta, segments)).collect(),
            files,
            bytes_new: bytes,
            bytes_full: bytes,
        }
    }

    /// Refuses what is more than may travel inline.
    fn check_inline(&self, segments: &[Arc<Member>], context: SnapshotContext<'_>) -> Result<()> {
        let InlinePolicy::Everything { limit_bytes } = context.sink.inline_policy() else {
            return Ok(());
        };
        for meta in &self.spec.states {
            let bytes = segments.iter().map(|segment| {
                segment.state_id(&meta.name).map_or(0, |state| segment.totals(state).stored_bytes)
            });
            let bytes = bytes.fold(0, u64::saturating_add);
            if bytes > limit_bytes {
                let advice =
                    "set state.checkpoints.dir, or raise state.backend.memory.max-state-size";
                return Err(Error::limit_exceeded(&meta.name, None, bytes, limit_bytes, advice));
            }
        }
        Ok(())
    }

    /// The segment that is what a full snapshot would write.
    fn whole<'s>(
        &self,
        kind: SnapshotKind,
        segments: &'s [Arc<Member>],
    ) -> Option<&'s Arc<Member>> {
        let [one] = segments else { return None };
        let (file, range) = (one.segment().spec(), self.spec.range);
        let all = file.form == FileForm::Full && file.range == range && one.live() == [range];
        let plain = self.request.compression == Compression::None;
        (kind == SnapshotKind::Full && plain && all).then_some(one)
    }

    /// Gives the storage the one file that there is.
    fn given(&self, segment: &Arc<Member>, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        let segments = std::slice::from_ref(segment);
        self.check_inline(segments, context)?;
        context.cancel.check()?;
        let file = upload(segment, FileScope::Own, context)?;
        context.progress.add(segment.entries(), file.stored.length);
        Ok(self.of_files(SnapshotKind::Full, segments, vec![file]))
    }

    /// Writes one file with everything.
    fn merged(
        &self,
        kind: SnapshotKind,
        segments: &[Arc<Member>],
        context: SnapshotContext<'_>,
    ) -> Result<KeyedSnapshot> {
        let form = match kind {
            SnapshotKind::Canonical => FileForm::Canonical,
            _ => FileForm::Full,
        };
        let spec = StateFileSpec { form, ..self.spec.clone() };
        let mut options = WriteOptions::of(&context, self.request.compression);
        options.lookups = form == FileForm::Full && self.request.compression == Compression::None;
        let to = context.sink.create(FileScope::Own)?;
        let merge = Merge { sources: segments, extent: Extent::All, pace: None };
        let written = merge.write(spec.clone(), to, options, None)?;
        Ok(KeyedSnapshot::of_file(crate::BACKEND_NAME, kind, &spec, written))
    }
}

/// What is known of a state: exactly, where one full segment has all of it or none has any.
fn summary(meta: &StateMeta, segments: &[Arc<Member>]) -> StateSummary {
    let totals = segments.iter().map(|segment| {
        segment.state_id(&meta.name).map(|id| segment.totals(id)).unwrap_or_default()
    });
    let (mut entries, mut digest) = (0u64, 0u128);
    for total in totals {
        entries = entries.saturating_add(total.entries);
        digest = digest.wrapping_add(total.digest.0);
    }
    let whole = match segments {
        [] => true,
        [one] => one.segment().spec().form == FileForm::Full,
        _ => false,
    };
    let meta = meta.clone();
    if whole {
        let (entries, digest) = (EntryCount::Exact(entries), Some(Digest(digest)));
        return StateSummary { meta, entries, digest };
    }
    StateSummary { meta, entries: EntryCount::Estimate(entries), digest: None }
}
