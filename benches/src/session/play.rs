//! One workload on one backend or peer.

use alluvium_state_api::snapshot::SnapshotKind;

use super::Session;
use super::arguments::Arguments;
use super::check::{self, Marks};
use super::latency::{Latencies, Pace, Schedule};
use super::memory::Meter;
use super::report::{Report, Snapshot, Taken};
use super::side::{Side, Stand};
use super::source::{Source, Supply};
use super::timeline::Timeline;
use super::{backend, peer};
use crate::workload::Shape;
use crate::{Outcome, float};

/// The most accesses that are kept ready while a snapshot is taken.
const MOST_READY: u64 = 4_000_000;
/// After a snapshot, while nothing else goes on, one in so many of them is played.
const AFTERWARDS: usize = 8;
/// A share of keys is changed with at most so many times the measured accesses.
const MOST_CHANGES: u64 = 4;

/// Accesses between two looks at whether something is compacted.
const LOOK_EVERY: usize = 1024;

const FULL: &str = "full";
/// What the reported increments build on.
const BASE: &str = "base";
const INCREMENTAL: &str = "incremental";
/// The part of the measured accesses that lies between an increment and what it builds on: one in so many.
const CHANGES: u64 = 20;

/// Plays a workload on the backend or peer with this name.
pub(super) fn play(session: &Session<'_>, run: Run<'_>) -> Outcome<Report> {
    match session.peer(run.name) {
        Some(peer) => peer::play(peer?, run),
        None => backend::play(session.registry, run),
    }
}

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a Source,
    pub(super) shape: &'a Shape,
    pub(super) arguments: &'a Arguments,
}

impl Run<'_> {
    /// Plays it on a fresh side, which is not there yet.
    pub(super) fn on<S: Side>(self, open: impl FnOnce() -> Outcome<S>) -> Outcome<Report> {
        let Self { name, source, shape, arguments } = self;
        let (fill, run) = source.accesses(shape)?;
        let mut supply = Supply::new(run);
        supply.reserve(ready(arguments)?);
        let mut fill = Supply::new(fill);
        fill.reserve(0);
        let mut memory = Meter::start()?;
        let mut side = open()?;
        let filled = fill.play(&mut side, u64::MAX)?;
        drop(fill);
        if filled.0 > 0 {
            memory.filled()?;
        }
        let ran = supply.play(&mut side, arguments.operations)?;
        if filled.0 == 0 {
            memory.filled()?;
        }
        let pace = Pace::of(ran.1 / float(ran.0.max(1)));
        let mut paced = Paced::new(&mut side, &mut supply, pace)?;
        let latencies = paced.idle(ready(arguments)? / 2)?;
        let mut marks =
            Marks { filled: if filled.0 > 0 { filled.0 } else { ran.0 }, ..Marks::default() };
        let snapshots = if arguments.snapshots {
            let taken = paced.snapshots(shape.keys, arguments)?;
            paced.idle(ready(arguments)? / AFTERWARDS)?;
            taken
        } else {
            Vec::new()
        };
        let (timeline, compacting) = paced.end();
        let memory = memory.end()?;
        let played = (filled.0, supply.played());
        let ends = filled.0 + supply.played();
        drop(supply);
        marks.snapshots = snapshots.iter().map(|one| filled.0 + one.after).collect();
        marks.restored = match side.stand() {
            Stand::Nothing => None,
            Stand::Snapshot => marks.snapshots.last().copied(),
            Stand::End => Some(ends),
        };
        let checked = check::play(source, shape, played, &marks)?;
        checked.compare(&side)?;
        let restored = side.restore(&checked.probes)?;
        let told = snapshots.into_iter().zip(&checked.churn).filter(|(one, _)| one.kind != BASE);
        let told = told.map(|(one, churn)| one.told(*churn)).collect();
        Ok(Report {
            backend: name.to_owned(),
            peer: name.starts_with(super::PEER),
            workload: source.name().to_owned(),
            shape: shape.clone(),
            sized: source.is_made(),
            key_bytes: arguments.key_bytes,
            operations: arguments.operations,
            fill: filled,
            run: ran,
            latencies,
            compacting,
            snapshots: told,
            timeline,
            memory: memory.with(checked.entries),
            restore: restored.restore,
            rescale: restored.rescale,
            checked: ends,
            digest: checked.digest,
        })
    }
}

/// How many accesses are kept ready.
fn ready(arguments: &Arguments) -> Outcome<usize> {
    Ok(usize::try_from(arguments.operations.min(MOST_READY))?)
}

/// A snapshot as it was taken, before the plain computation tells what had changed.
struct Took {
    kind: &'static str,
    /// How many accesses were played before it, those that filled the state left out.
    after: u64,
    taken: Taken,
    latencies: Latencies,
}

