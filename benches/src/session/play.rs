//! One workload on one backend or peer.

use alluvium_state_api::snapshot::SnapshotKind;

use super::Session;
use super::arguments::Arguments;
use super::latency::{Latencies, Pace, Schedule};
use super::report::{Report, Snapshot};
use super::side::Side;
use super::source::{Source, Supply};
use super::{backend, peer};
use crate::workload::{Plain, Target};
use crate::{Outcome, float};

/// The most accesses that are kept ready while a snapshot is taken.
const MOST_READY: u64 = 4_000_000;
/// The part of the measured accesses that lies between an increment and what it builds on: one in so many.
const CHANGES: u64 = 20;

/// Plays a workload on the backend or peer with this name.
pub(super) fn play(
    session: &Session<'_>,
    name: &str,
    source: &Source,
    arguments: &Arguments,
) -> Outcome<Report> {
    let run = Run { name, source, arguments };
    match session.peer(name) {
        Some(peer) => peer::play(peer?, run),
        None => backend::play(session.registry, run),
    }
}

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a Source,
    pub(super) arguments: &'a Arguments,
}

impl Run<'_> {
    /// Plays it on a fresh side.
    pub(super) fn on(self, mut side: impl Side) -> Outcome<Report> {
        let Self { name, source, arguments } = self;
        let (fill, run) = source.accesses(&arguments.shape)?;
        let filled = Supply::new(fill).play(&mut side, u64::MAX)?;
        let mut supply = Supply::new(run);
        let ran = supply.play(&mut side, arguments.operations)?;
        let mut schedule = Pace::of(ran.1 / float(ran.0.max(1))).begin();
        let mut latencies = Latencies::new()?;
        // A trace that has ended is played no further: what follows would be another workload.
        supply.prepare(usize::try_from(arguments.operations.min(MOST_READY) / 2)?);
        schedule.skip();
        let record = |_, nanoseconds| latencies.record(nanoseconds);
        let idle = schedule.play(&mut side, supply.ready(), record, || true)?;
        supply.advance(idle);
        let snapshots = if arguments.snapshots {
            snapshots(&mut side, &mut supply, &mut schedule, arguments)?
        } else {
            Vec::new()
        };
        let checked = filled.0 + supply.played();
        let digest = check(&side, source, arguments, (filled.0, supply.played()))?;
        Ok(Report {
            backend: name.to_owned(),
            workload: source.name().to_owned(),
            fill: filled,
            run: ran,
            latencies,
            snapshots,
            checked,
            digest,
        })
    }
}

/// Takes snapshots while accesses go on: a full one, and an increment on another one. None where there are no snapshots.
fn snapshots(
    side: &mut impl Side,
    supply: &mut Supply,
    schedule: &mut Schedule,
    arguments: &Arguments,
) -> Outcome<Vec<Snapshot>> {
    let ready = usize::try_from(arguments.operations.min(MOST_READY))?;
    let increment = ("incremental", SnapshotKind::Incremental);
    let mut taken = Vec::new();
    // The first increment has nothing below it and writes everything: it is what the reported one builds on.
    for (name, kind) in [("full", SnapshotKind::Full), ("base", increment.1), increment] {
        supply.prepare(ready);
        let mut latencies = Latencies::new()?;
        let mut played = 0;
        schedule.skip();
        let snapshot = side.snapshot(kind, &mut |side, goes_on| {
            let record = |_, nanoseconds| latencies.record(nanoseconds);
            played = schedule.play(side, supply.ready(), record, goes_on)?;
            Ok(())
        })?;
        supply.advance(played);
        let Some(snapshot) = snapshot else { break };
        if name == "base" {
            supply.play(side, arguments.operations / CHANGES)?;
        } else {
            taken.push(Snapshot { kind: name, taken: snapshot, latencies });
        }
    }
    Ok(taken)
}

/// Compares what was read with the plain computation over as many accesses.
fn check(
    side: &impl Target,
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
    let (wanted, found) = (plain.digest(), side.digest());
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
