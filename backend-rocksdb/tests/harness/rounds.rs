//! Random operations on a store and a model in rounds: a snapshot is begun, more operations follow, and what is restored
//! from it is what was there when it began.

use alluvium_state_api::codec::{KeyCodec, Native};
use alluvium_state_api::random::{Randomness, SeededRandomness};
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::testkit::{Backend, Harness, Kit};

const ROUNDS: u64 = 40;

/// A random number below a bound.
pub(crate) type Draw<'a> = &'a mut dyn FnMut(u64) -> u64;

/// One of these.
pub(crate) fn pick<T: Copy>(from: &[T], draw: u64) -> T {
    let place = usize::try_from(draw).unwrap() % from.len();
    *from.get(place).unwrap()
}

/// Plays rounds of so many operations before a snapshot begins and while it is not finished: `step` does one operation on
/// both sides, `check` compares everything.
pub(crate) fn play<H, K, M>(
    seed: u64,
    (before, during): (u64, u64),
    step: fn(&mut Backend<H, K>, &mut M, Draw<'_>),
    check: fn(&mut Backend<H, K>, &M),
) where
    H: Harness + Default,
    Native: KeyCodec<K>,
    M: Clone + Default,
{
    let kit = Kit::<H>::new();
    let randomness = SeededRandomness::new(seed);
    let mut draw = |bound: u64| randomness.next_u64() % bound;
    let (mut backend, mut model) = (kit.fresh::<K>(), M::default());
    for round in 0..ROUNDS {
        for _ in 0..before {
            step(&mut backend, &mut model, &mut draw);
        }
        let kinds = [SnapshotKind::Incremental, SnapshotKind::Full, SnapshotKind::Canonical];
        let begun = kit.begin(&mut backend, pick(&kinds, round));
        let then = model.clone();
        for _ in 0..during {
            step(&mut backend, &mut model, &mut draw);
        }
        let taken = kit.finish(begun);
        check(&mut backend, &model);
        let mut restored = kit.restore::<K>(&[&taken]);
        check(&mut restored, &then);
        if round % 5 == 4 {
            (backend, model) = (restored, then);
        }
    }
}