impl Took {
    fn told(self, churn: Option<f64>) -> Snapshot {
        let Self { kind, taken, latencies, .. } = self;
        let churn = churn.filter(|_| kind == INCREMENTAL);
        Snapshot { kind, taken, churn, latencies }
    }
}

/// Accesses that are due at regular times.
struct Paced<'a, S> {
    side: &'a mut S,
    supply: &'a mut Supply,
    schedule: Schedule,
    timeline: Timeline,
    compacting: Latencies,
}

impl<'a, S: Side> Paced<'a, S> {
    fn new(side: &'a mut S, supply: &'a mut Supply, pace: Pace) -> Outcome<Self> {
        let (timeline, compacting) = (Timeline::new()?, Latencies::new()?);
        Ok(Self { side, supply, schedule: pace.begin(), timeline, compacting })
    }

    fn end(mut self) -> (Timeline, Latencies) {
        self.timeline.close();
        (self.timeline, self.compacting)
    }

    /// So many accesses while no snapshot is taken; the latencies of those that had nothing beside them. A trace that has ended is played no further: what follows would be
    /// another workload.
    fn idle(&mut self, accesses: usize) -> Outcome<Latencies> {
        let mut latencies = Latencies::new()?;
        self.supply.prepare(accesses);
        self.schedule.skip();
        let Self { side, supply, schedule, timeline, compacting } = self;
        let ready = supply.ready();
        let ready = ready.get(..accesses).unwrap_or(ready);
        let mut since_ns = None;
        for accesses in ready.chunks(LOOK_EVERY) {
            let is_compacting = schedule.aside(|| side.compactions()) > 0;
            let now_ns = schedule.now_ns();
            if is_compacting {
                since_ns.get_or_insert(now_ns);
            } else if let Some(from_ns) = since_ns.take() {
                timeline.compaction(from_ns, now_ns);
            }
            let into = if is_compacting { &mut *compacting } else { &mut latencies };
            let record = |due, nanoseconds| {
                into.record(nanoseconds);
                timeline.record(due, nanoseconds);
            };
            schedule.play(*side, accesses, record, || true)?;
        }
        if let Some(from_ns) = since_ns {
            timeline.compaction(from_ns, schedule.now_ns());
        }
        let played = ready.len();
        supply.advance(played);
        Ok(latencies)
    }

    /// A full snapshot, an increment that has nothing below it and writes everything, and those on it: one after
    /// some accesses, and one for each share of changed keys that was asked for. None where there are no snapshots.
    fn snapshots(&mut self, keys: u64, arguments: &Arguments) -> Outcome<Vec<Took>> {
        let mut all = Vec::new();
        for kind in [FULL, BASE, INCREMENTAL] {
            let Some(took) = self.snapshot(kind, ready(arguments)?)? else { return Ok(all) };
            all.push(took);
            self.idle(ready(arguments)? / AFTERWARDS)?;
            if kind == BASE {
                self.supply.play(self.side, arguments.operations / CHANGES)?;
            }
        }
        for share in &arguments.churn {
            // What it builds on is taken while nobody changes anything.
            all.extend(self.snapshot(BASE, 0)?);
            self.supply.watch_changes();
            let changed = share_of(keys, *share);
            self.supply.change(
                self.side,
                changed,
                arguments.operations.saturating_mul(MOST_CHANGES),
            )?;
            all.extend(self.snapshot(INCREMENTAL, ready(arguments)?)?);
        }
        Ok(all)
    }

    /// Takes a snapshot while accesses go on, at most so many.
    fn snapshot(&mut self, kind: &'static str, most: usize) -> Outcome<Option<Took>> {
        let Self { side, supply, schedule, timeline, .. } = self;
        supply.prepare(most);
        let after = supply.played();
        let (mut latencies, mut played) = (Latencies::new()?, 0);
        schedule.skip();
        let from_ns = schedule.now_ns();
        let asked = if kind == FULL { SnapshotKind::Full } else { SnapshotKind::Incremental };
        let taken = side.snapshot(asked, &mut |side, goes_on| {
            let record = |due, nanoseconds| {
                latencies.record(nanoseconds);
                timeline.record(due, nanoseconds);
            };
            let ready = supply.ready();
            let ready = ready.get(..most).unwrap_or(ready);
            played = schedule.play(side, ready, record, goes_on)?;
            Ok(())
        })?;
        supply.advance(played);
        Ok(taken.map(|taken| {
            let told = if kind == BASE { INCREMENTAL } else { kind };
            timeline.window(told, from_ns, taken.sync_ms + taken.async_ms);
            Took { kind, after, taken, latencies }
        }))
    }
}

/// A part of the keys, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number between 0 and the number of keys"
)]
fn share_of(keys: u64, share: f64) -> u64 {
    ((float(keys) * share) as u64).max(1)
}

#[cfg(test)]
mod tests;
