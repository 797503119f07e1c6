//! Alternating rounds.

use crate::Outcome;
use crate::clock::Meter;

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
