//! Alternating rounds.

use crate::clock::Meter;
use crate::row::{Bar, Row};
use crate::{Outcome, float};

/// Runs both sides `rounds` times, alternating (B2), and returns for each round how many times faster
/// the first is. Both must yield the same checksum (B1).
///
/// # Errors
/// Where a side fails, or checksums differ.
pub fn against<S>(
    meter: Meter,
    rounds: usize,
    state: &mut S,
    mut ours: impl FnMut(&mut S, usize) -> Outcome<u64>,
    mut peer: impl FnMut(&mut S, usize) -> Outcome<u64>,
) -> Outcome<Vec<f64>> {
    let mut ratios = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let (first, second);
        if round % 2 == 0 {
            first = meter.time(|| ours(state, round));
            second = meter.time(|| peer(state, round));
        } else {
            second = meter.time(|| peer(state, round));
            first = meter.time(|| ours(state, round));
        }
        let ((ours, ours_s), (peer, peer_s)) = (first, second);
        let (ours, peer) = (ours?, peer?);
        if ours != peer {
            return Err(format!("round {round}: the sides disagree: {ours:x} and {peer:x}").into());
        }
        // the first round warms up
        if round > 0 {
            ratios.push(peer_s / ours_s);
        }
    }
    Ok(ratios)
}

/// [`against`] in wall-clock time, `count` accesses in each of `rounds` rounds. The second row says how many million accesses
/// the first side made in a second.
///
/// # Errors
/// As [`against`].
pub fn with_rate<S>(
    (name, bar): (&str, Bar),
    (rounds, count): (usize, usize),
    state: &mut S,
    mut ours: impl FnMut(&mut S, usize) -> Outcome<u64>,
    peer: impl FnMut(&mut S, usize) -> Outcome<u64>,
) -> Outcome<Vec<Row>> {
    let mut rates = Vec::new();
    let timed = |state: &mut S, round| {
        let (sum, seconds) = Meter::Wall.time(|| ours(state, round));
        rates.push(float(count as u64) / seconds / 1e6);
        sum
    };
    let ratios = against(Meter::Wall, rounds, state, timed, peer)?;
    Ok(vec![Row::new(name, "x", bar, ratios), Row::note(format!("{name}/rate"), "M/s", rates)])
}
