//! What works beside the writer: spilling a sealed layer, merging segments, and reading what was restored.
//!
//! # Invariants
//! B1. At most one layer is sealed, and at most one merge runs.
//! B2. The writer takes up results between two operations; nothing else changes its segments.
//! B3. The writer waits only where it must: for the sealed layer when the next one is full, and for a
//!     merge when there are twice as many segments as there should be, eight times where checkpoints
//!     alone make them; the merge then runs unpaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_state_api::format::{FileForm, WriteOptions};
use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::{CheckpointId, Error, ErrorKind, KeyGroupRange, Result};

use crate::build::merge::{Extent, Merge, Pace, live_ranges};
use crate::layer::Layer;
use crate::member::Member;
use crate::promise::{Keeper, Promise};
use crate::seal::LayerTasks;
use crate::segments::Counting;
use crate::statistics::FsStatistics;
use crate::store::FsStore;

/// Operations between two looks at budgets and background work.
const LOOK_EVERY: u32 = 256;
/// Budgets below this are looked at after every operation.
const SMALL_BUDGET_BYTES: u64 = 1 << 20;

/// How many times as many segments as there should be make the writer wait that spills.
const HURRIED: usize = 2;
/// And at a checkpoint.
const MOST: usize = 8;
/// Milliseconds after opening before the first merge begins: the first reads have cores and disk to themselves.
const SETTLING_MS: u64 = 500;

/// A merge under way.
#[derive(Debug)]
struct Merging {
    promise: Arc<Promise>,
    pace: Pace,
    inputs: Vec<u64>,
}

/// Background work of a store; see the module's page.
#[derive(Debug, Default)]
pub(crate) struct Background {
    /// Counts what a segment of the layer may be relative to: layers, and checkpoints of them that were
    /// confirmed.
    basis: u64,
    spill: Option<Arc<Promise>>,
    merging: Option<Merging>,
    reading: Option<Arc<Promise>>,
    /// Bytes that were read ahead of who asks for them.
    hydrated: Arc<AtomicU64>,
    poison: Option<Arc<Error>>,
    cancel: CancelToken,
    /// What was done.
    pub(crate) figures: FsStatistics,
}

impl Background {
    /// What a segment of the layer that is begun now is relative to.
    pub(crate) const fn basis(&self) -> u64 {
        self.basis
    }

    /// From now on segments of the layer are relative to something else.
    pub(crate) fn rebase(&mut self) {
        self.basis += 1;
    }

    /// Bytes that were read ahead of who asks for them.
    pub(crate) fn hydrated_bytes(&self) -> u64 {
        self.hydrated.load(Ordering::Relaxed)
    }

    /// Whether segments are being merged.
    pub(crate) fn is_merging(&self) -> bool {
        self.merging.as_ref().is_some_and(|merging| !merging.promise.is_done())
    }

    /// The spill under way.
    pub(crate) fn spill(&self) -> Option<Arc<Promise>> {
        self.spill.clone()
    }
}

impl Drop for Background {
    /// Ends what runs, so that the directory can be opened again. A spill is waited for: a snapshot that
    /// outlives the store may need it.
    fn drop(&mut self) {
        self.cancel.cancel();
        let merging = self.merging.take().map(|merging| {
            merging.pace.hurry();
            merging.promise
        });
        let others = merging.into_iter().chain(self.reading.take());
        for promise in self.spill.take().into_iter().chain(others) {
            promise.wait_until_done();
        }
    }
}

impl FsStore {
    /// Looks at budgets, and takes up what background work has done.
    #[cold]
    pub(crate) fn attend(&mut self) -> Result<()> {
        let small = self.options.write_buffer_bytes < SMALL_BUDGET_BYTES;
        self.countdown = if small { 0 } else { LOOK_EVERY };
        if let Some(poison) = &self.background.poison {
            return Err(poisoned(poison));
        }
        self.reads.judge_copies();
        let attended = self.take_up();
        self.or_poison(attended)
    }

