//! Restores and verifies what a fault left, and says whether that went well.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::super::fixtures::group_of;
use super::super::harness::{Harness, Kit, ten};
use super::super::model::{Failure, States, key_at};
use super::Budget;
use super::fault::{Fault, Target};
use super::memory::Counting;
use super::report::Report;
use super::specimen::{Specimen, keys};
use super::watchdog::Watchdog;
use crate::env::RestorePart;
use crate::format::{CheckpointMetadata, StateFile};
use crate::snapshot::FileFormat;
use crate::storage::{FileReader, SnapshotSource, verify_checksum};
use crate::{CheckpointId, Error, ErrorKind, KeyGroupRange, KeyedStore, Result};

/// What may be held beside a multiple of the checkpoint, in bytes.
const MOST_BYTES: usize = 16 << 20;
/// That multiple.
const MOST_TIMES: usize = 32;
/// Processor time.
const MOST_TIME: Duration = Duration::from_secs(1);

/// A checkpoint as it lies in storage.
#[derive(Clone, Debug)]
pub struct Stored<'a> {
    /// The number under which it is asked for.
    pub id: CheckpointId,
    /// The bytes of `_metadata`; none where it is missing.
    pub metadata: Option<&'a [u8]>,
    /// Access to its files.
    pub source: Arc<dyn SnapshotSource>,
}

/// Reads all of a checkpoint and fails where anything is wrong with it.
pub type Verify = fn(&Stored<'_>) -> Result<()>;

/// How much of a range is restored by each of some subtasks: all of it by one, or cut elsewhere than
/// the checkpoint's subtasks were.
const LAYOUTS: [&[(u16, u16)]; 2] = [&[(0, 10)], &[(0, 3), (3, 10)]];

impl Stored<'_> {
    /// The metadata, if it is that of this checkpoint.
    ///
    /// # Errors
    /// Those of reading it; `NotFound`, and `Corrupted` where it is another checkpoint's.
    pub fn read(&self) -> Result<CheckpointMetadata> {
        let bytes = self.metadata.ok_or_else(|| Error::not_found("there is no metadata"))?;
        let metadata = CheckpointMetadata::decode(bytes)?;
        if metadata.checkpoint != self.id {
            return Err(Error::corrupted("the metadata is another checkpoint's"));
        }
        Ok(metadata)
    }
}

/// The verifier of this crate: metadata, and of each file length, checksum, blocks, counts, digests.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify_files(stored: &Stored<'_>) -> Result<()> {
    let metadata = stored.read()?;
    for file in metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files) {
        let reader: Arc<dyn FileReader> = stored.source.open(file)?.into();
        verify_checksum(&*reader, file.stored.checksum)?;
        if file.format == FileFormat::State {
            let opened = StateFile::open(reader, "file")?;
            if file.frame_checksum.is_some_and(|expected| expected != opened.frame_checksum()) {
                return Err(Error::corrupted("the frame's checksum differs"));
            }
            opened.verify()?;
        }
    }
    Ok(())
}

/// How a restore ended, if it did.
enum Outcome {
    Refused(ErrorKind),
    Same,
    Other(String),
}

/// Judges the faults of one specimen.
pub(super) struct Judge<'a, H> {
    kit: &'a Kit<H>,
    specimen: &'a Specimen,
    verify: Verify,
    budget: Budget,
    watchdog: &'a Watchdog,
    turn: usize,
}

impl<'a, H: Harness> Judge<'a, H> {
    pub(super) fn new(
        kit: &'a Kit<H>,
        specimen: &'a Specimen,
        verify: Verify,
        budget: Budget,
        watchdog: &'a Watchdog,
    ) -> Self {
        Self { kit, specimen, verify, budget, watchdog, turn: 0 }
    }

    /// The specimen as it was written must be right, or nothing that follows means anything.
    pub(super) fn undamaged(&self) {
        let specimen = self.specimen;
        let stored = Stored {
            id: specimen.id,
            metadata: Some(specimen.bytes_of(Target::Metadata)),
            source: specimen.source(Target::Metadata, None),
        };
        for layout in LAYOUTS {
            match self.restore(&stored, layout) {
                Outcome::Same => {}
                Outcome::Refused(kind) => panic!("{}: undamaged and {kind}", specimen.name),
                Outcome::Other(text) => panic!("{}: undamaged, but {text}", specimen.name),
            }
        }
        (self.verify)(&stored).expect("undamaged and good");
    }

