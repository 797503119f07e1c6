//! One workload on one backend.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::codec::{KeyCodec, Native};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::vfs::{FileSystem, RealFs};
use alluvium_state_api::{
    BackendRegistry, ErrorKind, KeyHash, KeyedBackend, KeyedStore, MaxParallelism, OpenEnv,
    StableHash,
};

use super::arguments::Arguments;
use super::latency::{Latencies, Pace};
use super::report::Report;
use super::snapshots;
use crate::clock::Stopwatch;
use crate::disk::Disk;
use crate::workload::player::PlayedKey;
use crate::workload::trace::{Recorder, Replay};
use crate::workload::{Access, Accesses, Plain, Player, Shape, Target, Workload};
use crate::{Outcome, float};

/// Key groups; Flink's default.
const GROUPS: u32 = 128;
/// So many accesses are made at a time.
const CHUNK: usize = 8_192;
/// The most accesses that are kept ready while a snapshot is taken.
const MOST_READY: u64 = 4_000_000;
/// The part of the measured accesses that lies between an increment and what it builds on: one in so many.
const CHANGES: u64 = 20;

/// Whether this build has the backend; one that it lacks says so when it is opened.
pub(super) fn is_built_in(
    registry: &BackendRegistry,
    backend: &str,
    arguments: &Arguments,
) -> bool {
    let opened = Disk::new(&arguments.directory)
        .and_then(|mut disk| open::<u64>(registry, backend, arguments, &mut disk));
    let lacking = |error: &alluvium_state_api::Error| error.kind() == ErrorKind::Unsupported;
    !opened.is_err_and(|error| error.downcast_ref().is_some_and(lacking))
}

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

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Made(workload) => workload.name(),
            Self::Trace(name, _) => name,
        }
    }

    /// What fills the state, and what is measured. A trace is measured as a whole.
    fn accesses(&self, shape: &Shape) -> Outcome<(Accesses, Accesses)> {
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

/// Plays a workload on the backend with this name.
pub(super) fn play(
    registry: &BackendRegistry,
    backend: &str,
    source: &Source,
    arguments: &Arguments,
) -> Outcome<Report> {
    let mut disk = Disk::new(&arguments.directory)?;
    match arguments.key_bytes {
        None => {
            let store = open::<u64>(registry, backend, arguments, &mut disk)?;
            on(Player::<_, u64>::over(store, ())?, backend, source, arguments, disk)
        }
        Some(length) => {
            let store = open::<Vec<u8>>(registry, backend, arguments, &mut disk)?;
            on(Player::<_, Vec<u8>>::over(store, length)?, backend, source, arguments, disk)
        }
    }
}

fn open<K>(
    registry: &BackendRegistry,
    backend: &str,
    arguments: &Arguments,
    disk: &mut Disk,
) -> Outcome<Box<dyn KeyedStore>>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    let factory = registry.find(backend)?;
    let mut settings = Settings::new();
    settings.set("state.backend", backend)?;
    for (key, value) in &arguments.settings {
        if factory.setting_keys().contains(&key.as_str()) {
            settings.set(key, value)?;
        }
    }
    let groups = MaxParallelism::new(GROUPS)?;
    let env = OpenEnv::new(KeyedBackend::<K>::key_space(groups, groups.all())?);
    Ok(registry.open(env.with_local_dir(disk.fresh_path()), &settings)?)
}

/// Accesses that are made some at a time, and counted.
struct Supply {
    accesses: Accesses,
    ready: Vec<Access>,
    taken: u64,
}

impl Supply {
    fn new(accesses: Accesses) -> Self {
        Self { accesses, ready: Vec::with_capacity(CHUNK), taken: 0 }
    }

    /// The next accesses, at most so many; none at the end.
    fn next(&mut self, most: usize) -> &[Access] {
        self.ready.clear();
        self.ready.extend(self.accesses.by_ref().take(most));
        self.taken += self.ready.len() as u64;
        &self.ready
    }

    /// Gives back what was not played of the last ones.
    fn give_back(&mut self, played: usize) {
        let left: Vec<Access> = self.ready.drain(played.min(self.ready.len())..).collect();
        self.taken -= left.len() as u64;
        let rest = std::mem::replace(&mut self.accesses, Box::new(std::iter::empty()));
        self.accesses = Box::new(left.into_iter().chain(rest));
    }

    /// Plays up to so many at full speed; how many there were, and their seconds.
    fn play(&mut self, target: &mut impl Target, most: u64) -> Outcome<(u64, f64)> {
        let (mut played, mut seconds) = (0, 0.0);
        while played < most {
            let chunk = usize::try_from(most - played).unwrap_or(CHUNK).min(CHUNK);
            let ready = self.next(chunk);
            if ready.is_empty() {
                break;
            }
            let watch = Stopwatch::start();
            for access in ready {
                target.apply(access)?;
            }
            seconds += watch.seconds();
            played += ready.len() as u64;
        }
        Ok((played, seconds))
    }
}

fn on<S: KeyedStore, K: PlayedKey>(
    mut player: Player<S, K>,
    backend: &str,
    source: &Source,
    arguments: &Arguments,
    mut disk: Disk,
) -> Outcome<Report>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    let (fill, run) = source.accesses(&arguments.shape)?;
    let filled = Supply::new(fill).play(&mut player, u64::MAX)?;
    let mut supply = Supply::new(run);
    let ran = supply.play(&mut player, arguments.operations)?;
    let pace = Pace::of(ran.1 / float(ran.0.max(1)));
    let mut latencies = Latencies::new()?;
    // A trace that has ended is played no further: what follows would be another workload.
    let ready = arguments.operations.min(MOST_READY);
    let half = supply.next(usize::try_from(ready / 2)?);
    pace.play(&mut player, half, &mut latencies, || true)?;
    let mut taken = Vec::new();
    let increment = ("incremental", SnapshotKind::Incremental);
    // The first increment has nothing below it and writes everything: it is what the reported one builds on.
    let kinds = [("full", SnapshotKind::Full), ("base", increment.1), increment];
    for kind in kinds.into_iter().filter(|_| arguments.snapshots) {
        let ready = supply.next(usize::try_from(ready)?);
        let (snapshot, played) = snapshots::take(&mut player, kind, &mut disk, (pace, ready))?;
        supply.give_back(played);
        if kind.0 == "base" {
            supply.play(&mut player, arguments.operations / CHANGES)?;
        } else {
            taken.push(snapshot);
        }
    }
    let checked = filled.0 + supply.taken;
    let digest = check(&player, source, arguments, (filled.0, supply.taken))?;
    Ok(Report {
        backend: backend.to_owned(),
        workload: source.name().to_owned(),
        fill: filled,
        run: ran,
        latencies,
        snapshots: taken,
        checked,
        digest,
    })
}

/// Compares what was read with the plain computation over as many accesses.
fn check(
    player: &impl Target,
    source: &Source,
    arguments: &Arguments,
    (filled, ran): (u64, u64),
) -> Outcome<u64> {
    let (fill, run) = source.accesses(&arguments.shape)?;
    let mut plain = Plain::default();
    let run = run.take(usize::try_from(ran)?);
    for access in fill.take(usize::try_from(filled)?).chain(run) {
        plain.apply(&access)?;
    }
    let (wanted, found) = (plain.digest(), player.digest());
    if wanted != found {
        return Err(format!(
            "it has read something else than the plain computation: {found:016x} instead of {wanted:016x}"
        )
        .into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