    /// Poisons the store where background work failed.
    fn or_poison<T>(&mut self, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            let error = Arc::new(error);
            self.background.poison = Some(Arc::clone(&error));
            self.countdown = 0;
            poisoned(&error)
        })
    }

    /// Poisons the store because of an error that leaves it half changed.
    pub(crate) fn poison(&mut self, error: &Error) {
        let cause = Error::new(error.kind(), error.message());
        self.background.poison = Some(Arc::new(cause));
        self.countdown = 0;
    }

    fn take_up(&mut self) -> Result<()> {
        if let Some(outcome) = self.background.spill.as_ref().and_then(|spill| spill.poll()) {
            self.spilled(outcome?)?;
        }
        let merged = self.background.merging.as_ref().and_then(|merging| merging.promise.poll());
        if let Some(outcome) = merged {
            self.merged(outcome?)?;
        }
        if self.layer.written_bytes() > self.options.write_buffer_bytes / 2
            && self.layer.has_entries()
        {
            self.finish_spill()?;
            self.relieve(HURRIED)?;
            self.seal()?;
        }
        Ok(())
    }

    /// Waits for the sealed layer, if there is one.
    pub(crate) fn finish_spill(&mut self) -> Result<()> {
        if let Some(spill) = self.background.spill() {
            let segment = spill.wait(&CancelToken::default())?;
            self.spilled(segment)?;
        }
        Ok(())
    }

    /// Waits for the merge, if there is one.
    pub(crate) fn finish_merge(&mut self) -> Result<()> {
        if let Some(merging) = &self.background.merging {
            merging.pace.hurry();
            let segment = merging.promise.wait(&CancelToken::default())?;
            self.merged(segment)?;
        }
        Ok(())
    }

    /// Lets merging catch up where there are so many times more segments than there should be (B3).
    fn relieve(&mut self, times: usize) -> Result<()> {
        while self.segments.deepest() >= times * self.options.max_segments {
            self.merge_if_worth(Counting::Each)?;
            if self.background.merging.is_none() {
                break;
            }
            self.finish_merge()?;
        }
        Ok(())
    }

    fn spilled(&mut self, segment: Option<Arc<Member>>) -> Result<()> {
        self.background.spill = None;
        self.sealed = None;
        if let Some(segment) = segment {
            let figures = &mut self.background.figures;
            figures.spills += 1;
            figures.spilled_bytes += segment.segment().bytes();
            self.segments.push(segment);
            self.merge_if_worth(Counting::Each)?;
        }
        Ok(())
    }

    /// Takes up the segment of a checkpoint that was confirmed, which has all of the key groups in `folded`.
    pub(crate) fn confirmed(
        &mut self,
        segment: Arc<Member>,
        folded: &[KeyGroupRange],
    ) -> Result<()> {
        self.segments.put_above(segment, folded);
        self.merge_if_worth(Counting::BySize)?;
        let deepest = self.segments.deepest();
        if let Some(merging) = &self.background.merging
            && deepest >= HURRIED * self.options.max_segments
        {
            merging.pace.hurry();
        }
        if deepest >= MOST * self.options.max_segments { self.relieve(MOST) } else { Ok(()) }
    }

    /// Puts an empty layer above the present one, which becomes a segment.
    fn seal(&mut self) -> Result<()> {
        let form = if self.segments.is_empty() { FileForm::Full } else { FileForm::Increment };
        let spec = self.spec(form);
        let tasks = LayerTasks::begin(&mut self.layer, CheckpointId::new(u64::MAX))?;
        let mut layer = Layer::new(&self.env)?;
        for (slot, meta) in self.directory.by_name() {
            if self.layer.slot(slot).is_some() {
                layer.register(slot, meta)?;
            }
        }
        self.sealed = Some(std::mem::replace(&mut self.layer, layer));
        self.reads.clear();
        self.background.rebase();
        self.has_below = true;
        let workshop = self.workshop.clone();
        let promise = self.spawn("alluvium-fs-spill", move || {
            tasks.into_segment(&workshop, spec, &CancelToken::default())
        })?;
        self.background.spill = Some(promise);
        Ok(())
    }

    /// Runs a job in the background.
    fn spawn(
        &self,
        name: &str,
        job: impl FnOnce() -> Result<Option<Arc<Member>>> + Send + 'static,
    ) -> Result<Arc<Promise>> {
        let promise = Arc::new(Promise::default());
        let keeper = Keeper::new(&promise);
        self.env.spawner.spawn(name, Box::new(move || keeper.keep(job())))?;
        Ok(promise)
    }

    /// Begins to read ahead of who will ask for what was restored: joint lookups; and everything, if that is wanted,
    /// the newest first, which are small and asked first.
    pub(crate) fn read_ahead(&mut self) -> Result<()> {
        let joints = self.segments.join_ahead();
        let all = if self.options.hydrate { self.segments.all() } else { &[] };
        if joints.is_none() && all.is_empty() {
            return Ok(());
        }
        let segments = all.to_vec();
        let (cancel, done) =
            (self.background.cancel.clone(), Arc::clone(&self.background.hydrated));
        let promise = self.spawn("alluvium-fs-hydrate", move || {
            joints.map_or(Ok(()), |joints| joints.run(&cancel))?;
            let mut newest_first = segments.iter().rev();
            newest_first.try_for_each(|member| member.segment().hydrate(&cancel, &done))?;
            Ok(None)
        })?;
        self.background.reading = Some(promise);
        Ok(())
    }

    /// Begins a merge, if none runs and there is something to gain.
    fn merge_if_worth(&mut self, counting: Counting) -> Result<()> {
        self.merge_after(0, counting)
    }

    /// The same of a store that was just opened.
    pub(crate) fn merge_once_settled(&mut self) -> Result<()> {
        self.merge_after(SETTLING_MS, Counting::BySize)
    }

    fn merge_after(&mut self, milliseconds: u64, counting: Counting) -> Result<()> {
        if self.background.merging.is_some() {
            return Ok(());
        }
        let Some(run) = self.segments.worth_merging(self.options.max_segments, counting) else {
            return Ok(());
        };
        let bottom = run.start == 0;
        let inputs = self.segments.all().get(run).unwrap_or_default().to_vec();
        let form = if bottom { FileForm::Full } else { FileForm::Increment };
        let spec = self.spec(form);
        let pace = Pace::new(self.options.merge_bytes_per_second);
        let (workshop, cancel) = (self.workshop.clone(), self.background.cancel.clone());
        let (ids, job_pace) = (inputs.iter().map(|input| input.id()).collect(), pace.clone());
        let promise = self.spawn("alluvium-fs-merge", move || {
            job_pace.pause(milliseconds);
            cancel.check()?;
            let mut options = WriteOptions::default();
            options.lookups = true;
            options.cancel = cancel;
            let range = spec.range;
            let live = live_ranges(&inputs, range);
            let (file, to) = workshop.begin()?;
            let extent = if bottom { Extent::All } else { Extent::Newer };
            let merge = Merge { sources: &inputs, extent, pace: Some(job_pace) };
            let written = merge.write(spec, to, options, None)?;
            workshop.segment(file, written, range, live).map(Some)
        })?;
        self.background.merging = Some(Merging { promise, pace, inputs: ids });
        Ok(())
    }

    fn merged(&mut self, segment: Option<Arc<Member>>) -> Result<()> {
        let Some(merging) = self.background.merging.take() else {
            return Ok(());
        };
        if let Some(segment) = segment {
            self.background.figures.merges += 1;
            self.background.figures.merged_bytes += segment.segment().bytes();
            self.segments.replace(&merging.inputs, &segment);
        }
        self.merge_if_worth(Counting::BySize)
    }
}

#[cold]
fn poisoned(cause: &Arc<Error>) -> Error {
    let text = format!(
        "background work of the store failed ({cause}); restore the last checkpoint in a new store"
    );
    Error::new(ErrorKind::Poisoned, text).with_source(Arc::clone(cause))
}