    pub(super) fn judge(&mut self, target: Target, fault: Fault, report: &mut Report) {
        let specimen = self.specimen;
        let damaged = fault.apply(specimen, target);
        if damaged.as_deref() == Some(specimen.bytes_of(target)) {
            return;
        }
        report.faults += 1;
        report.flips += usize::from(fault.is_flip());
        self.turn += 1;
        self.watchdog.watch(|| format!("{}, {target:?}, {fault:?}", specimen.name));
        let layout = LAYOUTS[usize::from(self.turn.is_multiple_of(4))];
        let metadata = match target {
            Target::Metadata => damaged.as_deref(),
            Target::File(_) => Some(specimen.bytes_of(Target::Metadata)),
        };
        let source = specimen.source(target, damaged.as_deref());
        let stored = Stored { id: specimen.id, metadata, source };
        let bad = match self.both(&stored, layout, report) {
            (Outcome::Other(text), _) => text,
            (Outcome::Refused(kind), _) if !is_damage(kind) => format!("refused as {kind}"),
            (Outcome::Refused(kind), Ok(())) => format!("refused as {kind}, but verified as good"),
            (Outcome::Refused(_), Err(error)) if is_damage(error.kind()) => {
                report.refused += 1;
                return;
            }
            (_, Err(error)) if !is_damage(error.kind()) => format!("verified as {error:?}"),
            (Outcome::Same, _) => {
                report.same += 1;
                return;
            }
            (Outcome::Refused(_), Err(error)) => format!("verified as {error:?}"),
        };
        report.bad(|| format!("{}, {target:?}, {fault:?}: {bad}", specimen.name));
    }

    /// Restores and verifies, within time and memory.
    fn both(
        &self,
        stored: &Stored<'_>,
        layout: &[(u16, u16)],
        report: &mut Report,
    ) -> (Outcome, Result<()>) {
        let restored = self.within_bounds(report, || self.restore(stored, layout));
        let verified = self.within_bounds(report, || (self.verify)(stored));
        let verified = verified.unwrap_or_else(|what| Err(Error::bug(what)));
        (restored.unwrap_or_else(Outcome::Other), verified)
    }

    fn within_bounds<T>(
        &self,
        report: &mut Report,
        work: impl FnOnce() -> T,
    ) -> std::result::Result<T, String> {
        let (peak, began) = (Counting::begin(), processor_time());
        let done = catch_unwind(AssertUnwindSafe(work));
        let spent = processor_time().saturating_sub(began);
        let peak = peak.bytes();
        report.peak = report.peak.max(peak);
        if self.budget.memory && peak > MOST_BYTES + MOST_TIMES * self.specimen.bytes() {
            return Err(format!("{peak} bytes were held"));
        }
        if spent > MOST_TIME {
            return Err(format!("{spent:?} of processor time were spent"));
        }
        done.map_err(|_panic| "it panicked".to_owned())
    }

    fn restore(&self, stored: &Stored<'_>, layout: &[(u16, u16)]) -> Outcome {
        match self.try_restore(stored, layout) {
            Ok(Ok(())) => Outcome::Same,
            Ok(Err(Failure(text))) => Outcome::Other(text),
            Err(error) => Outcome::Refused(error.kind()),
        }
    }

    fn try_restore(
        &self,
        stored: &Stored<'_>,
        layout: &[(u16, u16)],
    ) -> Result<std::result::Result<(), Failure>> {
        let metadata = stored.read()?;
        if metadata != self.specimen.metadata {
            return Ok(Err(Failure("other metadata was read".to_owned())));
        }
        let part = |keyed: &crate::snapshot::KeyedSnapshot| RestorePart {
            snapshot: keyed.clone(),
            source: Arc::clone(&stored.source),
            base: None,
        };
        let parts: Vec<_> = metadata.keyed().map(|(_, _, keyed)| part(keyed)).collect();
        for (start, end) in layout {
            let range = KeyGroupRange::new(*start, *end)?;
            let mut backend = self.kit.try_open::<String>(ten(), range, parts.clone())?;
            let states = States::open(&mut backend)?;
            let space = backend.store().key_space().clone();
            let owns = |key: u8| range.contains(group_of(&space, &key_at(key).to_owned()));
            let content = &self.specimen.content;
            for key in keys().filter(|key| owns(*key)) {
                if let Err(failure) = states.compare_key(&mut backend, key, content) {
                    return Ok(Err(failure));
                }
            }
            if let Err(failure) = states.compare_keys(&mut backend, owns, content) {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(()))
    }
}

/// Processor time of this thread so far.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Whether an error of this kind tells that a checkpoint is damaged.
const fn is_damage(kind: ErrorKind) -> bool {
    use ErrorKind::{Corrupted, Incompatible, NotFound, Unsupported};
    matches!(kind, Corrupted | Incompatible | NotFound | Unsupported)
}
