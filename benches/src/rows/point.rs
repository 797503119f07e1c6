//! Point access and batches against `hashbrown`, and dynamic dispatch against static.

use super::{Lab, Pair};
use crate::Outcome;
use crate::clock::Meter;
use crate::keys::accesses;
use crate::rounds::against;
use crate::row::{Bar, Row};
use crate::subject::Subject;

const ONE_BY_ONE: Bar = Bar::AtLeast(0.5, 0.8);
const BATCHED: Bar = Bar::AtLeast(1.0, 1.5);

type Side = fn(&mut Pair, &[u64]) -> Outcome<u64>;

const PEER_GET: Side = |pair, keys| Ok(pair.peer.get(keys));
const PEER_UPDATE: Side = |pair, keys| Ok(pair.peer.update(keys));

fn compare(
    lab: &mut Lab,
    name: &str,
    keys: u64,
    bar: Bar,
    sides: (Side, Side),
) -> Outcome<Vec<Row>> {
    let mut pair = lab.pair(keys)?;
    let seed = crate::keys::mix(keys);
    let sequences: Vec<Vec<u64>> =
        (0..3).map(|n| accesses(keys, lab.sizes.accesses, seed ^ n)).collect();
    let of = |round: usize| sequences.get(round % 3).map_or(&[][..], Vec::as_slice);
    let rounds = against(
        Meter::Processor,
        lab.sizes.rounds,
        &mut pair,
        |pair, round| sides.0(pair, of(round)),
        |pair, round| sides.1(pair, of(round)),
    )?;
    lab.pair = Some((keys, pair));
    Ok(vec![Row::new(name, "x", bar, rounds)])
}

pub(super) fn get_small(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let ours: Side = |pair, keys| Ok(pair.ours.get(keys)?);
    compare(lab, name, lab.sizes.small, ONE_BY_ONE, (ours, PEER_GET))
}

pub(super) fn update_small(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let ours: Side = |pair, keys| Ok(pair.ours.update(keys)?);
    compare(lab, name, lab.sizes.small, ONE_BY_ONE, (ours, PEER_UPDATE))
}

pub(super) fn get_large(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let ours: Side = |pair, keys| Ok(pair.ours.get(keys)?);
    compare(lab, name, lab.sizes.large, Bar::None, (ours, PEER_GET))
}

pub(super) fn update_large(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let ours: Side = |pair, keys| Ok(pair.ours.update(keys)?);
    compare(lab, name, lab.sizes.large, Bar::None, (ours, PEER_UPDATE))
}

pub(super) fn batch_get_large(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let ours: Side = |pair, keys| Ok(pair.ours.get_batched(keys)?);
    compare(lab, name, lab.sizes.large, BATCHED, (ours, PEER_GET))
}

pub(super) fn batch_update_large(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let ours: Side = |pair, keys| Ok(pair.ours.update_batched(keys)?);
    compare(lab, name, lab.sizes.large, BATCHED, (ours, PEER_UPDATE))
}

/// Half of the accesses read and half update, since both go through the same boundary.
pub(super) fn dispatch_one_by_one(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let keys = lab.sizes.small;
    let sequence = accesses(keys, lab.sizes.accesses / 2, 3);
    let mut sides = (Subject::boxed(keys)?, Subject::memory(keys)?);
    let rounds = against(
        Meter::Processor,
        lab.sizes.rounds,
        &mut sides,
        |sides, _| Ok(sides.0.get(&sequence)?.wrapping_add(sides.0.update(&sequence)?)),
        |sides, _| Ok(sides.1.get(&sequence)?.wrapping_add(sides.1.update(&sequence)?)),
    )?;
    Ok(vec![Row::new(name, "x", Bar::AtLeast(0.5, 0.8), rounds)])
}

pub(super) fn dispatch_batched(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let keys = lab.sizes.small;
    let sequence = accesses(keys, lab.sizes.accesses, 3);
    let mut sides = (Subject::boxed(keys)?, Subject::memory(keys)?);
    let both = |read: u64, updated: u64| read.wrapping_add(updated);
    let rounds = against(
        Meter::Processor,
        lab.sizes.rounds,
        &mut sides,
        |sides, _| Ok(both(sides.0.get_batched(&sequence)?, sides.0.update_batched(&sequence)?)),
        |sides, _| Ok(both(sides.1.get_batched(&sequence)?, sides.1.update_batched(&sequence)?)),
    )?;
    Ok(vec![Row::new(name, "x", Bar::AtLeast(0.95, 0.98), rounds)])
}
