//! Where accesses come from: a workload that makes them, or a trace in a file.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::vfs::{FileSystem, RealFs};

use super::arguments::Arguments;
use crate::Outcome;
use crate::clock::Stopwatch;
use crate::workload::trace::{Recorder, Replay};
use crate::workload::{Access, Accesses, Operation, Shape, Target, Workload};

/// So many accesses are made at a time.
const CHUNK: usize = 8_192;
/// So few are played between two looks at what has changed.
const LEAST_CHUNK: u64 = 64;

/// Where accesses come from.
#[derive(Debug)]
pub(super) enum Source {
    /// They are made.
    Made(Workload),
    /// They are in a file, and in memory.
    Trace(String, Arc<[Access]>),
}

impl Source {
    /// The accesses of a trace.
    pub(super) fn trace(path: &Path) -> Outcome<Self> {
        let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| about(&error))?;
        let replay = Replay::new(BufReader::new(file)).map_err(|error| about(&error))?;
        let accesses = replay.collect::<Outcome<Arc<[_]>>>().map_err(|error| about(&error))?;
        if accesses.is_empty() {
            return Err(about(&"there are no accesses in it").into());
        }
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
        Ok(Self::Trace(name, accesses))
    }

    /// Whether its size follows from the shape.
    pub(super) const fn is_made(&self) -> bool {
        matches!(self, Self::Made(_))
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Made(workload) => workload.name(),
            Self::Trace(name, _) => name,
        }
    }

    /// What fills the state, and what is measured. A trace is measured as a whole.
    pub(super) fn accesses(&self, shape: &Shape) -> Outcome<(Accesses, Accesses)> {
        match self {
            Self::Made(workload) => Ok((workload.fill(shape), workload.run(shape)?)),
            Self::Trace(_, accesses) => {
                let accesses = Arc::clone(accesses);
                let run = (0..accesses.len()).filter_map(move |at| accesses.get(at).copied());
                Ok((Box::new(std::iter::empty()), Box::new(run)))
            }
        }
    }
}

/// Writes the accesses of a workload to a new file, those that fill the state first; how many they are.
pub(super) fn record(source: &Source, arguments: &Arguments, path: &Path) -> Outcome<u64> {
    let (fill, run) = source.accesses(&arguments.shape)?;
    let operations = usize::try_from(arguments.operations)?;
    let mut recorder = Recorder::new(BufWriter::new(RealFs.create_new(path)?))?;
    for access in fill.chain(run.take(operations)) {
        recorder.record(&access)?;
    }
    let (file, accesses) = recorder.finish()?;
    file.into_inner().map_err(|error| error.to_string())?.sync()?;
    Ok(accesses)
}

/// Accesses that are made some at a time, and counted.
pub(super) struct Supply {
    accesses: Accesses,
    ready: Vec<Access>,
    /// The first of the ready ones that was not played yet.
    at: usize,
    played: u64,
    /// Keys that were written since this was set, where somebody wants to know.
    changed: Option<HashSet<u64>>,
}

impl Supply {
    pub(super) fn new(accesses: Accesses) -> Self {
        Self { accesses, ready: Vec::new(), at: 0, played: 0, changed: None }
    }

    /// Has memory for so many ready accesses, resident, before anything is measured.
    pub(super) fn reserve(&mut self, most: usize) {
        let filler = Access::of(0, Operation::ValueGet);
        self.ready.resize(most.max(CHUNK), filler);
        self.ready.clear();
    }

    /// Counts from now on which keys are written.
    pub(super) fn watch_changes(&mut self) {
        self.changed = Some(HashSet::new());
    }

    /// Plays at full speed until about so many keys were written, but no more than `most` accesses.
    pub(super) fn change(&mut self, target: &mut impl Target, keys: u64, most: u64) -> Outcome<()> {
        let end = self.played.saturating_add(most);
        loop {
            let changed = self.changed.as_ref().map_or(0, |changed| changed.len() as u64);
            let left = keys.saturating_sub(changed).clamp(LEAST_CHUNK, CHUNK as u64);
            let left = left.min(end.saturating_sub(self.played));
            if changed >= keys || left == 0 || self.play(target, left)?.0 == 0 {
                return Ok(());
            }
        }
    }

    /// How many were played.
    pub(super) const fn played(&self) -> u64 {
        self.played
    }

    /// Makes sure that so many are ready, or all that there still are.
    pub(super) fn prepare(&mut self, most: usize) {
        let left = self.ready.len() - self.at;
        if left < most {
            self.ready.drain(..self.at);
            self.at = 0;
            self.ready.extend(self.accesses.by_ref().take(most - left));
        }
    }

    /// Those that are ready.
    pub(super) fn ready(&self) -> &[Access] {
        self.ready.get(self.at..).unwrap_or_default()
    }

    /// So many of those that were ready have been played.
    pub(super) fn advance(&mut self, played: usize) {
        if let Some(changed) = &mut self.changed {
            let played = self.ready.get(self.at..).unwrap_or_default().iter().take(played);
            changed.extend(played.filter(|one| one.operation.writes()).map(|one| one.key));
        }
        self.at = self.at.saturating_add(played).min(self.ready.len());
        self.played += played as u64;
    }

    /// Plays up to so many at full speed; how many there were, and their seconds.
    pub(super) fn play(&mut self, target: &mut impl Target, most: u64) -> Outcome<(u64, f64)> {
        let (mut played, mut seconds) = (0, 0.0);
        while played < most {
            let chunk = usize::try_from(most - played).unwrap_or(CHUNK).min(CHUNK);
            self.prepare(chunk);
            let ready = self.ready();
            let ready = ready.get(..chunk).unwrap_or(ready);
            if ready.is_empty() {
                break;
            }
            let watch = Stopwatch::start();
            for access in ready {
                target.apply(access)?;
            }
            seconds += watch.seconds();
            let count = ready.len();
            self.advance(count);
            played += count as u64;
        }
        Ok((played, seconds))
    }
}
